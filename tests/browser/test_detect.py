"""The Detect tab as a person meets it: from a picture to its verdict and maps, by mouse and by keyboard."""

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, FileChooser, Page, expect

import app
from tests.browser.conftest import COLOURS, MOMENT, PATIENCE, Open, serious, sizes, themes, until

Serve = Callable[[Any], str]
VERDICTS = ("Likely generated", "Inconclusive", "Likely not generated")


def give(page: Page, file: Path) -> None:
    page.locator("#picture input[type=file]").set_input_files(file)


def verdict(page: Page) -> str:
    """Waits for the answer and its maps; returns the card's title without its icon."""
    page.locator("#status .cc-scale").wait_for()
    page.locator("#causal-map img").wait_for()
    return page.locator("#status h2").inner_text().strip("\N{BLACK UP-POINTING TRIANGLE}▼◆ \n")


def drawn(page: Page, name: str) -> bool:
    """Whether the picture has arrived and has pixels."""
    image = page.locator(f"#{name} img").first
    return bool(image.evaluate("async (i) => { await i.decode(); return i.naturalWidth > 300; }"))


def top(page: Page, where: str) -> float:
    box = page.locator(where).bounding_box()
    assert box is not None, re.sub(r"\s+", " ", page.locator(where).inner_html())[:200]
    return box["y"]


def overflow(page: Page) -> int:
    """Pixels by which the page, or what a reader must see of it, reaches beyond the window.

    The page alone says too little: what a parent cuts off does not widen it. What scrolls by itself may be wide.
    """
    return int(
        page.evaluate("""() => {
          const shown = document.querySelectorAll("#picture, .cc-card, .cc-scale, .cc-facts, "
            + ".cc-table, .cc-shelf, .cc-wide, "
            + "#causal-map, #non-causal-map, #opacity, #mask, .cc-small, .label-wrap");
          const seen = [...shown].filter((e) => e.checkVisibility() && !e.parentElement.closest(".cc-wide"));
          const right = seen.map((e) => e.getBoundingClientRect().right);
          const left = seen.map((e) => -e.getBoundingClientRect().left);
          const window = document.documentElement.clientWidth;
          const page = document.documentElement.scrollWidth - window;
          return Math.ceil(Math.max(page, ...right.map((x) => x - window), ...left));
        }""")
    )


@pytest.fixture(scope="module")
def judged_page(
    browser: Browser, tiny_app: str, files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Page, list[str]]]:
    """The page of `judged`, and the faults in its scripts."""
    named, faults = tmp_path_factory.mktemp("named") / "my-source-in-the-ministry.jpg", list[str]()
    named.write_bytes(files["photo.jpg"].read_bytes())
    context = browser.new_context(reduced_motion="reduce", permissions=["clipboard-read", "clipboard-write"])
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(tiny_app)
    page.locator("html[data-renames]").wait_for(state="attached")
    page.locator("#picture input[type=file]").set_input_files(named)
    page.locator("#causal-map img").wait_for()
    page.locator("#stability table").wait_for()
    page.locator("#report-html").wait_for()
    yield page, faults
    context.close()


@pytest.fixture
def judged(judged_page: tuple[Page, list[str]]) -> Iterator[Page]:
    """A page with a picture, its answer, check and report, which tests share: they change its size and where it is
    scrolled to, and nothing else."""
    page, faults = judged_page
    page.set_viewport_size({"width": 1440, "height": 900})
    page.evaluate("window.scrollTo(0, 0)")
    yield page
    assert not faults


def test_from_a_picture_to_verdict_and_maps(judged: Page) -> None:
    page = judged
    assert verdict(page) in VERDICTS
    card = page.locator("#status .cc-card")
    text = card.inner_text()
    assert "Thresholds" not in text  # they are in words and on the scale
    assert "0.30" in text
    assert "0.70" in text
    assert "can be wrong" in text
    assert text.index("score") > len(page.locator("#status h2").inner_text())  # words before numbers
    assert drawn(page, "causal-map")
    expect(page.locator("#legend")).to_contain_text("towards not generated")
    expect(page.locator("#non-causal-map")).to_be_hidden()  # its orange is taken for "generated"
    expect(page.locator("#causal-map img").first).to_have_attribute("alt", re.compile("Causal map over the picture"))
    expect(page.locator("#causal-map img").first).to_have_attribute("src", re.compile(r"\.png$"))
    facts = page.locator("#facts")
    expect(facts).to_contain_text("400 × 300 pixels, JPEG")
    expect(facts).to_contain_text("tiny, revision test")


@pytest.mark.full
def test_details_open_on_demand_and_opacity_redraws_the_maps(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page()
    give(page, files["photo.jpg"])
    verdict(page)
    page.get_by_role("button", name="The map in words and numbers").click()
    table = page.locator("#regions table")
    expect(table).to_be_visible()
    numbers = [float(t.replace("\N{MINUS SIGN}", "-")) for t in table.locator("td:last-child").all_inner_texts()]
    assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.05)  # rounded
    before = page.locator("#causal-map img").first.get_attribute("src")
    page.get_by_label("More of the map").check()
    assert drawn(page, "non-causal-map")
    slider = page.locator("#opacity input[type=range]")
    slider.focus()
    slider.press("Home")
    slider.dispatch_event("pointerup")
    expect(page.locator("#causal-map img").first).not_to_have_attribute("src", before or "")
    assert drawn(page, "causal-map")


def test_a_broken_file_is_explained_and_nothing_old_stays(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page()
    give(page, files["photo.jpg"])
    verdict(page)
    page.locator("#picture").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#status h2")).to_contain_text("No picture yet")
    expect(page.locator("#causal-map")).to_be_hidden()
    give(page, files["broken.jpg"])
    expect(page.locator("#status h2")).to_contain_text("This file could not be read")
    expect(page.locator("#status")).to_contain_text("cut short or damaged")
    expect(page.locator("#causal-map")).to_be_hidden()
    assert "broken" not in page.locator("#status").inner_text().lower()
    give(page, files["photo.jpg"])  # and the next one is judged as if nothing had been
    assert verdict(page) in VERDICTS


@pytest.mark.full
def test_a_heic_is_judged_and_shown(open_page: Open, files: dict[str, Path]) -> None:
    """Browsers do not show HEIC: what was decoded stands in the field instead."""
    page = open_page()
    give(page, files["phone.heic"])
    assert verdict(page) in VERDICTS
    expect(page.locator("#facts")).to_contain_text("HEIC")
    assert page.locator("#picture img").evaluate("async (i) => { await i.decode(); return i.naturalWidth; }") == 320


def test_file_names_stay_in_the_browser(judged: Page, uploads: Path) -> None:
    """Its picture is called my-source-in-the-ministry.jpg."""
    assert list(uploads.rglob("picture.jpg"))
    assert not list(uploads.rglob("*ministry*")), list(uploads.rglob("*ministry*"))
    assert "ministry" not in judged.content()


def test_by_keyboard_alone(open_page: Open, files: dict[str, Path]) -> None:
    """An example is reached by Tab and judged by Enter; the details are opened the same way."""
    page = open_page()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#examples') !== null"):
            break
    focused = page.locator("#examples button:focus")
    expect(focused).to_have_count(1)
    assert focused.evaluate("e => getComputedStyle(e).outlineStyle") != "none"  # and it is seen where one is
    page.keyboard.press("Enter")
    assert verdict(page) in VERDICTS
    page.locator("#report-html").wait_for()
    expect(page.locator("#status h2")).to_be_focused()  # the last time that the page itself moves the focus
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText.includes('The map in words')"):
            break
    page.keyboard.press("Enter")
    page.locator("#regions table").wait_for()


@pytest.mark.full
def test_the_file_chooser_opens_by_keyboard(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page()
    chosen: list[FileChooser] = []
    page.on("filechooser", lambda chooser: chosen.append(chooser))
    field = page.locator("#picture button").first
    for _ in range(PATIENCE // MOMENT):  # rounds: nothing on the page shows when the field begins to listen
        field.press("Enter")
        if until(page, lambda: bool(chosen), MOMENT):
            break
    assert chosen, "Enter on the field opens no file chooser"
    chosen[0].set_files(files["photo.jpg"])
    assert verdict(page) in VERDICTS


def test_accessible_and_within_the_window(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page(width=390)
    for width in sizes(page, (1440, False), (390, False)):
        assert overflow(page) <= 0, width
    give(page, files["long.png"])
    verdict(page)
    page.get_by_role("button", name="The map in words and numbers").click()
    page.get_by_label("More of the map").check()
    page.locator("#non-causal-map img").first.wait_for()
    for width in sizes(page, (390, False), (1440, True)):
        assert overflow(page) <= 0, width
        for theme, rules in zip(themes(page), ({}, COLOURS), strict=True):
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(int(c) for c in background[4:-1].split(",")[:3]) < 200) == (theme == "dark")
            assert serious(page, **rules) == [], (width, theme)


def test_on_a_phone_the_verdict_is_on_the_first_screen(judged: Page) -> None:
    page = judged
    page.set_viewport_size({"width": 390, "height": 844})
    for name in ("Detect", "Batch", "Explore", "How good is it?"):
        expect(page.get_by_role("tab", name=name).or_(page.locator(".overflow-menu > button")).first).to_be_visible()
    page.evaluate("window.scrollTo(0, 0)")
    box = page.locator("#status .cc-scale").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 844
    folded = page.locator("#picture").bounding_box()
    assert folded is not None
    assert folded["height"] < 120


@pytest.mark.full
def test_picture_and_sentence_are_copied(judged: Page, files: dict[str, Path]) -> None:
    page = judged
    page.locator(".cc-copy-text").click()
    expect(page.locator("#steps .cc-done").last).to_have_text("Copied.")
    sentence = page.evaluate("navigator.clipboard.readText()")
    assert hashlib.sha256(files["photo.jpg"].read_bytes()).hexdigest() in sentence
    page.locator(".cc-copy-picture").click()
    expect(page.locator("#steps .cc-done").first).to_contain_text("Copied. Paste it")
    assert page.evaluate("navigator.clipboard.read().then(([item]) => item.types)") == ["image/png"]


@pytest.mark.full
def test_a_picture_comes_from_a_phones_camera(
    new_context: Callable[..., BrowserContext], tiny_app: str, files: dict[str, Path]
) -> None:
    page = new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True).new_page()
    page.goto(tiny_app)
    page.locator("html[data-renames]").wait_for(state="attached")
    camera = page.get_by_role("button", name="Take a picture with the camera")
    with page.expect_file_chooser() as chooser:
        camera.tap()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files(files["photo.jpg"])
    assert verdict(page) in VERDICTS
    expect(camera).to_be_hidden()


@pytest.mark.full
def test_a_missing_model_is_said_on_the_page(open_page: Open) -> None:
    from causalclip.clip.weights import WeightsMissing

    def missing() -> Any:
        raise WeightsMissing("There is no detector 'x': it needs a folder.")

    served = app.build(missing, problem=lambda: WeightsMissing("There is no detector 'x': it needs a folder."))
    page = open_page(app.launch(served))
    expect(page.locator("#banner")).to_contain_text("The model's weights are missing")
    served.close(verbose=False)
