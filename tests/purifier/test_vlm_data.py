"""Reading the data, and the questions that are made from boxes."""

import random
from pathlib import Path

import pytest
from PIL import Image

from purifier.training.vlm_data import class_frequency, fixed_questions, load_pictures, mirror_text
from purifier.training.vlm_questions import KINDS, Box, box_questions, view_boxes
from purifier.vlm.features import read_size
from tests.makers.folders import vlm_folder

BOXES = [
    Box("dog", 0.05, 0.4, 0.25, 0.8),
    Box("person", 0.6, 0.1, 0.95, 0.95),
    Box("cup", 0.3, 0.5, 0.36, 0.6),
    Box("cup", 0.4, 0.5, 0.46, 0.6),
]


def test_box_questions_are_answered_by_the_boxes() -> None:
    rng = random.Random(0)
    asked = [t for _ in range(60) for t in box_questions(BOXES, {"dog": 5, "person": 9, "zebra": 2}, rng)]
    assert {t.kind for t in asked} == set(KINDS) - {"left of", "right of"}  # two classes are beside each: no one answer
    for text in asked:
        if text.kind == "presence":
            assert text.answer == ("no" if "zebra" in text.prompt else "yes")
        if text.kind == "count" and "cup" in text.prompt:
            assert text.answer == "2"
        if text.kind == "place" and text.prompt.endswith("dog"):
            assert text.answer == "left"
        if text.kind == "largest":
            assert text.answer == "person"


def test_what_is_beside_is_asked_where_it_is_one_class() -> None:
    asked = box_questions([BOXES[0], BOXES[1]], {}, random.Random(0), kinds=("left of", "right of"))
    assert [(t.kind, t.answer, t.prompt.split()[-1]) for t in asked] == [
        ("left of", "dog", "person"),
        ("right of", "person", "dog"),
    ]


def test_mirrored_boxes_swap_sides() -> None:
    mirrored = view_boxes(BOXES, (0.0, 0.0, 1.0, 1.0), flip=True)
    assert mirrored is not None
    assert mirrored[0].middle == pytest.approx(1 - BOXES[0].middle)
    assert mirror_text("left of the cup") == "right of the cup"


def test_a_crop_that_cuts_an_object_asks_nothing() -> None:
    assert view_boxes(BOXES, (0.18, 0.0, 1.0, 1.0), flip=False) is None


def test_the_fixed_questions_are_of_the_split_and_stay_the_same(tmp_path: Path) -> None:
    pictures = load_pictures(vlm_folder(tmp_path))
    asked = fixed_questions(pictures, class_frequency(pictures), split="test")
    assert asked == fixed_questions(pictures, class_frequency(pictures), split="test")
    assert {name[-5] for name, _ in asked} == {"1", "3"}


def test_a_turned_picture_has_its_seen_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10)).save(tmp_path / "a.jpg", exif=exif)
    assert read_size(tmp_path / "a.jpg") == (10, 20)
