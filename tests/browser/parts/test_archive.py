"""An archive as the yardstick, as a newsroom meets it: a folder, its progress, what was found, answers held to it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, open_tab, serious, sizes
from tests.makers.pictures import encode

pytestmark = pytest.mark.full

DONE = "5 of 5 judged. Left out, of a kind that is not read here: notes.txt."


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder of four photographs, and of a file that is cut short."""
    for n in range(4):
        coarse = np.random.default_rng(n).integers(0, 255, (12, 16, 3), dtype=np.uint8)
        data = encode(np.asarray(Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC)), "JPEG")
        (tmp_path / f"photo {n}.jpg").write_bytes(data)
    (tmp_path / "broken.jpg").write_bytes(data[:900])
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def choose(page: Page, kind: str, folder: Path) -> None:
    with page.expect_file_chooser() as chosen:
        page.locator(f"#archive-chooser button[data-kind={kind}][data-folder]").click()
    chosen.value.set_files(folder)


def judge(page: Page, file: Path) -> None:
    open_tab(page, "Detect")
    page.locator("#picture input[type=file]").set_input_files(file)
    page.locator("#status .cc-scale").wait_for()


def test_a_folder_becomes_the_yardstick_of_this_page(open_page: Open, photographs: Path) -> None:
    page = open_page(width=390)
    open_tab(page, "Your archive")
    expect(page.locator("#archive-in-use")).to_contain_text("held to no profile")
    expect(page.locator("#archive-further")).to_be_hidden()
    choose(page, "real", photographs)
    said = page.locator("#archive-chooser .cc-said")
    expect(said).to_have_text(DONE)
    result = page.locator("#archive-result")
    expect(result).to_contain_text("Photographs that were judged: 4.")
    expect(result).to_contain_text("4 are too few for 5 %: 59 are needed.")
    expect(result).to_contain_text("broken.jpg: ")
    result.locator("svg").wait_for()
    for width in sizes(page, (390, False), (1440, True)):
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), width
        assert serious(page) == [], width
    with page.expect_download() as loaded:
        page.locator("#archive-profile").click()
    profile = json.loads(Path(loaded.value.path()).read_text())
    assert len(profile["scores"]) == 4
    assert not re.search("photo|broken", json.dumps(profile))
    page.locator("#archive-use").click()
    expect(page.locator("#archive-in-use")).to_contain_text("Photographs in it: 4.")
    judge(page, photographs / "photo 1.jpg")
    expect(page.locator("#status .cc-archive")).to_contain_text("Of 4 photographs of your archive, ")
