"""How a JPEG was saved, from its own tables: quality, chroma, progressive or not."""

import struct
from dataclasses import dataclass

import numpy as np

from causalclip.pictures.formats import ImageError
from causalclip.pictures.headers import jpeg_segments

# ITU-T T.81, table K.1, row by row, and the order in which a file stores it.
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
_ZIGZAG = sorted(range(64), key=lambda i: (i // 8 + i % 8, (i // 8 if (i // 8 + i % 8) % 2 else i % 8)))
_SOS, _DQT = 0xDA, 0xDB
_SOF = {0xC0, 0xC1, 0xC2}


@dataclass(frozen=True, slots=True)
class JpegTables:
    """quality: 1 to 100, of the nearest standard luminance table. exact: it is that table, as most software writes it;
    cameras and some programs have tables of their own. chroma: "4:4:4", "4:2:2", "4:2:0", "grey" or "other"."""

    quality: int
    exact: bool
    chroma: str
    progressive: bool

    def words(self) -> str:
        """One sentence."""
        about = "" if self.exact else "about "
        own = "" if self.exact else ", with tables of its own, as cameras and some programs have"
        return f"Last saved as JPEG of quality {about}{self.quality} of 100{own} (chroma {self.chroma})."


def standard_table(quality: int) -> np.ndarray:
    """Integer [8, 8]: the luminance table at a quality of 1 to 100, by the rule of the Independent JPEG Group."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((LUMINANCE * scale + 50) // 100, 1, 255)


def read_tables(data: bytes) -> JpegTables | None:
    """From a JPEG file; None if it has no tables that can be read."""
    luminance, chroma, progressive = None, "other", False
    try:
        for marker, start, end in jpeg_segments(data):
            body = data[start + 4 : end]
            if marker == _SOS:
                break
            if marker == _DQT and luminance is None:
                luminance = _first_table(body)
            elif marker in _SOF:
                chroma, progressive = _chroma(body), marker == 0xC2
    except ImageError:
        return None
    if luminance is None:
        return None
    quality = nearest_quality(luminance)
    return JpegTables(quality, bool((standard_table(quality) == luminance).all()), chroma, progressive)


def nearest_quality(table: np.ndarray) -> int:
    """The quality whose standard table is nearest to an [8, 8] table, in the logarithm of its entries."""
    logs = np.log(np.clip(table, 1, None))
    return min(range(1, 101), key=lambda q: float(np.abs(np.log(standard_table(q)) - logs).mean()))


def _first_table(body: bytes) -> np.ndarray | None:
    """Table number 0 of a DQT segment, [8, 8]."""
    start = 0
    while start < len(body):
        deep, number = body[start] >> 4, body[start] & 15
        size = 128 if deep else 64
        raw = body[start + 1 : start + 1 + size]
        if len(raw) < size:
            return None
        if number == 0:
            table = np.empty(64, int)
            table[_ZIGZAG] = np.frombuffer(raw, ">u2" if deep else np.uint8)
            return table.reshape(8, 8)
        start += 1 + size
    return None


def _chroma(body: bytes) -> str:
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:
        return "other"
    if body[5] == 1:
        return "grey"
    factors = [divmod(struct.unpack_from("B", body, 7 + 3 * i)[0], 16) for i in range(body[5])]
    share = factors[0][0] / max(1, factors[1][0]), factors[0][1] / max(1, factors[1][1])
    return {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0"}.get(share, "other")
