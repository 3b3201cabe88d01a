"""Attack 14: what a stranger has written into a file, its name or a profile runs nowhere, in the
page or in what it hands out."""

import csv
import io
from pathlib import Path

from playwright.sync_api import Page, expect

from causalclip.reference import Profile
from tests.browser.conftest import Open, open_tab
from tests.browser.test_check import give, verdict
from tests.makers.metadata_files import exif_block, jpeg_exif, make_authority, sign, xmp
from tests.makers.pictures import encode, photo, segment

EVIL = "<img src=http://192.0.2.1/x onerror=window.pwned=1><script>window.pwned=1</script>"
FORMULA = "=HYPERLINK(1)"


def picture() -> bytes:
    """A JPEG with tags and formulas in its EXIF, XMP, comment and Content Credentials."""
    block = exif_block(dict.fromkeys((270, 271, 272, 305, 315, 33432), EVIL.encode()))
    escaped = EVIL.replace("<", "&lt;")
    packet = xmp(
        f'xmp:CreatorTool="{escaped}" photoshop:Credit="{FORMULA}"',
        f"<dc:creator><rdf:Seq><rdf:li>{escaped}</rdf:li></rdf:Seq></dc:creator>",
    )
    plain = jpeg_exif(block)
    more = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)
    plain = plain[:2] + more + segment(0xFE, EVIL.encode()) + plain[2:]
    return sign(plain, make_authority(EVIL[:60], organisation=EVIL[:60]), generator=EVIL)


def profile() -> str:
    """A profile that seems to be another model's, of that name."""
    return Profile(EVIL, EVIL, EVIL, EVIL, (0.1,) * 9, (0.1,) * 9, 0.1, {EVIL: 9}).as_json()


def test_14_nothing_that_a_stranger_has_written_runs(open_page: Open, tmp_path: Path) -> None:
    evil, formula = tmp_path / f"{EVIL.replace('/', '')}.jpg", tmp_path / f"{FORMULA}.png"
    evil.write_bytes(picture())
    formula.write_bytes(encode(photo(), "PNG"))
    given = tmp_path / "profile.json"
    given.write_text(profile())
    page = open_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    # 1. A picture, and its report.
    give(page, evil)
    verdict(page)
    expect(page.locator("#provenance")).to_contain_text("onerror=window.pwned")
    report, how = handed_out(page, "#report-html")
    assert how.startswith("attachment")
    assert b"onerror" in report
    assert not any(tag in report for tag in (b"<img src=http", b"<script>window"))

    # 2. Many pictures, and their table.
    open_tab(page, "Batch")
    page.locator("#batch-files input[type=file]").set_input_files([evil, formula])
    expect(page.locator("#batch-status")).to_contain_text("Finished")
    page.locator("#batch-table tbody button").first.click()
    page.locator("#batch-opened .cc-scale").wait_for()
    with page.expect_download() as download:
        page.locator("#batch-csv").click()
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig"))))
    assert any("HYPERLINK" in cell for row in rows for cell in row)
    assert not any(cell.startswith(("=", "+", "@", "\t")) for row in rows for cell in row)

    # 3. A profile.
    open_tab(page, "Your pictures")
    page.locator("#reference-profile-upload input[type=file]").set_input_files(given)
    expect(page.locator("#reference-in-use").or_(page.locator(".toast-body")).first).to_be_visible()
    page.wait_for_timeout(1000)
    here = page.evaluate("location.origin")
    assert page.evaluate("window.pwned") is None
    assert [url for url in asked if not url.startswith((here, "data:", "blob:"))] == []


def handed_out(page: Page, button: str) -> tuple[bytes, str]:
    """The file that a button downloads, and its header Content-Disposition."""
    with page.expect_download() as download:
        page.locator(button).click()
    answer = page.request.get(download.value.url)
    return answer.body(), answer.headers["content-disposition"]
