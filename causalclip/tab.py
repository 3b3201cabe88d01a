"""The Detect tab: components and callbacks. The model comes in as a callable, the words from card and details."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from causalclip import card, details
from causalclip.examples import Example
from causalclip.files import UNREADABLE, picture_input, save_png, upload_path
from causalclip.heatmap import Which
from causalclip.images import ImageError, LoadedImage, load_image
from causalclip.maskgrid import draw_mask, mask_words
from causalclip.overlay import Drawing, draw_map, prepare, shrink

if TYPE_CHECKING:
    from causalclip.detector import Detector

log = logging.getLogger(__name__)

KEPT = 3600  # seconds that a session's drawing is kept at most
OPACITY = 0.8
UNSHOWN = {"HEIC", "TIFF"}  # formats that browsers do not show
PLACEHOLDER = """Drop a picture here, paste one, or click to choose
JPEG, PNG, WebP, AVIF, HEIC, TIFF or GIF
up to 20 MB"""
PROMISE = "It is read on this server only, passed on to no one, and deleted within an hour."
CAUSAL, NON_CAUSAL = "Evidence: what the verdict rests on (causal)", "Left out: what the mask holds back (non-causal)"
SAME_SCALE = "The non-causal map over the picture, on the same scale as the causal one."
MASK = (
    "Every cell is one dimension of CLIP's embedding. The mask decides how much of it reaches the verdict; the rest is "
    "left out as content, style or one generator's habit."
)
PICK = """element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) trigger("click", { index: Number(button.dataset.index) });
});"""
MODEL_QUEUE: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

Updates = dict[Any, Any]  # component -> its new value or gr.update


@dataclass(frozen=True, slots=True)
class DetectTab:
    """The tab's components and callbacks.

    detector: returns the loaded detector; may raise WeightsMissing.
    """

    detector: Callable[[], Detector]
    picture: gr.Image
    status: gr.HTML
    results: gr.Column
    causal: gr.Image
    non_causal: gr.Image
    opacity: gr.Slider
    regions: gr.HTML
    mask: gr.Image
    facts: gr.HTML
    drawing: gr.State

    def run(self, path: str | None) -> Iterator[Updates]:
        """Judges a picture and yields what is ready: the verdict, the causal map, the rest."""
        if path is None:
            yield self.cleared()
            return
        yield self.cleared(card.looking())
        try:
            yield from self._stages(load_image(path))
        except Exception as error:
            failed = self.cleared(card.failure(*explain(error)))
            yield failed | ({self.picture: None} if isinstance(error, ImageError) else {})

    def _stages(self, loaded: LoadedImage) -> Iterator[Updates]:
        detection = self.detector().predict(loaded.pixels)
        first: Updates = {
            self.status: card.verdict(detection, loaded.notes),
            self.facts: details.facts(detection, loaded),
        }
        if loaded.format in UNSHOWN:
            first[self.picture] = save_png(Image.fromarray(shrink(loaded.pixels)), "decoded")
        yield first
        drawing = prepare(loaded.pixels, detection)
        yield {
            self.results: gr.update(visible=True),
            self.causal: gr.update(value=_map_file(drawing, "causal", OPACITY), alt_text=details.map_words(detection)),
            self.regions: details.regions(detection),
            self.opacity: OPACITY,
            self.drawing: drawing,
        }
        yield {
            self.non_causal: _map_file(drawing, "non_causal", OPACITY),
            self.mask: gr.update(value=save_png(draw_mask(detection), "mask"), alt_text=mask_words(detection)),
        }

    def cleared(self, status: str | None = None) -> Updates:
        """No result: nothing of an older picture may stay beside a newer one."""
        return {
            self.status: status or card.waiting(),
            self.results: gr.update(visible=False),
            self.regions: "",
            self.facts: "",
            **dict.fromkeys((self.causal, self.non_causal, self.mask, self.drawing)),
        }

    def redraw(self, drawing: Drawing | None, opacity: float) -> tuple[Any, Any]:
        """Both maps at another opacity, without the model."""
        if drawing is None:
            gr.Info("The maps are no longer kept. Add the picture again to redraw them.")
            return gr.skip(), gr.skip()
        return _map_file(drawing, "causal", opacity), _map_file(drawing, "non_causal", opacity)

    def run_upload(self, payload: dict[str, Any] | None) -> Iterator[Updates]:
        """`run` for what the field holds."""
        yield from self.run(upload_path(payload))

    def api(self, picture: dict[str, Any] | None) -> dict[str, Any]:
        """Judges one picture file (JPEG, PNG, WebP, AVIF, HEIC, TIFF or GIF; at most 20 MB and 50 million pixels).

        Returns its probability of being generated, the band in words with its thresholds, and what was read.
        """
        path = upload_path(picture)
        if path is None:
            raise gr.Error("Send a picture.", title=UNREADABLE, print_exception=False)
        try:
            loaded = load_image(path)
            detection = self.detector().predict(loaded.pixels)
        except Exception as error:
            title, sentence = explain(error)
            raise gr.Error(sentence, title=title, print_exception=False) from None
        return detection.summary() | {"sha256": loaded.sha256, "format": loaded.format, "notes": list(loaded.notes)}


def explain(error: Exception) -> tuple[str, str]:
    """A title and a sentence for the user.

    What is not the user's doing is logged without its message, which may hold a file's name.
    """
    from causalclip.weights import WeightsMissing  # here, because it brings PyTorch, which the page need not wait for

    if isinstance(error, ImageError):
        return UNREADABLE, str(error)
    if isinstance(error, WeightsMissing):
        return "The model's weights are missing", str(error)
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("A picture was not judged: %s\n%s", type(error).__name__, frames)
    return "Something went wrong here", "The picture could not be judged, and that is not its fault. Please try again."


def build_tab(detector: Callable[[], Detector], examples: Sequence[Example]) -> DetectTab:
    """Builds the tab inside the current Blocks and wires it."""
    with gr.Row(elem_classes="cc-columns"):
        with gr.Column(scale=4, min_width=300):
            picture = _picture()
            gr.HTML(f"<p class='cc-small'>{PROMISE}</p>", elem_id="promise")
            shelf = gr.HTML(details.shelf(examples), js_on_load=PICK, elem_id="examples")
        with gr.Column(scale=7, min_width=300):
            status = gr.HTML(card.waiting(), elem_id="status")
            with gr.Column(visible=False, elem_id="results") as results:
                with gr.Row():
                    causal = _output(CAUSAL, "causal-map", min_width=260)
                    non_causal = _output(NON_CAUSAL, "non-causal-map", min_width=260, alt_text=SAME_SCALE)
                opacity = gr.Slider(
                    0, 1, OPACITY, step=0.05, label="Opacity of the maps", buttons=[], elem_id="opacity"
                )
                with gr.Accordion("The map in words and numbers", open=False):
                    regions = gr.HTML(elem_id="regions")
                with gr.Accordion("The channel mask", open=False):
                    gr.Markdown(MASK)
                    mask = _output("Channel mask", "mask", show_label=False)
            facts = gr.HTML(elem_id="facts")
    drawing = gr.State(time_to_live=KEPT)
    tab = DetectTab(detector, picture, status, results, causal, non_causal, opacity, regions, mask, facts, drawing)
    _wire(tab, shelf, examples)
    return tab


def _wire(tab: DetectTab, shelf: gr.HTML, examples: Sequence[Example]) -> None:
    shown: Any = [tab.status, tab.results, tab.causal, tab.non_causal, tab.regions, tab.mask, tab.facts, tab.drawing]

    def try_example(event: gr.EventData) -> Iterator[Updates]:
        path = str(examples[event.index].path)
        yield {tab.picture: path}
        yield from tab.run(path)

    judge: dict[str, Any] = {"outputs": [tab.picture, tab.opacity, *shown], **PRIVATE, **MODEL_QUEUE}
    tab.picture.upload(tab.run_upload, tab.picture, preprocess=False, trigger_mode="always_last", **judge)
    shelf.click(try_example, None, trigger_mode="always_last", **judge)
    tab.picture.clear(tab.cleared, None, shown, queue=False, **PRIVATE)
    maps = [tab.causal, tab.non_causal]
    tab.opacity.release(tab.redraw, [tab.drawing, tab.opacity], maps, trigger_mode="always_last", **PRIVATE)
    answer = gr.JSON(visible=False)
    gr.on([], tab.api, tab.picture, answer, preprocess=False, api_name="detect", **MODEL_QUEUE)


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
