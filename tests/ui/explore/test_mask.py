"""The mask in words: shares by hand, what training measured, and no claim where nothing was measured."""

import re
from pathlib import Path

import numpy as np
import pytest

from causalclip.detector import Detection
from causalclip.head.meaning import GATES_MEANING, MASK_MEANING
from causalclip.maps.maskgrid import mean_masks, openness
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import photo
from ui.explore.mask import PAPER, UNMEASURED, mask

MEASURED = {"nhsic": 0.87, "adversary_accuracy": 0.99, "density": 0.4}


@pytest.fixture(scope="module")
def detection() -> Detection:
    return tiny_detector().predict(photo(160, 120))


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_openness_by_hand() -> None:
    o = openness(np.array([0.0, 0.05, 0.1, 0.5, 0.9, 1.0]))
    assert (o.closed, o.open, o.mean) == (pytest.approx(3 / 6), pytest.approx(2 / 6), pytest.approx(2.55 / 6))
    assert o.bins == pytest.approx((2 / 6, 1 / 6, 0, 0, 0, 1 / 6, 0, 0, 0, 2 / 6))


def test_shares_and_histogram_of_each_kind_of_view(detection: Detection) -> None:
    said = text(mask(detection, {}))
    for values in mean_masks(detection).values():
        o = openness(values)
        assert f"{o.open:.0%} of the channels are open" in said
        assert f"{o.closed:.0%} closed" in said
        for share in o.bins:
            assert f"{share:.1%}" in said
    assert PAPER in mask(detection, {})
    assert UNMEASURED in mask(detection, {})


def test_a_mask_that_holds_back_traces_is_said_to(detection: Detection) -> None:
    said = text(mask(detection, {"whole": MEASURED}))
    assert "right about 99.0% of them" in said
    assert "0.87" in said
    assert text(MASK_MEANING) in said
    fair = text(mask(detection, {"whole": MEASURED | {"adversary_accuracy": 0.52}}))
    assert text(MASK_MEANING) not in fair


def test_a_mask_that_is_the_same_for_every_picture_is_said_to_be(detection: Detection) -> None:
    measured = {kind: MEASURED | {"variance": 0.0} for kind in mean_masks(detection)}
    said = text(mask(detection, measured))
    assert text(GATES_MEANING) in said
    assert "made from the picture itself" not in said
    assert text(GATES_MEANING) not in text(mask(detection, {"whole": MEASURED}))


def test_the_docs_say_it_in_the_same_words() -> None:
    page = Path(__file__).parents[3] / "docs" / "architecture.md"
    assert MASK_MEANING in re.sub(r"\s+", " ", page.read_text())
