"""The shipped heads answer as they did: a table of verdicts on made and packaged pictures.

Whoever changes the code between a file and a verdict sees here whether an answer moves. A new
detector writes the table anew: python -m tests.causalclip.test_verdicts
"""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from causalclip import Detector
from causalclip.images.loading import load_image
from causalclip.paths import HEADS
from tests.conftest import ROOT
from tests.makers import pictures as made

TABLE = Path(__file__).with_name("verdicts.json")  # by head and picture: probability, band
QUICK = "astronaut, half", "studio-cat.png"
SHOTS = (
    *("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "retina"),
    *("immunohistochemistry", "camera", "moon", "page", "text", "coins", "brick", "grass"),
    *("gravel", "logo", "clock", "cell", "colorwheel", "checkerboard"),
)


def shot(name: str) -> np.ndarray:
    return np.asarray(Image.fromarray(getattr(data, name)()).convert("RGB"))


def file_of(name: str) -> bytes:
    """The file of a picture of the table."""
    first, _, change = name.partition(", ")
    number = int(name.split()[-1]) if name.split()[-1].isdigit() else 0
    if name.endswith((".jpg", ".png")):
        return (ROOT / "assets" / "pictures" / name).read_bytes()
    if change.startswith("JPEG"):
        return made.encode(shot(first), "JPEG", quality=number, subsampling=-1)
    if change == "half":
        return made.encode(Image.fromarray(shot(first)).reduce(2), "PNG")
    if first in SHOTS:
        return made.encode(shot(first), "PNG")
    if name.startswith("photo"):
        return made.encode(made.photo(*map(int, name[6:].split(" x "))), "PNG")
    if name.startswith("chart"):
        return made.encode(made.chart(number), "PNG")
    pixels = {
        "spliced": made.spliced,
        "coarse noise": lambda: made.coarse_noise(3),
        "blank": lambda: np.full((256, 256, 3), 128, np.uint8),
        "a page": lambda: made.page(1),
        "a cartoon": lambda: made.cartoon(2),
    }[name]()
    return made.encode(pixels, "PNG")


@pytest.fixture(scope="module", params=HEADS)
def head(request: pytest.FixtureRequest) -> tuple[str, Detector]:
    return request.param, Detector.from_pretrained(HEADS[request.param], runtime="float32")


def check(head: tuple[str, Detector], name: str) -> None:
    key, detector = head
    probability, band = json.loads(TABLE.read_text())[key][name]
    verdict = detector.score(load_image(file_of(name)).pixels)
    assert verdict.band == band
    assert verdict.probability == pytest.approx(probability, abs=1e-5)  # processors round apart


@pytest.mark.parametrize("name", QUICK)
def test_a_verdict_is_what_it_was(head: tuple[str, Detector], name: str) -> None:
    check(head, name)


@pytest.mark.full
@pytest.mark.parametrize("name", json.loads(TABLE.read_text())["causal"])
def test_each_verdict_is_what_it_was(head: tuple[str, Detector], name: str) -> None:
    check(head, name)


def main() -> None:
    table = json.loads(TABLE.read_text())
    for key, rows in table.items():
        detector = Detector.from_pretrained(HEADS[key], runtime="float32")
        for name in rows:
            verdict = detector.score(load_image(file_of(name)).pixels)
            rows[name] = [round(verdict.probability, 7), verdict.band]
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
