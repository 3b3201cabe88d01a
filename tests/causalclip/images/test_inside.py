"""Pictures inside a picture are found to the pixel; plain photographs and drawings are left whole."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage import data

from causalclip.images.augmentation import encode
from causalclip.images.inside import find_pictures

BOX = 60, 200, 660, 600  # of the photograph on the page


def page(*, ground: int, saved: int | None, photograph: bool = True) -> np.ndarray:
    """A page of lines of text around a photograph."""
    sheet = Image.new("RGB", (900, 1000), (ground,) * 3)
    draw, ink = ImageDraw.Draw(sheet), (255 - ground,) * 3
    for y in [*range(20, 180, 24), *range(630, 980, 24)]:
        draw.text((60, y), "The council voted on Tuesday to reopen the bridge after repairs. " * 2, ink)
    draw.rectangle((700, 200, 860, 240), fill=(29, 78, 216))
    if photograph:
        sheet.paste(Image.fromarray(data.coffee()).resize((600, 400)), BOX[:2])
    return np.asarray(encode(sheet, "JPEG", saved) if saved else sheet)


@pytest.mark.parametrize("ground", [255, 18], ids=["light", "dark"])
@pytest.mark.parametrize("saved", [None, 75], ids=["PNG", "JPEG"])
def test_the_photograph_on_a_page_is_found(ground: int, saved: int | None) -> None:
    found = find_pictures(page(ground=ground, saved=saved))
    assert len(found) == 1
    assert np.abs(np.array(found[0].box) - BOX).max() <= 2
    assert found[0].area == pytest.approx(600 * 400 / (900 * 1000), abs=0.01)


def test_a_page_without_a_photograph_has_none() -> None:
    assert find_pictures(page(ground=255, saved=75, photograph=False)) == ()


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_a_photograph_is_left_whole(name: str) -> None:
    assert find_pictures(getattr(data, name)()) == ()


@pytest.mark.parametrize("lightest", [242, 230])
def test_a_sky_of_nearly_the_pages_colour_is_a_part_of_the_picture(lightest: int) -> None:
    """The sky is even from one pixel to the next, but it is no page: its colour changes from top to bottom."""
    photograph = np.array(Image.fromarray(data.coffee()).resize((600, 400)))
    photograph[:220] = np.linspace(lightest, 205, 220, dtype=np.uint8)[:, None, None]
    sheet = page(ground=255, saved=None).copy()
    sheet[BOX[1] : BOX[3], BOX[0] : BOX[2]] = photograph
    [found] = find_pictures(np.asarray(encode(Image.fromarray(sheet), "JPEG", 85)))
    assert np.abs(np.array(found.box) - BOX).max() <= 4


def test_a_card_around_a_picture_is_no_picture() -> None:
    """Its ground has one colour all over, and text on it."""
    sheet = np.full((900, 900, 3), 255, np.uint8)
    sheet[100:760, 100:800] = (236, 239, 244)
    card = Image.fromarray(sheet)
    for y in (130, 154, 178, 640, 664, 688):
        ImageDraw.Draw(card).text((130, y), "The council voted on Tuesday to reopen the bridge. " * 2, (20, 20, 20))
    card.paste(Image.fromarray(data.coffee()).resize((600, 400)), (150, 220))
    [found] = find_pictures(np.asarray(encode(card, "JPEG", 85)))
    assert np.abs(np.array(found.box) - (150, 220, 750, 620)).max() <= 2
