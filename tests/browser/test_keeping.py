"""What is kept of a picture, and for how long: the promise that the page makes, on the app as a
user starts it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.test_detect import give, verdict
from tests.serving import HANGS, Keeper, keeper, until
from ui.server.storage import STORE, folder_of


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    with keeper(tmp_path_factory.mktemp("short-lived")) as app:
        yield app


@pytest.mark.full
def test_upload_and_drawings_are_deleted_while_the_page_is_open(
    open_page: Open, files: dict[str, Path], served: Keeper
) -> None:
    """Of a person with a browser, and of a client of the API. The examples are there even so."""
    client = Client(served.address, verbose=False)
    client.predict(handle_file(str(files["photo.jpg"])), api_name="/detect")
    assert "photo.jpg" in served.seen
    page = open_page(served.address)
    give(page, files["phone.heic"])
    verdict(page)
    drawn = {"picture.heic", "decoded.png"}
    assert until(lambda: drawn <= served.seen), drawn - served.seen
    assert until(lambda: not served.private()), served.private()
    assert page.locator("#status .cc-scale").is_visible()  # and it is still open
    page.locator("#picture").get_by_role("button", name="Remove Image").click()
    page.locator("#examples button").last.click()
    expect(page.locator("#facts")).to_contain_text("512 × 512 pixels, PNG")
    verdict(page)


@pytest.mark.full
def test_all_goes_when_the_server_is_stopped(
    open_page: Open, files: dict[str, Path], served: Keeper
) -> None:
    page = open_page(served.address)
    give(page, files["photo.jpg"])
    verdict(page)
    served.process.send_signal(signal.SIGTERM)
    served.process.wait(HANGS)
    assert not list(served.base.rglob("*"))


def test_closing_the_page_deletes_at_once(
    open_page: Open, files: dict[str, Path], uploads: Path
) -> None:
    """In an app that keeps files for long: what goes, goes because the page was closed. Other pages
    lose nothing."""
    before = set(uploads.glob("session-*"))
    first, second = open_page(), open_page()
    for page, name in ((first, "photo.jpg"), (second, "long.png")):
        give(page, files[name])
        verdict(page)
    pages = [kept_of(session) for session in set(uploads.glob("session-*")) - before]
    ours, theirs = (
        kept for name in ("picture.jpg", "picture.png") for kept in pages if name in names(kept)
    )
    for kept in (ours, theirs):
        assert any(name.startswith("causalclip-report") for name in names(kept))
    first.close()
    assert until(lambda: not any(path.exists() for path in ours)), ours
    assert all(path.exists() for path in theirs)


def kept_of(session: Path) -> set[Path]:
    """What is kept for an open page, given its folder: this, the files in it, and the uploads that
    it uses."""
    used = {
        name
        for name, kept in STORE._rows.items()
        if any(folder_of(page) == session.name for page in kept.users)
    }
    uploads = {path for name in used for path in (session.parent / name).rglob("*")}
    return {session, *uploads, *(path for path in session.rglob("*") if path.is_file())}


def names(paths: set[Path]) -> set[str]:
    return {path.name for path in paths}
