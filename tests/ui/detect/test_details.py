"""What stands beside the verdict: facts, the map in words and numbers, examples."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from causalclip.clip.weights import ASSETS
from causalclip.detector import Detection, SeenView
from causalclip.maps.overlay import prepare
from causalclip.pictures.loading import load_image
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from ui.detect.details import facts, legend, map_says, map_words, regions, shelf
from ui.detect.examples import Example
from ui.detect.tab import SAMPLE


@pytest.fixture(scope="module")
def detection() -> Detection:
    return tiny_detector().predict(photo(160, 120))


def numbers(html: str) -> list[float]:
    found = re.findall(r"<td><bdi dir='ltr'>([+\N{MINUS SIGN}][\d.]+)</bdi></td>", html)
    return [float(n.replace("\N{MINUS SIGN}", "-")) for n in found]


def one_patch(row: int, column: int, value: float, *, rest: float = 0.0) -> Detection:
    """A square picture whose evidence lies in one of 3 x 3 patches."""
    patches = np.zeros((3, 3), np.float32)
    patches[row, column] = value
    mask = np.ones(6, np.float32)
    view = SeenView("whole", (0, 0, 300, 300), patches, -patches, rest, mask, np.zeros(6, np.float32), 0.0)
    parts = (("cls:1", 6),)
    return Detection(
        0.5, value + rest, "inconclusive", 0.2, 0.8, 300, 300, (view,), 0.0, (), parts, "m", "r", "float32", 0.1
    )


def test_the_table_adds_up_to_the_score(detection: Detection) -> None:
    *terms, total = numbers(regions(detection))
    assert sum(terms) == pytest.approx(total, abs=0.01 * len(terms))
    assert total == pytest.approx(detection.logit, abs=0.006)


@pytest.mark.parametrize(
    ("row", "column", "place"),
    [(0, 0, "top left"), (1, 1, "the centre"), (2, 2, "bottom right"), (1, 0, "middle left")],
)
@pytest.mark.parametrize(("value", "side"), [(1.0, "generated"), (-1.0, "not generated")])
def test_places_are_where_they_are(row: int, column: int, place: str, value: float, side: str) -> None:
    found = one_patch(row, column, value)
    assert map_words(found).endswith(f"The strongest part is {place}, which pushes towards {side}.")
    assert re.search(rf"<th scope='row'>{place}</th><td>{side}</td>", regions(found))


def test_a_map_that_disagrees_with_the_score_is_said() -> None:
    assert "as the score does" in regions(one_patch(0, 0, 1.0))
    assert "point different ways" in regions(one_patch(0, 0, 1.0, rest=-3.0))
    assert "nearly cancel out" in regions(one_patch(0, 0, 0.01, rest=-3.0))


def test_the_peak_of_the_map_is_named_beside_the_parts() -> None:
    html = regions(one_patch(2, 0, 1.0))
    left, top = (int(n) for n in re.search(r"map is (\d+) % from the left and (\d+) % from the top", html).groups())
    assert left < 34
    assert top > 66
    assert "it pushes towards generated" in html
    assert "cannot be drawn" in html


def test_the_legend_says_how_well_such_maps_point() -> None:
    assert "chance: 0.50" in legend()
    assert re.search(r"AUC of 0\.\d\d", legend())


def test_below_the_map_stands_what_it_cannot_show_and_cannot_know() -> None:
    flat = np.full((120, 160, 3), 90, np.uint8)
    said = map_says(prepare(flat, tiny_detector().predict(flat)))
    assert re.search(r"\d+ % of what makes up this score is tied to no place", said)
    assert "cannot know in the hatched 100 % of the picture" in said


def test_facts_say_what_was_read_and_seen(detection: Detection) -> None:
    loaded = load_image(encode(photo(160, 120), "PNG"))
    html = facts(detection, loaded)
    assert "160 × 120 pixels, PNG" in html
    assert loaded.sha256 in html
    assert "close up, in 4 windows of 32 × 32 pixels" in html
    assert "<b>" not in facts(dataclasses.replace(detection, model="<b>x</b>"), loaded)
    small = tiny_detector().predict(photo(64, 64).copy()[:36, :36])
    assert "close up" not in facts(small, loaded)
    long = tiny_detector().predict(photo(700, 90))
    assert "of the picture was not seen (hatched on the map)" in facts(long, loaded)


def test_other_generated_pictures_to_try_are_a_link_away(tmp_path: Path) -> None:
    html = shelf([])
    assert "Try other generated ones" in html
    links = re.findall(r"<a href='(.+?)' target='_blank' rel='noopener noreferrer'>(.+?)</a>", html)
    assert [words for _, words in links] == ["by Stable Diffusion", "by DALL-E", "by Midjourney"]
    assert all(address.startswith("https://commons.wikimedia.org/") for address, _ in links)


def test_examples_are_buttons_with_their_captions(tmp_path: Path) -> None:
    Image.fromarray(photo(64, 64)).save(tmp_path / "t.jpg")
    examples = [Example(tmp_path / "a.png", tmp_path / "t.jpg", caption) for caption in ("a cat", "a <b>")]
    html = shelf(examples)
    assert html.count("<button type='button'") == 2
    assert "data-index='1'" in html
    assert "a &lt;b&gt;" in html
    assert "src='data:image/jpeg;base64," in html
    assert str(tmp_path) not in html


def test_the_sample_has_the_shipped_thresholds() -> None:
    calibration = json.loads((ASSETS / "detector" / "config.json").read_text())["calibration"]
    assert pytest.approx((calibration["low"], calibration["high"]), abs=0.01) == SAMPLE
