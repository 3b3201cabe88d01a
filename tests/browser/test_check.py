"""The Check tab as a person meets it: from a picture to its verdict and maps, by mouse and by
keyboard."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, FileChooser, Page, expect

from tests.browser.conftest import MOMENT, PATIENCE, LateCheck, Open, sizes, until
from tests.causalclip.marks.test_pixels import photograph, starred

Serve = Callable[[Any], str]
VERDICTS = ("Likely generated", "Inconclusive", "Likely not generated")
# words that are seen at most, with all folds closed: without a picture, and of a judged one
BEFORE, AFTER = 90, 250
COUNT = """() => {
  const unseen = ".cc-hidden, .visually-hidden, .sr-only, script, style, option:not(:checked)";
  const seen = (node) => {
    const parent = node.parentElement, range = document.createRange();
    const drawn = parent.checkVisibility({ visibilityProperty: true, opacityProperty: true });
    if (!drawn || parent.closest(unseen)) return false;
    range.selectNodeContents(node);
    return parent.matches("option") || [...range.getClientRects()].some((box) => box.width > 1 && box.height > 1);
  };
  const walk = document.createTreeWalker(document.querySelector(".gradio-container"), NodeFilter.SHOW_TEXT), found = [];
  while (walk.nextNode()) if (seen(walk.currentNode)) found.push(walk.currentNode.data);
  return found.join(" ").split(/\\s+/).filter((word) => /[\\p{L}\\p{N}]/u.test(word));
}"""  # noqa: E501


def give(page: Page, file: Path) -> None:
    page.locator("#picture input[type=file]").set_input_files(file)


def verdict(page: Page) -> str:
    """Waits for the answer that counts and its map; returns the card's title without its icon."""
    page.locator("#status .cc-final .cc-scale").wait_for()
    page.locator("#layer .cc-map-layer").wait_for()
    return page.locator("#status h2").inner_text().strip("\N{BLACK UP-POINTING TRIANGLE}▼◆ \n")


def visible_words(page: Page) -> list[str]:
    """All words with a letter or a digit that are drawn on the page, on screen or below it."""
    words: list[str] = page.evaluate(COUNT)
    return words


def overflow(page: Page) -> int:
    """Pixels by which the page, or what a reader must see of it, reaches beyond the window.

    The page alone says too little: what a parent cuts off does not widen it. What scrolls by itself
    may be wide.
    """
    return int(
        page.evaluate("""() => {
          const shown = document.querySelectorAll("#picture, .cc-card, .cc-scale, .cc-facts, "
            + ".cc-table, .cc-shelf, .cc-wide, "
            + "#layer, .cc-legend, .cc-chips, #mask, .cc-small, .label-wrap");
          const seen = [...shown].filter((e) => e.checkVisibility() && !e.parentElement.closest(".cc-wide"));
          const right = seen.map((e) => e.getBoundingClientRect().right);
          const left = seen.map((e) => -e.getBoundingClientRect().left);
          const window = document.documentElement.clientWidth;
          const page = document.documentElement.scrollWidth - window;
          return Math.ceil(Math.max(page, ...right.map((x) => x - window), ...left));
        }""")  # noqa: E501
    )


@pytest.fixture(scope="module")
def judged_page(
    browser: Browser,
    tiny_app: str,
    files: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Page, list[str]]]:
    """The page of `judged`, and the faults in its scripts."""
    named, faults = tmp_path_factory.mktemp("named") / "my-source-in-the-ministry.jpg", list[str]()
    named.write_bytes(files["photo.jpg"].read_bytes())
    context = browser.new_context(
        reduced_motion="reduce", permissions=["clipboard-read", "clipboard-write"]
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(tiny_app)
    page.locator("html[data-renames]").wait_for(state="attached")
    page.locator("#picture input[type=file]").set_input_files(named)
    verdict(page)
    page.locator("#report-html").wait_for()
    yield page, faults
    context.close()


@pytest.fixture
def judged(judged_page: tuple[Page, list[str]]) -> Iterator[Page]:
    """A page with a picture, its answer, check and report, which tests share: they change its size
    and where it is scrolled to, and nothing else."""
    page, faults = judged_page
    page.set_viewport_size({"width": 1440, "height": 900})
    page.evaluate("window.scrollTo(0, 0)")
    yield page
    assert not faults


def test_from_a_picture_to_verdict_and_map(judged: Page) -> None:
    page = judged
    assert verdict(page) in VERDICTS
    text = page.locator("#status .cc-card").inner_text()
    assert "0.30" in text
    assert "0.70" in text
    assert text.index("0.") > len(page.locator("#status h2").inner_text())  # words before numbers
    assert page.locator("#status .cc-dots li").count() == 9  # the picture and its copies
    expect(page.locator("#layer")).to_contain_text("It does not show where")
    expect(page.locator("#layer .cc-layer")).to_have_attribute(
        "aria-label", re.compile("The strongest place is")
    )
    layer, picture = (
        page.locator(where).bounding_box() for where in ("#layer .cc-map-layer", "#picture img")
    )
    assert abs(layer["y"] - picture["y"]) < 1
    assert abs(layer["height"] - picture["height"]) < 1
    # on the picture, not on its field
    assert abs(layer["width"] / layer["height"] - 400 / 300) < 0.02
    facts = page.locator("#facts")
    expect(facts).to_contain_text("400 × 300 pixels, JPEG")
    expect(facts).to_contain_text("tiny, revision test")


def opacity(page: Page, name: str) -> str:
    value: str = page.locator(name).evaluate("(image) => getComputedStyle(image).opacity")
    return value


def test_the_map_is_read_in_the_browser(judged: Page) -> None:
    """Within 50 ms, without the server: a place by mouse and by keyboard, the opacity, and the
    picture without it."""
    page, asked = judged, list[str]()
    page.on("request", lambda request: asked.append(request.url))
    layer, said = page.locator("#layer .cc-layer"), page.locator("#layer .cc-readout")
    box = layer.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    expect(said).to_have_text(re.compile("^top left: "))
    page.mouse.move(5, 5)
    expect(said).to_have_text(re.compile("^Point at"))
    layer.focus()
    page.keyboard.press("ArrowRight")
    expect(said).to_have_text(re.compile("^top centre: "))
    spent = page.evaluate("""() => {
      const layer = document.querySelector("#layer .cc-layer"), box = layer.getBoundingClientRect();
      const at = { bubbles: true, clientX: box.left + 9, clientY: box.bottom - 9 };
      const started = performance.now();
      layer.dispatchEvent(new PointerEvent("pointermove", at));
      layer.getBoundingClientRect();
      return performance.now() - started;
    }""")
    assert spent < 50
    for value, map_opacity, colour_opacity in (
        ("0", "0", "0"),
        ("25", "0.5", "0"),
        ("100", "1", "1"),
    ):
        page.locator("#layer input[type=range]").fill(value)
        assert opacity(page, ".cc-map-layer") == map_opacity
        assert opacity(page, ".cc-colour-layer") == colour_opacity
    page.locator("#layer input[type=range]").fill("50")
    hold = page.get_by_role("button", name="Hold for the original")
    hold.focus()
    page.keyboard.down(" ")
    expect(page.locator(".cc-map-layer")).to_be_hidden()
    page.keyboard.up(" ")
    expect(page.locator(".cc-map-layer")).to_be_visible()
    assert not asked


@pytest.mark.full
def test_the_page_is_read_at_a_glance(
    open_page: Open, whole_app: str, files: dict[str, Path]
) -> None:
    page = open_page(whole_app)
    assert len(visible_words(page)) <= BEFORE
    give(page, files["photo.jpg"])
    verdict(page)
    page.locator("#report-html").wait_for()
    assert len(visible_words(page)) <= AFTER


@pytest.mark.full
def test_a_broken_file_is_explained_and_nothing_old_stays(
    open_page: Open, files: dict[str, Path]
) -> None:
    page = open_page()
    give(page, files["photo.jpg"])
    verdict(page)
    page.locator("#picture").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#status h2")).to_contain_text("Try one of these")
    expect(page.locator("#layer .cc-map-layer")).to_be_hidden()
    give(page, files["broken.jpg"])
    expect(page.locator("#status h2")).to_contain_text("This file could not be read")
    expect(page.locator("#status")).to_contain_text("cut short or damaged")
    expect(page.locator("#layer .cc-map-layer")).to_be_hidden()
    assert "broken" not in page.locator("#status").inner_text().lower()
    page.set_viewport_size({"width": 390, "height": 844})
    said, field = (page.locator(name).bounding_box() for name in ("#status h2", "#picture"))
    assert said["y"] < field["y"]  # type: ignore[index]
    give(page, files["photo.jpg"])  # and the next one is judged as if nothing had been
    assert verdict(page) in VERDICTS


def test_file_names_stay_in_the_browser(judged: Page, uploads: Path) -> None:
    """Its picture is called my-source-in-the-ministry.jpg."""
    # os.walk passes over a folder that is deleted in the meantime
    names = [name for _, folders, kept in os.walk(uploads) for name in folders + kept]
    assert "picture.jpg" in names
    assert not [name for name in names if "ministry" in name]
    assert "ministry" not in judged.content()


@pytest.mark.full
def test_by_keyboard_alone(open_page: Open, files: dict[str, Path]) -> None:
    """An example is reached by Tab and judged by Enter; the details are opened the same way."""
    page = open_page()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#examples') !== null"):
            break
    focused = page.locator("#examples button:focus")
    expect(focused).to_have_count(1)
    # and it is seen where one is
    assert focused.evaluate("e => getComputedStyle(e).outlineStyle") != "none"
    page.keyboard.press("Enter")
    assert verdict(page) in VERDICTS
    page.locator("#report-html").wait_for()
    # the last time that the page itself moves the focus, and it is seen there, too
    expect(page.locator("#status h2")).to_be_focused()
    assert page.locator("#status h2").evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.panel") == "pixels":
            break
    page.keyboard.press("Enter")
    page.locator("#pixels table").wait_for()
    expect(page.get_by_role("heading", name="Pixels")).to_be_visible()
    expect(page.locator("#chips button:focus")).to_have_attribute("aria-expanded", "true")


@pytest.mark.full
def test_the_file_chooser_opens_by_keyboard(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page()
    chosen: list[FileChooser] = []
    page.on("filechooser", lambda chooser: chosen.append(chooser))
    field = page.locator("#picture button").first
    # rounds: nothing on the page shows when the field begins to listen
    for _ in range(PATIENCE // MOMENT):
        field.press("Enter")
        if until(page, lambda: bool(chosen), MOMENT):
            break
    assert chosen, "Enter on the field opens no file chooser"
    chosen[0].set_files(files["photo.jpg"])
    assert verdict(page) in VERDICTS


@pytest.mark.full
def test_it_stays_within_the_window(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page(width=390)
    for width in sizes(page, (1440, False), (390, False)):
        assert overflow(page) <= 0, width
    give(page, files["long.png"])
    verdict(page)
    page.locator("#chips button[data-panel=copies]").click()
    page.locator("#stability table").wait_for()
    for width in sizes(page, (390, False), (1440, True)):
        assert overflow(page) <= 0, width


def test_on_a_phone_the_verdict_is_on_the_first_screen(judged: Page) -> None:
    page = judged
    page.set_viewport_size({"width": 390, "height": 844})
    for name in ("Check", "Batch", "Mask", "Accuracy"):
        expect(
            page.get_by_role("tab", name=name).or_(page.locator(".overflow-menu > button")).first
        ).to_be_visible()
    page.evaluate("window.scrollTo(0, 0)")
    for part in (
        "#layer .cc-map-layer",
        "#status h2",
        "#status .cc-scale",
        "#chips button >> nth=-1",
    ):
        box = page.locator(part).bounding_box()
        assert box is not None, part
        assert box["y"] + box["height"] < 844, part


@pytest.mark.full
def test_nothing_jumps_when_the_copies_are_judged(
    open_page: Open, serve: Serve, files: dict[str, Path]
) -> None:
    """The answer is outlined until then, its report says so, and what is below it stays there."""
    detector = LateCheck()
    page = open_page(serve(detector))
    give(page, files["photo.jpg"])
    page.locator("#status .cc-provisional .cc-scale").wait_for()
    expect(page.locator("#status h2")).to_contain_text(re.compile("|".join(VERDICTS)))
    expect(page.locator("#report-html")).to_be_visible()
    expect(page.locator("#quote blockquote")).to_contain_text("copies are not checked")
    expect(page.locator("#status")).to_contain_text("Testing copies: 0 of 8")
    places = ("#status .cc-scale", "#chips", "#steps", "#layer")
    before = [page.locator(place).bounding_box() for place in places]
    detector.let.set()
    verdict(page)
    page.locator("#report-html").wait_for()
    for place, was in zip(places, before, strict=True):
        now = page.locator(place).bounding_box()
        assert abs(now["y"] - was["y"]) < 2, place


@pytest.mark.full
def test_an_answer_is_spoken_once_and_has_the_focus(
    open_page: Open, files: dict[str, Path]
) -> None:
    """In a sentence or two, without the title that has the focus; from it, the report is at most
    four stops away."""
    page = open_page()
    page.evaluate("""() => {
      window.said = [];
      new MutationObserver(() => window.said.push(document.querySelector("#spoken").textContent))
        .observe(document.querySelector("#spoken"), { childList: true });
    }""")
    give(page, files["photo.jpg"])
    verdict(page)
    expect(page.locator("#status h2")).to_be_focused()
    title = page.locator("#status h2").inner_text().strip("▲▼◆ \n")
    said = [text for text in page.evaluate("window.said") if text]
    whole = page.locator("#status [data-say]").get_attribute("data-say") or ""
    assert said[-1] in (whole, whole.removeprefix(f"{title}. "))
    assert len(set(said)) == len(said)
    assert max(map(len, said)) < 250
    # who reads to the end of the page does not hear it again
    expect(page.locator("#spoken")).to_be_empty()
    for _ in range(4):
        page.keyboard.press("Tab")
    expect(page.locator("#report-html")).to_be_focused()


@pytest.mark.full
def test_purify_has_the_picture(open_page: Open, whole_app: str, files: dict[str, Path]) -> None:
    page = open_page(whole_app)
    give(page, files["phone.heic"])
    verdict(page)
    with page.expect_request(lambda sent: "decoded.png" in (sent.post_data or "")) as asked:
        page.locator("#open-purify").click()
    # the whole file: of a part of it the server would know no path, and nothing would happen
    _number, sent_picture = asked.value.post_data_json["data"]
    assert sent_picture["path"].endswith("decoded.png")
    assert "__type__" not in sent_picture
    expect(page.get_by_role("tab", name="Purify")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#purify-picture img").first).to_be_visible()


@pytest.mark.full
def test_the_first_step_opens_the_magnifier_at_the_mark(open_page: Open, tmp_path: Path) -> None:
    """And on a phone the bar stays above the mark's own picture."""
    page = open_page()
    Image.fromarray(starred(photograph(), 48, 32)).save(tmp_path / "starred.png")
    give(page, tmp_path / "starred.png")
    verdict(page)
    page.get_by_role("button", name="Magnify it").first.click()
    lens = page.locator(".cc-lens")
    inside = lens.locator("img").evaluate(
        """async (image, [x, y]) => {
      await image.decode();
      await new Promise(requestAnimationFrame);
      const [place, box] = [image.parentElement, image].map((e) => e.getBoundingClientRect());
      const across = box.left + x * box.width, down = box.top + y * box.height;
      return [box.width > 4 * place.width, across > place.left && across < place.right,
        down > place.top && down < place.bottom];
    }""",
        [(1248 - 56) / 1248, (832 - 56) / 832],
    )
    assert inside == [True, True, True]  # enlarged, and the mark's middle in sight
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate("window.scrollTo(0, 0)")
    bar, mark = (
        page.locator(f"#status {name}").bounding_box() for name in (".cc-track", ".cc-mark")
    )
    assert bar["y"] + bar["height"] < 260
    assert mark["y"] > bar["y"]
