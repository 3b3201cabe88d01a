"""What is kept of a picture, and for how long: the promise that the page makes, the third of
SECURITY.md."""

from pathlib import Path

from playwright.sync_api import expect

from tests.acceptance.attacker import attacked
from tests.browser.conftest import Open
from tests.browser.test_check import give, verdict
from tests.serving import until


def test_upload_and_drawings_are_deleted_while_the_page_is_open(
    open_page: Open, files: dict[str, Path], tmp_path: Path
) -> None:
    """The examples are there even so."""
    with attacked(tmp_path, CAUSALCLIP_KEPT="15") as app:
        page = open_page(app.address)
        give(page, files["phone.heic"])
        drawn = {"picture.heic", "decoded.png"}
        assert until(lambda: drawn <= {path.name for path in app.files()})
        assert until(lambda: not app.files())
        verdict(page)  # it is still open
        page.locator("#picture").get_by_role("button", name="Remove Image").click()
        page.locator("#examples button").last.click()
        expect(page.locator("#facts")).to_contain_text("512 × 512 pixels, PNG")
        verdict(page)


def test_closing_the_page_deletes_at_once(
    open_page: Open, files: dict[str, Path], uploads: Path
) -> None:
    """In an app that keeps files for long, and other pages lose nothing."""
    before = kept_in(uploads)
    first = open_page()
    give(first, files["photo.jpg"])
    verdict(first)
    ours = kept_in(uploads) - before
    second = open_page()
    give(second, files["long.png"])
    verdict(second)
    theirs = kept_in(uploads) - before - ours
    for kept, name in ((ours, "picture.jpg"), (theirs, "picture.png")):
        assert any(path.name == name for path in kept)
        assert any(path.name.startswith("causalclip-report") for path in kept)
    first.close()
    assert until(lambda: not any(path.exists() for path in ours)), ours
    assert all(path.exists() for path in theirs)


def kept_in(uploads: Path) -> set[Path]:
    """The files of visitors that are kept now."""
    return {path for path in uploads.glob("*-*-*-*/*") if path.is_file()}
