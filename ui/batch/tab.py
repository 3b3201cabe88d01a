"""The Batch tab: many pictures, folders or a zip; a table that fills as it goes, a summary to mail, and all reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from causalclip.examine.batch import Done, collect, count, examine_all
from causalclip.languages import N_, _, ended, ngettext, number
from causalclip.pictures.archives import MAX_PICTURES
from causalclip.pictures.formats import ENDINGS, names, sizes
from causalclip.report import card
from ui.batch import folders, opened
from ui.batch.downloads import KINDS, Kind, write_download
from ui.batch.filters import filters
from ui.batch.kept import Batch, stem
from ui.batch.progress import Clock, how_far
from ui.batch.swept import swept
from ui.batch.table import draw_table, script
from ui.batch.triage import counts
from ui.server.files import files_input, kept_or_gone, new_folder
from ui.server.problems import explain
from ui.server.queue import PICTURES, Priority, queue_detector
from ui.server.turns import Part, Turn
from ui.settings import KEPT, PRIVATE, PROMISE, RUNS

if TYPE_CHECKING:
    from causalclip.detector import Detector

INTRO = N_(
    "Up to {limit} pictures ({formats}; {sizes}), a folder, or a zip of them. More can be added; what is examined "
    "already is not examined again. Unlike in the other tabs, the names of the files go to this server, too, so that "
    "the rows can be told apart; they are not logged."
)

TO_RESULT = "() => document.querySelector('#batch-opened h2')?.focus()"
BACK = "() => { document.querySelector('#batch-table [data-opened] .cc-open')?.focus(); return ''; }"
CLOSING = """element.addEventListener("click", (event) => event.target.closest(".cc-close") && trigger("click"));
element.addEventListener("keydown", (event) => event.key === "Escape" && trigger("click"));"""
PAUSE = 1.0  # seconds between two drawings of the table: each is sent as a whole
SPOKEN = 20  # seconds from one time that a screen reader says how far it is to the next (assets/upload.js)

NOTHING = N_(
    "Add pictures, a folder or a zip. Each gets a row and an answer here, and after that it is checked which answers "
    "survive re-encoding. A file that cannot be read costs its own row only."
)
WHOLE = N_("Finished: {done} examined.")
MIXED = N_("Finished: {done} examined, {refused} could not be.")
STOPPED = N_("Stopped. What was done is kept: {how_far} “{go_on}” examines the rest.")
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
    downloads: dict[Kind, gr.DownloadButton]
    opened: gr.HTML
    batch: gr.State

    def begin(self, event: gr.EventData, payload: Any) -> Updates:
        """What the page shows at once; what was found of the same files stays known."""
        if not payload:
            return self.cleared()
        return self._blank(_say(_("Waiting for the first picture."), bar=(0, 1))) | {self.batch: gr.skip()}

    def run(self, turn: Turn, payload: Any, before: Batch | None = None) -> Iterator[Updates]:
        """Examines all uploads and yields the table as it fills. before: what an earlier run has left."""
        paths, gone = kept_or_gone(payload)
        if not paths and not gone:
            yield self.cleared()
            return
        batch, clock = before, Clock()
        try:
            total = count(paths)
            batch = _begun(before, total + len(gone))
            yield self._running(batch)
            detector = queue_detector(self.detector(), verdict=Priority.BATCH, check=turn.check)
            batch = replace(_held(batch, detector), edges=_edges(detector))
            known, (stay, lost) = batch.known(), swept(batch, gone, paths)
            batch = replace(batch, rows=stay, total=len(stay) + total + len(lost))
            pictures = examine_all(lambda: chain(collect(paths), lost), detector, known, first=len(stay) + 1)
            for done in _one_by_one(pictures):
                if isinstance(done, int):
                    yield {self.status: _say(f"{clock.words(batch)} {_before(done)}", bar=batch.steps)}
                    continue
                batch = batch.plus(done)
                batch.write(done)
                clock.count(done, batch)
                if clock.due(PAUSE):
                    yield self._shown(batch, clock.words(batch))
        except Exception as error:  # of the batch as a whole: an archive that cannot be used, no weights
            turn.check()  # of a page that was closed, the files are gone: that is no error
            yield {self.status: card.failure(*explain(error)), self.stop: gr.update(visible=False)}
            yield self.finish(batch, said=False)
            return
        yield self.finish(batch)

    def finish(self, batch: Batch | None, *, said: bool = True) -> Updates:
        """Offers what is done; also called when somebody stops the batch. said: whether to say how it went."""
        ended: Updates = {self.start: gr.update(interactive=True), self.stop: gr.update(visible=False)}
        if batch is None or not batch.rows:
            return ended
        batch = batch.ended()
        batch.write_table()
        refused = sum(bool(row.problem) for row in batch.rows)
        words = _(MIXED if refused else WHOLE, done=number(len(batch.rows) - refused), refused=number(refused))
        finished = {self.status: _say(f"{words} {_sum(batch)}")} if said else {}
        return ended | finished | self._drawn(batch)

    def stopping(self, event: gr.EventData) -> Updates:
        """What the page shows at once."""
        return {self.status: _say(_("Stopping.")), self.stop: gr.update(visible=False)}

    def stopped(self, turn: Turn, batch: Batch | None) -> Iterator[Updates]:
        """Keeps what is done."""
        updates = self.finish(batch)
        words = _(STOPPED, how_far=how_far(batch or Batch(Path())), go_on=_("Go on"))
        yield updates | {self.status: _say(f"{words} {_sum(batch) if batch else ''}")}

    def open(self, batch: Batch | None, event: gr.EventData) -> str:
        """The full result of the row that was clicked."""
        rows = {row.number: row for row in batch.rows} if batch else {}
        row = rows.get(int(event.index))
        return opened.read(batch.folder, stem(row)) if batch and row else opened.gone()

    def packed(self, kind: Kind, batch: Batch | None) -> str | None:
        """The path of one of the downloads, written of what is done by now."""
        if batch is None or not batch.rows:
            return None
        return str(write_download(kind, batch))

    def cleared(self) -> Updates:
        """No result, and nothing that could be examined."""
        ended = {self.start: gr.update(interactive=False), self.stop: gr.update(visible=False)}
        return self._blank(card.waiting(_(NOTHING))) | ended

    def _blank(self, status: str) -> Updates:
        return {
            self.status: status,
            **dict.fromkeys((self.table, self.opened), ""),
            self.batch: None,
            **{button: gr.update(value=None) for button in self.downloads.values()},
        }

    def _running(self, batch: Batch) -> Updates:
        said = _say(_("Looking at the first picture of {total}.", total=number(batch.total)), bar=batch.steps)
        return self._blank(said) | {
            self.batch: batch,
            self.start: gr.update(interactive=False),
            self.stop: gr.update(visible=True),
        }

    def _shown(self, batch: Batch, words: str) -> Updates:
        return {self.status: _say(f"{words} {_sum(batch)}", bar=batch.steps)} | self._drawn(batch)

    def _drawn(self, batch: Batch) -> Updates:
        return {self.table: draw_table(batch.rows, batch.thumbnails, batch.edges), self.batch: batch}


def build_batch_tab(detector: Callable[[], Detector]) -> BatchTab:
    """Builds the tab inside the current Blocks and wires it."""
    intro = _(INTRO, limit=MAX_PICTURES, formats=names(), sizes=sizes())
    with gr.Row(elem_classes="cc-columns"):
        with gr.Column(scale=4, min_width=300):
            files = files_input(
                label=_("Pictures, or a zip of them"), file_types=[*ENDINGS, ".zip"], height=200, elem_id="batch-files"
            )
            gr.HTML(f"<p class='cc-small'>{_(PROMISE)}</p><p class='cc-small'>{intro}</p>", elem_id="batch-intro")
            gr.HTML(folders.button(), js_on_load=folders.script(), elem_id="batch-folder")
            start = gr.Button(_("Go on"), interactive=False, elem_id="batch-start")
            stop = gr.Button(_("Stop, and keep what is done"), visible=False, elem_id="batch-stop")
        with gr.Column(scale=7, min_width=300):
            status = gr.HTML(card.waiting(_(NOTHING)), elem_id="batch-status")
            gr.HTML(filters(), elem_id="batch-filters")
            with gr.Row(elem_id="batch-panes"):
                table = gr.HTML(js_on_load=script(), elem_id="batch-table")
                open_row = gr.HTML(js_on_load=CLOSING, elem_id="batch-opened", elem_classes="cc-flush")
            wanted, downloads = _downloads()
    batch = gr.State(time_to_live=KEPT)
    tab = BatchTab(detector, files, start, stop, status, table, downloads, open_row, batch)
    everything: list[Any] = [status, table, *downloads.values(), open_row, batch, start, stop]
    part = Part("batch")
    judge: dict[str, Any] = {"given": [files], "inputs": [files, batch], "outputs": everything, **RUNS}
    part.on([files.upload, start.click], tab.begin, tab.run, **judge)
    part.on([stop.click], tab.stopping, tab.stopped, given=[], inputs=[batch], outputs=everything, **RUNS)
    part.off([files.clear], tab.cleared, outputs=everything)
    shown = table.click(tab.open, batch, open_row, queue=False, **PRIVATE)
    shown.then(None, js=TO_RESULT, queue=False, **PRIVATE)
    open_row.click(None, None, open_row, js=BACK, queue=False, **PRIVATE)
    one: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "downloads"}  # a PDF of 200 takes seconds
    for kind, button in wanted.items():
        written = button.click(partial(tab.packed, kind), batch, downloads[kind], **one, **PRIVATE)
        written.success(None, js=f"() => document.querySelector('#batch-{kind}-file').click()", queue=False, **PRIVATE)
    return tab


def _downloads() -> tuple[dict[Kind, gr.Button], dict[Kind, gr.DownloadButton]]:
    """Buttons that have a file written of what is done by now, and the hidden ones that then download it."""
    with gr.Row(elem_id="batch-downloads"):
        wanted = {kind: gr.Button(_(label), elem_id=f"batch-{kind}") for kind, label in KINDS.items()}
    with gr.Row(elem_classes="cc-hidden"):
        files = {kind: gr.DownloadButton(_(label), elem_id=f"batch-{kind}-file") for kind, label in KINDS.items()}
    return wanted, files


def _begun(before: Batch | None, total: int) -> Batch:
    """The batch of another run; its folder may have been swept since the last one."""
    batch = before or Batch(new_folder())
    return (batch if batch.folder.is_dir() else replace(batch, folder=new_folder())).again(total)


def _held(batch: Batch, detector: Detector) -> Batch:
    """The batch; without what was found while another profile was in use."""
    made = detector.profile.made if detector.profile else ""
    return batch if batch.held == made else Batch(new_folder(), batch.total, held=made)


def _edges(detector: Detector) -> tuple[float, ...]:
    calibration = detector.config.calibration
    return calibration.low, calibration.threshold, calibration.high


def _one_by_one(pictures: Iterator[Done]) -> Iterator[Done | int]:
    """Each behind the verdicts of the other tabs, and with few other pictures in memory; while it waits, how many go in
    before it."""
    while True:
        with PICTURES.ask(Priority.BATCH) as ticket:
            yield from ticket.waits()
            done = next(pictures, None)
        if done is None:
            return
        yield done


def _before(others: int) -> str:
    """The place in the queue."""
    return ended(ngettext("Waiting, {n} before you", "Waiting, {n} before you", others))


def _sum(batch: Batch) -> str:
    """How many of which answer there are so far."""
    said = counts(batch.rows)
    return ended(f"{said[0].upper()}{said[1:]}") if said else ""


def _say(sentence: str, *, bar: tuple[int, int] | None = None) -> str:
    """bar: how many steps of how many are done, where more are to come."""
    every = f" data-every='{SPOKEN}'" if bar else ""
    said = f"<p class='cc-said' data-say='{escape(sentence)}'{every}>{escape(sentence)}</p>"
    if bar is None:
        return said
    drawn = f"<progress value='{bar[0]}' max='{bar[1]}' aria-hidden='true'></progress>"
    return f"{said}{drawn}<p class='cc-small'>{card.elapsed()}</p>"
