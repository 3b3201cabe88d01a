"""The report in the person's hands: with a name in it, and as a PDF from the browser's print."""

import hashlib
import json
import re
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.test_detect import give, verdict
from tests.makers.detectors import SlowDetector
from tests.pace import slowness

pytestmark = pytest.mark.full

SAID = """() => [...document.querySelectorAll("h1, h2, p, li, dt, dd, figcaption, caption, td, th")]
  .filter((e) => e.checkVisibility() && !e.querySelector("p, li, svg")).map((e) => e.textContent)"""


def letters(text: str) -> str:
    """Without spaces and line breaks, and without the ligatures that fonts put in."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))


def download(page: Page, button: str) -> str:
    with page.expect_download() as started:
        page.locator(button).click()
    return Path(started.value.path()).read_text(encoding="utf-8")


def test_a_name_and_a_note_are_in_the_report(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page()
    give(page, files["photo.jpg"])
    verdict(page)
    html = page.locator("#report-html")
    expect(html).to_be_visible()
    page.locator("#report-name input, #report-name textarea").fill("Ada Lovelace")
    page.locator("#report-note textarea").fill("From a reader")
    expect(page.locator("#report-promise")).to_contain_text("The report holds “Ada Lovelace” and “From a reader”")
    drawn = download(page, "#report-html")
    assert "Ada Lovelace" in drawn
    assert "From a reader" in drawn
    label = json.loads(download(page, "#report-json"))["report"]["label"]
    assert (label["name"], label["note"]) == ("Ada Lovelace", "From a reader")
    assert label["zone"]
    page.locator("#picture").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#report-note textarea")).to_have_value("")


def test_from_a_file_to_a_report_with_a_name_while_others_are_at_work(
    open_page: Open, serve: Callable[[Any], str], files: dict[str, Path]
) -> None:
    """In under a minute, and with the right picture's answer."""
    address = serve(SlowDetector(0.5))
    others = [open_page(address) for _ in range(3)]
    page = open_page(address)
    for i, other in enumerate(others):
        other.locator("#examples button").nth(i).click()
    started = time.monotonic()
    give(page, files["photo.jpg"])
    page.locator("#report-html").wait_for()
    page.locator("#report-name input, #report-name textarea").fill("Ada Lovelace")
    expect(page.locator("#report-promise")).to_contain_text("The report holds “Ada Lovelace”")
    drawn = download(page, "#report-html")
    assert time.monotonic() - started < 60 * slowness()
    assert "Ada Lovelace" in drawn
    assert hashlib.sha256(files["photo.jpg"].read_bytes()).hexdigest() in drawn
    for other in others:
        expect(other.locator("#facts")).to_contain_text("pixels")
