"""Judging a part: the picture in a screenshot is found and judged by a button, and a part is chosen by keyboard."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import expect
from skimage import data

from tests.browser.conftest import Open
from tests.causalclip.examine.test_kind import refusing


def test_the_picture_in_a_page_is_judged_by_itself(open_page: Open, tmp_path: Path) -> None:
    sheet = np.full((800, 1000, 3), 255, np.uint8)
    sheet[150:550, 200:800] = data.coffee()
    Image.fromarray(sheet).save(tmp_path / "page.png")
    page = open_page(width=390)
    page.locator("#picture input[type=file]").set_input_files(tmp_path / "page.png")
    expect(page.locator("#facts")).to_contain_text("1,000 × 800 pixels")
    expect(page.locator("#status")).to_contain_text("found inside this one")
    page.get_by_role("button", name="Judge only a part of it").click()
    expect(page.locator("#part-said")).to_contain_text("1: from (200, 150) to (800, 550)")
    page.locator("#part-1").click()
    expect(page.locator("#facts")).to_contain_text("600 × 400 pixels")
    expect(page.locator("#provenance")).to_contain_text(
        "from (200, 150) to (800, 550) of a picture of 1000 x 800 pixels"
    )
    slider = page.locator("#part-right input[type=range]")
    slider.focus()
    slider.press("Home")
    expect(page.locator("#part-said")).to_contain_text("choose a larger part")


def test_what_is_no_photograph_has_a_report_and_its_parts_can_be_judged(
    open_page: Open, serve: Callable[[Any], str], files: dict[str, Path]
) -> None:
    """But no map, and no check of an answer that is not there."""
    page = open_page(serve(refusing("page")))
    page.locator("#picture input[type=file]").set_input_files(files["photo.jpg"])
    expect(page.locator("#status h2")).to_contain_text("No answer for this kind of picture")
    expect(page.locator("#status h2")).to_be_focused()
    page.locator("#status").get_by_role("link", name="Download the report").click()
    expect(page.locator("#report-html")).to_be_in_viewport()
    expect(page.locator("#causal-map")).to_be_hidden()
    expect(page.locator("#stability")).to_be_hidden()
    page.locator("#status").get_by_role("link", name="Judge only a part of it").click()
    expect(page.locator("#part-judge")).to_be_visible()
