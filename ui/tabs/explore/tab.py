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
from causalclip.report.explain import MAX_REMOVED
from ui.cancellation import CancellationToken, Panel
from ui.detector import ChosenDetector, add_head_choice
from ui.errors import explain
from ui.fields import (
    KEPT,
    OPACITY,
    PRIVATE,
    PROMISE,
    RUNS,
    Carried,
    Source,
    describe_file,
    map_output,
    picture_field,
    save_png,
    shown_copy,
    upload_path,
)
from ui.server.turns import DECODED, MODEL, Priority
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
    """What redrawing needs. path: of the picture, of which the page may show a copy. masked: the
    detection by the head whose mask is shown."""

    drawing: Drawing
    path: str
    masked: Detection


@dataclass(frozen=True, slots=True, kw_only=True)
class Pane:
    """One picture with all that is said of it. waiting: the answer before there is a picture.
    explored: a gr.State."""

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
    explored: gr.State

    @property
    def shown(self) -> list[Any]:
        """Everything that a run may change, but the picture and what is of both."""
        said = [self.answer, self.scores, self.legend, self.channels, self.removal]
        maps = [self.map, self.suppressed, self.channel]
        return [*said, *maps, *self.files, self.erase, self.explored]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplorerTab:
    """The callbacks, and what is of both pictures: the settings of their maps (opacity, smooth,
    frame), how many channels are removed, the limits of the mask, and what it is."""

    detector: ChosenDetector
    of_map: list[Any]
    count: gr.Slider
    limits: gr.HTML
    about: gr.HTML
    head: gr.Radio | None

    def begin(self, pane: Pane, event: gr.EventData, payload: dict[str, Any] | None) -> Updates:
        """What the page shows at once: nothing of an older picture beside the new one."""
        path = upload_path(payload)
        return self.cleared(pane, card.looking(describe_file(path)) if path else None)

    def carry(
        self, pane: Pane, carried: Carried, event: gr.EventData, source: Source | None
    ) -> Updates:
        """`begin` for a picture from another tab."""
        payload = {"path": source.file} if source else None
        return {pane.picture: upload_path(payload), carried.tabs: carried.shown} | self.begin(
            pane, event, payload
        )

    def begin_by(
        self, pane: Pane, event: gr.EventData, payload: dict[str, Any] | None, head: str
    ) -> Updates:
        """`begin` for the picture that is there, by another head."""
        self.detector.choose_head(head)
        return self.begin(pane, event, payload)

    def explore(
        self, pane: Pane, token: CancellationToken, payload: dict[str, Any] | None, *settings: Any
    ) -> Iterator[Updates]:
        """Judges a picture and yields what is said of it; `settings`: those of the map, then the
        count."""
        path = upload_path(payload)
        if path is None:
            yield self.cleared(pane)
            return
        yield self.cleared(pane, card.looking(describe_file(path)))
        yield from token.guard(
            self._stages(pane, token, path, settings), partial(self._failed, pane)
        )

    def _stages(
        self, pane: Pane, token: CancellationToken, path: str, settings: Any
    ) -> Iterator[Updates]:
        with DECODED.ask(Priority.VERDICT) as place:
            for before in token.waits(place):
                yield {pane.answer: card.queued(before)}
            loaded = load_image(path)
            with MODEL.ask(Priority.VERDICT) as turn:
                for before in token.waits(turn):
                    yield {pane.answer: card.queued(before)}
                explored = self._judged(loaded.pixels, path)
        copy = shown_copy(loaded)
        yield self._explored(pane, explored, settings) | ({pane.picture: copy} if copy else {})
        yield dict(zip(pane.files, _files(pane, explored), strict=True))

    def _failed(self, pane: Pane, error: Exception) -> Updates:
        """Its sentence; what is no picture leaves the field."""
        said = self.cleared(pane, card.failure(*explain(error)))
        return said | ({pane.picture: None} if isinstance(error, ImageError) else {})

    def _judged(self, pixels: np.ndarray, path: str) -> ExploredPicture:
        """Judged by the head that the page has chosen; the mask is the causal head's, where it is
        here."""
        found = self.detector().predict(pixels)
        other = found.head != "causal" and "causal" in self.detector.heads
        masked = self.detector.with_mask().predict(pixels) if other else found
        return ExploredPicture(prepare(pixels, found), path, masked)

    def _explored(self, pane: Pane, explored: ExploredPicture, settings: Any) -> Updates:
        *of_map, count = settings
        most = sum(width for _name, width in explored.drawing.detection.parts)
        drawing, detection = explored.drawing, explored.drawing.detection
        choices = [(_(EVERY), ALL), *words.choices(detection)]
        return {
            pane.answer: words.answer(detection, explored.masked),
            pane.scores: words.scores_alone(detection),
            **self._maps(pane, explored, of_map),
            pane.channel: gr.update(choices=choices, value=ALL, interactive=True),
            pane.legend: words.legend(drawing),
            pane.channels: words.channels(detection),
            pane.removal: words.removal(detection, int(count)),
            self.count: gr.update(maximum=most, value=min(int(count), most)),
            self.limits: words.limits(self.detector.with_mask().masks),
            self.about: words.about(explored.masked, self.detector.with_mask().masks),
            pane.explored: explored,
            pane.erase: erase.panel(drawing.picture, detection),
        }

    def _maps(
        self, pane: Pane, explored: ExploredPicture, of_map: Sequence[Any], scale: float = SCALE
    ) -> Updates:
        """Both maps; the suppressed one only where it has anything to show."""
        draw = partial(_map_file, explored, *of_map, scale=scale)
        shown = shows_suppressed(explored.drawing.detection)
        suppressed = draw(which="non_causal") if shown else None
        return {
            pane.map: draw(which="causal"),
            pane.suppressed: gr.update(value=suppressed, visible=shown),
        }

    def cleared(self, pane: Pane, answer: str | None = None) -> Updates:
        """No result."""
        return {
            pane.answer: answer or pane.waiting,
            **dict.fromkeys((pane.scores, pane.legend, pane.channels, pane.removal), ""),
            **dict.fromkeys((pane.map, pane.suppressed, *pane.files, pane.explored)),
            pane.erase: "",
            pane.channel: gr.update(choices=[(_(EVERY), ALL)], value=ALL, interactive=False),
        }

    def masks(
        self, order: Order, first: ExploredPicture | None, second: ExploredPicture | None
    ) -> str:
        """The heatmaps of the masks that are there."""
        masked = [explored.masked if explored else None for explored in (first, second)]
        measured = (
            self.detector.with_mask().masks.get("whole", {}).get("open") if any(masked) else None
        )
        averages = Averages(**measured) if measured else None
        return mask_heatmaps(*masked, order=order, averages=averages)

    def check_erased(self, explored: ExploredPicture | None, chosen: str) -> str:
        """The score without the cells, by the sum, and judged again with them blanked."""
        if explored is None:
            return ""
        from causalclip.calibration import sigmoid  # brings PyTorch

        detection = explored.drawing.detection
        grid = erase.cells(detection)
        numbers = erase.parse_cells(chosen, grid.size)
        path = upload_path({"path": explored.path})
        if not numbers or path is None:
            return f"<p>{_(erase.NOTHING)}</p>"
        with DECODED.enter(Priority.VERDICT):
            pixels = erase.blanked(load_image(path).pixels, numbers, grid.shape)
            with MODEL.enter(Priority.VERDICT):
                judged = self.detector().score(pixels).probability
        predicted = sigmoid(detection.logit - float(grid.ravel()[numbers].sum()))
        return erase.checked(predicted, judged, detection)

    def redraw(
        self, pane: Pane, explored: ExploredPicture | None, channel: str, *settings: Any
    ) -> Updates:
        """One pane's maps under other settings; the model runs again only for a channel's own
        maps."""
        if explored is None:
            return {pane.map: gr.skip()}
        drawing, path = explored.drawing, upload_path({"path": explored.path})
        if channel == ALL or path is None:
            return self._maps(pane, explored, settings)
        with DECODED.enter(Priority.VERDICT):
            pixels = load_image(path).pixels
            with MODEL.enter(Priority.VERDICT):
                views = self.detector().explain_channel(pixels, int(channel))
        alone = replace(drawing, detection=replace(drawing.detection, views=views))
        return self._maps(pane, replace(explored, drawing=alone), settings, scale=CHANNEL_SCALE)


def build_explorer_tab(
    detector: ChosenDetector, carried: Carried | None = None, *, examples: Sequence[Path] = ()
) -> ExplorerTab:
    """Builds the tab inside the current Blocks and wires it. carried: where a picture may come
    from. examples: pictures of which one is offered to compare with."""
    with gr.Row(elem_classes="cc-explore-pictures"):
        first = _picture("explore-a", _("Picture"))
        with gr.Column(min_width=160):
            second = _picture("explore-b", _("A second one, to compare (optional)"))
            words_on_it = _("Compare with an example")
            example = gr.Button(
                words_on_it, visible=bool(examples), size="sm", elem_id="explore-example"
            )
        with gr.Column(scale=3):
            texts = (("explore-a", card.waiting(_(WAITING))), ("explore-b", ""))
            answers = [
                gr.HTML(text, elem_id=f"{name}-answer", elem_classes="cc-flush")
                for name, text in texts
            ]
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
            head = add_head_choice(detector, "explore")
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
    with gr.Accordion(_("Settings of the maps"), open=False, elem_id="explore-settings"), gr.Row():
        opacity = gr.Slider(
            0, 1, OPACITY, step=0.05, label=_("Opacity"), buttons=[], elem_id="explore-opacity"
        )
        smooth = gr.Checkbox(True, label=_("Smooth, not patch by patch"), elem_id="explore-smooth")
        frame = gr.Checkbox(True, label=_("Frames of the windows"), elem_id="explore-frame")
    with gr.Accordion(
        _("What this mask is, and what it is not"), open=False, elem_id="explore-about"
    ):
        gr.HTML(_model(), elem_id="explore-model", elem_classes="cc-flush")
        about = gr.HTML(elem_id="explore-mask-about", elem_classes="cc-flush")
        gr.HTML(_figure(), elem_id="explore-parts", elem_classes="cc-flush")
    gr.HTML(f"<p class='cc-small'>{_(PROMISE)}</p>", elem_id="explore-promise")
    of_map = [opacity, smooth, frame]
    tab = ExplorerTab(
        detector=detector, of_map=of_map, count=count, limits=limits, about=about, head=head
    )
    _wire(tab, panes[0], carried=carried)
    for pane, room in zip(panes, rooms, strict=True):
        _wire_erase(tab, pane, room)
        opens = pane.to_erase.click(
            lambda: gr.update(open=True), None, erasing, queue=False, **PRIVATE
        )
        opens.then(None, js=TO_ERASE, queue=False, **PRIVATE)
    _wire(tab, panes[1], example=example, examples=examples)
    drawn: dict[str, Any] = {"trigger_mode": "always_last", "queue": False, **PRIVATE}
    given = [order, *(pane.explored for pane in panes)]
    gr.on([order.input, *(pane.answer.change for pane in panes)], tab.masks, given, masks, **drawn)
    return tab


def _model() -> str:
    """The causal model and the way of a picture, in the page's own colour."""
    drawn = (shipped_folder("assets") / "figures" / "causal-model.svg").read_text(encoding="utf-8")
    return f"<figure>{re.sub(r'<style>.*?</style>', '', drawn)}</figure>"


def _figure() -> str:
    """What passes the causal head's mask and what it holds back, of many pictures, as the benchmark
    drew it for the page's theme."""
    folder = shipped_folder("assets") / "figures"
    caption = _(
        "What the mask lets through and what it holds back, of pictures that it had not seen, each "
        "on its two main axes."
    )
    pictures = ""
    for theme, name in (("light", "parts"), ("dark", "parts-dark")):
        drawn = base64.b64encode((folder / f"{name}.png").read_bytes()).decode()
        address = f"data:image/png;base64,{drawn}"
        pictures += f'<img class="cc-in-{theme}" alt="{caption}" src="{address}" width="720">'
    return f"<figure>{pictures}<figcaption>{caption}</figcaption></figure>"


def _picture(name: str, label: str) -> gr.Image:
    return picture_field(name, label, alt_text=_("The picture to be explored"), height=PICTURE)


def _removal(name: str) -> gr.HTML:
    return gr.HTML(elem_id=f"{name}-removal", elem_classes="cc-flush")


def _pane(name: str, waiting: str, picture: gr.Image, answer: gr.HTML, removal: gr.HTML) -> Pane:
    """One picture's maps and files; its channels are placed elsewhere."""
    channels = gr.HTML(elem_id=f"{name}-channels", elem_classes="cc-flush", render=False)
    channel = gr.Dropdown(
        [(_(EVERY), ALL)],
        value=ALL,
        label=_(CHANNELS, alone=figure(CHANNEL_SCALE), all=figure(SCALE)),
        interactive=False,
        elem_id=f"{name}-channel",
        render=False,
    )
    with gr.Column(min_width=300, elem_classes="cc-pane", elem_id=f"{name}-pane"):
        scores = gr.HTML(elem_id=f"{name}-scores", elem_classes="cc-flush")
        with gr.Row(elem_classes="cc-both-maps"):
            drawn = map_output(
                f"{name}-map", show_label=False, alt_text=_("What passes the mask, as a map")
            )
            suppressed = map_output(
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
        map=drawn,
        suppressed=suppressed,
        legend=legend,
        channel=channel,
        channels=channels,
        removal=removal,
        erase=gr.HTML(elem_id=f"{name}-erase", elem_classes="cc-flush", render=False),
        files=files,
        to_erase=to_erase,
        explored=gr.State(time_to_live=KEPT),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseRoom:
    """cells: their numbers, which the browser fills in. result: after the check."""

    cells: gr.Textbox
    check: gr.Button
    again: gr.Button
    result: gr.HTML


def _erase_room(pane: Pane) -> EraseRoom:
    """A picture to brush over, and what is left of its score."""
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
    part = Panel(pane.name)
    given = [pane.explored, room.cells]
    part.beside([room.check.click], tab.check_erased, given, room.result, **PRIVATE, **RUNS)
    # assets/erase.js takes the brushed cells back; those of an older picture are gone with it.
    cleared, anew = [room.cells, room.result], [room.again.click, pane.erase.change]
    part.beside(anew, lambda: ("", ""), [], cleared, queue=False, **PRIVATE)


def _wire(
    tab: ExplorerTab,
    pane: Pane,
    *,
    carried: Carried | None = None,
    example: gr.Button | None = None,
    examples: Sequence[Path] = (),
) -> None:
    part, run = Panel(pane.name), partial(tab.explore, pane)
    outputs = [pane.picture, *pane.shown, tab.count, tab.limits, tab.about]
    judge: dict[str, Any] = {
        "inputs": [pane.picture, *tab.of_map, tab.count],
        "outputs": outputs,
        **RUNS,
    }
    part.on([pane.picture.upload], partial(tab.begin, pane), run, given=[pane.picture], **judge)
    if carried:
        begin, more = partial(tab.carry, pane, carried), {"outputs": [*outputs, carried.tabs]}
        part.on([carried.button.click], begin, run, given=[carried.source], **judge | more)
    if example:

        def begin_example(event: gr.EventData) -> Updates:
            path = str(examples[0])
            return {pane.picture: path} | tab.cleared(pane, card.looking(describe_file(path)))

        part.on([example.click], begin_example, run, given=[], **judge)
    if tab.head:
        part.on(
            [tab.head.change],
            partial(tab.begin_by, pane),
            run,
            given=[pane.picture, tab.head],
            **judge,
        )
    part.off([pane.picture.clear], partial(tab.cleared, pane), outputs=pane.shown)
    opacity, smooth, frame = tab.of_map
    part.beside(
        [smooth.input, opacity.release, frame.input, pane.channel.input],
        partial(tab.redraw, pane),
        [pane.explored, pane.channel, *tab.of_map],
        [pane.map, pane.suppressed],
        preprocess=False,
        trigger_mode="always_last",
        **PRIVATE | {"show_progress": "minimal"},  # a channel's own map takes as long as a verdict
        **RUNS,
    )
    part.beside(
        [tab.count.release],
        _removed,
        [pane.explored, tab.count],
        pane.removal,
        trigger_mode="always_last",
        **PRIVATE,
    )


def _files(pane: Pane, explored: ExploredPicture) -> tuple[str, str, str]:
    """The figure as PNG and SVG, and the arrays as npz."""
    folder, name = (
        new_folder(),
        f"causalclip-mask-{'first' if pane.name.endswith('a') else 'second'}",
    )
    png, svg, npz = (folder / f"{name}.{ending}" for ending in ("png", "svg", "npz"))
    save_mask_figure(explored.drawing, explored.masked, [png, svg])
    np.savez_compressed(npz, allow_pickle=False, **arrays(explored.masked))
    return str(png), str(svg), str(npz)


def _removed(explored: ExploredPicture | None, count: float) -> str:
    return words.removal(explored.drawing.detection, int(count)) if explored else ""


def _map_file(
    explored: ExploredPicture,
    opacity: float,
    smooth: bool,
    frame: bool,
    *,
    which: Which,
    scale: float,
) -> str:
    fade = scale == SCALE  # a channel's own map is all of it
    look: dict[str, Any] = {"opacity": opacity, "smooth": smooth, "scale": scale, "fade": fade}
    drawn = draw_map(explored.drawing, which, frame=frame, bar=False, **look)
    return save_png(drawn, "map")
