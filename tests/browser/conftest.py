"""A real browser, and pictures to give to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

import app
from tests.conftest import CHROMIUM
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from tests.makers.purifiers import tiny_models

PATIENCE = 60_000  # ms, on a busy machine
expect.set_options(timeout=PATIENCE)

Open = Callable[..., Page]


def open_tab(page: Page, name: str) -> None:
    """Opens a tab by its name; on a phone it may stand in the menu of those that do not fit."""
    tab, menu = page.get_by_role("tab", name=name), page.locator(".overflow-menu > button").first
    expect(tab.or_(menu).filter(visible=True).first).to_be_visible()
    page.wait_for_timeout(300)  # the tabs are measured and moved into the menu after they are first shown
    if not tab.is_visible():
        menu.click()
        tab = page.locator(".overflow-dropdown").get_by_text(name)
    tab.click()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
    yield chromium
    chromium.close()


@pytest.fixture
def open_page(browser: Browser, tiny_app: str) -> Iterator[Open]:
    """Opens the app in a window of its own; a fault in the page's scripts fails the test."""
    faults: list[str] = []
    contexts = []

    def start(address: str = tiny_app, *, width: int = 1440, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address)
        expect(page.locator("#status h2")).to_contain_text("No picture yet")
        expect(page.locator("html[data-renames]")).to_be_attached()  # the page's own script is there
        return page

    yield start
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture(scope="session")
def whole_app(uploads: Path) -> Iterator[str]:
    """With the Purify tab, too; every model small and random."""
    detector = tiny_detector()
    page = app.build(lambda: detector, models=tiny_models())
    yield app.launch(page)
    page.close(verbose=False)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pictures by kind: whole ones of two sizes, and one that is cut short."""
    folder = tmp_path_factory.mktemp("pictures")
    pictures = {
        "photo.jpg": encode(photo(640, 480), "JPEG"),
        "phone.heic": encode(photo(320, 240), "HEIC"),
        "broken.jpg": encode(photo(640, 480), "JPEG")[:2000],
        "long.png": encode(photo(1200, 100), "PNG"),
    }
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in pictures}


@pytest.fixture
def serve(uploads: Path) -> Iterator[Callable[[Any], str]]:
    """Serves a page over a detector of a test's own, and takes it down afterwards."""
    pages = []

    def start(detector: Any) -> str:
        pages.append(app.build(lambda: detector))
        return app.launch(pages[-1])

    yield start
    for page in pages:
        page.close(verbose=False)
