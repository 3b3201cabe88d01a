"""The results of a session's batch: little in memory, and the rest in a folder that is deleted with
the session.

All is kept by the file's hash and name, so that the same files need not be examined again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from causalclip.batch import (
    CHECKING,
    UNCHECKED,
    BatchRow,
    RowUpdate,
    as_csv,
    report_stem,
    zip_reports,
)
from causalclip.examination.messages import NO_ANSWER, NOT_EXAMINED
from causalclip.languages import N_, _
from causalclip.report import card
from causalclip.report.templates import render
from ui.tabs.batch.table import counts, rank
from ui.tabs.check import rendering

if TYPE_CHECKING:
    from causalclip.examination.result import Examination

THUMBNAIL_SIDE = 128  # px, the long side of a row's picture, as a tile of the sheet shows it
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
    """A session's batch.

    Attributes:
        folder: where its reports lie.
        total: how many rows there will be.
        rows: those that have an answer, or none for good.
        thumbnails: the pictures in small, data addresses by hash.
        crops: of the visible marks, data addresses by hash.
        edges: the thresholds, which a score must not be rounded across.
        final_rows: rows that will not change, of earlier runs, too, by `BatchRow.key`.
        profile_date: when the profile was made that all this is held to; "" without one.
    """

    folder: Path
    total: int = 0
    rows: tuple[BatchRow, ...] = ()
    thumbnails: Mapping[str, str] = field(default_factory=dict)
    crops: Mapping[str, str] = field(default_factory=dict)
    edges: tuple[float, ...] = ()
    final_rows: Mapping[tuple[str, str], BatchRow] = field(default_factory=dict)
    profile_date: str = ""

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
        """The steps that are done, and all steps: every row has two, its answer and whether that
        survives."""
        return self.answered + self.done, max(1, 2 * self.total)

    def with_row(self, update: RowUpdate) -> Batch:
        """Return the batch with another row, or with the same one as it is now."""
        row, examination = update.row, update.examination
        rows = (*(other for other in self.rows if other.number != row.number), row)
        is_final = examination is not None and row.survives != CHECKING
        final_rows = {**self.final_rows, row.key: row} if is_final else self.final_rows
        thumbnails, crops = self.thumbnails, self.crops
        if examination is not None and not examination.problem and row.sha256 not in thumbnails:
            from causalclip.report.pictures import draw_thumbnail

            small = draw_thumbnail(examination.drawing.picture, side=THUMBNAIL_SIDE)
            thumbnails = {**thumbnails, row.sha256: small}
            if crop := card.enlarge_mark(examination, side=CROP):
                crops = {**crops, row.sha256: crop}
        return replace(self, rows=rows, final_rows=final_rows, thumbnails=thumbnails, crops=crops)

    def with_checks_ended(self) -> Batch:
        """Return the batch after its run: rows that were still being checked have not been
        checked."""
        rows = tuple(
            replace(row, survives=UNCHECKED) if row.survives == CHECKING else row
            for row in self.rows
        )
        return replace(self, rows=rows)

    def write(self, examination: Examination, row: BatchRow) -> None:
        """Write what opens on a click and, once all is known, the reports."""
        from causalclip.report.document import draw_maps, save_reports

        maps = {"causal": ""} if examination.problem else draw_maps(examination)
        with suppress(FileNotFoundError):  # the folder went with its page
            self._row_file(row).write_text(
                result(examination, causal=maps["causal"]), encoding="utf-8"
            )
            if row.survives != CHECKING and not examination.problem:
                reports = self.folder / "reports"
                reports.mkdir(exist_ok=True)
                save_reports(examination, reports, _stem(row), maps=maps)

    def open(self, number: int) -> str:
        """Return a row's result as HTML, as far as it is known."""
        row = next((row for row in self.rows if row.number == number), None)
        if row is None:
            return no_result()
        if not self._row_file(row).is_file():
            return no_result(row.name)
        return self._row_file(row).read_text(encoding="utf-8")

    def download(self, form: Download) -> Path:
        """Write a download of what is done by now; return its path."""
        from causalclip.report.document import overview

        name = "causalclip-reports" if form == "zip" else "causalclip-batch"
        some = "" if self.done == self.total else f"-{self.done}-of-{self.total}"
        path = self.folder / f"{name}{some}.{form}"
        in_order = sorted(self.rows, key=lambda row: row.number)
        if form == "csv":
            path.write_text(as_csv(in_order), encoding="utf-8", newline="")
            return path
        summary = overview(
            sorted(self.rows, key=rank), self.thumbnails, counts(self.rows), self.edges, self.crops
        )
        if form == "zip":
            zip_reports(path, in_order, [("summary.html", summary), *self.reports()])
        else:
            path.write_text(summary, encoding="utf-8", newline="")
        return path

    def reports(self) -> Iterator[tuple[str, str]]:
        """Yield (file name, text) of every report there is, in the files' order."""
        for row in sorted(self.rows, key=lambda row: row.number):
            for path in sorted(self.folder.glob(f"reports/{_stem(row)}.*")) if row.sha256 else ():
                yield (
                    report_stem(row.number, row.name) + path.suffix,
                    path.read_text(encoding="utf-8"),
                )

    def _row_file(self, row: BatchRow) -> Path:
        """Return the file that is read when somebody opens the row: nothing of it is kept in
        memory."""
        return self.folder / f"row-{_stem(row)}.html"


def result(examination: Examination, *, causal: str) -> str:
    """Return the card, the map (a data address) and the panels of a row, as HTML."""
    fill = partial(render, "result", template="batch.html", name=examination.name)
    if examination.problem:
        refusal = Markup(card.not_judged(examination, _(NOT_EXAMINED)))
        return fill(answer=refusal, inside="", causal="", legend="", panels=[])
    provenance = card.provenance_panel(examination.provenance)
    panels = [_titled_panel(_("What the file says about itself"), provenance)]
    if examination.stability:
        copies = card.stability_panel(examination.stability)
        panels.append(_titled_panel(_("Does the answer survive re-encoding?"), copies))
    has_map = examination.band != NO_ANSWER
    return fill(
        answer=Markup(card.verdict(examination, judged=examination.copies_judged)),
        inside=Markup(rendering.inside(examination)),
        causal=causal if has_map else "",
        legend=Markup(card.map_legend(examination.drawing)) if has_map else "",
        panels=map(Markup, panels),
    )


def _titled_panel(title: str, panel: str) -> str:
    return render("titled", template="batch.html", title=title, panel=Markup(panel))


def no_result(name: str = "") -> str:
    """Return that there is no result, as HTML."""
    sentence = Markup("<p>{}</p>").format(_(GONE))
    empty = {"inside": "", "causal": "", "legend": "", "panels": []}
    return render("result", template="batch.html", name=name, answer=sentence, **empty)


def _stem(row: BatchRow) -> str:
    """Return the name of a row's files, whatever its number is by then."""
    return f"{row.sha256}-{hashlib.sha256(row.name.encode(errors='replace')).hexdigest()[:16]}"
