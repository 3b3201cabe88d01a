"""The Detect tab: components and callbacks. The model comes in as a callable, the words from
ui.tabs.detect.views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import gradio as gr
from PIL import Image

from causalclip.examination.messages import NO_ANSWER
from causalclip.examination.result import Examination, NotJudged, Stage
from causalclip.examination.stages import examine
from causalclip.images.formats import ImageError
from causalclip.languages import N_, _, any_of, quoted
from causalclip.report import card
from causalclip.report.document import Label, read_label, save_reports, write_label
from ui.cancellation import CancellationToken, Panel
from ui.detector import ChosenDetector, DeferredDetector, add_head_choice
from ui.endpoints import add_endpoints
from ui.errors import explain
from ui.fairness import run_fairly
from ui.fields import (
    LIFETIME,
    PICK,
    PRIVATE,
    PROMISE,
    RUNS,
    UNSHOWN,
    Source,
    describe_file,
    picture_field,
    save_png,
    selected_item,
    upload_path,
)
from ui.server.turns import FILES, Priority
from ui.server.uploads import is_own, new_folder
from ui.tabs.detect import views
from ui.tabs.detect.crop import add_crop
from ui.tabs.detect.examples import Example, shelf

if TYPE_CHECKING:
    from causalclip.detector import Detector

LABEL = N_(
    "Both go into the report that you download, and nowhere else. The time is shown in your own "
    "time zone, too."
)
ZONE = "(...values) => [...values.slice(0, 5), Intl.DateTimeFormat().resolvedOptions().timeZone]"
# HTML on the page
SAID = (
    "status",
    "inside",
    "chips",
    "layer",
    "provenance",
    "facts",
    "pixels",
    "stability",
    "steps",
    "quote",
)
Payload = dict[str, Any] | None
Updates = dict[Any, Any]  # component -> its new value or gr.update


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectTab:
    """The tab's components and callbacks.

    detector: returns the loaded detector; may raise WeightsMissing. source: the `Source` that the
    field holds, once it was judged. whole: the `Whole` that was judged last, which stays while
    parts of it are.
    """

    detector: ChosenDetector
    picture: gr.Image
    status: gr.HTML
    inside: gr.HTML
    chips: gr.HTML
    layer: gr.HTML
    provenance: gr.HTML
    facts: gr.HTML
    pixels: gr.HTML
    stability: gr.HTML
    steps: gr.HTML
    quote: gr.HTML
    report_html: gr.DownloadButton
    report_json: gr.DownloadButton
    compare: gr.Button
    explore: gr.Button
    purify: gr.Button
    source: gr.State
    whole: gr.State
    head: gr.Radio | None

    @property
    def shown(self) -> list[Any]:
        """All that a run may change, but the picture."""
        return [
            *(getattr(self, name) for name in SAID),
            self.report_html,
            self.report_json,
            self.source,
            self.whole,
        ]

    def begin(self, event: gr.EventData, payload: Payload) -> Updates:
        """What the page shows at once: nothing of an older picture beside the new one."""
        path = upload_path(payload)
        return self.emptied(card.looking(describe_file(path)) if path else None)

    def begin_by(
        self, event: gr.EventData, payload: Payload, source: Source | None, head: str
    ) -> Updates:
        """What the page shows at once for what the field holds, by another head."""
        self.detector.choose_head(head)
        held = _held(payload, source)
        return self.cleared(card.looking(describe_file(held.file))) if held else self.emptied()

    def run_by(
        self, token: CancellationToken, payload: Payload, source: Source | None
    ) -> Iterator[Updates]:
        """Examine what the field holds, as `judge` does."""
        held = _held(payload, source)
        if held:
            yield from self.judge(token, held)
        else:
            yield self.emptied()

    def run(self, token: CancellationToken, payload: Payload) -> Iterator[Updates]:
        """Examine a picture that has come into the field, as `judge` does."""
        yield self.begin(gr.EventData(None, None), payload)
        if given := _held(payload, None):
            yield from self.judge(token, given)

    def judge(self, token: CancellationToken, source: Source) -> Iterator[Updates]:
        """Yield what is ready of an examination: claims, verdict and map, copies, report."""
        yield self.cleared(card.looking(describe_file(source.file)))
        yield from token.guard(self._stages(token, source), self._failed)

    def _failed(self, error: Exception) -> Updates:
        """Its sentence, and what the file says; what is no picture leaves the field."""
        title, sentence = explain(error)
        if isinstance(error, NotJudged):
            said = card.not_judged(error.examination, title)
        else:
            said = card.failure(title, sentence)
        if isinstance(error, ImageError):
            return self.emptied(said) | {self.picture: None}
        return self.cleared(said)

    def _stages(self, token: CancellationToken, source: Source) -> Iterator[Updates]:
        detector = cast("Detector", DeferredDetector(self.detector))
        claimed = None
        for found in run_fairly(examine(Path(source.whole), detector, part=source.box), token):
            if isinstance(found, int):
                yield {self.status: card.queued(found, headline=claimed)}
            elif found.stage == Stage.CLAIMS:
                claimed = found.headline
                looking = card.looking(describe_file(source.file), headline=claimed)
                yield {self.provenance: views.claims(found.provenance), self.status: looking}
            elif found.stage == Stage.VERDICT:
                yield self._answer(found) | self._verdict(found, source)
                yield self._report(found)  # says that copies are not checked
            elif found.stage == Stage.COPY:
                yield self._answer(found)
            else:
                copies = card.stability_panel(found.stability) if found.stability else ""
                yield self._answer(found) | self._report(found) | {self.stability: copies}

    def _answer(self, x: Examination) -> Updates:
        """The card, the chips, and what they open."""
        numbers = views.regions(x.detection) if x.band != NO_ANSWER else ""
        return {
            self.status: card.verdict(x, judged=x.judged),
            self.chips: card.chips(x, judged=x.judged),
            self.provenance: views.claims(x.provenance, x.headline),
            self.pixels: card.pixels_panel(x) + numbers,
            self.steps: views.steps_panel(x.steps),
        }

    def _verdict(self, x: Examination, source: Source) -> Updates:
        """What does not change after the verdict: the map, the facts, and the picture itself where
        browsers do not show its format."""
        updates: Updates = {
            self.layer: views.layer(x.drawing),
            self.facts: views.facts(x),
            self.inside: views.inside(x),
            self.source: source,
        }
        if x.part is None:
            updates[self.whole] = (source.whole, *x.size, views.inside_boxes(x))
        if x.part is None and x.format in UNSHOWN:
            updates[self.picture] = save_png(Image.fromarray(x.drawing.picture), "decoded")
        return updates

    def _report(self, x: Examination) -> Updates:
        """The report and the sentence to paste: with the verdict, and again with the copies."""
        name = f"causalclip-report-{x.sha256[:12]}"
        html, plain = save_reports(x, new_folder(), name)
        return {
            self.quote: views.sentence(x.quote),
            self.report_html: str(html),
            self.report_json: str(plain),
        }

    def cleared(self, status: str | None = None) -> Updates:
        """No result of what the field holds."""
        said = {getattr(self, name): "" for name in SAID} | {
            self.stability: card.stability_waiting()
        }
        none = dict.fromkeys((self.report_html, self.report_json))
        return said | {self.status: status or card.waiting()} | none

    def emptied(self, status: str | None = None) -> Updates:
        """No result, and nothing of an older picture, where the field has none or another one."""
        return self.cleared(status) | {self.source: None}


def _held(payload: Payload, source: Source | None) -> Source | None:
    """What the field holds: what was judged, else the picture that has come into it.

    Raises gr.Error where its file is no longer kept.
    """
    if source and source.has_files():
        return source
    path = upload_path(payload)
    return Source(path, path) if path else None


def build_detect_tab(
    detector: ChosenDetector, examples: Sequence[Example], *, purifies: bool = False
) -> DetectTab:
    """Builds the tab inside the current Blocks and wires it. purifies: whether there is a tab for
    that, too."""
    part, built = Panel("detect"), dict[str, Any]()
    with gr.Row(elem_classes="cc-columns"):
        with gr.Column(scale=6, min_width=300, elem_id="stage"):
            built["picture"] = picture_field(
                "picture", _("Picture"), alt_text=_("The picture to be judged")
            )
            # Over the picture's field, as long as there is one (assets/upload.js).
            another = (
                f"<button type='button' class='cc-do cc-another'>{_('Another picture')}</button>"
            )
            gr.HTML(another, elem_id="another")
            built["layer"] = gr.HTML(elem_id="layer")
            # Shown where there is a touch screen, as long as there is no picture (assets/style.css,
            # assets/upload.js).
            camera = (
                "<button type='button' class='cc-do "
                f"cc-camera'>{_('Take a picture with the camera')}</button>"
            )
            gr.HTML(f"{camera}<p class='cc-small'>{_(PROMISE)}</p>", elem_id="promise")
        with gr.Column(scale=6, min_width=300, elem_id="answer"):
            built["status"] = gr.HTML(card.waiting(), elem_id="status")
            built["inside"] = gr.HTML(js_on_load=PICK, elem_id="inside")
            chosen = gr.HTML(shelf(examples), js_on_load=PICK, elem_id="examples")
            # assets/evidence.css shows it while there is a verdict: what is hidden and shown at
            # once may stay hidden.
            with gr.Column(elem_id="results"):
                built |= _evidence(detector) | _report(part, built["picture"])
                built["steps"] = gr.HTML(elem_id="steps")
                beneath = gr.Column(elem_id="judge-part")
                with gr.Row(elem_id="further"):
                    built["compare"] = gr.Button(_("Compare with a copy"), elem_id="open-compare")
                    built["explore"] = gr.Button(_("Open in Explore"), elem_id="open-explore")
                    built["purify"] = gr.Button(
                        _("Try purifying it"), visible=purifies, elem_id="open-purify"
                    )
    built |= {name: gr.State(time_to_live=LIFETIME) for name in ("source", "whole")}
    tab = DetectTab(detector=detector, **built)

    def example(event: gr.EventData) -> Updates:
        one = selected_item(event, examples)
        return {tab.picture: str(one.path)} | tab.emptied(card.looking(one.title))

    judge: dict[str, Any] = {"inputs": [tab.picture], "outputs": [tab.picture, *tab.shown], **RUNS}
    part.on([tab.picture.upload], tab.begin, tab.run, begin_inputs=[tab.picture], **judge)
    part.on([chosen.click], example, tab.run, begin_inputs=[], **judge)
    part.off([tab.picture.clear], tab.emptied, outputs=tab.shown)
    if tab.head:
        here = [tab.picture, tab.source]
        part.on(
            [tab.head.change],
            tab.begin_by,
            tab.run_by,
            begin_inputs=[*here, tab.head],
            **judge | {"inputs": here},
        )
    with beneath:
        add_crop(part, tab, judge)
    add_endpoints(tab.detector, tab.picture)
    return tab


def _evidence(detector: ChosenDetector) -> dict[str, Any]:
    """The chips, and the panels of which each opens one (assets/answer.js). Each panel has a
    heading, to which a screen reader can jump."""
    made: dict[str, Any] = {"chips": gr.HTML(elem_id="chips")}
    with gr.Column(elem_id="panel-file", elem_classes="cc-evidence"):
        gr.HTML(f"<h2>{_('File')}</h2>")
        made |= {name: gr.HTML(elem_id=name) for name in ("provenance", "facts")}
    with gr.Column(elem_id="panel-pixels", elem_classes="cc-evidence"):
        gr.HTML(f"<h2>{_('Pixels')}</h2>")
        made["pixels"] = gr.HTML(elem_id="pixels")
        made["head"] = add_head_choice(detector, "detect")
    with gr.Column(elem_id="panel-copies", elem_classes="cc-evidence"):
        gr.HTML(f"<h2>{_('Copies')}</h2>")
        made["stability"] = gr.HTML(card.stability_waiting(), elem_id="stability")
    return made


def _report(part: Panel, picture: gr.Image) -> dict[str, Any]:
    """The report's buttons and the sentence, and name and note, which go into its files and are
    kept nowhere else."""
    with gr.Row(elem_id="reports"):
        html = gr.DownloadButton(_("Download the report"), variant="primary", elem_id="report-html")
        plain = gr.DownloadButton(_("As JSON"), elem_id="report-json")
    quote = gr.HTML(elem_id="quote")
    with gr.Accordion(_("Your name and a note in the report"), open=False, elem_id="report-label"):
        with gr.Row():
            name = gr.Textbox(
                label=_("Your name, for the report (optional)"),
                max_length=120,
                elem_id="report-name",
            )
            note = gr.Textbox(
                label=_("A note (optional)"), max_length=2000, lines=1, elem_id="report-note"
            )
        said, zone = (
            gr.HTML(_label_words(Label()), elem_id="report-promise"),
            gr.Textbox(visible=False),
        )
    typed: dict[str, Any] = {
        "js": ZONE,
        "preprocess": False,
        "trigger_mode": "multiple",
        "queue": False,
        **PRIVATE,
    }
    changed = [name.change, note.change, html.change]
    part.beside(changed, relabel, [html, plain, name, note, zone], [html, plain, said], **typed)
    gr.on([picture.upload, picture.clear], None, None, note, js="() => ''", queue=False, **PRIVATE)
    return {"report_html": html, "report_json": plain, "quote": quote}


def relabel(html: Payload, plain: Payload, name: str, note: str, zone: str) -> Any:
    """The paths of the report with what is typed now, and words on it.

    Skipped where it holds that, is not there, or is none that was made for this page.
    """
    label = Label(name or "", note or "", zone or "").cleaned()
    files = [
        Path(path) for path in (upload_path(html), upload_path(plain)) if path and is_own(path)
    ]
    if len(files) < 2 or read_label(files[1]) == label:
        return gr.skip(), gr.skip(), gr.skip()
    with FILES.enter(Priority.MAP):
        written = write_label(files[0], files[1], label, new_folder())
    return *(str(path) for path in written), _label_words(label)


def _label_words(label: Label) -> str:
    """What is in the report by now: a download that starts while somebody types would have less."""
    typed = [quoted(escape(text)) for text in (label.name, label.note) if text]
    holds = _("The report holds {typed}.", typed=any_of(typed, style="standard")) if typed else ""
    spoken = f"<span role='status'>{holds}</span> " if holds else ""
    return f"<p class='cc-small'>{spoken}{_(LABEL)}</p>"
