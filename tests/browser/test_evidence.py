"""What a journalist does: from an upload to a report in hand, with a name and a note in it."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.test_detect import give, overflow, verdict
from tests.makers.metadata_files import created, exif_block, jpeg_exif, make_authority, sign

pytestmark = pytest.mark.full

EVIL = b"<script>document.title='taken'</script>"


@pytest.fixture(scope="session")
def claiming(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that says a lot about itself: signed as generated, a camera's EXIF with a script in it, a place."""
    exif = exif_block({272: b"EOS R5", 315: EVIL}, gps=(48.8584, 2.2945))
    plain = jpeg_exif(exif)
    path = tmp_path_factory.mktemp("claims") / "claims.jpg"
    path.write_bytes(sign(plain, make_authority(), created("trainedAlgorithmicMedia")))
    return path


def concluded(page: Page) -> str:
    """Waits for the answer that counts; returns the card's title."""
    title = verdict(page)
    page.locator("#report-html").wait_for()
    return page.locator("#status h2").inner_text().strip("▲▼◆ \n") or title


def test_from_upload_to_report(open_page: Open, claiming: Path, tmp_path: Path) -> None:
    page = open_page()
    give(page, claiming)
    said = concluded(page)
    assert said == "The file says it was generated"
    provenance = page.locator("#provenance")
    page.locator("#chips button[data-panel=file]").click()
    expect(provenance).to_contain_text("The file itself says that the picture was made by a generative AI model.")
    expect(provenance).to_contain_text("intact, signer unknown")
    expect(provenance.locator("text=48.858")).to_be_hidden()
    provenance.get_by_text("The file says where it was taken").click()
    provenance.locator("text=48.858").wait_for()
    assert page.title() != "taken"
    report = tmp_path / "report.html"
    report.write_text(download(page, "#report-html"), encoding="utf-8")
    plain = json.loads(download(page, "#report-json"))
    assert plain["answer"] == said
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    expect(page.locator("h2").first).to_contain_text(said)
    expect(page.locator("body")).to_contain_text(plain["sha256"])
    assert page.title().startswith("Report: ")
    assert all(url.startswith(("file:", "data:")) for url in asked)
    assert all(page.locator("img").evaluate_all("images => images.map(i => i.complete && i.naturalWidth > 100)"))
    assert overflow(page) <= 0


def download(page: Page, button: str) -> str:
    with page.expect_download() as started:
        page.locator(button).click()
    return Path(started.value.path()).read_text(encoding="utf-8")
