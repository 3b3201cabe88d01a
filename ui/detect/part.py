"""Judge only a part: the pictures that were found inside one, or a part chosen by its sides.

A part becomes a file of its own that says where it was cut from, and is judged as any other picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from causalclip.evidence.examination import WholePicture, read_claims
from causalclip.languages import N_, _, ended, speaking
from causalclip.languages.names import ENGLISH
from causalclip.pictures.crop import clip_box, cut, words
from causalclip.pictures.formats import MAX_BYTES, TOO_LARGE, ImageError, too_many_bytes
from causalclip.pictures.inside import find_pictures
from causalclip.pictures.loading import load_image, read_file
from causalclip.report import card
from causalclip.report.drawing import SIDE, data_url, draw_boxes
from ui.server.files import new_folder, upload_path
from ui.server.gate import PICTURES, Priority
from ui.server.turns import Part
from ui.settings import KEPT, PRIVATE, RUNS

STEP = 0.1  # of the sides, in percent: of a page that is 5,000 px long, 5 px
MOST = 6  # found pictures that get a button
ABOUT = N_(
    "A screenshot, a page or a collage is judged as a whole, which says little about a picture in "
    "it. Choose a part; its coordinates go into the report. A part of a screenshot is a copy of a copy: traces are "
    "weaker in it."
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
CHOOSE = N_("Choose it on the picture")
HOW = N_(
    "Drag across the picture, or drag the frame or one of its corners. With the keyboard, arrow keys move the frame, "
    "Shift and an arrow key change its size, Enter judges what is in it, Escape ends choosing."
)
CHOSEN = N_("Across: {left} to {right} %; down: {top} to {bottom} %")
Updates = dict[Any, Any]
Shown = tuple[str, int, int]  # a picture's path, width and height


@dataclass(frozen=True, slots=True)
class PartSection:
    """The section's components.

    source: a gr.State with the path of the picture that was judged. cut: of the part that was judged last. whole: the
    `Shown` that it was cut from, which stays while parts of it are judged; known: what is known of that (a `Whole`).
    opened: whether the section is open.
    """

    source: gr.State
    cut: gr.State
    whole: gr.State
    known: gr.State
    opened: gr.State
    preview: gr.HTML
    said: gr.HTML
    sides: list[gr.Slider]
    found: list[gr.Button]

    @property
    def given(self) -> list[Any]:
        return [self.source, self.cut, self.whole, *self.sides]

    @property
    def shown(self) -> list[Any]:
        return [self.whole, self.preview, self.said, *self.sides, *self.found]

    def look(self, source: str | None, cut: str | None, whole: Shown | None, *sides: float) -> Updates:
        """What is inside the picture, framed, with a button each."""
        if whole and source == cut:
            source = whole[0]
        else:
            sides = WHOLE
        path = upload_path({"path": source}) if source else None
        if path is None:
            return self.blank()
        with PICTURES.enter(Priority.BATCH):
            pixels = load_image(path).pixels
            boxes = [found.box for found in find_pictures(pixels)][:MOST]
            drawn = draw_boxes(pixels, boxes)
        named = zip(self.found, range(1, len(boxes) + 1), strict=False)
        buttons = {button: gr.update(visible=True, value=_("Judge picture {n}", n=i)) for button, i in named}
        rows = "".join(f"<li>{_sides(i, box)}</li>" for i, box in enumerate(boxes, 1))
        said = f"<ul class='cc-small' role='status'>{rows}</ul>" if rows else _status(_(NONE))
        shown = {self.whole: (path, pixels.shape[1], pixels.shape[0]), self.preview: _chooser(drawn, sides)}
        return self.blank() | buttons | dict(zip(self.sides, sides, strict=True)) | shown | {self.said: said}

    def follow(self, opened: bool, source: str | None, cut: str | None, *given: Any) -> Updates:
        """After another picture: what is inside that one. A part that was judged is not another one."""
        if source is None or source == cut:
            return {}
        return self.look(source, cut, *given) if opened else self.blank()

    def blank(self) -> Updates:
        """No picture."""
        hidden = {button: gr.update(visible=False) for button in self.found}
        none = {self.whole: None, self.preview: "", self.said: _status(_(FIRST))}
        return hidden | none | dict(zip(self.sides, WHOLE, strict=True))

    def frame(self, whole: Shown | None, *percent: float) -> Updates:
        """The chosen part, in pixels."""
        if whole is None:
            return {self.said: _status(_(FIRST))}
        _path, width, height = whole
        try:
            box = clip_box(_pixels(percent, width, height), width, height)
        except ImageError as error:
            return {self.said: _status(escape(str(error)))}
        return {self.said: f"<p class='cc-small'>{ended(words(box, width, height))}</p>"}


def _chooser(drawn: Image.Image, sides: Sequence[float]) -> str:
    """The picture with a frame on it, which assets/part.js has people drag, and which moves the sliders."""
    data = "".join(f" data-{name}='{side:g}'" for (name, _words, _at), side in zip(SIDES, sides, strict=True))
    alt = escape(_("The picture, with a frame around each part that was found"))
    return (
        f"<button type='button' class='cc-do cc-choose' aria-pressed='false'>{_(CHOOSE)}</button>"
        f"<p class='cc-small' id='part-how'>{_(HOW)}</p>"
        f"<div class='cc-crop' dir='ltr'{data} data-words='{escape(_(CHOSEN))}'>"
        f"<img draggable='false' alt='{alt}' src='{data_url(drawn, side=SIDE)}'>"
        f"<div class='cc-frame' role='application' aria-label='{escape(_('The part'))}' "
        "aria-describedby='part-how part-at'></div></div>"
        "<p class='cc-small' id='part-at' role='status'></p>"
    )


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
        preview = gr.HTML(elem_id="part-preview")
        chosen = gr.Button(_("Judge this part"), elem_id="part-judge")
        with gr.Row():
            sides = [
                gr.Slider(0, 100, at, step=STEP, label=_(words), buttons=[], min_width=120, elem_id=f"part-{name}")
                for name, words, at in SIDES
            ]
    states = gr.State(), gr.State(), gr.State(time_to_live=KEPT), gr.State(False)
    added = PartSection(tab.source, *states, preview, said, sides, found)
    beside: dict[str, Any] = {**PRIVATE, **RUNS, "trigger_mode": "always_last"}
    section.expand(lambda: True, None, added.opened, **PRIVATE, queue=False)
    section.collapse(lambda: False, None, added.opened, **PRIVATE, queue=False)
    part.beside([search.click, section.expand], _values(added.look, added.shown), added.given, added.shown, **beside)
    followed = _values(added.follow, added.shown)
    part.beside([tab.source.change], followed, [added.opened, *added.given], added.shown, **beside)
    tab.picture.clear(_values(added.blank, added.shown), None, added.shown, **PRIVATE, queue=False)
    framed = _values(added.frame, [said])
    part.beside([s.change for s in sides], framed, [added.whole, *sides], [said], **beside)
    judge = judge | {
        "inputs": [*judge["inputs"], added.known],
        "outputs": [*judge["outputs"], added.cut, added.known],
    }
    for number, button in enumerate(found):
        part.on([button.click], _judged(added, tab, _nth(number)), tab.run, given=[added.whole], **judge)
    part.on([chosen.click], _judged(added, tab, _by_sides), tab.run, given=[added.whole, *sides], **judge)
    return added


def _values(work: Callable[..., Updates], outputs: list[Any]) -> Callable[..., list[Any]]:
    """`work` with its updates in the order of the outputs."""

    def ordered(*given: Any) -> list[Any]:
        updates = work(*given)
        return [updates.get(output, gr.skip()) for output in outputs]

    return ordered


def _judged(
    added: PartSection, tab: Any, choose: Callable[..., tuple[float, float, float, float] | None]
) -> Callable[..., Updates]:
    """The first step of judging a part: the part's file takes the picture's place."""

    def begin(event: gr.EventData, whole: Shown | None, *given: float) -> Updates:
        path = upload_path({"path": whole[0]}) if whole else None
        if path is None:
            raise gr.Error(_("The picture is no longer kept. Add it again."), print_exception=False)
        with PICTURES.enter(Priority.VERDICT):  # no more at once than others decode: this step is not queued
            with speaking(ENGLISH):  # the part's file repeats its notes
                loaded = load_image(path)
            box = choose(loaded.pixels, *given)
            if box is None:
                gone = _("That picture is no longer found. Choose the part by its sides.")
                raise gr.Error(gone, print_exception=False)
            known = WholePicture.of(loaded, read_claims(read_file(path)))
            try:
                data = cut(loaded, box)
            except ImageError as error:
                raise gr.Error(str(error), title=_("This part is too small"), print_exception=False) from None
        if len(data) > MAX_BYTES:
            raise gr.Error(str(too_many_bytes()), title=_(TOO_LARGE), print_exception=False)
        file: Path = new_folder("part") / "part.png"
        file.write_bytes(data)
        now = {tab.picture: str(file), added.cut: str(file), added.known: known}
        return now | tab.cleared(card.looking(_("the part")))

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
