"""The Explore tab: the mask of one or two pictures, the maps of both its halves, channels and
removal curves.

What is computed is in causalclip.maps.channels, its words in ui.tabs.explore.views, the heatmap of
the mask in ui.tabs.explore.mask.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from causalclip.images.formats import ImageError
from causalclip.images.loading import load_image
from causalclip.languages import N_, _, figure
from causalclip.maps.attribution import Which
from causalclip.maps.channels import CHANNEL_SCALE, arrays, shows_suppressed
from causalclip.maps.figure import save_mask_figure
from causalclip.maps.overlay import SCALE, Drawing, draw_map, prepare
from causalclip.paths import shipped_folder
from causalclip.report import card
from causalclip.report.masks import MAX_REMOVED
from ui.cancellation import CancellationToken, Panel
from ui.detector import ChosenDetector, add_head_choice
from ui.errors import explain
from ui.fields import (
    LIFETIME,
    PRIVATE,
    PROMISE,
    RUNS,
    Source,
    Transfer,
    describe_file,
    map_output,
    picture_field,
    save_png,
    shown_copy,
    upload_path,
)
from ui.jobs import Job
from ui.server.turns import DECODED, MODEL, PICTURES, Priority
from ui.server.uploads import new_folder
from ui.tabs.explore import erase
from ui.tabs.explore import views as words
from ui.tabs.explore.mask import ORDERS, Averages, Order, mask_heatmaps

if TYPE_CHECKING:
    from causalclip.detection import Detection

WAITING = N_(
    "Add a picture to see which channels its mask lets through, and what they carry. Add a second "
    "one to compare."
)
PICTURE = 112  # px, so that all of one picture's screen fits 900
EVERY = N_("All of them")
ALL = "all"
CHANNELS = N_("Channels in the map (one alone: ends of the scale at {alone}, not {all})")
# The room is in sight once it has opened: it grows for a moment.
TO_ERASE = """() => {
  const room = document.getElementById("explore-erase");
  const growth = new ResizeObserver(() => room.scrollIntoView({block: "start"}));
  growth.observe(room);
  setTimeout(() => growth.disconnect(), 1500);
}"""

Updates = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class ExploredPicture:
    """What is kept of a judged picture, from which its maps are drawn anew.

    Attributes:
        path: of the picture's file, of which the page may show a copy.
        mask_detection: by the head whose mask is shown, which may be another than the one that
            judged.
    """

    drawing: Drawing
    path: str
    mask_detection: Detection


@dataclass(frozen=True, slots=True, kw_only=True)
class Pane:
    """The fields of one picture: its maps, its files and what is said of it.

    Attributes:
        waiting: what `answer` shows before there is a picture.
        state: holds the ExploredPicture.
    """

    name: str
    waiting: str
    picture: gr.Image
    answer: gr.HTML
    scores: gr.HTML
    map: gr.Image
    suppressed: gr.Image
    legend: gr.HTML
    channel: gr.Dropdown
    channels: gr.HTML
    removal: gr.HTML
    erase: gr.HTML
    files: tuple[gr.DownloadButton, ...]
    to_erase: gr.Button
    state: gr.State

    @property
    def outputs(self) -> list[Any]:
        """All fields that a run of this picture changes, but the picture itself."""
        texts = [self.answer, self.scores, self.legend, self.channels, self.removal]
        maps = [self.map, self.suppressed, self.channel]
        return [*texts, *maps, *self.files, self.erase, self.state]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplorerTab:
    """The tab's callbacks, and the fields that both pictures share.

    Attributes:
        count: how many channels are removed.
        limits: what the mask does not show.
        about: what the mask is.
        head: the choice of the head; None where there is no choice.
    """

    detector: ChosenDetector
    count: gr.Slider
    limits: gr.HTML
    about: gr.HTML
    head: gr.Radio | None

    def begin(self, pane: Pane, event: gr.EventData, payload: dict[str, Any] | None) -> Updates:
        """Return what the page shows at once: nothing of an older picture beside the new one."""
        path = upload_path(payload)
        return self.cleared(pane, card.looking(describe_file(path)) if path else None)

    def carry(
        self, pane: Pane, transfer: Transfer, event: gr.EventData, source: Source | None
    ) -> Updates:
        """Return what the page shows at once of a picture that comes from another tab."""
        payload = {"path": source.file} if source else None
        return {pane.picture: upload_path(payload), transfer.tabs: transfer.selection} | self.begin(
            pane, event, payload
        )

    def begin_by(
        self, pane: Pane, event: gr.EventData, payload: dict[str, Any] | None, head: str
    ) -> Updates:
        """Have the page's pictures judged by another head; return what it shows at once."""
        self.detector.choose_head(head)
        return self.begin(pane, event, payload)

    def explore(
        self, pane: Pane, token: CancellationToken, payload: dict[str, Any] | None, count: float
    ) -> Iterator[Updates]:
        """Judge a picture and yield what is said of it.

        count: how many channels are removed.
        """
        path = upload_path(payload)
        if path is None:
            yield self.cleared(pane)
            return
        yield self.cleared(pane, card.looking(describe_file(path)))
        job = Job(token, partial(self._stages, pane, path=path, count=int(count)))
        updates = job.show(lambda before: {pane.answer: card.queued(before)})
        yield from token.guard(updates, partial(self._failed, pane))

    def _stages(self, pane: Pane, job: Job[Updates], path: str, count: int) -> Iterator[Updates]:
        """Yield a picture's answer and maps, then its files."""
        with job.enter(DECODED, Priority.VERDICT):
            with job.enter(PICTURES, Priority.VERDICT):
                image = load_image(path)
            with job.enter(MODEL, Priority.VERDICT):
                picture = self._judge(image.pixels, path)
        copy = shown_copy(image, path)
        yield self._updates(pane, picture, count) | ({pane.picture: copy} if copy else {})
        yield dict(zip(pane.files, _files(pane, picture), strict=True))

    def _failed(self, pane: Pane, error: Exception) -> Updates:
        """Return the error's sentence for the page; what is no picture leaves its field."""
        updates = self.cleared(pane, card.failure(*explain(error)))
        return updates | ({pane.picture: None} if isinstance(error, ImageError) else {})

    def _judge(self, pixels: np.ndarray, path: str) -> ExploredPicture:
        """Judge pixels by the head that the page has chosen.

        The mask is the causal head's, where the app has that one.
        """
        detection = self.detector().predict(pixels)
        other = detection.head != "causal" and "causal" in self.detector.heads
        mask_detection = self.detector.with_mask().predict(pixels) if other else detection
        return ExploredPicture(prepare(pixels, detection), path, mask_detection)

    def _updates(self, pane: Pane, picture: ExploredPicture, count: int) -> Updates:
        """Return all that the page shows of a judged picture, but its files."""
        drawing = picture.drawing
        detection = drawing.detection
        most = sum(width for _name, width in detection.parts)
        choices = [(_(EVERY), ALL), *words.choices(detection)]
        return {
            pane.answer: words.answer(detection, picture.mask_detection),
            pane.scores: words.scores_alone(detection),
            **self._maps(pane, picture),
            pane.channel: gr.update(choices=choices, value=ALL, interactive=True),
            pane.legend: words.legend(drawing),
            pane.channels: words.channels(detection),
            pane.removal: words.removal(detection, count),
            self.count: gr.update(maximum=most, value=min(count, most)),
            self.limits: words.limits(self.detector.with_mask().masks),
            self.about: words.about(picture.mask_detection, self.detector.with_mask().masks),
            pane.state: picture,
            pane.erase: erase.brush_panel(drawing),
        }

    def _maps(self, pane: Pane, picture: ExploredPicture, scale: float = SCALE) -> Updates:
        """Return both maps; the suppressed one only where it has anything to show."""
        draw = partial(_map_file, picture, scale=scale)
        has_suppressed = shows_suppressed(picture.drawing.detection)
        suppressed_map = draw(which="non_causal") if has_suppressed else None
        return {
            pane.map: draw(which="causal"),
            pane.suppressed: gr.update(value=suppressed_map, visible=has_suppressed),
        }

    def cleared(self, pane: Pane, answer: str | None = None) -> Updates:
        """Return the pane without a result. answer: instead of the words before a picture."""
        return {
            pane.answer: answer or pane.waiting,
            **dict.fromkeys((pane.scores, pane.legend, pane.channels, pane.removal), ""),
            **dict.fromkeys((pane.map, pane.suppressed, *pane.files, pane.state)),
            pane.erase: "",
            pane.channel: gr.update(choices=[(_(EVERY), ALL)], value=ALL, interactive=False),
        }

    def masks(
        self, order: Order, first: ExploredPicture | None, second: ExploredPicture | None
    ) -> str:
        """Return the heatmaps of the masks of the pictures that are there, as HTML."""
        detections = [picture.mask_detection if picture else None for picture in (first, second)]
        open_shares = None
        if any(detections):
            open_shares = self.detector.with_mask().masks.get("whole", {}).get("open")
        averages = Averages(**open_shares) if open_shares else None
        return mask_heatmaps(*detections, order=order, averages=averages)

    def check_erased(self, picture: ExploredPicture | None, brushed_cells: str) -> str:
        """Return the score without the brushed cells, as HTML: by the sum, and judged again.

        brushed_cells: their numbers, with commas, as the page sends them.
        """
        if picture is None:
            return ""
        from causalclip.calibration import sigmoid  # brings PyTorch

        detection = picture.drawing.detection
        grid = erase.cell_shares(detection)
        numbers = erase.parse_cells(brushed_cells, grid.size)
        path = upload_path({"path": picture.path})
        if not numbers or path is None:
            return f"<p>{_(erase.NOTHING)}</p>"
        with DECODED.enter(Priority.VERDICT):
            pixels = erase.blank_cells(load_image(path).pixels, numbers, grid.shape)
            with MODEL.enter(Priority.VERDICT):
                judged_score = self.detector().score(pixels).probability
        predicted_score = sigmoid(detection.logit - float(grid.ravel()[numbers].sum()))
        return erase.both_scores(predicted_score, judged_score, detection)

    def redraw(self, pane: Pane, picture: ExploredPicture | None, channel: str) -> Updates:
        """Return one pane's maps, or those of one of its channels, for which the model runs
        again."""
        if picture is None:
            return {pane.map: gr.skip()}
        drawing, path = picture.drawing, upload_path({"path": picture.path})
        if channel == ALL or path is None:
            return self._maps(pane, picture)
        with DECODED.enter(Priority.VERDICT):
            pixels = load_image(path).pixels
            with MODEL.enter(Priority.VERDICT):
                views = self.detector().explain_channel(pixels, int(channel))
        alone = replace(drawing, detection=replace(drawing.detection, views=views))
        return self._maps(pane, replace(picture, drawing=alone), scale=CHANNEL_SCALE)


def build_explorer_tab(
    detector: ChosenDetector, transfer: Transfer | None = None, *, examples: Sequence[Path] = ()
) -> ExplorerTab:
    """Build the tab inside the current Blocks and wire it.

    Args:
        transfer: where a picture may come from.
        examples: pictures of which one is offered to compare with.
    """
    # 1. Both pictures and their answers.
    with gr.Row(elem_classes="cc-explore-pictures"):
        first = _picture("explore-a", _("Picture"))
        with gr.Column(min_width=160):
            second = _picture("explore-b", _("A second one, to compare (optional)"))
            example = gr.Button(
                _("Compare with an example"),
                visible=bool(examples),
                size="sm",
                elem_id="explore-example",
            )
        with gr.Column(scale=3):
            texts = (("explore-a", card.waiting(_(WAITING))), ("explore-b", ""))
            answers = [
                gr.HTML(text, elem_id=f"{name}-answer", elem_classes="cc-flush")
                for name, text in texts
            ]
            head = add_head_choice(detector, "explore", one_line=True)
    # 2. The masks and maps.
    with gr.Row(elem_classes="cc-mask-screen"):
        with gr.Column(scale=5, min_width=320):
            order = gr.Radio(
                [(_(name), value) for name, value in ORDERS],
                value="index",
                label=_("Columns"),
                show_label=False,
                container=False,
                elem_id="explore-order",
            )
            masks = gr.HTML(elem_id="explore-masks", elem_classes="cc-flush")
            with gr.Column(elem_classes="cc-removals"):
                removals = [_removal(name) for name in ("explore-a", "explore-b")]
        with gr.Column(scale=4, min_width=320):
            panes = [
                _pane("explore-a", card.waiting(_(WAITING)), first, answers[0], removals[0]),
                _pane("explore-b", "", second, answers[1], removals[1]),
            ]
            limits = gr.HTML(elem_id="explore-mask-words", elem_classes="cc-flush")
            count = gr.Slider(
                0,
                1000,
                MAX_REMOVED,
                step=1,
                label=_("Remove so many channels"),
                buttons=[],
                elem_id="explore-count",
            )
    # 3. What opens below them.
    label = _("Erase a place, and see what is left")
    with gr.Accordion(label, open=False, elem_id="explore-erase") as erasing:
        rooms = [_erase_room(pane) for pane in panes]
    with (
        gr.Accordion(_("The strongest channels"), open=False, elem_id="explore-strongest"),
        gr.Row(),
    ):
        for pane in panes:
            with gr.Column(min_width=320):
                pane.channels.render()
                pane.channel.render()
    with gr.Accordion(
        _("What this mask is, and what it is not"), open=False, elem_id="explore-about"
    ):
        gr.HTML(_model(), elem_id="explore-model", elem_classes="cc-flush")
        about = gr.HTML(elem_id="explore-mask-about", elem_classes="cc-flush")
        gr.HTML(_figure(), elem_id="explore-parts", elem_classes="cc-flush")
    gr.HTML(f"<p class='cc-small'>{_(PROMISE)}</p>", elem_id="explore-promise")
    # 4. Who listens to what.
    tab = ExplorerTab(detector=detector, count=count, limits=limits, about=about, head=head)
    _wire(tab, panes[0], transfer=transfer)
    for pane, room in zip(panes, rooms, strict=True):
        _wire_erase(tab, pane, room)
        opens = pane.to_erase.click(
            lambda: gr.update(open=True), None, erasing, queue=False, **PRIVATE
        )
        opens.then(None, js=TO_ERASE, queue=False, **PRIVATE)
    _wire(tab, panes[1], example=example, examples=examples)
    at_once: dict[str, Any] = {"trigger_mode": "always_last", "queue": False, **PRIVATE}
    mask_inputs = [order, *(pane.state for pane in panes)]
    mask_events = [order.input, *(pane.answer.change for pane in panes)]
    gr.on(mask_events, tab.masks, mask_inputs, masks, **at_once)
    return tab


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


def _picture(name: str, label: str) -> gr.Image:
    return picture_field(name, label, alt_text=_("The picture to be explored"), height=PICTURE)


def _removal(name: str) -> gr.HTML:
    return gr.HTML(elem_id=f"{name}-removal", elem_classes="cc-flush")


def _pane(name: str, waiting: str, picture: gr.Image, answer: gr.HTML, removal: gr.HTML) -> Pane:
    """Build one picture's maps and files; its channels and its place to erase come elsewhere."""
    # 1. What is placed elsewhere.
    channels = gr.HTML(elem_id=f"{name}-channels", elem_classes="cc-flush", render=False)
    channel = gr.Dropdown(
        [(_(EVERY), ALL)],
        value=ALL,
        label=_(CHANNELS, alone=figure(CHANNEL_SCALE), all=figure(SCALE)),
        interactive=False,
        elem_id=f"{name}-channel",
        render=False,
    )
    erase_field = gr.HTML(elem_id=f"{name}-erase", elem_classes="cc-flush", render=False)
    # 2. What stands here.
    with gr.Column(min_width=300, elem_classes="cc-pane", elem_id=f"{name}-pane"):
        scores = gr.HTML(elem_id=f"{name}-scores", elem_classes="cc-flush")
        with gr.Row(elem_classes="cc-both-maps"):
            passed = map_output(
                f"{name}-map", show_label=False, alt_text=_("What passes the mask, as a map")
            )
            suppressed_map = map_output(
                f"{name}-suppressed",
                show_label=False,
                alt_text=_("What the mask suppresses, as a map"),
            )
        legend = gr.HTML(elem_id=f"{name}-legend", elem_classes="cc-flush")
        with gr.Row(elem_classes="cc-figure-files"):
            files = tuple(
                gr.DownloadButton(label, size="sm", elem_id=f"{name}-{kind}", min_width=80)
                for label, kind in (
                    (_("Figure (PNG)"), "png"),
                    (_("Figure (SVG)"), "svg"),
                    (_("Arrays (npz)"), "npz"),
                )
            )
            to_erase = gr.Button(
                _("Erase a place"), size="sm", elem_id=f"{name}-to-erase", min_width=80
            )
    return Pane(
        name=name,
        waiting=waiting,
        picture=picture,
        answer=answer,
        scores=scores,
        map=passed,
        suppressed=suppressed_map,
        legend=legend,
        channel=channel,
        channels=channels,
        removal=removal,
        erase=erase_field,
        files=files,
        to_erase=to_erase,
        state=gr.State(time_to_live=LIFETIME),
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


def _erase_room(pane: Pane) -> EraseRoom:
    """Build the place where a reader brushes over a picture and sees what is left of its score."""
    with gr.Row(elem_classes="cc-erase-room"):
        pane.erase.render()
        with gr.Column(min_width=240):
            # It has to be in the page, for the browser to write to it.
            label = _("Cells that are erased")
            cells = gr.Textbox(label=label, elem_classes=["cc-erase-cells", "cc-hidden"])
            check = gr.Button(_("Check it"), size="sm", elem_id=f"{pane.name}-erase-check")
            again = gr.Button(_("Start again"), size="sm", elem_id=f"{pane.name}-erase-again")
            result = gr.HTML(elem_id=f"{pane.name}-erase-result", elem_classes="cc-flush")
    return EraseRoom(cells=cells, check=check, again=again, result=result)


def _wire_erase(tab: ExplorerTab, pane: Pane, room: EraseRoom) -> None:
    """Wire the check of the brushed cells, and what empties them."""
    panel = Panel(pane.name)
    erase_inputs = [pane.state, room.cells]
    panel.beside([room.check.click], tab.check_erased, erase_inputs, room.result, **PRIVATE, **RUNS)
    # assets/erase.js takes the brushed cells back; those of an older picture are gone with it.
    new_picture = [room.again.click, pane.erase.change]
    fields = [room.cells, room.result]
    panel.beside(new_picture, lambda: ("", ""), [], fields, queue=False, **PRIVATE)


def _wire(
    tab: ExplorerTab,
    pane: Pane,
    *,
    transfer: Transfer | None = None,
    example: gr.Button | None = None,
    examples: Sequence[Path] = (),
) -> None:
    """Wire one pane: where its picture comes from, and what draws it anew."""
    panel, run = Panel(pane.name), partial(tab.explore, pane)
    outputs = [pane.picture, *pane.outputs, tab.count, tab.limits, tab.about]
    judge: dict[str, Any] = {
        "inputs": [pane.picture, tab.count],
        "outputs": outputs,
        **RUNS,
    }
    # 1. A picture: from a file, another tab, an example, or the same one by another head.
    panel.on(
        [pane.picture.upload], partial(tab.begin, pane), run, begin_inputs=[pane.picture], **judge
    )
    if transfer:
        carry = partial(tab.carry, pane, transfer)
        with_tabs = judge | {"outputs": [*outputs, transfer.tabs]}
        panel.on([transfer.button.click], carry, run, begin_inputs=[transfer.source], **with_tabs)
    if example:

        def begin_example(event: gr.EventData) -> Updates:
            path = str(examples[0])
            return {pane.picture: path} | tab.cleared(pane, card.looking(describe_file(path)))

        panel.on([example.click], begin_example, run, begin_inputs=[], **judge)
    if tab.head:
        panel.on(
            [tab.head.change],
            partial(tab.begin_by, pane),
            run,
            begin_inputs=[pane.picture, tab.head],
            **judge,
        )
    panel.off([pane.picture.clear], partial(tab.cleared, pane), outputs=pane.outputs)
    # 2. Other settings of what is there.
    panel.beside(
        [pane.channel.input],
        partial(tab.redraw, pane),
        [pane.state, pane.channel],
        [pane.map, pane.suppressed],
        preprocess=False,
        trigger_mode="always_last",
        **PRIVATE | {"show_progress": "minimal"},  # a channel's own map takes as long as a verdict
        **RUNS,
    )
    panel.beside(
        [tab.count.release],
        _removal_words,
        [pane.state, tab.count],
        pane.removal,
        trigger_mode="always_last",
        **PRIVATE,
    )


def _files(pane: Pane, picture: ExploredPicture) -> tuple[str, str, str]:
    """Write the figure as PNG and SVG and the arrays as npz; return their paths."""
    folder = new_folder(picture.path)
    name = f"causalclip-mask-{'first' if pane.name.endswith('a') else 'second'}"
    png, svg, npz = (folder / f"{name}.{ending}" for ending in ("png", "svg", "npz"))
    save_mask_figure(picture.drawing, picture.mask_detection, [png, svg])
    np.savez_compressed(npz, allow_pickle=False, **arrays(picture.mask_detection))
    return str(png), str(svg), str(npz)


def _removal_words(picture: ExploredPicture | None, count: float) -> str:
    """Return what is left of the score without the first channels, as HTML."""
    return words.removal(picture.drawing.detection, int(count)) if picture else ""


def _map_file(picture: ExploredPicture, *, which: Which, scale: float) -> str:
    """Write one map of its picture as PNG; return its path."""
    fade = scale == SCALE  # a channel's own map is all of it
    return save_png(draw_map(picture.drawing, which, scale=scale, fade=fade), "map", picture.path)
