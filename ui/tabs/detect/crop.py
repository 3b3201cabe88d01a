"""Judge only a part: the pictures that were found inside one, or a part chosen by its sides.

A part is cut out for the page to show, and is judged as a part of the file that was given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from PIL import Image

from causalclip.images.formats import MAX_BYTES, TOO_LARGE, Box, ImageError, too_many_bytes
from causalclip.images.loading import load_image
from causalclip.images.parts import clip_box, in_file, place_words
from causalclip.images.subimages import find_pictures
from causalclip.languages import N_, _, ended
from causalclip.report import card
from causalclip.report.pictures import DRAWN_SIDE, data_url, draw_boxes
from causalclip.report.templates import render
from ui.cancellation import CancellationToken, Panel
from ui.errors import explain
from ui.fields import GONE, PRIVATE, RUNS, Source, describe_file, save_png, upload_path
from ui.server.turns import DECODED, PICTURES, Priority

STEP = 0.1  # of the sides, in percent: of a page that is 5,000 px long, 5 px
MOST = 6  # found pictures that get a frame
ABOUT = N_(
    "A screenshot, a page or a collage is judged as a whole, which says little about a picture in "
    "it. Choose a part; its coordinates go into the report. A part of a screenshot is a copy of a "
    "copy: traces are weaker in it."
)
NONE = N_("No picture was found inside this one. Choose a part of it.")
FIRST = N_("Add a picture first.")
SIDES = (  # names in ids, in words, and where they are at first
    ("left", N_("Left, %"), 0),
    ("top", N_("Top, %"), 0),
    ("right", N_("Right, %"), 100),
    ("bottom", N_("Bottom, %"), 100),
)
WHOLE = (0.0, 0.0, 100.0, 100.0)
BACK = -1  # from a part to the whole
Updates = dict[Any, Any]
# a picture's path, width and height, and the pictures found inside it, in pixels of its file
Whole = tuple[str, int, int, tuple[Box, ...]]
Choose = Callable[..., tuple[float, float, float, float] | None]


@dataclass(frozen=True, slots=True)
class CropSection:
    """The section's components.

    source: a gr.State with the `Source` that was judged. whole: the `Whole` that it is or was cut
    from, which stays while parts of it are judged. opened: whether the section is open. nth: which
    picture inside the whole is judged, or BACK.
    """

    source: gr.State
    whole: gr.State
    opened: gr.State
    preview: gr.HTML
    said: gr.HTML
    sides: list[gr.Slider]
    nth: gr.State

    @property
    def given(self) -> list[Any]:
        return [self.source, *self.sides]

    @property
    def shown(self) -> list[Any]:
        return [self.whole, self.preview, self.said, *self.sides]

    def look(self, source: Source | None, *sides: float) -> Updates:
        """The whole picture, with a frame around each that is inside it; of a part, its sides."""
        path = upload_path({"path": source.whole}) if source else None
        if source is None or path is None:
            return self.blank()
        if source.box is None:
            sides = WHOLE
        with PICTURES.enter(Priority.BATCH):
            loaded = load_image(path)
            found = [picture.box for picture in find_pictures(loaded.pixels)[:MOST]]
            drawn = draw_boxes(loaded.pixels, found)
        boxes = tuple(in_file(box, halved=loaded.halved) for box in found)
        size = in_file((0, 0, loaded.width, loaded.height), halved=loaded.halved)[2:]
        rows = "".join(f"<li>{_sides(i, box)}</li>" for i, box in enumerate(boxes, 1))
        said = f"<ul class='cc-small' role='status'>{rows}</ul>" if rows else _status(_(NONE))
        shown = {
            self.whole: (path, *size, boxes),
            self.preview: _chooser(drawn, sides),
        }
        placed = dict(zip(self.sides, sides, strict=True))
        return self.blank() | placed | shown | {self.said: said}

    def follow(self, opened: bool, source: Source | None, *sides: float) -> Updates:
        """After another picture: what is inside that one. A part that was judged is not another
        one."""
        if source is None or source.box:
            return {}
        if opened:
            return self.look(source, *sides)
        return self.blank() | {self.whole: gr.skip()}

    def blank(self) -> Updates:
        """No picture."""
        none = {self.whole: None, self.preview: "", self.said: _status(_(FIRST))}
        return none | dict(zip(self.sides, WHOLE, strict=True))

    def frame(self, whole: Whole | None, *percent: float) -> Updates:
        """The chosen part, in pixels."""
        if whole is None:
            return {self.said: _status(_(FIRST))}
        _path, width, height, _boxes = whole
        try:
            box = clip_box(_pixels(percent, width, height), width, height)
        except ImageError as error:
            return {self.said: _status(escape(str(error)))}
        return {self.said: f"<p class='cc-small'>{ended(place_words(box, width, height))}</p>"}


def _chooser(drawn: Image.Image, sides: Sequence[float]) -> str:
    """The picture with a frame on it, which assets/part.js has people drag, and which moves the
    sliders."""
    at = {name: f"{side:g}" for (name, _words, _at), side in zip(SIDES, sides, strict=True)}
    return render(
        "chooser", template="detect.html", sides=at, address=data_url(drawn, side=DRAWN_SIDE)
    )


def _status(words: str) -> str:
    return f"<p class='cc-small' role='status'>{words}</p>"


def _sides(number: int, box: tuple[int, int, int, int]) -> str:
    left, top, right, bottom = box
    said = N_("{n}: from ({left}, {top}) to ({right}, {bottom})")
    return _(said, n=number, left=left, top=top, right=right, bottom=bottom)


def add_crop(part: Panel, tab: Any, judge: dict[str, Any]) -> CropSection:
    """Adds the section to the current Blocks. tab: the Detect tab; judge: the options of its
    runs."""
    with gr.Accordion(_("Judge only a part of it"), open=False, elem_id="part") as section:
        gr.HTML(f"<p class='cc-small'>{_(ABOUT)}</p>")
        said = gr.HTML(elem_id="part-said")
        preview = gr.HTML(elem_id="part-preview")
        chosen = gr.Button(_("Judge this part"), elem_id="part-judge")
        # For the keyboard: assets/part.js shows them once one of them has the focus.
        with gr.Row(elem_id="part-sides"):
            sides = [
                gr.Slider(
                    0,
                    100,
                    at,
                    step=STEP,
                    label=_(words),
                    buttons=[],
                    min_width=120,
                    elem_id=f"part-{name}",
                )
                for name, words, at in SIDES
            ]
    opened, nth = gr.State(False), gr.State(0)
    added = CropSection(tab.source, tab.whole, opened, preview, said, sides, nth)
    beside: dict[str, Any] = {**PRIVATE, **RUNS, "trigger_mode": "always_last"}
    section.expand(lambda: True, None, added.opened, **PRIVATE, queue=False)
    section.collapse(lambda: False, None, added.opened, **PRIVATE, queue=False)
    part.beside(
        [section.expand],
        _values(added.look, added.shown),
        added.given,
        added.shown,
        **beside,
    )
    followed = _values(added.follow, added.shown)
    part.beside([tab.source.change], followed, [added.opened, *added.given], added.shown, **beside)
    tab.picture.clear(_values(added.blank, added.shown), None, added.shown, **PRIVATE, queue=False)
    framed = _values(added.frame, [said])
    part.beside([s.change for s in sides], framed, [added.whole, *sides], [said], **beside)

    def wire(button: gr.Button, choose: Choose, inputs: list[Any]) -> None:
        judging = CropRun(tab, choose)
        part.on(
            [button.click],
            judging.begin,
            judging.run,
            begin_inputs=inputs,
            **judge | {"inputs": inputs},
        )

    wire(chosen, _by_sides, [added.whole, *sides])
    _wire_inside(part, added, tab, judge)
    return added


def _wire_inside(part: Panel, added: CropSection, tab: Any, judge: dict[str, Any]) -> None:
    """Wires the buttons of the pictures inside the whole one, and of the way back to it."""

    def begin(event: gr.EventData, whole: Whole | None) -> Updates:
        number = int(event.index)
        if number != BACK:
            return CropRun(tab, _nth(number)).begin(event, whole) | {added.nth: number}
        path = _path_of(whole)
        shown: Updates = tab.emptied(card.looking(describe_file(path)))
        return shown | {tab.picture: path, added.nth: BACK}

    def run(token: CancellationToken, whole: Whole | None, number: int) -> Iterator[Updates]:
        if number == BACK:
            yield from tab.run(token, {"path": _path_of(whole)})
        else:
            yield from CropRun(tab, _nth(number)).run(token, whole)

    inputs = [added.whole, added.nth]
    outputs = [*judge["outputs"], added.nth]
    wiring = judge | {"inputs": inputs, "outputs": outputs}
    part.on([tab.inside.click], begin, run, begin_inputs=[added.whole], **wiring)


def _path_of(whole: Whole | None) -> str:
    """The whole picture's path; raises gr.Error where it is no longer kept."""
    path = upload_path({"path": whole[0]}) if whole else None
    if path is None:
        raise gr.Error(_(GONE), print_exception=False)
    return path


def _values(work: Callable[..., Updates], outputs: list[Any]) -> Callable[..., list[Any]]:
    """`work` with its updates in the order of the outputs."""

    def ordered(*given: Any) -> list[Any]:
        updates = work(*given)
        return [updates.get(output, gr.skip()) for output in outputs]

    return ordered


@dataclass(frozen=True, slots=True)
class CropRun:
    """Judges a part, which is cut out in the queue.

    tab: the Detect tab. choose: the part's box, by what the page sends.
    """

    tab: Any
    choose: Choose

    def begin(self, event: gr.EventData, whole: Whole | None, *given: float) -> Updates:
        """What the page shows at once; a part that cannot be judged is refused before anything is
        decoded."""
        self._box(whole, given)
        cleared: Updates = self.tab.cleared(card.looking(_("the part")))
        return cleared

    def run(
        self, token: CancellationToken, whole: Whole | None, *given: float
    ) -> Iterator[Updates]:
        """Cuts the part out, which takes the picture's place, and examines it."""
        yield self.begin(gr.EventData(None, None), whole, *given)
        judged = self._judged(token, *self._box(whole, given))
        yield from token.guard(
            judged, lambda error: self.tab.cleared(card.failure(*explain(error)))
        )

    def _judged(self, token: CancellationToken, path: str, box: Box) -> Iterator[Updates]:
        with DECODED.ask(Priority.VERDICT) as place:
            for before in token.waits(place):
                yield {self.tab.status: card.queued(before)}
            source = _cut_out(path, box)
        yield {self.tab.picture: source.file, self.tab.source: source}
        yield from self.tab.judge(token, source)

    def _box(self, whole: Whole | None, given: tuple[float, ...]) -> tuple[str, Box]:
        """The whole picture's path and the part's box; raises gr.Error where that is no part that
        could be judged."""
        path = _path_of(whole)
        assert whole is not None
        if (chosen := self.choose(whole, *given)) is None:
            gone = _("That picture is no longer found. Choose the part by its sides.")
            raise gr.Error(gone, print_exception=False)
        try:
            box = clip_box(chosen, whole[1], whole[2])
        except ImageError as error:
            raise gr.Error(
                str(error), title=_("This part is too small"), print_exception=False
            ) from None
        # a PNG of a photograph has more than a byte a pixel
        if (box[2] - box[0]) * (box[3] - box[1]) > MAX_BYTES:
            raise gr.Error(str(too_many_bytes()), title=_(TOO_LARGE), print_exception=False)
        return path, box


def _cut_out(path: str, box: Box) -> Source:
    """Write the part as a file of its own, which page and other tabs show; raises ImageError."""
    pixels = Source("", path, box).load().pixels
    file = save_png(Image.fromarray(pixels), "part")
    del pixels  # a refusal's traceback would hold them
    if os.path.getsize(file) > MAX_BYTES:
        raise too_many_bytes()
    return Source(file, path, box)


def _nth(number: int) -> Choose:
    return lambda whole: whole[3][number] if 0 <= number < len(whole[3]) else None


def _by_sides(whole: Whole, *percent: float) -> tuple[float, float, float, float]:
    return _pixels(percent, whole[1], whole[2])


def _pixels(
    percent: tuple[float, ...], width: int, height: int
) -> tuple[float, float, float, float]:
    left, top, right, bottom = percent
    return left * width / 100, top * height / 100, right * width / 100, bottom * height / 100
