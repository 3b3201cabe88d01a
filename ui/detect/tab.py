"""The Detect tab: components and callbacks. The model comes in as a callable, the words from ui.detect.words."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from causalclip.evidence.examination import Examination, WholePicture, conclude, look_closer, mark_boxes, read_claims
from causalclip.evidence.headline import conclude_all, next_steps
from causalclip.evidence.regions import RegionFinding, find_region
from causalclip.evidence.stability import MILD, STRONG, Stability, checks
from causalclip.evidence.words import NO_ANSWER
from causalclip.images.loading import ImageError, load_image, read_file
from causalclip.languages import N_, _, any_of, quoted
from causalclip.maps.heatmap import Which
from causalclip.maps.overlay import Drawing, draw_map, prepare
from causalclip.maps.words import TITLE
from causalclip.provenance.reading import Provenance
from causalclip.report import card
from causalclip.report.document import Label, read_label, save_reports, write_label
from ui.cancellation import CancellationToken, Panel
from ui.detect import words
from ui.detect.crop import add_crop
from ui.detect.examples import Example, gallery, shelf, way_there
from ui.detect.words import FirstLook
from ui.detector import TOGETHER, ChosenDetector
from ui.endpoints import add_endpoints
from ui.fields import explain, named, new_folder, picked, save_png, shown_copy, upload_path
from ui.heads import add_head_choice
from ui.server.queue import DECODED, FILES, MODEL, PICTURES, Priority
from ui.server.storage import is_own
from ui.settings import KEPT, OPACITY, PICK, PRIVATE, PROMISE, RUNS, folded, map_output, picture_field

if TYPE_CHECKING:
    from causalclip.detector import Detection
    from causalclip.images.loading import LoadedImage

COPIES = len((*MILD, *STRONG))
WHICH: tuple[Which, Which] = ("causal", "non_causal")
NON_CAUSAL = N_("Left out: what the mask holds back (non-causal)")
LEFT_OUT = N_(
    "The second map shows what the model saw in the same places and left out. Its orange does not mean generated: none "
    "of it counts for the verdict."
)
SAMPLE = 0.48, 0.91  # the shipped detector's thresholds, of the answer that is shown before there is one
SAME_SCALE = N_("The non-causal map over the picture, on the same scale as the causal one.")
LABEL = N_("Both go into the report that you download, and nowhere else. The time is shown in your own time zone, too.")
ZONE = "(...values) => [...values.slice(0, 5), Intl.DateTimeFormat().resolvedOptions().timeZone]"
Payload = dict[str, Any] | None
Updates = dict[Any, Any]  # component -> its new value or gr.update


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectTab:
    """The tab's components and callbacks.

    detector: returns the loaded detector; may raise WeightsMissing. source: the path of the picture that was judged.
    """

    detector: ChosenDetector
    picture: gr.Image
    provenance: gr.HTML
    status: gr.HTML
    checking: gr.HTML
    steps: gr.HTML
    differs: gr.HTML
    causal: gr.Image
    non_causal: gr.Image
    opacity: gr.Slider
    frame: gr.Checkbox
    map_says: gr.HTML
    regions: gr.HTML
    stability: gr.HTML
    report_html: gr.DownloadButton
    report_json: gr.DownloadButton
    explore: gr.Button
    purify: gr.Button
    facts: gr.HTML
    drawing: gr.State
    source: gr.State
    head: gr.Radio | None

    @property
    def shown(self) -> list[Any]:
        """All that a run may change, but the picture."""
        said = [self.status, self.checking, self.steps, self.differs, self.provenance, self.stability, self.facts]
        maps = [self.causal, self.non_causal, self.map_says, self.regions, self.opacity, self.frame]
        return [*said, *maps, self.report_html, self.report_json, self.drawing, self.source]

    def begin(self, event: gr.EventData, payload: Payload) -> Updates:
        """What the page shows at once: nothing of an older picture beside the new one."""
        path = upload_path(payload)
        return self.cleared(card.looking(named(path)) if path else None)

    def begin_by(self, event: gr.EventData, payload: Payload, source: str | None, head: str) -> Updates:
        """`begin` for the picture that is there, by another head."""
        self.detector.choose_head(head)
        return self.begin(event, {"path": source} if source else payload)

    def run_by(self, token: CancellationToken, payload: Payload, source: str | None) -> Iterator[Updates]:
        """`run` for the picture that is there."""
        yield from self.run(token, {"path": source} if source else payload)

    def run(self, token: CancellationToken, payload: Payload, whole: WholePicture | None = None) -> Iterator[Updates]:
        """Examines a picture, or part of a `whole`; yields what is ready: claims, verdict, maps, stability, report."""
        path = upload_path(payload)
        if path is None:
            yield self.cleared()
            return
        yield self.cleared(card.looking(named(path)))
        try:
            yield from self._stages(token, path, whole)
            return
        except Exception as error:
            token.check()  # of a page that was closed, the files are gone: that is no error
            failed = self.cleared(card.failure(*explain(error)))
            failed |= {self.picture: None} if isinstance(error, ImageError) else {}
        yield failed  # once the error is gone, and with it the pixels that its traceback holds

    def _stages(self, token: CancellationToken, path: str, whole: WholePicture | None) -> Iterator[Updates]:
        with FILES.ask(Priority.VERDICT) as ticket:
            for before in ticket.waits():
                yield {self.status: card.queued(before)}
            token.check()
            claims = _claims(path, whole)
        said = conclude_all(claims, None)
        yield {self.provenance: words.claims(claims), self.status: card.looking(named(path), headline=said)}
        with DECODED.ask(Priority.VERDICT) as place:
            for before in place.waits():
                yield {self.status: card.queued(before, headline=said)}
            token.check()
            loaded = _load(path, whole)
            with MODEL.ask(Priority.VERDICT) as ticket:
                for before in ticket.waits():
                    yield {self.status: card.queued(before, headline=said)}
                token.check()
                found, first = self._look(path, whole, loaded, claims)
            del loaded  # as many may wait for what comes next
        yield first
        for draw in self._map, self._left_out:
            with MODEL.ask(Priority.MAP) as ticket:
                for _before in ticket.waits():
                    token.check()
                drawn = draw(found)
            yield drawn
        yield self._conclusion((yield from self._concluded(token, path, found, whole)))

    def _look(
        self, path: str, whole: WholePicture | None, loaded: LoadedImage, claims: Provenance
    ) -> tuple[FirstLook, Updates]:
        """The verdict, not yet checked for stability."""
        provenance, cautions = look_closer(loaded, claims)
        detection = self.detector().predict(loaded.pixels)
        found = FirstLook(
            provenance,
            cautions,
            prepare(loaded.pixels, detection, boxes=mark_boxes(provenance, loaded.width, loaded.height)),
        )
        said = conclude_all(provenance, detection.band)
        steps = next_steps(said, detection.band, provenance, cautions, detection.kind)
        updates: Updates = {
            self.status: words.verdict(self.detector(), found, loaded),
            self.steps: words.steps_panel(steps),
            self.provenance: words.claims(provenance),
            self.facts: words.facts(detection, loaded),
            self.source: path,
        }
        if whole is None and (copy := shown_copy(loaded)):  # a part's own file can be shown
            updates[self.picture] = copy
        return found, updates

    def _concluded(
        self, token: CancellationToken, path: str, found: FirstLook, whole: WholePicture | None
    ) -> Generator[Updates, None, Examination]:
        """The whole examination: behind the verdicts of all other pictures, and only while this one is wanted."""
        with PICTURES.ask(Priority.STABILITY) as ticket:
            yield from self._waits(token, ticket, (0, COPIES))
            loaded, detection = _load(path, whole), found.detection
            parts = yield from self._parts(token, loaded, found)
            stability = detection.band != NO_ANSWER and (yield from self._checked(token, loaded, detection))
            rest = found.provenance, found.cautions, detection
            return conclude(self.detector(), loaded, *rest, stability=stability, parts=parts)

    def _parts(
        self, token: CancellationToken, loaded: LoadedImage, found: FirstLook
    ) -> Generator[Updates, None, RegionFinding]:
        """Whether one part differs, and the answer with it: before stability, which takes longer."""
        with MODEL.ask(Priority.STABILITY) as ticket:
            yield from self._waits(token, ticket, (0, COPIES))
            parts = find_region(loaded, found.provenance, found.detection)
        yield {
            self.status: words.verdict(self.detector(), found, loaded, parts),
            self.differs: card.region_panel(loaded.pixels, parts),
        }
        return parts

    def _checked(
        self, token: CancellationToken, loaded: LoadedImage, detection: Detection
    ) -> Generator[Updates, None, Stability]:
        """Whether the answer survives; a few copies at a time, as the model is wanted by others, too."""
        stages, judged = checks(self.detector(), loaded.pixels, detection, together=TOGETHER), (0, COPIES)
        while True:
            with MODEL.ask(Priority.STABILITY) as ticket:
                yield from self._waits(token, ticket, judged)
                try:
                    judged = next(stages)
                except StopIteration as ended:
                    found: Stability = ended.value
                    return found
            yield {self.checking: card.stability_progress(*judged)}

    def _waits(self, token: CancellationToken, ticket: Any, judged: tuple[int, int]) -> Iterator[Updates]:
        """While it is not its turn: how many copies of how many are judged, and how many pictures go in before it."""
        for before in ticket.waits():
            token.check()
            yield {self.checking: card.stability_progress(*judged, before=before)}
        token.check()

    def _map(self, found: FirstLook) -> Updates:
        causal = _map_file(found.drawing, "causal")
        return {
            self.causal: gr.update(value=causal, alt_text=words.map_words(found.detection)),
            self.map_says: words.map_says(found.drawing),
            self.regions: words.regions(found.detection),
            self.opacity: OPACITY,
            self.frame: False,
            self.drawing: found.drawing,
        }

    def _left_out(self, found: FirstLook) -> Updates:
        return {self.non_causal: _map_file(found.drawing, "non_causal")}

    def _conclusion(self, x: Examination) -> Updates:
        """The answer that counts, stability, and the report."""
        html, plain = save_reports(x, new_folder(), f"causalclip-report-{x.sha256[:12]}")
        return {
            self.status: words.conclusion(x),
            self.checking: "",
            self.steps: words.steps_panel(x.steps, x.quote),
            self.stability: card.stability_panel(x.stability) if x.stability else "",
            self.report_html: str(html),
            self.report_json: str(plain),
        }

    def cleared(self, status: str | None = None) -> Updates:
        """No result: nothing of an older picture may stay beside a newer one."""
        empty = self.provenance, self.map_says, self.regions, self.facts, self.steps, self.checking, self.differs
        none = self.causal, self.non_causal, self.drawing, self.source, self.report_html, self.report_json
        said = {self.status: status or _empty(), self.stability: card.stability_waiting()}
        return said | dict.fromkeys(empty, "") | dict.fromkeys(none)

    def redraw(self, drawing: Drawing | None, opacity: float, frame: bool) -> tuple[Any, Any]:
        """Both maps at another opacity, with or without the windows' corners, without the model."""
        if drawing is None:
            gr.Info(_("The maps are no longer kept. Add the picture again to redraw them."))
            return gr.skip(), gr.skip()
        with FILES.enter(Priority.MAP):
            causal, non_causal = (_map_file(drawing, which, opacity, frame) for which in WHICH)
        return causal, non_causal


def build_detect_tab(detector: ChosenDetector, examples: Sequence[Example], *, purifies: bool = False) -> DetectTab:
    """Builds the tab inside the current Blocks and wires it. purifies: whether there is a tab for that, too."""
    part, built = Panel("detect"), dict[str, Any]()
    with gr.Row(elem_classes="cc-columns"):
        with gr.Column(scale=4, min_width=300):
            built["picture"] = picture_field(
                "picture", _("Picture"), alt_text=_("The picture to be judged"), height=300
            )
            # Shown where there is a touch screen, as long as there is no picture (assets/style.css, assets/upload.js).
            camera = f"<button type='button' class='cc-do cc-camera'>{_('Take a picture with the camera')}</button>"
            gr.HTML(f"{camera}<p class='cc-small'>{_(PROMISE)}</p>", elem_id="promise")
            chosen = gr.HTML(shelf(examples), js_on_load=PICK, elem_id="examples")
        with gr.Column(scale=7, min_width=300, elem_id="answer"):
            built["status"] = gr.HTML(_empty(), elem_id="status")
            built |= {name: gr.HTML(elem_id=name) for name in ("checking", "differs", "steps", "provenance")}
            gr.HTML(card.sample(*SAMPLE), elem_id="sample")
            gr.HTML(gallery(), elem_id="gallery")
            # assets/evidence.css shows it while there is a verdict: what is hidden and shown at once may stay hidden.
            with gr.Column(elem_id="results"):
                built |= _maps()
                built["head"] = add_head_choice(detector, "detect")
                built["stability"] = gr.HTML(card.stability_waiting(), elem_id="stability")
                beneath = gr.Column(elem_id="judge-part")
                built |= _report(part, built["picture"])
                with gr.Row(elem_id="further"):
                    built["explore"] = gr.Button(_("Open in Explore"), elem_id="open-explore")
                    built["purify"] = gr.Button(_("Try purifying it"), visible=purifies, elem_id="open-purify")
            built["facts"] = gr.HTML(elem_id="facts")
    states: dict[str, Any] = {name: gr.State(time_to_live=KEPT) for name in ("drawing", "source")}
    tab = DetectTab(detector=detector, **built, **states)

    def example(event: gr.EventData) -> Updates:
        one = picked(event, examples)
        return {tab.picture: str(one.path)} | tab.cleared(card.looking(one.title))

    judge: dict[str, Any] = {"inputs": [tab.picture], "outputs": [tab.picture, *tab.shown], **RUNS}
    part.on([tab.picture.upload], tab.begin, tab.run, given=[tab.picture], **judge)
    part.on([chosen.click], example, tab.run, given=[], **judge)
    part.off([tab.picture.clear], tab.cleared, outputs=tab.shown)
    if tab.head:
        here = [tab.picture, tab.source]
        part.on([tab.head.change], tab.begin_by, tab.run_by, given=[*here, tab.head], **judge | {"inputs": here})
    with beneath:
        add_crop(part, tab, judge)
    settings: list[Any] = [tab.drawing, tab.opacity, tab.frame]
    maps = [tab.causal, tab.non_causal]
    redrawn: dict[str, Any] = {"trigger_mode": "always_last", **PRIVATE}
    part.beside([tab.opacity.release, tab.frame.input], tab.redraw, settings, maps, **redrawn)
    add_endpoints(tab.detector, tab.picture)
    return tab


def _maps() -> dict[str, Any]:
    """Both maps, what is said of them, and how they are drawn."""
    causal = map_output("causal-map", label=f"{_(TITLE)} ({_('causal')})")
    map_says = gr.HTML(elem_id="map-says")
    gr.HTML(words.legend(), elem_id="legend")
    with gr.Accordion(_("The map in words and numbers"), open=False, elem_id="map-words"):
        regions = gr.HTML(elem_id="regions")
    with folded(_("More of the map: opacity, windows, what was left out"), "more-of-map"):
        opacity = gr.Slider(0, 1, OPACITY, step=0.05, label=_("Opacity of the maps"), buttons=[], elem_id="opacity")
        frame = gr.Checkbox(False, label=_("Corners of the close-up windows"), elem_id="frame")
        gr.HTML(f"<p class='cc-small'>{_(LEFT_OUT)}</p>")
        non_causal = map_output("non-causal-map", label=_(NON_CAUSAL), alt_text=_(SAME_SCALE))
    return {
        "causal": causal,
        "map_says": map_says,
        "regions": regions,
        "opacity": opacity,
        "frame": frame,
        "non_causal": non_causal,
    }


def _report(part: Panel, picture: gr.Image) -> dict[str, Any]:
    """The report's buttons, and above them name and note, which are written into its files and kept nowhere else."""
    with gr.Row(elem_id="report-label"):
        name = gr.Textbox(label=_("Your name, for the report (optional)"), max_length=120, elem_id="report-name")
        note = gr.Textbox(label=_("A note (optional)"), max_length=2000, lines=1, elem_id="report-note")
    said, zone = gr.HTML(_label_words(Label()), elem_id="report-promise"), gr.Textbox(visible=False)
    with gr.Row(elem_id="reports"):
        html = gr.DownloadButton(_("Download the report (HTML)"), elem_id="report-html")
        plain = gr.DownloadButton(_("Download it as JSON"), elem_id="report-json")
    typed: dict[str, Any] = {"js": ZONE, "preprocess": False, "trigger_mode": "multiple", "queue": False, **PRIVATE}
    changed = [name.change, note.change, html.change]
    part.beside(changed, relabel, [html, plain, name, note, zone], [html, plain, said], **typed)
    gr.on([picture.upload, picture.clear], lambda: "", None, note, queue=False, **PRIVATE)
    return {"report_html": html, "report_json": plain}


def relabel(html: Payload, plain: Payload, name: str, note: str, zone: str) -> Any:
    """The paths of the report with what is typed now, and words on it.

    Skipped where it holds that, is not there, or is none that was made for this page.
    """
    label = Label(name or "", note or "", zone or "").cleaned()
    files = [Path(path) for path in (upload_path(html), upload_path(plain)) if path and is_own(path)]
    if len(files) < 2 or read_label(files[1]) == label:
        return gr.skip(), gr.skip(), gr.skip()
    with FILES.enter(Priority.MAP):
        written = write_label(files[0], files[1], label, new_folder("labelled"))
    return *(str(path) for path in written), _label_words(label)


def _label_words(label: Label) -> str:
    """What is in the report by now: a download that starts while somebody types would have less."""
    typed = [quoted(escape(text)) for text in (label.name, label.note) if text]
    holds = _("The report holds {typed}.", typed=any_of(typed, style="standard")) if typed else ""
    spoken = f"<span role='status'>{holds}</span> " if holds else ""
    return f"<p class='cc-small'>{spoken}{_(LABEL)}</p>"


def _empty() -> str:
    """The card before there is a picture, with the way to answers of every kind."""
    return card.waiting(beneath=way_there())


def _claims(path: str, whole: WholePicture | None) -> Provenance:
    own = read_claims(read_file(path))
    return whole.provenance_of(own) if whole else own


def _load(path: str, whole: WholePicture | None) -> LoadedImage:
    return whole.image_of(load_image(path)) if whole else load_image(path)


def _map_file(drawing: Drawing, which: Which, opacity: float = OPACITY, frame: bool = False) -> str:
    name = f"{which.replace('_', '-')}-map"
    return save_png(draw_map(drawing, which, opacity=opacity, frame=frame, bar=False), name, few=name)
