"""Never another picture's answer: what an older run yields does not reach the page."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

import app
from purifier import exhibit
from tests.browser.conftest import Open, open_tab
from tests.makers.detectors import Held, tiny_detector
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
    detector = Held()
    page = open_page(serve(detector))
    page.evaluate(WATCH)
    for path in three:
        replace(page, path)
    expect(page.locator("#status h2")).to_contain_text("Looking at the picture")
    detector.let.set()
    expect(page.locator("#facts")).to_contain_text("330 × 240")
    expect(page.locator("#stability table")).to_be_visible()
    page.wait_for_timeout(1000)
    expect(page.locator("#facts")).to_contain_text("330 × 240")
    seen = " ".join(page.evaluate("window.seen"))
    assert "310 × 240" not in seen
    assert "320 × 240" not in seen


def test_who_waits_is_told_how_many_are_before(open_page: Open, serve: Callable[[Any], str], three: list[Path]) -> None:
    """By a click on an example while somebody else's picture is looked at."""
    detector = Held()
    address = serve(detector)
    other, page = open_page(address), open_page(address)
    replace(other, three[0])
    assert detector.begun.wait(60)
    page.evaluate(WATCH)
    page.locator("#examples button").first.click()
    expect(page.locator("#status")).to_contain_text("Waiting, 1 before you")
    detector.let.set()
    expect(page.locator("#facts")).to_contain_text("pixels")
    seen = " ".join(page.evaluate("window.seen"))
    assert seen.index("Looking at the picture") < seen.index("Waiting, 1 before you")


def test_no_old_answer_stands_beside_a_new_picture_while_the_line_is_slow(
    open_page: Open, files: dict[str, Path]
) -> None:
    """From the click on: the server has not heard of it yet."""
    page = open_page()
    replace(page, files["photo.jpg"])
    expect(page.locator("#facts")).to_contain_text("640 × 480")
    expect(page.locator("#stability table")).to_be_visible()  # what still comes in of the old picture shows it again
    held: list[Route] = []
    slow = threading.Event()
    slow.set()

    def hold(route: Route) -> None:
        if slow.is_set() and route.request.method == "POST":
            held.append(route)
        else:
            route.continue_()

    page.route(re.compile("/gradio_api/"), hold)
    page.locator("#picture").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#status h2")).to_be_hidden()
    page.locator("#picture input[type=file]").set_input_files(files["long.png"])
    page.wait_for_timeout(1500)
    expect(page.locator("#status h2")).to_be_hidden()
    assert held
    slow.clear()
    for route in held:
        route.continue_()
    expect(page.locator("#status .cc-scale")).to_be_visible()
    expect(page.locator("#facts")).to_contain_text("1,200 × 100")


def test_a_removed_picture_stays_removed(open_page: Open, serve: Callable[[Any], str], three: list[Path]) -> None:
    detector = Held()
    page = open_page(serve(detector))
    replace(page, three[0])
    assert detector.begun.wait(60)
    page.locator("#picture").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#status h2")).to_contain_text("No picture yet")
    page.evaluate(WATCH)
    detector.let.set()
    assert detector.ended.wait(60)
    page.wait_for_timeout(1000)  # in which the answer would come
    assert all("No picture yet" in seen for seen in page.evaluate("window.seen"))
    expect(page.locator("#status h2")).to_contain_text("No picture yet")


def test_three_pictures_in_a_row_in_both_panes_of_explore(
    open_page: Open, serve: Callable[[Any], str], three: list[Path]
) -> None:
    detector = Held()
    page = open_page(serve(detector))
    open_tab(page, "Explore")
    page.evaluate(WATCH.replace("#status h2", "#explore-a-answer").replace("#facts", "#explore-b-answer"))
    for path in three:
        for pane in ("#explore-a", "#explore-b"):
            replace(page, path, pane)
    detector.let.set()
    for pane in ("#explore-a", "#explore-b"):
        expect(page.locator(f"{pane}-answer")).to_contain_text("Score 0.3")
        expect(page.locator(f"{pane}-map img").first).to_be_visible()
    page.wait_for_timeout(1000)
    seen = " ".join(page.evaluate("window.seen"))
    assert "Looking at the picture" in seen
    assert set(re.findall(r"Score (\S+),", seen)) == {"0.30"}


def test_three_batches_in_a_row_and_only_the_last_is_answered(
    open_page: Open, serve: Callable[[Any], str], three: list[Path]
) -> None:
    detector = Held()
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


def test_a_removed_picture_stays_removed_in_explore(
    open_page: Open, serve: Callable[[Any], str], three: list[Path]
) -> None:
    detector = Held()
    page = open_page(serve(detector))
    open_tab(page, "Explore")
    replace(page, three[0], "#explore-a")
    assert detector.begun.wait(60)
    page.locator("#explore-a").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#explore-a-answer h2")).to_contain_text("No picture yet")
    page.evaluate(WATCH.replace("#status h2", "#explore-a-answer h2"))
    detector.let.set()
    assert detector.ended.wait(60)
    page.wait_for_timeout(1000)
    assert all("No picture yet" in seen for seen in page.evaluate("window.seen"))
    expect(page.locator("#explore-a-map")).to_be_hidden()


class SlowPurify:
    """The Purify tab with tiny models that take `seconds` for a purification, and a while for a step of an attack."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        models = tiny_models()
        purify, steps = models.purify, exhibit.attack_steps
        self.begun, self.seconds, self.widths = threading.Event(), seconds, []

        def slow(pixels: Any, count: int, *, always: bool) -> Any:
            self.widths.append(pixels.shape[-1])
            self.begun.set()
            time.sleep(self.seconds)
            return purify(pixels, count, always=always)

        def slowly(*given: Any) -> Any:
            for state in steps(*given):
                time.sleep(0.3)
                yield state

        monkeypatch.setattr(models, "purify", slow)
        monkeypatch.setattr(exhibit, "attack_steps", slowly)
        self.detector = tiny_detector()
        self.page = app.build(lambda: self.detector, models=models)


@pytest.fixture
def slow_purify(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowPurify]:
    slowed = SlowPurify(monkeypatch, 1.5)
    yield slowed
    slowed.page.close(verbose=False)


def open_purify(open_page: Open, slowed: SlowPurify) -> Page:
    page = open_page(app.launch(slowed.page))
    open_tab(page, "Purify")
    return page


def give(page: Page, file: Path) -> None:
    """Gives a picture to Purify, in the place of the one that is there."""
    remove = page.locator("#purify-picture").get_by_role("button", name="Remove Image")
    if remove.is_visible():
        remove.click()
    page.locator("#purify-picture input[type=file]").set_input_files(file)
    expect(page.locator("#purify-picture img").first).to_be_visible()


def open_purified(open_page: Open, slowed: SlowPurify, file: Path) -> Page:
    """With a result, in a window that does not hold all of it; purified at once."""
    page = open_purify(open_page, slowed)
    page.set_viewport_size({"width": 1280, "height": 600})
    slowed.seconds = 0
    give(page, file)
    expect(page.locator("#purify-headline h2")).to_contain_text("Purified")
    return page


@pytest.mark.parametrize("attacked", [False, True])
@pytest.mark.parametrize(("button", "title"), [("Stop", "Stopped"), ("Remove Image", "No picture yet")])
def test_what_is_stopped_or_removed_in_purify_does_not_come_back(
    open_page: Open, slow_purify: SlowPurify, three: list[Path], button: str, title: str, attacked: bool
) -> None:
    page = open_purify(open_page, slow_purify)
    give(page, three[0])
    assert slow_purify.begun.wait(60)
    if attacked:
        page.get_by_role("button", name="Attack, then purify").click()
        expect(page.locator("#purify-status")).to_contain_text(re.compile(r"Step \d+ of 20"))
    page.locator("#purify-picture").get_by_role("button", name=button).or_(
        page.get_by_role("button", name=button, exact=True)
    ).filter(visible=True).first.click()
    expect(page.locator("#purify-status h2")).to_contain_text(title)
    page.evaluate(WATCH.replace("#status", "#purify-status").replace("#facts", "#purify-headline"))
    page.wait_for_timeout(2500)
    assert all(title in seen for seen in page.evaluate("window.seen"))
    expect(page.locator("#purify-status h2")).to_contain_text(title)
    expect(page.locator("#purify-results")).to_be_hidden()


def test_three_pictures_in_a_row_in_purify_and_only_the_last_is_answered(
    open_page: Open, slow_purify: SlowPurify, three: list[Path]
) -> None:
    page = open_purify(open_page, slow_purify)
    page.evaluate(
        """() => { window.widths = []; setInterval(() => document.querySelectorAll("#purify-row img").forEach(
        (image) => { if (image.naturalWidth) window.widths.push(image.naturalWidth); }), 20); }"""
    )
    for path in three:
        give(page, path)
        page.wait_for_timeout(300)
    expect(page.locator("#purify-results")).to_be_visible()
    expect(page.locator("#purify-purified img")).to_be_visible()
    page.wait_for_timeout(2500)
    assert set(page.evaluate("window.widths")) == {330}
    assert slow_purify.widths[-1] == 330


def test_a_picture_is_carried_over_to_purify(open_page: Open, slow_purify: SlowPurify, files: dict[str, Path]) -> None:
    page = open_page(app.launch(slow_purify.page))
    replace(page, files["photo.jpg"])
    expect(page.locator("#stability table")).to_be_visible()
    page.locator("#open-purify").click()
    expect(page.get_by_role("tab", name="Purify")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#purify-headline h2")).to_contain_text("Purified")
    expect(page.locator("#purify-picture img").first).to_be_visible()


def test_a_result_in_purify_stays_until_the_next_one_but_not_beside_another_picture(
    open_page: Open, slow_purify: SlowPurify, three: list[Path]
) -> None:
    page = open_purified(open_page, slow_purify, three[0])
    slow_purify.seconds = 3
    page.get_by_role("button", name="Purify", exact=True).click()
    page.locator("#purify-slider").scroll_into_view_if_needed()
    expect(page.locator("#purify-status h2")).to_contain_text(re.compile("Working|Purifying"))
    expect(page.locator("#purify-status h2")).to_be_in_viewport()
    expect(page.locator("#purify-results")).to_be_visible()
    expect(page.locator("#purify-status")).to_be_hidden()  # there is the new one
    expect(page.locator("#purify-headline h2")).to_contain_text("Purified")
    page.get_by_role("button", name="Purify", exact=True).click()
    expect(page.locator("#purify-status h2")).to_contain_text(re.compile("Working|Purifying"))
    give(page, three[1])
    expect(page.locator("#purify-results")).to_be_hidden()  # from when the server hears of it, for 3 seconds
    expect(page.locator("#purify-results")).to_be_visible()
    purified = page.locator("#purify-purified img").first
    assert purified.evaluate("async (i) => { await i.decode(); return i.naturalWidth; }") == 320


def test_what_is_refused_is_said_in_sight_of_who_scrolled_to_the_settings(
    open_page: Open, slow_purify: SlowPurify, three: list[Path]
) -> None:
    page = open_purified(open_page, slow_purify, three[0])
    page.get_by_role("button", name="The attack").click()
    target = page.get_by_label("To exactly this (optional)")
    target.fill("a zebra")
    page.get_by_label("Question (optional)").fill("what is it?")
    page.get_by_role("button", name="Attack, then purify").click()
    target.scroll_into_view_if_needed()
    page.locator("#purify-settings").scroll_into_view_if_needed()
    expect(page.locator("#purify-status")).to_contain_text("“a zebra” is none of the")
    expect(page.locator("#purify-status h2")).to_be_in_viewport()
