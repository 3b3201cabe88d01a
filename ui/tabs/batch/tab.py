"""The Batch tab: many pictures, folders or a zip; a table that fills as it goes, a summary to mail,
and all reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from itertools import chain
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from causalclip.batch import RowUpdate, collect, count, examine_all
from causalclip.examination.result import Stage
from causalclip.images.formats import ENDINGS, UnsupportedImage, names, sizes
from causalclip.images.zips import MAX_PICTURES
from causalclip.languages import N_, _, ended, ngettext, number
from causalclip.report import card
from ui.cancellation import CancellationToken, Panel
from ui.detector import queue_detector
from ui.errors import explain
from ui.fields import GONE, LIFETIME, PRIVATE, PROMISE, RUNS, existing_and_missing, files_input
from ui.scripts import script, sending_script, sending_words
from ui.server.turns import PICTURES, Priority
from ui.server.uploads import A_REQUEST, FILES, new_folder
from ui.tabs.batch.results import DOWNLOADS, Batch, Download, gone
from ui.tabs.batch.table import draw_table

if TYPE_CHECKING:
    from causalclip.detector import Detector

INTRO = N_(
    "Up to {limit} pictures ({formats}; {sizes}), a folder, or a zip of them. More can be added; "
    "what is examined already is not examined again. Unlike in the other tabs, the names of the "
    "files go to this server, too, so that the rows can be told apart; they are not logged."
)
NOTHING = N_(
    "Add pictures, a folder or a zip. Each gets a row and an answer here, and after that it is "
    "checked which answers survive re-encoding. A file that cannot be read costs its own row only."
)
WHOLE = N_("Finished: {done} examined.")
MIXED = N_("Finished: {done} examined, {refused} could not be.")
STOPPED = N_("Stopped. What was done is kept: {how_far} “{go_on}” examines the rest.")
ANSWERED = N_("{done} of {total} have an answer.")
ANSWERED_LEFT = N_("{done} of {total} have an answer, {about} left.")
CHECKED = N_("All have an answer. Checked whether it survives: {done} of {total}.")
CHECKED_LEFT = N_(
    "All have an answer. Checked whether it survives: {done} of {total}, {about} left."
)
TO_RESULT = "() => document.querySelector('#batch-opened h2')?.focus()"
BACK = (
    "() => { document.querySelector('#batch-table [data-opened] .cc-open')?.focus(); return ''; }"
)
PAUSE = 1.0  # seconds between two drawings of the table: each is sent as a whole
# seconds from one time that a screen reader says how far it is to the next (assets/upload.js)
SPOKEN = 20
Updates = dict[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTab:
    """The tab's components and callbacks. detector: returns the loaded detector; may raise
    WeightsMissing."""

    detector: Callable[[], Detector]
    files: gr.File
    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    table: gr.HTML
    downloads: dict[Download, gr.DownloadButton]
    opened: gr.HTML
    listed: gr.HTML
    batch: gr.State

    @property
    def shown(self) -> list[Any]:
        """All that a run may change."""
        buttons = [*self.downloads.values(), self.start, self.stop]
        return [self.status, self.table, self.opened, self.listed, self.batch, *buttons]

    def begin(self, event: gr.EventData, payload: Any) -> Updates:
        """What the page shows at once; what was found of the same files stays known."""
        if not payload:
            return self.cleared()
        return self._blank(_say(_("Waiting for the first picture."), bar=(0, 1))) | {
            self.batch: gr.skip()
        }

    def run(
        self, token: CancellationToken, payload: Any, before: Batch | None = None
    ) -> Iterator[Updates]:
        """Examines all uploads and yields the table as it fills. before: what an earlier run has
        left."""
        paths, gone_ones = existing_and_missing(payload)
        if not paths and not gone_ones:
            yield self.cleared()
            return
        batch, clock = before, Clock()
        try:
            batch = _begun(before, count(paths) + len(gone_ones))
            yield self._running(batch)
            detector = queue_detector(self.detector(), verdict=Priority.BATCH, check=token.check)
            batch = _held(batch, detector)
            lost = [(Path(path).name, UnsupportedImage(_(GONE))) for path in gone_ones]
            updates = examine_all(lambda: chain(collect(paths), lost), detector, batch.finished)
            for update in _one_by_one(updates):
                if isinstance(update, int):
                    waits = (
                        ended(
                            ngettext("Waiting, {n} before you", "Waiting, {n} before you", update)
                        )
                        if update
                        else ""
                    )
                    yield {self.status: _say(f"{clock.words(batch)} {waits}", bar=batch.steps)}
                    continue
                batch = batch.plus(update)
                if update.examination:
                    batch.write(update.examination, update.row)
                if update.examination and update.examination.stage == Stage.DONE:
                    clock.count_check()
                if clock.due(PAUSE):
                    said = _say(clock.words(batch), bar=batch.steps)
                    yield {self.status: said} | self._drawn(batch)
        except (
            Exception
        ) as error:  # of the batch as a whole: an archive that cannot be used, no weights
            token.check()  # of a page that was closed, the files are gone: that is no error
            yield {self.status: card.failure(*explain(error)), self.stop: gr.update(visible=False)}
            yield self.finish(batch, said=False)
            return
        yield self.finish(batch)

    def finish(self, batch: Batch | None, *, said: bool = True) -> Updates:
        """Offers what is done; also called when somebody stops the batch. said: whether to say how
        it went."""
        left = batch is None or batch.ended().done < batch.total
        buttons: Updates = {
            self.start: gr.update(interactive=left),
            self.stop: gr.update(visible=False),
        }
        if batch is None or not batch.rows:
            return buttons
        batch = batch.ended()
        refused = sum(bool(row.problem) for row in batch.rows)
        words = _(
            MIXED if refused else WHOLE,
            done=number(len(batch.rows) - refused),
            refused=number(refused),
        )
        finished = {self.status: _say(words)} if said else {}
        return buttons | finished | self._drawn(batch)

    def stopping(self, event: gr.EventData) -> Updates:
        """What the page shows at once."""
        return {self.status: _say(_("Stopping.")), self.stop: gr.update(visible=False)}

    def stopped(self, token: CancellationToken, batch: Batch | None) -> Iterator[Updates]:
        """Keeps what is done."""
        updates = self.finish(batch)
        batch = batch or Batch(Path())
        if batch.answered < batch.total or not batch.total:
            how_far = _(ANSWERED, done=number(batch.answered), total=number(batch.total))
        else:
            how_far = _(CHECKED, done=number(batch.done), total=number(batch.total))
        words = _(STOPPED, how_far=how_far, go_on=_("Go on"))
        yield updates | {self.status: _say(words)}

    def open(self, batch: Batch | None, event: gr.EventData) -> str:
        """The full result of the row that was clicked."""
        return batch.open(int(event.index)) if batch else gone()

    def packed(self, kind: Download, batch: Batch | None) -> str | None:
        """The path of one of the downloads, written of what is done by now."""
        return str(batch.download(kind)) if batch and batch.rows else None

    def cleared(self) -> Updates:
        """No result, and nothing that could be examined."""
        buttons = {self.start: gr.update(interactive=False), self.stop: gr.update(visible=False)}
        return self._blank(card.waiting(_(NOTHING))) | buttons

    def _blank(self, status: str) -> Updates:
        return {
            self.status: status,
            **dict.fromkeys((self.table, self.opened, self.listed), ""),
            self.batch: None,
            **{button: gr.update(value=None) for button in self.downloads.values()},
        }

    def _running(self, batch: Batch) -> Updates:
        said = _say(
            _("Looking at the first picture of {total}.", total=number(batch.total)),
            bar=batch.steps,
        )
        buttons = {self.start: gr.update(interactive=False), self.stop: gr.update(visible=True)}
        return self._blank(said) | buttons | {self.batch: batch}

    def _drawn(self, batch: Batch) -> Updates:
        many = _("Files: {n}", n=number(batch.total))
        listed = f"<details class='cc-fold'><summary>{many}</summary></details>"
        return {
            self.table: draw_table(batch.rows, batch.thumbnails, batch.edges, batch.crops),
            self.batch: batch,
            self.listed: listed,
        }


def build_batch_tab(detector: Callable[[], Detector]) -> BatchTab:
    """Builds the tab inside the current Blocks and wires it."""
    intro = _(INTRO, limit=MAX_PICTURES, formats=names(), sizes=sizes())
    with gr.Row(elem_classes="cc-columns"):
        with gr.Column(scale=4, min_width=300):
            # folds the field's own list (assets/review.css)
            listed = gr.HTML(elem_id="batch-listed")
            files = files_input(
                label=_("Pictures, or a zip of them"),
                file_types=[*ENDINGS, ".zip"],
                height=200,
                elem_id="batch-files",
            )
            gr.HTML(
                f"<p class='cc-small'>{_(PROMISE)}</p><p class='cc-small'>{intro}</p>",
                elem_id="batch-intro",
            )
            choose = (
                f"<button type='button' class='cc-do'>{_('Choose a folder')}</button> <span "
                "class='cc-done'></span>"
            )
            gr.HTML(choose, js_on_load=files_script(), elem_id="batch-folder")
            start = gr.Button(_("Go on"), interactive=False, elem_id="batch-start")
            stop = gr.Button(_("Stop, and keep what is done"), visible=False, elem_id="batch-stop")
        with gr.Column(scale=7, min_width=300):
            status = gr.HTML(card.waiting(_(NOTHING)), elem_id="batch-status")
            # Buttons that have a file written of what is done by now, and the hidden ones that then
            # download it.
            with gr.Row(elem_id="batch-downloads"):
                wanted = {
                    kind: gr.Button(_(label), size="sm", min_width=120, elem_id=f"batch-{kind}")
                    for kind, label in DOWNLOADS.items()
                }
            with gr.Row(elem_id="batch-panes"):
                table = gr.HTML(js_on_load=script("table"), elem_id="batch-table")
                opened = gr.HTML(
                    js_on_load=script("row"), elem_id="batch-opened", elem_classes="cc-flush"
                )
            with gr.Row(elem_classes="cc-hidden"):
                downloads = {
                    kind: gr.DownloadButton(_(label), elem_id=f"batch-{kind}-file")
                    for kind, label in DOWNLOADS.items()
                }
    tab = BatchTab(
        detector=detector,
        files=files,
        start=start,
        stop=stop,
        status=status,
        table=table,
        downloads=downloads,
        opened=opened,
        listed=listed,
        batch=gr.State(time_to_live=LIFETIME),
    )
    part, batch, everything = Panel("batch"), tab.batch, tab.shown
    judge: dict[str, Any] = {
        "begin_inputs": [files],
        "inputs": [files, batch],
        "outputs": everything,
        **RUNS,
    }
    part.on([files.upload, start.click], tab.begin, tab.run, **judge)
    part.on(
        [stop.click],
        tab.stopping,
        tab.stopped,
        begin_inputs=[],
        inputs=[batch],
        outputs=everything,
        **RUNS,
    )
    part.off([files.clear], tab.cleared, outputs=everything)
    shown = table.click(tab.open, batch, opened, queue=False, **PRIVATE)
    shown.then(None, js=TO_RESULT, queue=False, **PRIVATE)
    opened.click(None, None, opened, js=BACK, queue=False, **PRIVATE)
    # a zip of 200 takes seconds
    one: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "downloads"}
    for kind, button in wanted.items():
        written = button.click(partial(tab.packed, kind), batch, downloads[kind], **one, **PRIVATE)
        written.success(
            None,
            js=f"() => document.querySelector('#batch-{kind}-file').click()",
            queue=False,
            **PRIVATE,
        )
    return tab


def files_script() -> str:
    """Files on their way into the field: with the limits of this server, and in the reader's
    language."""
    words = {
        "none": _("There is no picture in it."),
        "taken": _("{some} of {all} files are taken."),
        "lost": _("Some of the files did not arrive. Add them again."),
        **sending_words(),
    }
    limits = {"most": MAX_PICTURES, "portion": FILES, "bytes": A_REQUEST * 3 // 4}
    return script("batch", sending_script(), endings=[*ENDINGS, ".zip"], words=words, **limits)


class Clock:
    """When the table is to be drawn again, and how long the rest will take."""

    def __init__(self) -> None:
        self._drawn = float("-inf")
        self._since, self._checked = time.perf_counter(), 0

    def count_check(self) -> None:
        """Notes that it is known of another row whether its answer survives."""
        if not self._checked:  # the first check: from here on, their time counts
            self._since = time.perf_counter()
        self._checked += 1

    def due(self, pause: float) -> bool:
        """Whether the last drawing is so many seconds ago."""
        now = time.perf_counter()
        if now - self._drawn < pause:
            return False
        self._drawn = now
        return True

    def words(self, batch: Batch) -> str:
        """First how many have an answer, then how many are checked."""
        seconds = time.perf_counter() - self._since
        if not self._checked:
            return progress(batch.answered, batch.total, seconds)
        left = batch.total - batch.done
        about = _about(seconds / self._checked * left) if left and self._checked > 1 else ""
        said = CHECKED_LEFT if about else CHECKED
        return _(said, done=number(batch.done), total=number(batch.total), about=about)


def progress(done: int, total: int, seconds: float) -> str:
    """`done` of `total` have an answer after `seconds`, and how long the others take if they are
    like these."""
    about = _about(seconds / done * (total - done)) if 0 < done < total else ""
    return _(
        ANSWERED_LEFT if about else ANSWERED, done=number(done), total=number(total), about=about
    )


def _about(seconds: float) -> str:
    if seconds < 90:
        return ngettext("about {n} second", "about {n} seconds", max(5, 5 * ceil(seconds / 5)))
    return ngettext("about {n} minute", "about {n} minutes", ceil(seconds / 60))


def _begun(before: Batch | None, total: int) -> Batch:
    """The batch of another run, with what was found so far; its folder may have been deleted since
    the last one."""
    if before and before.folder.is_dir():
        return replace(before, total=total, rows=())
    folder = new_folder()
    return replace(before or Batch(folder), folder=folder, total=total, rows=())


def _held(batch: Batch, detector: Detector) -> Batch:
    """The batch; without what was found while another profile was in use."""
    made = detector.profile.made if detector.profile else ""
    calibration = detector.config.calibration
    batch = batch if batch.held == made else Batch(new_folder(), batch.total, held=made)
    return replace(batch, edges=(calibration.low, calibration.threshold, calibration.high))


def _one_by_one(updates: Iterator[RowUpdate]) -> Iterator[RowUpdate | int]:
    """Each behind the verdicts of the other tabs, and with few other pictures in memory; while it
    waits, how many go in before it."""
    while True:
        with PICTURES.ask(Priority.BATCH) as ticket:
            yield from ticket.waits()
            update = next(updates, None)
        if update is None:
            return
        yield update


def _say(sentence: str, *, bar: tuple[int, int] | None = None) -> str:
    """bar: how many steps of how many are done, where more are to come."""
    every = f" data-every='{SPOKEN}'" if bar else ""
    said = f"<p class='cc-said' data-say='{escape(sentence)}'{every}>{escape(sentence)}</p>"
    if bar is None:
        return said
    drawn = f"<progress value='{bar[0]}' max='{bar[1]}' aria-hidden='true'></progress>"
    return f"{said}{drawn}<p class='cc-small'>{card.elapsed()}</p>"
