"""The invisible watermark of Stable Diffusion, FLUX and InvokeAI."""

from functools import lru_cache

import numpy as np

# The package invisible-watermark writes it into pixels. Its method "dwtDct" moves one coefficient
# of each 4 x 4 block of the Haar transform's low band of U, by steps of 36. Most programs embed in
# floating point, where U is around 0.5, and decoders read 8 bits, where it is around 128; some
# exchange red and blue. So all four ways are read, and the mean votes for each bit are correlated
# with known payloads.
STEP = 36
MIN_SIDE = 256  # px a side: the package writes into no smaller picture
BLOCKS = 8192  # that are read: some sixty votes a bit
MIN_AGREEMENT = 0.75
MIN_SHORT_AGREEMENT = 0.88  # of a payload of at most 32 bits: by chance, 0.68 was seen once
OFFSETS = 0.5, 128.0  # of U, in floating point and in 8 bits
# Half of U of red, green and blue, and of these with red and blue exchanged: [3, 2].
U = 0.246 * np.array([[-0.299, -0.587, 0.886], [0.886, -0.587, -0.299]], dtype=np.float32).T

# Bits, or the text that is written. FLUX's has 46 bits, as Python's bin() drops two zeros of 48.
PAYLOADS: dict[str, str | bytes] = {
    "Stable Diffusion XL": "101100111110110010010000011110111011000110011110",
    "FLUX": "1010101111111010000111100111001111010100101110",
    "Stable Diffusion 1": b"StableDiffusionV1",
    "Stable Diffusion 2": b"SDV2",
    "InvokeAI": b"InvokeAI",
}


def find_watermark(pixels: np.ndarray) -> tuple[str, float] | None:
    """Return whose payload uint8 RGB [H, W, 3] carries, and its correlation of at most 1; None for
    none."""
    if min(pixels.shape[:2]) < MIN_SIDE:
        return None
    votes = _votes(pixels[: 8 * -(-BLOCKS // (pixels.shape[1] // 8))])
    watermarks = []
    for name, bits in payloads().items():
        agreement = _correlation(votes, bits)
        if agreement >= (MIN_AGREEMENT if len(bits) > 32 else MIN_SHORT_AGREEMENT):
            watermarks.append((agreement, name))
    if not watermarks:
        return None
    agreement, name = max(watermarks)
    return name, agreement


def _votes(pixels: np.ndarray) -> np.ndarray:
    """Return a vote of 0 or 1 for each block, row by row, in four ways: float32 [4, blocks]."""
    rows, columns = pixels.shape[0] // 8, pixels.shape[1] // 8
    pixels = pixels[: 8 * rows, : 8 * columns].astype(np.uint16)
    pairs = pixels[0::2] + pixels[1::2]
    low = (pairs[:, 0::2] + pairs[:, 1::2]).astype(np.float32) @ U  # the Haar transform's low band
    blocks = low.reshape(rows, 4, columns, 4, 2)
    blocks[:, 0, :, 0] = blocks[:, 0, :, 1]  # the first of a block has no vote
    most, least = blocks.max(1).max(2), blocks.min(1).min(2)
    # a sum of four by 2
    ways = np.stack([np.maximum(most + 2 * offset, -least - 2 * offset) for offset in OFFSETS])
    return (ways % STEP > STEP / 2).transpose(0, 3, 1, 2).reshape(4, -1).astype(np.float32)


def _correlation(votes: np.ndarray, bits: np.ndarray) -> float:
    """Return the correlation of each bit's mean vote with the payload, the highest of four."""
    times = votes.shape[1] // len(bits)
    if not times:
        return 0.0
    means = votes[:, : times * len(bits)].reshape(4, times, -1).mean(1)
    means = means - means.mean(1, keepdims=True)
    payload = bits - bits.mean()
    length = np.linalg.norm(means, axis=1) * np.linalg.norm(payload)
    return float((means @ payload / np.maximum(length, 1e-6)).max())


@lru_cache(maxsize=1)
def payloads() -> dict[str, np.ndarray]:
    """Return the bits of each known payload, float32 of 0 and 1."""
    bits = {
        name: text if isinstance(text, str) else "".join(f"{byte:08b}" for byte in text)
        for name, text in PAYLOADS.items()
    }
    return {
        name: np.array([float(bit) for bit in text], dtype=np.float32)
        for name, text in bits.items()
    }
