"""How a JPEG was saved, from its own tables: quality, chroma, progressive or not."""

import io
from collections import Counter
from dataclasses import dataclass

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from causalclip.languages import N_, _
from causalclip.pictures.formats import ImageError
from causalclip.pictures.headers import jpeg_segments
from causalclip.provenance.budget import MAX_ITEM

MAX_TABLES = 4096  # bytes of tables; four of the largest have 516
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
_SOS = 0xDA
_TABLES = {0xC0, 0xC1, 0xC2, 0xDB, _SOS}  # frame headers and DQT


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


def open_head(data: bytes, *further: int) -> JpegImageFile | None:
    """A JPEG up to its pixels, as Pillow reads it: its tables, and segments with `further` markers; None if damaged.

    Without the other segments, of which Pillow makes more than it is asked for, and within limits.
    """
    kept, sizes = [b"\xff\xd8"], Counter[int]()
    for marker, start, end in jpeg_segments(data):
        limit = MAX_ITEM if marker in further else MAX_TABLES if marker in _TABLES else 0
        if sizes[marker] + end - start <= limit:
            sizes[marker] += end - start
            kept.append(data[start:end])
        if marker == _SOS:
            break
    try:
        return JpegImageFile(io.BytesIO(b"".join(kept)))
    except Exception:  # it raises anything on bad input
        return None


def read_tables(data: bytes) -> JpegTables | None:
    """From a JPEG file; None if it has no tables that can be read."""
    try:
        head = open_head(data)
    except ImageError:
        return None
    if head is None or 0 not in head.quantization:
        return None
    luminance = np.array(head.quantization[0]).reshape(8, 8)
    quality = nearest_quality(luminance)
    known = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
    chroma = N_("grey") if head.layers == 1 else known.get(get_sampling(head), N_("other"))
    exact = bool((standard_table(quality) == luminance).all())
    table = tuple(map(int, luminance.ravel()))
    return JpegTables(quality, exact, chroma, "progressive" in head.info, head.size, table)


def nearest_quality(table: np.ndarray) -> int:
    """The quality whose standard table is nearest to an [8, 8] table, in the logarithm of its entries."""
    logs = np.log(np.clip(table, 1, None))
    return min(range(1, 101), key=lambda q: float(np.abs(np.log(standard_table(q)) - logs).mean()))
