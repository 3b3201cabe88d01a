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
