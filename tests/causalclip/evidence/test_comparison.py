"""Copies of one picture are the same picture, whatever delivery did; what somebody changed is framed, in both."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data
from typer.testing import CliRunner, Result

from causalclip.cli import app
from causalclip.cli_helpers import DONE, REFUSED
from causalclip.evidence import keypoints
from causalclip.evidence.blocks import HIGH, Blocks, find_changes
from causalclip.evidence.comparison import MOST, compare, headline, judge, scene
from causalclip.evidence.keypoints import Epipolar, epipolar
from causalclip.images import formats
from causalclip.images.augmentation import encode
from causalclip.report.drawing import overlaid

SIDE, TILE, FARTHEST = 512, 32, 60  # px; of the picture, of what lies at one depth, and of its farthest shift
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
    assert found.overlap[0] == pytest.approx(430 * 450 / 512**2 if name == "cropped" else 1.0, abs=0.03)
    assert ("not compared" in found.sentence) == (name == "cropped")
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


@pytest.mark.parametrize("other", [data.coffee(), np.full((200, 300, 3), 127, np.uint8)], ids=["another", "empty"])
def test_what_has_nothing_to_do_with_it_is_no_match(picture: np.ndarray, other: np.ndarray) -> None:
    found = compare(picture, np.asarray(other))
    assert found.answer == "no match"
    assert found.overlap == (0.0, 0.0)
    assert overlaid(found) is None


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


# Two points of view --------------------------------------------------------------------------------------------------


def shifted(picture: np.ndarray, *, along: tuple[int, int]) -> np.ndarray:
    """A second view: every tile lies at a depth of its own, so that it moves by its own amount, down and across."""
    rng = np.random.default_rng(0)
    other = np.full_like(picture, 128)
    for top in range(0, SIDE, TILE):
        for left in range(0, SIDE, TILE):
            y, x = (int(rng.integers(-FARTHEST, FARTHEST + 1)) * by for by in along)
            down, across = (min(SIDE - TILE, max(0, at + by)) for at, by in ((top, y), (left, x)))
            other[down : down + TILE, across : across + TILE] = picture[top : top + TILE, left : left + TILE]
    return other


def test_a_camera_that_moved_aside_shows_the_same_scene(picture: np.ndarray) -> None:
    found = compare(picture, shifted(picture, along=(0, 1)))
    assert found.answer == "same scene, another moment"
    assert found.points >= 20
    assert found.changes == ()
    assert found.aligned is None


def test_points_that_move_every_way_are_of_no_rigid_scene(picture: np.ndarray) -> None:
    aside, scattered = (epipolar(picture, shifted(picture, along=along)) for along in ((0, 1), (1, 1)))
    assert aside.share > 2 * scattered.share


@pytest.mark.parametrize("few", [Epipolar(8, 0.9, 0.5), Epipolar(40, 0.1, 0.5), Epipolar(40, 0.9, 0.01)])
def test_few_points_a_small_share_or_a_shared_logo_are_no_scene(few: Epipolar) -> None:
    assert scene(few) is None
    assert scene(Epipolar(40, 0.9, 0.5)) == ("same scene, another moment", 0.75)
    wide = (8.0, 0.9, 0.8, 0.98, 1.0)  # where a camera turned, what agrees lies in one corner
    assert judge(wide)[0] == "same picture"
    assert judge((*wide[:2], 0.18, *wide[3:]))[0] == "same scene, another moment"


# What counts as a change ----------------------------------------------------------------------------------------------


def blocks(*, z: float, similarity: float, size: tuple[int, int]) -> Blocks:
    """Nothing differs but one part of `size` blocks."""
    differs, alike = np.zeros((20, 30), np.float32), np.ones((20, 30), np.float32)
    part = slice(5, 5 + size[0]), slice(8, 8 + size[1])
    differs[part], alike[part] = z, similarity
    return Blocks(differs, alike, np.ones((20, 30), bool), np.ones((20, 30), bool))


def test_tone_alone_must_differ_far_or_widely() -> None:
    assert len(find_changes(blocks(z=30, similarity=1.0, size=(2, 2)))) == 1
    assert find_changes(blocks(z=16, similarity=0.99, size=(2, 2))) == []
    assert len(find_changes(blocks(z=16, similarity=0.99, size=(4, 4)))) == 1
    assert find_changes(blocks(z=8, similarity=0.99, size=(4, 4))) == []
    assert find_changes(blocks(z=10, similarity=0.96, size=(4, 4))) == []  # it keeps nearly all of its structure


def test_less_is_enough_where_the_structure_went() -> None:
    (part,) = find_changes(blocks(z=10, similarity=0.8, size=(4, 4)))
    assert part.lost == pytest.approx(10 * (1 - 0.8), rel=1e-4)
    assert find_changes(blocks(z=4, similarity=0.8, size=(4, 4))) == []  # nothing is over the lower threshold


def test_another_thing_is_a_change_in_however_coarse_copies() -> None:
    assert len(find_changes(blocks(z=1, similarity=0.1, size=(2, 2)))) == 1
    assert find_changes(blocks(z=1, similarity=0.1, size=(1, 2))) == []
    assert find_changes(blocks(z=1, similarity=0.7, size=(4, 4))) == []


# causalclip compare A B -----------------------------------------------------------------------------------------------


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    picture = np.asarray(data.astronaut())
    changed = picture.copy()
    changed[60:150, 120:200] = 0
    paths = tmp_path / "a.png", tmp_path / "b.jpg"
    for pixels, path in zip((picture, changed), paths, strict=True):
        Image.fromarray(pixels).save(path)
    return paths


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["compare", *(str(a) for a in arguments)])


def test_words_say_the_answer_and_number_the_changes(pair: tuple[Path, Path]) -> None:
    result = run(*pair)
    assert result.exit_code == DONE
    first, second = result.stdout.splitlines()
    assert first.startswith("Same picture, one part differs (confidence 9")
    assert second.startswith("1: ")
    said = json.loads(run(*pair, "--json").stdout)
    assert (said["paths"], said["answer"], len(said["changes"])) == ([str(path) for path in pair], "same picture", 1)


def test_words_and_report_are_in_the_language_that_was_asked_for(pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(*pair, "--lang", "de", "--out-dir", tmp_path / "out")
    assert result.stdout.startswith("Dasselbe Bild, eine Stelle unterscheidet sich (Konfidenz 9")
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "<html lang='de' dir='ltr'>" in page
    assert "Was dies nicht sagen kann" in page
    assert json.loads(run(*pair, "--json", "--lang", "de").stdout)["answer"] == "same picture"
    assert run(*pair, "--lang", "xx").exit_code == REFUSED


def test_a_picture_that_is_read_at_half_its_size_says_so_at_every_door(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes and boxes are of the half."""
    monkeypatch.setattr(formats, "MAX_PIXELS", 200_000)
    Image.open(pair[0]).resize((400, 400)).save(pair[0])
    result = run(*pair, "--out-dir", tmp_path / "out")
    assert result.stdout.splitlines()[1].startswith("Second picture: The picture has 512 x 512 pixels")
    said = json.loads(run(*pair, "--json").stdout)
    assert said["sizes"] == [[400, 400], [256, 256]]
    assert "half its size" in said["notes"][0]
    for name in ("html", "json"):
        assert "half its size" in (tmp_path / "out" / f"comparison.{name}").read_text(encoding="utf-8")


def test_the_report_stands_alone(pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert run(*pair, "--out-dir", tmp_path / "out").exit_code == DONE
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "Same picture, one part differs" in page
    assert "default-src 'none'" in page
    assert page.count("data:image/jpeg;base64,") == 2
    assert "http" not in page.replace("http-equiv", "")
    held = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert held["comparison"]["changes"][0]["share"] > 0.01
    assert Image.open(tmp_path / "out" / "first.png").size == (512, 512)


def test_a_file_that_is_no_picture_is_refused_with_its_reason(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "no.txt").write_text("no picture")
    result = run(pair[0], tmp_path / "no.txt")
    assert result.exit_code == REFUSED
    assert "not read" in result.stdout
    assert "error" in json.loads(run(pair[0], tmp_path / "no.txt", "--json").stdout)
