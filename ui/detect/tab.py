"""The Detect tab: components and callbacks. The model comes in as a callable, the words from card and details."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from causalclip.evidence.cautions import Caution
from causalclip.evidence.examination import Examination, WholePicture, conclude, look_closer, read_claims, unlike
from causalclip.evidence.headline import conclude_all, next_steps
from causalclip.evidence.regions import NOT_LOOKED_FOR, RegionFinding, find_region
from causalclip.evidence.stability import MILD, STRONG, Stability, checks
from causalclip.evidence.words import NO_ANSWER
from causalclip.languages import N_, _
from causalclip.maps import words
from causalclip.maps.heatmap import Which
from causalclip.maps.overlay import Drawing, draw_map, prepare
from causalclip.pictures.loading import ImageError, load_image, read_file
from causalclip.provenance.reading import Provenance
from causalclip.report import card, panels
from causalclip.report.document import save_reports
from ui.detect import details, steps
from ui.detect.endpoints import add_endpoints
from ui.detect.examples import Example
from ui.detect.gallery import gallery, way_there
from ui.detect.label import label_fields
from ui.detect.part import add_part
from ui.folding import folded
from ui.server.files import named, new_folder, picked, picture_input, save_png, shown_copy, upload_path
from ui.server.problems import explain
from ui.server.queue import FILES, MODEL, PICTURES, TOGETHER, Priority
from ui.server.turns import Part, Turn
from ui.settings import KEPT, OPACITY, PICK, PRIVATE, PROMISE, RUNS, placeholder

if TYPE_CHECKING:
    from causalclip.detector import Detection, Detector
    from causalclip.pictures.loading import LoadedImage

COPIES = len((*MILD, *STRONG))
WHICH: tuple[Which, Which] = ("causal", "non_causal")
NON_CAUSAL = N_("Left out: what the mask holds back (non-causal)")
LEFT_OUT = N_(
    "The second map shows what the model saw in the same places and left out. Its orange does not mean generated: none "
    "of it counts for the verdict."
)
SAMPLE = 0.48, 0.91  # the shipped detector's thresholds, of the answer that is shown before there is one
SAME_SCALE = N_("The non-causal map over the picture, on the same scale as the causal one.")
Updates = dict[Any, Any]  # component -> its new value or gr.update


@dataclass(frozen=True, slots=True)
class _Found:
    """What is kept of a picture between its verdict and its conclusion."""

    provenance: Provenance
    cautions: tuple[Caution, ...]
    drawing: Drawing


@dataclass(frozen=True, slots=True)
class DetectTab:
    """The tab's components and callbacks.

    detector: returns the loaded detector; may raise WeightsMissing. source: the path of the picture that was judged.
    """

    detector: Callable[[], Detector]
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

    def begin(self, event: gr.EventData, payload: dict[str, Any] | None) -> Updates:
        """What the page shows at once: nothing of an older picture beside the new one."""
        path = upload_path(payload)
        return self.cleared(card.looking(named(path)) if path else None)

    def run(self, turn: Turn, payload: dict[str, Any] | None, whole: WholePicture | None = None) -> Iterator[Updates]:
        """Examines a picture, or part of a `whole`; yields what is ready: claims, verdict, maps, stability, report."""
        path = upload_path(payload)
        if path is None:
            yield self.cleared()
            return
        yield self.cleared(card.looking(named(path)))
        try:
            yield from self._stages(turn, path, whole)
            return
        except Exception as error:
            turn.check()  # of a page that was closed, the files are gone: that is no error
            failed = self.cleared(card.failure(*explain(error)))
            failed |= {self.picture: None} if isinstance(error, ImageError) else {}
        yield failed  # once the error is gone, and with it the pixels that its traceback holds

    def _stages(self, turn: Turn, path: str, whole: WholePicture | None) -> Iterator[Updates]:
        with FILES.ask(Priority.VERDICT) as place:
            for before in place.waits():
                yield {self.status: card.queued(before)}
            turn.check()
            claims = _said(path, whole)
        said = conclude_all(claims, None)
        yield {self.provenance: _claims(claims), self.status: card.looking(named(path), headline=said)}
        with MODEL.ask(Priority.VERDICT) as ticket:
            for before in ticket.waits():
                yield {self.status: card.queued(before, headline=said)}
            turn.check()
            found, first = self._look(path, whole)
        yield first
        for draw in self._map, self._left_out:
            with MODEL.ask(Priority.MAP) as ticket:
                for _before in ticket.waits():
                    turn.check()
                drawn = draw(found)
            yield drawn
        yield self._conclusion((yield from self._concluded(turn, path, found, whole)))

    def _look(self, path: str, whole: WholePicture | None) -> tuple[_Found, Updates]:
        """The verdict, not yet checked for stability. The pixels are not kept, as many may wait for that."""
        loaded = _seen(path, whole)
        provenance, cautions = look_closer(loaded, _said(path, whole))
        detection = self.detector().predict(loaded.pixels)
        found = _Found(provenance, cautions, prepare(loaded.pixels, detection))
        said = conclude_all(provenance, detection.band)
        updates: Updates = {
            self.status: _verdict(found, loaded),
            self.steps: steps.panel(next_steps(said, detection.band, provenance, cautions, detection.kind)),
            self.provenance: _claims(provenance),
            self.facts: details.facts(detection, loaded),
            self.source: path,
        }
        if whole is None and (copy := shown_copy(loaded)):  # a part's own file can be shown
            updates[self.picture] = copy
        return found, updates

    def _concluded(
        self, turn: Turn, path: str, found: _Found, whole: WholePicture | None
    ) -> Generator[Updates, None, Examination]:
        """The whole examination: behind the verdicts of all other pictures, and only while this one is wanted."""
        with PICTURES.ask(Priority.STABILITY) as ticket:
            for before in ticket.waits():
                turn.check()
                yield {self.checking: panels.stability_progress(0, COPIES, before=before)}
            loaded, detection = _seen(path, whole), found.drawing.detection
            parts = yield from self._looked_for_parts(turn, loaded, found)
            stability = detection.band != NO_ANSWER and (yield from self._checked(turn, loaded, detection))
            rest = found.provenance, found.cautions, detection
            return conclude(self.detector(), loaded, *rest, stability=stability, parts=parts)

    def _looked_for_parts(
        self, turn: Turn, loaded: LoadedImage, found: _Found
    ) -> Generator[Updates, None, RegionFinding]:
        """Whether one part differs, and the answer with it: before stability, which takes longer."""
        with MODEL.ask(Priority.STABILITY) as ticket:
            for before in ticket.waits():
                turn.check()
                yield {self.checking: panels.stability_progress(0, COPIES, before=before)}
            turn.check()
            parts = find_region(loaded, found.provenance, found.drawing.detection)
        yield {
            self.status: _verdict(found, loaded, parts),
            self.differs: panels.region_panel(loaded.pixels, parts),
        }
        return parts

    def _checked(self, turn: Turn, loaded: LoadedImage, detection: Detection) -> Generator[Updates, None, Stability]:
        """Whether the answer survives; a few copies at a time, as the model is wanted by others, too."""
        stages, judged = checks(self.detector(), loaded.pixels, detection, together=TOGETHER), (0, COPIES)
        while True:
            with MODEL.ask(Priority.STABILITY) as ticket:
                for before in ticket.waits():
                    turn.check()
                    yield {self.checking: panels.stability_progress(*judged, before=before)}
                turn.check()
                try:
                    judged = next(stages)
                except StopIteration as ended:
                    found: Stability = ended.value
                    return found
            yield {self.checking: panels.stability_progress(*judged)}

    def _map(self, found: _Found) -> Updates:
        drawing, detection = found.drawing, found.drawing.detection
        return {
            self.causal: gr.update(value=_map_file(drawing, "causal"), alt_text=details.map_words(detection)),
            self.map_says: details.map_says(drawing),
            self.regions: details.regions(detection),
            self.opacity: OPACITY,
            self.frame: False,
            self.drawing: drawing,
        }

    def _left_out(self, found: _Found) -> Updates:
        return {self.non_causal: _map_file(found.drawing, "non_causal")}

    def _conclusion(self, x: Examination) -> Updates:
        """The answer that counts, stability, and the report."""
        html, plain = save_reports(x, new_folder(), f"causalclip-report-{x.sha256[:12]}")
        return {
            self.status: card.verdict(
                x.headline,
                x.detection,
                x.notes,
                cautions=x.cautions,
                stability=x.stability,
                links=_links(x.detection, ready=True),
                unlike=x.unlike,
                parts=x.parts,
            ),
            self.checking: "",
            self.steps: steps.panel(x.steps, x.quote),
            self.stability: panels.stability_panel(x.stability) if x.stability else "",
            self.report_html: str(html),
            self.report_json: str(plain),
        }

    def cleared(self, status: str | None = None) -> Updates:
        """No result: nothing of an older picture may stay beside a newer one."""
        return {
            self.status: status or _empty(),
            self.provenance: "",
            self.stability: panels.stability_waiting(),
            **dict.fromkeys((self.map_says, self.regions, self.facts, self.steps, self.checking, self.differs), ""),
            **dict.fromkeys((self.causal, self.non_causal, self.drawing, self.source)),
            **dict.fromkeys((self.report_html, self.report_json)),
        }

    def redraw(self, drawing: Drawing | None, opacity: float, frame: bool) -> tuple[Any, Any]:
        """Both maps at another opacity, with or without the windows' corners, without the model."""
        if drawing is None:
            gr.Info(_("The maps are no longer kept. Add the picture again to redraw them."))
            return gr.skip(), gr.skip()
        with FILES.enter(Priority.MAP):
            causal, non_causal = (_map_file(drawing, which, opacity, frame) for which in WHICH)
        return causal, non_causal


def build_tab(detector: Callable[[], Detector], examples: Sequence[Example], *, purifies: bool = False) -> DetectTab:
    """Builds the tab inside the current Blocks and wires it. purifies: whether there is a tab for that, too."""
    part = Part("detect")
    with gr.Row(elem_classes="cc-columns"):
        with gr.Column(scale=4, min_width=300):
            picture = _picture()
            gr.HTML(f"{_camera()}<p class='cc-small'>{_(PROMISE)}</p>", elem_id="promise")
            shelf = gr.HTML(details.shelf(examples), js_on_load=PICK, elem_id="examples")
        with gr.Column(scale=7, min_width=300, elem_id="answer"):
            status = gr.HTML(_empty(), elem_id="status")
            checking = gr.HTML(elem_id="checking")
            differs = gr.HTML(elem_id="differs")
            what_now = gr.HTML(elem_id="steps")
            provenance = gr.HTML(elem_id="provenance")
            gr.HTML(card.sample(*SAMPLE), elem_id="sample")
            gr.HTML(gallery(), elem_id="gallery")
            # assets/evidence.css shows it while there is a verdict: what is hidden and shown at once may stay hidden.
            with gr.Column(elem_id="results"):
                causal = _output(f"{_(words.TITLE)} ({_('causal')})", "causal-map")
                map_says = gr.HTML(elem_id="map-says")
                gr.HTML(details.legend(), elem_id="legend")
                with gr.Accordion(_("The map in words and numbers"), open=False, elem_id="map-words"):
                    regions = gr.HTML(elem_id="regions")
                with folded(_("More of the map: opacity, windows, what was left out"), "more-of-map"):
                    opacity = gr.Slider(
                        0, 1, OPACITY, step=0.05, label=_("Opacity of the maps"), buttons=[], elem_id="opacity"
                    )
                    frame = gr.Checkbox(False, label=_("Corners of the close-up windows"), elem_id="frame")
                    gr.HTML(f"<p class='cc-small'>{_(LEFT_OUT)}</p>")
                    non_causal = _output(_(NON_CAUSAL), "non-causal-map", alt_text=_(SAME_SCALE))
                stability = gr.HTML(panels.stability_waiting(), elem_id="stability")
                beneath = gr.Column(elem_id="judge-part")
                label = label_fields()
                with gr.Row(elem_id="reports"):
                    report_html = gr.DownloadButton(_("Download the report (HTML)"), elem_id="report-html")
                    report_json = gr.DownloadButton(_("Download it as JSON"), elem_id="report-json")
                label.wire(part, picture, report_html, report_json)
                with gr.Row(elem_id="further"):
                    explore = gr.Button(_("Open in Explore"), elem_id="open-explore")
                    purify = gr.Button(_("Try purifying it"), visible=purifies, elem_id="open-purify")
            facts = gr.HTML(elem_id="facts")
    kept = gr.State(time_to_live=KEPT), gr.State(time_to_live=KEPT)
    outputs = (provenance, status, checking, what_now, differs, causal, non_causal, opacity, frame, map_says, regions)
    tab = DetectTab(detector, picture, *outputs, stability, report_html, report_json, explore, purify, facts, *kept)
    _wire(tab, part, shelf, examples, beneath)
    return tab


def _wire(tab: DetectTab, part: Part, shelf: gr.HTML, examples: Sequence[Example], beneath: gr.Column) -> None:
    shown: list[Any] = [
        tab.status,
        tab.checking,
        tab.steps,
        tab.differs,
        tab.causal,
        tab.non_causal,
        tab.map_says,
        tab.regions,
        tab.facts,
        tab.drawing,
        tab.source,
    ]
    shown += [tab.provenance, tab.stability, tab.report_html, tab.report_json, tab.opacity, tab.frame]

    def example(event: gr.EventData) -> Updates:
        chosen = picked(event, examples)
        return {tab.picture: str(chosen.path)} | tab.cleared(card.looking(chosen.title))

    judge: dict[str, Any] = {"inputs": [tab.picture], "outputs": [tab.picture, *shown], **RUNS}
    part.on([tab.picture.upload], tab.begin, tab.run, given=[tab.picture], **judge)
    part.on([shelf.click], example, tab.run, given=[], **judge)
    part.off([tab.picture.clear], tab.cleared, outputs=shown)
    with beneath:
        add_part(part, tab, judge)
    maps = [tab.causal, tab.non_causal]
    redrawn: dict[str, Any] = {"trigger_mode": "always_last", **PRIVATE}
    settings = [tab.drawing, tab.opacity, tab.frame]
    part.beside([tab.opacity.release, tab.frame.input], tab.redraw, settings, maps, **redrawn)
    add_endpoints(tab.detector, tab.picture)


def _empty() -> str:
    """The card before there is a picture, with the way to answers of every kind."""
    return card.waiting(beneath=way_there())


def _picture() -> gr.Image:
    return picture_input(
        buttons=["fullscreen"],
        label=_("Picture"),
        placeholder=placeholder(),
        alt_text=_("The picture to be judged"),
        height=300,
        elem_id="picture",
    )


def _said(path: str, whole: WholePicture | None) -> Provenance:
    own = read_claims(read_file(path))
    return whole.said(own) if whole else own


def _seen(path: str, whole: WholePicture | None) -> LoadedImage:
    return whole.seen(load_image(path)) if whole else load_image(path)


def _verdict(found: _Found, loaded: LoadedImage, parts: RegionFinding | None = None) -> str:
    """The card before it is known whether the answer survives. parts: None while they are looked for."""
    provenance, cautions, detection = found.provenance, found.cautions, found.drawing.detection
    said = conclude_all(provenance, detection.band, parts=parts or NOT_LOOKED_FOR)
    return card.verdict(
        said,
        detection,
        loaded.notes,
        cautions=cautions,
        links=_links(detection, ready=False),
        unlike=unlike(detection, provenance, format=loaded.format, kinds=[c.kind for c in cautions]),
        parts=parts,
    )


def _links(detection: Detection, *, ready: bool) -> str:
    return steps.links(ready=ready, mapped=detection.band != NO_ANSWER)


def _camera() -> str:
    """Shown where there is a touch screen, as long as there is no picture (assets/style.css); see assets/upload.js."""
    return f"<button type='button' class='cc-do cc-camera'>{_('Take a picture with the camera')}</button>"


def _output(label: str, name: str, **options: Any) -> gr.Image:
    fixed: dict[str, Any] = {"format": "png", "type": "filepath", "interactive": False}
    return gr.Image(
        label=label, buttons=["download", "fullscreen"], elem_id=name, **{"alt_text": label, **fixed, **options}
    )


def _map_file(drawing: Drawing, which: Which, opacity: float = OPACITY, frame: bool = False) -> str:
    drawn = draw_map(drawing, which, opacity=opacity, frame=frame, bar=False)
    name = f"{which.replace('_', '-')}-map"
    return save_png(drawn, name, few=name)


def _claims(provenance: Provenance) -> str:
    """What the file says; one line to be opened where it says nothing of how it was made."""
    says = provenance.credentials.state != "none" or provenance.marks or provenance.all_source_types
    panel = panels.provenance_panel(provenance)
    if says:
        return panel
    more = _("More of the file: compression, dates, names")
    return f"<details class='cc-nothing'><summary>{more}</summary>{panel}</details>"
