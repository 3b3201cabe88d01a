"""The Batch tab: many pictures, a folder or a zip of them; a table that fills as it goes, and files
to download: the table, a summary and all reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from itertools import chain
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from causalclip.batch import BatchRow, RowUpdate, collect, count, examine_all
from causalclip.examination.result import Stage
from causalclip.images.formats import ENDINGS, UnsupportedImage, names, sizes
from causalclip.images.zips import MAX_PICTURES, Member
from causalclip.languages import N_, _, ended, ngettext, number
from causalclip.reference import Profile
from causalclip.report import card
from ui.errors import explain
from ui.fields import (
    AT_ONCE,
    GONE,
    LIFETIME,
    PRIVATE,
    PROMISE,
    RUNS,
    existing_and_missing,
    files_input,
)
from ui.jobs import Job, Waiting
from ui.panel import Panel, PanelRequest, Updates
from ui.places import PICTURES, Priority
from ui.scripts import script, sending_script, sending_words
from ui.server.uploads import MAX_FILES, MAX_REQUEST_BYTES, new_folder
from ui.tabs.batch.handover import add_handover
from ui.tabs.batch.results import DOWNLOADS, Batch, Download, no_result
from ui.tabs.batch.table import draw_table
from ui.tabs.check.tab import CheckTab

if TYPE_CHECKING:
    from causalclip.detector import Detector

INTRO = N_(
    "Up to {limit} pictures ({formats}; {sizes}), a folder, or a zip of them. More can be added; "
    "what is examined already is not examined again. Unlike in the other tabs, the names of the "
    "files go to this server, too, so that the rows can be told apart; they are not logged."
)
TITLE = N_("Many pictures at once")
NOTHING = N_(
    "Add pictures, a folder or a zip. Each gets a row and an answer here, and after that it is "
    "checked which answers survive re-encoding. A file that cannot be read costs its own row only."
)
FINISHED = N_("Finished: {done} examined.")
MIXED = N_("Finished: {done} examined, {refused} could not be.")
STOPPED = N_("Stopped. What was done is kept: {how_far} “{go_on}” examines the rest.")
ANSWERED = N_("{done} of {total} have an answer.")
ANSWERED_LEFT = N_("{done} of {total} have an answer, {about} left.")
CHECKED = N_("All {total} answered. Testing copies: {done} of {total}.")
CHECKED_LEFT = N_("All {total} answered. Testing copies: {done} of {total}, {about} left.")
READY = N_("{done} of {total} ready")
TO_RESULT = "() => document.querySelector('#batch-opened h2')?.focus()"
BACK = (
    "() => { document.querySelector('#batch-table [data-opened] .cc-open')?.focus(); return ''; }"
)
PAUSE = 1.0  # seconds between two drawings of the table: each is sent as a whole
# seconds from one time that a screen reader says how far it is to the next (assets/upload.js)
SPOKEN = 20
MIN_MEASURED_ROWS = 3  # from which on it is said how long the others take


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTab:
    """The tab's components and callbacks.

    Attributes:
        detector: returns the loaded detector; may raise WeightsMissing.
        ready: how many rows the downloads have whole, until they have all.
        all_reports: the button of the zip, closed while a run adds to it.
        row_result: the full result of the row that was clicked.
        file_list: folds the field's own list of files.
        batch: holds the Batch of the page.
    """

    detector: Callable[[], Detector]
    files: gr.File
    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    table: gr.HTML
    ready: gr.HTML
    all_reports: gr.Button
    downloads: dict[Download, gr.DownloadButton]
    row_result: gr.HTML
    file_list: gr.HTML
    batch: gr.State

    @property
    def outputs(self) -> list[Any]:
        """All fields that a run may change."""
        buttons = [*self.downloads.values(), self.all_reports, self.start, self.stop]
        results = [self.table, self.ready, self.row_result, self.file_list, self.batch]
        return [self.status, *results, *buttons]

    def begin(self, event: gr.EventData, payload: Any) -> Updates:
        """Return what the page shows at once; what was found of the same files stays known."""
        if not payload:
            return self.cleared()
        status = _status_html(_("Waiting for the first picture."), bar=(0, 1))
        return self._blank(status) | {self.batch: gr.skip()}

    def run(
        self, request: PanelRequest, payload: Any, before: Batch | None = None
    ) -> Iterator[Updates]:
        """Examine all uploads and yield the table as it fills.

        before: what an earlier run has left.
        """
        # 1. What there is to examine.
        paths, missing = existing_and_missing(payload)
        if not paths and not missing:
            yield self.cleared()
            return
        batch = before
        clock = Clock()
        # 2. Row by row, of files that are gone, too.
        try:
            batch = _for_run(before, count(paths) + len(missing), paths)
            yield self._start(batch)
            detector = self.detector()
            batch = _under_profile(batch, detector, paths)
            missing_files = [(Path(path).name, UnsupportedImage(_(GONE))) for path in missing]
            work = partial(
                _examine_rows,
                files=lambda: chain(collect(paths), missing_files),
                detector=detector,
                final_rows=batch.final_rows,
            )
            for update in Job(work, request.is_newest).read():
                if isinstance(update, Waiting):
                    sentence = f"{clock.words(batch)} {_before_you(update.before)}"
                    yield {self.status: _status_html(sentence, bar=batch.steps)}
                    continue
                batch = _with_update(batch, update, clock)
                if clock.due():
                    status = _status_html(clock.words(batch), bar=batch.steps)
                    yield {self.status: status} | self._table(batch)
        # 3. What concerns the batch as a whole, such as missing weights; or the end.
        except Exception as error:
            request.check()  # of a page that was closed, the files are gone: that is no error
            yield {self.status: card.failure(*explain(error)), self.stop: gr.update(visible=False)}
            yield self.finish(batch, with_summary=False)
            return
        yield self.finish(batch)

    def finish(self, batch: Batch | None, *, with_summary: bool = True) -> Updates:
        """Return the page as it stays after a run, or after somebody stopped it.

        with_summary: whether the status says how the run went.
        """
        has_rest = batch is None or batch.with_checks_ended().done < batch.total
        buttons: Updates = {
            self.start: gr.update(interactive=has_rest),
            self.stop: gr.update(visible=False),
            self.all_reports: gr.update(interactive=True),
        }
        if batch is None or not batch.rows:
            return buttons
        batch = batch.with_checks_ended()
        failures = sum(bool(row.problem) for row in batch.rows)
        words = _(
            MIXED if failures else FINISHED,
            done=number(len(batch.rows) - failures),
            refused=number(failures),
        )
        summary = {self.status: _status_html(words)} if with_summary else {}
        return buttons | summary | self._table(batch)

    def begin_stop(self, event: gr.EventData) -> Updates:
        """Return what the page shows at once when somebody stops the run."""
        return {self.status: _status_html(_("Stopping.")), self.stop: gr.update(visible=False)}

    def stop_run(self, request: PanelRequest, batch: Batch | None) -> Iterator[Updates]:
        """Yield the page as it stays after a run that somebody stopped."""
        updates = self.finish(batch)
        batch = batch or Batch(Path())
        if batch.answered < batch.total or not batch.total:
            how_far = _(ANSWERED, done=number(batch.answered), total=number(batch.total))
        else:
            how_far = _(CHECKED, done=number(batch.done), total=number(batch.total))
        words = _(STOPPED, how_far=how_far, go_on=_("Go on"))
        yield updates | {self.status: _status_html(words)}

    def open(self, batch: Batch | None, event: gr.EventData) -> str:
        """Return the full result of the row that was clicked, as HTML."""
        return batch.open(int(event.index)) if batch else no_result()

    def write_download(self, form: Download, batch: Batch | None) -> str | None:
        """Write one of the downloads, of what is done by now; return its path, None without a
        row."""
        if batch is None or not batch.rows:
            return None
        if not batch.folder.is_dir():  # it has gone with the oldest of the files
            raise gr.Error(_(GONE), print_exception=False)
        return str(batch.download(form))

    def cleared(self) -> Updates:
        """Return the page without a result, and without anything that could be examined."""
        buttons = {self.start: gr.update(interactive=False), self.stop: gr.update(visible=False)}
        return self._blank(card.waiting(_(TITLE), _(NOTHING))) | buttons

    def _blank(self, status: str) -> Updates:
        """Return the page without a result, with this status."""
        return {
            self.status: status,
            **dict.fromkeys((self.table, self.row_result, self.file_list), ""),
            self.batch: None,
            **{button: gr.update(value=None) for button in self.downloads.values()},
        }

    def _start(self, batch: Batch) -> Updates:
        """Return the page when a run starts."""
        status = _status_html(
            _("Looking at the first picture of {total}.", total=number(batch.total)),
            bar=batch.steps,
        )
        buttons = {
            self.start: gr.update(interactive=False),
            self.stop: gr.update(visible=True),
            self.all_reports: gr.update(interactive=False),
        }
        return self._blank(status) | buttons | {self.batch: batch}

    def _table(self, batch: Batch) -> Updates:
        """Return the table of the rows so far, how many there will be, and how many are whole."""
        many = _("Files: {n}", n=number(batch.total))
        ready = _(READY, done=number(batch.done), total=number(batch.total))
        file_list = f"<details class='cc-fold'><summary>{many}</summary></details>"
        return {
            self.table: draw_table(batch.rows, batch.thumbnails, batch.edges, batch.crops),
            self.ready: f"<p class='cc-small'>{ready}</p>" if batch.done < batch.total else "",
            self.batch: batch,
            self.file_list: file_list,
        }


def build_batch_tab(
    detector: Callable[[], Detector], check: CheckTab | None = None, tabs: gr.Tabs | None = None
) -> BatchTab:
    """Build the tab inside the current Blocks and wire it.

    Args:
        check: the tab of the page that judges a photograph inside a row's picture.
        tabs: all tabs of the page.
    """
    # 1. The files, and beside them their table.
    intro = _(INTRO, limit=MAX_PICTURES, formats=names(), sizes=sizes())
    with gr.Row(elem_classes="cc-columns"):
        with gr.Column(scale=4, min_width=300):
            # folds the field's own list (assets/review.css)
            file_list = gr.HTML(elem_id="batch-listed")
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
                f"<button type='button' class='cc-do cc-add'>{_('Choose pictures')}</button> "
                f"<button type='button' class='cc-do cc-folder'>{_('Choose a folder')}</button> "
                "<span class='cc-done'></span>"
            )
            gr.HTML(choose, js_on_load=_files_script(), elem_id="batch-folder")
            start = gr.Button(_("Go on"), interactive=False, elem_id="batch-start")
            stop = gr.Button(_("Stop, and keep what is done"), visible=False, elem_id="batch-stop")
        with gr.Column(scale=7, min_width=300):
            status = gr.HTML(card.waiting(_(TITLE), _(NOTHING)), elem_id="batch-status")
            # Buttons that have a file written of what is done by now, and the hidden ones that then
            # download it.
            with gr.Row(elem_id="batch-downloads"):
                # review.css draws the rows as what is chosen: nothing is sent for it
                gr.Radio(
                    [(_("Contact sheet"), "sheet"), (_("Table"), "table")],
                    value="sheet",
                    label=_("Show the pictures as"),
                    show_label=False,
                    container=False,
                    interactive=True,
                    elem_id="batch-view",
                )
                buttons = {
                    form: gr.Button(_(label), size="sm", min_width=120, elem_id=f"batch-{form}")
                    for form, label in DOWNLOADS.items()
                }
                ready = gr.HTML(elem_id="batch-ready")
            with gr.Row(elem_id="batch-panes"):
                table = gr.HTML(js_on_load=script("table"), elem_id="batch-table")
                row_result = gr.HTML(
                    js_on_load=script("row"), elem_id="batch-opened", elem_classes="cc-flush"
                )
            with gr.Row(elem_classes="cc-hidden"):
                downloads = {
                    form: gr.DownloadButton(_(label), elem_id=f"batch-{form}-file")
                    for form, label in DOWNLOADS.items()
                }
    tab = BatchTab(
        detector=detector,
        files=files,
        start=start,
        stop=stop,
        status=status,
        table=table,
        ready=ready,
        all_reports=buttons["zip"],
        downloads=downloads,
        row_result=row_result,
        file_list=file_list,
        batch=gr.State(time_to_live=LIFETIME),
    )
    # 2. Who listens to what.
    _wire_runs(tab)
    _wire_results(tab, buttons)
    if check is not None and tabs is not None:
        selected = [tab.table.select, tab.row_result.select]
        add_handover(check, tabs, selected, tab.files, tab.batch)
    return tab


def _wire_runs(tab: BatchTab) -> None:
    """Wire what starts a run and what ends it."""
    panel = Panel("batch")
    options: dict[str, Any] = {"outputs": tab.outputs, **RUNS}
    panel.on(
        [tab.files.upload, tab.start.click],
        tab.begin,
        tab.run,
        begin_inputs=[tab.files],
        inputs=[tab.files, tab.batch],
        **options,
    )
    panel.on(
        [tab.stop.click],
        tab.begin_stop,
        tab.stop_run,
        begin_inputs=[],
        inputs=[tab.batch],
        **options,
    )
    panel.off([tab.files.clear], tab.cleared, outputs=tab.outputs)


def _wire_results(tab: BatchTab, buttons: dict[Download, gr.Button]) -> None:
    """Wire what is read and downloaded of a batch."""
    opening = tab.table.click(tab.open, tab.batch, tab.row_result, **AT_ONCE)
    opening.then(None, js=TO_RESULT, **AT_ONCE)
    tab.row_result.click(None, None, tab.row_result, js=BACK, **AT_ONCE)
    # a zip of 200 takes seconds
    one: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "downloads", **PRIVATE}
    for form, button in buttons.items():
        write = partial(tab.write_download, form)
        writing = button.click(write, tab.batch, tab.downloads[form], **one)
        writing.success(
            None, js=f"() => document.querySelector('#batch-{form}-file').click()", **AT_ONCE
        )


def _files_script() -> str:
    """Return the script that sends files to the field, with the limits of this server, in the
    reader's language."""
    words = {
        "none": _("There is no picture in it."),
        "taken": _("{some} of {all} files are taken."),
        "lost": _("Some of the files did not arrive. Add them again."),
        **sending_words(),
    }
    limits = {"most": MAX_PICTURES, "portion": MAX_FILES, "bytes": MAX_REQUEST_BYTES * 3 // 4}
    return script("batch", sending_script(), endings=[*ENDINGS, ".zip"], words=words, **limits)


class Clock:
    """The clock of a run: when the table is to be drawn again, and how long the rest will take."""

    def __init__(self) -> None:
        self._drawn = float("-inf")
        self._since = time.perf_counter()
        self._checked = 0

    def count_check(self) -> None:
        """Note that it is known of another row whether its answer survives."""
        if not self._checked:  # the first check: from here on, their time counts
            self._since = time.perf_counter()
        self._checked += 1

    def due(self) -> bool:
        """Return whether the table was last drawn PAUSE ago; if so, it is drawn now."""
        now = time.perf_counter()
        if now - self._drawn < PAUSE:
            return False
        self._drawn = now
        return True

    def words(self, batch: Batch) -> str:
        """Return how far the batch is: first how many have an answer, then how many are checked."""
        seconds = time.perf_counter() - self._since
        if batch.answered < batch.total:
            return progress(batch.answered, batch.total, seconds)
        rows_left = batch.total - batch.done
        about = (
            _about(seconds / self._checked * rows_left) if rows_left and self._checked > 1 else ""
        )
        sentence = CHECKED_LEFT if about else CHECKED
        return _(sentence, done=number(batch.done), total=number(batch.total), about=about)


def progress(rows: int, total: int, seconds: float) -> str:
    """Return how many rows of `total` have an answer after `seconds`, and how long the others take
    if they are like these; not from the first ones alone, which may wait for the model."""
    is_known = MIN_MEASURED_ROWS <= rows < total
    about = _about(seconds / rows * (total - rows)) if is_known else ""
    return _(
        ANSWERED_LEFT if about else ANSWERED, done=number(rows), total=number(total), about=about
    )


def _before_you(count: int) -> str:
    if not count:
        return ""
    return ended(ngettext("Waiting, {n} before you", "Waiting, {n} before you", count))


def _about(seconds: float) -> str:
    """Return a time in words, in steps of 5 s or in minutes."""
    if seconds < 90:
        return ngettext("about {n} second", "about {n} seconds", max(5, 5 * ceil(seconds / 5)))
    return ngettext("about {n} minute", "about {n} minutes", ceil(seconds / 60))


def _for_run(before: Batch | None, total: int, paths: list[str]) -> Batch:
    """Return the batch for another run, with what was found so far; its folder may have been
    deleted since the last run."""
    if before and before.folder.is_dir():
        return replace(before, total=total, rows=())
    folder = new_folder(*paths)
    return replace(before or Batch(folder), folder=folder, total=total, rows=())


def _under_profile(batch: Batch, detector: Detector, paths: list[str]) -> Batch:
    """Return the batch without what was found while another profile was in use."""
    profile = detector.correction
    profile_date = profile.made if isinstance(profile, Profile) else ""
    if batch.profile_date != profile_date:
        batch = Batch(new_folder(*paths), batch.total, profile_date=profile_date)
    calibration = detector.config.calibration
    return replace(batch, edges=(calibration.low, calibration.threshold, calibration.high))


def _with_update(batch: Batch, update: RowUpdate, clock: Clock) -> Batch:
    """Return the batch with a row as it is now, whose files are written."""
    if update.examination:
        batch.write(update.examination, update.row)
        if update.examination.stage == Stage.DONE:
            clock.count_check()
    return batch.with_row(update)


def _examine_rows(
    job: Job[RowUpdate],
    files: Callable[[], Iterable[Member]],
    detector: Detector,
    final_rows: Mapping[tuple[str, str], BatchRow],
) -> Iterator[RowUpdate]:
    """Yield the updates of the rows, each behind the verdicts of the other tabs, and with few other
    pictures in memory; arguments as of `examine_all`."""
    queued = job.look_by_look(lambda: detector, Priority.BATCH)
    yield from job.step(PICTURES, Priority.BATCH, examine_all(files, queued, final_rows))


def _status_html(sentence: str, *, bar: tuple[int, int] | None = None) -> str:
    """Return a status of a run, as HTML.

    bar: how many steps of how many are done, where more are to come.
    """
    every = f" data-every='{SPOKEN}'" if bar else ""
    words = f"<p class='cc-said' data-say='{escape(sentence)}'{every}>{escape(sentence)}</p>"
    if bar is None:
        return words
    progress_bar = f"<progress value='{bar[0]}' max='{bar[1]}' aria-hidden='true'></progress>"
    return f"{words}{progress_bar}<p class='cc-small'>{card.elapsed()}</p>"
