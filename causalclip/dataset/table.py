"""The table of the data set: a row a picture, by reference to a file of a public repository. No picture is in it."""

import csv
import gzip
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

PICTURES = Path("data/pictures.csv.gz")
SPLITS = ("train", "test", "aside")  # aside: neither trained on nor tested, as its owner has pictures of a test set
LABELS = ("real", "fake")
KINDS = ("photo", "drawing", "rendering", "screenshot", "meme", "scan", "chart", "collage", "screen-photo")
HARD = ("portrait", "product", "interior", "hdr", "night", "portrait-mode", "drone", "macro", "food", "film", "press")
REAL_BY = ("exif", "c2pa", "date", "owner", "stock", "collection", "stated")
FORMATS = ("JPEG", "PNG", "WEBP", "MPO", "GIF", "AVIF", "TIFF", "HEIF")
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
_SET = re.compile(r"[a-z0-9]+")
_BOX = re.compile(r"\d+,\d+,\d+,\d+")


class BadTable(ValueError):
    """A table cannot be used; the message says which row, and why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture by reference: file `path` of repository `repo` at `commit`, which has this `sha256`.

    set: what it is asked for (broad, alike, fresh, edits, sites, edits2, kinds). site: its owner, in lower case. label:
    real or fake. kind: photo, or what else it is. hard: what makes a real one look generated (portrait, hdr, night and
    so on), where that was noted. generator: as its owner or the file states it; empty for real ones. series: diffusion,
    gan and so on. family: generators that share a backbone, a collection, or a site. real_by: how it is known to be
    real: `exif` or `c2pa` (of a camera), `date` (before mid-2022), `owner` (his own photograph), `stock` (a library of
    photographs), `collection` (a published one) or `stated` (the site's label alone). evidence: for the label, in
    words. width and height: pixels of the file as it is stored. crop: "x0,y0,x1,y1", the only part to be used. grid:
    "2x2", a sheet of that many pictures. phash: 64 bits in hexadecimal, empty until the picture was seen. pair: the
    same for a picture and its edits. pasted: of an edit, "yes" if the rest kept its own pixels, "no" if all was made
    anew, empty if that is not known.
    """

    set: str
    split: str
    site: str
    label: str
    kind: str
    hard: str
    generator: str
    series: str
    family: str
    real_by: str
    evidence: str
    repo: str
    commit: str
    path: str
    licence: str
    width: int
    height: int
    format: str
    crop: str
    grid: str
    sha256: str
    phash: str
    pair: str
    pasted: str
    notes: str

    @property
    def owner(self) -> str:
        """Whose repository it is, in lower case: what no two splits share."""
        return self.repo.partition("/")[0].lower()

    @property
    def order(self) -> tuple[str, ...]:
        """Where it stands in the table."""
        return (self.set, self.split, self.site, self.label, self.repo.lower(), self.path, self.sha256)

    def faults(self) -> list[str]:
        """What is wrong with it, in words; nothing for a row that can be used."""
        wrong = {
            "set": not _SET.fullmatch(self.set),
            "split": self.split not in SPLITS,
            "site": self.site != self.owner,
            "label": self.label not in LABELS,
            "kind": self.kind not in KINDS,
            "hard": self.hard not in ("", *HARD),
            "generator": self.label == "real" and bool(self.generator),
            "real_by": self.real_by not in (REAL_BY if self.label == "real" else ("",)),
            "evidence": not self.evidence.strip(),
            "repo": not _REPO.fullmatch(self.repo),
            "commit": not _is_hex(self.commit, 40),
            "path": not is_safe(self.path),
            "licence": not self.licence.strip(),
            "width": self.width < 1,
            "height": self.height < 1,
            "format": self.format not in FORMATS,
            "crop": bool(self.crop) and not _BOX.fullmatch(self.crop),
            "grid": bool(self.grid) and not re.fullmatch(r"[1-9]x[1-9]", self.grid),
            "sha256": not _is_hex(self.sha256, 64),
            "phash": bool(self.phash) and not _is_hex(self.phash, 16),
            "pasted": self.pasted not in ("", "yes", "no") or (bool(self.pasted) and self.label == "real"),
        }
        return [f"{name} is {getattr(self, name)!r}" for name, bad in wrong.items() if bad]


COLUMNS = tuple(f.name for f in fields(Picture))


def is_safe(path: str) -> bool:
    """Whether a path names a file inside its repository: relative, no `..`, no control characters."""
    parts = path.split("/")
    return path.isprintable() and all(p not in ("", ".", "..") and p.lower() != ".git" for p in parts)


def read_table(path: str | Path = PICTURES) -> list[Picture]:
    """The rows of a table, gzipped or not.

    Raises:
        BadTable: it is no such table, a column is missing or not known, or a row has a fault.
    """
    with _open(Path(path)) as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            odd = sorted(set(COLUMNS) ^ set(reader.fieldnames or ()))
            raise BadTable(f"{Path(path).name} needs the columns {', '.join(COLUMNS)}, in this order; odd: {odd}.")
        return [as_picture(row, line) for line, row in enumerate(reader, 2)]


def as_picture(row: Mapping[str, Any], line: int) -> Picture:
    """A row of text as a picture; raises BadTable with its line and its faults."""
    values = {name: row.get(name) for name in COLUMNS}
    if None in values.values() or None in row:
        raise BadTable(f"Line {line} has not as many fields as there are columns.")
    try:
        picture = Picture(**{**values, "width": int(values["width"]), "height": int(values["height"])})  # type: ignore
    except ValueError:
        raise BadTable(f"Line {line}: width and height must be whole numbers of pixels.") from None
    if faults := picture.faults():
        raise BadTable(f"Line {line} ({picture.repo}: {picture.path}): {'; '.join(faults)}.")
    return picture


def write_table(pictures: Iterable[Picture], path: str | Path = PICTURES) -> None:
    """Write rows in the table's order, gzipped the same way each time: equal rows make equal bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for picture in sorted(pictures, key=lambda p: p.order):
        if faults := picture.faults():
            raise BadTable(f"{picture.repo}: {picture.path}: {'; '.join(faults)}.")
        writer.writerow([getattr(picture, name) for name in COLUMNS])
    Path(path).write_bytes(gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0))


def _open(path: Path) -> io.StringIO:
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        return io.StringIO(data.decode("utf-8-sig"), newline="")
    except FileNotFoundError:
        raise BadTable(f"There is no table {path}. Run this in the project's folder, or name the table.") from None
    except (OSError, EOFError, UnicodeDecodeError):
        raise BadTable(f"{path.name} is not a CSV table in UTF-8, gzipped or not.") from None


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and not set(text) - set("0123456789abcdef")


def by_owner(pictures: Iterable[Picture]) -> Iterator[tuple[str, list[Picture]]]:
    """Owners in alphabetical order, each with its pictures."""
    owners: dict[str, list[Picture]] = {}
    for picture in pictures:
        owners.setdefault(picture.owner, []).append(picture)
    yield from sorted(owners.items())
