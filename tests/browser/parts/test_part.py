"""Judging a part: the picture in a screenshot is found and judged by a button, and a part is chosen by keyboard."""

from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, expect
from skimage import data

from tests.browser.conftest import Open

Window = Callable[..., BrowserContext]


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
