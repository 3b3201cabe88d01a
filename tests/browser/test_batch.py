"""The Batch tab as a journalist meets it: rows that say what Detect says, and open."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open, open_tab, serious

pytestmark = pytest.mark.full


def test_a_row_opens_and_closes(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page(width=390)
    open_tab(page, "Batch")
    page.locator("#batch-files input[type=file]").set_input_files([files["photo.jpg"], files["broken.jpg"]])
    expect(page.locator("#batch-files")).to_contain_text("broken")
    expect(page.locator("#batch-status")).to_contain_text("1 examined, 1 could not be")
    table, opened = page.locator("#batch-table"), page.locator("#batch-opened")
    expect(table.locator("tbody .cc-answer")).to_have_count(1)
    expect(table.locator("tbody")).to_contain_text("cut short or damaged")
    answer = table.locator("tbody .cc-answer").inner_text().split(maxsplit=1)[1]
    assert table.locator("tbody tr").first.bounding_box()["height"] < 60  # type: ignore[index]
    chip = page.locator("[data-chip=failed]")
    chip.click()
    expect(table.locator("tbody tr:visible")).to_have_count(1)
    expect(chip).to_have_attribute("aria-pressed", "true")
    chip.click()
    table.get_by_role("button", name="photo.jpg").press("Enter")
    expect(opened.locator("h2").first).to_contain_text("photo.jpg")
    expect(opened.locator(".cc-card h2")).to_contain_text(answer.capitalize())
    opened.locator("figure img").wait_for()
    expect(opened.get_by_role("region", name="Stability")).to_be_visible()
    expect(opened.locator("h2").first).to_be_in_viewport()
    expect(opened.locator("h2").first).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert serious(page) == []
    page.keyboard.press("Escape")
    expect(opened).to_be_hidden()
    expect(table.get_by_role("button", name="photo.jpg")).to_be_focused()
    table.get_by_role("button", name="photo.jpg").click()
    opened.get_by_role("button", name="Close").click()
    expect(opened).to_be_hidden()
