"""Never another picture's answer: what an older run yields does not reach the page."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import app
from tests.browser.conftest import Open, open_tab
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from tests.makers.purifiers import tiny_models

WATCH = """() => {
  window.seen = [];
  const note = () => {
    const text = (id) => document.querySelector(id)?.innerText.trim() || "";
    const now = JSON.stringify([text("#status h2"), text("#facts")]);
    if (window.seen.at(-1) !== now) window.seen.push(now);
  };
  new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


class Slowed:
    """A detector whose every verdict takes `seconds`; notes the size of what it is given."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.asked, self._detector = seconds, [], tiny_detector()
        self.begun = threading.Event()

    def predict(self, pixels: Any) -> Any:
        self.asked.append(pixels.shape[:2])
        self.begun.set()
        time.sleep(self.seconds)
        return self._detector.predict(pixels)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._detector, name)


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Pictures that the facts tell apart by their widths."""
    paths = [tmp_path / f"{width}.jpg" for width in (310, 320, 330)]
    for path in paths:
        path.write_bytes(encode(photo(int(path.stem), 240), "JPEG"))
    return paths


def replace(page: Page, file: Path) -> None:
    """Gives a picture in the place of the one that is there."""
    remove = page.locator("#picture").get_by_role("button", name="Remove Image")
    if remove.is_visible():
        remove.click()
    page.locator("#picture input[type=file]").set_input_files(file)


def test_three_pictures_in_a_row_and_only_the_last_is_answered(
    open_page: Open, serve: Callable[[Any], str], three: list[Path]
) -> None:
    detector = Slowed(1.5)
    page = open_page(serve(detector))
    page.evaluate(WATCH)
    for path in three:
        replace(page, path)
        page.wait_for_timeout(300)
    expect(page.locator("#status h2")).to_contain_text("Looking at the picture")
    expect(page.locator("#facts")).to_contain_text("330 × 240")
    expect(page.locator("#stability table")).to_be_visible()
    page.wait_for_timeout(1000)
    expect(page.locator("#facts")).to_contain_text("330 × 240")
    seen = " ".join(page.evaluate("window.seen"))
    assert "310 × 240" not in seen
    assert "320 × 240" not in seen


def test_a_removed_picture_stays_removed(open_page: Open, serve: Callable[[Any], str], three: list[Path]) -> None:
    detector = Slowed(1)
    page = open_page(serve(detector))
    replace(page, three[0])
    assert detector.begun.wait(30)
    page.locator("#picture").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#status h2")).to_contain_text("No picture yet")
    page.evaluate(WATCH)
    page.wait_for_timeout(2500)
    assert all("No picture yet" in seen for seen in page.evaluate("window.seen"))
    expect(page.locator("#status h2")).to_contain_text("No picture yet")


def test_a_picture_is_carried_over_to_explore(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page()
    replace(page, files["photo.jpg"])
    expect(page.locator("#stability table")).to_be_visible()
    page.locator("#open-explore").click()
    expect(page.get_by_role("tab", name="Explore")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#explore-a-channels table")).to_be_visible()
    expect(page.locator("#explore-a img").first).to_be_visible()


def test_two_pictures_in_an_explore_pane_and_only_the_last_is_answered(
    open_page: Open, serve: Callable[[Any], str], three: list[Path]
) -> None:
    page = open_page(serve(Slowed(1)))
    open_tab(page, "Explore")
    field = page.locator("#explore-a")
    field.locator("input[type=file]").set_input_files(three[0])
    field.get_by_role("button", name="Remove Image").click()
    page.evaluate(WATCH.replace("#facts", "#explore-a-answer"))
    field.locator("input[type=file]").set_input_files(three[1])
    page.wait_for_timeout(300)
    field.get_by_role("button", name="Remove Image").click()
    expect(page.locator("#explore-a-answer p, #explore-a-answer h3")).to_have_count(0)
    page.wait_for_timeout(2500)
    expect(page.locator("#explore-a-map")).to_be_hidden()


@pytest.mark.parametrize(("button", "title"), [("Stop", "Stopped"), ("Remove Image", "No picture yet")])
def test_what_is_stopped_or_removed_in_purify_does_not_come_back(
    open_page: Open, uploads: Path, three: list[Path], monkeypatch: pytest.MonkeyPatch, button: str, title: str
) -> None:
    models = tiny_models()
    purify, begun = models.purify, threading.Event()

    def slow(*given: Any) -> Any:
        begun.set()
        time.sleep(1.5)
        return purify(*given)

    monkeypatch.setattr(models, "purify", slow)
    detector = tiny_detector()
    served = app.build(lambda: detector, models=models)
    page = open_page(app.launch(served))
    open_tab(page, "Purify")
    page.locator("#purify-picture input[type=file]").set_input_files(three[0])
    expect(page.locator("#purify-picture img").first).to_be_visible()
    page.get_by_role("button", name="Purify", exact=True).click()
    assert begun.wait(60)
    page.locator("#purify-stop, #purify-picture").get_by_role("button", name=button).or_(
        page.get_by_role("button", name=button, exact=True)
    ).filter(visible=True).first.click()
    expect(page.locator("#purify-status h2")).to_contain_text(title)
    page.evaluate(WATCH.replace("#status", "#purify-status").replace("#facts", "#purify-purified-said"))
    page.wait_for_timeout(2500)
    assert all(title in seen for seen in page.evaluate("window.seen"))
    expect(page.locator("#purify-status h2")).to_contain_text(title)
    expect(page.locator("#purify-results")).to_be_hidden()
    served.close(verbose=False)
