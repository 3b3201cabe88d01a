"""The Check tab: components and callbacks.

The model comes in as a callable, the words from ui.tabs.check.rendering.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, cast

import gradio as gr
from PIL import Image

from causalclip.examination.messages import NO_ANSWER
from causalclip.examination.owners import OWNERS
from causalclip.examination.result import Examination, NotJudged, Stage
from causalclip.images.formats import ImageError
from causalclip.languages import N_, _, any_of, quoted
from causalclip.report import card
from causalclip.report.document import Label, read_label, read_quote, save_reports, write_label
from causalclip.report.inquiries import (
    MAX_ADDRESS,
    MAX_NAME,
    Answer,
    EarliestCopy,
    Inquiries,
    Reply,
)
from ui.detector import ChosenDetector, add_head_choice
from ui.endpoints import add_endpoints
from ui.errors import explain
from ui.fields import (
    LIFETIME,
    PICK,
    PRIVATE,
    PROMISE,
    RUNS,
    UNSHOWN,
    Payload,
    Source,
    describe_file,
    picture_field,
    save_png,
    selected_item,
    upload_path,
)
from ui.jobs import Job, Waiting, examine_in_turns, run_in
from ui.panel import Panel, PanelRequest, Updates
from ui.places import FILES, Priority
from ui.server.uploads import is_own, new_folder
from ui.tabs.check import rendering
from ui.tabs.check.crop import add_crop
from ui.tabs.check.examples import Example, shelf

LABEL = N_(
    "Both go into the report that you download, and nowhere else. The time is shown in your own "
    "time zone, too."
)
HOW_TO_ENTER = N_(
    "Ask and search by the links above, and enter here what you were told. It goes into the report "
    "and into the sentence, as your own word. From here nothing is sent to anybody."
)
REPLIES: dict[Answer, str] = {
    "not asked": N_("Not asked"),
    "found": N_("Found it"),
    "not found": N_("Found none"),
}
ZONE = "(...values) => [...values.slice(0, -1), Intl.DateTimeFormat().resolvedOptions().timeZone]"
# names of the tab's fields that are HTML
TEXT_FIELDS = (
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTab:
    """The tab's components and callbacks.

    Attributes:
        detector: returns the loaded detector; may raise WeightsMissing.
        source: holds the `Source` that the picture's field shows, once it was judged.
        whole: holds the `Whole` that was judged last, which stays while parts of it are judged.
        head: the choice of the head; None where there is no choice.
        panel: what runs the tab's requests.
    """

    detector: ChosenDetector
    panel: Panel
    picture: gr.Image
    showcase: gr.HTML
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
    mask: gr.Button
    purify: gr.Button
    source: gr.State
    whole: gr.State
    head: gr.Radio | None

    @property
    def outputs(self) -> list[Any]:
        """All fields that a run may change, but the picture."""
        return [
            *(getattr(self, name) for name in TEXT_FIELDS),
            self.report_html,
            self.report_json,
            self.source,
            self.whole,
        ]

    @property
    def options(self) -> dict[str, Any]:
        """The options of a run that judges what the picture's field holds."""
        return {"inputs": [self.picture], "outputs": [self.picture, *self.outputs], **RUNS}

    def begin(self, event: gr.EventData, payload: Payload) -> Updates:
        """Return what the page shows at once: nothing of an older picture beside the new one."""
        path = upload_path(payload)
        return self.emptied(card.looking(describe_file(path)) if path else None)

    def begin_by(
        self, event: gr.EventData, payload: Payload, source: Source | None, head: str
    ) -> Updates:
        """Have the page's pictures judged by another head; return what it shows at once."""
        self.detector.choose_head(head)
        current = _current_source(payload, source)
        return (
            self.cleared(card.looking(describe_file(current.file))) if current else self.emptied()
        )

    def run_by(
        self, request: PanelRequest, payload: Payload, source: Source | None
    ) -> Iterator[Updates]:
        """Examine again what the field holds, as `judge` does."""
        current = _current_source(payload, source)
        if current:
            yield from self.judge(request, current)
        else:
            yield self.emptied()

    def run(self, request: PanelRequest, payload: Payload) -> Iterator[Updates]:
        """Examine a picture that has come into the field, as `judge` does."""
        yield self.begin(gr.EventData(None, None), payload)
        source = _current_source(payload, None)
        if source:
            yield from self.judge(request, source)

    def judge(self, request: PanelRequest, source: Source) -> Iterator[Updates]:
        """Yield what is ready of an examination: claims, verdict and map, copies, report."""
        yield self.cleared(card.looking(describe_file(source.file)))
        yield from request.guard(self._stages(request, source), self._failed)

    def _failed(self, error: Exception) -> Updates:
        """Return the error's sentence for the page, and what the file says; what is no picture
        leaves the field."""
        title, sentence = explain(error)
        if isinstance(error, NotJudged):
            words = card.not_judged(error.examination, title)
        else:
            words = card.failure(title, sentence)
        if isinstance(error, ImageError):
            return self.emptied(words) | {self.picture: None}
        return self.cleared(words)

    def _stages(self, request: PanelRequest, source: Source) -> Iterator[Updates]:
        """Yield what is new on the page after each stage of an examination."""
        headline, has_verdict = None, False
        work = partial(
            examine_in_turns, source=Path(source.whole), load=self.detector, part=source.box
        )
        for examination in Job(work, request.is_newest).read():
            if isinstance(examination, Waiting):
                if not has_verdict:  # which stays while its copies wait
                    yield {self.status: card.queued(examination.before, headline=headline)}
            elif examination.stage == Stage.CLAIMS:
                headline = examination.headline
                looking = card.looking(describe_file(source.file), headline=headline)
                yield {
                    self.provenance: rendering.claims(examination.provenance),
                    self.status: looking,
                }
            elif examination.stage == Stage.VERDICT:
                has_verdict = True
                yield self._answer(examination) | self._verdict(examination, source)
                yield self._report(examination, source)  # says that copies are not checked
            elif examination.stage == Stage.COPY:
                yield self._answer(examination)
            else:
                copies = (
                    card.stability_panel(examination.stability) if examination.stability else ""
                )
                report = self._report(examination, source)
                yield self._answer(examination) | report | {self.stability: copies}

    def _answer(self, examination: Examination) -> Updates:
        """Return the card, the chips, and the panels that they open."""
        numbers = rendering.regions(examination.detection) if examination.band != NO_ANSWER else ""
        return {
            self.status: card.verdict(examination, judged=examination.copies_judged),
            self.chips: card.chips(examination, judged=examination.copies_judged),
            self.provenance: rendering.claims(examination.provenance, examination.headline),
            self.pixels: card.pixels_panel(examination) + numbers,
            self.steps: rendering.steps_panel(examination.steps),
        }

    def _verdict(self, examination: Examination, source: Source) -> Updates:
        """Return what does not change after the verdict: the map, the facts, and the picture itself
        where browsers do not show its format."""
        updates: Updates = {
            self.layer: rendering.layer(examination.drawing),
            self.facts: rendering.facts(examination),
            self.inside: rendering.inside(examination),
            self.source: source,
        }
        if examination.part is None:
            updates[self.whole] = (
                source.whole,
                *examination.size,
                rendering.inside_boxes(examination),
            )
        if examination.part is None and examination.format in UNSHOWN:
            updates[self.picture] = save_png(
                Image.fromarray(examination.drawing.picture), "decoded", source.whole
            )
        return updates

    def _report(self, examination: Examination, source: Source) -> Updates:
        """Return the report and the sentence to paste: with the verdict, and again with the
        copies."""
        name = f"causalclip-report-{examination.sha256[:12]}"
        html, plain = save_reports(examination, new_folder(source.whole), name)
        return {
            self.quote: rendering.sentence(examination.quote),
            self.report_html: str(html),
            self.report_json: str(plain),
        }

    def cleared(self, status: str | None = None) -> Updates:
        """Return the page without a result of what the field holds."""
        texts = {getattr(self, name): "" for name in TEXT_FIELDS} | {
            self.stability: card.stability_waiting()
        }
        downloads = dict.fromkeys((self.report_html, self.report_json))
        return texts | {self.status: status or _invitation()} | downloads

    def emptied(self, status: str | None = None) -> Updates:
        """Return the page without a result, and with nothing of an older picture."""
        return self.cleared(status) | {self.source: None}


def _invitation() -> str:
    return card.waiting(_("Try one of these"))


def _current_source(payload: Payload, source: Source | None) -> Source | None:
    """Return what the field holds: what was judged, else the picture that has come into it.

    Raises:
        gr.Error: its file has been deleted.
    """
    if source and source.has_files():
        return source
    path = upload_path(payload)
    return Source(path, path) if path else None


def build_check_tab(
    detector: ChosenDetector, examples: Sequence[Example], *, purifies: bool = False
) -> CheckTab:
    """Build the tab inside the current Blocks and wire it.

    purifies: whether there is a tab to purify pictures, too.
    """
    panel = Panel("check")
    fields: dict[str, Any] = {}
    # 1. The picture, and beside it the answer and what it opens.
    with gr.Row(elem_classes="cc-columns"):
        with gr.Column(scale=6, min_width=300, elem_id="stage"):
            fields |= _picture_section()
        with gr.Column(scale=6, min_width=300, elem_id="answer"):
            # As long as there is no picture (assets/evidence.css).
            fields["showcase"] = gr.HTML(rendering.showcase_waiting(), elem_id="showcase")
            fields["status"] = gr.HTML(_invitation(), elem_id="status")
            fields["inside"] = gr.HTML(js_on_load=PICK, elem_id="inside")
            # assets/evidence.css shows it while there is a verdict: what is hidden and shown at
            # once may stay hidden.
            with gr.Column(elem_id="results"):
                fields |= _evidence_section(detector)
                typed = _report_section()
                fields |= {
                    "report_html": typed.html,
                    "report_json": typed.plain,
                    "quote": typed.quote,
                }
                fields["steps"] = gr.HTML(elem_id="steps")
                inquiries, left_out = _inquiry_section()
                beneath = gr.Column(elem_id="judge-part")
                with gr.Row(elem_id="further"):
                    fields["compare"] = gr.Button(_("Compare with a copy"), elem_id="open-compare")
                    fields["mask"] = gr.Button(_("See the mask"), elem_id="open-mask")
                    fields["purify"] = gr.Button(
                        _("Try purifying it"), visible=purifies, elem_id="open-purify"
                    )
            example_shelf = gr.HTML(shelf(examples), js_on_load=PICK, elem_id="examples")
    _wire_label(panel, typed, inquiries, left_out, fields["picture"], example_shelf)
    fields |= {name: gr.State(time_to_live=LIFETIME) for name in ("source", "whole")}
    tab = CheckTab(detector=detector, panel=panel, **fields)

    # 2. Who listens to what.
    _wire_runs(tab, example_shelf, examples)
    with beneath:
        add_crop(panel, tab, tab.options)
    add_endpoints(tab.detector, tab.picture)
    return tab


def _picture_section() -> dict[str, Any]:
    """Build the picture's field, with what lies over and below it."""
    picture = picture_field("picture", _("Picture"), alt_text=_("The picture to be judged"))
    # Over the picture's field, as long as there is one (assets/upload.js).
    another = f"<button type='button' class='cc-do cc-another'>{_('Another picture')}</button>"
    gr.HTML(another, elem_id="another")
    layer = gr.HTML(elem_id="layer")
    # Shown where there is a touch screen, as long as there is no picture (assets/style.css,
    # assets/upload.js).
    words = _("Take a picture with the camera")
    camera = f"<button type='button' class='cc-do cc-camera'>{words}</button>"
    gr.HTML(f"{camera}<p class='cc-small'>{_(PROMISE)}</p>", elem_id="promise")
    return {"picture": picture, "layer": layer}


def _wire_runs(tab: CheckTab, example_shelf: gr.HTML, examples: Sequence[Example]) -> None:
    """Wire a run: of a file, of an example, or of the same picture by another head."""

    def begin_example(event: gr.EventData) -> Updates:
        example = selected_item(event, examples)
        return {tab.picture: str(example.path)} | tab.emptied(card.looking(example.title))

    tab.panel.on(
        [tab.picture.upload], tab.begin, tab.run, begin_inputs=[tab.picture], **tab.options
    )
    tab.panel.on([example_shelf.click], begin_example, tab.run, begin_inputs=[], **tab.options)
    tab.panel.off([tab.picture.clear], tab.emptied, outputs=tab.outputs)
    if tab.head:
        here = [tab.picture, tab.source]
        tab.panel.on(
            [tab.head.change],
            tab.begin_by,
            tab.run_by,
            begin_inputs=[*here, tab.head],
            **tab.options | {"inputs": here},
        )


def _evidence_section(detector: ChosenDetector) -> dict[str, Any]:
    """Build the chips, and the panels of which each chip opens one (assets/answer.js).

    Each panel has a heading, to which a screen reader can jump.
    """
    fields: dict[str, Any] = {"chips": gr.HTML(elem_id="chips")}
    with gr.Column(elem_id="panel-file", elem_classes="cc-evidence"):
        gr.HTML(f"<h2>{_('File')}</h2>")
        fields |= {name: gr.HTML(elem_id=name) for name in ("provenance", "facts")}
    with gr.Column(elem_id="panel-pixels", elem_classes="cc-evidence"):
        gr.HTML(f"<h2>{_('Pixels')}</h2>")
        fields["pixels"] = gr.HTML(elem_id="pixels")
        fields["head"] = add_head_choice(detector)
    with gr.Column(elem_id="panel-copies", elem_classes="cc-evidence"):
        gr.HTML(f"<h2>{_('Copies')}</h2>")
        fields["stability"] = gr.HTML(card.stability_waiting(), elem_id="stability")
    return fields


@dataclass(frozen=True, slots=True)
class Typed:
    """The report's buttons, its sentence, what it holds in words, and the fields of its label."""

    html: gr.DownloadButton
    plain: gr.DownloadButton
    quote: gr.HTML
    promise: gr.HTML
    label: list[Any]


def _report_section() -> Typed:
    """Build the report's buttons, the sentence to paste, and the fields for a name and a note.

    Both go into the report's files and are kept nowhere else.
    """
    # 1. The files and the sentence.
    with gr.Row(elem_id="reports"):
        html = gr.DownloadButton(_("Download the report"), variant="primary", elem_id="report-html")
        plain = gr.DownloadButton(_("As JSON"), elem_id="report-json")
    quote = gr.HTML(elem_id="quote")
    # 2. The name and the note.
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
        promise = gr.HTML(_label_words(Label()), elem_id="report-promise")
        zone = gr.Textbox(visible=False)
    return Typed(html, plain, quote, promise, [name, note, zone])


def _inquiry_section() -> tuple[list[Any], gr.HTML]:
    """Build the fields for what a reader found out elsewhere, in the order of `_read_inquiries`,
    and the place that says what of it is left out."""
    fields: list[Any] = []
    with gr.Accordion(_("What you found out elsewhere"), open=False, elem_id="inquiries"):
        gr.HTML(f"<p class='cc-small'>{_(HOW_TO_ENTER)}</p>")
        for key, owner in OWNERS.items():
            with gr.Row():
                fields += _reply_fields(key, owner.name)
        address = gr.Textbox(
            label=_("Address of the earliest copy that you found"),
            max_length=MAX_ADDRESS,
            elem_id="earliest-address",
        )
        with gr.Row():
            fields += [
                address,
                _day_field(_("Since when it is there"), "earliest-day"),
                gr.Textbox(
                    label=_("Who showed it there"), max_length=MAX_NAME, elem_id="earliest-who"
                ),
            ]
        left_out = gr.HTML(elem_id="left-out")
    return fields, left_out


def _reply_fields(key: str, owner: str) -> list[Any]:
    """Build the fields for what an owner of an invisible mark answered, and when."""
    choices = [(_(title), answer) for answer, title in REPLIES.items()]
    return [
        gr.Radio(
            choices,
            value="not asked",
            label=_("What {owner} said of its mark", owner=owner),
            elem_id=f"reply-{key}",
        ),
        _day_field(_("Asked on"), f"reply-{key}-day"),
    ]


def _day_field(label: str, elem_id: str) -> gr.Textbox:
    """Build a field for a day; once it has the focus, the browser shows its own calendar
    (assets/upload.js).

    gr.DateTime shows an English one, and tells nobody of a text that is no day (Gradio 6.31).
    """
    return gr.Textbox(
        label=label,
        placeholder="YYYY-MM-DD",
        max_lines=1,
        max_length=MAX_NAME,
        elem_id=elem_id,
        elem_classes="cc-day",
    )


def _wire_label(
    panel: Panel,
    typed: Typed,
    inquiries: list[Any],
    left_out: gr.HTML,
    picture: gr.Image,
    shelf: gr.HTML,
) -> None:
    """Have all that is typed go into the report as it is typed, and what is of a picture go with
    it."""
    name, note, zone = typed.label
    at_once: dict[str, Any] = {
        "js": ZONE,
        "preprocess": False,
        "trigger_mode": "multiple",
        "queue": False,
        **PRIVATE,
    }
    changes = [field.change for field in (name, note, *inquiries, typed.html)]
    inputs = [typed.html, typed.plain, name, note, *inquiries, zone]
    outputs = [typed.html, typed.plain, typed.promise, typed.quote, left_out]
    panel.beside(changes, relabel, inputs, outputs, **at_once)
    of_picture = [note, *inquiries, left_out]
    emptied = json.dumps([getattr(field, "value", None) or "" for field in of_picture])
    gr.on(
        [picture.upload, picture.clear, shelf.click],
        None,
        None,
        of_picture,
        js=f"() => {emptied}",
        queue=False,
        **PRIVATE,
    )


def relabel(html: Payload, plain: Payload, name: str, note: str, *others: str) -> Any:
    """Write the report again with what is typed now.

    Nothing changes where the report has it already, is not there, or was not made by the app.

    Args:
        others: the values of `_inquiry_section`, and the time zone.

    Returns:
        The paths of the report as HTML and as JSON, and, as HTML, what is in it by now, the
        sentence to paste, and what is left out.
    """
    *entered, zone = others
    inquiries = _read_inquiries(entered)
    left_out = rendering.left_out(inquiries.faults)
    label = Label(name or "", note or "", zone or "", inquiries).cleaned()
    files = [
        Path(path) for path in (upload_path(html), upload_path(plain)) if path and is_own(path)
    ]
    if len(files) < 2 or read_label(files[1]) == label:
        return gr.skip(), gr.skip(), gr.skip(), gr.skip(), left_out
    write = partial(write_label, files[0], files[1], label, new_folder(str(files[0])))
    paths = run_in(FILES, Priority.MAP, write)
    quote = rendering.sentence(read_quote(paths[1]))
    return *(str(path) for path in paths), _label_words(label), quote, left_out


def _read_inquiries(values: Sequence[str | None]) -> Inquiries:
    """Return what the fields of `_inquiry_section` say; nothing where there are none."""
    if not values:
        return Inquiries()
    *replies, address, since, who = [value or "" for value in values]
    answers = zip(OWNERS, cast(list[Answer], replies[::2]), replies[1::2], strict=True)
    return Inquiries(
        tuple(Reply(owner, answer, asked) for owner, answer, asked in answers),
        EarliestCopy(address, since, who),
    )


def _label_words(label: Label) -> str:
    """Return what is in the report by now, as HTML: a download that starts while somebody types
    would have less."""
    texts = [quoted(escape(text)) for text in (label.name, label.note) if text]
    holds = _("The report holds {typed}.", typed=any_of(texts, style="standard")) if texts else ""
    status = f"<span role='status'>{holds}</span> " if holds else ""
    return f"<p class='cc-small'>{status}{_(LABEL)}</p>"
