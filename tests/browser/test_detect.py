"""The Detect tab as a person meets it: from a picture to its verdict and maps, by mouse and by keyboard."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FileChooser, Page, expect

from tests.browser.conftest import COLOURS, MOMENT, PATIENCE, Open, open_tab, serious, sizes, themes, until

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
    for name in ("Detect", "Batch", "Explore", "Accuracy"):
        expect(page.get_by_role("tab", name=name).or_(page.locator(".overflow-menu > button")).first).to_be_visible()
    page.evaluate("window.scrollTo(0, 0)")
    box = page.locator("#status .cc-scale").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 844
    folded = page.locator("#picture").bounding_box()
    assert folded is not None
    assert folded["height"] < 120


@pytest.mark.full
def test_an_answer_is_spoken_once_and_has_the_focus(open_page: Open, files: dict[str, Path]) -> None:
    """In a sentence or two, without the title that has the focus; from it, the report is at most four stops away."""
    page = open_page()
    page.evaluate("""() => {
      window.said = [];
      new MutationObserver(() => window.said.push(document.querySelector("#spoken").textContent))
        .observe(document.querySelector("#spoken"), { childList: true });
    }""")
    give(page, files["photo.jpg"])
    page.locator("#stability table").wait_for()
    expect(page.locator("#status h2")).to_be_focused()
    title = page.locator("#status h2").inner_text().strip("▲▼◆ \n")
    said = page.evaluate("window.said")
    whole = page.locator("#status [data-say]").get_attribute("data-say") or ""
    assert [text for text in said if text and whole.endswith(text)] == [whole.removeprefix(f"{title}. ")]
    assert max(map(len, said)) < 250
    expect(page.locator("#spoken")).to_be_empty()  # who reads to the end of the page does not hear it again
    page.locator("#facts dl").wait_for()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Download the report").first).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.locator("#report-html")).to_be_focused()


@pytest.mark.full
def test_explore_and_purify_have_the_picture(open_page: Open, whole_app: str, files: dict[str, Path]) -> None:
    page = open_page(whole_app)
    give(page, files["phone.heic"])
    verdict(page)
    found = re.search(r"[Ss]core ([\d.]+)", page.locator("#status .cc-flag").inner_text())
    assert found
    page.locator("#open-explore").click()
    expect(page.locator("#explore-a-answer")).to_contain_text(found[0][1:])
    open_tab(page, "Detect")
    page.locator("#open-purify").click()
    expect(page.get_by_role("tab", name="Purify")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#purify-picture img").first).to_be_visible()
