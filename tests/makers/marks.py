"""Marks of generators on pixels: stamps, watermarks, and texts in the lowest bits."""

import gzip

import numpy as np


def stamp(pixels: np.ndarray, opacity: np.ndarray, x: int, y: int, *, much: float) -> np.ndarray:
    """White, half transparent, at x and y."""
    out = pixels.astype(np.float32)
    height, width = opacity.shape
    alpha = much * opacity[..., None]
    out[y : y + height, x : x + width] = (
        255 * alpha + (1 - alpha) * out[y : y + height, x : x + width]
    )
    return np.round(out).astype(np.uint8)


def embed(pixels: np.ndarray, bits: np.ndarray, *, offset: float, swapped: bool) -> np.ndarray:
    """Writes bits into U of uint8 RGB [H, W, 3]; offset: where U lies, 0.5 or 128 (then U is
    rounded to 8 bits)."""
    red, green, blue = (
        pixels[..., at].astype(np.float64) for at in ((2, 1, 0) if swapped else (0, 1, 2))
    )
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    u, v = 0.492 * (blue - luma) + offset, 0.877 * (red - luma)
    height, width = (length // 4 * 4 for length in u.shape)
    inner = u[:height, :width]
    low = (inner[::2, ::2] + inner[1::2, ::2] + inner[::2, 1::2] + inner[1::2, 1::2]) / 2
    changed, count = low.copy(), 0
    for row in range(low.shape[0] // 4):
        for column in range(low.shape[1] // 4):
            block = changed[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            at = int(np.argmax(np.abs(block.ravel()[1:]))) + 1
            value = block[at // 4, at % 4]
            moved = (abs(value) // 36 + 0.25 + 0.5 * bits[count % len(bits)]) * 36
            block[at // 4, at % 4] = moved if value >= 0 else -moved
            count += 1
    u[:height, :width] += np.kron((changed - low) / 2, np.ones((2, 2)))
    u = np.round(u) if offset == 128 else u
    blue, red = (u - offset) / 0.492 + luma, v / 0.877 + luma
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    channels = (blue, green, red) if swapped else (red, green, blue)
    return np.clip(np.round(np.stack(channels, -1)), 0, 255).astype(np.uint8)


def hide(
    pixels: np.ndarray, text: bytes, *, word: bytes = b"stealth_pngcomp", size: int | None = None
) -> np.ndarray:
    """Writes a text into the lowest bits of alpha, or of the colours where `word` is of these,
    column by column.

    pixels: uint8 RGB [H, W, 3]; what comes out has 4 channels where alpha is written. size: the
    length to claim.
    """
    packed = gzip.compress(text, mtime=0) if word.endswith(b"comp") and size is None else text
    told = 8 * len(packed) if size is None else size
    bits = np.unpackbits(np.frombuffer(word + told.to_bytes(4, "big") + packed, np.uint8))
    opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    out = np.concatenate([pixels, opaque], -1) if b"png" in word else pixels.copy()
    plane = out[..., 3:] if b"png" in word else out
    flat = plane.swapaxes(0, 1).reshape(-1).copy()
    flat[: len(bits)] = flat[: len(bits)] & 254 | bits
    plane[:] = flat.reshape(plane.swapaxes(0, 1).shape).swapaxes(0, 1)
    return out
