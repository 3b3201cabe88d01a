"""Does one region differ? Only ever a positive finding: what is silent says little, and never
sounds like an answer."""

import dataclasses
import tracemalloc
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.fft import dctn

from causalclip.examination import traces
from causalclip.examination.headline import make_headline, tone_of
from causalclip.examination.messages import NO_ANSWER
from causalclip.examination.regions import (
    Region,
    RegionFinding,
    contrast,
    features,
    find_region,
    rings_of,
    shipped_finder,
    smooth,
)
from causalclip.examination.result import read_claims
from causalclip.examination.traces import NAMES, read_traces
from causalclip.images.loading import load_image
from causalclip.provenance.credentials import SourceType
from tests.makers.pictures import PART, encode, photograph, spliced

FOUND = RegionFinding(
    "found", Region((32, 64, 128, 160), (((32, 64), (128, 64), (128, 160), (32, 160)),), 0.1, 32)
)
SILENT = "That says little"


class Verdict:
    """What is asked of a verdict."""

    def __init__(self, band: str = "likely not generated") -> None:
        self.band = band


def searched(data: bytes, band: str = "likely not generated") -> RegionFinding:
    return find_region(load_image(data), read_claims(data), Verdict(band))


def test_a_photograph_pasted_into_another_is_found_where_it_is() -> None:
    found = searched(encode(spliced(), "PNG"))
    assert found.state == "found"
    left, top_, right, bottom = PART
    drawn = Image.new("1", (512, 512))
    for ring in found.region.outline:
        ImageDraw.Draw(drawn).polygon(ring, fill=1)
    part = np.zeros((512, 512), bool)
    part[top_:bottom, left:right] = True
    outlined = np.asarray(drawn)
    assert (part & outlined).sum() / (part | outlined).sum() > 0.6


@pytest.mark.parametrize("history", [None, 60, 90])
@pytest.mark.parametrize(
    ("name", "options"), [("PNG", {}), ("JPEG", {"quality": 90, "subsampling": 2})]
)
def test_in_a_picture_that_nobody_edited_nothing_is(
    history: int | None, name: str, options: dict[str, int]
) -> None:
    found = searched(encode(photograph(history=history), name, **options))
    assert found.region is None
    assert found.state in ("none found", "cannot know")


@pytest.mark.parametrize(
    ("data", "band", "why"),
    [
        (encode(spliced(), "PNG"), NO_ANSWER, "no photograph"),
        (encode(spliced()[:180], "PNG"), "inconclusive", "too small"),
        (encode(spliced(), "JPEG", quality=40), "inconclusive", "compressed too much"),
    ],
)
def test_where_it_cannot_be_known_that_is_said(data: bytes, band: str, why: str) -> None:
    found = searched(data, band)
    assert (found.state, found.region) == ("cannot know", None)
    assert why in found.sentence


@pytest.mark.parametrize("band", ["likely not generated", "inconclusive"])
def test_an_answer_never_stands_alone_above_a_region(band: Any) -> None:
    claims = read_claims(encode(photograph(), "PNG"))
    headline = make_headline(claims, band, None, FOUND)
    assert headline.title.endswith("one part differs")
    assert tone_of(headline.title) == headline.tone == "inconclusive"
    assert "One part differs" in headline.pixels
    captured = SourceType("XMP", "digitalCapture", "captured", "captured by a camera")
    said = dataclasses.replace(claims, source_types=(captured,))
    assert make_headline(said, "likely not generated").agreement == "The pixels agree."
    assert "neither support" in make_headline(said, "likely not generated", None, FOUND).agreement


# From a map of cells to a region
# -------------------------------------------------------------------------------------


@pytest.mark.parametrize("corner", [(0, 0), (24, 8)])
def test_rings_enclose_the_cells_and_no_others(corner: tuple[int, int]) -> None:
    part, cell = np.zeros((9, 12), bool), 4
    part[2:6, 3:8] = True
    part[3, 5] = False  # a hole
    part[6, 4] = part[8, 11] = True  # a step, and a piece of one cell
    rings = [np.array(ring, np.float32) for ring in rings_of(part, cell, corner)]
    for row, column in np.ndindex(part.shape):
        middle = corner[0] + (column + 0.5) * cell, corner[1] + (row + 0.5) * cell
        enclosed = sum(cv2.pointPolygonTest(ring, middle, False) > 0 for ring in rings)
        assert enclosed % 2 == part[row, column]


def test_trees_say_what_a_walk_from_node_to_node_says() -> None:
    trees, rng = shipped_finder().trees, np.random.default_rng(0)
    x = rng.normal(size=(20, trees.feature.max() + 1)).astype(np.float32)
    inner = trees.left[0] != np.arange(trees.left.shape[1])
    x[0, trees.feature[0, inner]] = trees.threshold[0, inner]  # a value on a threshold goes left

    def walk(row: np.ndarray, tree: int, node: int = 0) -> float:
        left, right = int(trees.left[tree, node]), int(trees.right[tree, node])
        if left == node:
            return float(trees.value[tree, node])
        return walk(
            row,
            tree,
            left if row[trees.feature[tree, node]] <= trees.threshold[tree, node] else right,
        )

    expected = [
        trees.base + sum(walk(row, tree) for tree in range(len(trees.feature))) for row in x
    ]
    np.testing.assert_allclose(trees(x), expected, rtol=0, atol=1e-9)


def inside(levels: np.ndarray, cell: int = 32) -> tuple[float, float]:
    """The mean of the cells that lie in the part, and of the rest."""
    left, top, right, bottom = (side // cell for side in PART)
    part = np.zeros(levels.shape, bool)
    part[top:bottom, left:right] = True
    return float(levels[part].mean()), float(levels[~part].mean())


def test_a_part_without_the_files_earlier_compression_stands_out() -> None:
    found = read_traces(spliced(), None)
    here, rest = inside(-smooth(contrast(found)[[NAMES.index("comb"), NAMES.index("zero")]]).sum(0))
    assert here > rest + 3
    assert np.isfinite(found.cells).all()
    assert np.isfinite(features(found)).all()


def test_the_energy_of_a_band_is_that_of_an_independent_transform() -> None:
    pixels = photograph()
    luma = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) - 128
    found, band = read_traces(pixels, None), NAMES.index("band1")
    blocks = luma[64:96, 96:128].reshape(4, 8, 4, 8).transpose(0, 2, 1, 3)
    power = dctn(blocks, axes=(2, 3), norm="ortho") ** 2
    low = [power[..., i, j] for i in range(3) for j in range(3) if 1 <= i + j < 3]
    assert found.cells[band, 2, 3] == pytest.approx(np.log(np.mean(low) + 0.02) / 2, abs=1e-4)


def test_its_memory_is_bounded_by_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The luminance and its coefficients are kept whole, 4 bytes a pixel each; all else is there
    for a band."""
    pixels = np.tile(spliced(), (3, 4, 1))
    monkeypatch.setattr(traces, "BAND_PIXELS", 2048 * 64)
    tracemalloc.start()
    read_traces(pixels, None)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20 * pixels.shape[0] * pixels.shape[1]
