"""Copies of one picture are the same picture, whatever delivery did; what somebody changed is framed, in both."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from causalclip.compare import Comparison, compare
from causalclip.compare.changes import HIGH
from causalclip.compare.drawing import draw_boxes, overlaid
from causalclip.compare.judging import MOST, judge
from causalclip.compare.words import headline, row
from causalclip.pictures.delivery import encode

BOX = 120, 60, 200, 150  # left, top, right, bottom of what is changed: the astronaut's face is beside it


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.asarray(data.astronaut())


@pytest.fixture(scope="module")
def changed(picture: np.ndarray) -> np.ndarray:
    """A piece of another picture pasted in."""
    left, top, right, bottom = BOX
    pasted = picture.copy()
    pasted[top:bottom, left:right] = data.coffee()[200 : 200 + bottom - top, 200 : 200 + right - left]
    return pasted


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    return np.asarray(encode(Image.fromarray(np.ascontiguousarray(pixels)), "JPEG", quality))


def half(pixels: np.ndarray) -> np.ndarray:
    return cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


COPIES = {
    "recompressed": lambda p: jpeg(p, 60),
    "half size": lambda p: jpeg(half(p), 80),
    "cropped": lambda p: jpeg(p[40:470, 30:480], 80),
    "mirrored": lambda p: jpeg(p[:, ::-1], 80),
    "darker": lambda p: jpeg((255 * (p / 255) ** 1.2).astype(np.uint8), 85),
    "softer": lambda p: jpeg(cv2.GaussianBlur(p, (0, 0), 1), 85),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_the_same_picture_and_nothing_differs(picture: np.ndarray, name: str) -> None:
    found = compare(picture, COPIES[name](picture))
    assert found.answer == "same picture"
    assert found.confidence > 0.9
    assert found.changes == ()
    assert found.mirrored == (name == "mirrored")
    assert found.scale == pytest.approx(2.0 if name == "half size" else 1.0, rel=0.02)
    assert "nothing differs" in headline(found)


@pytest.mark.parametrize("name", COPIES)
def test_what_was_pasted_in_is_framed_in_both(picture: np.ndarray, changed: np.ndarray, name: str) -> None:
    copy = COPIES[name](changed)
    found = compare(picture, copy)
    assert found.answer == "same picture"
    assert len(found.changes) >= 1
    assert overlap(found.changes[0].box_a, BOX) > 0.4
    there = {
        "half size": tuple(v / 2 for v in BOX),
        "cropped": (BOX[0] - 30, BOX[1] - 40, BOX[2] - 30, BOX[3] - 40),
        "mirrored": (512 - BOX[2], BOX[1], 512 - BOX[0], BOX[3]),
    }
    assert overlap(found.changes[0].box_b, there.get(name, BOX)) > 0.4
    assert 0.01 < found.changed < 0.08


def test_faint_lettering_is_framed_by_the_structure_that_it_takes_away(picture: np.ndarray) -> None:
    written = picture.copy()
    cv2.putText(written, "sample", (60, 130), cv2.FONT_HERSHEY_DUPLEX, 1.2, (255, 255, 255), 2, cv2.LINE_AA)
    faint = (0.15 * written + 0.85 * picture).astype(np.uint8)
    found = compare(picture, jpeg(faint, 80))
    assert [change.strength < HIGH for change in found.changes] == [True]
    assert overlap(found.changes[0].box_a, (60, 100, 190, 140)) > 0.3


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inside = max(0.0, width) * max(0.0, height)
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return inside / (sum(areas) - inside)


def test_the_order_of_the_two_makes_no_difference(picture: np.ndarray, changed: np.ndarray) -> None:
    there, back = (compare(*pair) for pair in ((picture, half(changed)), (half(changed), picture)))
    assert there.answer == back.answer == "same picture"
    assert overlap(there.changes[0].box_a, back.changes[0].box_b) > 0.7
    assert there.scale == pytest.approx(1 / back.scale, rel=0.01)


def test_the_same_two_get_the_same_answer(picture: np.ndarray, changed: np.ndarray) -> None:
    first, second = (compare(picture, changed).as_dict() for _ in range(2))
    assert first | {"seconds": 0} == second | {"seconds": 0}


@pytest.mark.parametrize("side", [2, 17, 300])
def test_a_file_and_itself_are_the_same_picture_whatever_it_shows(side: int) -> None:
    """Few points, or none, are found in what is small or empty."""
    empty = np.full((side, side, 3), 9, np.uint8)
    found = compare(empty, empty.copy())
    assert (found.answer, found.confidence, found.changes) == ("same picture", MOST, ())


@pytest.mark.parametrize("size", [(1, 1), (1, 512), (20, 20000)], ids=["a pixel", "a line", "a banner"])
def test_what_is_too_small_to_have_points_is_no_match(picture: np.ndarray, size: tuple[int, int]) -> None:
    small = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
    assert compare(small, picture).answer == compare(picture, small).answer == "no match"


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_copy_is_the_same_picture(picture: np.ndarray, changed: np.ndarray, turns: int) -> None:
    found = compare(picture, np.ascontiguousarray(np.rot90(changed, turns)))
    assert found.answer == "same picture"
    assert overlap(found.changes[0].box_a, BOX) > 0.4


def test_one_thing_from_two_places_is_no_copy() -> None:
    left, right, _ = data.stereo_motorcycle()
    found = compare(left, right)
    assert found.answer == "same scene, another moment"
    assert found.changes == ()


def test_points_in_one_corner_are_no_copy() -> None:
    """As where a camera turned: what both show agrees, and most of either is not in the other."""
    wide = (8.0, 0.9, 0.8, 0.98, 1.0)
    assert judge(wide)[0] == "same picture"
    assert judge((*wide[:2], 0.18, *wide[3:]))[0] == "same scene, another moment"


@pytest.mark.parametrize("other", [data.coffee(), np.full((200, 300, 3), 127, np.uint8)], ids=["another", "empty"])
def test_what_has_nothing_to_do_with_it_is_no_match(picture: np.ndarray, other: np.ndarray) -> None:
    found = compare(picture, np.asarray(other))
    assert found.answer == "no match"
    assert found.overlap == (0.0, 0.0)
    assert overlaid(found) is None


def test_a_crop_says_how_much_of_either_is_compared(picture: np.ndarray) -> None:
    found = compare(picture, COPIES["cropped"](picture))
    assert found.overlap[0] == pytest.approx(430 * 450 / 512**2, abs=0.03)
    assert found.overlap[1] == pytest.approx(1.0, abs=0.03)
    assert "not compared" in found.sentence


def test_it_is_plain_json(picture: np.ndarray, changed: np.ndarray) -> None:
    found = compare(picture, changed)
    plain = json.loads(json.dumps(found.as_dict()))
    assert plain["answer"] == "same picture"
    assert plain["changes"][0]["box_a"] == list(found.changes[0].box_a)
    assert "1: " in row(1, found.changes[0])


def test_frames_are_drawn_where_the_boxes_are(picture: np.ndarray, changed: np.ndarray) -> None:
    found: Comparison = compare(picture, changed)
    drawn = np.asarray(draw_boxes(picture, [found.changes[0].box_a]), int)
    off = np.abs(drawn - picture).sum(2) > 60
    left, top, right, bottom = found.changes[0].box_a
    assert off[top : bottom + 1, left].mean() > 0.8
    assert not off[top + 12 : bottom - 12, left + 12 : right - 12].any()
    pair = overlaid(found)
    assert pair is not None
    assert pair[0].size == pair[1].size
