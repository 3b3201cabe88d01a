"""One pattern for all tabs: picture left, answer right, the same promise; on a phone the answer
below the picture.

With its results on screen, every tab is clean by axe, in both themes, with targets of 24 px.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import COLOURS, Open, broken, open_tab, serious, show_theme, sizes
from tests.browser.test_check import give, verdict
from ui.fields import PROMISE

PARTS = {
    "Check": ("#picture", "#showcase"),
    "Batch": ("#batch-files", "#batch-status"),
    "Compare": ("#compare-a", "#compare-answer"),
    "Purify": ("#purify-picture", "#purify-results"),
    "Mask": ("#mask-picture", "#mask-answer"),
}
# what an answer says before somebody has given a picture; Purify opens with one
SAID = {
    "Check": "Where the score comes from",
    "Batch": "Many pictures at once",
    "Compare": "What was changed",
    "Purify": "purification brought the answer back, not the caption",
    "Mask": "See what the verdict reads",
}

Window = Callable[..., BrowserContext]
# What is pressed, on screen, and how large it is where a side has less than 44 px; a link in a
# sentence may be lower.
SMALL = """() => [...document.querySelectorAll("button, select, summary, textarea, "
    + "input:is([type=range], [type=number]), label:has(> input)")]
  .filter((e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !e.closest(".cc-hidden"))
  .map((e) => [e.id || e.className || e.tagName, e.textContent.trim(), e.getBoundingClientRect()])
  .filter(([, , box]) => box.height && (box.width < 43.5 || box.height < 43.5))
  .map(([name, text, box]) => `${name} ${text}: ${box.width} x ${box.height}`)"""  # noqa: E501
# px from the lowest part of the open tab down to what stands below all tabs
BELOW = """() => {
  const tab = [...document.querySelectorAll(".tabitem")].find((one) => one.checkVisibility());
  const ends = [...tab.querySelectorAll("img, p, button, span")].filter((one) => one.checkVisibility({ visibilityProperty: true })
    && !one.closest(".cc-hidden, .visually-hidden, .sr-only")).map((one) => one.getBoundingClientRect().bottom);
  return tab.closest(".tabs").nextElementSibling.getBoundingClientRect().top - Math.max(...ends);
}"""  # noqa: E501
TARGETS: dict[str, Any] = {"rules": {"target-size": {"enabled": True}}}  # 24 px


def box(page: Page, part: str) -> Any:
    expect(page.locator(part)).to_be_visible()
    return page.locator(part).bounding_box()


def test_every_tab_has_its_picture_and_its_answer_in_the_same_place(
    open_page: Open, whole_app: str
) -> None:
    """What axe says of a phone: test_results_on_every_tab."""
    page = open_page(whole_app, width=390, dark=True)
    for width in sizes(page, (390, True), (1280, False)):
        lefts = set()
        for name, (picture, answer) in PARTS.items():
            open_tab(page, name)
            left, right = box(page, picture), box(page, answer)
            if width > 700:
                assert left["x"] + left["width"] <= right["x"], name
                assert abs(left["y"] - right["y"]) < 4, name
                assert serious(page, **TARGETS) == [], name
            else:
                assert left["y"] + left["height"] <= right["y"], name
            lefts.add(round(left["x"]))
            assert page.evaluate(BELOW) >= 0, name
            expect(page.locator(answer)).to_contain_text(SAID[name])
            expect(page.locator(".cc-small", has_text=PROMISE).filter(visible=True)).to_have_count(
                1
            )
        assert len(lefts) == 1, width


def test_a_finger_hits_what_it_means(
    new_context: Window, whole_app: str, files: dict[str, Path]
) -> None:
    """On a phone, with a result: 44 px."""
    page = new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    ).new_page()
    page.goto(whole_app)
    page.locator("html[data-renames]").wait_for(state="attached")
    give(page, files["photo.jpg"])
    verdict(page)
    page.locator("#report-html").wait_for()
    page.locator("#chips button").nth(1).click()
    small = page.evaluate(SMALL)
    for name in ("Batch", "Compare", "Purify", "Mask"):
        open_tab(page, name)
        small += page.evaluate(SMALL)
    assert small == []


def violations(page: Page) -> list[Any]:
    """Rules that are broken, of all in the theme that is shown, and of colours in the other one,
    in which the page is left."""
    found = broken(page, **TARGETS)
    dark = page.evaluate("document.body.classList.contains('dark')")
    show_theme(page, dark=not dark)
    return found + broken(page, **COLOURS)


def test_results_on_every_tab(open_page: Open, whole_app: str, files: dict[str, Path]) -> None:
    page = open_page(whole_app, width=390)
    assert violations(page) == []
    give(page, files["photo.jpg"])
    verdict(page)
    # from here on, no fold moves while it is aimed at
    expect(page.locator("#report-html")).to_be_visible()
    for panel in ("file", "pixels", "copies"):
        page.locator(f"#chips button[data-panel={panel}]").click()
        assert violations(page) == [], panel
    for fold in page.locator("#answer .label-wrap").all():
        fold.click()
    page.locator("#part-judge").wait_for()
    assert violations(page) == []
    open_tab(page, "Batch")
    page.locator("#batch-files input[type=file]").set_input_files(
        [files["photo.jpg"], files["broken.jpg"]]
    )
    expect(page.locator("#batch-status")).to_contain_text("Finished")
    page.locator("#batch-table").get_by_role("button", name="photo.jpg").click()
    page.locator("#batch-opened .cc-scale").wait_for()
    assert violations(page) == []
    # on a phone it lies over the tabs
    page.locator("#batch-opened").get_by_role("button", name="Close").click()
    open_tab(page, "Compare")
    for name in ("compare-a", "compare-b"):
        page.locator(f"#{name} input[type=file]").set_input_files(files["photo.jpg"])
    expect(page.locator("#compare-details p").first).to_be_visible()
    assert violations(page) == []
    open_tab(page, "Purify")
    page.locator("#purify-picture input[type=file]").set_input_files(files["photo.jpg"])
    expect(page.locator("#purify-headline h2")).to_contain_text(re.compile("^(Purified|Taken)"))
    assert violations(page) == []
    open_tab(page, "Mask")
    page.locator("#mask-picture input[type=file]").set_input_files(files["photo.jpg"])
    expect(page.locator("#mask-answer")).to_contain_text("Score")
    page.locator("#mask-research > button").click()
    expect(page.locator("#mask-channel input")).to_be_visible()
    assert violations(page) == []
    open_tab(page, "Your pictures")
    expect(page.locator("#reference-in-use")).to_contain_text("Standard thresholds")
    assert violations(page) == []
    open_tab(page, "Accuracy")
    page.locator("#measured section").first.wait_for()
    assert violations(page) == []
