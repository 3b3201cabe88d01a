"""What a session's batch has so far: little in memory, and the rest in a folder that is deleted
with the session.

All is kept by the file's hash and name, so that the same files need not be examined again. The
table is HTML: a row a picture, and chips that choose rows; assets/table.js sorts and filters it in
the browser. A component of Gradio's own would need a width for every column, and cannot be read by
a screen reader.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from markupsafe import Markup

from causalclip.batch import (
    CHECKING,
    COLUMNS,
    NOT_EXAMINED,
    UNCHECKED,
    BatchRow,
    RowUpdate,
    as_csv,
    report_stem,
    zip_reports,
)
from causalclip.examination.headline import ANSWERS, BRIEF, short_name, tone_of
from causalclip.examination.messages import NO_ANSWER, SIGN, score_text
from causalclip.languages import N_, _, bracketed, in_turn, number
from causalclip.report import card
from causalclip.report.templates import render
from ui.fields import script

if TYPE_CHECKING:
    from causalclip.examination.result import Examination

SMALL = 64  # px, the long side of a row's picture
CROP = 160  # px, that of a visible mark
GONE = N_("This row's result is no longer kept.")
Download = Literal["csv", "html", "zip"]
DOWNLOADS: dict[Download, str] = {
    "csv": N_("Table (CSV)"),
    "html": N_("Summary (HTML)"),
    "zip": N_("All reports (zip)"),
}


@dataclass(frozen=True, slots=True)
class Batch:
    """folder: where its reports lie. total: how many rows there will be. thumbnails: data
    addresses, by hash; crops: those of visible marks.

    edges: what a score must not be rounded across. finished: rows that will not change, of earlier
    runs, too, by `BatchRow.key`. held: when the profile was made that all this is held to; ""
    without one.
    """

    folder: Path
    total: int = 0
    rows: tuple[BatchRow, ...] = ()
    thumbnails: Mapping[str, str] = field(default_factory=dict)
    crops: Mapping[str, str] = field(default_factory=dict)
    edges: tuple[float, ...] = ()
    finished: Mapping[tuple[str, str], BatchRow] = field(default_factory=dict)
    held: str = ""

    @property
    def answered(self) -> int:
        """Rows that have an answer, or none for good."""
        return len(self.rows)

    @property
    def done(self) -> int:
        """Rows that will not change any more."""
        return sum(row.survives not in (CHECKING, UNCHECKED) for row in self.rows)

    @property
    def steps(self) -> tuple[int, int]:
        """How many steps of how many are done: every row has two, its answer and whether that
        survives."""
        return self.answered + self.done, max(1, 2 * self.total)

    def plus(self, update: RowUpdate) -> Batch:
        """With another row, or with the same one as it is now."""
        row, found = update.row, update.examination
        rows = (*(other for other in self.rows if other.number != row.number), row)
        is_final = found is not None and row.survives != CHECKING
        finished = {**self.finished, row.key: row} if is_final else self.finished
        thumbnails, crops = self.thumbnails, self.crops
        if found is not None and not found.problem and row.sha256 not in thumbnails:
            from causalclip.report.pictures import draw_thumbnail

            small = draw_thumbnail(found.drawing.picture, side=SMALL)
            thumbnails = {**thumbnails, row.sha256: small}
            if crop := card.enlarge_mark(found, side=CROP):
                crops = {**crops, row.sha256: crop}
        return replace(self, rows=rows, finished=finished, thumbnails=thumbnails, crops=crops)

    def ended(self) -> Batch:
        """As it stays: what was still being checked has not been."""
        return replace(
            self,
            rows=tuple(
                replace(row, survives=UNCHECKED) if row.survives == CHECKING else row
                for row in self.rows
            ),
        )

    def write(self, x: Examination, row: BatchRow) -> None:
        """Write what opens on a click and, once all is known, the reports."""
        from causalclip.report.document import draw_maps, save_reports

        maps = {"causal": ""} if x.problem else draw_maps(x)
        with suppress(FileNotFoundError):  # the folder went with its page
            self._opened(row).write_text(result(x, causal=maps["causal"]), encoding="utf-8")
            if row.survives != CHECKING and not x.problem:
                reports = self.folder / "reports"
                reports.mkdir(exist_ok=True)
                save_reports(x, reports, _stem(row), maps=maps)

    def open(self, number: int) -> str:
        """A row's result as HTML, as far as it is known."""
        row = next((row for row in self.rows if row.number == number), None)
        if row is None:
            return gone()
        if not self._opened(row).is_file():
            return gone(row.name)
        return self._opened(row).read_text(encoding="utf-8")

    def download(self, kind: Download) -> Path:
        """Writes it of what is done by now; returns its path."""
        from causalclip.report.document import overview

        path = self.folder / f"causalclip-{'reports' if kind == 'zip' else 'batch'}.{kind}"
        in_order = sorted(self.rows, key=lambda row: row.number)
        if kind == "csv":
            path.write_text(as_csv(in_order), encoding="utf-8", newline="")
            return path
        summary = overview(
            sorted(self.rows, key=rank), self.thumbnails, counts(self.rows), self.edges, self.crops
        )
        if kind == "zip":
            zip_reports(path, in_order, [("summary.html", summary), *self.reports()])
        else:
            path.write_text(summary, encoding="utf-8", newline="")
        return path

    def reports(self) -> Iterator[tuple[str, str]]:
        """(file name, text) of every report there is, in the files' order."""
        for row in sorted(self.rows, key=lambda row: row.number):
            for path in sorted(self.folder.glob(f"reports/{_stem(row)}.*")) if row.sha256 else ():
                yield (
                    report_stem(row.number, row.name) + path.suffix,
                    path.read_text(encoding="utf-8"),
                )

    def _opened(self, row: BatchRow) -> Path:
        """Read when somebody opens the row, so that nothing of it is kept in memory."""
        return self.folder / f"row-{_stem(row)}.html"


def result(x: Examination, *, causal: str) -> str:
    """The card, the map (a data address) and the panels of a row, as HTML."""
    if x.problem:
        refused = Markup(card.not_judged(x, _(NOT_EXAMINED)))
        return render(
            "result", template="batch.html", name=x.name, card=refused, causal="", panels=[]
        )
    beneath = [
        _titled(_("What the file says about itself"), card.provenance_panel(x.provenance)),
    ]
    if x.stability:
        beneath.append(
            _titled(_("Does the answer survive re-encoding?"), card.stability_panel(x.stability))
        )
    shown = {"card": Markup(card.verdict(x, judged=x.judged)), "panels": map(Markup, beneath)}
    return render(
        "result",
        template="batch.html",
        name=x.name,
        causal="" if x.band == NO_ANSWER else causal,
        **shown,
    )


def _titled(title: str, panel: str) -> str:
    return render("titled", template="batch.html", title=title, panel=Markup(panel))


def gone(name: str = "") -> str:
    """Where there is no result, as HTML."""
    said = Markup("<p>{}</p>").format(_(GONE))
    return render("result", template="batch.html", name=name, card=said, causal="", panels=[])


def _stem(row: BatchRow) -> str:
    """The name of a row's files, whatever its number is by then."""
    return f"{row.sha256}-{hashlib.sha256(row.name.encode(errors='replace')).hexdigest()[:16]}"


if TYPE_CHECKING:
    from causalclip.batch import BatchRow

# What needs a look first stands first; what is signed as captured last.
LAST = ("Likely not generated", "Signed as captured")
ORDER = (*(answer for answer in ANSWERS if answer not in LAST), NOT_EXAMINED, *LAST)
FAILED, MARKED = N_("failed"), N_("marked")
HEADS = (COLUMNS["name"], COLUMNS["answer"], COLUMNS["score"], N_("Copies"))
TAIL = 12  # characters at the end of a long name that are always shown


def table_script() -> str:
    """In the reader's language."""
    return script("table")


def draw_table(
    rows: Sequence[BatchRow],
    thumbnails: Mapping[str, str] | None = None,
    edges: tuple[float, ...] = (),
    crops: Mapping[str, str] | None = None,
) -> str:
    """The rows so far, what needs a look first on top, with their pictures in small and the crops
    of their visible marks, by hash; everything is escaped.

    edges: the thresholds (low, threshold, high), which a score is not rounded across.
    """
    if not rows:
        return ""
    shown = [
        _shown(row, (thumbnails or {}).get(row.sha256, ""), edges)
        | {"crop": (crops or {}).get(row.sha256, ""), "marks": row.marks if row.marked else ""}
        for row in sorted(rows, key=rank)
    ]
    heads = [_(head) for head in HEADS]
    return render("table", template="batch.html", chips=_chips(rows), heads=heads, rows=shown)


def _chips(rows: Iterable[BatchRow]) -> list[dict[str, Any]]:
    """What rows can be chosen by, and how many there are of each."""
    rows = list(rows)
    found: list[tuple[str, int, str, str]] = [
        (
            name,
            n,
            *(
                ("\N{BALLOT X}", "error")
                if name == FAILED
                else (SIGN[tone_of(answer)], tone_of(answer))
            ),
        )
        for answer, name, n in _grouped(rows)
    ]
    marked = {row.number for row in rows if row.marked}
    alike = ({row.number for row in rows if brief(row) == name} for name, *_rest in found)
    if marked and marked not in alike:  # two chips that choose the same rows are one too many
        found.append((MARKED, len(marked), "", ""))
    return [
        {"key": name, "n": number(n), "sign": sign, "tone": tone} for name, n, sign, tone in found
    ]


def _grouped(rows: Iterable[BatchRow]) -> list[tuple[str, str, int]]:
    """Of what is there: an answer, in brief, and how many there are; in the order of the table."""
    found = Counter(brief(row) for row in rows)
    first = {BRIEF.get(answer, FAILED): answer for answer in reversed(ORDER)}
    return [(answer, name, found[name]) for name, answer in reversed(first.items()) if found[name]]


def brief(row: BatchRow) -> str:
    """A row's answer, as short as in a line of the command line."""
    return BRIEF.get(row.answer, FAILED)


def _brief_with_name(row: BatchRow) -> str:
    """The row's answer in brief, in the reader's language, with who signed or whose mark it is."""
    return bracketed(_(brief(row)), short_name(row.whose) if row.whose else "")


def _shown(row: BatchRow, thumbnail: str, edges: tuple[float, ...]) -> dict[str, Any]:
    """A row as the template draws it; without a number it cannot be opened."""
    return {
        "number": row.number if row.sha256 else None,
        "name": row.name,
        "tail": TAIL if len(row.name) > 2 * TAIL else 0,
        "chips": [brief(row), *([MARKED] if row.marked else [])],
        "thumbnail": thumbnail,
        "tone": tone_of(row.answer),
        "answer": _brief_with_name(row),
        "problem": row.problem,
        "claimed": row.answer != NOT_EXAMINED,
        "score": row.score,
        "said": "" if row.score is None else score_text(row.score, *edges),
        "at": None
        if row.score is None or len(edges) < 3
        else place(row.score, edges[0], edges[-1]),
        "copies": row.copies,
        "testing": row.survives == CHECKING and row.score is not None,
    }


def place(score: float, low: float, high: float) -> float:
    """Where a score lies on a bar whose three bands are equally wide, in %."""
    if score <= low:
        return 100 / 3 * score / low
    return (
        100 / 3 * (1 + (score - low) / (high - low))
        if score < high
        else 100 / 3 * (2 + (score - high) / (1 - high))
    )


def rank(row: BatchRow) -> tuple[int, float, int]:
    """Smaller is higher: by answer, then by score, then as the files came."""
    place = ORDER.index(row.answer) if row.answer in ORDER else len(ORDER)
    return place, -(row.score or 0.0), row.number


def counts(rows: Iterable[BatchRow]) -> str:
    """How many rows have which answer, in the same order: "likely generated: 3, inconclusive:
    12"."""
    return in_turn(f"{_(name)}: {number(n)}" for _answer, name, n in _grouped(rows))
