"""A real browser, and pictures to give to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

import app
from tests.conftest import CHROMIUM
from tests.makers.detectors import Held, tiny_detector
from tests.makers.pictures import encode, photo
from tests.makers.purifiers import tiny_models

PATIENCE = 60_000  # ms, on a busy machine
ARGUMENTS = ("--no-sandbox", "--disable-gpu")
STORED = "local_storage,indexeddb,cache_storage,service_workers"
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
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS])
    yield chromium
    chromium.close()


@pytest.fixture(scope="session")
def profile(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A browser that keeps what it has fetched and compiled, so that a page opens in two thirds of the time."""
    folder = tmp_path_factory.mktemp("profile")
    context = playwright.chromium.launch_persistent_context(folder, executable_path=CHROMIUM, args=[*ARGUMENTS])
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def visitor(profile: BrowserContext) -> Iterator[BrowserContext]:
    """The same as somebody new: without what pages have stored and were allowed before."""
    tools = profile.new_cdp_session(profile.pages[0])
    yield profile
    for page in profile.pages[1:]:
        scheme, _, rest = page.url.partition("://")
        page.close()
        if scheme == "http":
            origin = f"http://{rest.partition('/')[0]}"
            tools.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": STORED})
    profile.clear_permissions()
    profile.clear_cookies()
    tools.detach()


@pytest.fixture
def open_page(visitor: BrowserContext, browser: Browser, tiny_app: str) -> Iterator[Open]:
    """Opens the app in a window; a second window is another person's. A fault in the page's scripts fails the test."""
    faults: list[str] = []
    others: list[BrowserContext] = []

    def window() -> Page:
        if len(visitor.pages) == 1:
            return visitor.new_page()
        others.append(browser.new_context())
        others[-1].set_default_timeout(PATIENCE)
        return others[-1].new_page()

    def start(address: str = tiny_app, *, width: int = 1440, dark: bool = False) -> Page:
        page = window()
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address)
        expect(page.locator("#status h2")).to_contain_text("No picture yet")
        expect(page.locator("html[data-renames]")).to_be_attached()  # the page's own script is there
        return page

    yield start
    for context in others:
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


class Swapped:
    """A loader of whatever detector the present test has."""

    now: Any = None

    def __call__(self) -> Any:
        return self.now


@pytest.fixture(scope="session")
def spare(uploads: Path) -> Iterator[tuple[Swapped, str]]:
    """An app whose detector can be another one, and its address."""
    swapped = Swapped()
    page = app.build(swapped)
    yield swapped, app.launch(page)
    page.close(verbose=False)


@pytest.fixture
def serve(request: pytest.FixtureRequest, uploads: Path) -> Iterator[Callable[..., str]]:
    """Serves a page over a detector of a test's own. anew: it is built anew, with what the test has set."""
    pages, served = [], []

    def start(detector: Any, *, anew: bool = False) -> str:
        if anew:
            pages.append(app.build(lambda: detector))
            return app.launch(pages[-1])
        assert not served, "the page has one detector a test"
        served.append(detector)
        swapped, address = request.getfixturevalue("spare")
        swapped.now = detector
        return str(address)

    yield start
    for detector in served:
        if isinstance(detector, Held):
            detector.let.set()  # where a test has failed before: the next one uses the same page
    for page in pages:
        page.close(verbose=False)
