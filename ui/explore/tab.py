"""The Explore tab: two pictures side by side, their maps, channels and removal curves. No model code.

What is computed is in causalclip.maps.explorer, its words and curves in ui.explore.words.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from causalclip.images.loading import ImageError, load_image
from causalclip.languages import N_, _, figure
from causalclip.maps.explorer import CHANNEL_SCALE, Shown, arrays, shown
from causalclip.maps.maskgrid import draw_mask, mask_words
from causalclip.maps.overlay import SCALE, Drawing, draw_map, prepare
from causalclip.maps.words import face, hatched
from causalclip.report import card
from ui.cancellation import CancellationToken, Panel
from ui.detector import ChosenDetector
from ui.explore import words
from ui.explore.compare import add_compare
from ui.fields import explain, named, new_folder, save_png, shown_copy, upload_path
from ui.heads import add_head_choice
from ui.server.queue import DECODED, MODEL, Priority
from ui.settings import KEPT, OPACITY, PRIVATE, PROMISE, RUNS, Carried, folded, map_output, picture_field

WAITING = N_(
    "For those who argue with a verdict. Add a picture: what each part of the model adds to its score appears here, "
    "on scales that are the same for every picture. A second one is compared beside it, under the same settings."
)
MAPS = [
    (N_("Causal: what the verdict rests on"), "causal"),
    (N_("Non-causal: what the mask holds back"), "non_causal"),
    (N_("Causal minus non-causal"), "difference"),
]
ORDERS = [(N_("push hardest for the answer"), "push"), (N_("the mask lets through most"), "mask")]
EVERY = N_("All of them")
ALL = "all"
CHANNELS = N_("Channels in the map (one alone: ends of the scale at {alone}, not {all})")

Updates = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class ExploredPicture:
    """What redrawing needs. path: of the picture, of which the page may show a copy."""

    drawing: Drawing
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pane:
    """One picture with all that is said of it. waiting: the answer before there is a picture. explored: a gr.State."""

    name: str
    waiting: str
    picture: gr.Image
    answer: gr.HTML
    map: gr.Image
    channel: gr.Dropdown
    channels: gr.HTML
    removal: gr.HTML
    mask: gr.Image
    mask_words: gr.HTML
    npz: gr.DownloadButton
    explored: gr.State

    @property
    def shown(self) -> list[Any]:
        """Everything that a run may change, but the picture."""
        said = [self.answer, self.channels, self.removal, self.mask_words]
        return [*said, self.map, self.mask, self.channel, self.npz, self.explored]


@dataclass(frozen=True, slots=True)
class ExplorerTab:
    """The callbacks. detector: returns the loaded detector; may raise WeightsMissing. count: how many channels are
    removed, as many as there are at most."""

    detector: ChosenDetector
    count: gr.Slider
    head: gr.Radio | None

    def begin(self, pane: Pane, event: gr.EventData, payload: dict[str, Any] | None) -> Updates:
        """What the page shows at once: nothing of an older picture beside the new one."""
        path = upload_path(payload)
        return self.cleared(pane, card.looking(named(path)) if path else None)

    def carry(self, pane: Pane, carried: Carried, event: gr.EventData, source: str | None) -> Updates:
        """`begin` for a picture from another tab."""
        payload = {"path": source} if source else None
        return {pane.picture: upload_path(payload), carried.tabs: carried.shown} | self.begin(pane, event, payload)

    def begin_by(self, pane: Pane, event: gr.EventData, payload: dict[str, Any] | None, head: str) -> Updates:
        """`begin` for the picture that is there, by another head."""
        self.detector.choose_head(head)
        return self.begin(pane, event, payload)

    def explore(
        self, pane: Pane, token: CancellationToken, payload: dict[str, Any] | None, *settings: Any
    ) -> Iterator[Updates]:
        """Judges a picture and yields what is said of it; `settings`: those of the map, then order and count."""
        path = upload_path(payload)
        if path is None:
            yield self.cleared(pane)
            return
        yield self.cleared(pane, card.looking(named(path)))
        failed: Updates = {}
        try:
            with DECODED.ask(Priority.VERDICT) as place:
                for before in place.waits():
                    yield {pane.answer: card.queued(before)}
                token.check()
                loaded = load_image(path)
                with MODEL.ask(Priority.VERDICT) as ticket:
                    for before in ticket.waits():
                        yield {pane.answer: card.queued(before)}
                    token.check()
                    drawing = prepare(loaded.pixels, self.detector().predict(loaded.pixels))
        except Exception as error:
            token.check()  # of a page that was closed, the files are gone: that is no error
            failed = self.cleared(pane, card.failure(*explain(error)))
            failed |= {pane.picture: None} if isinstance(error, ImageError) else {}
        if failed:
            yield failed  # once the error is gone, and with it the pixels that its traceback holds
            return
        copy = shown_copy(loaded)
        yield self._explored(pane, ExploredPicture(drawing, path), settings) | ({pane.picture: copy} if copy else {})

    def _explored(self, pane: Pane, explored: ExploredPicture, settings: Any) -> Updates:
        *of_map, order, count = settings
        drawing, detection = explored.drawing, explored.drawing.detection
        file = new_folder() / f"causalclip-maps-{'first' if pane.name.endswith('a') else 'second'}.npz"
        np.savez_compressed(file, allow_pickle=False, **arrays(detection))
        choices = [(_(EVERY), ALL), *words.choices(detection)]
        return {
            pane.answer: words.answer(detection),
            pane.map: _map_file(explored, *of_map, whole=True),
            pane.channel: gr.update(choices=choices, value=ALL, interactive=True),
            pane.channels: words.channels(detection, _hatched(drawing)),
            pane.removal: words.removal(detection, order, int(count)),
            pane.mask: gr.update(value=save_png(draw_mask(detection), "mask"), alt_text=mask_words(detection)),
            pane.mask_words: words.mask(detection, self.detector().masks),
            self.count: gr.update(maximum=sum(width for _, width in detection.parts)),
            pane.npz: str(file),
            pane.explored: explored,
        }

    def cleared(self, pane: Pane, answer: str | None = None) -> Updates:
        """No result."""
        return {
            pane.answer: answer or pane.waiting,
            **dict.fromkeys((pane.channels, pane.removal, pane.mask_words), ""),
            **dict.fromkeys((pane.map, pane.mask, pane.npz, pane.explored)),
            pane.channel: gr.update(choices=[(_(EVERY), ALL)], value=ALL, interactive=False),
        }

    def redraw(self, explored: ExploredPicture | None, channel: str, *settings: Any) -> dict[str, Any] | str:
        """One pane's map under other settings; the model runs again only for a channel's own map."""
        if explored is None:
            return gr.skip()
        drawing, path = explored.drawing, upload_path({"path": explored.path})
        if channel == ALL or path is None:
            return _map_file(explored, *settings, whole=True)
        with DECODED.enter(Priority.VERDICT):
            pixels = load_image(path).pixels
            with MODEL.enter(Priority.VERDICT):
                views = self.detector().explain_channel(pixels, int(channel))
        alone = replace(drawing, detection=replace(drawing.detection, views=views))
        return _map_file(ExploredPicture(alone, path), *settings, scale=CHANNEL_SCALE)


def build_explorer_tab(detector: ChosenDetector, carried: Carried | None = None) -> ExplorerTab:
    """Builds the tab inside the current Blocks and wires it. carried: where a picture may come from."""
    with gr.Row(elem_classes="cc-columns"):
        with gr.Column(scale=4, min_width=300):
            first = _picture("explore-a", _("Picture"))
            gr.HTML(f"<p class='cc-small'>{_(PROMISE)}</p>", elem_id="explore-promise")
            second = _picture("explore-b", _("A second one, to compare (optional)"))
            head = add_head_choice(detector, "explore")
            of_map, of_removal = _settings()
        with gr.Column(scale=7, min_width=300), gr.Row(elem_classes="cc-panes"):
            panes = [_pane("explore-a", first, card.waiting(_(WAITING))), _pane("explore-b", second, "")]
    add_compare([pane.picture for pane in panes], [pane.explored for pane in panes])
    tab = ExplorerTab(detector, of_removal[1], head)
    for pane in panes:
        _wire(tab, pane, of_map, of_removal, carried if pane is panes[0] else None)
    return tab


def _picture(name: str, label: str) -> gr.Image:
    return picture_field(name, label, alt_text=_("The picture to be explored"), height=220)


def _settings() -> tuple[list[Any], list[Any]]:
    """Of the map (which, smooth, opacity, frame), and of the removal (order, count); the same for both pictures."""
    with gr.Column(elem_classes="cc-settings", elem_id="explore-settings"):
        which = gr.Dropdown(_choices(MAPS), value="causal", label=_("Map"), elem_id="explore-which")
        opacity = gr.Slider(0, 1, OPACITY, step=0.05, label=_("Opacity"), buttons=[], elem_id="explore-opacity")
        smooth = gr.Checkbox(True, label=_("Smooth, not patch by patch"), elem_id="explore-smooth")
        frame = gr.Checkbox(True, label=_("Frames of the windows"), elem_id="explore-frame")
        removed = _("Remove so many channels ...")
        count = gr.Slider(0, 1000, 0, step=1, label=removed, buttons=[], elem_id="explore-count")
        order = gr.Dropdown(_choices(ORDERS), value="push", label=_("... that"), elem_id="explore-order")
    return [which, smooth, opacity, frame], [order, count]


def _choices(choices: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(_(name), value) for name, value in choices]


def _pane(name: str, picture: gr.Image, waiting: str) -> Pane:
    with gr.Column(min_width=300, elem_classes="cc-pane", elem_id=f"{name}-pane"):
        answer = gr.HTML(waiting, elem_id=f"{name}-answer", elem_classes="cc-flush")
        with gr.Column(elem_classes="cc-explored"):
            alt = _("The chosen map over the picture; the channels below say the same in numbers")
            drawn = map_output(f"{name}-map", label=_("Map"), alt_text=alt, elem_classes="cc-map")
            channel = gr.Dropdown(
                [(_(EVERY), ALL)],
                value=ALL,
                label=_(CHANNELS, alone=figure(CHANNEL_SCALE), all=figure(SCALE)),
                interactive=False,
                elem_id=f"{name}-channel",
            )
            channels = gr.HTML(elem_id=f"{name}-channels", elem_classes="cc-flush")
            removal = gr.HTML(elem_id=f"{name}-removal", elem_classes="cc-flush")
            with folded(_("The channel mask"), f"{name}-masked"):
                mask_said = gr.HTML(elem_id=f"{name}-mask-words", elem_classes="cc-flush")
                masked = map_output(f"{name}-mask", show_label=False, elem_classes="cc-mask")
            npz = gr.DownloadButton(_("Download all maps and channels (npz)"), elem_id=f"{name}-npz")
    return Pane(
        name=name,
        waiting=waiting,
        picture=picture,
        answer=answer,
        map=drawn,
        channel=channel,
        channels=channels,
        removal=removal,
        mask=masked,
        mask_words=mask_said,
        npz=npz,
        explored=gr.State(time_to_live=KEPT),
    )


def _wire(tab: ExplorerTab, pane: Pane, of_map: list[Any], of_removal: list[Any], carried: Carried | None) -> None:
    which, smooth, opacity, frame = of_map
    order, count = of_removal
    part = Panel(pane.name)
    inputs, outputs = [pane.picture, *of_map, *of_removal], [pane.picture, *pane.shown, count]
    judge: dict[str, Any] = {"inputs": inputs, **RUNS}
    run = partial(tab.explore, pane)
    part.on([pane.picture.upload], partial(tab.begin, pane), run, given=[pane.picture], outputs=outputs, **judge)
    if carried:
        begin = partial(tab.carry, pane, carried)
        outputs = [*outputs, carried.tabs]
        part.on([carried.button.click], begin, run, given=[carried.source], outputs=outputs, **judge)
    if tab.head:
        begin = partial(tab.begin_by, pane)
        part.on([tab.head.change], begin, run, given=[pane.picture, tab.head], outputs=outputs, **judge)
    part.off([pane.picture.clear], partial(tab.cleared, pane), outputs=pane.shown)
    part.beside(
        [which.input, smooth.input, opacity.release, frame.input, pane.channel.input],
        tab.redraw,
        [pane.explored, pane.channel, *of_map],
        pane.map,
        preprocess=False,
        trigger_mode="always_last",
        **PRIVATE | {"show_progress": "minimal"},  # a channel's own map takes as long as a verdict
        **RUNS,
    )
    part.beside(
        [order.input, count.release],
        _removed,
        [pane.explored, order, count],
        pane.removal,
        trigger_mode="always_last",
        **PRIVATE,
    )


def _removed(explored: ExploredPicture | None, order: Any, count: float) -> str:
    return words.removal(explored.drawing.detection, order, int(count)) if explored else ""


def _hatched(drawing: Drawing) -> str:
    return hatched(drawing.detection, drawing.unknowable) if drawing.unknowable is not None else ""


def _map_file(
    explored: ExploredPicture,
    which: Shown,
    smooth: bool,
    opacity: float,
    frame: bool,
    *,
    scale: float = SCALE,
    whole: bool = False,
) -> str:
    """whole: of all channels, so that the causal one is the score but for what is tied to no place."""
    drawing, of = explored.drawing, Path(explored.path).parent.name  # each picture's maps are counted for themselves
    one = replace(drawing, detection=shown(drawing.detection, which))
    beside = face(drawing) if whole and which == "causal" else ""
    drawn = draw_map(one, opacity=opacity, smooth=smooth, frame=frame, scale=scale, beside=beside)
    return save_png(drawn, "map", few=of)
