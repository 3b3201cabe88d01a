"""Near-copies: pictures whose perceptual hashes differ in few bits."""

import io
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from causalclip.dataset.collecting.originals import place
from causalclip.dataset.table import Picture

NEAR = 4  # bits of 64
SIDE = 512  # pixels of the longer side that is hashed
_ROWS = 512  # of the matrix of distances that are made at a time


def perceptual_hash(data: bytes, crop: str = "") -> str:
    """imagehash.phash of a file's upright picture, shrunk to SIDE, as 16 hexadecimal digits.

    crop: "x0,y0,x1,y1", the only part that counts. Raises OSError or ValueError where the file does not decode.
    """
    import imagehash  # brings SciPy's and PyWavelets' slow imports

    with Image.open(io.BytesIO(data)) as picture:
        part = picture.crop(tuple(int(v) for v in crop.split(","))) if crop else picture  # type: ignore[arg-type]
        part.draft("RGB", (400, 400))
        small = ImageOps.exif_transpose(part).convert("RGB")
    small.thumbnail((SIDE, SIDE))
    return str(imagehash.phash(small))


def fill_hashes(pictures: Iterable[Picture], originals: Path) -> list[Picture]:
    """The same rows, with the hashes of those that lack one and whose original is there and decodes."""
    filled = []
    for picture in pictures:
        file = place(originals, picture)
        if not picture.phash and file.is_file():
            with suppress(OSError, ValueError):
                picture = replace(picture, phash=perceptual_hash(file.read_bytes(), picture.crop))
        filled.append(picture)
    return filled


def near_pairs(first: Sequence[str], second: Sequence[str], *, near: int = NEAR) -> list[tuple[int, int]]:
    """Which of `first` differ from which of `second` in at most `near` bits: pairs of indices, in order.

    Hashes are 16 hexadecimal digits. All are compared with all, in blocks: 30,000 with 30,000 in seconds.
    """
    a, b = as_bits(first), as_bits(second)
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(a), _ROWS):
        distance = np.bitwise_count(a[start : start + _ROWS, None] ^ b[None, :])
        rows, columns = np.nonzero(distance <= near)
        pairs += zip((rows + start).tolist(), columns.tolist(), strict=True)
    return pairs


def as_bits(hashes: Sequence[str]) -> np.ndarray:
    """Hashes as uint64, [N]."""
    return np.array([int(text, 16) for text in hashes], np.uint64)
