""" "How good is it?" as a reader meets it: drawn when it is opened, readable in light and dark, within a phone."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import Open, open_tab
from tests.makers.measured_files import write_reports
from ui.measured import page as measured

BEYOND = """() => [...document.querySelectorAll(".cc-measured *")].filter(
  (e) => e.checkVisibility() && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
).map((e) => e.outerHTML.slice(0, 100))"""


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
