"""How a JPEG was saved: from its own tables, and signs of an earlier compression, from the pixels.

A block's DCT coefficients, once rounded to multiples of a step, stay near them through a later, finer compression
(double quantisation: Lukas and Fridrich, 2003). Scaling, turning or a crop off the 8 px grid erase the sign, so that
its absence means nothing.
"""

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from causalclip.images.containers import jpeg_segments
from causalclip.languages import N_, _

# ITU-T T.81, table K.1, row by row.
LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
_SOS, _APP13 = 0xDA, 0xED
_KEPT = {0xC0, 0xC1, 0xC2, 0xDB, _SOS, _APP13}  # frame headers, tables, and what IPTC is kept in


@dataclass(frozen=True, slots=True)
class JpegTables:
    """quality: 1 to 100, of the nearest standard luminance table. exact: it is that table, as most software writes it;
    cameras and some programs have tables of their own. chroma: "4:4:4", "4:2:2", "4:2:0", "grey" or "other". size:
    columns and rows of the file's pixels, as they lie there. luminance: the table, row by row."""

    quality: int
    exact: bool
    chroma: str
    progressive: bool
    size: tuple[int, int] = (0, 0)
    luminance: tuple[int, ...] = ()

    def words(self) -> str:
        """One sentence."""
        said = (
            N_("Last saved as JPEG of quality {quality} of 100 (chroma {chroma}).")
            if self.exact
            else N_(
                "Last saved as JPEG of quality about {quality} of 100, with tables of its own, as cameras and some "
                "programs have (chroma {chroma})."
            )
        )
        return _(said, quality=self.quality, chroma=_(self.chroma))


def standard_table(quality: int) -> np.ndarray:
    """Integer [8, 8]: the luminance table at a quality of 1 to 100, by the rule of the Independent JPEG Group."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((LUMINANCE * scale + 50) // 100, 1, 255)


def open_head(data: bytes) -> JpegImageFile | None:
    """A JPEG up to its pixels, as Pillow reads it, with its tables and IPTC's block; None if it is damaged.

    Without the other segments, of which Pillow makes more than it is asked for.
    """
    kept = [b"\xff\xd8"]
    try:
        for marker, start, end in jpeg_segments(data):
            kept += [data[start:end]] if marker in _KEPT else []
            if marker == _SOS:
                break
        return JpegImageFile(io.BytesIO(b"".join(kept)))
    except Exception:  # it raises anything on bad input
        return None


def read_tables(data: bytes) -> JpegTables | None:
    """From a JPEG file; None if it has no tables that can be read."""
    head = open_head(data)
    if head is None or 0 not in head.quantization:
        return None
    luminance = np.array(head.quantization[0]).reshape(8, 8)
    logs = np.log(np.clip(luminance, 1, None))
    quality = min(range(1, 101), key=lambda q: float(np.abs(np.log(standard_table(q)) - logs).mean()))
    known = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
    chroma = N_("grey") if head.layers == 1 else known.get(get_sampling(head), N_("other"))
    exact = bool((standard_table(quality) == luminance).all())
    table = tuple(map(int, luminance.ravel()))
    return JpegTables(quality, exact, chroma, "progressive" in head.info, head.size, table)


WINDOW = 512  # px, from the middle, on the grid that starts at the top left
MODES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (2, 2), (0, 3), (3, 0))
QUALITIES = tuple(range(20, 96))
MIN_AGREEMENT = 0.35  # mean agreement from which an earlier compression is reported; see benchmarks/cautions.json
MIN_COUNT = 400  # coefficients that are not zero: fewer say too little


def find_earlier_quality(pixels: np.ndarray, *, last: int | None) -> int | None:
    """The quality, roughly, of a JPEG compression before the last one; None if none was found.

    Args:
        pixels: uint8 RGB [H, W, 3], not turned or scaled since decoding.
        last: quality of the file's own compression; None for a file that is no JPEG.
    """
    coefficients = _coefficients(pixels)
    own = standard_table(last) if last else np.ones((8, 8), int)
    known: dict[tuple[int, int], tuple[float, int]] = {}
    agreement = [_agreement(coefficients, standard_table(q), own, known) for q in QUALITIES]
    best = int(np.argmax(agreement))
    return QUALITIES[best] if agreement[best] >= MIN_AGREEMENT else None


def _coefficients(pixels: np.ndarray) -> np.ndarray:
    """float32 [modes, blocks]: the DCT coefficients of the luminance, in JPEG's scale."""
    height, width = pixels.shape[:2]
    top, left = (max(0, (side - WINDOW) // 2) // 8 * 8 for side in (height, width))
    cut = pixels[top : top + WINDOW, left : left + WINDOW].astype(np.float32)
    rows, columns = cut.shape[0] // 8, cut.shape[1] // 8
    grey = (cut @ np.array([0.299, 0.587, 0.114], np.float32))[: rows * 8, : columns * 8] - 128
    basis = _basis()
    along = grey.reshape(-1, 8) @ basis.T  # every row of every block
    spectrum = (basis @ along.reshape(rows, 8, -1)).reshape(rows, len(basis), columns, -1)
    return np.stack([spectrum[:, u, :, v].ravel() for u, v in MODES])


@lru_cache(maxsize=1)
def _basis() -> np.ndarray:
    """float32 [frequencies of MODES, 8]: the orthonormal DCT of a row of 8."""
    frequency = np.arange(1 + max(max(mode) for mode in MODES))[:, None]
    waves = np.cos(np.pi / 16 * frequency * (2 * np.arange(8) + 1)) / 2
    return np.where(frequency == 0, np.sqrt(1 / 8), waves).astype(np.float32)


def _agreement(
    coefficients: np.ndarray, table: np.ndarray, own: np.ndarray, known: dict[tuple[int, int], tuple[float, int]]
) -> float:
    """How well the coefficients keep to the table's steps: the mean of cos(2 pi c / step) over the large ones.

    known: sum and count of those of a mode with a step, which many tables have; filled here.
    """
    total = count = 0.0
    for mode, (u, v) in enumerate(MODES):
        step, last = int(table[u, v]), int(own[u, v])
        if step <= max(1.5 * last, 3):
            continue  # finer than the last compression: whatever was there before is gone
        if (mode, step) not in known:
            values = coefficients[mode]
            large = values[np.abs(values) > 0.5 * step]
            known[mode, step] = float(np.cos(2 * np.pi / step * large).sum()), len(large)
        total += known[mode, step][0]
        count += known[mode, step][1]
    return total / count if count >= MIN_COUNT else -1.0
