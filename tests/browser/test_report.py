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
from playwright.sync_api import BrowserContext, Page, expect
from pypdf import PdfReader

from causalclip.batch import Row
from causalclip.evidence.examination import examine
from causalclip.languages import speaking
from causalclip.report.document import save_reports
from causalclip.report.overview import Overview, as_html
from tests.browser.conftest import Open
from tests.browser.test_detect import give, verdict
from tests.makers.detectors import Slowed, tiny_detector
from tests.makers.metadata_files import exif_block, jpeg_exif
from tests.makers.pictures import encode, photo
from tests.pace import slowness

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


@pytest.mark.parametrize("kind", ["plain", "telling"])
def test_a_pdf_has_at_most_three_pages_and_all_that_is_said(visitor: BrowserContext, tmp_path: Path, kind: str) -> None:
    """By Chromium's own print, as a person prints to PDF."""
    exif = exif_block(
        {272: b"EOS R5", 305: b"NovelAI", 315: b"Somebody with a long name", 33432: b"All rights reserved"}
    )
    data = jpeg_exif(exif) if kind == "telling" else encode(photo(640, 480), "JPEG")
    html, _ = save_reports(examine(data, tiny_detector(), name="picture.jpg"), tmp_path, "report")
    page = visitor.new_page()
    page.goto(html.as_uri())
    page.emulate_media(media="print")
    said = page.evaluate(SAID)
    page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True, print_background=True)
    printed = PdfReader(tmp_path / "report.pdf")
    assert len(printed.pages) <= 3
    text = letters("".join(sheet.extract_text() for sheet in printed.pages))
    assert len(said) > 60
    missing = [part for part in said if letters(part) not in text]
    assert not missing
    assert sum(len(sheet.images) for sheet in printed.pages) >= 3  # the picture and both maps


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_report_fits_a_phone(visitor: BrowserContext, tmp_path: Path, language: str) -> None:
    """With its sentence to paste, which holds 64 digits without a space."""
    with speaking(language):
        found = examine(encode(photo(640, 480), "JPEG"), tiny_detector(), name="picture.jpg")
        html, _ = save_reports(found, tmp_path, "report")
    page = visitor.new_page()
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(html.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("width", [800, 390])
def test_all_of_a_summary_is_in_sight(visitor: BrowserContext, width: int) -> None:
    page = visitor.new_page()
    page.set_viewport_size({"width": width, "height": 600})
    row = Row(
        1,
        "2026-11-03_a_name_without_any_space_in_it.jpeg",
        "The file says it was partly generated",
        0.5,
        sha256="0" * 64,
        claims="Something is said. " * 9,
    )
    page.set_content(
        as_html(Overview((row,), {}, ", ".join(f"{n} whose file says it was generated" for n in range(6))))
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_from_a_file_to_a_report_with_a_name_while_others_are_at_work(
    open_page: Open, serve: Callable[[Any], str], files: dict[str, Path]
) -> None:
    """In under a minute, and with the right picture's answer."""
    address = serve(Slowed(0.5))
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
