"""The tab "Your pictures": known photographs are judged, and the threshold is fitted to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from causalclip.images.formats import ENDINGS, names, sizes
from causalclip.languages import N_, _, decimal, in_turn, number, paragraph, percent
from causalclip.measured import measured
from causalclip.private_head import MIN_PICTURES_PER_CLASS
from causalclip.reference import BOUNDS, COMMAND, photographs_needed
from causalclip.report.templates import render
from ui.detector import ChosenDetector
from ui.errors import explain
from ui.fields import AT_ONCE, LIFETIME, files_input, upload_paths
from ui.jobs import Job, Waiting, run_in
from ui.panel import Panel, PanelRequest, Updates
from ui.places import FILES, PICTURES, Priority
from ui.scripts import script, sending_script, sending_words
from ui.server import uploads
from ui.server.uploads import new_folder
from ui.tabs.reference.session import MAX_PICTURES, ProfileChoice, ReferenceSet

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.reference_set import ReferencePicture, UnreadFile
    from causalclip.report.reference import ReferenceReport

# portions of all people take turns
QUEUE: dict[str, Any] = {"concurrency_id": "reference", "concurrency_limit": 1}
PORTION_FILES = 20  # that are sent at once
PORTION_BYTES = 100 * 2**20
INTRO = N_(
    "At most {most} pictures ({formats}; {sizes}). They are sent a few at a time, judged, and "
    "deleted from this server at once. Unlike in Check, the names of the files go to the server, "
    "so that you can tell which were wrongly called likely generated; they are not logged."
)
KEEPS = N_(
    "The names and answers, and small copies of the pictures that are wrongly called so, are kept "
    "until you close the page, and at most for an hour after you last used this tab."
)
STAYS = N_("What this page has shown can stay in the app's memory for longer.")
AIMS = {
    "threshold": N_("Only real ones: a threshold"),
    "correction": N_("Real and generated ones of one source: a correction"),
}
GAIN = N_(
    "A threshold bounds how often real pictures are called likely generated: {percent} takes "
    "{needed}. A correction learns from {least} of each kind. For {owners} owners whose pictures "
    "the detector had not seen, AUC rose by {gains}."
)
TESTED = N_(
    "Measured with detector {revision}: a bound of {percent} held for {alike} of 100 sets of "
    "photographs, for {others} where the pictures judged were by other owners."
)
MORE = N_("Add photographs that you know to be real: without them there is no reference set.")
WAITING = N_(
    "Waiting for the first of these pictures. One person's pictures at a time are judged here."
)
FULL = N_("A page takes {most} pictures. For more, use the command: {command}.")
CLASSES = {
    "real": N_("Photographs that you know to be real"),
    "generated": N_("Generated pictures of the kind you face"),
}
NEEDS = {
    "real": N_(
        "For a correction: {least} or more. For a threshold that promises at most {percent} false "
        "alarms: {needed} ({others})."
    ),
    "generated": N_(
        "For a correction: {least} or more. What is learned is used only where it surely helps, "
        "and for this source alone."
    ),
}
CHOOSE_PROFILE = """element.querySelector("button").addEventListener("click", () =>
  document.querySelector("#reference-profile-upload input[type=file]").click());"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceTab:
    """The tab's components and callbacks.

    Attributes:
        files: the hidden field of each of CLASSES.
        reference_set: holds the ReferenceSet of the page.
        at_most: the percentage of photographs that may be called likely generated.
        aim: one of AIMS.
    """

    detector: ChosenDetector
    files: dict[str, gr.File]
    status: gr.HTML
    result: gr.HTML
    reference_set: gr.State
    at_most: gr.Radio
    aim: gr.Radio

    @property
    def inputs(self) -> list[Any]:
        """The fields that the findings are made of."""
        return [self.reference_set, self.at_most, self.aim]

    def begin(
        self, event: gr.EventData, reference_set: ReferenceSet | None, files: Any = None
    ) -> Updates:
        """Return what the page shows at once; by this call the server learns whose the files
        are."""
        return {self.status: _status(reference_set or ReferenceSet(), _(WAITING))}

    def run(
        self,
        request: PanelRequest,
        payload: Any,
        reference_set: ReferenceSet | None,
        at_most: str,
        aim: str = "threshold",
        *,
        generated: bool,
    ) -> Iterator[Updates]:
        """Judge a portion, delete its files, and yield how far it is."""
        paths = upload_paths(payload)
        reference_set = reference_set or ReferenceSet()
        try:
            detector = self.detector.own()
            high = detector.config.calibration.high
            lessons = reference_set.lessons_left(generated=generated)
            room = max(0, MAX_PICTURES - reference_set.judged)
            if not reference_set.first_upload and paths:
                reference_set = replace(reference_set, first_upload=paths[0])
            work = partial(_examine_set, paths=paths[:room], detector=detector, lessons=lessons)
            for picture in Job(work, request.is_newest).read():
                if isinstance(picture, Waiting):
                    continue
                reference_set = reference_set.with_picture(picture, generated=generated, high=high)
                yield {self.status: _status(reference_set), self.reference_set: reference_set}
            failure = None
        except Exception as error:
            request.check()  # of a page that was closed, the files are gone: that is no error
            failure = {self.status: _status(reference_set, explain(error)[1], halt=True)}
        finally:
            uploads.delete(paths)
        yield failure or self.portion_done(reference_set, at_most, aim)

    def stop(
        self, request: PanelRequest, reference_set: ReferenceSet | None, at_most: str, aim: str
    ) -> Iterator[Updates]:
        """Yield what has been found until the reader stopped the run."""
        yield self.portion_done(reference_set or ReferenceSet(), at_most, aim)

    def portion_done(self, reference_set: ReferenceSet, at_most: str, aim: str) -> Updates:
        """Return what the page shows at a portion's end; its fields are empty for the next one."""
        reference_set = reference_set.with_portion()
        updates = {
            self.status: _status(reference_set),
            self.result: self.findings(reference_set, at_most, aim),
            self.reference_set: reference_set,
        }
        return updates | dict.fromkeys(self.files.values())

    def findings(
        self, reference_set: ReferenceSet | None, at_most: str, aim: str = "threshold"
    ) -> str:
        """Return the findings, the histogram and the photographs that were called likely generated,
        as HTML; "" before anything is judged."""
        if reference_set is None or not reference_set.judged:
            return ""
        if reference_set.real:
            report = self._report(reference_set, at_most, aim)
            return f"<section>{report.section()}</section>"
        from causalclip.report.reference import LEFT_OUT

        unanswered = len(reference_set.unanswered)
        left_out = f"{_(LEFT_OUT, n=number(unanswered))} " if unanswered else ""
        return f"<p class='cc-said'>{escape(left_out + _(MORE))}</p>"

    def cleared(self) -> Updates:
        """Return what the page shows once it has forgotten the reference set."""
        return {
            self.status: _status(ReferenceSet()),
            self.result: "",
            self.reference_set: None,
        } | dict.fromkeys(self.files.values())

    def summary(
        self, reference_set: ReferenceSet | None, at_most: str, aim: str = "threshold"
    ) -> str | None:
        """Write summary.html and return its path; None without a photograph."""
        if reference_set is None or not reference_set.real:
            return None
        path = new_folder(reference_set.first_upload) / "summary.html"
        page = run_in(
            FILES, Priority.BATCH, lambda: self._report(reference_set, at_most, aim).page()
        )
        path.write_text(page, encoding="utf-8", errors="replace")
        return str(path)

    def profile(
        self, reference_set: ReferenceSet | None, at_most: str, aim: str = "threshold"
    ) -> str | None:
        """Write profile.json and return its path; None without a photograph."""
        if reference_set is None or not reference_set.real:
            return None
        path = new_folder(reference_set.first_upload) / "profile.json"
        report = run_in(FILES, Priority.BATCH, lambda: self._report(reference_set, at_most, aim))
        report.profile.write(path)
        return str(path)

    def use(
        self, choice: ProfileChoice, reference_set: ReferenceSet | None, at_most: str, aim: str
    ) -> str:
        """Hold the page to the set's profile; return which one is in use then, as HTML."""
        if reference_set is None or not reference_set.real:
            return choice.status()
        return choice.use(self._report(reference_set, at_most, aim).profile)

    def _report(self, reference_set: ReferenceSet, at_most: str, aim: str) -> ReferenceReport:
        return reference_set.report(
            self.detector.own(), share(at_most), corrects=aim == "correction"
        )


def build_reference_tab(tab: gr.Tab, detector: ChosenDetector) -> ReferenceTab:
    """Build the content of `tab` inside the current Blocks and wire it."""
    fields: dict[str, Any] = {}
    # 1. The place to choose pictures, and what is found in them.
    with gr.Row(elem_classes="cc-columns"):
        with gr.Column(scale=4, min_width=300):
            fields["aim"] = gr.Radio(
                [(_(title), name) for name, title in AIMS.items()],
                value="threshold",
                label=_("Which pictures do you have?"),
                info=_gain(),
                elem_id="reference-aim",
            )
            gr.HTML(
                chooser(),
                js_on_load=_chooser_script(),
                elem_id="reference-chooser",
            )
            stop = gr.Button(_("Stop, and keep what is done"), elem_id="reference-stop")
            gr.HTML(f"<p class='cc-small'>{_intro()}</p>", elem_id="reference-intro")
        with gr.Column(scale=7, min_width=300):
            fields["status"] = gr.HTML(_status(ReferenceSet()), elem_id="reference-status")
            fields["result"] = gr.HTML(elem_id="reference-result")
            with gr.Column(elem_id="reference-further"):
                fields["at_most"], buttons = _build_choices()
            in_use = gr.HTML(elem_id="reference-in-use")
            with gr.Row(elem_id="reference-profiles"):
                load = (
                    "<button type='button' "
                    f"class='cc-do'>{_('Use a profile that you have')}</button>"
                )
                gr.HTML(load, js_on_load=CHOOSE_PROFILE)
                release = gr.Button(_("Use none"), elem_id="reference-release")
    # 2. The fields that the page's scripts fill.
    with gr.Row(elem_classes="cc-hidden"):
        options: dict[str, Any] = {"file_types": [*ENDINGS], "label": _("Pictures")}
        fields["files"] = {
            name: files_input(**options, elem_id=f"reference-{name}-files") for name in CLASSES
        }
        profile_upload = files_input(
            file_types=[".json"],
            label=_("Use a profile that you have"),
            elem_id="reference-profile-upload",
        )
    # 3. The runs, and what is drawn anew without one.
    reference_tab = ReferenceTab(
        detector=detector, reference_set=gr.State(time_to_live=LIFETIME), **fields
    )
    _wire_runs(reference_tab, stop, buttons["clear"])
    _wire_findings(reference_tab, buttons)
    # 4. The profile that the page is held to.
    choice = ProfileChoice(detector)
    buttons["use"].click(
        partial(reference_tab.use, choice), reference_tab.inputs, in_use, **AT_ONCE
    )
    profile_upload.upload(
        choice.load, profile_upload, [in_use, profile_upload], preprocess=False, **AT_ONCE
    )
    release.click(choice.release, None, in_use, **AT_ONCE)
    tab.select(choice.status, None, in_use, **AT_ONCE)
    return reference_tab


def _build_choices() -> tuple[gr.Radio, dict[str, gr.Button]]:
    """Build the choice of the bound, and the buttons for what is made of the pictures, by name."""
    at_most = gr.Radio(
        [*map(_percent, BOUNDS)],
        value=_percent(BOUNDS[0]),
        label=_("Of 100 real photographs like these, call likely generated at most"),
        elem_id="reference-promise",
    )
    labels = {
        "profile": _("Download the profile"),
        "summary": _("Download the summary"),
        "clear": _("Forget these pictures"),
    }
    with gr.Row():
        use = gr.Button(_("Use it on this page"), variant="primary", elem_id="reference-use")
        others = {
            name: gr.Button(label, elem_id=f"reference-{name}") for name, label in labels.items()
        }
    return at_most, {"use": use, **others}


def _wire_findings(tab: ReferenceTab, buttons: dict[str, gr.Button]) -> None:
    """Wire what is drawn anew of the pictures that are there, and the files to download."""
    gr.on([tab.at_most.change, tab.aim.change], tab.findings, tab.inputs, tab.result, **AT_ONCE)
    with gr.Row(elem_classes="cc-hidden"):
        for name, write in (("profile", tab.profile), ("summary", tab.summary)):
            file = gr.DownloadButton(name, elem_id=f"reference-{name}-file")
            writing = buttons[name].click(write, tab.inputs, file, **AT_ONCE)
            download = f"() => document.querySelector('#{file.elem_id}').click()"
            writing.success(None, js=download, **AT_ONCE)


def _wire_runs(tab: ReferenceTab, stop: gr.Button, clear: gr.Button) -> None:
    """Wire the portions of each kind, the stop button, and the one that forgets all pictures."""
    panel = Panel("reference")
    outputs: list[Any] = [tab.status, tab.result, tab.reference_set, *tab.files.values()]
    for kind, field in tab.files.items():
        run = partial(tab.run, generated=kind == "generated")
        panel.on(
            [field.upload],
            tab.begin,
            run,
            begin_inputs=[tab.reference_set, field],
            inputs=[field, *tab.inputs],
            outputs=outputs,
            **QUEUE,
        )
    panel.on(
        [stop.click],
        tab.begin,
        tab.stop,
        begin_inputs=[tab.reference_set],
        inputs=tab.inputs,
        outputs=outputs,
    )
    panel.off([clear.click], tab.cleared, outputs=outputs)


def chooser() -> str:
    """Return a place to choose pictures of each kind, with what it needs and gives, and a bar of
    progress, as HTML."""
    return render("chooser", template="reference.html", kinds=CLASSES, needs=_needs())


def _chooser_script() -> str:
    """Return the chooser's script, with this server's limits, in the reader's language."""
    words = {
        "none": _("There is no picture in it."),
        "full": _(FULL, most=number(MAX_PICTURES), command=COMMAND),
        "done": _("{done} of {total} judged.", done="{done}", total="{total}"),
        "left": _("About {n} minutes left.", n="{n}"),
        "lost": _("Some of the pictures did not arrive. Choose them again."),
        **sending_words(),
    }
    limits = {"most": MAX_PICTURES, "portion": PORTION_FILES, "bytes": PORTION_BYTES}
    return script("reference", sending_script(), endings=ENDINGS, words=words, **limits)


def share(at_most: str) -> float:
    """Return the bound of a choice in the tab, in (0, 1); the first one for what is no choice."""
    return next((bound for bound in BOUNDS if _percent(bound) == at_most), BOUNDS[0])


def _percent(bound: float) -> str:
    return f"{100 * bound:g}"


def _examine_set(
    job: Job[ReferencePicture | UnreadFile], paths: list[str], detector: Detector, lessons: int
) -> Iterator[ReferencePicture | UnreadFile]:
    """Examine files one by one, each behind the pictures of all other tabs.

    Args:
        lessons: from how many of them a private head may learn.
    """
    from causalclip.reference_set import examine_set, read_members

    queued = job.look_by_look(lambda: detector, Priority.BATCH)
    members = read_members((Path(path).name, path) for path in paths)
    rows = examine_set(members, queued, lessons=lessons)
    yield from job.step(PICTURES, Priority.CALIBRATION, rows)


def _status(reference_set: ReferenceSet, sentence: str = "", *, halt: bool = False) -> str:
    """Return how many pictures and portions have been judged, and a sentence, as HTML.

    assets/reference.js reads the numbers. halt: whether no further portion is to be sent.
    """
    data = (
        f"data-judged='{reference_set.judged}' "
        f"data-portions='{reference_set.portions}'{' data-halt' if halt else ''}"
    )
    return (
        f"<div {data}><p class='cc-said' role='status' "
        f"aria-live='polite'>{escape(sentence)}</p></div>"
    )


def _needs() -> dict[str, str]:
    fewest = {percent(bound, digits=None): number(photographs_needed(bound)) for bound in BOUNDS}
    (bound, count), *others = fewest.items()
    other_bounds = in_turn(f"{other}: {n}" for other, n in others)
    values = {
        "least": number(MIN_PICTURES_PER_CLASS),
        "percent": bound,
        "needed": count,
        "others": other_bounds,
    }
    return {kind: _(need, **values) for kind, need in NEEDS.items()}


def _gain() -> str:
    """Return what either choice takes, and what a correction has gained."""
    gains = sorted(found.value for found in measured() if found.id.startswith("fewshot.gain."))
    return _(
        GAIN,
        percent=percent(BOUNDS[0], digits=None),
        needed=number(photographs_needed(BOUNDS[0])),
        least=number(MIN_PICTURES_PER_CLASS),
        owners=number(len(gains)),
        gains=in_turn(decimal(gain, digits=2) for gain in gains),
    )


def _intro() -> str:
    """Return what may be added and what becomes of it, as HTML."""
    intro = _(INTRO, most=number(MAX_PICTURES), formats=names(), sizes=sizes())
    return escape(paragraph(intro, _(KEEPS), _(STAYS), _measured_bound()))


def _measured_bound() -> str:
    """Return how often such a bound held, with which detector."""
    alike, others = (
        measured()[f"calibration.{owners}.at-most-{100 * BOUNDS[0]:g}"]
        for owners in ("same-owners", "other-owners")
    )
    return _(
        TESTED,
        revision=alike.revision,
        percent=percent(BOUNDS[0], digits=None),
        alike=number(round(100 * alike.value)),
        others=number(round(100 * others.value)),
    )
