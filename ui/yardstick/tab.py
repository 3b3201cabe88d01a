"""The tab "Your archive": known photographs are judged, and become the yardstick of what is judged later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from causalclip.languages import N_, _, any_of, number
from causalclip.pictures.formats import ENDINGS, ImageError, names, sizes
from causalclip.pictures.loading import read_file
from causalclip.promise import PROMISES, needed
from ui.server.files import files_input, new_folder, upload_paths
from ui.server.lazy import Held
from ui.server.problems import explain
from ui.server.queue import FILES, PICTURES, Priority, current_session, queue_detector
from ui.server.store import STORE
from ui.server.turns import Part, Turn
from ui.settings import KEPT, PRIVATE
from ui.yardstick.chooser import KINDS, chooser, script
from ui.yardstick.kept import MOST, Archive
from ui.yardstick.profiles import Profiles, write_profile

if TYPE_CHECKING:
    from causalclip.pictures.archives import Member
    from causalclip.yardstick.looking import Looked, Refused

QUEUE: dict[str, Any] = {"concurrency_id": "yardstick", "concurrency_limit": 1}  # portions of all people take turns
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
Updates = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class YardstickTab:
    """The tab's components and callbacks."""

    detector: Held
    files: dict[str, gr.File]
    status: gr.HTML
    result: gr.HTML
    archive: gr.State
    at_most: gr.Radio

    def begin(self, event: gr.EventData, archive: Archive | None) -> Updates:
        """What the page shows at once."""
        return {self.status: _status(archive or Archive(), _(WAITING))}

    def run(
        self, turn: Turn, payload: Any, archive: Archive | None, at_most: str, *, generated: bool
    ) -> Iterator[Updates]:
        """Judges a portion, deletes its files, and yields how far it is."""
        paths, archive, session = upload_paths(payload), archive or Archive(), current_session() or ""
        try:
            detector = self.detector.own()
            high = detector.config.calibration.high
            judge = queue_detector(detector, verdict=Priority.BATCH, check=turn.check)
            for one in _one_by_one(_members(paths[: max(0, MOST - archive.judged)]), judge):
                archive = archive.plus(one, generated=generated, high=high)
                yield {self.status: _status(archive), self.archive: archive}
            ended = None
        except Exception as error:
            turn.check()  # of a page that was closed, the files are gone: that is no error
            ended = {self.status: _status(archive, explain(error)[1], halt=True)}
        finally:
            STORE.drop(session, paths)
        yield ended or self.drawn(archive.with_portion(), at_most)

    def stopped(self, turn: Turn, archive: Archive | None, at_most: str) -> Iterator[Updates]:
        """Keeps what is done."""
        yield self.drawn((archive or Archive()).with_portion(), at_most)

    def drawn(self, archive: Archive, at_most: str) -> Updates:
        """What has been found so far; fields are empty for the next portion."""
        result = self.shown(archive, at_most)
        empty = dict.fromkeys(self.files.values())
        return {self.status: _status(archive), self.result: result, self.archive: archive, **empty}

    def shown(self, archive: Archive | None, at_most: str) -> str:
        """The findings, the histogram and the accused photographs, as HTML."""
        from causalclip.yardstick.making import LEFT_OUT
        from causalclip.yardstick.page import as_section

        if archive is None or not archive.judged:
            return ""
        if not archive.real:
            left_out = f"{_(LEFT_OUT, n=number(len(archive.unanswered)))} " if archive.unanswered else ""
            return f"<p class='cc-said'>{escape(left_out + _(MORE))}</p>"
        return f"<section>{as_section(**self._findings(archive, at_most))}</section>"

    def cleared(self) -> Updates:
        """Nothing is known any more."""
        empty = dict.fromkeys(self.files.values())
        return {self.status: _status(Archive()), self.result: "", self.archive: None, **empty}

    def summary(self, archive: Archive | None, at_most: str) -> str | None:
        """The path of summary.html."""
        from causalclip.yardstick.page import as_page

        if archive is None or not archive.real:
            return None
        path = new_folder("summary") / "summary.html"
        with FILES.enter(Priority.BATCH):
            page = as_page(**self._findings(archive, at_most))
        path.write_text(page, encoding="utf-8", errors="replace")
        return str(path)

    def profile(self, archive: Archive | None, at_most: str) -> str | None:
        """The path of profile.json."""
        if archive is None or not archive.real:
            return None
        with FILES.enter(Priority.BATCH):
            return write_profile(archive.profile(self.detector.own(), share(at_most)), new_folder("profile"))

    def _findings(self, archive: Archive, at_most: str) -> dict[str, Any]:
        from causalclip.yardstick.making import findings

        detector = self.detector.own()
        profile, shipped = archive.profile(detector, share(at_most)), detector.config.calibration.high
        left_out = len(archive.unanswered)
        said = findings(profile, shipped=shipped, at_most=share(at_most), left_out=left_out)
        found = {"looked": archive.real, "refused": archive.refused}
        return {"said": said, "shipped": shipped, "high": profile.high(shipped), **found}


def build_yardstick_tab(tab: gr.Tab, detector: Held) -> YardstickTab:
    """Builds the content of `tab` inside the current Blocks and wires it."""
    profiles = Profiles(detector)
    with gr.Row(elem_classes="cc-columns"):
        with gr.Column(scale=4, min_width=300):
            gr.HTML(f"<p>{_why()}</p>{chooser()}", js_on_load=script(), elem_id="yardstick-chooser")
            gr.HTML(f"<p class='cc-small'>{_intro()}</p>", elem_id="yardstick-intro")
            stop = gr.Button(_("Stop, and keep what is done"), elem_id="yardstick-stop")
            with gr.Row(elem_classes="cc-hidden"):
                options: dict[str, Any] = {"file_types": [*ENDINGS], "label": _("Pictures")}
                files = {kind: files_input(**options, elem_id=f"yardstick-{kind}-files") for kind in KINDS}
        with gr.Column(scale=7, min_width=300):
            status = gr.HTML(_status(Archive()), elem_id="yardstick-status")
            result = gr.HTML(elem_id="yardstick-result")
            with gr.Column(elem_id="yardstick-further"):
                at_most = gr.Radio(
                    [f"{100 * promise:g}" for promise in PROMISES],
                    value=f"{100 * PROMISES[0]:g}",
                    label=_("Of 100 real photographs like these, call likely generated at most"),
                    elem_id="yardstick-promise",
                )
                with gr.Row():
                    use = gr.Button(_("Use it on this page"), elem_id="yardstick-use")
                    wanted = {
                        name: gr.Button(label, elem_id=f"yardstick-{name}") for name, label in _downloads().items()
                    }
                    clear = gr.Button(_("Forget this archive"), elem_id="yardstick-clear")
            in_use = gr.HTML(elem_id="yardstick-in-use")
            with gr.Row():
                given = files_input(
                    file_types=[".json"], label=_("Use a profile that you have"), height=160, elem_id="yardstick-given"
                )
                release = gr.Button(_("Use none"), elem_id="yardstick-release")
            with gr.Row(elem_classes="cc-hidden"):
                ready = {name: gr.DownloadButton(name, elem_id=f"yardstick-{name}-file") for name in wanted}
    archive = gr.State(time_to_live=KEPT)
    built = YardstickTab(detector, files, status, result, archive, at_most)
    _wire(built, stop, clear)
    drawn: dict[str, Any] = {"queue": False, **PRIVATE}
    at_most.change(built.shown, [archive, at_most], result, **drawn)
    for name, button in wanted.items():
        written = button.click(getattr(built, name), [archive, at_most], ready[name], **drawn)
        written.success(None, js=f"() => document.querySelector('#yardstick-{name}-file').click()", **drawn)

    def use_own(archive: Archive | None, at_most: str) -> str:
        if archive is None or not archive.real:
            return profiles.said()
        return profiles.use(archive.profile(detector.own(), share(at_most)))

    use.click(use_own, [archive, at_most], in_use, **drawn)
    given.upload(profiles.load, given, [in_use, given], preprocess=False, **drawn)
    release.click(profiles.release, None, in_use, **drawn)
    tab.select(profiles.said, None, in_use, **drawn)
    return built


def _wire(tab: YardstickTab, stop: gr.Button, clear: gr.Button) -> None:
    part = Part("yardstick")
    outputs: list[Any] = [tab.status, tab.result, tab.archive, *tab.files.values()]
    kept: list[Any] = [tab.archive, tab.at_most]
    for kind, field in tab.files.items():
        run = partial(tab.run, generated=kind == "generated")
        part.on([field.upload], tab.begin, run, given=[tab.archive], inputs=[field, *kept], outputs=outputs, **QUEUE)
    part.on([stop.click], tab.begin, tab.stopped, given=[tab.archive], inputs=kept, outputs=outputs)
    part.off([clear.click], tab.cleared, outputs=outputs)


def share(at_most: str) -> float:
    """The promise that was chosen; a client may send anything."""
    return next((promise for promise in PROMISES if f"{100 * promise:g}" == at_most), PROMISES[0])


def _members(paths: Iterable[str]) -> Iterator[Member]:
    for path in paths:
        try:
            yield Path(path).name, read_file(path)
        except ImageError as error:
            yield Path(path).name, error


def _one_by_one(members: Iterator[Member], detector: Any) -> Iterator[Looked | Refused]:
    """Each behind the pictures of all other tabs; none is in memory while another is judged."""
    from causalclip.yardstick.looking import look

    found = look(members, detector, ahead=0)
    while True:
        with PICTURES.enter(Priority.YARDSTICK):
            one = next(found, None)
        if one is None:
            return
        yield one


def _status(archive: Archive, sentence: str = "", *, halt: bool = False) -> str:
    """How many have been judged; the script of the chooser reads it."""
    data = f"data-judged='{archive.judged}' data-portions='{archive.portions}'{' data-halt' if halt else ''}"
    return f"<div {data}><p class='cc-said' role='status' aria-live='polite'>{escape(sentence)}</p></div>"


def _downloads() -> dict[str, str]:
    return {"profile": _("Download the profile"), "summary": _("Download the summary (HTML)")}


def _why() -> str:
    fewest = any_of([number(needed(promise)) for promise in PROMISES])
    return escape(_(WHY, needed=fewest, percents=any_of([f"{100 * promise:g}" for promise in PROMISES])))


def _intro() -> str:
    return escape(f"{_(INTRO, most=number(MOST), formats=names(), sizes=sizes())} {_(KEEPS)}")
