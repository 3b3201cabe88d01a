"""What a session's batch has so far: little in memory, and the rest in a folder that is deleted with the session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from causalclip.examine.batch import CHECKING, UNCHECKED, Done, Row, as_csv, report_stem
from ui.batch import opened

SMALL = 96  # px, the long side of a row's picture


@dataclass(frozen=True, slots=True)
class Batch:
    """folder: where its reports lie. total: how many rows there will be. thumbnails: by number, as data addresses.
    edges: what a score must not be rounded across.
    """

    folder: Path
    total: int = 0
    rows: tuple[Row, ...] = ()
    thumbnails: Mapping[int, str] = field(default_factory=dict)
    edges: tuple[float, ...] = ()

    @property
    def done(self) -> int:
        """Rows that will not change any more."""
        return sum(row.survives != CHECKING for row in self.rows)

    def plus(self, done: Done) -> Batch:
        """With another row, or with the same one as it is now."""
        rows = (*(row for row in self.rows if row.number != done.row.number), done.row)
        return replace(self, rows=rows, thumbnails={**self.thumbnails, done.row.number: self._thumbnail(done)})

    def ended(self) -> Batch:
        """As it stays: what was still being checked has not been."""
        rows = (replace(row, survives=UNCHECKED) if row.survives == CHECKING else row for row in self.rows)
        return replace(self, rows=tuple(rows))

    def write(self, done: Done) -> None:
        """The table so far, this row's report as HTML (with maps) and JSON (without), and what opens on a click."""
        self.write_table()
        if done.examination is None:
            return
        from causalclip.report.document import draw_maps, save_reports

        reports, maps = self.folder / "reports", draw_maps(done.examination)
        reports.mkdir(exist_ok=True)
        stem = report_stem(done.row.number, done.row.name)
        save_reports(done.examination, reports, stem, maps=maps)
        opened.write(self.folder, done.row.number, done.examination, causal=maps["causal"])

    def write_table(self) -> None:
        """results.csv."""
        (self.folder / "results.csv").write_text(as_csv(self.rows), encoding="utf-8", newline="")

    def _thumbnail(self, done: Done) -> str:
        """Of a row's picture; drawn once."""
        from causalclip.report.document import draw_thumbnail  # brings Jinja, which the page need not wait for

        earlier = self.thumbnails.get(done.row.number)
        return earlier or ("" if done.pixels is None else draw_thumbnail(done.pixels, side=SMALL))
