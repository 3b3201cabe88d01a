"""The Batch tab: many pictures or a zip, a table that fills as it goes, CSV and zipped reports. No model code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from causalclip.examine.batch import Done, collect, count, examine_all, zip_reports
from causalclip.pictures.archives import MAX_PICTURES
from causalclip.pictures.formats import ENDINGS, NAMES, SIZES
from causalclip.report import card
from ui.batch import opened
from ui.batch.kept import Batch
from ui.batch.progress import progress
from ui.batch.table import SCRIPT, draw_table
from ui.server.files import files_input, new_folder, upload_paths
from ui.server.gate import PICTURES, Priority, gated
from ui.server.problems import explain
from ui.server.turns import Part, Turn
from ui.settings import KEPT, PRIVATE, PROMISE, RUNS

if TYPE_CHECKING:
    from causalclip.detector import Detector

INTRO = (
    f"Up to {MAX_PICTURES} pictures ({NAMES}; {SIZES}), or a zip of them. Unlike in the other tabs, the names of the "
    "files go to this server, too, so that the rows can be told apart; they are not logged."
)

TO_RESULT = "() => document.querySelector('#batch-opened').scrollIntoView({ block: 'start' })"

NOTHING = (
    "Add pictures or a zip of them. A row for each appears here, examined as in the Detect tab; a file that cannot be "
    "read costs its own row only."
)
Updates = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class BatchTab:
    """The tab's components and callbacks. detector: returns the loaded detector; may raise WeightsMissing."""

    detector: Callable[[], Detector]
    files: gr.File
    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    table: gr.HTML
    table_file: gr.DownloadButton
    reports: gr.DownloadButton
    opened: gr.HTML
    batch: gr.State

    def begin(self, event: gr.EventData, payload: Any) -> Updates:
        """What the page shows at once: nothing of an older batch."""
        return self._blank(_say("Waiting for the first picture.")) if payload else self.cleared()

    def run(self, turn: Turn, payload: Any) -> Iterator[Updates]:
        """Examines all uploads and yields the table after each step; at the end also the reports."""
        paths = upload_paths(payload)
        if not paths:
            yield self.cleared()
            return
        batch, started = Batch(new_folder(), count(paths)), time.perf_counter()
        yield self._running(batch)
        try:
            detector = gated(self.detector(), verdict=Priority.BATCH, check=turn.check)
            batch = replace(batch, edges=_edges(detector))
            for done in _one_by_one(examine_all(collect(paths), detector)):
                batch = batch.plus(done)
                batch.write(done)
                yield self._shown(batch, time.perf_counter() - started)
        except Exception as error:  # of the batch as a whole: an archive that cannot be used, no weights
            yield {self.status: card.failure(*explain(error)), self.stop: gr.update(visible=False)}
        yield self.finish(batch)

    def finish(self, batch: Batch | None) -> Updates:
        """Offers what is done; also called when somebody stops the batch."""
        ended: Updates = {self.start: gr.update(interactive=True), self.stop: gr.update(visible=False)}
        if batch is None or not batch.rows:
            return ended
        batch = batch.ended()
        path = batch.folder / "reports.zip"
        reports = sorted(batch.folder.glob("reports/*"))
        batch.write_table()
        zip_reports(path, batch.rows, ((p.name, p.read_text(encoding="utf-8")) for p in reports))
        refused = sum(row.score is None for row in batch.rows)
        words = f"{len(batch.rows) - refused} examined" + (f", {refused} could not be" if refused else "")
        return ended | {
            self.status: _say(f"Finished: {words}."),
            self.table: draw_table(batch.rows, batch.thumbnails, batch.edges),
            self.batch: batch,
            self.reports: gr.update(value=str(path), visible=bool(reports)),
        }

    def stopping(self, event: gr.EventData) -> Updates:
        """What the page shows at once."""
        return {self.status: _say("Stopping."), self.stop: gr.update(visible=False)}

    def stopped(self, turn: Turn, batch: Batch | None) -> Iterator[Updates]:
        """Keeps what is done."""
        updates = self.finish(batch)
        done, total = (batch.done, batch.total) if batch else (0, 0)
        yield updates | {self.status: _say(f"Stopped. What was done is kept: {done} of {total}.")}

    def open(self, batch: Batch | None, event: gr.EventData) -> str:
        """The full result of the row that was clicked."""
        return opened.read(batch.folder, int(event.index)) if batch else opened.GONE

    def cleared(self) -> Updates:
        """No result, and nothing that could be examined."""
        ended = {self.start: gr.update(interactive=False), self.stop: gr.update(visible=False)}
        return self._blank(card.waiting(NOTHING)) | ended

    def _blank(self, status: str) -> Updates:
        return {
            self.status: status,
            **dict.fromkeys((self.table, self.opened), ""),
            self.batch: None,
            **{button: gr.update(value=None, visible=False) for button in (self.table_file, self.reports)},
        }

    def _running(self, batch: Batch) -> Updates:
        return self._blank(_say(f"Looking at the first picture of {batch.total}.")) | {
            self.batch: batch,
            self.start: gr.update(interactive=False),
            self.stop: gr.update(visible=True),
        }

    def _shown(self, batch: Batch, seconds: float) -> Updates:
        return {
            self.status: _say(progress(batch.done, batch.total, seconds)),
            self.table: draw_table(batch.rows, batch.thumbnails, batch.edges),
            self.table_file: gr.update(value=str(batch.folder / "results.csv"), visible=True),
            self.batch: batch,
        }


def build_batch_tab(detector: Callable[[], Detector]) -> BatchTab:
    """Builds the tab inside the current Blocks and wires it."""
    with gr.Row(elem_classes="cc-columns"):
        with gr.Column(scale=4, min_width=300):
            files = files_input(
                label="Pictures, or a zip of them", file_types=[*ENDINGS, ".zip"], height=200, elem_id="batch-files"
            )
            gr.HTML(f"<p class='cc-small'>{PROMISE}</p><p class='cc-small'>{INTRO}</p>", elem_id="batch-intro")
            start = gr.Button("Examine all again", interactive=False, elem_id="batch-start")
            stop = gr.Button("Stop, and keep what is done", visible=False, elem_id="batch-stop")
        with gr.Column(scale=7, min_width=300):
            status = gr.HTML(card.waiting(NOTHING), elem_id="batch-status")
            table = gr.HTML(js_on_load=SCRIPT, elem_id="batch-table")
            with gr.Row():
                table_file = gr.DownloadButton("Download the table (CSV)", visible=False, elem_id="batch-csv")
                reports = gr.DownloadButton("Download all reports (zip)", visible=False, elem_id="batch-reports")
            open_row = gr.HTML(elem_id="batch-opened", elem_classes="cc-flush")
    batch = gr.State(time_to_live=KEPT)
    tab = BatchTab(detector, files, start, stop, status, table, table_file, reports, open_row, batch)
    everything: list[Any] = [status, table, table_file, reports, open_row, batch, start, stop]
    part = Part("batch")
    judge: dict[str, Any] = {"given": [files], "inputs": [files], "outputs": everything, **RUNS}
    part.on([files.upload, start.click], tab.begin, tab.run, **judge)
    part.on([stop.click], tab.stopping, tab.stopped, given=[], inputs=[batch], outputs=everything, **RUNS)
    part.off([files.clear], tab.cleared, outputs=everything)
    shown = table.click(tab.open, batch, open_row, queue=False, **PRIVATE)
    shown.then(None, js=TO_RESULT, queue=False, **PRIVATE)
    return tab


def _edges(detector: Detector) -> tuple[float, ...]:
    calibration = detector.config.calibration
    return calibration.low, calibration.threshold, calibration.high


def _one_by_one(pictures: Iterator[Done]) -> Iterator[Done]:
    """Each behind the verdicts of the other tabs, and with few other pictures in memory."""
    while True:
        with PICTURES.enter(Priority.BATCH):
            done = next(pictures, None)
        if done is None:
            return
        yield done


def _say(sentence: str) -> str:
    return f"<p class='cc-said' role='status' aria-live='polite'>{escape(sentence)}</p>"
