"""The second round of local ideas: a part without its file's history is seen; made pictures say what was replaced."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from benchmarks.local.native.ideas import COLOUR, HISTORY, Seen, by_hand, judged, overlap, put
from benchmarks.local.native.page import native
from benchmarks.local.native.pictures import KINDS, by_cell, changed, saved
from benchmarks.local.native.windows import spread
from benchmarks.local.regions.ideas import within
from causalclip.parts.traces import read_traces

PART = slice(160, 352), slice(192, 416)


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return np.asarray(data.astronaut())


@pytest.fixture(scope="module")
def spliced(photograph: np.ndarray) -> np.ndarray:
    """A photograph with a past as JPEG 75, in which a part came without one."""
    file = io.BytesIO()
    Image.fromarray(photograph).save(file, "JPEG", quality=75)
    with Image.open(file) as again:
        pixels = np.array(again.convert("RGB"))
    pixels[PART] = np.asarray(data.coffee())[100:292, 150:374]
    return pixels


def seen(pixels: np.ndarray, kind: str = "pasted back") -> Seen:
    found = read_traces(pixels, None)
    mask = np.zeros(pixels.shape[:2])
    mask[PART] = 1
    return Seen("one", kind, "owner", found.cells, found.names, found.whole, by_cell(mask, found.cell))


def test_a_part_without_the_files_earlier_compression_stands_out(spliced: np.ndarray) -> None:
    one = seen(spliced)
    by_hand([one])
    assert one.mask is not None
    assert within(one.maps[HISTORY], one.mask) > 0.85
    assert np.isfinite(one.cells).all()


def test_the_last_compression_of_a_jpeg_is_no_earlier_one(photograph: np.ndarray) -> None:
    file = io.BytesIO()
    Image.fromarray(photograph).save(file, "JPEG", quality=75)
    with Image.open(file) as again:
        table, pixels = np.array(again.quantization[0], float), np.asarray(again.convert("RGB"))  # type: ignore[attr-defined]
    assert read_traces(pixels, table).whole[1] < read_traces(pixels, None).whole[1]


@pytest.mark.parametrize("kind", sorted(set(KINDS)))
def test_made_pictures_say_what_was_replaced(photograph: np.ndarray, kind: str) -> None:
    new, mask = changed(photograph, np.asarray(data.coffee()), kind, np.random.default_rng(3))
    away = np.abs(new.astype(int) - photograph).sum(2) > 40
    assert mask.any() == (kind in ("generated", "filled", "softened", "photograph"))
    assert not (away & ~mask).mean() > 0.05 or kind in ("retouched", "caption")
    assert saved(new, np.random.default_rng(0)).pixels.shape == new.shape


def test_windows_are_laid_over_the_cells_that_they_cover() -> None:
    laid = spread(np.array([[1.0, 3.0]]), np.array([0]), np.array([0, 224]), (224, 448), (7, 14))
    assert laid[:, :6].max() == 1.0
    assert laid[:, 8:].min() == 3.0


def test_what_is_found_is_counted_at_the_owners_worst_picture(spliced: np.ndarray) -> None:
    pictures = [seen(spliced)]
    for i in range(60):
        calm = seen(spliced, "photograph")
        calm.owner, calm.scores = f"owner {i}", {COLOUR: float(i)}
        pictures.append(calm)
    by_hand(pictures)
    pictures[0].scores = {COLOUR: 58.5}
    report = judged(pictures, COLOUR)
    assert report["owners"] == 60
    assert report["flagged"]["pasted back"] == 0
    pictures[0].scores = {COLOUR: 59.0}
    assert judged(pictures, COLOUR)["flagged"]["pasted back"] == 1


def test_the_outline_is_compared_with_the_part() -> None:
    levels, part = np.zeros((10, 10)), np.zeros((10, 10), bool)
    levels[2:4, 2:5] = part[2:4, 2:5] = 1
    assert overlap(levels, part) == 1.0
    assert overlap(levels, ~part) == 0.0


def test_every_trial_keeps_the_others_reports(tmp_path: Path) -> None:
    for name in ("traces", "windows"):
        put(tmp_path / "native.json", name, {"ideas": {}})
    assert sorted(json.loads((tmp_path / "native.json").read_text())) == ["traces", "windows"]


def test_the_table_shows_each_idea_beside_its_control() -> None:
    found = {"pasted back": 0.18, "made anew": 0.03}
    ideas = {
        "trees": {"owners": 5, "inside": {"pasted back": [0.73, 74]}, "picture": found, "flagged": found},
        "a blob": {"owners": 5, "inside": {"pasted back": [0.68, 74]}},
    }
    said = native({"traces": {"pictures": {"photograph": 2, "original": 3}, "ideas": ideas}})
    assert "| trees | 0.73, n = 74 |  | 0.18 | 0.03 | 18 % | 3 % |  |" in said
    assert "control on these pictures: a blob (traces) | 0.68, n = 74" in said
    assert "5 unedited pictures of 5 owners" in said
