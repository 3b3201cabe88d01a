"""The shipped heads answer as they did: a table of verdicts on made and packaged pictures.

Whoever changes the code between a file and a verdict sees here whether an answer moves. A new
detector writes the table anew: python -m tests.causalclip.test_verdicts
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from causalclip import Detector
from causalclip.clip.tower import Trace
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


def seen_once(forward: Callable[..., Trace]) -> Callable[..., Trace]:
    """The pass through a tower, which answers at once what it was asked last: both heads see the
    same views, and a pass is nearly all that a verdict costs."""
    last: tuple[torch.Tensor, dict[str, object], Trace] | None = None

    def forward_once(pixels: torch.Tensor, **options: object) -> Trace:
        nonlocal last
        if last is None or last[1] != options or not torch.equal(last[0], pixels):
            last = pixels, options, forward(pixels, **options)
        return last[2]

    return forward_once


@pytest.fixture(scope="module")
def heads() -> dict[str, Detector]:
    """Both shipped detectors, on one tower."""
    first: Detector | None = None
    loaded = {}
    for key, name in HEADS.items():
        loaded[key] = Detector.from_pretrained(name, runtime="float32", beside=first)
        first = first or loaded[key]
    assert len({id(one.tower) for one in loaded.values()}) == 1
    first.tower.forward = seen_once(first.tower.forward)  # type: ignore[method-assign, union-attr]
    return loaded


def verdicts(heads: dict[str, Detector], name: str) -> dict[str, tuple[float, str]]:
    """(probability, band) of each head."""
    pixels = load_image(file_of(name)).pixels
    judged = {key: detector.score(pixels) for key, detector in heads.items()}
    return {key: (verdict.probability, verdict.band) for key, verdict in judged.items()}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.full)
        for name in json.loads(TABLE.read_text())["causal"]
    ],
)
def test_each_verdict_is_what_it_was(heads: dict[str, Detector], name: str) -> None:
    table = json.loads(TABLE.read_text())
    for key, (probability, band) in verdicts(heads, name).items():
        known, known_band = table[key][name]
        assert band == known_band
        assert probability == pytest.approx(known, abs=1e-5)  # processors round apart


def main() -> None:
    table = json.loads(TABLE.read_text())
    detectors = {key: Detector.from_pretrained(HEADS[key], runtime="float32") for key in table}
    for name in table["causal"]:
        for key, (probability, band) in verdicts(detectors, name).items():
            table[key][name] = [round(probability, 7), band]
    TABLE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
