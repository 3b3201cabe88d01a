"""Many pictures: first every one's answer, then whether each survives; a bad file costs its row
only.

What is found is kept by the file's hash, so that a batch that was stopped, or has grown, goes on
where it was.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from causalclip.examination.cautions import SHORT
from causalclip.examination.headline import make_headline
from causalclip.examination.messages import NO_ANSWER
from causalclip.examination.result import (
    HALVED,
    Examination,
    assemble_examination,
    look_closer,
    read_claims,
    with_hints,
)
from causalclip.images.formats import ImageError, clean
from causalclip.images.loading import LoadedImage, load_image, read_file
from causalclip.images.zips import MAX_PICTURES, Member, ZipError, count_zip, is_zip, read_zip
from causalclip.languages import N_, _, ended, in_turn, number

if TYPE_CHECKING:
    from causalclip.detector import Detection, Detector
    from causalclip.examination.cautions import Caution
    from causalclip.provenance.reading import Provenance

log = logging.getLogger(__name__)

CHECKING, UNCHECKED = N_("Being checked"), N_("Not checked")
NOTHING = N_("Nothing to check")  # of a picture that got no answer
NOT_EXAMINED = N_("Not examined")
READ_AT_HALF = N_("it was read at half its size")
OURS = N_("Something went wrong here, and that is not the file's fault. Please try again.")
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
    "kind": N_("Kind of picture"),
    "claims": N_("The file says"),
    "marks": N_("Marks"),
    "size": N_("Pixels"),
    "format": N_("Format"),
    "sha256": "SHA-256",
    "problem": N_("Not examined because"),
}


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One picture's line in the table. Its sentences are in the language of who asked, its keys in
    English.

    answer: a key, the headline from all evidence, or NOT_EXAMINED. band: a key, the pixels' own
    answer, after stability. score: the calibrated probability, None if not examined or not
    answered. survives: Stability.words; the key CHECKING until that is known, and UNCHECKED for
    good if the batch was stopped then. copies: how many of the re-saved ones keep the answer,
    "7/8"; "" until that is known. cautions: keys, of causalclip.examination.cautions.
    claims: a sentence, empty for a file without metadata. marks: whose they are, and which. marked:
    whether any is more than a hint. problem: a sentence, for a file that was refused. halved:
    whether the picture was judged at half its size. measured_as: as of its detection, for how often
    such answers are wrong.
    """

    number: int
    name: str
    answer: str
    score: float | None = None
    band: str = ""
    survives: str = ""
    cautions: str = ""
    kind: str = ""
    claims: str = ""
    marks: str = ""
    size: str = ""
    format: str = ""
    sha256: str = ""
    problem: str = ""
    halved: bool = False
    measured_as: str | None = None
    marked: bool = False
    copies: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """The file that it is of, by hash and name: equal bytes may come under two names, and each
        row says its own."""
        return self.sha256, self.name

    @property
    def beside(self) -> str:
        """What stands beside the answer: why it was not examined, or what the pixels say where that
        is not the answer, the kind of picture where they got none, and what the file says."""
        own = _("By the pixels: {answer}.", answer=_(self.band))
        kind = f"{_(COLUMNS['kind'])}: {ended(_(self.kind))}"
        judged = (
            ""
            if self.band in ("", self.answer.lower())
            else kind
            if self.band == NO_ANSWER
            else own
        )
        return " ".join(filter(None, (self.problem, judged, self.claims)))

    @property
    def careful(self) -> str:
        """What to be careful about, a short sentence each."""
        short = [SHORT[kind] for kind in filter(None, self.cautions.split(", "))]
        return " ".join(map(_, [*short, *([HALVED] if self.halved else [])]))

    def said(self) -> dict[str, Any]:
        """By the names of COLUMNS, its keys in the reader's language."""
        keys = {name: _(getattr(self, name)) for name in ("answer", "band", "survives", "kind")}
        plain = {name: getattr(self, name) for name in COLUMNS}
        cautions = [
            *filter(None, self.cautions.split(", ")),
            *([READ_AT_HALF] if self.halved else []),
        ]
        return plain | keys | {"cautions": in_turn(map(_, cautions))}


@dataclass(frozen=True, slots=True)
class EarlyAnswer:
    """What is known of a picture between its answer and the check whether it survives."""

    provenance: Provenance
    cautions: tuple[Caution, ...]
    detection: Detection


@dataclass(frozen=True, slots=True)
class RowUpdate:
    """A row with what it rests on.

    examination: None for a file that was refused, and for a row whose stability is still being
    checked: the same row comes again with it. pixels: of the picture, uint8 RGB [H, W, 3]; None for
    a file that was refused, and for one that was known already.
    """

    row: BatchRow
    examination: Examination | None = None
    pixels: np.ndarray | None = None


def collect(paths: Iterable[str | Path]) -> Iterator[Member]:
    """(name, bytes or error) of all files, archives opened; beyond MAX_PICTURES there are errors
    only.

    Raises ZipError if there are too many files, or if an only archive cannot be used.
    """
    files = list(paths)
    if len(files) > MAX_PICTURES:
        said = N_("{count} files are too many; at most {limit} are examined at once.")
        raise ZipError(_(said, count=number(len(files)), limit=MAX_PICTURES))
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
    """How many rows `collect` will give, to say how far it is; archives are looked into, and
    nothing is unpacked."""
    return sum(_count(path) for path in paths)


def _count(path: str | Path) -> int:
    try:
        data = read_file(path)
    except ImageError:
        return 1
    return max(1, count_zip(data)) if is_zip(data) else 1


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


def examine_all(
    read: Callable[[], Iterable[Member]],
    detector: Detector,
    folder: Path | None = None,
    finished: Mapping[tuple[str, str], BatchRow] | None = None,
) -> Iterator[RowUpdate]:
    """Examines all files; never raises on a file's account.

    Yields each row twice: when there is an answer, and, once all have theirs, when its stability is
    known; a refused file's and a finished one's once.

    Args:
        read: gives all members, each time it is called; it is called twice.
        folder: keeps answers on disk, as their arrays are large, so that no picture is judged
            twice. Nobody else may write to it: they are pickled.
        finished: rows of an earlier run that will not change, by `BatchRow.key`.
    """
    run = _Run(detector, folder, finished or {})
    left = set()
    for place, (name, content) in enumerate(read(), 1):
        update = _guarded(run.answer, place, clean(name, limit=120), content)
        if update.row.survives == CHECKING:
            left.add(place)
        yield update
    for place, (name, content) in enumerate(read(), 1):
        if place in left:
            yield _guarded(run.check, place, clean(name, limit=120), content)


def _guarded(
    look: Callable[[int, str, bytes], RowUpdate],
    number: int,
    name: str,
    content: bytes | ImageError,
) -> RowUpdate:
    try:
        if isinstance(content, ImageError):
            raise content
        return look(number, name, content)
    except ImageError as error:
        return RowUpdate(BatchRow(number, name, NOT_EXAMINED, problem=str(error)))
    except Exception as error:  # ours, not the file's: said in its row, logged without its name
        log.error("A picture of a batch was not examined: %s", type(error).__name__)
        return RowUpdate(BatchRow(number, name, NOT_EXAMINED, problem=_(OURS)))


@dataclass(frozen=True, slots=True)
class _Run:
    """Both looks at a picture."""

    detector: Detector
    folder: Path | None
    finished: Mapping[tuple[str, str], BatchRow]

    def answer(self, number: int, name: str, content: bytes) -> RowUpdate:
        """The first look: its answer."""
        sha256 = hashlib.sha256(content).hexdigest()
        if (sha256, name) in self.finished:
            return RowUpdate(replace(self.finished[sha256, name], number=number))
        loaded = load_image(content)
        return RowUpdate(
            _row(number, name, loaded, self._early(content, loaded)), pixels=loaded.pixels
        )

    def check(self, number: int, name: str, content: bytes) -> RowUpdate:
        """The second look: the same row with its stability."""
        loaded = load_image(content)
        early = self._early(content, loaded)
        x = assemble_examination(
            self.detector, loaded, early.provenance, early.cautions, early.detection, name=name
        )
        checked = (
            x.stability.words if x.stability else NOTHING if x.band == NO_ANSWER else UNCHECKED
        )
        row = _row(number, name, loaded, early)
        s = x.stability
        copies = f"{len(s.rows) - s.changed}/{len(s.rows)}" if s else ""
        row = replace(row, answer=x.headline.title, band=x.band, survives=checked, copies=copies)
        return RowUpdate(row, x, loaded.pixels)

    def _early(self, content: bytes, loaded: LoadedImage) -> EarlyAnswer:
        if self.folder and (kept := early_answer(self.folder, loaded.sha256)):
            return kept
        found = EarlyAnswer(
            *look_closer(loaded, read_claims(content)), self.detector.predict(loaded.pixels)
        )
        if self.folder:
            # the folder went with its page; the detector ends the run
            with suppress(FileNotFoundError):
                (self.folder / f"{loaded.sha256}.answer").write_bytes(pickle.dumps(found))
        return found


def early_answer(folder: Path, sha256: str) -> EarlyAnswer | None:
    """What `examine_all` has kept in its folder of a picture; None where there is nothing."""
    path = folder / f"{sha256}.answer"
    if not path.is_file():
        return None
    kept: EarlyAnswer = pickle.loads(path.read_bytes())
    return kept


def _row(number: int, name: str, loaded: LoadedImage, found: EarlyAnswer) -> BatchRow:
    provenance = with_hints(found.provenance, loaded, name)
    headline = make_headline(provenance, found.detection.band)
    return BatchRow(
        number,
        name,
        headline.title,
        None if found.detection.band == NO_ANSWER else round(found.detection.probability, 4),
        found.detection.band,
        CHECKING,
        CHECKING,
        ", ".join(caution.kind for caution in found.cautions),
        found.detection.kind,
        headline.proved
        if headline.source == "signature"
        else ""
        if provenance.silent
        else provenance.summary(),
        ", ".join(provenance.mark_names),
        f"{loaded.width} x {loaded.height}",
        loaded.format,
        loaded.sha256,
        halved=loaded.halved,
        measured_as=found.detection.measured_as,
        marked=bool(provenance.claimed_marks or provenance.proof),
    )


def as_csv(rows: Iterable[BatchRow]) -> str:
    """The table as CSV in the reader's language, with a byte order mark so that spreadsheets read
    it as UTF-8."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(map(_, COLUMNS.values()))
    for line in rows:
        writer.writerow([_cell(value) for value in line.said().values()])
    return "\N{ZERO WIDTH NO-BREAK SPACE}" + file.getvalue()


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula gets an apostrophe before it (OWASP, CSV
    injection).

    Also where a cell would begin in the many languages whose spreadsheets separate by semicolons.
    """
    return _RUNS.sub("'", value) if isinstance(value, str) else value


def zip_reports(
    path: str | Path, rows: Iterable[BatchRow], reports: Iterable[tuple[str, str]]
) -> None:
    """Writes an archive of results.csv and of (file name, text) pairs."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("results.csv", as_csv(rows))
        for name, text in reports:
            archive.writestr(name, text)


def report_stem(number: int, name: str) -> str:
    """A report's file name without its ending: a number, and what is plain of the picture's own
    name."""
    stem = "".join(
        c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in Path(name).stem
    ).strip("-")[:40]
    return f"{number:03d}-{stem or 'picture'}"
