"""Judging a part: the picture in a screenshot is found and judged by a button, and a part is chosen by keyboard."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, expect
from skimage import data

from tests.browser.conftest import Open
from tests.causalclip.evidence.test_image_type import refusing

Window = Callable[..., BrowserContext]


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


def coffee(page: Page, folder: Path) -> None:
    """A picture of 600 x 400 pixels is judged, and the section opened."""
    Image.fromarray(data.coffee()).save(folder / "coffee.png")
    page.locator("#picture input[type=file]").set_input_files(folder / "coffee.png")
    expect(page.locator("#facts")).to_contain_text("600 × 400 pixels")
    page.get_by_role("button", name="Judge only a part of it").click()
    expect(page.locator("#part-said")).to_contain_text("No picture was found inside this one")
    expect(page.locator("#report-html")).to_be_visible()  # from here on, nothing moves
    page.locator(".cc-crop").evaluate("crop => crop.scrollIntoView({block: 'center'})")


def at(crop: Locator, across: float, down: float) -> tuple[float, float]:
    box = crop.bounding_box()
    assert box
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def test_a_part_is_dragged_with_the_mouse(open_page: Open, tmp_path: Path) -> None:
    page = open_page()
    coffee(page, tmp_path)
    crop, said, mouse = page.locator(".cc-crop"), page.locator("#part-said"), page.mouse
    mouse.move(*at(crop, 0.75, 0.25))
    mouse.down()
    mouse.move(*at(crop, 0.25, 0.75), steps=4)
    mouse.up()
    expect(page.locator("#part-at")).to_have_text("Across: 25 to 75 %; down: 25 to 75 %")
    expect(said).to_contain_text("The part from (150, 100) to (450, 300) of a picture of 600 x 400 pixels")
    mouse.move(*at(crop, 0.5, 0.5))  # the frame is moved, and then its lower left corner
    mouse.down()
    mouse.move(*at(crop, 0.6, 0.4), steps=4)
    mouse.up()
    expect(said).to_contain_text("The part from (210, 60) to (510, 260)")
    mouse.move(*at(crop, 0.35, 0.65))
    mouse.down()
    mouse.move(*at(crop, 0.1, 0.9), steps=4)
    mouse.up()
    expect(said).to_contain_text("The part from (60, 60) to (510, 360)")
    mouse.click(*at(crop, 0.95, 0.95))  # a click is no part
    expect(page.locator("#part-right input[type=number]")).to_have_value("85")
    page.locator("#part-judge").click()
    expect(page.locator("#facts")).to_contain_text("450 × 300 pixels")
    expect(page.locator("#provenance")).to_contain_text("from (60, 60) to (510, 360) of a picture of 600 x 400 pixels")
    expect(page.locator("#status h2")).to_be_focused()
    page.locator("#part-right input[type=range]").focus()  # the whole is still there: another part can be judged
    page.keyboard.press("End")
    expect(said).to_contain_text("The part from (60, 60) to (600, 360) of a picture of 600 x 400 pixels")
    page.locator("#part-judge").click()
    expect(page.locator("#facts")).to_contain_text("540 × 300 pixels")


def test_a_part_is_dragged_with_a_finger(new_context: Window, tiny_app: str, tmp_path: Path) -> None:
    page = new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).new_page()
    page.goto(tiny_app)
    page.locator("html[data-renames]").wait_for(state="attached")
    coffee(page, tmp_path)
    crop = page.locator(".cc-crop")
    expect(crop).to_have_css("touch-action", "auto")
    swipe(page, at(crop, 0.2, 0.2), at(crop, 0.6, 0.3))
    expect(page.locator("#part-right input[type=number]")).to_have_value("100")  # that scrolls the page
    page.get_by_role("button", name="Choose it on the picture").click()
    expect(crop).to_have_css("touch-action", "none")
    expect(page.locator("#part-at")).to_have_text("Across: 25 to 75 %; down: 25 to 75 %")
    crop.evaluate("crop => crop.scrollIntoView({block: 'center'})")
    swipe(page, at(crop, 0.75, 0.75), at(crop, 0.9, 0.9))
    expect(page.locator("#part-said")).to_contain_text("The part from (150, 100) to (5")
    page.locator("#part-judge").click()
    expect(page.locator("#provenance")).to_contain_text("The part from (150, 100) to (5")
    expect(page.locator("#status h2")).to_be_in_viewport()


def swipe(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A finger as the browser gets it: Playwright's own only taps."""
    tools = page.context.new_cdp_session(page)
    for i in range(6):
        point = {"x": start[0] + (end[0] - start[0]) * i / 5, "y": start[1] + (end[1] - start[1]) * i / 5}
        kind = "touchMove" if i else "touchStart"
        tools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    tools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_part_is_chosen_on_the_picture_with_the_keyboard(open_page: Open, tmp_path: Path) -> None:
    page = open_page(dark=True)
    coffee(page, tmp_path)
    choose, frame, key = page.locator(".cc-choose"), page.locator(".cc-frame"), page.keyboard
    choose.focus()
    key.press("Enter")
    expect(frame).to_be_focused()
    expect(frame).to_have_attribute("role", "application")
    for _ in range(5):
        key.press("ArrowLeft")
        key.press("Shift+ArrowDown")
    expect(page.locator("#part-at")).to_have_text("Across: 20 to 70 %; down: 25 to 80 %")
    expect(page.locator("#part-left input[type=number]")).to_have_value("20")
    key.press("Escape")
    expect(choose).to_be_focused()
    expect(choose).to_have_attribute("aria-pressed", "false")
    key.press("Enter")
    key.press("ArrowUp")
    key.press("Enter")  # at once: what was chosen last counts
    expect(page.locator("#provenance")).to_contain_text("from (120, 96) to (420, 316) of a picture of 600 x 400 pixels")
    expect(page.locator("#status h2")).to_be_focused()


def test_another_picture_takes_the_place_of_the_one_that_parts_were_cut_from(
    open_page: Open, files: dict[str, Path], tmp_path: Path
) -> None:
    page = open_page()
    coffee(page, tmp_path)
    slider = page.locator("#part-left input[type=range]")
    slider.focus()
    slider.press("PageUp")
    expect(page.locator("#part-said")).to_contain_text("of a picture of 600 x 400 pixels")
    before = page.locator(".cc-crop img").get_attribute("src") or ""
    page.locator("#picture").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#status h2")).to_contain_text("No picture yet")
    expect(page.locator(".cc-crop")).to_have_count(0)
    page.locator("#picture input[type=file]").set_input_files(files["photo.jpg"])
    expect(page.locator(".cc-crop img")).not_to_have_attribute("src", before)
    expect(page.locator("#part-left input[type=number]")).to_have_value("0")


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
    page.locator("#part-judge").wait_for()
