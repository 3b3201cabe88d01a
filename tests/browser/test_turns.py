"""Never another picture's answer: what an older run yields does not reach the page."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from purifier import demo as exhibit
from purifier.models import Models
from tests.browser.conftest import Open, open_tab, until
from tests.makers.detectors import BlockedDetector, SlowDetector
from tests.makers.keeping import until as ends
from tests.makers.pictures import encode, photo
from tests.serving import HANGS

WATCH = """() => {
  window.seen = [];
  const note = () => {
    const text = (id) => document.querySelector(id)?.innerText.trim() || "";
    const now = JSON.stringify([text("#status h2"), text("#facts")]);
    if (window.seen.at(-1) !== now) window.seen.push(now);
  };
  new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Pictures that the facts tell apart by their widths."""
    paths = [tmp_path / f"{width}.jpg" for width in (310, 320, 330)]
    for path in paths:
        path.write_bytes(encode(photo(int(path.stem), 240), "JPEG"))
    return paths


def replace(page: Page, file: Path, field: str = "#picture") -> None:
    """Gives a picture in the place of the one that is there."""
    remove = (
        page.locator(field).get_by_role("button", name="Remove Image").or_(page.locator(field).get_by_label("Clear"))
    )
    if remove.first.is_visible():
        remove.first.click()
        expect(remove.first).to_be_hidden()  # a field that goes with the old picture would take the new one along
    page.locator(f"{field} input[type=file]").set_input_files(file)
    expect(remove.first).to_be_visible()  # while the file is on its way, the field would take no other one's place


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
    page.locator("#stability table").wait_for()
    page.wait_for_timeout(1000)
    expect(page.locator("#facts")).to_contain_text("330 × 240")
    seen = " ".join(page.evaluate("window.seen"))
    assert "310 × 240" not in seen
    assert "320 × 240" not in seen


class LateCheck(BlockedDetector):
    """One that answers at once; whether that survives is known only after `let` is set."""

    def predict(self, pixels: Any) -> Any:
        return SlowDetector.predict(self, pixels)

    def judge_all(self, *given: Any, **options: Any) -> Any:
        self.let.wait(300)
        return self._detector.judge_all(*given, **options)


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
    """From the click on, when the server has not heard of it yet; what it still sends of the old one is not shown."""
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


@pytest.mark.full
def test_after_an_upload_that_failed_the_page_is_as_before(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page()
    sent: list[Route] = []
    page.route(re.compile("/gradio_api/upload"), lambda route: sent.append(route))
    page.locator("#picture input[type=file]").set_input_files(files["photo.jpg"])
    expect(page.get_by_role("heading", name="The picture is on its way")).to_be_visible()
    assert until(page, lambda: bool(sent))
    for route in sent:
        route.abort()
    page.locator("#status h2").wait_for()
    expect(page.locator("#status h2")).to_contain_text("No picture yet")
    expect(page.get_by_role("heading", name="The picture is on its way")).to_be_hidden()


def test_a_removed_picture_stays_removed(open_page: Open, serve: Callable[[Any], str], three: list[Path]) -> None:
    detector = BlockedDetector()
    page = open_page(serve(detector))
    replace(page, three[0])
    assert detector.begun.wait(HANGS)
    page.locator("#picture").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#status h2")).to_contain_text("No picture yet")
    page.evaluate(WATCH)
    detector.let.set()
    assert detector.ended.wait(HANGS)
    page.wait_for_timeout(1000)  # in which the answer would come
    assert all("No picture yet" in seen for seen in page.evaluate("window.seen"))
    expect(page.locator("#status h2")).to_contain_text("No picture yet")


@pytest.mark.full
def test_three_batches_in_a_row_and_only_the_last_is_answered(
    open_page: Open, serve: Callable[[Any], str], three: list[Path]
) -> None:
    detector = BlockedDetector()
    page = open_page(serve(detector))
    open_tab(page, "Batch")
    page.evaluate(WATCH.replace("#status h2", "#batch-status").replace("#facts", "#batch-table"))
    for path in three:
        replace(page, path, "#batch-files")
    detector.let.set()
    expect(page.locator("#batch-status")).to_contain_text("Finished: 1 examined")
    page.wait_for_timeout(1000)
    expect(page.locator("#batch-table tbody tr")).to_have_count(1)
    expect(page.locator("#batch-table")).to_contain_text("330.jpg")
    seen = " ".join(page.evaluate("window.seen"))
    assert "1 of 1 have an answer" in seen
    assert not re.findall("3[12]0.jpg", seen)


class SlowPurify:
    """The Purify tab with tiny models. No purification ends before `let` is set, and no attack before `attack` is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, models: Models, address: str) -> None:
        self.address = address
        purify, steps = models.purify, exhibit.attack_steps
        self.begun, self.let, self.attack, self.ended = (threading.Event() for _ in range(4))
        self.widths: list[int] = []
        self.at_work = 0

        def slow(pixels: Any, count: int, *, always: bool) -> Any:
            self.widths.append(pixels.shape[-1])
            self.at_work += 1
            self.begun.set()
            try:
                self.let.wait(300)
                return purify(pixels, count, always=always)
            finally:
                self.at_work -= 1
                self.ended.set()

        def slowly(*given: Any) -> Any:
            try:
                for number, state in enumerate(steps(*given)):
                    yield state
                    if number:
                        self.attack.wait(300)
            finally:
                self.ended.set()

        monkeypatch.setattr(models, "purify", slow)
        monkeypatch.setattr(exhibit, "attack_steps", slowly)


@pytest.fixture
def slow_purify(whole_page: tuple[Models, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowPurify]:
    slowed = SlowPurify(monkeypatch, *whole_page)
    yield slowed
    slowed.let.set()  # where a test has failed before: the next one uses the same page
    slowed.attack.set()
    assert ends(lambda: not slowed.at_work)  # or it would be taken for the next one's


def open_purify(open_page: Open, slowed: SlowPurify) -> Page:
    page = open_page(slowed.address)
    open_tab(page, "Purify")
    return page


def give(page: Page, file: Path) -> None:
    """Gives a picture to Purify, in the place of the one that is there."""
    replace(page, file, "#purify-picture")
    page.locator("#purify-picture img").first.wait_for()


def open_purified(open_page: Open, slowed: SlowPurify, file: Path) -> Page:
    """With a result, in a window that does not hold all of it; purified at once."""
    page = open_purify(open_page, slowed)
    page.set_viewport_size({"width": 1280, "height": 600})
    slowed.let.set()
    give(page, file)
    expect(page.locator("#purify-headline h2")).to_contain_text("Purified")
    slowed.let.clear()
    return page


@pytest.mark.full
@pytest.mark.parametrize("attacked", [False, True])
@pytest.mark.parametrize(("button", "title"), [("Stop", "Stopped"), ("Remove Image", "No picture yet")])
def test_what_is_stopped_or_removed_in_purify_does_not_come_back(
    open_page: Open, slow_purify: SlowPurify, three: list[Path], button: str, title: str, attacked: bool
) -> None:
    page = open_purify(open_page, slow_purify)
    give(page, three[0])
    assert slow_purify.begun.wait(HANGS)
    if attacked:
        page.get_by_role("button", name="Attack, then purify").click()
        slow_purify.let.set()  # what was begun ends, and the attack begins
        expect(page.locator("#purify-status")).to_contain_text(re.compile(r"Step \d+ of 20"))
    page.locator("#purify-picture").get_by_role("button", name=button).or_(
        page.get_by_role("button", name=button, exact=True)
    ).filter(visible=True).first.click()
    expect(page.locator("#purify-status h2")).to_contain_text(title)
    page.evaluate(WATCH.replace("#status", "#purify-status").replace("#facts", "#purify-headline"))
    slow_purify.ended.clear()
    slow_purify.let.set()
    slow_purify.attack.set()
    assert slow_purify.ended.wait(HANGS)
    page.wait_for_timeout(1000)  # in which the result would come
    assert all(title in seen for seen in page.evaluate("window.seen"))
    expect(page.locator("#purify-status h2")).to_contain_text(title)
    expect(page.locator("#purify-results")).to_be_hidden()


@pytest.mark.full
def test_a_picture_is_carried_over_to_purify(open_page: Open, slow_purify: SlowPurify, files: dict[str, Path]) -> None:
    slow_purify.let.set()
    page = open_page(slow_purify.address)
    replace(page, files["photo.jpg"])
    page.locator("#stability table").wait_for()
    page.locator("#open-purify").click()
    expect(page.get_by_role("tab", name="Purify")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#purify-headline h2")).to_contain_text("Purified")
    page.locator("#purify-picture img").first.wait_for()


@pytest.mark.full
def test_a_result_in_purify_stays_until_the_next_one_but_not_beside_another_picture(
    open_page: Open, slow_purify: SlowPurify, three: list[Path]
) -> None:
    page = open_purified(open_page, slow_purify, three[0])
    page.get_by_role("button", name="Purify", exact=True).click()
    page.locator("#purify-slider").scroll_into_view_if_needed()
    expect(page.locator("#purify-status h2")).to_contain_text(re.compile("Working|Purifying"))
    expect(page.locator("#purify-status h2")).to_be_in_viewport()
    page.locator("#purify-results").wait_for()
    slow_purify.let.set()
    expect(page.locator("#purify-status")).to_be_hidden()  # there is the new one
    expect(page.locator("#purify-headline h2")).to_contain_text("Purified")
    slow_purify.let.clear()
    page.get_by_role("button", name="Purify", exact=True).click()
    expect(page.locator("#purify-status h2")).to_contain_text(re.compile("Working|Purifying"))
    give(page, three[1])
    expect(page.locator("#purify-results")).to_be_hidden()
    slow_purify.let.set()
    page.locator("#purify-results").wait_for()
    purified = page.locator("#purify-purified img").first
    assert purified.evaluate("async (i) => { await i.decode(); return i.naturalWidth; }") == 320
