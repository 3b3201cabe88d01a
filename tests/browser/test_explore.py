"""Explore in a browser: a picture beside an example, and both heads to choose from."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

import app
from causalclip.paths import DEFAULT_HEAD
from tests.browser.conftest import Open, open_tab
from tests.makers.detectors import tiny_detector


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


def test_a_head_that_is_chosen_judges_in_both_tabs(open_page: Open, both: str, files: dict[str, Path]) -> None:
    page = open_page(both)
    page.locator("#picture input[type=file]").first.set_input_files(files["photo.jpg"])
    page.locator("#status .cc-final").wait_for()
    expect(page.locator("#facts")).to_contain_text("causal head")
    page.locator("#chips button").nth(1).click()
    head = page.locator("#detect-head").get_by_label("linear head")
    head.check()
    expect(page.locator("#facts")).to_contain_text("linear head")
    page.locator("#status .cc-final").wait_for()
    expect(page.locator("#chips button").nth(1)).to_have_attribute("aria-expanded", "true")  # as it was left
    expect(head).to_be_visible()
    expect(head).to_be_focused()
    page.locator("#open-explore").click()
    answer = page.locator("#explore-a-answer")
    expect(answer).to_contain_text("(linear head)")
    expect(page.locator("#explore-head").get_by_label("linear head")).to_be_checked()
    page.locator("#explore-head").get_by_label("causal head").check()
    expect(answer).to_contain_text("(causal head)")
    open_tab(page, "Detect")
    expect(page.locator("#facts")).to_contain_text("causal head")


def test_a_picture_is_compared_with_an_example(open_page: Open, files: dict[str, Path]) -> None:
    page = open_page()
    open_tab(page, "Explore")
    page.locator("#explore-a input[type=file]").first.set_input_files(files["photo.jpg"])
    page.locator("#explore-a-map img").wait_for()
    page.locator("#explore-example").click()
    page.locator("#explore-b-map img").wait_for()
    expect(page.locator("#explore-masks thead")).to_be_visible()
