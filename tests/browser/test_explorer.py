"""The Explore tab as a reviewer meets it."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, open_tab

pytestmark = pytest.mark.full


def explore(page: Page, name: str, file: Path) -> None:
    page.locator(f"#{name} input[type=file]").set_input_files(file)
    expect(page.locator(f"#{name}-channels table")).to_be_visible()
    expect(page.locator(f"#{name}-map img")).to_be_visible()


def source(page: Page, name: str = "explore-a") -> str:
    return page.locator(f"#{name}-map img").first.get_attribute("src") or ""


def choose(page: Page, name: str, option: str) -> None:
    page.locator(f"#{name} input").click()
    page.get_by_role("option", name=option).first.click()


def test_two_pictures_side_by_side(open_page: Open, files: dict[str, Path], tmp_path: Path) -> None:
    page = open_page()
    open_tab(page, "Explore")
    expect(page.locator("#explore-a-removal")).to_be_hidden()
    explore(page, "explore-a", files["photo.jpg"])
    explore(page, "explore-b", files["phone.heic"])
    before = source(page), source(page, "explore-b")
    choose(page, "explore-which", "Causal minus")
    for name, old in zip(("explore-a", "explore-b"), before, strict=True):
        expect(page.locator(f"#{name}-map img").first).not_to_have_attribute("src", old)
    with page.expect_download() as download:
        page.locator("#explore-a-npz").click()
    download.value.save_as(tmp_path / "maps.npz")
    held = np.load(tmp_path / "maps.npz")
    added = held["view_channels"].sum() + held["view_bias"].sum() + held["rest"]
    assert float(added) == pytest.approx(float(held["logit"]), abs=1e-4)
