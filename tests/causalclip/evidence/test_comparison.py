"""Copies of one picture are the same picture, whatever delivery did; what somebody changed is framed, in both."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from causalclip.evidence import keypoints
from causalclip.evidence.blocks import HIGH
from causalclip.evidence.comparison import MOST, Comparison, compare, headline, judge, row
from causalclip.pictures.delivery import encode
from causalclip.report.drawing import draw_boxes, overlaid

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


def test_another_colour_is_framed_whole(picture: np.ndarray) -> None:
    """A hue that is nowhere else in either copy: its tones can be led back to what was there before."""
    cat, (left, top, right, bottom) = np.asarray(data.chelsea()), BOX
    hue = cv2.cvtColor(cat, cv2.COLOR_RGB2HSV)
    hue[top:bottom, left:right, 0] = (hue[top:bottom, left:right, 0] + 40) % 180
    found = compare(cat, jpeg(cv2.cvtColor(hue, cv2.COLOR_HSV2RGB), 85))
    assert len(found.changes) == 1
    assert overlap(found.changes[0].box_a, BOX) > 0.6


def test_a_caption_in_a_copy_of_200_px_is_one_part(picture: np.ndarray) -> None:
    written = np.asarray(data.coffee()).copy()
    cv2.putText(written, "BREAKING NEWS", (150, 250), cv2.FONT_HERSHEY_DUPLEX, 0.8, (230, 230, 230), 1)
    found = compare(data.coffee(), jpeg(cv2.resize(written, (200, 133), interpolation=cv2.INTER_AREA), 75))
    assert len(found.changes) == 1
    assert overlap(found.changes[0].box_a, (150, 230, 350, 252)) > 0.4


def test_a_room_that_is_nearly_its_own_mirror_image(picture: np.ndarray) -> None:
    """Half of its points agree with the wrong way round, more than are needed for a placement."""
    half = data.coffee()[:, :300]
    room = np.concatenate([half, half[:, ::-1]], 1)
    room[100:, 20:240] = data.chelsea()[:300, :220]
    found = compare(room, jpeg(room[:, ::-1], 80))
    assert (found.answer, found.mirrored, found.changes) == ("same picture", True, ())


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
    assert (found.identical, found.overlap) == (True, (1.0, 1.0))
    assert found.sentence == "Every pixel is the same in both."
    assert headline(found) == "Same picture, pixel for pixel"


def test_a_thumbnail_of_a_large_picture_is_the_same_picture(picture: np.ndarray, changed: np.ndarray) -> None:
    """A fifteenth of the sides; and all of it is compared, though the frame of a thumbnail is not looked at."""
    large = cv2.resize(picture, (4200, 4200), interpolation=cv2.INTER_CUBIC)
    found = compare(large, cv2.resize(changed, (280, 280), interpolation=cv2.INTER_AREA))
    assert found.answer == "same picture"
    assert overlap(found.changes[0].box_a, tuple(4200 / 512 * v for v in BOX)) > 0.4
    assert found.overlap == pytest.approx((1.0, 1.0), abs=0.01)
    assert "not compared" not in found.sentence


def page(picture: np.ndarray, at: tuple[int, int], words: str = "What stands in line {} of this page. ") -> np.ndarray:
    """A screenshot: a picture between rows of words, more than half of the points that a search finds."""
    shown = np.full((1500, 1200, 3), 255, np.uint8)
    for y in range(40, 1500, 24):
        cv2.putText(shown, words.format(y) * 3, (20, y), cv2.FONT_HERSHEY_DUPLEX, 0.6, (30, 30, 30))
    top, left = at
    shown[top - 20 : top + picture.shape[0] + 20] = 255
    shown[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return shown


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_picture_inside_a_screenshot_is_compared(picture: np.ndarray, changed: np.ndarray, mirrored: bool) -> None:
    small = cv2.resize(changed, (200, 200), interpolation=cv2.INTER_AREA)
    screen = jpeg(page(small[:, ::-1] if mirrored else small, (400, 100)), 90)
    for found, box in ((compare(screen, picture), "box_a"), (compare(picture, screen), "box_b")):
        assert (found.answer, found.mirrored) == ("same picture", mirrored)
        inside = found.inside[0] or found.inside[1]
        assert inside is not None
        assert overlap(inside, (100, 400, 300, 600)) > 0.95
        assert sorted(found.overlap) == pytest.approx([40000 / (1500 * 1200), 1.0], abs=0.02)
        left, top, right, bottom = (v * 200 / 512 for v in BOX)
        across = (200 - right, 200 - left) if mirrored else (left, right)
        there = 100 + across[0], 400 + top, 100 + across[1], 400 + bottom
        assert overlap(getattr(found.changes[0], box), there) > 0.35
        assert "The picture inside the" in found.sentence
        assert json.loads(json.dumps(found.as_dict()))["inside"] == [list(b) if b else None for b in found.inside]


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


def test_of_two_pages_each_part_is_searched_for_points_once(
    monkeypatch: pytest.MonkeyPatch, picture: np.ndarray
) -> None:
    """Every part of one is laid over every part of the other; its points stay what they are."""
    looked: list[tuple[bytes, str]] = []

    def counted(grey: np.ndarray, method: keypoints.Method) -> keypoints.Keypoints:
        looked.append((grey.tobytes(), method))
        return find(grey, method)

    find = keypoints.find
    monkeypatch.setattr(keypoints, "find", counted)
    other = page(half(picture)[:200, :200], (300, 200), "{}: QUICK FOXES JUMP. ")
    compare(page(data.coffee()[:200, :200], (400, 100)), other)
    assert len(looked) > 8  # more than the pages themselves were laid over each other
    assert len(looked) == len(set(looked))
