"""Copies of one picture are the same picture, whatever delivery did; what somebody changed is
framed, in both."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data
from typer.testing import CliRunner, Result

from causalclip.commands.app import app
from causalclip.commands.shared import DONE, REFUSED
from causalclip.compare.pictures import MAX_CONFIDENCE, compare
from causalclip.images.reencoding import encode
from causalclip.report.comparison import overlaid

# left, top, right, bottom of what is changed: the astronaut's face is beside it
BOX = 120, 60, 200, 150


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.asarray(data.astronaut())


@pytest.fixture(scope="module")
def changed(picture: np.ndarray) -> np.ndarray:
    """A piece of another picture pasted in."""
    left, top, right, bottom = BOX
    pasted = picture.copy()
    pasted[top:bottom, left:right] = data.coffee()[
        200 : 200 + bottom - top, 200 : 200 + right - left
    ]
    return pasted


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    return np.asarray(encode(Image.fromarray(np.ascontiguousarray(pixels)), "JPEG", quality))


COPIES = {
    "recompressed": lambda p: jpeg(p, 60),
    "half size": lambda p: jpeg(
        cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), 80
    ),
    "cropped": lambda p: jpeg(p[40:470, 30:480], 80),
    "mirrored": lambda p: jpeg(p[:, ::-1], 80),
    "darker": lambda p: jpeg((255 * (p / 255) ** 1.2).astype(np.uint8), 85),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_the_same_picture_and_nothing_differs(picture: np.ndarray, name: str) -> None:
    found = compare(picture, COPIES[name](picture))
    assert found.answer == "same picture"
    assert found.confidence > 0.9
    assert found.changes == ()
    assert found.mirrored == (name == "mirrored")
    assert found.scale == pytest.approx(2.0 if name == "half size" else 1.0, rel=0.02)
    assert found.overlap[0] == pytest.approx(
        430 * 450 / 512**2 if name == "cropped" else 1.0, abs=0.03
    )
    assert ("not compared" in found.sentence) == (name == "cropped")
    assert "nothing differs" in found.headline


@pytest.mark.parametrize("name", ["half size", "cropped", "mirrored"])
def test_what_was_pasted_in_is_framed_in_both(
    picture: np.ndarray, changed: np.ndarray, name: str
) -> None:
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
    assert overlap(found.changes[0].box_b, there[name]) > 0.4
    assert 0.01 < found.changed < 0.08


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inside = max(0.0, width) * max(0.0, height)
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return inside / (sum(areas) - inside)


def test_what_one_hand_blurred_is_one_change_at_its_place(picture: np.ndarray) -> None:
    blurred = picture.copy()
    blurred[180:330, 20:220] = cv2.GaussianBlur(picture, (0, 0), 10)[180:330, 20:220]
    copy = jpeg(blurred, 85)
    for found in (compare(picture, copy), compare(copy, picture)):
        [change] = found.changes
        assert change.place == "middle left"
        assert "One change: middle left." in found.sentence


def test_frames_of_changes_do_not_touch(picture: np.ndarray, changed: np.ndarray) -> None:
    """Two patches a hair apart are one change, a third far away is another."""
    edited = changed.copy()
    _left, top, right, bottom = BOX
    edited[top:bottom, right + 16 : right + 60] = 90
    edited[400:480, 400:480] = 90
    found = compare(picture, edited)
    assert found.headline == "Same picture, 2 changes"
    assert {change.place for change in found.changes} == {"top centre", "bottom right"}


@pytest.mark.parametrize("side", [2, 300])
def test_a_file_and_itself_are_the_same_picture_whatever_it_shows(side: int) -> None:
    """Few points, or none, are found in what is small or empty."""
    empty = np.full((side, side, 3), 9, np.uint8)
    found = compare(empty, empty.copy())
    assert (found.answer, found.confidence, found.changes) == ("same picture", MAX_CONFIDENCE, ())
    assert (found.identical, found.overlap) == (True, (1.0, 1.0))
    assert found.sentence == "Every pixel is the same in both."
    assert found.headline == "Same picture, pixel for pixel"


def page(picture: np.ndarray, at: tuple[int, int]) -> np.ndarray:
    """A screenshot: a picture between rows of words, more than half of the points that a search
    finds."""
    shown = np.full((1500, 1200, 3), 255, np.uint8)
    for y in range(40, 1500, 24):
        cv2.putText(
            shown,
            f"What stands in line {y} of this page. " * 3,
            (20, y),
            cv2.FONT_HERSHEY_DUPLEX,
            0.6,
            (30, 30, 30),
        )
    top, left = at
    shown[top - 20 : top + picture.shape[0] + 20] = 255
    shown[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return shown


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_picture_inside_a_screenshot_is_compared(
    picture: np.ndarray, changed: np.ndarray, mirrored: bool
) -> None:
    small = cv2.resize(changed, (200, 200), interpolation=cv2.INTER_AREA)
    screen = jpeg(page(small[:, ::-1] if mirrored else small, (400, 100)), 90)
    found = compare(picture, screen) if mirrored else compare(screen, picture)  # either order
    assert (found.answer, found.mirrored) == ("same picture", mirrored)
    inside = found.inside[0] or found.inside[1]
    assert inside is not None
    assert overlap(inside, (100, 400, 300, 600)) > 0.95
    assert sorted(found.overlap) == pytest.approx([40000 / (1500 * 1200), 1.0], abs=0.02)
    left, top, right, bottom = (v * 200 / 512 for v in BOX)
    across = (200 - right, 200 - left) if mirrored else (left, right)
    there = 100 + across[0], 400 + top, 100 + across[1], 400 + bottom
    change = found.changes[0]
    assert overlap(change.box_b if mirrored else change.box_a, there) > 0.35
    assert "The picture inside the" in found.sentence
    boxes = [list(box) if box else None for box in found.inside]
    assert found.model_dump(mode="json")["inside"] == boxes


@pytest.mark.parametrize(
    "other", [data.coffee(), np.full((200, 300, 3), 127, np.uint8)], ids=["another", "empty"]
)
def test_what_has_nothing_to_do_with_it_is_no_match(picture: np.ndarray, other: np.ndarray) -> None:
    found = compare(picture, np.asarray(other))
    assert found.answer == "no match"
    assert found.overlap == (0.0, 0.0)
    assert overlaid(found) is None


@pytest.mark.parametrize("name", ["recompressed", "darker"])
def test_the_order_of_two_copies_changes_no_answer(
    picture: np.ndarray, changed: np.ndarray, name: str
) -> None:
    for original, parts in ((picture, 0), (changed, 1)):
        copy = COPIES[name](original)
        found = compare(picture, copy), compare(copy, picture)
        assert [(each.answer, len(each.changes)) for each in found] == [("same picture", parts)] * 2


# causalclip compare A B ---------------------------------------------------------------------------


@pytest.fixture
def pair(picture: np.ndarray, changed: np.ndarray, tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "a.png", tmp_path / "b.jpg"
    for pixels, path in zip((picture, changed), paths, strict=True):
        Image.fromarray(pixels).save(path)
    return paths


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["compare", *(str(a) for a in arguments)])


def test_the_report_stands_alone(pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert run(*pair, "--out-dir", tmp_path / "out").exit_code == DONE
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "Same picture, one change" in page
    assert "default-src 'none'" in page
    assert page.count("data:image/jpeg;base64,") == 2
    assert "http" not in page.replace("http-equiv", "")
    held = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert held["comparison"]["changes"][0]["share"] > 0.01
    assert Image.open(tmp_path / "out" / "first.png").size == (512, 512)


def test_a_file_that_is_no_picture_is_refused_with_its_reason(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "no.txt").write_text("no picture")
    result = run(pair[0], tmp_path / "no.txt")
    assert result.exit_code == REFUSED
    assert "not read" in result.stdout
    assert "error" in json.loads(run(pair[0], tmp_path / "no.txt", "--json").stdout)
