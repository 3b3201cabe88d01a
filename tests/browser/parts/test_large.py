"""Files of more than 20 MB are refused by a sentence of the app's, in the reader's language, and those on their way are
counted."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from causalclip.images.formats import MAX_BYTES, TOO_LARGE, too_many_bytes
from causalclip.languages import _, speaking
from tests.browser.conftest import Open, open_tab, until

pytestmark = pytest.mark.full

FIELDS = {
    "Detect": ("#picture", "#status"),
    "Explore": ("#explore-a", "#explore-a-answer"),
    "Purify": ("#purify-picture", "#purify-status"),
}


@pytest.fixture
def large(tmp_path: Path) -> dict[str, Path]:
    """Files of a byte too many, by their ending."""
    paths = {ending: tmp_path / f"large.{ending}" for ending in ("tif", "zip")}
    for path in paths.values():
        with path.open("wb") as file:
            file.truncate(MAX_BYTES + 1)
    return paths


def gradios_own(page: Page) -> int:
    return page.locator(".toast-wrap .toast-body").count()


@pytest.mark.parametrize(("tab", "language"), [("Detect", "de"), ("Explore", "en"), ("Purify", "en")])
def test_a_field_says_what_to_do_with_what_is_too_large(
    open_page: Open, whole_app: str, large: dict[str, Path], files: dict[str, Path], tab: str, language: str
) -> None:
    """Where the answer would stand, until another picture is given."""
    page = open_page(whole_app, width=390)
    with speaking(language):
        if language != "en":
            page.goto(f"{whole_app}?lang={language}")
            page.locator("html[data-renames]").wait_for(state="attached")
        open_tab(page, _(tab))
        field, answer = FIELDS[tab]
        said = page.get_by_role("alert").filter(has_text=_(TOO_LARGE))
        for _again in range(2):
            page.locator(f"{field} input[type=file]").set_input_files(large["tif"])
            expect(said).to_contain_text(str(too_many_bytes()))
            expect(said).to_have_count(1)
            expect(said).to_be_in_viewport()
            expect(page.locator(answer)).to_be_hidden()
        page.wait_for_timeout(2500)  # longer than a failed upload is waited for
        expect(said).to_be_visible()
        assert not gradios_own(page)
        page.locator(f"{field} input[type=file]").set_input_files(files["photo.jpg"])
        expect(said).to_have_count(0)
        expect(page.locator(answer)).to_be_visible()


def test_a_batch_leaves_out_what_is_too_large_and_counts_what_comes(
    open_page: Open, large: dict[str, Path], files: dict[str, Path]
) -> None:
    page = open_page()
    open_tab(page, "Batch")
    said, coming = page.locator("#batch-folder .cc-done"), page.locator("#batch-coming")
    choose = page.locator("#batch-files input[type=file]")
    choose.set_input_files(large["zip"])
    expect(said).to_contain_text("0 of 1 files are taken. Left out, with more than 20 MB: large.zip. Unpack the zip")
    held: list[Route] = []
    page.route(re.compile("/gradio_api/upload"), lambda route: held.append(route))
    choose.set_input_files([files["photo.jpg"], large["tif"], files["broken.jpg"]])
    expect(coming.get_by_role("heading")).to_have_text("\N{WHITE CIRCLE}Files are on their way: 2")
    expect(coming).to_contain_text("Arrived so far: 0 of 2.")
    expect(coming).to_contain_text(re.compile(r"So far: [1-9]"))
    expect(page.locator("#batch-status .cc-empty")).to_be_hidden()  # no "No picture yet" meanwhile
    expect(said).to_contain_text("2 of 3 files are taken. Left out, with more than 20 MB: large.tif. Save a copy")
    assert until(page, lambda: bool(held))
    held[0].continue_()
    expect(page.locator("#batch-status")).to_contain_text("1 examined, 1 could not be")
    expect(coming).to_have_count(0)
    expect(page.locator("#batch-table tbody tr")).to_have_count(2)
    assert not gradios_own(page)
