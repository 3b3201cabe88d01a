"""The data set by reference: a row a picture of a public repository, and a row an owner. No picture
is in it."""

import csv
import gzip
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

PICTURES = Path("training/tables/pictures.csv.gz")
SITES = Path("training/tables/sites.csv")
# aside: neither trained on nor tested, as its owner has pictures of a test set
SPLITS = ("train", "test", "aside")
LABELS = ("real", "fake")
PICTURE_TYPES = (
    "photo",
    "drawing",
    "rendering",
    "screenshot",
    "meme",
    "scan",
    "chart",
    "collage",
    "screen-photo",
)
HARD = (
    "portrait",
    "product",
    "interior",
    "hdr",
    "night",
    "portrait-mode",
    "drone",
    "macro",
    "food",
    "film",
    "press",
)
REAL_BY = ("exif", "c2pa", "date", "owner", "stock", "collection", "stated")
FORMATS = ("JPEG", "PNG", "WEBP", "MPO", "GIF", "AVIF", "TIFF", "HEIF")
ENDINGS = dict(
    zip(FORMATS, ("jpg", "png", "webp", "jpg", "gif", "avif", "tif", "heic"), strict=True)
)
PATTERNS = {  # what a field must match as a whole
    "set": r"[a-z0-9]+",
    "split": "|".join(SPLITS),
    "label": "|".join(LABELS),
    "kind": "|".join(PICTURE_TYPES),
    "hard": "|".join(("", *HARD)),
    "evidence": r".*\S.*",
    "repo": r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+",
    "commit": r"[0-9a-f]{40}",
    "licence": r".*\S.*",
    "format": "|".join(FORMATS),
    "crop": r"(\d+,\d+,\d+,\d+)?",
    "grid": r"([1-9]x[1-9])?",
    "sha256": r"[0-9a-f]{64}",
    "phash": r"([0-9a-f]{16})?",
}


class BadTable(ValueError):
    """A table cannot be used; the message says which row, and why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture by reference: file `path` of repository `repo` at `commit`, which has this
    `sha256`.

    set: what it is asked for (broad, alike, fresh, edits, sites, edits2, kinds). site: its owner,
    in lower case. label: real or fake. kind: photo, or what else it is. hard: what makes a real one
    look generated (portrait, hdr, night and so on), where that was noted. generator: as its owner
    or the file states it; empty for real ones. series: diffusion, gan and so on. family: generators
    that share a backbone, a collection, or a site. real_by: how it is known to be
    real: `exif` or `c2pa` (of a camera), `date` (before mid-2022), `owner` (his own photograph),
    `stock` (a library of photographs), `collection` (a published one) or `stated` (the site's label
    alone). evidence: for the label, in words. width and height: pixels of the file as it is stored.
    crop: "x0,y0,x1,y1", the only part to be used. grid: "2x2", a sheet of that many pictures.
    phash: 64 bits in hexadecimal, empty until the picture was seen. pair: the same for a picture
    and its edits. pasted: of an edit, "yes" if the rest kept its own pixels, "no" if all was made
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
        return (
            self.set,
            self.split,
            self.site,
            self.label,
            self.repo.lower(),
            self.path,
            self.sha256,
        )

    def faults(self) -> list[str]:
        """Return what is wrong with it, in words; nothing for a row that can be used."""
        wrong = {
            name: not re.fullmatch(pattern, getattr(self, name), re.DOTALL)
            for name, pattern in PATTERNS.items()
        }
        real = self.label == "real"
        wrong |= {
            "site": self.site != self.owner,
            "generator": real and bool(self.generator),
            "real_by": self.real_by not in (REAL_BY if real else ("",)),
            "path": not _is_safe(self.path),
            "width": self.width < 1,
            "height": self.height < 1,
            "pasted": self.pasted not in (("",) if real else ("", "yes", "no")),
        }
        return [f"{name} is {getattr(self, name)!r}" for name, bad in wrong.items() if bad]


@dataclass(frozen=True, slots=True)
class Site:
    """An owner of pictures.

    kind: both (classes), real, generated, edits (pairs), or kinds (of pictures that are no
    photographs). classes: how many of each. shown: what is shown, in words of who looked; empty
    where nobody wrote it down. evidence: the commonest in its rows. split: the one of all its
    pictures, or "test+aside" where it has pictures that are not used.
    """

    owner: str
    kind: str
    classes: str
    shown: str
    generators: str
    evidence: str
    remarks: str
    split: str


COLUMNS = tuple(f.name for f in fields(Picture))
SITE_COLUMNS = tuple(f.name for f in fields(Site))


def _is_safe(path: str) -> bool:
    """Return whether a path names a file inside its repository: relative, no `..`, no control
    characters."""
    parts = path.split("/")
    return path.isprintable() and all(
        p not in ("", ".", "..") and p.lower() != ".git" for p in parts
    )


class Reference(Protocol):
    """What is needed to bring a file: `path` of repository `repo` at `commit`, which has this
    `sha256`."""

    @property
    def repo(self) -> str: ...
    @property
    def commit(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def order(self) -> tuple[str, ...]: ...


def place(out: Path, picture: Reference) -> Path:
    """Return where the original of a picture is kept: its name is its hash, and nothing of the
    repository's is in it."""
    return (
        out
        / picture.sha256[:2]
        / f"{picture.sha256}.{ENDINGS.get(picture.format, picture.format.lower())}"
    )


def by_owner(pictures: Iterable[Picture]) -> Iterator[tuple[str, list[Picture]]]:
    """Return owners in alphabetical order, each with its pictures."""
    owners: dict[str, list[Picture]] = {}
    for picture in pictures:
        owners.setdefault(picture.owner, []).append(picture)
    yield from sorted(owners.items())


def read_table(path: str | Path = PICTURES) -> list[Picture]:
    """The rows of a table, gzipped or not.

    Raises:
        BadTable: it is no such table, a column is missing or not known, or a row has a fault.
    """
    return [_as_picture(row, line) for line, row in enumerate(_read(Path(path), COLUMNS), 2)]


def _as_picture(row: Mapping[str, Any], line: int) -> Picture:
    """A row of text as a picture; raises BadTable with its line and its faults."""
    values = {name: row[name] for name in COLUMNS}
    try:
        picture = Picture(
            **{**values, "width": int(values["width"]), "height": int(values["height"])}
        )
    except ValueError:
        raise BadTable(f"Line {line}: width and height must be whole numbers of pixels.") from None
    if faults := picture.faults():
        raise BadTable(f"Line {line} ({picture.repo}: {picture.path}): {'; '.join(faults)}.")
    return picture


def write_table(pictures: Iterable[Picture], path: str | Path = PICTURES) -> None:
    """Write rows in the table's order, gzipped the same way each time: equal rows make equal
    bytes."""
    rows = sorted(pictures, key=lambda p: p.order)
    for picture in rows:
        if faults := picture.faults():
            raise BadTable(f"{picture.repo}: {picture.path}: {'; '.join(faults)}.")
    data = gzip.compress(as_csv(map(asdict, rows), COLUMNS).encode(), compresslevel=9, mtime=0)
    Path(path).write_bytes(data)


def read_sites(path: str | Path = SITES) -> list[Site]:
    """The rows of a table of owners; raises BadTable where it is none."""
    return [Site(**row) for row in _read(Path(path), SITE_COLUMNS)]


def write_sites(sites: Iterable[Site], path: str | Path = SITES) -> None:
    """Write the rows in alphabetical order of their owners."""
    text = as_csv(map(asdict, sorted(sites, key=lambda s: s.owner)), SITE_COLUMNS)
    Path(path).write_bytes(text.encode())


def as_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return some columns of rows as CSV; what a row lacks is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _read(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8-sig")
    except FileNotFoundError:
        raise BadTable(
            f"There is no table {path}. Run this in the project's folder, or name the table."
        ) from None
    except (OSError, EOFError, UnicodeDecodeError):
        raise BadTable(f"{path.name} is not a CSV table in UTF-8, gzipped or not.") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if tuple(reader.fieldnames or ()) != tuple(columns):
        odd = sorted(set(columns) ^ set(reader.fieldnames or ()))
        raise BadTable(
            f"{path.name} needs the columns {', '.join(columns)}, in this order; odd: {odd}."
        )
    rows = list(reader)
    for line, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise BadTable(
                f"Line {line} of {path.name} has not as many fields as there are columns."
            )
    return rows
