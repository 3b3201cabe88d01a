"""What a session's batch has so far: little in memory, and the rest in a folder that is deleted with the session.

All is kept by the file's hash, so that the same files need not be examined again; what says its name, by that, too.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from causalclip.examine.batch import CHECKING, UNCHECKED, Done, Early, Known, Row, as_csv, report_stem
from ui.batch import opened
from ui.server.turns import Superseded

SMALL = 64  # px, the long side of a row's picture


class Answers(MutableMapping[str, Early]):
    """Answers by the picture's hash, each in a file of a folder that nobody but this server writes to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, sha256: str) -> Early:
        try:
            found: Early = pickle.loads(self._file(sha256).read_bytes())
        except FileNotFoundError:
            raise KeyError(sha256) from None
        return found

    def __setitem__(self, sha256: str, early: Early) -> None:
        try:
            self._file(sha256).write_bytes(pickle.dumps(early))
        except FileNotFoundError:  # the page was closed meanwhile, and its folder went: that is no error
            raise Superseded from None

    def __delitem__(self, sha256: str) -> None:
        self._file(sha256).unlink()

    def __iter__(self) -> Iterator[str]:
        return (path.stem for path in self._folder.glob("*.answer"))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _file(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.answer"


@dataclass(frozen=True, slots=True)
class Batch:
    """folder: where its reports lie. total: how many rows there will be. thumbnails: data addresses, by hash.

    edges: what a score must not be rounded across. finished: rows that will not change, of earlier runs, too, by
    `Row.key`. held: when the profile was made that all this is held to; "" without one.
    """

    folder: Path
    total: int = 0
    rows: tuple[Row, ...] = ()
    thumbnails: Mapping[str, str] = field(default_factory=dict)
    edges: tuple[float, ...] = ()
    finished: Mapping[tuple[str, str], Row] = field(default_factory=dict)
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
        """How many steps of how many are done: every row has two, its answer and whether that survives."""
        return self.answered + self.done, max(1, 2 * self.total)

    def known(self) -> Known:
        """What need not be done again; answers are kept on disk, as their arrays are large."""
        return Known(Answers(self.folder), self.finished)

    def again(self, total: int) -> Batch:
        """Before another run, with what was found so far."""
        return replace(self, total=total, rows=())

    def plus(self, done: Done) -> Batch:
        """With another row, or with the same one as it is now."""
        row = done.row
        rows = (*(other for other in self.rows if other.number != row.number), row)
        finished = {**self.finished, row.key: row} if done.examination else self.finished
        return replace(self, rows=rows, finished=finished, thumbnails=self._with_thumbnail(done))

    def ended(self) -> Batch:
        """As it stays: what was still being checked has not been."""
        stopped = partial(replace, survives=UNCHECKED, part=UNCHECKED)
        return replace(self, rows=tuple(stopped(row) if row.survives == CHECKING else row for row in self.rows))

    def write(self, done: Done) -> None:
        """The table so far, this row's report as HTML and JSON, and what opens on a click."""
        self.write_table()
        if done.examination is None:
            return
        from causalclip.report.document import draw_maps, save_reports

        reports, maps = self.folder / "reports", draw_maps(done.examination)
        reports.mkdir(exist_ok=True)
        save_reports(done.examination, reports, stem(done.row), maps=maps)
        opened.write(self.folder, stem(done.row), done.examination, causal=maps["causal"])

    def write_table(self) -> None:
        """results.csv."""
        rows = sorted(self.rows, key=lambda row: row.number)
        (self.folder / "results.csv").write_text(as_csv(rows), encoding="utf-8", newline="")

    def reports(self) -> Iterator[tuple[str, str]]:
        """(file name, text) of every report there is, in the files' order."""
        for row in sorted(self.rows, key=lambda row: row.number):
            for path in sorted(self.folder.glob(f"reports/{stem(row)}.*")) if row.sha256 else ():
                yield report_stem(row.number, row.name) + path.suffix, path.read_text(encoding="utf-8")

    def _with_thumbnail(self, done: Done) -> Mapping[str, str]:
        """Drawn once."""
        if done.pixels is None or done.row.sha256 in self.thumbnails:
            return self.thumbnails
        from causalclip.report.document import draw_thumbnail  # brings Jinja, which the page need not wait for

        return {**self.thumbnails, done.row.sha256: draw_thumbnail(done.pixels, side=SMALL)}


def stem(row: Row) -> str:
    """What the files that are written of a row are called, whatever its number is by then."""
    return f"{row.sha256}-{hashlib.sha256(row.name.encode(errors='replace')).hexdigest()[:16]}"
