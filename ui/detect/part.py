"""Judge only a part: the pictures that were found inside one, or a part chosen by its sides.

A part becomes a file of its own that says where it was cut from, and is judged as any other picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from causalclip.compare.drawing import draw_boxes
from causalclip.languages import N_, _
from causalclip.pictures.crop import clip_box, cut, words
from causalclip.pictures.formats import ImageError
from causalclip.pictures.inside import find_pictures
from causalclip.pictures.loading import load_image
from causalclip.report import card
from ui.server.files import new_folder, save_png, upload_path
from ui.server.gate import PICTURES, Priority
from ui.server.turns import Part
from ui.settings import PRIVATE, RUNS

MOST = 6  # found pictures that get a button
ABOUT = N_(
    "A screenshot, a page or a collage is judged as a whole, which says little about a picture in "
    "it. Choose a part; its coordinates go into the report. A part of a screenshot is a copy of a copy: traces are "
    "weaker in it."
)
NONE = N_("No picture was found inside this one. Choose a part by its sides.")
FIRST = N_("Add a picture first.")
SIDES = (  # names in ids, in words, and where they are at first
    ("left", N_("Left, %"), 0),
    ("top", N_("Top, %"), 0),
    ("right", N_("Right, %"), 100),
    ("bottom", N_("Bottom, %"), 100),
)
Updates = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class PartSection:
    """The section's components. source: a gr.State with the path of the picture that was judged."""

    source: gr.State
    preview: gr.Image
    said: gr.HTML
    sides: list[gr.Slider]
    found: list[gr.Button]

    @property
    def shown(self) -> list[Any]:
        return [self.preview, self.said, *self.sides, *self.found]

    def look(self, source: str | None) -> Updates:
        """What is inside the picture, framed, with a button each."""
        path = upload_path({"path": source}) if source else None
        blank = {button: gr.update(visible=False) for button in self.found}
        if path is None:
            return blank | {self.preview: None, self.said: _status(_(FIRST))}
        with PICTURES.enter(Priority.BATCH):
            pixels = load_image(path).pixels
            boxes = [found.box for found in find_pictures(pixels)][:MOST]
            drawn = draw_boxes(pixels, boxes)
        named = zip(self.found, range(1, len(boxes) + 1), strict=False)
        buttons = {button: gr.update(visible=True, value=_("Judge picture {n}", n=i)) for button, i in named}
        rows = "".join(f"<li>{_sides(i, box)}</li>" for i, box in enumerate(boxes, 1))
        said = f"<ul class='cc-small' role='status'>{rows}</ul>" if rows else _status(_(NONE))
        return blank | buttons | {self.preview: save_png(drawn, "inside"), self.said: said}

    def frame(self, source: str | None, *percent: float) -> Updates:
        """The chosen part, framed."""
        path = upload_path({"path": source}) if source else None
        if path is None:
            return {self.preview: None, self.said: _status(_(FIRST))}
        with PICTURES.enter(Priority.BATCH):
            pixels = load_image(path).pixels
            height, width = pixels.shape[:2]
            try:
                box = clip_box(_pixels(percent, width, height), width, height)
            except ImageError as error:
                return {self.said: _status(escape(str(error)))}
            drawn = draw_boxes(pixels, [box])
        said = _status(f"{words(box, width, height)}.")
        return {self.preview: save_png(drawn, "part"), self.said: said}


def _status(words: str) -> str:
    return f"<p class='cc-small' role='status'>{words}</p>"


def _sides(number: int, box: tuple[int, int, int, int]) -> str:
    left, top, right, bottom = box
    said = N_("{n}: from ({left}, {top}) to ({right}, {bottom})")
    return _(said, n=number, left=left, top=top, right=right, bottom=bottom)


def add_part(part: Part, tab: Any, judge: dict[str, Any]) -> PartSection:
    """Adds the section to the current Blocks. tab: the Detect tab; judge: the options of its runs."""
    with gr.Accordion(_("Judge only a part of it"), open=False, elem_id="part") as section:
        gr.HTML(f"<p class='cc-small'>{_(ABOUT)}</p>")
        search = gr.Button(_("Find the pictures inside it"), elem_id="part-find")
        with gr.Row():
            found = [gr.Button(visible=False, elem_id=f"part-{i}", min_width=120) for i in range(1, MOST + 1)]
        said = gr.HTML(elem_id="part-said")
        with gr.Row():
            sides = [
                gr.Slider(0, 100, at, step=0.5, label=_(words), buttons=[], min_width=120, elem_id=f"part-{name}")
                for name, words, at in SIDES
            ]
        chosen = gr.Button(_("Judge this part"), elem_id="part-judge")
        preview = gr.Image(
            label=_("The part"),
            type="filepath",
            format="png",
            interactive=False,
            buttons=[],
            elem_id="part-preview",
            alt_text=_("The picture with the parts that were found or chosen framed"),
        )
    added = PartSection(tab.source, preview, said, sides, found)
    beside: dict[str, Any] = {**PRIVATE, **RUNS, "trigger_mode": "always_last"}
    looked = _values(added.look, added.shown)
    part.beside([search.click, section.expand], looked, [tab.source], added.shown, **beside)
    drawn = [preview, said]
    part.beside([s.change for s in sides], _values(added.frame, drawn), [tab.source, *sides], drawn, **beside)
    for number, button in enumerate(found):
        part.on([button.click], _judged(tab, _nth(number)), tab.run, given=[tab.source], **judge)
    part.on([chosen.click], _judged(tab, _by_sides), tab.run, given=[tab.source, *sides], **judge)
    return added


def _values(work: Callable[..., Updates], outputs: list[Any]) -> Callable[..., list[Any]]:
    """`work` with its updates in the order of the outputs."""

    def ordered(*given: Any) -> list[Any]:
        updates = work(*given)
        return [updates.get(output, gr.skip()) for output in outputs]

    return ordered


def _judged(tab: Any, choose: Callable[..., tuple[float, float, float, float] | None]) -> Callable[..., Updates]:
    """The first step of judging a part: the part's file takes the picture's place."""

    def begin(event: gr.EventData, source: str | None, *given: float) -> Updates:
        path = upload_path({"path": source}) if source else None
        if path is None:
            raise gr.Error(_("The picture is no longer kept. Add it again."), print_exception=False)
        loaded = load_image(path)
        box = choose(loaded.pixels, *given)
        if box is None:
            raise gr.Error(_("That picture is no longer found. Choose the part by its sides."), print_exception=False)
        try:
            data = cut(loaded, box)
        except ImageError as error:
            raise gr.Error(str(error), title=_("This part is too small"), print_exception=False) from None
        file: Path = new_folder() / "part.png"
        file.write_bytes(data)
        return {tab.picture: str(file)} | tab.cleared(card.looking(_("the part")))

    return begin


def _nth(number: int) -> Callable[..., tuple[float, float, float, float] | None]:
    def choose(pixels: Any) -> tuple[float, float, float, float] | None:
        boxes = [found.box for found in find_pictures(pixels)]
        return boxes[number] if number < len(boxes) else None

    return choose


def _by_sides(pixels: Any, *percent: float) -> tuple[float, float, float, float]:
    return _pixels(percent, pixels.shape[1], pixels.shape[0])


def _pixels(percent: tuple[float, ...], width: int, height: int) -> tuple[float, float, float, float]:
    left, top, right, bottom = percent
    return left * width / 100, top * height / 100, right * width / 100, bottom * height / 100
