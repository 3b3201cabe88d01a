"""The Mask tab: what the verdict reads in a picture, in four tiles, and for researchers the mask
channel by channel.

What is computed is in causalclip.maps.channels, the tiles in ui.tabs.mask.tiles, other words in
ui.tabs.mask.rendering, the heatmap of the mask in ui.tabs.mask.heatmap.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import gradio as gr
import numpy as np

from causalclip.calibration import sigmoid
from causalclip.images.formats import ImageError
from causalclip.images.loading import LoadedImage, load_image
from causalclip.languages import N_, _, figure
from causalclip.maps.channels import CHANNEL_SCALE, arrays
from causalclip.maps.figure import save_mask_figure
from causalclip.maps.overlay import Drawing, draw_map, prepare
from causalclip.paths import shipped_folder
from causalclip.report import card
from ui.detector import ChosenDetector
from ui.errors import explain
from ui.fields import (
    AT_ONCE,
    LIFETIME,
    PICK,
    PRIVATE,
    PROMISE,
    RUNS,
    Payload,
    Source,
    Transfer,
    describe_file,
    map_output,
    picture_field,
    save_png,
    selected_item,
    shown_copy,
    upload_path,
)
from ui.jobs import Job, run_job
from ui.panel import Panel, PanelRequest, Updates
from ui.places import DECODED, MODEL, PICTURES, Priority
from ui.server.uploads import new_folder
from ui.tabs.check.examples import Example, shelf
from ui.tabs.mask import erase, rendering, tiles
from ui.tabs.mask.heatmap import ORDERS, Order, mask_heatmaps

if TYPE_CHECKING:
    from causalclip.detection import Detection

WAITING = N_("Add a picture, or choose an example.")
TITLE = N_("See what the verdict reads")
CHANNEL = N_("A channel's own map (ends of its scale: {scale} log-odds per patch)")
NO_CHANNEL = "none"
PICTURE_HEIGHT = 160  # px of the field
SECOND_HEIGHT = 112

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MaskedPicture:
    """Data kept of a judged picture, from which it is drawn anew.

    Attributes:
        path: of the picture's file, of which the page may show a copy.
    """

    drawing: Drawing
    path: str

    @property
    def detection(self) -> Detection:
        """The verdict, by the head whose mask is shown."""
        return self.drawing.detection


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskTab:
    """The tab's callbacks and fields.

    Attributes:
        tiles, removal: the first three tiles, and the fourth.
        worth: how the map is read, and what the mask is worth.
        first, second: hold the MaskedPicture, and the Detection of the one that it is compared
            with.
        masks: the masks as heatmaps.
        curve, channels: the score while channels are removed, and the strongest of them.
        channel, channel_map: a channel that is chosen, and its own map.
        brush: the picture to brush over.
        files: the figure and the arrays.
    """

    detector: ChosenDetector
    picture: gr.Image
    answer: gr.HTML
    tiles: gr.HTML
    removal: gr.HTML
    worth: gr.HTML
    first: gr.State
    second_picture: gr.Image
    second_answer: gr.HTML
    second: gr.State
    masks: gr.HTML
    curve: gr.HTML
    channels: gr.HTML
    channel: gr.Dropdown
    channel_map: gr.Image
    brush: gr.HTML
    limits: gr.HTML
    about: gr.HTML
    files: tuple[gr.DownloadButton, ...]

    @property
    def outputs(self) -> list[Any]:
        """All fields that a run of the first picture changes, but the picture itself."""
        top = [self.answer, self.tiles, self.removal, self.worth, self.first]
        research = [self.curve, self.channels, self.channel, self.channel_map, self.brush]
        return [*top, *research, self.limits, self.about, *self.files]

    def begin(self, event: gr.EventData, payload: Payload) -> Updates:
        """Return what the page shows at once: nothing of an older picture beside the new one."""
        path = upload_path(payload)
        return self.cleared(card.looking(describe_file(path)) if path else None)

    def carry(self, transfer: Transfer, event: gr.EventData, source: Source | None) -> Updates:
        """Return what the page shows at once of a picture that comes from another tab."""
        payload = {"path": source.file} if source else None
        updates = {self.picture: upload_path(payload), transfer.tabs: transfer.selection}
        return updates | self.begin(event, payload)

    def run(self, request: PanelRequest, payload: Payload) -> Iterator[Updates]:
        """Judge a picture and yield what is said of it."""
        path = upload_path(payload)
        if path is None:
            yield self.cleared()
            return
        yield self.cleared(card.looking(describe_file(path)))
        job = Job(partial(self._stages, path=path), request.is_newest)
        updates = job.show(lambda before: {self.answer: card.queued(before)})

        def failed(error: Exception) -> Updates:
            updates = self.cleared(card.failure(*explain(error)))
            return updates | ({self.picture: None} if isinstance(error, ImageError) else {})

        yield from request.guard(updates, failed)

    def _stages(self, job: Job[Updates], path: str) -> Iterator[Updates]:
        """Yield the answer with three tiles, then what is left without channels, then the files."""
        detector = self.detector.with_mask()
        # 1. The verdict and its mask.
        with job.enter(DECODED, Priority.VERDICT):
            image, detection = self._judge(job, path)
            picture = MaskedPicture(prepare(image.pixels, detection), path)
            copy = shown_copy(image, path)
            yield self._updates(picture) | ({self.picture: copy} if copy else {})
            # 2. The removal, for which the model looks again.
            with job.enter(MODEL, Priority.VERDICT):
                removal = tiles.removal_tile(detector, image.pixels, picture.drawing)
        yield {self.removal: removal}
        # 3. The files.
        yield dict(zip(self.files, _files(picture), strict=True))

    def _judge(self, job: Job[Updates], path: str) -> tuple[LoadedImage, Detection]:
        """Return a picture and the verdict by the head whose mask is shown, without the pixels."""
        with job.enter(PICTURES, Priority.VERDICT):
            image = load_image(path)
        with job.enter(MODEL, Priority.VERDICT):
            detection = self.detector.with_mask().predict(image.pixels)
        return image, replace(detection, picture=None)

    def _updates(self, picture: MaskedPicture) -> Updates:
        """Return all that the page shows of a judged picture at first."""
        detection = picture.detection
        measures = self.detector.with_mask().masks
        return {
            self.answer: rendering.answer(detection),
            self.tiles: tiles.four_tiles(picture.drawing),
            self.removal: tiles.removing(),
            self.worth: rendering.legend(picture.drawing)
            + f"<p class='cc-small'>{tiles.worth()}</p>",
            self.first: picture,
            self.curve: rendering.removal(detection),
            self.channels: rendering.channels(detection),
            self.channel: gr.update(
                choices=rendering.choices(detection), value=None, interactive=True
            ),
            self.channel_map: None,
            self.brush: erase.brush_panel(picture.drawing),
            self.limits: rendering.limits(measures),
            self.about: rendering.about(detection, measures) + tiles.worth_table(),
        }

    def cleared(self, answer: str | None = None) -> Updates:
        """Return the page without a result. answer: instead of the words before a picture."""
        texts = (self.tiles, self.removal, self.worth, self.curve, self.channels, self.brush)
        return {
            self.answer: answer or _waiting_card(),
            **dict.fromkeys((*texts, self.limits, self.about), ""),
            **dict.fromkeys((self.first, self.channel_map, *self.files)),
            self.channel: gr.update(choices=_no_channel(), value=NO_CHANNEL, interactive=False),
        }

    def begin_second(self, event: gr.EventData, payload: Payload) -> Updates:
        """Return what the page shows at once of the picture to compare with."""
        path = upload_path(payload)
        looking = card.looking(describe_file(path)) if path else ""
        return {self.second_answer: looking, self.second: None}

    def run_second(self, request: PanelRequest, payload: Payload) -> Iterator[Updates]:
        """Judge the picture to compare with, and yield what is said of it."""
        yield self.begin_second(gr.EventData(None, None), payload)
        path = upload_path(payload)
        if path is None:
            return

        def work(job: Job[Updates]) -> Iterator[Updates]:
            with job.enter(DECODED, Priority.VERDICT):
                image, detection = self._judge(job, path)
            copy = shown_copy(image, path)
            updates = {self.second_answer: rendering.answer(detection), self.second: detection}
            yield updates | ({self.second_picture: copy} if copy else {})

        def failed(error: Exception) -> Updates:
            updates = {self.second_answer: card.failure(*explain(error)), self.second: None}
            return updates | ({self.second_picture: None} if isinstance(error, ImageError) else {})

        job = Job(work, request.is_newest)
        updates = job.show(lambda before: {self.second_answer: card.queued(before)})
        yield from request.guard(updates, failed)

    def draw_masks(
        self, order: Order, first: MaskedPicture | None, second: Detection | None
    ) -> str:
        """Return the heatmaps of the masks of the pictures that are there, as HTML."""
        return mask_heatmaps(first.detection if first else None, second, order=order)

    def check_erased(self, picture: MaskedPicture | None, brushed_cells: str) -> str:
        """Return the score without the brushed cells, as HTML: by the sum, and judged again.

        brushed_cells: their numbers, with commas, as the page sends them.
        """
        if picture is None:
            return ""
        detection = picture.detection
        grid = erase.cell_shares(detection)
        numbers = erase.parse_cells(brushed_cells, grid.size)
        path = upload_path({"path": picture.path})
        if not numbers or path is None:
            return f"<p>{_(erase.NOTHING)}</p>"
        detector = self.detector.with_mask()
        blank = partial(erase.blank_cells, cell_numbers=numbers, shape=grid.shape)
        judged_score = _look(path, lambda pixels: detector.score(blank(pixels)).probability)
        predicted_score = sigmoid(detection.logit - float(grid.ravel()[numbers].sum()))
        return erase.both_scores(predicted_score, judged_score, detection)

    def draw_channel(self, picture: MaskedPicture | None, channel: str) -> str | None:
        """Return a channel's own map as a file, for which the model runs again; None for none."""
        path = upload_path({"path": picture.path}) if picture else None
        if picture is None or path is None or channel == NO_CHANNEL:
            return None
        detection = picture.detection
        kept = np.zeros((1, sum(width for _name, width in detection.parts)), bool)
        kept[0, int(channel)] = True
        detector = self.detector.with_mask()
        [alone] = _look(path, lambda pixels: detector.explain_channels(pixels, kept))
        drawing = replace(picture.drawing, detection=replace(detection, views=alone))
        drawn = draw_map(drawing, scale=CHANNEL_SCALE, fade=False)
        return save_png(drawn, "channel", path)


def _look(path: str, look: Callable[[np.ndarray], T]) -> T:
    """Return look(pixels) of a picture's file, with the model."""

    def work(job: Job[T]) -> T:
        with job.enter(DECODED, Priority.VERDICT):
            with job.enter(PICTURES, Priority.VERDICT):
                pixels = load_image(path).pixels
            with job.enter(MODEL, Priority.VERDICT):
                return look(pixels)

    return run_job(work)


def build_mask_tab(
    detector: ChosenDetector,
    transfer: Transfer | None = None,
    *,
    examples: Sequence[Example] = (),
) -> MaskTab:
    """Build the tab inside the current Blocks and wire it.

    Args:
        transfer: where a picture may come from.
        examples: pictures to try; the first is offered to compare with.
    """
    fields: dict[str, Any] = {}
    # 1. The picture, its answer, and pictures to try.
    with gr.Row(elem_classes="cc-mask-top"):
        with gr.Column(scale=2, min_width=200):
            fields["picture"] = picture_field(
                "mask-picture",
                _("Picture"),
                alt_text=_("The picture whose mask is shown"),
                height=PICTURE_HEIGHT,
            )
            gr.HTML(f"<p class='cc-small'>{_(PROMISE)}</p>", elem_id="mask-promise")
        with gr.Column(scale=4, min_width=300):
            fields["answer"] = gr.HTML(
                _waiting_card(), elem_id="mask-answer", elem_classes="cc-flush"
            )
        with gr.Column(scale=4, min_width=300, visible=bool(examples)):
            example_shelf = gr.HTML(
                shelf(examples), js_on_load=PICK, elem_id="mask-examples", elem_classes="cc-flush"
            )
    # 2. The four tiles.
    with gr.Row(elem_id="mask-screen"):
        fields["tiles"] = gr.HTML(elem_id="mask-tiles", elem_classes="cc-flush")
        fields["removal"] = gr.HTML(elem_id="mask-removal", elem_classes="cc-flush")
    fields["worth"] = gr.HTML(elem_id="mask-worth", elem_classes="cc-flush")
    # 3. The mask channel by channel.
    with gr.Accordion(_("For researchers"), open=False, elem_id="mask-research"):
        order, example = _build_masks(fields, has_examples=bool(examples))
        _build_channels(fields)
        room = _build_erasing(fields)
        _build_about(fields)
    # 4. Who listens to what.
    tab = MaskTab(
        detector=detector,
        first=gr.State(time_to_live=LIFETIME),
        second=gr.State(time_to_live=LIFETIME),
        **fields,
    )
    panel = Panel("mask")
    _wire_first(tab, panel, example_shelf, examples, transfer)
    _wire_second(tab, example, examples)
    _wire_research(tab, panel, order)
    _wire_erasing(tab, panel, room)
    return tab


def _no_channel() -> list[tuple[str, str]]:
    return [(_("no channel"), NO_CHANNEL)]


def _waiting_card() -> str:
    return card.waiting(_(TITLE), _(WAITING))


def _build_masks(fields: dict[str, Any], *, has_examples: bool) -> tuple[gr.Radio, gr.Button]:
    """Build the heatmap of the mask with its files, and the picture to compare with; return the
    order of the columns and the button of the example."""
    with gr.Row(elem_classes="cc-mask-screen"):
        with gr.Column(scale=5, min_width=320):
            order = gr.Radio(
                [(_(name), value) for name, value in ORDERS],
                value="index",
                label=_("Columns"),
                show_label=False,
                container=False,
                elem_id="mask-order",
            )
            fields["masks"] = gr.HTML(elem_id="mask-heatmaps", elem_classes="cc-flush")
            with gr.Row(elem_classes="cc-figure-files"):
                fields["files"] = tuple(
                    gr.DownloadButton(label, size="sm", elem_id=f"mask-{kind}", min_width=80)
                    for label, kind in ((_("Figure (PNG)"), "png"), (_("Arrays (npz)"), "npz"))
                )
        with gr.Column(scale=2, min_width=240):
            fields["second_picture"] = picture_field(
                "mask-second",
                _("A second one, to compare (optional)"),
                alt_text=_("The picture whose mask is compared"),
                height=SECOND_HEIGHT,
            )
            example = gr.Button(
                _("Compare with an example"),
                visible=has_examples,
                size="sm",
                elem_id="mask-example",
            )
            fields["second_answer"] = gr.HTML(elem_id="mask-second-answer", elem_classes="cc-flush")
    return order, example


def _build_channels(fields: dict[str, Any]) -> None:
    """Build the curve of the removal, the strongest channels, and the map of one of them."""
    with gr.Row(elem_classes="cc-mask-screen"):
        with gr.Column(scale=4, min_width=320):
            gr.HTML(f"<h2>{_('The score while channels are removed')}</h2>")
            fields["curve"] = gr.HTML(elem_id="mask-curve", elem_classes="cc-flush")
        with gr.Column(scale=5, min_width=320):
            gr.HTML(f"<h2>{_('The strongest channels')}</h2>")
            fields["channels"] = gr.HTML(elem_id="mask-channels", elem_classes="cc-flush")
            fields["channel"] = gr.Dropdown(
                _no_channel(),
                value=NO_CHANNEL,
                label=_(CHANNEL, scale=figure(CHANNEL_SCALE)),
                interactive=False,
                elem_id="mask-channel",
            )
            fields["channel_map"] = map_output(
                "mask-channel-map", show_label=False, alt_text=_("The map of one channel")
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseRoom:
    """The fields around the picture to brush over.

    Attributes:
        cells: the numbers of the brushed cells, which the browser fills in.
        result: what the check found.
    """

    cells: gr.Textbox
    check: gr.Button
    again: gr.Button
    result: gr.HTML


def _build_erasing(fields: dict[str, Any]) -> EraseRoom:
    """Build the place where a reader brushes over a picture and sees what is left of its score."""
    label = _("Erase a place, and see what is left")
    with (
        gr.Accordion(label, open=False, elem_id="mask-erase"),
        gr.Row(elem_classes="cc-erase-room"),
    ):
        fields["brush"] = gr.HTML(elem_id="mask-brush", elem_classes="cc-flush")
        with gr.Column(min_width=240):
            # It has to be in the page, for the browser to write to it.
            label = _("Cells that are erased")
            cells = gr.Textbox(label=label, elem_classes=["cc-erase-cells", "cc-hidden"])
            check = gr.Button(_("Check it"), size="sm", elem_id="mask-erase-check")
            again = gr.Button(_("Start again"), size="sm", elem_id="mask-erase-again")
            result = gr.HTML(elem_id="mask-erase-result", elem_classes="cc-flush")
    return EraseRoom(cells=cells, check=check, again=again, result=result)


def _build_about(fields: dict[str, Any]) -> None:
    """Build what the mask is and what it is not, with the drawings of the method."""
    label = _("What this mask is, and what it is not")
    with gr.Accordion(label, open=False, elem_id="mask-about"):
        fields["limits"] = gr.HTML(elem_id="mask-limits", elem_classes="cc-flush")
        fields["about"] = gr.HTML(elem_id="mask-meaning", elem_classes="cc-flush")
        gr.HTML(_model(), elem_id="mask-model", elem_classes="cc-flush")
        gr.HTML(_figure(), elem_id="mask-parts", elem_classes="cc-flush")


def _model() -> str:
    """Return the drawing of the causal model and of a picture's way through it, as HTML.

    Without its own style it has the page's colours.
    """
    svg = (shipped_folder("assets") / "figures" / "causal-model.svg").read_text(encoding="utf-8")
    return f"<figure>{re.sub(r'<style>.*?</style>', '', svg)}</figure>"


def _figure() -> str:
    """Return the benchmark's figure of what passes the mask and what it holds back, as HTML: one
    picture for each theme of the page."""
    folder = shipped_folder("assets") / "figures"
    caption = _(
        "What the mask lets through and what it holds back, of pictures that it had not seen, each "
        "on its two main axes."
    )
    pictures = ""
    for theme, name in (("light", "parts"), ("dark", "parts-dark")):
        data = base64.b64encode((folder / f"{name}.png").read_bytes()).decode()
        address = f"data:image/png;base64,{data}"
        pictures += f'<img class="cc-in-{theme}" alt="{caption}" src="{address}" width="720">'
    return f"<figure>{pictures}<figcaption>{caption}</figcaption></figure>"


def _wire_first(
    tab: MaskTab,
    panel: Panel,
    example_shelf: gr.HTML,
    examples: Sequence[Example],
    transfer: Transfer | None,
) -> None:
    """Wire where the picture comes from: a file, an example or another tab."""
    judge: dict[str, Any] = {
        "inputs": [tab.picture],
        "outputs": [tab.picture, *tab.outputs],
        **RUNS,
    }

    def begin_example(event: gr.EventData) -> Updates:
        example = selected_item(event, examples)
        return {tab.picture: str(example.path)} | tab.cleared(card.looking(example.title))

    panel.on([tab.picture.upload], tab.begin, tab.run, begin_inputs=[tab.picture], **judge)
    panel.on([example_shelf.click], begin_example, tab.run, begin_inputs=[], **judge)
    if transfer:
        carry = partial(tab.carry, transfer)
        with_tabs = judge | {"outputs": [*judge["outputs"], transfer.tabs]}
        panel.on(
            [transfer.button.click], carry, tab.run, begin_inputs=[transfer.source], **with_tabs
        )
    panel.off([tab.picture.clear], tab.cleared, outputs=tab.outputs)


def _wire_second(tab: MaskTab, example: gr.Button, examples: Sequence[Example]) -> None:
    """Wire the picture to compare with."""
    panel = Panel("mask-second")
    answers = [tab.second_answer, tab.second]
    judge: dict[str, Any] = {
        "inputs": [tab.second_picture],
        "outputs": [tab.second_picture, *answers],
        **RUNS,
    }

    def begin_example(event: gr.EventData) -> Updates:
        example = examples[0]
        looking = card.looking(example.title)
        return {
            tab.second_picture: str(example.path),
            tab.second_answer: looking,
            tab.second: None,
        }

    def cleared() -> Updates:
        return {tab.second_answer: "", tab.second: None}

    upload = [tab.second_picture.upload]
    begin_inputs = [tab.second_picture]
    panel.on(upload, tab.begin_second, tab.run_second, begin_inputs=begin_inputs, **judge)
    panel.on([example.click], begin_example, tab.run_second, begin_inputs=[], **judge)
    panel.off([tab.second_picture.clear], cleared, outputs=answers)


def _wire_research(tab: MaskTab, panel: Panel, order: gr.Radio) -> None:
    """Wire what is drawn anew of the pictures that are there."""
    gr.on(
        [order.input, tab.answer.change, tab.second_answer.change],
        tab.draw_masks,
        [order, tab.first, tab.second],
        tab.masks,
        trigger_mode="always_last",
        queue=False,
        **PRIVATE,
    )
    panel.beside(
        [tab.channel.input],
        tab.draw_channel,
        [tab.first, tab.channel],
        tab.channel_map,
        preprocess=False,
        trigger_mode="always_last",
        **PRIVATE | {"show_progress": "minimal"},  # it takes as long as a verdict
        **RUNS,
    )


def _wire_erasing(tab: MaskTab, panel: Panel, room: EraseRoom) -> None:
    """Wire the check of the brushed cells, and what empties them."""
    cells = [tab.first, room.cells]
    panel.beside([room.check.click], tab.check_erased, cells, room.result, **PRIVATE, **RUNS)
    # assets/erase.js takes the brushed cells back; those of an older picture are gone with it.
    new_picture = [room.again.click, tab.brush.change]
    fields = [room.cells, room.result]
    panel.beside(new_picture, lambda: ("", ""), [], fields, **AT_ONCE)


def _files(picture: MaskedPicture) -> tuple[str, str]:
    """Write the figure as PNG and the arrays as npz; return their paths."""
    folder = new_folder(picture.path)
    png, npz = (folder / f"causalclip-mask.{ending}" for ending in ("png", "npz"))
    save_mask_figure(picture.drawing, png)
    np.savez_compressed(npz, allow_pickle=False, **arrays(picture.detection))
    return str(png), str(npz)
