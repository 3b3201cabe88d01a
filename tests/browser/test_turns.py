"""Never another picture's answer: what an older run yields does not reach the page."""

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import LateCheck, Open, open_tab, until
from tests.makers.detectors import BlockedDetector
from tests.makers.pictures import encode, photo
from tests.serving import HANGS

WATCH = """() => {
  window.seen = [];
  const note = () => {
    const text = (id) => document.querySelector(id)?.textContent.trim() || "";
    const now = JSON.stringify([text("#status h2"), text("#facts")]);
    if (window.seen.at(-1) !== now) window.seen.push(now);
  };
  new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""  # noqa: E501


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Pictures that the facts tell apart by their widths."""
    paths = [tmp_path / f"{width}.jpg" for width in (310, 320, 330)]
    for path in paths:
        path.write_bytes(encode(photo(int(path.stem), 240), "JPEG"))
    return paths


def replace(page: Page, file: Path, field: str = "#picture") -> None:
    """Gives a picture in the place of the one that is there."""
    place = page.locator(field)
    remove = place.get_by_role("button", name="Remove Image").or_(place.get_by_label("Clear")).first
    if remove.is_visible():
        remove.click()
        # a field that goes with the old picture would take the new one along
        expect(remove).to_be_hidden()
    page.locator(f"{field} input[type=file]").set_input_files(file)
    # while the file is on its way, the field would take no other one's place
    expect(remove).to_be_visible()


def test_three_pictures_in_a_row_and_only_the_last_is_answered(
    open_page: Open, serve: Callable[[Any], str], three: list[Path]
) -> None:
    detector = BlockedDetector()
    page = open_page(serve(detector))
    page.evaluate(WATCH)
    for path in three:
        replace(page, path)
    expect(page.locator("#status h2")).to_contain_text("Looking at the picture")
    detector.let.set()
    expect(page.locator("#facts")).to_contain_text("330 × 240")
    page.locator("#status .cc-final").wait_for()
    page.wait_for_timeout(1000)
    expect(page.locator("#facts")).to_contain_text("330 × 240")
    seen = " ".join(page.evaluate("window.seen"))
    assert "310 × 240" not in seen
    assert "320 × 240" not in seen


class SlowLine:
    """Holds back what a page sends to the server until `go`."""

    def __init__(self, page: Page) -> None:
        self.held: list[Route] = []
        self._page, self._slow = page, True
        page.route(re.compile("/gradio_api/"), self._hold)

    def _hold(self, route: Route) -> None:
        if self._slow and route.request.method == "POST":
            self.held.append(route)
        else:
            route.continue_()

    def go(self) -> None:
        assert until(self._page, lambda: bool(self.held))
        self._slow = False
        for route in self.held:
            route.continue_()


def test_no_old_answer_stands_beside_a_new_picture_while_the_line_is_slow(
    open_page: Open, serve: Callable[[Any], str], three: list[Path]
) -> None:
    """From the click on, when the server has not heard of it yet; what it still sends of the old
    one is not shown."""
    detector = LateCheck()
    page = open_page(serve(detector))
    replace(page, three[0])
    expect(page.locator("#facts")).to_contain_text("310 × 240")
    line = SlowLine(page)
    page.locator("#picture").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#status h2")).to_be_hidden()
    page.locator("#picture input[type=file]").set_input_files(three[1])
    expect(page.get_by_role("heading", name="The picture is on its way")).to_be_visible()
    detector.let.set()
    expect(page.locator("#stability table")).to_be_attached()  # of the old picture
    page.wait_for_timeout(1500)
    for old in ("#status h2", "#facts dl", "#stability table"):
        expect(page.locator(old)).to_be_hidden()
    line.go()
    expect(page.locator("#facts")).to_contain_text("320 × 240")
    page.locator("#status .cc-scale").wait_for()
    expect(page.get_by_role("heading", name="The picture is on its way")).to_be_hidden()


def test_a_file_that_does_not_arrive_is_not_on_its_way_for_good(
    open_page: Open, tiny_app: str, three: list[Path]
) -> None:
    page, held = open_page(tiny_app), list[Route]()
    page.route(re.compile("/gradio_api/upload"), lambda route: held.append(route))
    page.locator("#picture input[type=file]").set_input_files(three[0])
    coming = page.get_by_role("heading", name="The picture is on its way")
    expect(coming).to_be_visible()
    assert until(page, lambda: bool(held))
    held[0].abort()
    expect(coming).to_have_count(0)
    expect(page.locator("#status")).to_be_visible()


def test_a_removed_picture_stays_removed(
    open_page: Open, serve: Callable[[Any], str], three: list[Path]
) -> None:
    detector = BlockedDetector()
    page = open_page(serve(detector))
    replace(page, three[0])
    assert detector.begun.wait(HANGS)
    page.locator("#picture").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#status h2")).to_contain_text("Try one of these")
    page.evaluate(WATCH)
    detector.let.set()
    assert detector.ended.wait(HANGS)
    page.wait_for_timeout(1000)  # in which the answer would come
    assert all("Try one of these" in seen for seen in page.evaluate("window.seen"))
    expect(page.locator("#status h2")).to_contain_text("Try one of these")


@pytest.mark.parametrize(
    ("button", "title"), [("Stop", "Stopped"), ("Remove Image", "Fool a model")]
)
def test_what_is_stopped_or_removed_in_purify_does_not_come_back(
    open_page: Open,
    whole_page: tuple[Any, Any, str],
    three: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    button: str,
    title: str,
) -> None:
    (_, models, address), (begun, let, ended) = whole_page, (threading.Event() for _ in range(3))
    purify = models.purify_in_parts

    def slow(*given: Any, **options: Any) -> Any:
        begun.set()
        try:
            let.wait(300)
            yield from purify(*given, **options)
        finally:
            ended.set()

    monkeypatch.setattr(models, "purify_in_parts", slow)
    page = open_page(address)
    open_tab(page, "Purify")
    replace(page, three[0], "#purify-picture")
    assert begun.wait(HANGS)
    page.get_by_role("button", name=button, exact=True).filter(visible=True).first.click()
    expect(page.locator("#purify-status h2")).to_contain_text(title)
    page.evaluate(WATCH.replace("#status", "#purify-status").replace("#facts", "#purify-headline"))
    let.set()
    assert ended.wait(HANGS)
    page.wait_for_timeout(1000)  # in which the result would come
    assert all(title in seen for seen in page.evaluate("window.seen"))
    expect(page.locator("#purify-status h2")).to_contain_text(title)
    expect(page.locator("#purify-results")).to_be_hidden()
