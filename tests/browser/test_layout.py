"""One pattern for all tabs: picture left, answer right, the same promise; on a phone the answer below the picture.

"How good is it?" is drawn when it is opened, readable in light and dark, within a phone. With its results on screen,
every tab is clean by axe, in both themes, with targets of 24 px.
"""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, open_tab
from tests.browser.test_detect import give, verdict
from tests.makers.measured_files import write_reports
from ui.measured import page as measured
from ui.settings import PROMISE

BEYOND = """() => [...document.querySelectorAll(".cc-measured *")].filter(
  (e) => e.checkVisibility() && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
).map((e) => e.outerHTML.slice(0, 100))"""
PARTS = {
    "Detect": ("#picture", "#status"),
    "Batch": ("#batch-files", "#batch-status"),
    "Purify": ("#purify-picture", "#purify-status"),
    "Explore": ("#explore-a", "#explore-a-answer"),
}

TARGETS: dict[str, Any] = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}  # 24 px


def box(page: Page, part: str) -> Any:
    expect(page.locator(part)).to_be_visible()
    return page.locator(part).bounding_box()


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)], ids=["phone, dark", "desk, light"])
def test_every_tab_has_its_picture_and_its_answer_in_the_same_place(
    open_page: Open, whole_app: str, width: int, dark: bool
) -> None:
    page = open_page(whole_app, width=width, dark=dark)
    lefts = set()
    for name, (picture, answer) in PARTS.items():
        open_tab(page, name)
        left, right = box(page, picture), box(page, answer)
        if width > 700:
            assert left["x"] + left["width"] <= right["x"], name
            assert abs(left["y"] - right["y"]) < 4, name
        else:
            assert left["y"] + left["height"] <= right["y"], name
        lefts.add(round(left["x"]))
        expect(page.locator(answer)).to_contain_text("No picture yet")
        expect(page.locator(".cc-small", has_text=PROMISE).filter(visible=True)).to_have_count(1)
        found = Axe().run(page, options=TARGETS).response["violations"]
        assert not [
            (name, v["id"], [n["html"][:200] for n in v["nodes"]])
            for v in found
            if v["impact"] in ("serious", "critical")
        ]
    assert len(lefts) == 1


def test_the_picture_stays_beside_a_long_result(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page(width=1280)
    give(page, files["photo.jpg"])
    verdict(page)
    expect(page.locator("#stability table")).to_be_visible()
    page.evaluate("window.scrollTo(0, 900)")
    page.wait_for_function("window.scrollY > 500")
    expect(page.locator("#picture img")).to_be_in_viewport(ratio=0.9)


def test_a_batch_on_a_phone_shows_its_answers_without_scrolling_aside(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page(width=390)
    page.set_viewport_size({"width": 390, "height": 844})
    open_tab(page, "Batch")
    page.locator("#batch-files input[type=file]").set_input_files([files["photo.jpg"], files["broken.jpg"]])
    expect(page.locator("#batch-status")).to_contain_text("Finished")
    page.evaluate("window.scrollTo(0, 0)")
    expect(page.locator("#batch-table .cc-answer")).to_be_in_viewport(ratio=1)
    assert page.locator("#batch-table .cc-wide").evaluate("e => e.scrollWidth <= e.clientWidth")
    expect(page.locator("#batch-table tbody")).to_contain_text("cut short or damaged")


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1440, True)], ids=["phone, light", "desk, dark"])
def test_what_was_measured(
    open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, dark: bool
) -> None:
    monkeypatch.setattr(measured, "BENCHMARKS", write_reports(tmp_path))
    page = open_page(width=width, dark=dark)
    expect(page.locator("#measured section")).to_have_count(0)
    open_tab(page, "How good is it?")
    expect(page.locator("#measured section")).to_have_count(len(measured.SECTIONS) + len(measured.QUESTIONS) + 1)
    expect(page.locator("#measured .cc-question table").first).to_be_visible()
    expect(page.locator("#measured details table").first).to_be_hidden()
    assert page.locator("#measured-unknown").is_visible()
    for summary in page.locator("#measured summary").all():
        summary.click()
    expect(page.locator("#measured")).not_to_contain_text("Not measured yet")
    assert page.locator("#measured svg[role=img]").count() >= 6
    assert page.evaluate(BEYOND) == []
    found = Axe().run(page).response["violations"]
    assert not [v["id"] for v in found if v["impact"] in ("serious", "critical")]


def violations(page: Page) -> list[tuple[str, list[str]]]:
    """Rules that are broken, each with the elements."""
    found = Axe().run(page, options=TARGETS).response["violations"]
    return [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in found]


@pytest.mark.parametrize("width", [390, 1280], ids=["phone", "desk"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_results_on_every_tab(open_page: Open, whole_app: str, files: dict[str, Path], width: int, dark: bool) -> None:
    page = open_page(whole_app, width=width, dark=dark)
    page.locator(".cc-gallery summary").click()
    assert violations(page) == []
    give(page, files["photo.jpg"])
    verdict(page)
    expect(page.locator("#stability table")).to_be_visible()
    for fold in page.locator("#answer .label-wrap").all():
        fold.click()
    expect(page.locator("#part-find")).to_be_visible()
    assert violations(page) == []
    open_tab(page, "Batch")
    page.locator("#batch-files input[type=file]").set_input_files([files["photo.jpg"], files["broken.jpg"]])
    expect(page.locator("#batch-status")).to_contain_text("Finished")
    page.locator("#batch-table").get_by_role("button", name="photo.jpg").click()
    expect(page.locator("#batch-opened .cc-scale")).to_be_visible()
    assert violations(page) == []
    page.locator("#batch-opened").get_by_role("button", name="Close").click()  # on a phone it lies over the tabs
    open_tab(page, "Purify")
    page.locator("#purify-picture input[type=file]").set_input_files(files["photo.jpg"])
    expect(page.locator("#purify-headline h2")).to_be_visible()
    assert violations(page) == []
    open_tab(page, "Explore")
    page.locator("#explore-a input[type=file]").set_input_files(files["photo.jpg"])
    expect(page.locator("#explore-a-answer")).to_contain_text("Score")
    assert violations(page) == []
    open_tab(page, "How good is it?")
    expect(page.locator("#measured section").first).to_be_visible()
    assert violations(page) == []


def test_on_a_phone_the_arrows_of_folds_stand_in_line(open_page: Open) -> None:
    """Of one whose name takes two lines, too: it once touched the edge."""
    arrows = open_page(width=390).locator(".label-wrap .icon").filter(visible=True)
    rights = arrows.evaluate_all("icons => icons.map((icon) => Math.round(icon.getBoundingClientRect().right))")
    assert len(rights) > 1
    assert len(set(rights)) == 1
