"""Marks of generators: how many are found on marked files of held-out owners, and on how many real
pictures by mistake.

training/tables/marks.csv names the marked files (repository, commit, path, SHA-256), one generator
and kind of mark each; --files is a folder that holds them as SHA256.EXT. No template was fitted on
their owners. The real pictures are those of --originals. They were sorted with the help of
metadata, so that only marks on their pixels count as false.

Does the detector learn from Gemini's star? Its answers with the star painted over, and with one on
photographs; a corner without a star is painted over, too, as that alone may move a score.
"""

import csv
import io
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from benchmarks.common import ROOT, Options
from causalclip.detector import Detector, Verdict
from causalclip.examination.stages import look_closer, read_claims
from causalclip.images.formats import Box, ImageError
from causalclip.images.loading import load_image
from causalclip.marks.mark import Mark
from causalclip.marks.pixels import STAR_LAYOUTS, find_marks, find_star, star

TABLE = ROOT / "data" / "marks.csv"
SHARED, QUALITY = 800, 75  # px of the longer side and JPEG quality, as sites pass pictures on
# px of white page left and right of a picture in a screenshot, and above and below it
MARGIN = 160, 240
STAR = "Gemini", "visible mark"
PHOTOGRAPHS = 300
OPACITY = 0.5
AROUND = 1.3  # of the star: what is painted over

Pair = tuple[Verdict, Verdict]


def measure(options: Options) -> dict[str, Any]:
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    held = {path.stem: path for path in options.files.iterdir()}
    real = list(_real(options.originals))
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(found_in, [held[row["sha256"]] for row in rows], chunksize=4))
        false = [marks for marks in pool.map(found_in, real, chunksize=4) if marks is not None]
        starred = [held[row["sha256"]] for row in rows if (row["generator"], row["kind"]) == STAR]
        copies = list(pool.map(star_on_copies, starred, chunksize=4))
    kinds = sorted({(row["generator"], row["kind"]) for row in rows})
    wrong: Counter[tuple[str, str]] = Counter(
        (mark.generator, mark.kind) for marks in false for mark in marks if mark.on_pixels
    )
    marks = []
    for generator, kind in kinds:
        named = [
            _named(generator, marks)
            for row, marks in zip(rows, found, strict=True)
            if (row["generator"], row["kind"]) == (generator, kind)
        ]
        visible = kind == STAR[1]
        marks.append(
            {"generator": generator, "kind": kind, "seen": len(named), "found": sum(named)}
            | ({"false": wrong.pop((generator, kind), 0)} if visible else {})
        )
    return {
        "owners": len({row["repo"].split("/")[0] for row in rows}),
        "seen": len(rows),
        "found": sum(mark["found"] for mark in marks),
        "real pictures": len(false),
        "marks": marks,
        "others on real pictures": [
            {"generator": generator, "kind": kind, "false": count}
            for (generator, kind), count in wrong.items()
        ],
        "score": measure_stars(Detector.from_pretrained(options.model), starred, options.originals),
        "star": {name: sum(copy[name] for copy in copies) for name in copies[0]}
        | {"seen": len(copies)},
    }


def found_in(path: Path) -> tuple[Mark, ...] | None:
    """The marks that the app finds in a file and on its picture, hints aside; None for a file that
    it refuses."""
    data = path.read_bytes()
    try:
        claims, _cautions = look_closer(load_image(data), read_claims(data))
    except ImageError:
        return None
    return tuple(mark for mark in claims.marks if mark.certainty != "hint")


def star_on_copies(path: Path) -> dict[str, bool]:
    """Whether the star is found on a smaller copy, and on a page where it is known where the
    picture is."""
    picture = Image.fromarray(load_image(path.read_bytes()).pixels)
    copy = picture.copy()
    copy.thumbnail((SHARED, SHARED))
    page = Image.new("RGB", (copy.width + 2 * MARGIN[0], copy.height + 2 * MARGIN[1]), "white")
    page.paste(copy, MARGIN)
    inside = (*MARGIN, MARGIN[0] + copy.width, MARGIN[1] + copy.height)
    return {
        f"{SHARED} px, JPEG {QUALITY}": _starred(find_marks(_saved(copy))),
        f"{SHARED} px in a screenshot": _starred(find_marks(np.asarray(page), inside=(inside,))),
    }


def _starred(marks: tuple[Mark, ...]) -> bool:
    return STAR in {(mark.generator, mark.kind) for mark in marks}


def _saved(picture: Image.Image) -> np.ndarray:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(file).convert("RGB"))


def _named(generator: str, marks: tuple[Mark, ...] | None) -> bool:
    """Whether a mark names the generator, and says "edited" where the file does."""
    name, _space, edited = generator.partition(" (")
    return any(
        mark.generator.startswith(name) and mark.edited == bool(edited) for mark in marks or ()
    )


def _real(originals: Path) -> Iterator[Path]:
    with (originals / "manifest.csv").open(newline="") as file:
        yield from (
            originals / row["path"] for row in csv.DictReader(file) if row["label"] == "real"
        )


def measure_stars(detector: Detector, starred: Sequence[Path], originals: Path) -> dict[str, Any]:
    """starred: files that bear a star. originals: with real photographs of the split `test`, which
    get one."""
    painted: list[Pair] = []
    control: list[Pair] = []
    for path in starred:
        pixels = load_image(path.read_bytes()).pixels
        found = find_star(pixels)
        if found:
            left, top, right, bottom = found[1]
            mirrored = pixels.shape[1] - right, top, pixels.shape[1] - left, bottom
            copies = pixels, painted_over(pixels, found[1]), painted_over(pixels, mirrored)
            before, without, other = detector.judge_all(copies)  # equal views are judged once
            painted.append((before, without))
            control.append((before, other))
    pasted: list[Pair] = []
    for pixels in _photographs(originals):
        before, starry = detector.judge_all((pixels, with_star(pixels)))
        pasted.append((before, starry))
    return {
        "painted over": _moved(painted),
        "another corner painted over": _moved(control),
        "pasted on photographs": _moved(pasted),
    }


def painted_over(pixels: np.ndarray, box: Box) -> np.ndarray:
    """A box of a picture, and somewhat around it, filled from its surroundings."""
    x0, y0, x1, y1 = box
    more = round((AROUND - 1) / 2 * (x1 - x0))
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[max(0, y0 - more) : y1 + more, max(0, x0 - more) : x1 + more] = 255
    return cv2.inpaint(pixels, mask, 5, cv2.INPAINT_TELEA)


def with_star(pixels: np.ndarray) -> np.ndarray:
    """The picture with a star where Gemini puts it."""
    height, width = pixels.shape[:2]
    share, margin, _sure = STAR_LAYOUTS[0]
    size = round(share * (height * width) ** 0.5)
    x, y = (round(side - (1 + margin) * size) for side in (width, height))
    alpha = OPACITY * star(size)[..., None]
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
    left = PHOTOGRAPHS
    while rows and left:
        try:
            yield load_image((originals / rows.pop()["path"]).read_bytes(), enough=1_500_000).pixels
            left -= 1
        except ImageError:
            continue


def _moved(pairs: list[Pair]) -> dict[str, Any]:
    """By how much the probability moves, and how many answers change."""
    moves = [after.probability - before.probability for before, after in pairs]
    return {
        "pictures": len(pairs),
        "mean change": round(float(np.mean(moves)), 4),
        "mean size of the change": round(float(np.mean(np.abs(moves))), 4),
        "answers that change": sum(before.band != after.band for before, after in pairs),
    }
