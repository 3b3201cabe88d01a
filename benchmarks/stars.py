"""Does the detector learn from Gemini's star? Its answers with the star painted over, and with one
on photographs; a corner without a star is painted over, too, as that alone may move a score.

training/tables/marks.csv names files that bear a star; --files is a folder that holds them as
SHA256.EXT. The photographs are those of --originals.
"""

import csv
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common import Options
from benchmarks.marks import STAR, read_rows
from causalclip.detection import Verdict
from causalclip.detector import Detector
from causalclip.images.formats import Box, ImageError
from causalclip.images.loading import load_image
from causalclip.marks.star import STAR_LAYOUTS, find_star, star_opacity

PHOTOGRAPHS = 300  # that get a star, at most
OPACITY = 0.5  # of that star
AROUND = 1.3  # sides of what is painted over, in those of the star

Pair = tuple[Verdict, Verdict]


def measure(options: Options) -> dict[str, Any]:
    files = [path for row, path in read_rows(options.files) if (row.generator, row.kind) == STAR]
    return measure_stars(Detector.from_pretrained(options.model), files, options.originals)


def measure_stars(detector: Detector, files: Sequence[Path], originals: Path) -> dict[str, Any]:
    """Measure answers with and without a star.

    Args:
        files: pictures that bear a star.
        originals: folder with real photographs of the split `test`, which get one.
    """
    without_star: list[Pair] = []
    control: list[Pair] = []
    for path in files:
        pixels = load_image(path.read_bytes()).pixels
        star = find_star(pixels)
        if star:
            _score, box = star
            left, top, right, bottom = box
            mirrored = pixels.shape[1] - right, top, pixels.shape[1] - left, bottom
            copies = pixels, painted_over(pixels, box), painted_over(pixels, mirrored)
            before, without, other = detector.score_batch(copies)  # equal views are judged once
            without_star.append((before, without))
            control.append((before, other))
    star_added: list[Pair] = []
    for pixels in _photographs(originals):
        before, starry = detector.score_batch((pixels, with_star(pixels)))
        star_added.append((before, starry))
    return {
        "painted over": _moved(without_star),
        "another corner painted over": _moved(control),
        "pasted on photographs": _moved(star_added),
    }


def painted_over(pixels: np.ndarray, box: Box) -> np.ndarray:
    """Return a picture whose box, and somewhat around it, is filled from its surroundings."""
    x0, y0, x1, y1 = box
    more = round((AROUND - 1) / 2 * (x1 - x0))
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[max(0, y0 - more) : y1 + more, max(0, x0 - more) : x1 + more] = 255
    return cv2.inpaint(pixels, mask, 5, cv2.INPAINT_TELEA)


def with_star(pixels: np.ndarray) -> np.ndarray:
    """Return the picture with a star where Gemini puts it."""
    height, width = pixels.shape[:2]
    share, margin, _sure = STAR_LAYOUTS[0]
    size = round(share * (height * width) ** 0.5)
    x, y = (round(side - (1 + margin) * size) for side in (width, height))
    alpha = OPACITY * star_opacity(size)[..., None]
    out = pixels.copy()
    out[y : y + size, x : x + size] = np.round(
        255 * alpha + (1 - alpha) * out[y : y + size, x : x + size]
    )
    return out


def _photographs(originals: Path) -> Iterator[np.ndarray]:
    with (originals / "manifest.csv").open(newline="") as file:
        rows = [
            row for row in csv.DictReader(file) if (row["label"], row["split"]) == ("real", "test")
        ]
    random.Random(0).shuffle(rows)
    missing = PHOTOGRAPHS
    while rows and missing:
        try:
            yield load_image((originals / rows.pop()["path"]).read_bytes(), enough=1_500_000).pixels
            missing -= 1
        except ImageError:
            continue


def _moved(pairs: list[Pair]) -> dict[str, Any]:
    """Return by how much the probability moves, and how many answers change."""
    moves = [after.probability - before.probability for before, after in pairs]
    return {
        "pictures": len(pairs),
        "mean change": round(float(np.mean(moves)), 4),
        "mean size of the change": round(float(np.mean(np.abs(moves))), 4),
        "answers that change": sum(before.band != after.band for before, after in pairs),
    }
