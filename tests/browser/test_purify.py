"""The Purify tab as a person meets it, with the shipped models: attacked, purified, asked."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, open_tab
from tests.conftest import Served


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("purify") / "coffee.png"
    Image.fromarray(skimage.data.coffee()).resize((336, 224)).save(path)
    return path


def give(page: Page, file: Path) -> None:
    page.locator("#purify-picture input[type=file]").set_input_files(file)
    expect(page.locator("#purify-picture img")).to_be_visible()


def pixels(page: Page, name: str, folder: Path) -> np.ndarray:
    """What the download button of a column gives."""
    with page.expect_download() as download:
        page.locator(f"#purify-{name}").get_by_role("button", name="Download").or_(
            page.locator(f"#purify-{name} a[download]")
        ).first.click()
    download.value.save_as(folder / f"{name}.png")
    return np.asarray(Image.open(folder / f"{name}.png").convert("RGB")).astype(int)


def test_from_attack_to_purified(open_page: Open, real_app: Served, photo: Path, tmp_path: Path) -> None:
    page = open_page(real_app.address)
    open_tab(page, "Purify")
    expect(page.locator("#purify-results")).to_be_hidden()
    give(page, photo)
    page.locator("#purify-question textarea, #purify-question input").fill("what is on the table ?")
    page.get_by_role("button", name="Attack, then purify").click()
    for name in ("clean", "adversarial", "purified"):
        expect(page.locator(f"#purify-{name}-said")).to_contain_text("Answer")
        expect(page.locator(f"#purify-{name} img").first).to_be_visible()
    expect(page.locator("#purify-slider")).to_be_visible()
    expect(page.locator("#purify-notes")).to_contain_text("Purified in")
    expect(page.locator("#purify-purified-said")).to_contain_text("the clean picture")
    clean, moved = (pixels(page, name, tmp_path) for name in ("clean", "adversarial"))
    assert np.array_equal(clean, np.asarray(Image.open(photo)))
    assert 0 < np.abs(clean - moved).max() <= 8
    found = Axe().run(page).response["violations"]
    assert not [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")]


def test_a_given_picture_on_a_phone_and_a_broken_one(
    open_page: Open, real_app: Served, photo: Path, files: dict[str, Path]
) -> None:
    page = open_page(real_app.address, width=390, dark=True)
    open_tab(page, "Purify")
    give(page, photo)
    page.get_by_role("button", name="Purify", exact=True).click()
    expect(page.locator("#purify-status")).to_contain_text("comes back unchanged")
    expect(page.locator("#purify-clean")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.locator("#purify-picture").get_by_role("button", name="Remove Image").click()
    expect(page.locator("#purify-results")).to_be_hidden()
    page.locator("#purify-picture input[type=file]").set_input_files(files["broken.jpg"])
    page.get_by_role("button", name="Purify", exact=True).click()
    expect(page.locator("#purify-status")).to_contain_text("cut short or damaged")
    expect(page.locator("#purify-results")).to_be_hidden()
