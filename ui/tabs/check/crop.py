"""The section "Judge only a part of it": pictures found inside one, or a part chosen by its sides.

A part is cut out for the page to show, and is judged as a part of the file that was given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
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
from ui.errors import explain
from ui.fields import AT_ONCE, GONE, PRIVATE, RUNS, Source, describe_file, save_png, upload_path
from ui.jobs import Job, run_in
from ui.panel import Panel, PanelRequest, Updates
from ui.places import PICTURES, Priority

STEP = 0.1  # of the sides, in percent: of a page that is 5,000 px long, 5 px
MAX_FRAMES = 6  # found pictures that get a frame
ABOUT = N_(
    "A screenshot, a page or a collage is judged as a whole, which says little about a picture in "
    "it. Choose a part; its coordinates go into the report. A part of a screenshot is a copy of a "
    "copy: traces are weaker in it."
)
NO_PICTURE_INSIDE = N_("No picture was found inside this one. Choose a part of it.")
PICTURE_NEEDED = N_("Add a picture first.")
SIDES = (  # names in ids, in words, and where they are at first
    ("left", N_("Left, %"), 0),
    ("top", N_("Top, %"), 0),
    ("right", N_("Right, %"), 100),
    ("bottom", N_("Bottom, %"), 100),
)
WHOLE_PICTURE = (0.0, 0.0, 100.0, 100.0)
BACK = -1  # from a part to the whole
# a picture's path, width and height, and the pictures found inside it, in pixels of its file
Whole = tuple[str, int, int, tuple[Box, ...]]
Choose = Callable[..., tuple[float, float, float, float] | None]


@dataclass(frozen=True, slots=True)
class CropSection:
    """The section's components.

    Attributes:
        source: holds the `Source` that was judged.
        whole: holds the `Whole` that it is or was cut from, which stays while parts are judged.
        is_open: whether the section is open.
        preview: the whole picture with its frames.
        message: what was found inside it, or which part is chosen.
        sides: the sliders of SIDES.
        nth: which picture inside the whole is judged, or BACK.
    """

    source: gr.State
    whole: gr.State
    is_open: gr.State
    preview: gr.HTML
    message: gr.HTML
    sides: list[gr.Slider]
    nth: gr.State

    @property
    def inputs(self) -> list[Any]:
        """The fields that `look` takes."""
        return [self.source, *self.sides]

    @property
    def outputs(self) -> list[Any]:
        """The fields that `look` changes."""
        return [self.whole, self.preview, self.message, *self.sides]

    def look(self, source: Source | None, *sides: float) -> Updates:
        """Return the whole picture with a frame around each picture inside it; of a part, with the
        part's sides."""
        path = upload_path({"path": source.whole}) if source else None
        if source is None or path is None:
            return self.blank()
        if source.box is None:
            sides = WHOLE_PICTURE
        size, boxes, preview_image = run_in(PICTURES, Priority.BATCH, partial(look_inside, path))
        rows = "".join(f"<li>{_sides(i, box)}</li>" for i, box in enumerate(boxes, 1))
        words = (
            f"<ul class='cc-small' role='status'>{rows}</ul>"
            if rows
            else _status(_(NO_PICTURE_INSIDE))
        )
        updates = {
            self.whole: (path, *size, boxes),
            self.preview: _chooser(preview_image, sides),
        }
        side_values = dict(zip(self.sides, sides, strict=True))
        return self.blank() | side_values | updates | {self.message: words}

    def follow(self, is_open: bool, source: Source | None, *sides: float) -> Updates:
        """Return what the section shows after another picture was judged: what is inside that one.

        A part of the same picture changes nothing.
        """
        if source is None or source.box:
            return gr.skip()
        if is_open:
            return self.look(source, *sides)
        return self.blank() | {self.whole: gr.skip()}

    def blank(self) -> Updates:
        """Return the section without a picture."""
        none = {self.whole: None, self.preview: "", self.message: _status(_(PICTURE_NEEDED))}
        return none | dict(zip(self.sides, WHOLE_PICTURE, strict=True))

    def frame(self, whole: Whole | None, *percent: float) -> Updates:
        """Return the chosen part in words, in pixels; `percent` are its sides."""
        if whole is None:
            return {self.message: _status(_(PICTURE_NEEDED))}
        _path, width, height, _boxes = whole
        try:
            box = clip_box(_pixels(percent, width, height), width, height)
        except ImageError as error:
            return {self.message: _status(escape(str(error)))}
        return {self.message: f"<p class='cc-small'>{ended(place_words(box, width, height))}</p>"}


def _chooser(picture: Image.Image, sides: Sequence[float]) -> str:
    """Return the picture with a frame that people drag (assets/part.js), as HTML; the frame moves
    the sliders."""
    at = {name: f"{side:g}" for (name, _words, _at), side in zip(SIDES, sides, strict=True)}
    return render(
        "chooser", template="check.html", sides=at, address=data_url(picture, side=DRAWN_SIDE)
    )


def _status(words: str) -> str:
    return f"<p class='cc-small' role='status'>{words}</p>"


def _sides(number: int, box: tuple[int, int, int, int]) -> str:
    """Return where a picture inside the whole lies, in words."""
    left, top, right, bottom = box
    form = N_("{n}: from ({left}, {top}) to ({right}, {bottom})")
    return _(form, n=number, left=left, top=top, right=right, bottom=bottom)


def add_crop(panel: Panel, tab: Any, judge: dict[str, Any]) -> CropSection:
    """Add the section to the current Blocks and wire it.

    Args:
        tab: the Check tab.
        judge: the options of its runs.
    """
    # 1. What it is made of.
    with gr.Accordion(_("Judge only a part of it"), open=False, elem_id="part") as accordion:
        gr.HTML(f"<p class='cc-small'>{_(ABOUT)}</p>")
        message = gr.HTML(elem_id="part-said")
        preview = gr.HTML(elem_id="part-preview")
        judge_button = gr.Button(_("Judge this part"), elem_id="part-judge")
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
    is_open, nth = gr.State(False), gr.State(0)
    section = CropSection(tab.source, tab.whole, is_open, preview, message, sides, nth)
    # 2. What is looked at: when it opens, after another picture, while the frame moves.
    beside: dict[str, Any] = {**PRIVATE, **RUNS, "trigger_mode": "always_last"}
    accordion.expand(lambda: True, None, section.is_open, **AT_ONCE)
    accordion.collapse(lambda: False, None, section.is_open, **AT_ONCE)
    panel.beside([accordion.expand], section.look, section.inputs, section.outputs, **beside)
    panel.beside(
        [tab.source.change],
        section.follow,
        [section.is_open, *section.inputs],
        section.outputs,
        **beside,
    )
    tab.picture.clear(section.blank, None, section.outputs, **AT_ONCE)
    moved = [slider.change for slider in sides]
    panel.beside(moved, section.frame, [section.whole, *sides], [message], **beside)
    # 3. What judges a part: its button, or one of a picture inside the whole.
    run = CropRun(tab, _by_sides)
    inputs = [section.whole, *sides]
    options = judge | {"inputs": inputs}
    panel.on([judge_button.click], run.begin, run.run, begin_inputs=inputs, **options)
    _wire_inside(panel, section, tab, judge)
    return section


def _wire_inside(panel: Panel, section: CropSection, tab: Any, judge: dict[str, Any]) -> None:
    """Wire the buttons of the pictures inside the whole one, and of the way back to it."""

    def begin(event: gr.EventData, whole: Whole | None) -> Updates:
        number = int(event.index)
        if number != BACK:
            return CropRun(tab, nth_inside(number)).begin(event, whole) | {section.nth: number}
        path = _path_of(whole)
        updates: Updates = tab.emptied(card.looking(describe_file(path)))
        return updates | {tab.picture: path, section.nth: BACK}

    def run(request: PanelRequest, whole: Whole | None, number: int) -> Iterator[Updates]:
        if number == BACK:
            yield from tab.run(request, {"path": _path_of(whole)})
        else:
            yield from CropRun(tab, nth_inside(number)).run(request, whole)

    inputs = [section.whole, section.nth]
    outputs = [*judge["outputs"], section.nth]
    wiring = judge | {"inputs": inputs, "outputs": outputs}
    panel.on([tab.inside.click], begin, run, begin_inputs=[section.whole], **wiring)


def _path_of(whole: Whole | None) -> str:
    """Return the whole picture's path; raise gr.Error where its file has been deleted."""
    path = upload_path({"path": whole[0]}) if whole else None
    if path is None:
        raise gr.Error(_(GONE), print_exception=False)
    return path


@dataclass(frozen=True, slots=True)
class CropRun:
    """A run that judges a part, which is cut out in the queue.

    Attributes:
        tab: the Check tab.
        choose: returns the part's box, in pixels, from what the page sends.
    """

    tab: Any
    choose: Choose

    def begin(self, event: gr.EventData, whole: Whole | None, *choice: float) -> Updates:
        """Return what the page shows at once; a part that cannot be judged is refused before
        anything is decoded."""
        self._box(whole, choice)
        updates: Updates = self.tab.cleared(card.looking(_("the part")))
        return updates

    def run(self, request: PanelRequest, whole: Whole | None, *choice: float) -> Iterator[Updates]:
        """Cut the part out, which takes the picture's place on the page, and examine it."""
        yield self.begin(gr.EventData(None, None), whole, *choice)
        updates = self._judge(request, *self._box(whole, choice))
        yield from request.guard(
            updates, lambda error: self.tab.cleared(card.failure(*explain(error)))
        )

    def _judge(self, request: PanelRequest, path: str, box: Box) -> Iterator[Updates]:
        """Yield how long the part waits, then what is ready of its examination."""
        job = Job(partial(self._cut, path=path, box=box), request.is_newest)
        source = yield from job.last(lambda before: {self.tab.status: card.queued(before)})
        yield {self.tab.picture: source.file, self.tab.source: source}
        yield from self.tab.judge(request, source)

    def _cut(self, job: Job[Source], path: str, box: Box) -> Iterator[Source]:
        """Yield the part, once it has a file of its own."""
        with job.enter(PICTURES, Priority.VERDICT):
            source = _write_part(path, box)
        yield source

    def _box(self, whole: Whole | None, choice: tuple[float, ...]) -> tuple[str, Box]:
        """Return the whole picture's path and the part's box.

        Raises:
            gr.Error: there is no such part, or it is too small or too large to be judged.
        """
        path = _path_of(whole)
        assert whole is not None
        corners = self.choose(whole, *choice)
        if corners is None:
            sentence = _("That picture is no longer found. Choose the part by its sides.")
            raise gr.Error(sentence, print_exception=False)
        try:
            box = clip_box(corners, whole[1], whole[2])
        except ImageError as error:
            raise gr.Error(
                str(error), title=_("This part is too small"), print_exception=False
            ) from None
        # a PNG of a photograph has more than a byte a pixel
        if (box[2] - box[0]) * (box[3] - box[1]) > MAX_BYTES:
            raise gr.Error(str(too_many_bytes()), title=_(TOO_LARGE), print_exception=False)
        return path, box


def look_inside(path: str) -> tuple[tuple[int, ...], tuple[Box, ...], Image.Image]:
    """Return a picture's size, the boxes of the pictures inside it, both in pixels of the file, and
    a drawing of them."""
    image = load_image(path)
    frames = [picture.box for picture in find_pictures(image.pixels)[:MAX_FRAMES]]
    boxes = tuple(in_file(box, halved=image.halved) for box in frames)
    size = in_file((0, 0, image.width, image.height), halved=image.halved)[2:]
    return size, boxes, draw_boxes(image.pixels, frames)


def _write_part(path: str, box: Box) -> Source:
    """Write the part as a file of its own, which page and other tabs show; raises ImageError."""
    pixels = Source("", path, box).load().pixels
    file = save_png(Image.fromarray(pixels), "part", path)
    del pixels  # a refusal's traceback would hold them
    if os.path.getsize(file) > MAX_BYTES:
        raise too_many_bytes()
    return Source(file, path, box)


def nth_inside(number: int) -> Choose:
    """Return what chooses a picture inside the whole, by its number."""
    return lambda whole: whole[3][number] if 0 <= number < len(whole[3]) else None


def _by_sides(whole: Whole, *percent: float) -> tuple[float, float, float, float]:
    """Return the box of a part that was chosen by its sides, in pixels of the whole."""
    return _pixels(percent, whole[1], whole[2])


def _pixels(
    percent: tuple[float, ...], width: int, height: int
) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom in pixels from percent of the sides."""
    left, top, right, bottom = percent
    return left * width / 100, top * height / 100, right * width / 100, bottom * height / 100
