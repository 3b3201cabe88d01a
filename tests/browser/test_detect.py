"""The Detect tab as a person meets it: from a picture to its verdict and maps, by mouse and by keyboard."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FileChooser, Page, expect

import app
from causalclip.examine.examination import conclude
from causalclip.report.card import UNCHECKED
from tests.browser.conftest import Open
from tests.makers.detectors import inconclusive_detector
from ui.detect import tab

Serve = Callable[[Any], str]
VERDICTS = ("Likely generated", "Inconclusive", "Likely not generated")


def give(page: Page, file: Path) -> None:
    page.locator("#picture input[type=file]").set_input_files(file)


def verdict(page: Page) -> str:
    """Waits for the answer and its maps; returns the card's title without its icon."""
    expect(page.locator("#status .cc-scale")).to_be_visible()
    expect(page.locator("#causal-map img")).to_be_visible()
    return page.locator("#status h2").inner_text().strip("\N{BLACK UP-POINTING TRIANGLE}▼◆ \n")


def drawn(page: Page, name: str) -> bool:
    """Whether the picture has arrived and has pixels."""
    image = page.locator(f"#{name} img").first
    return bool(image.evaluate("async (i) => { await i.decode(); return i.naturalWidth > 300; }"))


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


def test_from_a_picture_to_verdict_and_maps(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page()
    give(page, files["photo.jpg"])
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
    assert "Causal map over the picture" in page.locator("#causal-map img").first.get_attribute("alt")
    assert page.locator("#causal-map img").first.get_attribute("src").endswith(".png")
    facts = page.locator("#facts")
    expect(facts).to_contain_text("640 × 480 pixels, JPEG")
    expect(facts).to_contain_text("tiny, revision test")


def test_details_open_on_demand(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page()
    give(page, files["photo.jpg"])
    verdict(page)
    page.get_by_role("button", name="The map in words and numbers").click()
    table = page.locator("#regions table")
    expect(table).to_be_visible()
    numbers = [float(t.replace("\N{MINUS SIGN}", "-")) for t in table.locator("td:last-child").all_inner_texts()]
    assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=0.05)  # rounded


def test_opacity_redraws_the_maps(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page()
    give(page, files["photo.jpg"])
    verdict(page)
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


def test_a_heic_is_judged_and_shown(open_page: Open, files: dict[str, Path]) -> None:
    """Browsers do not show HEIC: what was decoded stands in the field instead."""
    page = open_page()
    give(page, files["phone.heic"])
    assert verdict(page) in VERDICTS
    expect(page.locator("#facts")).to_contain_text("HEIC")
    assert page.locator("#picture img").evaluate("async (i) => { await i.decode(); return i.naturalWidth; }") == 320


def test_file_names_stay_in_the_browser(open_page: Open, files: dict[str, Path], uploads: Path, tmp_path: Path) -> None:
    named = tmp_path / "my-source-in-the-ministry.jpg"
    named.write_bytes(files["photo.jpg"].read_bytes())
    page = open_page()
    give(page, named)
    verdict(page)
    assert not list(uploads.rglob("*ministry*")), list(uploads.rglob("*ministry*"))
    assert "ministry" not in page.content()


def test_an_example_is_judged(open_page: Open) -> None:
    page = open_page()
    examples = page.locator("#examples button")
    assert examples.count() >= 6
    examples.last.click()
    assert verdict(page) in VERDICTS
    expect(page.locator("#facts")).to_contain_text("512 × 512 pixels, PNG")


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
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText.includes('The map in words')"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("#regions table")).to_be_visible()


def test_the_file_chooser_opens_by_keyboard(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page()
    chosen: list[FileChooser] = []
    page.on("filechooser", lambda chooser: chosen.append(chooser))
    for _ in range(12):  # rounds: nothing on the page shows when the field begins to listen
        page.locator("#picture button").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_timeout(2000)
        if chosen:
            break
    assert chosen, "Enter on the field opens no file chooser"
    chosen[0].set_files(files["photo.jpg"])
    assert verdict(page) in VERDICTS


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_accessible_and_within_the_window(open_page: Open, files: dict[str, Path], width: int, dark: bool) -> None:
    page = open_page(width=width, dark=dark)
    assert overflow(page) <= 0
    give(page, files["long.png"])
    verdict(page)
    page.get_by_role("button", name="The map in words and numbers").click()
    page.get_by_label("More of the map").check()
    expect(page.locator("#non-causal-map img").first).to_be_visible()
    assert overflow(page) <= 0
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(c) for c in background[4:-1].split(",")[:3]) < 200) == dark
    found = Axe().run(page).response["violations"]
    serious = [
        (v["id"], [n["html"][:200] for n in v["nodes"]]) for v in found if v["impact"] in ("serious", "critical")
    ]
    assert not serious


def test_on_a_phone_the_verdict_is_on_the_first_screen(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page(width=390)
    page.set_viewport_size({"width": 390, "height": 844})
    for name in ("Detect", "Batch", "Explore", "How good is it?"):
        expect(page.get_by_role("tab", name=name).or_(page.locator(".overflow-menu > button")).first).to_be_visible()
    give(page, files["photo.jpg"])
    verdict(page)
    page.evaluate("window.scrollTo(0, 0)")
    box = page.locator("#status .cc-scale").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 844
    folded = page.locator("#picture").bounding_box()
    assert folded is not None
    assert folded["height"] < 120


def test_an_inconclusive_picture_gets_next_steps_and_a_magnifier(
    open_page: Open, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By keyboard, too: the card is written again behind the verdict, and the place in it is kept."""
    go_on = threading.Event()
    monkeypatch.setattr(tab, "conclude", lambda *given, **told: go_on.wait(60) and conclude(*given, **told))
    page = open_page(serve(inconclusive_detector()))
    expect(page.locator("#sample")).to_be_visible()
    page.locator("#examples button").first.click()
    assert verdict(page) == "Inconclusive"
    expect(page.locator("#sample")).to_be_hidden()
    expect(page.locator("#steps li a[target]").first).to_have_attribute("rel", "noopener noreferrer")
    page.locator(".cc-magnify").focus()
    expect(page.locator("#status")).to_contain_text(UNCHECKED)
    expect(page.locator("#checking")).to_contain_text("of 8 copies of the picture are judged. So far: ")
    expect(page.locator("#checking progress")).to_be_visible()
    go_on.set()
    expect(page.locator("#status")).not_to_contain_text(UNCHECKED)
    expect(page.locator("#checking progress")).to_have_count(0)
    expect(page.locator(".cc-magnify")).to_be_focused()
    page.keyboard.press("Enter")
    lens = page.locator("dialog.cc-lens")
    expect(lens.locator("img")).to_be_visible()
    wide = lens.locator("img").evaluate("i => i.width")
    page.keyboard.press("+")
    assert lens.locator("img").evaluate("i => i.width") > 1.4 * wide
    page.keyboard.press("Escape")
    expect(lens).to_have_count(0)


def test_a_picture_comes_from_a_phones_camera(browser: Browser, tiny_app: str, files: dict[str, Path]) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(tiny_app)
    expect(page.locator("html[data-renames]")).to_be_attached()
    camera = page.get_by_role("button", name="Take a picture with the camera")
    with page.expect_file_chooser() as chooser:
        camera.tap()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files(files["photo.jpg"])
    assert verdict(page) in VERDICTS
    expect(camera).to_be_hidden()
    context.close()


def test_a_missing_model_is_said_on_the_page(open_page: Open) -> None:
    from causalclip.clip.weights import WeightsMissing

    def missing() -> Any:
        raise WeightsMissing("There is no detector 'x': it needs a folder.")

    served = app.build(missing, problem=lambda: WeightsMissing("There is no detector 'x': it needs a folder."))
    page = open_page(app.launch(served))
    expect(page.locator("#banner")).to_contain_text("The model's weights are missing")
    served.close(verbose=False)
