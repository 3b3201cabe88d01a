"""Batch, Mask, the report and Purify as a person meets them."""

import json
import re
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image
from playwright.sync_api import Page, expect

from causalclip.paths import DEFAULT_HEAD
from tests.browser.conftest import LateCheck, Open, broken, open_tab, serious
from tests.browser.test_check import Serve, give, overflow, verdict
from tests.conftest import Served
from tests.makers.detectors import tiny_detector
from tests.makers.metadata_files import created, exif_block, jpeg_exif, make_authority, sign
from ui import app
from ui.tabs.purify.examples import PREPARED


def test_a_row_opens_and_closes(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page(width=390)
    open_tab(page, "Batch")
    page.locator("#batch-files input[type=file]").set_input_files(
        [files["photo.jpg"], files["broken.jpg"]]
    )
    expect(page.locator("#batch-files")).to_contain_text("broken")
    expect(page.locator("#batch-status")).to_contain_text("1 examined, 1 could not be")
    # no empty field is left of the files: the button that takes them away, and more can be chosen
    assert page.locator("#batch-files").bounding_box()["width"] < 50  # type: ignore[index]
    expect(page.locator("#batch-files").get_by_label("Clear")).to_be_visible()
    expect(page.get_by_role("button", name="Choose pictures").filter(visible=True)).to_have_count(1)
    table, opened = page.locator("#batch-table"), page.locator("#batch-opened")
    row = table.locator("tbody tr", has_text="photo.jpg")
    expect(table.locator("tbody")).to_contain_text("cut short or damaged")
    answer = row.locator(".cc-answer").first.inner_text().split(maxsplit=1)[1]
    page.get_by_role("radio", name="Table").check()
    assert table.locator("tbody tr").first.bounding_box()["height"] < 60  # type: ignore[index]
    reason = table.locator(".cc-problem")
    assert reason.evaluate("(said) => said.closest('.cc-wide').scrollWidth") <= reason.evaluate(
        "(said) => said.closest('.cc-wide').clientWidth"
    )
    expect(page.locator("#batch-start")).to_be_hidden()  # nothing is left to go on with
    chip = page.locator("[data-chip=failed]")
    chip.click()
    expect(table.locator("tbody tr:visible")).to_have_count(1)
    expect(chip).to_have_attribute("aria-pressed", "true")
    chip.click()
    table.get_by_role("button", name="photo.jpg").press("Enter")
    expect(opened.locator("h2").first).to_contain_text("photo.jpg")
    expect(opened.locator(".cc-card h2")).to_contain_text(answer.capitalize())
    opened.locator("figure img").wait_for()
    expect(opened.get_by_role("region", name="Stability")).to_be_visible()
    expect(opened.locator("h2").first).to_be_in_viewport()
    expect(opened.locator("h2").first).to_be_focused()
    assert page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    assert serious(page) == []
    page.keyboard.press("Escape")
    expect(opened).to_be_hidden()
    expect(table.get_by_role("button", name="photo.jpg")).to_be_focused()
    table.get_by_role("button", name="photo.jpg").click()
    opened.get_by_role("button", name="Close").click()
    expect(opened).to_be_hidden()


LONG = "a-photograph-of-a-harbour-that-somebody-took-before-the-storm-2.jpg"


def test_open_rows_follow_each_other_as_the_table_stands(
    open_page: Open, files: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / LONG).write_bytes(files["photo.jpg"].read_bytes())
    page = open_page()
    open_tab(page, "Batch")
    pictures = [files["long.png"], tmp_path / LONG, files["broken.jpg"]]
    page.locator("#batch-files input[type=file]").set_input_files(pictures)
    expect(page.locator("#batch-status")).to_contain_text("2 examined, 1 could not be")
    table, opened = page.locator("#batch-table"), page.locator("#batch-opened")
    page.get_by_role("radio", name="Table").check()
    download_, first = page.locator("#batch-csv"), table.locator("tbody tr").first
    assert download_.bounding_box()["y"] < first.bounding_box()["y"]  # type: ignore[index]
    name = table.locator(".cc-name", has_text="storm-2.jpg")
    head, tail = (name.locator("span").nth(i) for i in range(2))
    assert head.evaluate("(cut) => cut.scrollWidth > cut.clientWidth")  # its middle is cut
    assert tail.evaluate("(end) => end.scrollWidth <= end.clientWidth")
    answer = first.locator("td").first.bounding_box()
    end = tail.bounding_box()
    assert end["x"] + end["width"] <= answer["x"]  # type: ignore[index]
    table.get_by_role("button", name="File", exact=True).click()  # by name
    table.get_by_role("button", name=LONG[:20]).click()
    expect(opened.locator("h2").first).to_contain_text(LONG)
    expect(opened.get_by_role("button", name="Previous")).to_be_disabled()
    opened.get_by_role("button", name="Next").click()
    expect(opened.locator("h2").first).to_contain_text("broken.jpg")
    opened.get_by_role("button", name="Next").click()
    expect(opened.locator("h2").first).to_contain_text("long.png")
    expect(opened.get_by_role("button", name="Next")).to_be_disabled()
    opened.get_by_role("button", name="Previous").click()
    expect(opened.locator("h2").first).to_contain_text("broken.jpg")


def test_the_sheet_and_the_table_are_one_list_that_j_and_k_go_through(
    open_page: Open, files: dict[str, Path]
) -> None:
    page = open_page()
    open_tab(page, "Batch")
    pictures = [files["photo.jpg"], files["phone.heic"], files["broken.jpg"]]
    page.locator("#batch-files input[type=file]").set_input_files(pictures)
    expect(page.locator("#batch-status")).to_contain_text("2 examined, 1 could not be")
    table, opened = page.locator("#batch-table"), page.locator("#batch-opened")
    names = [name.inner_text() for name in table.locator("[data-number] .cc-name").all()]
    first, second = (row.bounding_box() for row in table.locator("tbody tr").all()[:2])
    assert first["y"] == second["y"]  # type: ignore[index]
    assert broken(page) == []
    for view in ("Contact sheet", "Table"):
        page.get_by_role("radio", name=view).check()
        page.keyboard.press("j")  # from the switch: nothing is written there
        expect(opened.locator("h2").first).to_contain_text(names[0])
        page.keyboard.press("j")
        expect(opened.locator("h2").first).to_contain_text(names[1])
        page.keyboard.press("k")
        expect(opened.locator("h2").first).to_contain_text(names[0])
        page.keyboard.press("Escape")
        expect(opened).to_be_hidden()
        page.evaluate("document.querySelector('[data-opened]').removeAttribute('data-opened')")
    expect(table.locator("thead")).to_be_visible()
    page.evaluate("document.body.append(document.createElement('textarea'))")
    page.locator("textarea").last.press("j")
    expect(opened).to_be_hidden()


@pytest.mark.parametrize("way", ["the row's button", "the open row"])
def test_the_photograph_in_a_rows_screenshot_is_judged_in_check(
    open_page: Open, files: dict[str, Path], post: Path, tmp_path: Path, way: str
) -> None:
    with zipfile.ZipFile(tmp_path / "desk.zip", "w") as archive:
        archive.write(files["photo.jpg"], "photo.jpg")
        archive.write(post, "post.png")
    page = open_page()
    open_tab(page, "Batch")
    page.locator("#batch-files input[type=file]").set_input_files(tmp_path / "desk.zip")
    expect(page.locator("#batch-status")).to_contain_text("2 examined")
    table, opened = page.locator("#batch-table"), page.locator("#batch-opened")
    expect(table.locator(".cc-photo")).to_have_count(1)
    if way == "the open row":
        table.get_by_role("button", name="post.png").click()
        opened.get_by_role("button", name="Judge this photo").click()
    else:
        table.locator("tr", has_text="post.png").locator(".cc-photo").click()
    expect(page.get_by_role("tab", name="Check", selected=True)).to_be_visible()
    inside, facts = page.locator("#inside"), page.locator("#facts")
    expect(inside).to_contain_text("Part of your picture, 600 × 400 pixels")
    verdict(page)
    expect(facts).to_contain_text(sha256(post.read_bytes()).hexdigest())
    inside.get_by_role("button", name="Back to the whole").click()
    expect(facts).to_contain_text("1,080 × 1,500 pixels")
    open_tab(page, "Batch")  # as it was left
    expect(table.locator("tbody tr")).to_have_count(2)
    expect(opened).to_be_visible(visible=way == "the open row")


def test_a_batch_that_works_says_how_many_rows_its_downloads_have(
    open_page: Open, serve: Serve, files: dict[str, Path]
) -> None:
    detector = LateCheck()
    page = open_page(serve(detector))
    open_tab(page, "Batch")
    pictures = [files["broken.jpg"], files["photo.jpg"], files["phone.heic"]]
    page.locator("#batch-files input[type=file]").set_input_files(pictures)
    ready, all_reports = page.locator("#batch-ready"), page.locator("#batch-zip")
    expect(ready).to_have_text("1 of 3 ready")  # a file that cannot be read is done at once
    expect(all_reports).to_be_disabled()
    with page.expect_download() as table:
        page.locator("#batch-csv").click()
    assert table.value.suggested_filename == "causalclip-batch-1-of-3.csv"
    detector.let.set()
    expect(page.locator("#batch-status")).to_contain_text("2 examined, 1 could not be")
    expect(ready).to_be_hidden()
    expect(all_reports).to_be_enabled()
    with page.expect_download() as reports:
        all_reports.click()
    assert reports.value.suggested_filename == "causalclip-reports.zip"
    with zipfile.ZipFile(reports.value.path()) as archive:
        assert sum(name.endswith(".html") for name in archive.namelist()) == 1 + 2


def test_your_pictures_begins_with_one_choice_and_ends_with_a_sentence_that_fits_it(
    open_page: Open, files: dict[str, Path]
) -> None:
    page = open_page()
    open_tab(page, "Your pictures")
    aim, chooser = page.locator("#reference-aim"), page.locator("#reference-chooser")
    generated, bound = (
        chooser.locator("fieldset[data-kind=generated]"),
        page.locator("#reference-promise"),
    )
    expect(aim.get_by_role("radio", name="Only real ones")).to_be_checked()
    expect(generated).to_be_hidden()
    with page.expect_file_chooser() as chosen:
        chooser.locator("fieldset[data-kind=real]").get_by_text("Choose pictures").click()
    chosen.value.set_files([files["photo.jpg"], files["long.png"]])
    result = page.locator("#reference-result")
    expect(result).to_contain_text("Photographs that were judged: 2.")
    expect(result).to_contain_text("59 are needed")
    expect(bound).to_be_visible()
    assert broken(page) == []
    aim.get_by_role("radio", name="Real and generated ones").check()
    expect(result).to_contain_text("10 real and 10 generated")
    expect(result).not_to_contain_text("59 are needed")
    expect(generated).to_be_visible()
    expect(bound).to_be_hidden()
    assert broken(page) == []


class Both:
    """A loader of a detector with either head."""

    heads = "linear", DEFAULT_HEAD

    def __init__(self) -> None:
        self._made = {"linear": tiny_detector(hidden=0), "causal": tiny_detector()}

    def __call__(self, head: str = DEFAULT_HEAD) -> object:
        return self._made[head]


@pytest.fixture(scope="module")
def both(uploads: Path) -> Iterator[str]:
    """The address of an app with both heads."""
    page = app.build(Both())
    yield app.launch(page)
    page.close(verbose=False)


def test_a_head_that_is_chosen_judges_and_the_mask_stays_the_causal_one(
    open_page: Open, both: str, files: dict[str, Path]
) -> None:
    page = open_page(both)
    page.locator("#picture input[type=file]").first.set_input_files(files["photo.jpg"])
    page.locator("#status .cc-final").wait_for()
    expect(page.locator("#facts")).to_contain_text("causal head")
    page.locator("#chips button").nth(1).click()
    head = page.locator("#check-head").get_by_label("linear head")
    head.check()
    expect(page.locator("#facts")).to_contain_text("linear head")
    page.locator("#status .cc-final").wait_for()
    # as it was left
    expect(page.locator("#chips button").nth(1)).to_have_attribute("aria-expanded", "true")
    expect(head).to_be_visible()
    expect(head).to_be_focused()
    page.locator("#open-mask").click()
    # the mask is always that of the head which has one for each picture
    expect(page.locator("#mask-answer")).to_contain_text("(causal head)")


def test_a_part_stays_a_part_of_the_file_that_was_given(
    open_page: Open, both: str, post: Path, tmp_path: Path
) -> None:
    """Nobody has the cut-out's file: another head and Compare quote the whole's."""
    given = sha256(post.read_bytes()).hexdigest()
    page = open_page(both)
    give(page, post)
    inside, facts = page.locator("#inside"), page.locator("#facts")
    inside.get_by_role("button", name="Judge this photo").click()
    expect(inside).to_contain_text("Part of your picture, 600 × 400 pixels")
    page.locator("#status .cc-final").wait_for()
    page.locator("#chips button").nth(1).click()
    page.locator("#check-head").get_by_label("linear head").check()
    expect(facts).to_contain_text("linear head")
    expect(facts).to_contain_text("600 × 400 pixels")
    expect(facts).to_contain_text(given)
    expect(page.locator("#provenance")).to_contain_text("from (240, 300) to (840, 700)")
    page.locator("#status .cc-final").wait_for()
    assert json.loads(download(page, "#report-json"))["sha256"] == given

    page.locator("#open-compare").click()
    Image.fromarray(skimage.data.coffee()).save(tmp_path / "coffee.png")
    page.locator("#compare-b input[type=file]").set_input_files(tmp_path / "coffee.png")
    expect(page.locator("#compare-answer h2")).to_contain_text("Same picture")
    expect(page.locator("#compare-details")).to_contain_text("from (240, 300) to (840, 700)")
    assert f"600 x 400 px, PNG, SHA-256 {given}" in download(page, "#compare-report")

    open_tab(page, "Check")
    inside.get_by_role("button", name="Back to the whole").click()
    expect(facts).to_contain_text("1,080 × 1,500 pixels")
    expect(facts).to_contain_text("linear head")
    expect(inside.get_by_role("button", name="Judge this photo")).to_be_visible()


def test_a_picture_is_compared_with_an_example(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page()
    open_tab(page, "Mask")
    page.locator("#mask-picture input[type=file]").first.set_input_files(files["photo.jpg"])
    page.locator("#mask-tiles img").first.wait_for()
    page.locator("#mask-research > button").click()
    page.locator("#mask-example").click()
    expect(page.locator("#mask-heatmaps .cc-mask")).to_have_count(3)
    of_second = page.locator("#mask-heatmaps figure").nth(1)
    of_second.locator(".cc-mask").press("ArrowDown")
    expect(of_second.locator(".cc-mask-said")).to_contain_text("channel 0: mask 0.")
    of_second.locator(".cc-mask").press("Shift+ArrowRight")
    expect(of_second.locator(".cc-mask-said")).to_contain_text("channel 16: mask 0.")


@pytest.fixture(scope="session")
def copies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A photograph, and a smaller copy of it with a part covered."""
    folder, covered = tmp_path_factory.mktemp("copies"), skimage.data.astronaut().copy()
    covered[60:150, 120:200] = 90
    Image.fromarray(skimage.data.astronaut()).save(folder / "first.png")
    Image.fromarray(covered).resize((400, 400)).save(folder / "second.jpg", quality=80)
    return folder / "first.png", folder / "second.jpg"


def test_two_copies_are_compared_as_soon_as_both_are_there(
    open_page: Open, copies: tuple[Path, Path]
) -> None:
    page = open_page()
    give(page, copies[0])
    verdict(page)
    page.locator("#open-compare").click()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    answer = page.locator("#compare-answer h2")
    expect(answer).to_contain_text("Add the other picture")
    expect(page.locator("#compare-a img").first).to_be_visible()
    page.locator("#compare-b input[type=file]").set_input_files(copies[1])
    expect(answer).to_contain_text("Same picture, one change")
    page.locator("#compare-slider img").first.wait_for()
    page.wait_for_function(DRAWN)
    in_sight(page, "#compare-answer h2", "#compare-slider")
    expect(page.locator("#compare-details")).to_contain_text("One change: top left.")
    assert "One change: top left." in download(page, "#compare-report")
    expect(page.locator("#compare-verdicts .cc-answer")).to_have_count(2)
    page.locator("#compare-quote summary").click()
    expect(page.locator("#compare-quote blockquote")).to_contain_text(
        f"SHA-256: {sha256(copies[0].read_bytes()).hexdigest()}, "
    )
    assert serious(page) == []
    page.locator("#compare-b").get_by_role("button", name="Remove Image").click()
    expect(answer).to_contain_text("Add the other picture")
    expect(page.locator("#compare-slider")).to_be_hidden()
    expect(page.locator("#compare-report")).to_be_hidden()


def test_an_example_pair_is_compared_and_each_is_judged(open_page: Open) -> None:
    page = open_page(width=390)
    open_tab(page, "Compare")
    page.locator("#compare-example button").click()
    expect(page.locator("#compare-answer h2")).to_contain_text("Same picture, 2 changes")
    expect(page.locator("#compare-details p").first).to_contain_text(
        "2 changes: middle right, bottom left."
    )
    pair = page.locator("#compare-verdicts section")
    expect(pair.nth(0).locator(".cc-answer")).to_contain_text("Google LLC signed")
    expect(pair.nth(0)).to_contain_text("File signed")
    expect(pair.nth(1)).to_contain_text("File says nothing")
    expect(pair.nth(1)).not_to_contain_text("being checked")
    assert overflow(page) <= 0
    assert serious(page) == []


def test_what_cannot_be_compared_leaves_its_field(
    open_page: Open, copies: tuple[Path, Path], files: dict[str, Path]
) -> None:
    page = open_page()
    open_tab(page, "Compare")
    page.locator("#compare-a input[type=file]").set_input_files(copies[0])
    expect(page.locator("#compare-answer h2")).to_contain_text("Add the other picture")
    page.locator("#compare-b input[type=file]").set_input_files(files["broken.jpg"])
    expect(page.locator("#compare-answer h2")).to_contain_text("This file could not be read")
    expect(page.locator("#compare-b img")).to_have_count(0)
    expect(page.locator("#compare-a img").first).to_be_visible()
    page.locator("#compare-b input[type=file]").set_input_files(files["phone.heic"])
    expect(page.locator("#compare-answer h2")).to_contain_text("No match")
    drawn = page.locator("#compare-b img").first
    assert drawn.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 320


def test_a_place_is_erased_in_the_browser_and_checked(
    open_page: Open, files: dict[str, Path]
) -> None:
    page = open_page()
    open_tab(page, "Mask")
    page.locator("#mask-picture input[type=file]").first.set_input_files(files["photo.jpg"])
    page.locator("#mask-tiles img").first.wait_for()
    page.locator("#mask-research > button").click()
    page.locator("#mask-erase > button").click()
    grid = page.locator("#mask-brush .cc-erase-grid")
    grid.scroll_into_view_if_needed()
    page.locator("#mask-erase-check").click()
    expect(page.locator("#mask-erase-result")).to_contain_text("Brush over a place first.")
    box = grid.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    expect(page.locator("#mask-brush .cc-erase-said")).to_contain_text("Without this place: 0.")
    assert grid.locator(".cc-gone").count() > 3
    page.locator("#mask-erase-check").click()
    expect(page.locator("#mask-erase-result")).to_contain_text("Blanked and judged again: 0.")
    page.locator("#mask-erase-again").click()
    assert grid.locator(".cc-gone").count() == 0  # at once, in the browser
    expect(page.locator("#mask-brush .cc-erase-said")).to_contain_text("Brush over a place of")
    expect(page.locator("#mask-erase-result")).not_to_contain_text("Blanked")
    page.locator("#mask-erase-check").click()
    expect(page.locator("#mask-erase-result")).to_contain_text("Brush over a place first.")
    page.set_viewport_size({"width": 390, "height": 844})  # a finger needs the phone's whole width
    page.wait_for_function("(grid) => grid.clientWidth > 300", arg=grid.element_handle())


EVIL = b"<script>document.title='taken'</script>"


@pytest.fixture(scope="session")
def claiming(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that says a lot about itself: signed as generated, a camera's EXIF with a script in
    it, a place."""
    exif = exif_block({272: b"EOS R5", 315: EVIL}, gps=(48.8584, 2.2945))
    plain = jpeg_exif(exif)
    path = tmp_path_factory.mktemp("claims") / "claims.jpg"
    path.write_bytes(sign(plain, make_authority(), created("trainedAlgorithmicMedia")))
    return path


def test_from_upload_to_report(open_page: Open, claiming: Path, tmp_path: Path) -> None:
    page = open_page()
    give(page, claiming)
    said = verdict(page)
    page.locator("#report-html").wait_for()
    assert said == "Says “Test Newsroom” made it; signature not confirmed"
    provenance = page.locator("#provenance")
    page.locator("#chips button[data-panel=file]").click()
    expect(provenance).to_contain_text(
        "which are not validated, say that it was generated: “Test Newsroom”."
    )
    expect(provenance).to_contain_text("intact, signer unknown")
    expect(provenance.locator("text=48.858")).to_be_hidden()
    provenance.get_by_text("The file says where it was taken").click()
    provenance.locator("text=48.858").wait_for()
    assert page.title() != "taken"
    report = tmp_path / "report.html"
    report.write_text(download(page, "#report-html"), encoding="utf-8")
    plain = json.loads(download(page, "#report-json"))
    assert plain["answer"] == said
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    expect(page.locator("h2").first).to_contain_text(said)
    expect(page.locator("body")).to_contain_text(plain["sha256"])
    assert page.title().startswith("Report: ")
    assert all(url.startswith(("file:", "data:")) for url in asked)
    assert all(
        page.locator("img").evaluate_all(
            "images => images.map(i => i.complete && i.naturalWidth > 100)"
        )
    )
    assert overflow(page) <= 0


def download(page: Page, button: str) -> str:
    with page.expect_download() as started:
        page.locator(button).click()
    return Path(started.value.path()).read_text(encoding="utf-8")


def pixels(page: Page, name: str, folder: Path) -> np.ndarray:
    """What the download button of a column gives."""
    with page.expect_download() as download:
        page.locator(f"#purify-{name}").get_by_role("button", name="Download").or_(
            page.locator(f"#purify-{name} a[download]")
        ).first.click()
    download.value.save_as(folder / f"{name}.png")
    return np.asarray(Image.open(folder / f"{name}.png").convert("RGB")).astype(int)


# The slider's pictures have their size.
DRAWN = """() => [...document.querySelectorAll("#compare-slider img")]
  .every((image) => image.complete && image.naturalWidth)"""


def in_sight(page: Page, *names: str) -> list[float]:
    """The tops of parts that are in the window as a whole."""
    boxes = [page.locator(name).first.bounding_box() for name in names]
    height = page.viewport_size["height"] if page.viewport_size else 0
    assert all(box and box["y"] >= 0 and box["y"] + box["height"] <= height for box in boxes), (
        names,
        boxes,
    )
    return [box["y"] for box in boxes if box]


# Every picture that is on screen has been drawn.
WHOLE = """() => [...document.querySelectorAll("#purify-results img")].filter((image) => image.checkVisibility())
  .every((image) => image.complete && image.naturalWidth)"""  # noqa: E501


def test_all_of_one_mask_is_in_one_look(open_page: Open, tiny_app: str, tmp_path: Path) -> None:
    """A tall picture, whose maps are the highest; German words are longer."""
    Image.fromarray(skimage.data.astronaut()[:, 80:420]).save(tmp_path / "tall.png")
    person = open_page().context
    for language in ("en", "de"):
        page = person.new_page()
        page.set_viewport_size({"width": 1440, "height": 900})
        page.goto(f"{tiny_app}?lang={language}#mask")
        page.locator("#mask-picture input[type=file]").first.set_input_files(tmp_path / "tall.png")
        page.locator("#mask-tiles img").first.wait_for()
        page.locator("#mask-removal input").wait_for()
        in_sight(page, "#mask-picture", "#mask-answer", "#mask-tiles", "#mask-removal")


def test_the_removal_is_moved_and_played(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page()
    open_tab(page, "Mask")
    page.locator("#mask-picture input[type=file]").set_input_files(files["photo.jpg"])
    removal = page.locator("#mask-removal")
    slider = removal.locator("input[type=range]")
    slider.fill("0")
    expect(removal.locator("figure:not([hidden]) b").first).to_have_text("All that passed")
    score = removal.locator("figure:not([hidden]) p > b").inner_text()
    assert score == page.locator("#mask-tiles figure").nth(1).locator("p > b").inner_text()
    slider.press("ArrowRight")
    expect(removal.locator("figure:not([hidden]) b").first).to_contain_text("Without the strongest")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("Without the strongest.*0\\."))
    last = slider.get_attribute("max")
    removal.get_by_role("button", name="Play").click()
    expect(slider).to_have_value("0")
    expect(slider).to_have_value(last)
    page.set_viewport_size({"width": 390, "height": 844})  # two by two
    tiles = page.locator("#mask-screen img").filter(visible=True)
    boxes = [tile.bounding_box() for tile in tiles.all()]
    assert len({box["x"] for box in boxes if box}) == len({box["y"] for box in boxes if box}) == 2


def test_the_three_prepared_ones_in_one_look(
    open_page: Open, real_app: Served, tmp_path: Path
) -> None:
    page = open_page(real_app.address)
    page.set_viewport_size({"width": 1280, "height": 800})
    open_tab(page, "Purify")
    # the first is there when it opens
    expect(page.locator("#purify-adversarial-said .cc-told")).to_contain_text("dog")
    expect(page.locator("#purify-stop")).to_be_hidden()
    for index, example in enumerate(PREPARED):
        page.locator("#purify-examples button").nth(index).click()
        expect(page.locator("#purify-question textarea, #purify-question input")).to_have_value(
            example.question
        )
        expect(page.locator("#purify-headline")).to_contain_text("purification brought")
        expect(page.locator("#purify-clean-said .cc-told")).to_contain_text(example.answer)
        expect(page.locator("#purify-adversarial-said .cc-told")).to_contain_text("answer differs")
        expect(page.locator("#purify-purified-said .cc-told")).to_contain_text(example.answer)
        expect(page.locator("#purify-purified-said .cc-told")).to_contain_text("answer as before")
        page.locator("#purify-purifier-change img").wait_for()
        page.wait_for_function(WHOLE)  # the pictures have their size
        tops = in_sight(page, "#purify-clean", "#purify-adversarial", "#purify-purified")
        assert max(tops) - min(tops) < 12
        in_sight(
            page,
            "#purify-headline",
            "#purify-purified-said",
            "#purify-attack-change",
            "#purify-purifier-change",
        )
    attacked, purified = (
        page.locator("#purify-slider img").nth(i).bounding_box() for i in range(2)
    )
    assert attacked == purified  # they are laid over each other
    for name in ("clean", "adversarial", "purified"):  # no label on a picture
        label = page.locator(f"#purify-{name} label").first.bounding_box()
        image = page.locator(f"#purify-{name} img").first.bounding_box()
        assert label["y"] + label["height"] <= image["y"]
    size = page.locator("#purify-purified-said .cc-told").evaluate(
        "(told) => getComputedStyle(told).fontSize"
    )
    assert size == "28px"
    moved = pixels(page, "adversarial", tmp_path)
    assert 0 < np.abs(moved - skimage.data.astronaut()).max() <= 8
    assert serious(page) == []
