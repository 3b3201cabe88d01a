"""Marks of generators: how many marked files are headlined by their mark and name its generator,
and how many real pictures bear a mark on their pixels by mistake.

training/tables/marks.csv names the marked files (repository, commit, path, SHA-256), one generator
and kind of mark each, by what their bytes say; --files is a folder that holds them as SHA256.EXT.
Its owners are in three parts: `first`, held out since the first round, `built on`, and `looked at
once`, after everything was built. A generator that a file does not name is called `unnamed`. Marks
on pixels are also looked for on copies as sites pass pictures on. The time of that search is
measured on photographs that scikit-image carries, enlarged.

With --pictures 1, the real pictures of training/tables/pictures.csv.gz that are in --originals are
searched instead, and all else stays as it was measured, searches of other days included. What was
found is kept in --cache, a line a picture, so that a killed run goes on; a change of the search or
of its templates begins anew.
"""

import csv
import hashlib
import io
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common import ROOT, Options, processor, read, today
from benchmarks.common import TABLE as PICTURES
from causalclip.examination.headline import make_headline
from causalclip.images.formats import ImageError, sniff
from causalclip.images.loading import load_image
from causalclip.marks.logos import LOGOS, TEMPLATES
from causalclip.marks.mark import EU_ICON
from causalclip.marks.pixels import find_marks
from causalclip.marks.stamps import STAMPS
from causalclip.marks.watermark import PAYLOADS
from causalclip.provenance.reading import read_provenance
from training.dataset.collecting import split_by_presence
from training.dataset.table import Picture, place
from training.dataset.table import read_table as read_pictures
from training.detector.bands import upper_bound

TABLE = ROOT / "training" / "tables" / "marks.csv"
COPIES = {"1,280 px, quality 80": (1280, 80), "800 px, quality 70": (800, 70)}
STAR = "Gemini", "visible mark"
UNNAMED = "unnamed"
MEGAPIXELS = 0.5, 2.0, 12.0, 50.0  # of the pictures whose search is timed
PHOTOGRAPHS = "astronaut", "chelsea", "coffee", "rocket"  # of scikit-image
RUNS = 3  # of which the fastest counts
# modules of causalclip.marks that decide what is found
SEARCH = "bar", "corners", "correlation", "icons", "logos", "pixels", "stamps", "star", "watermark"
# whose marks are searched for on pixels
ON_PIXELS = sorted(
    {"Gemini", "DALL-E 2", EU_ICON, *PAYLOADS, *(mark.generator for mark in (*LOGOS, *STAMPS))}
)


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
        return self.repo.partition("/")[0].lower()


@dataclass(frozen=True, slots=True)
class Found:
    """What is found on a file: whether a mark makes the headline, whether one names the generator,
    and on which copies a mark on the pixels still does."""

    headlined: bool
    named: bool
    copies: tuple[str, ...] = ()


def measure(options: Options) -> dict[str, Any]:
    """Measure the files that are there; or search the real pictures."""
    before = read("marks") or {}
    searches = before.get("real pictures", [])
    if options.pictures:
        others = [search for search in searches if search["date"] != today()]
        return before | {"real pictures": [*others, _count_false(options)]}

    rows = read_rows(options.files)
    with ProcessPoolExecutor(2) as pool:
        results = list(pool.map(_look_at, rows, chunksize=4))
    groups: dict[tuple[str, str, str], list[tuple[Row, Found]]] = defaultdict(list)
    for (row, _path), result in zip(rows, results, strict=True):
        groups[row.part, row.generator, row.kind].append((row, result))
    return {
        "missing": sum(1 for _ in read_table()) - len(rows),
        "marks": [_summary(*key, group) for key, group in sorted(groups.items())],
        "search": _time_search(),
        "first look": before.get("first look", {}),
        "real pictures": searches,
    }


def read_table() -> Iterator[Row]:
    """Yield the rows of the table."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield Row(**row)


def read_rows(files: Path) -> list[tuple[Row, Path]]:
    """Return the rows whose file is in a folder, with its path."""
    paths = {path.stem: path for path in files.iterdir()}
    return [(row, paths[row.sha256]) for row in read_table() if row.sha256 in paths]


def _look_at(item: tuple[Row, Path]) -> Found:
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
        is_named = _named(
            row.generator, (headline.name, *(mark.generator for mark in claims.marks))
        )
        return Found(headline.source != "pixels", is_named)

    is_seen = _on_pixels(row.generator, pixels)
    copies = tuple(name for name, copy in COPIES.items() if _on_copy(row.generator, pixels, *copy))
    return Found(is_seen, is_seen, copies)


def _named(generator: str, names: tuple[str, ...]) -> bool:
    """Return whether one of the names is the generator's; any will do where the file gives none."""
    name = generator.partition(" (")[0]
    return any(names) if name == UNNAMED else any(other.startswith(name) for other in names)


def _on_pixels(generator: str, pixels: np.ndarray) -> bool:
    return any(mark.generator == generator for mark in find_marks(pixels) if mark.box)


def _on_copy(generator: str, pixels: np.ndarray, side: int, quality: int) -> bool:
    """Return whether the mark is found on a smaller JPEG copy."""
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


def _time_search() -> dict[str, Any]:
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


def _count_false(options: Options) -> dict[str, Any]:
    """Return on how many real pictures of --originals a mark on the pixels is found."""
    # 1. The pictures that are there, each once
    real = [picture for picture in read_pictures(PICTURES) if picture.label == "real"]
    there = {p.sha256: p for p in split_by_presence(real, options.originals)[0]}

    # 2. What was found before, and what is found now
    file = options.cache.parent / "marks" / f"{_search_version()}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    marks = read_found(file)
    missing = [p for p in there.values() if p.sha256 not in marks]
    with ProcessPoolExecutor(2) as pool, file.open("a", encoding="utf-8") as lines:
        paths = [place(options.originals, picture) for picture in missing]
        for picture, names in zip(missing, pool.map(_stamped, paths, chunksize=8), strict=True):
            marks[picture.sha256] = names
            lines.write(json.dumps({"sha256": picture.sha256, "marks": names}) + "\n")
            lines.flush()
    return {"date": today()} | summarize_false(there.values(), marks)


def _search_version() -> str:
    """Return a digest of the modules that search pixels, and of their templates."""
    files = [ROOT / "causalclip" / "marks" / f"{name}.py" for name in SEARCH] + [TEMPLATES]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def read_found(file: Path) -> dict[str, list[str] | None]:
    """Return the generators whose marks were found, by a picture's SHA-256; None for a picture that
    was refused. A line that a killed run left unfinished is passed over."""
    marks = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        marks[row["sha256"]] = row["marks"]
    return marks


def summarize_false(
    pictures: Iterable[Picture], marks: dict[str, list[str] | None]
) -> dict[str, Any]:
    """Return how many pictures were searched, by split, which bear a mark, how many by mark, and
    what share of all pictures that is at most, with 95 % confidence."""
    pictures = list(pictures)
    readable = [p for p in pictures if marks[p.sha256] is not None]
    bearers = {p.sha256: names for p in readable if (names := marks[p.sha256])}
    return {
        "searched": len(readable),
        "splits": dict(sorted(Counter(p.split for p in readable).items())),
        "owners": len({p.owner for p in readable}),
        "refused": len(pictures) - len(readable),
        "marked": bearers,
        "by mark": {mark: sum(mark in names for names in bearers.values()) for mark in ON_PIXELS},
        "at most": round(upper_bound(len(bearers), len(readable), confidence=0.95), 6),
    }


def _stamped(path: Path) -> list[str] | None:
    """Return the generators whose marks are on a file's pixels; None for a file that is refused."""
    try:
        return [mark.generator for mark in find_marks(load_image(path.read_bytes()).pixels)]
    except ImageError:
        return None
