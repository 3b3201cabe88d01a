"""The tab "Your archive": known photographs are judged, and the threshold is calibrated on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from causalclip.images.formats import ENDINGS, names, sizes
from causalclip.languages import N_, _, any_of, number
from causalclip.profile import BOUNDS, COMMAND, needed
from causalclip.report.card import render
from ui import sending
from ui.cancellation import CancellationToken, Panel
from ui.detector import ChosenDetector, queue_detector
from ui.fields import explain, files_input, new_folder, upload_paths
from ui.server.queue import FILES, PICTURES, Priority, current_session
from ui.server.storage import STORE
from ui.settings import KEPT, PRIVATE, script
from ui.thresholds.archive import MOST, Archive, ProfileChoice

if TYPE_CHECKING:
    from causalclip.thresholds.calibrate import JudgedPicture, UnreadFile

QUEUE: dict[str, Any] = {"concurrency_id": "archive", "concurrency_limit": 1}  # portions of all people take turns
PORTION, BYTES = 20, 100 * 2**20  # files and bytes that are sent at once
INTRO = N_(
    "At most {most} pictures ({formats}; {sizes}). They are sent a few at a time, judged, and deleted from this server "
    "at once. Unlike in Detect, the names of the files go to the server, so that you can tell which were wrongly "
    "called likely generated; they are not logged."
)
KEEPS = N_(
    "The names and answers, and small copies of the pictures that are wrongly called so, are kept until you close the "
    "page, and at most for an hour after you last used this tab."
)
WHY = N_(
    "How often would your own photographs be wrongly called likely generated? Have them judged, and make the answers "
    "on this page keep to what they say. A promise takes many: {needed} photographs for {percents} %."
)
MORE = N_("Add photographs that you know to be real: without them there is no yardstick.")
WAITING = N_("Waiting for the first of these pictures. One archive at a time is judged here.")
FULL = N_("A page takes {most} pictures. For more, use the command: {command}.")
KINDS = {
    "real": N_("Photographs that you know to be real"),
    "generated": N_("Pictures that you know to be generated (you can leave these out)"),
}
Updates = dict[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveTab:
    """The tab's components and callbacks."""

    detector: ChosenDetector
    files: dict[str, gr.File]
    status: gr.HTML
    result: gr.HTML
    archive: gr.State
    at_most: gr.Radio

    def begin(self, event: gr.EventData, archive: Archive | None) -> Updates:
        """What the page shows at once."""
        return {self.status: _status(archive or Archive(), _(WAITING))}

    def run(
        self, token: CancellationToken, payload: Any, archive: Archive | None, at_most: str, *, generated: bool
    ) -> Iterator[Updates]:
        """Judges a portion, deletes its files, and yields how far it is."""
        paths, archive, session = upload_paths(payload), archive or Archive(), current_session()
        try:
            detector = self.detector.own()
            high = detector.config.calibration.high
            judge = queue_detector(detector, verdict=Priority.BATCH, check=token.check)
            for one in _one_by_one(paths[: max(0, MOST - archive.judged)], judge):
                archive = archive.plus(one, generated=generated, high=high)
                yield {self.status: _status(archive), self.archive: archive}
            failed = None
        except Exception as error:
            token.check()  # of a page that was closed, the files are gone: that is no error
            failed = {self.status: _status(archive, explain(error)[1], halt=True)}
        finally:
            STORE.drop(session, paths)
        yield failed or self.drawn(archive.with_portion(), at_most)

    def stopped(self, token: CancellationToken, archive: Archive | None, at_most: str) -> Iterator[Updates]:
        """Keeps what is done."""
        yield self.drawn((archive or Archive()).with_portion(), at_most)

    def drawn(self, archive: Archive, at_most: str) -> Updates:
        """What has been found so far; fields are empty for the next portion."""
        shown = {self.status: _status(archive), self.result: self.shown(archive, at_most), self.archive: archive}
        return shown | dict.fromkeys(self.files.values())

    def shown(self, archive: Archive | None, at_most: str) -> str:
        """The findings, the histogram and the photographs that were called generated, as HTML."""
        if archive is None or not archive.judged:
            return ""
        if archive.real:
            return f"<section>{archive.calibration(self.detector.own(), share(at_most)).section()}</section>"
        from causalclip.thresholds.report import LEFT_OUT

        left_out = f"{_(LEFT_OUT, n=number(len(archive.unanswered)))} " if archive.unanswered else ""
        return f"<p class='cc-said'>{escape(left_out + _(MORE))}</p>"

    def cleared(self) -> Updates:
        """Nothing is known any more."""
        return {self.status: _status(Archive()), self.result: "", self.archive: None} | dict.fromkeys(
            self.files.values()
        )

    def summary(self, archive: Archive | None, at_most: str) -> str | None:
        """The path of summary.html."""
        if archive is None or not archive.real:
            return None
        path = new_folder("summary") / "summary.html"
        with FILES.enter(Priority.BATCH):
            page = archive.calibration(self.detector.own(), share(at_most)).page()
        path.write_text(page, encoding="utf-8", errors="replace")
        return str(path)

    def profile(self, archive: Archive | None, at_most: str) -> str | None:
        """The path of profile.json."""
        if archive is None or not archive.real:
            return None
        path = new_folder("profile") / "profile.json"
        with FILES.enter(Priority.BATCH):
            archive.profile(self.detector.own(), share(at_most)).write(path)
        return str(path)


def build_archive_tab(tab: gr.Tab, detector: ChosenDetector) -> ArchiveTab:
    """Builds the content of `tab` inside the current Blocks and wires it."""
    with gr.Row(elem_classes="cc-columns"):
        with gr.Column(scale=4, min_width=300):
            gr.HTML(f"<p>{_why()}</p>{chooser()}", js_on_load=chooser_script(), elem_id="archive-chooser")
            gr.HTML(f"<p class='cc-small'>{_intro()}</p>", elem_id="archive-intro")
            stop = gr.Button(_("Stop, and keep what is done"), elem_id="archive-stop")
            with gr.Row(elem_classes="cc-hidden"):
                options: dict[str, Any] = {"file_types": [*ENDINGS], "label": _("Pictures")}
                files = {kind: files_input(**options, elem_id=f"archive-{kind}-files") for kind in KINDS}
        with gr.Column(scale=7, min_width=300):
            status = gr.HTML(_status(Archive()), elem_id="archive-status")
            result = gr.HTML(elem_id="archive-result")
            with gr.Column(elem_id="archive-further"):
                at_most = gr.Radio(
                    [*map(_percent, BOUNDS)],
                    value=_percent(BOUNDS[0]),
                    label=_("Of 100 real photographs like these, call likely generated at most"),
                    elem_id="archive-promise",
                )
                with gr.Row():
                    use = gr.Button(_("Use it on this page"), elem_id="archive-use")
                    labels = {"profile": _("Download the profile"), "summary": _("Download the summary (HTML)")}
                    wanted = {name: gr.Button(label, elem_id=f"archive-{name}") for name, label in labels.items()}
                    clear = gr.Button(_("Forget this archive"), elem_id="archive-clear")
            in_use = gr.HTML(elem_id="archive-in-use")
            with gr.Row():
                given = files_input(
                    file_types=[".json"], label=_("Use a profile that you have"), height=160, elem_id="archive-given"
                )
                release = gr.Button(_("Use none"), elem_id="archive-release")
            with gr.Row(elem_classes="cc-hidden"):
                ready = {name: gr.DownloadButton(name, elem_id=f"archive-{name}-file") for name in wanted}
    archive = gr.State(time_to_live=KEPT)
    built = ArchiveTab(detector=detector, files=files, status=status, result=result, archive=archive, at_most=at_most)
    _wire_runs(built, stop, clear)
    drawn: dict[str, Any] = {"queue": False, **PRIVATE}
    at_most.change(built.shown, [archive, at_most], result, **drawn)
    for name, button in wanted.items():
        written = button.click(getattr(built, name), [archive, at_most], ready[name], **drawn)
        written.success(None, js=f"() => document.querySelector('#archive-{name}-file').click()", **drawn)
    choice = ProfileChoice(detector)

    def use_own(archive: Archive | None, at_most: str) -> str:
        if archive is None or not archive.real:
            return choice.said()
        return choice.use(archive.profile(detector.own(), share(at_most)))

    use.click(use_own, [archive, at_most], in_use, **drawn)
    given.upload(choice.load, given, [in_use, given], preprocess=False, **drawn)
    release.click(choice.release, None, in_use, **drawn)
    tab.select(choice.said, None, in_use, **drawn)
    return built


def _wire_runs(tab: ArchiveTab, stop: gr.Button, clear: gr.Button) -> None:
    part = Panel("archive")
    outputs: list[Any] = [tab.status, tab.result, tab.archive, *tab.files.values()]
    kept: list[Any] = [tab.archive, tab.at_most]
    for kind, field in tab.files.items():
        run = partial(tab.run, generated=kind == "generated")
        part.on([field.upload], tab.begin, run, given=[tab.archive], inputs=[field, *kept], outputs=outputs, **QUEUE)
    part.on([stop.click], tab.begin, tab.stopped, given=[tab.archive], inputs=kept, outputs=outputs)
    part.off([clear.click], tab.cleared, outputs=outputs)


def chooser() -> str:
    """As HTML: a place for each kind of picture, and how far it is."""
    return render("chooser", template="archive.html", kinds=KINDS)


def chooser_script() -> str:
    """With this server's limits, in the reader's language."""
    words = {
        "none": _("There is no picture in it."),
        "full": _(FULL, most=number(MOST), command=COMMAND),
        "done": _("{done} of {total} judged.", done="{done}", total="{total}"),
        "left": _("About {n} minutes left.", n="{n}"),
        "lost": _("Some of the pictures did not arrive. Choose them again."),
        **sending.words(),
    }
    limits = {"most": MOST, "portion": PORTION, "bytes": BYTES}
    return script("archive", sending.files(), endings=ENDINGS, words=words, **limits)


def share(at_most: str) -> float:
    """The bound that was chosen; a client may send anything."""
    return next((bound for bound in BOUNDS if _percent(bound) == at_most), BOUNDS[0])


def _percent(bound: float) -> str:
    return f"{100 * bound:g}"


def _one_by_one(paths: list[str], detector: Any) -> Iterator[JudgedPicture | UnreadFile]:
    """Each behind the pictures of all other tabs; none is in memory while another is judged."""
    from causalclip.thresholds.calibrate import judge, read_members

    found = judge(read_members((Path(path).name, path) for path in paths), detector, ahead=0)
    while True:
        with PICTURES.enter(Priority.CALIBRATION):
            one = next(found, None)
        if one is None:
            return
        yield one


def _status(archive: Archive, sentence: str = "", *, halt: bool = False) -> str:
    """How many have been judged; assets/archive.js reads it."""
    data = f"data-judged='{archive.judged}' data-portions='{archive.portions}'{' data-halt' if halt else ''}"
    return f"<div {data}><p class='cc-said' role='status' aria-live='polite'>{escape(sentence)}</p></div>"


def _why() -> str:
    fewest = any_of([number(needed(bound)) for bound in BOUNDS])
    return escape(_(WHY, needed=fewest, percents=any_of([*map(_percent, BOUNDS)])))


def _intro() -> str:
    return escape(f"{_(INTRO, most=number(MOST), formats=names(), sizes=sizes())} {_(KEEPS)}")
