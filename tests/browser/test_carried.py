"""From a verdict to the other tabs: the picture comes along, and is the same one there."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, open_tab
from tests.browser.test_detect import give, verdict
from tests.makers.pictures import encode, photo

pytestmark = pytest.mark.full


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, Path]:
    """One that browsers show, and one of which they get a smaller copy."""
    made = {"plain.jpg": encode(photo(400, 300), "JPEG"), "phone.heic": encode(photo(1120, 840), "HEIC")}
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    return {name: tmp_path / name for name in made}


def score(page: Page, place: str) -> str:
    found = re.search(r"[Ss]core ([\d.]+)", page.locator(place).inner_text())
    assert found, page.locator(place).inner_text()
    return found[1]


def chosen(page: Page, name: str) -> None:
    expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")


def shown(page: Page, field: str) -> None:
    """Whether the browser has drawn the picture in a field."""
    expect(page.locator(f"{field} img").first).to_be_visible()
    assert (
        page.locator(f"{field} img").first.evaluate("async (i) => { await i.decode(); return i.naturalWidth; }") > 300
    )


@pytest.mark.parametrize("name", ["plain.jpg", "phone.heic"])
def test_explore_judges_the_same_picture_and_purify_has_it(
    open_page: Open, whole_app: str, pictures: dict[str, Path], name: str
) -> None:
    page = open_page(whole_app)
    give(page, pictures[name])
    verdict(page)
    said = score(page, "#status .cc-flag")
    page.locator("#open-explore").click()
    chosen(page, "Explore")
    page.locator("#explore-a-channels table").wait_for()
    assert score(page, "#explore-a-answer") == said
    shown(page, "#explore-a")
    open_tab(page, "Detect")
    page.locator("#open-purify").click()
    chosen(page, "Purify")
    shown(page, "#purify-picture")
