"""Many pictures: first every one's answer, then whether each survives; a bad file costs its row
only.

Rows are known by the file's hash, so that a batch that was stopped, or has grown, goes on where it
was.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causalclip.examination.answer import Origin
from causalclip.examination.cautions import SHORT
from causalclip.examination.messages import NO_ANSWER
from causalclip.examination.result import HALVED, NotJudged, Stage
from causalclip.examination.stages import examine_file
from causalclip.images.formats import ImageError
from causalclip.images.loading import read_file
from causalclip.images.zips import MAX_PICTURES, Member, ZipError, count_zip, is_zip, read_zip
from causalclip.languages import N_, _, ended, in_turn, number, paragraph
from causalclip.text import clean

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.examination.result import Examination
    from causalclip.examination.stability import Dot

log = logging.getLogger(__name__)

CHECKING, UNCHECKED = N_("Being checked"), N_("Not checked")
NOTHING_TO_CHECK = N_("Nothing to check")  # of a picture that got no answer
NO_SENTENCE = (CHECKING, UNCHECKED, NOTHING_TO_CHECK)
READ_AT_HALF = N_("it was read at half its size")
OUR_FAULT = N_("Something went wrong here, and that is not the file's fault. Please try again.")
# all that NFKC reads as one of the first four, as some spreadsheets do
_SIGNS = "=+\\-@⁺⁼₊₌﬩﹢﹣﹦﹫＋－＝＠"
_RUNS = re.compile(rf"^(?=[\t\r]|[\s\"]*[{_SIGNS}])|(?<=[;\t\r\n])(?=[\s\"]*[{_SIGNS}])")
COLUMNS = {
    "number": N_("No."),
    "name": N_("File"),
    "answer": N_("Answer"),
    "score": N_("Score"),
    "band": N_("By the pixels"),
    "survives": N_("Survives re-encoding"),
    "cautions": N_("Be careful"),
    "image_type": N_("Kind of picture"),
    "claims": N_("The file says"),
    "marks": N_("Marks"),
    "size": N_("Pixels"),
    "format": N_("Format"),
    "sha256": "SHA-256",
    "problem": N_("Not examined because"),
}


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One picture's line in the table.

    Its sentences are in the language of who asked, its keys in English.

    Attributes:
        number: of the row, from 1.
        name: of the file.
        origin: of the headline from all evidence.
        score: the calibrated probability, None if not examined or not answered.
        band: a key, the pixels' own answer, after stability.
        survives: Stability.sentence; the key CHECKING until that is known, UNCHECKED for good if
            the batch ended before, and NOTHING_TO_CHECK of a picture without an answer.
        cautions: keys, of causalclip.examination.cautions.
        image_type: a key.
        claims: a sentence, empty for a file without metadata.
        marks: whose they are, which, and the words that were read.
        size, format, sha256: of the file.
        problem: a sentence, for a file that was refused.
        halved: whether the picture was judged at half its size.
        measured_as: as of its detection, for how often such answers are wrong.
        marked: whether any mark is more than a hint.
        dots: the picture and its copies with their answers; none until they are judged.
        steadiness: Stability.words; "" until that is known.
        whose: who signed, or whose mark the answer rests on; "" for nobody.
    """

    number: int
    name: str
    origin: Origin
    score: float | None = None
    band: str = ""
    survives: str = ""
    cautions: str = ""
    image_type: str = ""
    claims: str = ""
    marks: str = ""
    size: str = ""
    format: str = ""
    sha256: str = ""
    problem: str = ""
    halved: bool = False
    measured_as: str | None = None
    marked: bool = False
    dots: tuple[Dot, ...] = ()
    steadiness: str = ""
    whose: str = ""

    @property
    def named_answer(self) -> str:
        """The answer in the reader's language, with the name of who signed or whose mark it is."""
        return self.origin.named(self.whose)

    @property
    def key(self) -> tuple[str, str]:
        """The file that it is of, by hash and name: equal bytes may come under two names, and each
        row says its own."""
        return self.sha256, self.name

    @property
    def beside(self) -> str:
        """Return what stands beside the answer: why it was not examined, or what the pixels say
        where that is not the answer, the kind of picture where they got none, and what the file
        says."""
        if self.band == NO_ANSWER:
            by_pixels = f"{_(COLUMNS['image_type'])}: {ended(_(self.image_type))}"
        elif self.band in ("", self.origin.answer.brief):
            by_pixels = ""
        else:
            by_pixels = _("By the pixels: {answer}.", answer=_(self.band))
        return paragraph(self.problem, by_pixels, self.claims)

    @property
    def careful(self) -> str:
        """The cautions, a short sentence each."""
        short = [SHORT[kind] for kind in filter(None, self.cautions.split(", "))]
        return paragraph(*map(_, [*short, *([HALVED] if self.halved else [])]))

    def cells(self) -> dict[str, Any]:
        """Return the row by the names of COLUMNS, its keys in the reader's language."""
        keys = {name: _(getattr(self, name)) for name in ("band", "survives", "image_type")}
        keys["answer"] = self.named_answer
        plain = {name: getattr(self, name) for name in COLUMNS if name != "answer"}
        cautions = [
            *filter(None, self.cautions.split(", ")),
            *([READ_AT_HALF] if self.halved else []),
        ]
        cells = plain | keys | {"cautions": in_turn(map(_, cautions))}
        return {name: cells[name] for name in COLUMNS}


@dataclass(frozen=True, slots=True)
class RowUpdate:
    """A row with what it rests on.

    Attributes:
        row: of the table.
        examination: up to its verdict or, where the row is final, whole; what its file says where
            the pixels were refused. None for what is no picture, and for what was known already.
    """

    row: BatchRow
    examination: Examination | None = None


def collect(paths: Iterable[str | Path]) -> Iterator[Member]:
    """Yield (name, bytes or error) of all files, archives opened; beyond MAX_PICTURES there are
    errors only.

    Raises ZipError if there are too many files, or if an only archive cannot be used.
    """
    files = list(paths)
    if len(files) > MAX_PICTURES:
        raise ZipError(
            _(
                "{count} files are too many; at most {limit} are examined at once.",
                count=number(len(files)),
                limit=MAX_PICTURES,
            )
        )
    left = MAX_PICTURES
    for path in files:
        if left <= 0:
            full = _("{limit} pictures were there before it.", limit=MAX_PICTURES)
            yield clean(Path(path).name, limit=120), ZipError(full)
            continue
        for member in _members(path, left=left, alone=len(files) == 1):
            left -= 1
            yield member


def count(paths: Iterable[str | Path]) -> int:
    """Return how many rows `collect` will give, to say how far it is; archives are looked into, and
    nothing is unpacked. What fails counts as the one row that says so."""
    return sum(_count(path) for path in paths)


def _count(path: str | Path) -> int:
    try:
        data = read_file(path)
        return max(1, count_zip(data)) if is_zip(data) else 1
    except Exception:
        return 1


def _members(path: str | Path, *, left: int, alone: bool) -> Iterator[Member]:
    name = clean(Path(path).name, limit=120)
    try:
        data = read_file(path)
        if not is_zip(data):
            yield name, data
            return
        yield from read_zip(data, limit=left)
    except ZipError as error:
        if alone:
            raise
        yield name, error
    except ImageError as error:
        yield name, error
    except Exception as error:  # ours, such as a sandbox that does not run: it costs its row only
        log.error("A file of a batch was not read: %s", type(error).__name__)
        yield name, ImageError(_(OUR_FAULT))


def examine_all(
    read: Callable[[], Iterable[Member]],
    detector: Detector,
    finished: Mapping[tuple[str, str], BatchRow] | None = None,
) -> Iterator[RowUpdate]:
    """Examine all files; never raise on a file's account.

    Yields each row twice: with its verdict and, once all have theirs, with its stability, those
    that are likely generated first. A refused file's, a finished one's, one without an answer, and
    one that could not be read again come once.

    Args:
        read: gives all members, each time it is called; it is called three times at most.
        detector: judges them.
        finished: rows of an earlier run that will not change, by `BatchRow.key`.
    """
    known: Mapping[tuple[str, str], BatchRow] = finished or {}
    suspicious: dict[tuple[str, str], list[int]] = {}  # by `BatchRow.key`: the rows to check
    others: dict[tuple[str, str], list[int]] = {}
    for place, (name, content) in enumerate(_plain(read()), 1):
        update = _examine_row(place, name, content, detector, known, Stage.VERDICT)
        if update.row.survives == CHECKING:
            unchecked = suspicious if update.row.band == "likely generated" else others
            unchecked.setdefault(_key(name, content), []).append(place)
        yield update
    # by what they are, not by their place: an archive may now give fewer than at first
    for unchecked in filter(None, (suspicious, others)):
        for name, content in _plain(read()):
            if places := unchecked.get(_key(name, content)):
                update = _examine_row(places.pop(0), name, content, detector, {}, Stage.DONE)
                if not update.row.problem:  # else its verdict stays
                    yield update


def _plain(members: Iterable[Member]) -> Iterator[Member]:
    """Yield the members, each with its name as it is shown."""
    for name, content in members:
        yield clean(name, limit=120), content


def _key(name: str, content: bytes | ImageError) -> tuple[str, str]:
    """Return a member's `BatchRow.key`; no row that is being checked has that of a refused one."""
    return "" if isinstance(content, ImageError) else hashlib.sha256(content).hexdigest(), name


def _examine_row(
    number: int,
    name: str,
    content: bytes | ImageError,
    detector: Detector,
    known: Mapping[tuple[str, str], BatchRow],
    until: Stage,
) -> RowUpdate:
    try:
        if isinstance(content, ImageError):
            raise content
        if (key := _key(name, content)) in known:
            return RowUpdate(replace(known[key], number=number))
        examination = examine_file(content, detector, until=until, name=name)
        return RowUpdate(row_of(number, examination), examination)
    except NotJudged as error:
        return RowUpdate(claims_row(number, error.examination), error.examination)
    except ImageError as error:
        return RowUpdate(BatchRow(number, name, Origin.NOT_EXAMINED, problem=str(error)))
    except Exception as error:  # ours, not the file's: said in its row, logged without its name
        log.error("A picture of a batch was not examined: %s", type(error).__name__)
        return RowUpdate(BatchRow(number, name, Origin.NOT_EXAMINED, problem=_(OUR_FAULT)))


def row_of(number: int, x: Examination) -> BatchRow:
    """Return the table's row for an examination, at VERDICT or DONE."""
    detection, has_answer = x.detection, x.band != NO_ANSWER
    survives = CHECKING if has_answer else NOTHING_TO_CHECK
    return replace(
        claims_row(number, x),
        score=round(detection.probability, 4) if has_answer else None,
        band=x.band,
        survives=x.stability.sentence if x.stability else survives,
        cautions=", ".join(caution.kind for caution in x.cautions),
        image_type=detection.image_type,
        size=f"{x.width} x {x.height}",
        halved=x.halved,
        measured_as=detection.measured_as,
        dots=x.dots if x.stability else (),
        steadiness=x.stability.words if x.stability else "",
    )


def claims_row(number: int, x: Examination) -> BatchRow:
    """Return the table's row with what is known of a picture without its pixels' answer."""
    provenance, headline = x.provenance, x.headline
    if headline.source == "signature":
        claims = headline.proved
    else:
        claims = "" if provenance.silent else provenance.summary
    return BatchRow(
        number=number,
        name=x.name,
        origin=headline.origin,
        claims=claims,
        marks="; ".join(provenance.mark_words),
        format=x.format,
        sha256=x.sha256,
        problem=x.problem,
        marked=bool(provenance.claimed_marks or provenance.proof),
        whose=headline.name,
    )


def as_csv(rows: Iterable[BatchRow]) -> str:
    """Return the table as CSV in the reader's language, with a byte order mark so that spreadsheets
    read it as UTF-8."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(map(_, COLUMNS.values()))
    for line in rows:
        writer.writerow([_cell(value) for value in line.cells().values()])
    return "\N{ZERO WIDTH NO-BREAK SPACE}" + file.getvalue()


def _cell(value: Any) -> Any:
    """Return a cell's value; text that a spreadsheet would run as a formula gets an apostrophe
    before it (OWASP, CSV injection).

    Also where a cell would begin in the many languages whose spreadsheets separate by semicolons.
    """
    return _RUNS.sub("'", value) if isinstance(value, str) else value


def zip_reports(
    path: str | Path, rows: Iterable[BatchRow], reports: Iterable[tuple[str, str]]
) -> None:
    """Write an archive of results.csv and of (file name, text) pairs."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("results.csv", as_csv(rows))
        for name, text in reports:
            archive.writestr(name, text)


def report_stem(number: int, name: str) -> str:
    """Return a report's file name without its ending: a number, and what is plain of the picture's
    own name."""
    stem = "".join(
        c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in Path(name).stem
    ).strip("-")[:40]
    return f"{number:03d}-{stem or 'picture'}"
