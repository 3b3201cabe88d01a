"""The Batch tab as a journalist meets it: rows that say what Detect says, and open."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

import app
from tests.browser.conftest import Open, open_tab, serious
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from ui.batch import tab

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


def test_a_folder_is_taken_in_portions_and_rows_are_filtered(
    open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More files than the server takes at once, one of them in a folder inside, and one that is no picture."""
    monkeypatch.setattr(tab, "FILES", 2)
    detector = tiny_detector()
    served = app.build(lambda: detector)
    page = open_page(app.launch(served))
    (tmp_path / "inner").mkdir()
    for name, side in (("a.png", 64), ("b.png", 300), ("inner/c.png", 320)):
        (tmp_path / name).write_bytes(encode(photo(side, side), "PNG"))
    (tmp_path / "notes.txt").write_text("no picture")
    open_tab(page, "Batch")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(tmp_path)
    expect(page.locator("#batch-folder")).to_contain_text(
        "3 of 4 files are taken. Left out, of a kind that is not read here: notes.txt."
    )
    expect(page.locator("#batch-status")).to_contain_text("3 examined")
    rows = page.locator("#batch-table tbody tr")
    expect(rows).to_have_count(3)
    page.locator("#batch-filters select[data-filter=kind]").select_option("drawing")
    expect(rows.filter(visible=True)).to_have_count(0)
    page.locator("#batch-filters select[data-filter=kind]").select_option("photograph")
    expect(rows.filter(visible=True)).to_have_count(3)
    page.locator("#batch-filters select[data-filter=kind]").select_option("")
    page.locator("#batch-filters select[data-filter=cautions]").select_option("small")
    expect(rows.filter(visible=True)).to_have_count(1)
    expect(page.locator("#batch-filters")).to_contain_text("1 of 3 shown")
    page.locator("#batch-filters select[data-filter=cautions]").select_option("")
    expect(rows.filter(visible=True)).to_have_count(3)
    for kind, begins in (("html", b"<!doctype"), ("zip", b"PK")):
        with page.expect_download() as download:
            page.locator(f"#batch-{kind}").click()
        assert Path(download.value.path()).read_bytes().startswith(begins)
        assert download.value.suggested_filename.endswith(kind)
    served.close(verbose=False)
