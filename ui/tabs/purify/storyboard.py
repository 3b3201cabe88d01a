"""A run as one picture: the original, the attacked and the purified one beside each other, with
what the model says of each.

English, as Pillow cannot shape every script, and the model speaks English alone.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from causalclip.languages import ENGLISH, speaking
from causalclip.maps.overlay import INK, PAPER, carried_font, shrink
from ui.tabs.purify.answers import spoken
from ui.tabs.purify.widgets import FRAMES

if TYPE_CHECKING:
    from purifier.scenario import Scenario

SIDE, GAP = 480, 24  # px: of a picture's long side, and around each
TITLE, TEXT = 22, 18  # px of type
LETTERS = 44  # of a line of text below a picture
LINES = 6  # of text at most
SOURCE = "CausalCLIP: an attack on a vision-language model, and its purification"


def draw_storyboard(scenario: Scenario) -> Image.Image:
    """Return the pictures of a finished run, RGB, from left to right, with their answers."""
    # 1. What stands in each column.
    frames = [(name, title) for name, title in FRAMES.items() if name in scenario.pictures]
    pictures = [
        Image.fromarray(shrink(scenario.pictures[name], side=SIDE)) for name, _title in frames
    ]
    with speaking(ENGLISH):
        texts = [_lines(scenario, name) for name, _title in frames]
    # 2. The page.
    column = SIDE + GAP
    top = 2 * GAP + TITLE
    below = top + max(picture.height for picture in pictures) + GAP
    height = below + (LINES + 1) * round(1.35 * TEXT) + 2 * GAP
    page = Image.new("RGB", (len(frames) * column + GAP, height), PAPER)
    draw = ImageDraw.Draw(page)
    # 3. Its columns, the question, and where it comes from.
    for place, ((_name, title), picture, text) in enumerate(
        zip(frames, pictures, texts, strict=True)
    ):
        left = GAP + place * column
        draw.text((left, GAP), title, INK, carried_font(TITLE, "DejaVuSans-Bold"))
        page.paste(picture, (left, top))
        draw.text((left, below), text, INK, carried_font(TEXT), spacing=round(0.35 * TEXT))
    draw.text((GAP, height - GAP - TEXT), SOURCE, INK, carried_font(TEXT))
    return page


def _lines(scenario: Scenario, name: str) -> str:
    """Return the answer to the question and the caption of a picture, in short lines."""
    response = next(r for which, r in scenario.responses.items() if which == name)
    said = [response.caption]
    if response.answer:
        said = [f"{scenario.question} {spoken(response)}", *said]
    lines = [line for text in said for line in textwrap.wrap(text, LETTERS)]
    return "\n".join(lines[:LINES])
