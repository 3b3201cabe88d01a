"""What a person reads first: the card, its scale, the stability check, and what stands above them."""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from causalclip.calibration import Calibration, sigmoid
from causalclip.detector import Detector, Verdict
from tests.browser.conftest import Open, open_tab, sizes
from tests.browser.test_detect import give, top
from tests.makers.detectors import Held, tiny_detector
from tests.makers.metadata_files import exif_block, jpeg_exif
from tests.makers.signing import created, make_authority, sign

Serve = Callable[[Any], str]
COPIES = 9  # of a check: the picture as it is, and eight changes


class Scripted:
    """A detector that gives every picture the score `own`, and every changed copy of it `after`."""

    def __init__(self, own: float, after: float, calibration: Calibration) -> None:
        tiny = tiny_detector()
        config = replace(tiny.config, calibration=calibration)
        self.own, self.after = own, after
        self.copies = 0
        self._detector = Detector(tiny.tower, tiny.heads, config, name="tiny")

    def predict(self, pixels: Any) -> Any:
        found = self._detector.predict(pixels)
        return replace(found, probability=self.own, logit=_logit(self.own), band=self.config.calibration.band(self.own))

    def judge_all(self, pictures: Iterable[Any], **options: Any) -> list[Verdict]:
        return [self._judge() for _ in pictures]

    def _judge(self) -> Verdict:
        logit = _logit(self.after if self.copies % COPIES else self.own)  # the first is the picture as it is
        self.copies += 1
        return Verdict(sigmoid(logit), logit, "inconclusive")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._detector, name)


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def checked(page: Page, file: Path) -> None:
    give(page, file)
    page.locator("#stability table").wait_for()


WIDE = Calibration(low=0.3, high=0.8, threshold=0.55)


def test_no_alarm_where_the_answer_stays_what_it_is(open_page: Open, serve: Serve, files: dict[str, Path]) -> None:
    page = open_page(serve(Scripted(0.6, 0.5, WIDE)))
    checked(page, files["photo.jpg"])
    panel = page.locator("#stability")
    expect(page.locator("#status h2")).to_contain_text("Inconclusive")
    expect(panel).to_contain_text("Yes. The answer stays the same")
    expect(page.locator("#status")).to_contain_text("Survives re-encoding? Yes.")
    expect(panel).not_to_contain_text("another answer")
    expect(panel.locator(".cc-flip")).to_have_count(0)


def test_a_change_of_answer_is_said_and_the_dividing_score_is_named_at_its_line(
    open_page: Open, serve: Serve, files: dict[str, Path]
) -> None:
    page = open_page(serve(Scripted(0.9, 0.5, WIDE)))
    checked(page, files["photo.jpg"])
    expect(page.locator("#status h2")).to_contain_text("Inconclusive")
    expect(page.locator("#status")).to_contain_text("The answer changes when the picture is saved as JPEG")
    panel = page.locator("#stability")
    changed = panel.locator(".cc-flip")
    expect(changed).to_have_count(8)
    expect(changed.first).to_contain_text("another answer")
    expect(panel).to_contain_text(
        "No: another answer for 4 of the 4 copies that count, and for 4 of the 4 that were changed more."
    )
    name, line = (middle(page, where) for where in ("#stability .cc-above span", "#stability .cc-middle >> nth=0"))
    assert abs(name - line) < 3


def test_a_score_near_a_threshold_has_as_many_digits_as_it_takes(
    open_page: Open, serve: Serve, files: dict[str, Path]
) -> None:
    page = open_page(serve(Scripted(0.8012, 0.8012, Calibration(low=0.3, high=0.8034, threshold=0.55))))
    checked(page, files["photo.jpg"])
    expect(page.locator("#status h2")).to_contain_text("Inconclusive")
    expect(page.locator("#status .cc-flag")).to_contain_text("score 0.801")
    expect(page.locator("#status .cc-ticks")).to_contain_text("0.803")
    expect(page.locator("#stability tbody td:last-child").first).to_have_text("0.801")
    page.locator("#open-explore").click()
    expect(page.locator("#explore-a-answer")).to_contain_text("Score 0.801")
    open_tab(page, "Batch")
    page.locator("#batch-files input[type=file]").set_input_files(files["photo.jpg"])
    expect(page.locator("#batch-table tbody")).to_contain_text("0.801")


# Over how many lines the word "generated" is broken.
LINES = """e => {
  const word = document.createRange(), at = e.firstChild.data.indexOf("generated");
  word.setStart(e.firstChild, at);
  word.setEnd(e.firstChild, at + 9);
  return word.getClientRects().length;
}"""


def test_the_scale_is_in_proportion(open_page: Open, serve: Serve, files: dict[str, Path]) -> None:
    page = open_page(serve(Scripted(0.7, 0.7, Calibration(low=0.2, high=0.9, threshold=0.55))), width=390)
    checked(page, files["photo.jpg"])
    for width in sizes(page, (390, False), (1000, False), (1440, False)):
        track = page.locator("#status .cc-track").bounding_box()
        assert track is not None
        zones = page.locator("#status .cc-zone")
        shares = zones.evaluate_all("zones => zones.map(z => z.getBoundingClientRect().width)")
        assert [share / track["width"] for share in shares] == pytest.approx([0.2, 0.7, 0.1], abs=0.01), width
        assert (middle(page, "#status .cc-track i") - track["x"]) / track["width"] == pytest.approx(0.7, abs=0.02)
        name = page.locator("#status .cc-scale span", has_text="likely generated").filter(visible=True).last
        assert name.evaluate(LINES) == 1, width  # of the narrowest zone, too


def test_what_the_file_says_of_itself_is_the_headline(open_page: Open, files: dict[str, Path], tmp_path: Path) -> None:
    """Of the file that was signed as generated by somebody unknown; of one that says nothing it is one line."""
    claims = tmp_path / "claims.jpg"
    claims.write_bytes(
        sign(jpeg_exif(exif_block({272: b"EOS R5"})), make_authority(), created("trainedAlgorithmicMedia"))
    )
    page = open_page(width=390)
    checked(page, files["photo.jpg"])
    expect(page.locator("#status")).to_contain_text("The file says nothing about how the picture was made")
    for width in sizes(page, (390, False), (1440, False)):
        line = page.locator("#provenance summary").first.bounding_box()
        whole = page.locator("#provenance").bounding_box()
        assert line is not None
        assert whole is not None
        assert whole["height"] < 2 * line["height"] < 120, width
    page.locator("#picture").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#status h2")).to_contain_text("No picture yet")
    checked(page, claims)
    expect(page.locator("#status h2")).to_contain_text("The file says it was generated")
    expect(page.locator("#status .cc-evidence")).to_contain_text("Do they agree?")
    for width in sizes(page, (1440, False), (390, False)):
        tops = [top(page, place) for place in ("#status", "#steps", "#provenance", "#causal-map")]
        assert tops == sorted(tops), width


def test_who_waits_is_told_for_how_long(open_page: Open, serve: Serve, files: dict[str, Path]) -> None:
    detector = Held()
    page = open_page(serve(detector))
    give(page, files["photo.jpg"])
    expect(page.locator("#status .cc-elapsed")).to_have_text(re.compile(r"So far: ([2-9]|\d\d+) s\."))
    detector.let.set()
    page.locator("#status .cc-scale").wait_for()
    expect(page.locator("#status .cc-elapsed")).to_have_count(0)


def test_an_answer_is_spoken_once_and_has_the_focus(open_page: Open, files: dict[str, Path]) -> None:
    """In a sentence or two, without the title that has the focus; from it, the report is at most four stops away."""
    page = open_page()
    page.evaluate("""() => {
      window.said = [];
      new MutationObserver(() => window.said.push(document.querySelector("#spoken").textContent))
        .observe(document.querySelector("#spoken"), { childList: true });
    }""")
    checked(page, files["photo.jpg"])
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


def middle(page: Page, where: str) -> float:
    box = page.locator(where).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2
