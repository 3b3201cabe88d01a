"""The Batch tab as a journalist meets it: rows that say what Detect says, and open."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import Open, open_tab


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1440, True)], ids=["phone, light", "desk, dark"])
def test_a_row_opens_below(open_page: Open, files: dict[str, Path], width: int, dark: bool) -> None:
    page = open_page(width=width, dark=dark)
    open_tab(page, "Batch")
    page.locator("#batch-files input[type=file]").set_input_files([files["photo.jpg"], files["broken.jpg"]])
    expect(page.locator("#batch-files")).to_contain_text("broken")
    expect(page.locator("#batch-status")).to_contain_text("1 examined, 1 could not be")
    table, opened = page.locator("#batch-table"), page.locator("#batch-opened")
    expect(table.locator("tbody .cc-answer")).to_have_count(1)
    assert table.locator("tbody img").evaluate("async (i) => { await i.decode(); return i.naturalWidth; }") == 96
    answer = table.locator("tbody .cc-answer").inner_text().split(maxsplit=1)[1]
    table.get_by_role("button", name="photo.jpg").press("Enter")
    expect(opened.locator("h2").first).to_contain_text("photo.jpg")
    expect(opened.locator(".cc-card h2")).to_contain_text(answer.capitalize())
    expect(opened.locator("figure img")).to_be_visible()
    expect(opened.get_by_role("region", name="Stability")).to_be_visible()
    expect(opened).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    found = Axe().run(page).response["violations"]
    assert not [
        (v["id"], [n["html"][:200] for n in v["nodes"]]) for v in found if v["impact"] in ("serious", "critical")
    ]


def test_a_batch_starts_when_it_is_given_and_goes_with_its_files(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page()
    open_tab(page, "Batch")
    expect(page.locator("#batch-status")).to_contain_text("Add pictures or a zip of them")
    expect(page.locator("#batch-start")).to_be_disabled()
    page.locator("#batch-files input[type=file]").set_input_files(files["photo.jpg"])
    expect(page.locator("#batch-status")).to_contain_text("1 examined")
    page.locator("#batch-start").click()
    expect(page.locator("#batch-status")).to_contain_text("1 examined")
    expect(page.locator("#batch-table tbody tr")).to_have_count(1)
    page.locator("#batch-files").get_by_label("Clear").click()
    expect(page.locator("#batch-status")).to_contain_text("Add pictures or a zip of them")
    expect(page.locator("#batch-table tbody tr")).to_have_count(0)
    expect(page.locator("#batch-csv")).to_be_hidden()
    expect(page.locator("#batch-start")).to_be_disabled()
