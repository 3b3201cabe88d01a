"""Many pictures, one after the other: a row each, streamed; a bad file costs its row only; what is done is kept."""

from __future__ import annotations

import csv
import io
import logging
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalclip.examine.examination import Examination, examine
from causalclip.pictures.archives import MAX_PICTURES, ArchiveError, Member, is_zip, read_zip
from causalclip.pictures.formats import ImageError
from causalclip.pictures.loading import read_file
from causalclip.pictures.plaintext import clean

if TYPE_CHECKING:
    from causalclip.detector import Detector

log = logging.getLogger(__name__)

OURS = "Something went wrong here, and that is not the file's fault. Please try again."
COLUMNS = {
    "number": "No.",
    "name": "File",
    "answer": "Answer",
    "score": "Score",
    "survives": "Survives delivery",
    "cautions": "Be careful",
    "claims": "The file says",
    "size": "Pixels",
    "format": "Format",
    "sha256": "SHA-256",
    "problem": "Not examined because",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One picture's line in the table.

    answer: the band, after stability, or "not examined". score: the calibrated probability, None if not examined.
    survives: "yes", or which mild changes flip the answer. problem: a sentence, for a file that was refused.
    """

    number: int
    name: str
    answer: str
    score: float | None = None
    survives: str = ""
    cautions: str = ""
    claims: str = ""
    size: str = ""
    format: str = ""
    sha256: str = ""
    problem: str = ""

    def cells(self) -> list[Any]:
        """In the order of COLUMNS."""
        return list(asdict(self).values())


@dataclass(frozen=True, slots=True)
class Done:
    """A row with what it rests on; without, for a file that was refused."""

    row: Row
    examination: Examination | None


def collect(paths: Iterable[str | Path]) -> Iterator[Member]:
    """(name, bytes or error) of all files, archives opened; beyond MAX_PICTURES there are errors only.

    Raises ArchiveError if there are too many files, or if an only archive cannot be used.
    """
    files = list(paths)
    if len(files) > MAX_PICTURES:
        raise ArchiveError(f"{len(files):,} files are too many; at most {MAX_PICTURES} are examined at once.")
    left = MAX_PICTURES
    for path in files:
        if left <= 0:
            yield clean(Path(path).name, limit=120), ArchiveError(f"{MAX_PICTURES} pictures were there before it.")
            continue
        for member in _members(path, left=left, alone=len(files) == 1):
            left -= 1
            yield member


def _members(path: str | Path, *, left: int, alone: bool) -> Iterator[Member]:
    name = clean(Path(path).name, limit=120)
    try:
        data = read_file(path)
        if not is_zip(data):
            yield name, data
            return
        yield from read_zip(data, limit=left)
    except ArchiveError as error:
        if alone:
            raise
        yield name, error
    except ImageError as error:
        yield name, error


def examine_all(members: Iterable[Member], detector: Detector) -> Iterator[Done]:
    """Examines one file after the other and yields each when it is done; never raises on a file's account."""
    for number, (name, content) in enumerate(members, 1):
        if isinstance(content, ImageError):
            yield Done(Row(number, name, "not examined", problem=str(content)), None)
            continue
        try:
            examination = examine(content, detector, name=name)
        except ImageError as error:
            yield Done(Row(number, name, "not examined", problem=str(error)), None)
        except Exception as error:  # ours, not the file's: said in its row, logged without its name
            log.error("A picture of a batch was not examined: %s", type(error).__name__)
            yield Done(Row(number, name, "not examined", problem=OURS), None)
        else:
            yield Done(row(number, examination), examination)


def row(number: int, x: Examination) -> Row:
    """An examination as a line of the table."""
    return Row(
        number,
        x.name,
        x.band,
        round(x.detection.probability, 4),
        "no: " + ", ".join(x.stability.flips) if x.stability.flips else "yes",
        ", ".join(caution.kind for caution in x.cautions),
        x.provenance.summary(),
        f"{x.width} x {x.height}",
        x.format,
        x.sha256,
    )


def as_csv(rows: Iterable[Row]) -> str:
    """The table as CSV, with a byte order mark so that spreadsheets read it as UTF-8."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(COLUMNS.values())
    for line in rows:
        writer.writerow([_cell(value) for value in line.cells()])
    return "\N{ZERO WIDTH NO-BREAK SPACE}" + file.getvalue()


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula gets an apostrophe before it (OWASP, CSV injection)."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


def zip_reports(path: str | Path, rows: Iterable[Row], reports: Iterable[tuple[str, str]]) -> None:
    """Writes an archive of results.csv and of (file name, text) pairs."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("results.csv", as_csv(rows))
        for name, text in reports:
            archive.writestr(name, text)


def report_stem(number: int, name: str) -> str:
    """A report's file name without its ending: a number, and what is plain of the picture's own name."""
    stem = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in Path(name).stem).strip("-")[:40]
    return f"{number:02d}-{stem or 'picture'}"
