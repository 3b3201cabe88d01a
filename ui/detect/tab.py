"""The Detect tab: components and callbacks. The model comes in as a callable, the words from card and details."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from causalclip.examine.cautions import Caution
from causalclip.examine.examination import Examination, conclude, look_closer, read_claims, tension
from causalclip.maps.heatmap import Which
from causalclip.maps.overlay import Drawing, draw_map, prepare, shrink
from causalclip.pictures.loading import ImageError, LoadedImage, load_image, read_file
from causalclip.provenance.reading import Provenance
from causalclip.report import card, provenance_panel, stability_panel
from causalclip.report.document import save_reports
from ui.detect import details, searches
from ui.detect.endpoints import add_endpoints
from ui.detect.examples import Example
from ui.detect.label import add_label
from ui.server.files import new_folder, picture_input, save_png, upload_path
from ui.server.problems import explain
from ui.server.sessions import take_turn
from ui.settings import KEPT, MODEL_QUEUE, OPACITY, PLACEHOLDER, PRIVATE, PROMISE

if TYPE_CHECKING:
    from causalclip.detector import Detection, Detector

UNSHOWN = {"HEIC", "TIFF"}  # formats that browsers do not show
CAUSAL, NON_CAUSAL = "Evidence: what the verdict rests on (causal)", "Left out: what the mask holds back (non-causal)"
SAME_SCALE = "The non-causal map over the picture, on the same scale as the causal one."
PICK = """element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) trigger("click", { index: Number(button.dataset.index) });
});"""
PART = "detect"

Updates = dict[Any, Any]  # component -> its new value or gr.update


@dataclass(frozen=True, slots=True)
class DetectTab:
    """The tab's components and callbacks.

    detector: returns the loaded detector; may raise WeightsMissing.
    """

    detector: Callable[[], Detector]
    picture: gr.Image
    provenance: gr.HTML
    status: gr.HTML
    causal: gr.Image
    non_causal: gr.Image
    opacity: gr.Slider
    regions: gr.HTML
    stability: gr.HTML
    report_html: gr.DownloadButton
    report_json: gr.DownloadButton
    facts: gr.HTML
    drawing: gr.State

    def run(self, path: str | None) -> Iterator[Updates]:
        """Examines a picture and yields what is ready: provenance, verdict, maps, stability, report."""
        newest = take_turn(PART)
        for updates in self._answer(path):
            if not newest():  # the page has been cleared, or has another picture
                return
            yield updates

    def _answer(self, path: str | None) -> Iterator[Updates]:
        if path is None:
            yield self.cleared()
            return
        yield self.cleared(card.looking())
        try:
            yield from self._stages(read_file(path))
        except Exception as error:
            failed = self.cleared(card.failure(*explain(error)))
            yield failed | ({self.picture: None} if isinstance(error, ImageError) else {})

    def _stages(self, data: bytes) -> Iterator[Updates]:
        provenance = read_claims(data)
        yield {self.provenance: provenance_panel.panel(provenance)}
        loaded = load_image(data)
        if loaded.format in UNSHOWN:
            yield {self.picture: save_png(Image.fromarray(shrink(loaded.pixels)), "decoded")}
        provenance, cautions = look_closer(loaded, provenance)
        detector = self.detector()
        detection = detector.predict(loaded.pixels)
        yield self._verdict(loaded, provenance, cautions, detection)
        yield from self._maps(loaded, detection)
        yield self._conclusion(conclude(detector, loaded, provenance, cautions, detection))

    def _verdict(
        self, loaded: LoadedImage, provenance: Provenance, cautions: tuple[Caution, ...], detection: Detection
    ) -> Updates:
        """The first answer, not yet checked for stability."""
        said = tension(provenance, detection.band)
        return {
            self.status: card.verdict(detection, loaded.notes, cautions=cautions, tension=said),
            self.provenance: provenance_panel.panel(provenance),
            self.facts: details.facts(detection, loaded),
        }

    def _maps(self, loaded: LoadedImage, detection: Detection) -> Iterator[Updates]:
        drawing = prepare(loaded.pixels, detection)
        yield {
            self.causal: gr.update(value=_map_file(drawing, "causal", OPACITY), alt_text=details.map_words(detection)),
            self.regions: details.regions(detection),
            self.opacity: OPACITY,
            self.drawing: drawing,
        }
        yield {self.non_causal: _map_file(drawing, "non_causal", OPACITY)}

    def _conclusion(self, x: Examination) -> Updates:
        """The answer that counts, stability, and the report."""
        html, plain = save_reports(x, new_folder(), f"causalclip-report-{x.sha256[:12]}")
        return {
            self.status: card.verdict(
                x.detection, x.notes, cautions=x.cautions, stability=x.stability, tension=x.tension
            ),
            self.stability: stability_panel.panel(x.stability),
            self.report_html: str(html),
            self.report_json: str(plain),
        }

    def cleared(self, status: str | None = None) -> Updates:
        """No result: nothing of an older picture may stay beside a newer one."""
        return {
            self.status: status or card.waiting(),
            self.provenance: "",
            self.stability: stability_panel.waiting(),
            **dict.fromkeys((self.regions, self.facts), ""),
            **dict.fromkeys((self.causal, self.non_causal, self.drawing)),
            **dict.fromkeys((self.report_html, self.report_json)),
        }

    def clear(self) -> Updates:
        """`cleared`, for good: a run that still goes on shows nothing more."""
        take_turn(PART)
        return self.cleared()

    def redraw(self, drawing: Drawing | None, opacity: float) -> tuple[Any, Any]:
        """Both maps at another opacity, without the model."""
        if drawing is None:
            gr.Info("The maps are no longer kept. Add the picture again to redraw them.")
            return gr.skip(), gr.skip()
        return _map_file(drawing, "causal", opacity), _map_file(drawing, "non_causal", opacity)

    def run_upload(self, payload: dict[str, Any] | None) -> Iterator[Updates]:
        """`run` for what the field holds."""
        yield from self.run(upload_path(payload))


def build_tab(detector: Callable[[], Detector], examples: Sequence[Example]) -> DetectTab:
    """Builds the tab inside the current Blocks and wires it."""
    with gr.Row(elem_classes="cc-columns"):
        with gr.Column(scale=4, min_width=300):
            picture = _picture()
            gr.HTML(f"<p class='cc-small'>{PROMISE}</p>", elem_id="promise")
            shelf = gr.HTML(details.shelf(examples), js_on_load=PICK, elem_id="examples")
        with gr.Column(scale=7, min_width=300):
            provenance = gr.HTML(elem_id="provenance")
            status = gr.HTML(card.waiting(), elem_id="status")
            # assets/evidence.css shows it while there is a verdict: what is hidden and shown at once may stay hidden.
            with gr.Column(elem_id="results"):
                with gr.Row():
                    causal = _output(CAUSAL, "causal-map", min_width=260)
                    non_causal = _output(NON_CAUSAL, "non-causal-map", min_width=260, alt_text=SAME_SCALE)
                opacity = gr.Slider(
                    0, 1, OPACITY, step=0.05, label="Opacity of the maps", buttons=[], elem_id="opacity"
                )
                with gr.Accordion("The map in words and numbers", open=False):
                    regions = gr.HTML(elem_id="regions")
                stability = gr.HTML(stability_panel.waiting(), elem_id="stability")
                with gr.Row(elem_id="reports"):
                    report_html = gr.DownloadButton("Download the report (HTML)", elem_id="report-html")
                    report_json = gr.DownloadButton("Download it as JSON", elem_id="report-json")
                add_label(picture, report_html, report_json)
                gr.HTML(searches.links(), elem_id="searches")
            facts = gr.HTML(elem_id="facts")
    drawing = gr.State(time_to_live=KEPT)
    outputs = (provenance, status, causal, non_causal, opacity, regions)
    tab = DetectTab(detector, picture, *outputs, stability, report_html, report_json, facts, drawing)
    _wire(tab, shelf, examples)
    return tab


def _wire(tab: DetectTab, shelf: gr.HTML, examples: Sequence[Example]) -> None:
    shown: Any = [tab.status, tab.causal, tab.non_causal, tab.regions, tab.facts, tab.drawing]
    shown += [tab.provenance, tab.stability, tab.report_html, tab.report_json]

    def try_example(event: gr.EventData) -> Iterator[Updates]:
        path = str(examples[event.index].path)
        yield {tab.picture: path}
        yield from tab.run(path)

    judge: dict[str, Any] = {"outputs": [tab.picture, tab.opacity, *shown], **PRIVATE, **MODEL_QUEUE}
    # Every picture gets its run, even while an older one goes on: `take_turn` silences that one.
    tab.picture.upload(tab.run_upload, tab.picture, preprocess=False, trigger_mode="multiple", **judge)
    shelf.click(try_example, None, trigger_mode="multiple", **judge)
    tab.picture.clear(tab.clear, None, shown, queue=False, **PRIVATE)
    maps = [tab.causal, tab.non_causal]
    tab.opacity.release(tab.redraw, [tab.drawing, tab.opacity], maps, trigger_mode="always_last", **PRIVATE)
    add_endpoints(tab.detector, tab.picture, queue=MODEL_QUEUE)


def _picture() -> gr.Image:
    return picture_input(
        buttons=["fullscreen"],
        label="Picture",
        placeholder=PLACEHOLDER,
        alt_text="The picture to be judged",
        height=300,
        elem_id="picture",
    )


def _output(label: str, name: str, **options: Any) -> gr.Image:
    fixed: dict[str, Any] = {"format": "png", "type": "filepath", "interactive": False}
    return gr.Image(
        label=label, buttons=["download", "fullscreen"], elem_id=name, **{"alt_text": label, **fixed, **options}
    )


def _map_file(drawing: Drawing, which: Which, opacity: float) -> str:
    return save_png(draw_map(drawing, which, opacity=opacity), f"{which.replace('_', '-')}-map")
