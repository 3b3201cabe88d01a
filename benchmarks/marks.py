"""Marks of generators: how many are found on marked files of held-out owners, and on how many real pictures by mistake.

data/marks.csv names the marked files (repository, commit, path, SHA-256), one generator and kind of mark each;
--files is a folder that holds them as SHA256.EXT. No template was fitted on their owners. The real pictures are those
of --originals. They were sorted with the help of metadata, so that only marks on their pixels count as false.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common import ROOT, Options
from benchmarks.stars import measure_stars
from causalclip.detector import Detector
from causalclip.evidence.examination import look_closer, read_claims
from causalclip.images.formats import ImageError
from causalclip.images.loading import load_image
from causalclip.marks.mark import Mark
from causalclip.marks.pixels import find_marks

TABLE = ROOT / "data" / "marks.csv"
SHARED, QUALITY = 800, 75  # px of the longer side and JPEG quality, as sites pass pictures on
MARGIN = 160, 240  # px of white page left and right of a picture in a screenshot, and above and below it
STAR = "Gemini", "visible mark"


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
            {"generator": generator, "kind": kind, "false": count} for (generator, kind), count in wrong.items()
        ],
        "score": measure_stars(Detector.from_pretrained(options.model), starred, options.originals),
        "star": {name: sum(copy[name] for copy in copies) for name in copies[0]} | {"seen": len(copies)},
    }


def found_in(path: Path) -> tuple[Mark, ...] | None:
    """The marks that the app finds in a file and on its picture, hints aside; None for a file that it refuses."""
    data = path.read_bytes()
    try:
        claims, _cautions = look_closer(load_image(data), read_claims(data))
    except ImageError:
        return None
    return tuple(mark for mark in claims.marks if mark.certainty != "hint")


def star_on_copies(path: Path) -> dict[str, bool]:
    """Whether the star is found on a smaller copy, and on a page where it is known where the picture is."""
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
    return any(mark.generator.startswith(name) and mark.edited == bool(edited) for mark in marks or ())


def _real(originals: Path) -> Iterator[Path]:
    with (originals / "manifest.csv").open(newline="") as file:
        yield from (originals / row["path"] for row in csv.DictReader(file) if row["label"] == "real")
