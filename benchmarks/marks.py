"""Marks of generators: how many marked files are headlined by their mark and name its generator,
and how many real pictures bear a mark by mistake.

training/tables/marks.csv names the marked files (repository, commit, path, SHA-256), one generator
and kind of mark each, by what their bytes say; --files is a folder that holds them as SHA256.EXT.
Its owners are in three parts: `first`, held out since the first round, `built on`, and `looked at
once`, after everything was built. A generator that a file does not name is called `unnamed`. Marks
on pixels are also looked for on copies as sites pass pictures on. The time of that search is
measured on photographs that scikit-image carries, enlarged.
"""

import csv
import io
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common import ROOT, Options, processor, read
from causalclip.examination.headline import make_headline
from causalclip.images.formats import ImageError, sniff
from causalclip.images.loading import load_image
from causalclip.marks.pixels import find_marks
from causalclip.provenance.reading import read_provenance

TABLE = ROOT / "training" / "tables" / "marks.csv"
COPIES = {"1,280 px, quality 80": (1280, 80), "800 px, quality 70": (800, 70)}
STAR = "Gemini", "visible mark"
UNNAMED = "unnamed"
MEGAPIXELS = 0.5, 2.0, 12.0, 50.0  # of the pictures whose search is timed
PHOTOGRAPHS = "astronaut", "chelsea", "coffee", "rocket"  # of scikit-image
RUNS = 3  # of which the fastest counts


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table."""

    repo: str
    commit: str
    path: str
    sha256: str
    generator: str
    kind: str
    part: str

    @property
    def owner(self) -> str:
        return self.repo.split("/")[0]


@dataclass(frozen=True, slots=True)
class Found:
    """What is found on a file: whether a mark makes the headline, whether one names the generator,
    and on which copies a mark on the pixels still does."""

    headlined: bool
    named: bool
    copies: tuple[str, ...] = ()


def measure(options: Options) -> dict[str, Any]:
    """Measure the files that are there; the real pictures only if there are any."""
    rows = read_rows(options.files)
    with ProcessPoolExecutor(2) as pool:
        results = list(pool.map(look_at, rows, chunksize=4))
    groups: dict[tuple[str, str, str], list[tuple[Row, Found]]] = defaultdict(list)
    for (row, _path), result in zip(rows, results, strict=True):
        groups[row.part, row.generator, row.kind].append((row, result))
    before = read("marks") or {}
    return {
        "missing": sum(1 for _ in read_table()) - len(rows),
        "marks": [_summary(*key, group) for key, group in sorted(groups.items())],
        "search": time_search(),
        **{key: before.get(key, 0) for key in ("first look", "real pictures", "false")},
    } | (count_false(options.originals) if options.pictures else {})


def read_table() -> Iterator[Row]:
    """Yield the rows of the table."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield Row(**row)


def read_rows(files: Path) -> list[tuple[Row, Path]]:
    """Return the rows whose file is in a folder, with its path."""
    paths = {path.stem: path for path in files.iterdir()}
    return [(row, paths[row.sha256]) for row in read_table() if row.sha256 in paths]


def look_at(item: tuple[Row, Path]) -> Found:
    """Return what is found on one file; nothing for a file that is refused."""
    row, path = item
    data = path.read_bytes()
    try:
        claims = read_provenance(data, sniff(data))
        pixels = load_image(data).pixels if row.kind == STAR[1] else None
    except ImageError:
        return Found(headlined=False, named=False)

    if pixels is None:
        headline = make_headline(claims, "likely not generated")
        named = _named(row.generator, (headline.name, *(mark.generator for mark in claims.marks)))
        return Found(headline.source != "pixels", named)

    seen = _on_pixels(row.generator, pixels)
    copies = tuple(name for name, copy in COPIES.items() if _on_copy(row.generator, pixels, *copy))
    return Found(seen, seen, copies)


def _named(generator: str, names: tuple[str, ...]) -> bool:
    """Whether one of the names is the generator's; any will do where the file gives none."""
    name = generator.partition(" (")[0]
    return any(names) if name == UNNAMED else any(found.startswith(name) for found in names)


def _on_pixels(generator: str, pixels: np.ndarray) -> bool:
    return any(mark.generator == generator for mark in find_marks(pixels) if mark.box)


def _on_copy(generator: str, pixels: np.ndarray, side: int, quality: int) -> bool:
    """Whether the mark is found on a smaller JPEG copy."""
    copy = Image.fromarray(pixels)
    copy.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    copy.save(file, "JPEG", quality=quality)
    return _on_pixels(generator, np.asarray(Image.open(file).convert("RGB")))


def _summary(
    part: str, generator: str, kind: str, group: list[tuple[Row, Found]]
) -> dict[str, Any]:
    results = [result for _row, result in group]
    row: dict[str, Any] = {
        "part": part,
        "generator": generator,
        "kind": kind,
        "owners": len({row.owner for row, _result in group}),
        "seen": len(group),
        "found": sum(result.named for result in results),
        "headlined": sum(result.headlined for result in results),
    }
    if kind == STAR[1]:
        row |= {name: sum(name in result.copies for result in results) for name in COPIES}
    return row


def time_search() -> dict[str, Any]:
    """Return the processor milliseconds that the search for marks takes, by size of picture."""
    import skimage.data

    photographs = [Image.fromarray(getattr(skimage.data, name)()) for name in PHOTOGRAPHS]
    rows = []
    for megapixels in MEGAPIXELS:
        height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
        size = round(height * 4 / 3), height
        times = [_milliseconds(np.asarray(photograph.resize(size))) for photograph in photographs]
        rows.append({"megapixels": megapixels, "size": size, "ms": round(sum(times) / len(times))})
    return {"processor": processor()["name"], "rows": rows}


def _milliseconds(pixels: np.ndarray) -> float:
    """The processor's, of the fastest of RUNS."""
    times = []
    for _run in range(RUNS):
        start = time.process_time()
        find_marks(pixels)
        times.append(time.process_time() - start)
    return 1000 * min(times)


def count_false(originals: Path) -> dict[str, Any]:
    """Return on how many real pictures of a collected data set a mark on the pixels is found."""
    with (originals / "manifest.csv").open(newline="") as file:
        real = [originals / row["path"] for row in csv.DictReader(file) if row["label"] == "real"]
    with ProcessPoolExecutor(2) as pool:
        false = list(pool.map(_marked, real, chunksize=8))
    return {"real pictures": len(false), "false": sum(false)}


def _marked(path: Path) -> bool:
    try:
        return bool(find_marks(load_image(path.read_bytes()).pixels))
    except ImageError:
        return False
