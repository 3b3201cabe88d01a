"""A real browser, and pictures to give to it."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Playwright,
    TimeoutError,
    expect,
    sync_playwright,
)

from tests.conftest import CHROMIUM
from tests.makers.detectors import BlockedDetector
from tests.makers.pictures import encode, photo
from tests.serving import HANGS
from ui import app

PATIENCE = 1000 * HANGS  # ms
MOMENT = 5_000  # ms after which a click is aimed anew
ARGUMENTS = ("--no-sandbox", "--disable-gpu")
# Not their promises: those of what lies in a closed fold never come.
FADED = (
    "document.getAnimations().every(a => !(a instanceof CSSTransition) || a.playState !== "
    "'running')"
)
AXE = Axe().axe_script
# what a theme changes
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
STORED = "local_storage,indexeddb,cache_storage,service_workers"
expect.set_options(timeout=PATIENCE)

Open = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run a browser test that fails once more, and leave all but Check's to `make test-all`.

    A busy machine can keep a browser from its work. Whatever needed a second run is named as RERUN
    at the end (CONTRIBUTING.md says what to do with it).
    """
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.flaky(reruns=1))
            if item.path.stem != "test_check":
                item.add_marker(pytest.mark.full)


def open_tab(page: Page, name: str) -> None:
    """Opens a tab by its name; on a phone it may stand in the menu of those that do not fit.

    The tabs are measured after they are first shown: one may be moved into the menu while it is
    aimed at.
    """
    tab, menu = page.get_by_role("tab", name=name), page.locator(".overflow-menu > button").first
    inside = page.locator(".overflow-dropdown").get_by_text(name)
    opened = page.get_by_role("tab", name=name, selected=True)
    for _ in range(PATIENCE // MOMENT):
        expect(tab.or_(menu).filter(visible=True).first).to_be_visible()
        with contextlib.suppress(TimeoutError):
            if not tab.is_visible():
                if not inside.is_visible():
                    menu.click(timeout=MOMENT)
                inside.click(timeout=MOMENT)
            else:
                tab.click(timeout=MOMENT)
            opened.wait_for(timeout=MOMENT)
            return
    pytest.fail(f"The tab {name} does not open.")


def until(page: Page, done: Callable[[], bool], patience: float = PATIENCE) -> bool:
    """Waits while the page goes on, at most so many ms; whether it came true."""
    deadline = time.monotonic() + patience / 1000
    while not (come := done()) and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    return come


def sizes(page: Page, *wanted: tuple[int, bool]) -> Iterator[int]:
    """Shows the page at several widths, each in light or dark, as when a window is changed; gives
    the width."""
    for width, dark in wanted:
        page.set_viewport_size({"width": width, "height": 900})
        show_theme(page, dark=dark)
        yield width


def show_theme(page: Page, *, dark: bool) -> None:
    page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
    page.wait_for_function("(dark) => document.body.classList.contains('dark') === dark", arg=dark)
    page.wait_for_function(FADED)  # a colour on its way to another one has no contrast to judge


def broken(page: Page, **options: Any) -> list[tuple[str, str, list[str]]]:
    """Rules that axe finds broken: name, weight, elements. options: of axe, beside those that it
    has without any."""
    page.wait_for_function(FADED)  # a colour on its way to another one has no contrast to judge
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    # What is in order stays in the browser: to hand it over takes a quarter of the time.
    options = {"resultTypes": ["violations"], **options}
    found = page.evaluate(
        "(options) => axe.run(options).then((results) => results.violations)", options
    )
    return [(v["id"], v["impact"], [n["html"][:200] for n in v["nodes"]]) for v in found]


def serious(page: Page, **options: Any) -> list[tuple[str, str, list[str]]]:
    """Of those, what keeps somebody from reading or using the page."""
    return [rule for rule in broken(page, **options) if rule[1] in ("serious", "critical")]


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
def profile(
    playwright: Playwright, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserContext]:
    """A browser that keeps what it has fetched and compiled, so that a page opens in two thirds of
    the time."""
    folder = tmp_path_factory.mktemp("profile")
    context = playwright.chromium.launch_persistent_context(
        folder, executable_path=CHROMIUM, args=[*ARGUMENTS]
    )
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
def new_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Windows of other people, or of other devices: those of `browser.new_context`."""
    contexts: list[BrowserContext] = []

    def start(**options: Any) -> BrowserContext:
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_timeout(PATIENCE)
        return contexts[-1]

    yield start
    for context in contexts:
        context.close()


@pytest.fixture
def open_page(
    visitor: BrowserContext, new_context: Callable[..., BrowserContext], tiny_app: str
) -> Iterator[Open]:
    """Opens the app in a window; a second window is another person's. A fault in the page's scripts
    fails the test."""
    faults: list[str] = []

    def start(address: str = tiny_app, *, width: int = 1440, dark: bool = False) -> Page:
        page = (visitor if len(visitor.pages) == 1 else new_context()).new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address)
        # `expect` would write down all of the page, for an error that it may end in, as often as it
        # looks.
        # the page's own script is there
        page.locator("html[data-renames]").wait_for(state="attached")
        expect(page.locator("#status h2")).to_contain_text("Try one of these")
        return page

    yield start
    assert not faults


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pictures by kind: whole ones of two sizes, and one that is cut short."""
    folder = tmp_path_factory.mktemp("pictures")
    pictures = {
        "photo.jpg": encode(photo(400, 300), "JPEG"),
        "phone.heic": encode(photo(320, 240), "HEIC"),
        "broken.jpg": encode(photo(640, 480), "JPEG")[:2000],
        "long.png": encode(photo(1200, 100), "PNG"),
    }
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in pictures}


@pytest.fixture(scope="session")
def post(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A screenshot of 1080 x 1500 pixels with lines of text, and a photograph of 600 x 400 at (240,
    300)."""
    pixels = np.full((1500, 1080, 3), 255, np.uint8)
    pixels[300:700, 240:840] = skimage.data.coffee()
    pixels[60:70, 60:700] = pixels[800:810, 60:900] = 40
    path = tmp_path_factory.mktemp("post") / "post.png"
    Image.fromarray(pixels).save(path)
    return path


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
    """Serves a page over a detector of a test's own."""
    served: list[Any] = []

    def start(detector: Any) -> str:
        assert not served, "the page has one detector a test"
        served.append(detector)
        swapped, address = request.getfixturevalue("spare")
        swapped.now = detector
        return str(address)

    yield start
    for detector in served:
        if isinstance(detector, BlockedDetector):
            detector.let.set()  # where a test has failed before: the next one uses the same page


class LateCheck(BlockedDetector):
    """One that answers at once; whether that survives is known only after `let` is set."""

    def predict(self, pixels: Any) -> Any:
        return self.judged(pixels)

    def score_batch(self, *given: Any, **options: Any) -> Any:
        self.let.wait(300)
        return self._detector.score_batch(*given, **options)
