"""The Purify tab as a person meets it, with the shipped models: attacked, purified, asked."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, open_tab, serious
from tests.conftest import Served
from ui.purify.examples import PREPARED

pytestmark = pytest.mark.full


def pixels(page: Page, name: str, folder: Path) -> np.ndarray:
    """What the download button of a column gives."""
    with page.expect_download() as download:
        page.locator(f"#purify-{name}").get_by_role("button", name="Download").or_(
            page.locator(f"#purify-{name} a[download]")
        ).first.click()
    download.value.save_as(folder / f"{name}.png")
    return np.asarray(Image.open(folder / f"{name}.png").convert("RGB")).astype(int)


def in_sight(page: Page, *names: str) -> list[float]:
    """The tops of parts that are in the window as a whole."""
    boxes = [page.locator(name).first.bounding_box() for name in names]
    height = page.viewport_size["height"] if page.viewport_size else 0
    assert all(box and box["y"] >= 0 and box["y"] + box["height"] <= height for box in boxes), (names, boxes)
    return [box["y"] for box in boxes if box]


# Every picture that is on screen has been drawn.
WHOLE = """() => [...document.querySelectorAll("#purify-results img")].filter((image) => image.checkVisibility())
  .every((image) => image.complete && image.naturalWidth)"""


def test_the_three_prepared_ones_in_one_look(open_page: Open, real_app: Served, tmp_path: Path) -> None:
    page = open_page(real_app.address)
    page.set_viewport_size({"width": 1280, "height": 800})
    open_tab(page, "Purify")
    expect(page.locator("#purify-adversarial-said .cc-told")).to_contain_text("dog")  # the first is there when it opens
    expect(page.locator("#purify-stop")).to_be_hidden()
    for index, example in enumerate(PREPARED):
        page.locator("#purify-examples button").nth(index).click()
        expect(page.locator("#purify-question textarea, #purify-question input")).to_have_value(example.question)
        expect(page.locator("#purify-headline")).to_contain_text("purification brought")
        expect(page.locator("#purify-clean-said .cc-told")).to_contain_text(example.answer)
        expect(page.locator("#purify-adversarial-said .cc-told")).to_contain_text("answer differs")
        expect(page.locator("#purify-purified-said .cc-told")).to_contain_text(example.answer)
        expect(page.locator("#purify-purified-said .cc-told")).to_contain_text("answer as before")
        page.locator("#purify-purifier-change img").wait_for()
        page.wait_for_function(WHOLE)  # the pictures have their size
        tops = in_sight(page, "#purify-clean", "#purify-adversarial", "#purify-purified")
        assert max(tops) - min(tops) < 12
        in_sight(page, "#purify-headline", "#purify-purified-said", "#purify-attack-change", "#purify-purifier-change")
    attacked, purified = (page.locator("#purify-slider img").nth(i).bounding_box() for i in range(2))
    assert attacked == purified  # they are laid over each other
    for name in ("clean", "adversarial", "purified"):  # no label on a picture
        label = page.locator(f"#purify-{name} label").first.bounding_box()
        image = page.locator(f"#purify-{name} img").first.bounding_box()
        assert label
        assert image
        assert label["y"] + label["height"] <= image["y"]
    size = page.locator("#purify-purified-said .cc-told").evaluate("(told) => getComputedStyle(told).fontSize")
    assert size == "28px"
    moved = pixels(page, "adversarial", tmp_path)
    assert 0 < np.abs(moved - skimage.data.astronaut()).max() <= 8
    assert serious(page) == []
