"""With its results on screen, every tab is clean by axe, in both themes and on a phone, with targets of 24 px."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, open_tab
from tests.browser.test_detect import give, verdict

ALL = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}


def violations(page: Page) -> list[tuple[str, list[str]]]:
    """Rules that are broken, each with the elements."""
    found = Axe().run(page, options=ALL).response["violations"]
    return [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in found]


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)], ids=["phone, dark", "desk, light"])
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
