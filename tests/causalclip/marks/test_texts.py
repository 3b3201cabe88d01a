"""China's label in every way that it is written, and hints in names and sizes."""

import json

import pytest

from causalclip.marks.china import read_label
from causalclip.marks.names import by_name, by_size

LABEL = {"Label": "1", "ContentProducer": "001191110102MACQD9K64010000", "ProduceID": None}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(LABEL),
        json.dumps({"AIGC": LABEL}),
        json.dumps({"AIGC": json.dumps(LABEL)}),
        json.dumps(json.dumps(LABEL)),
        "AIGC" + json.dumps(LABEL),
        json.dumps(LABEL) + " and more",
    ],
)
def test_label_is_read_however_it_is_wrapped(text: str) -> None:
    assert read_label(text) == ("Doubao", "is")


@pytest.mark.parametrize(("code", "said"), [("1", "is"), ("2", "may be"), ("3", "is suspected")])
def test_its_three_values_are_told_apart(code: str, said: str) -> None:
    found = read_label(json.dumps({"Label": code}))
    assert found
    assert found[1] == said


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"Label": "9"}', '{"x": 1}', "[1]", '"' * 50, '{"AIGC": ' * 5000, '{"AIGC": {"Label": {}}}', "AIGC{"],
)
def test_what_is_no_label_is_none(text: str) -> None:
    assert read_label(text) is None


@pytest.mark.parametrize(
    ("name", "generator"),
    [
        ("Gemini_Generated_Image_3gpmmt3gpmmt3gpm.png", "Gemini"),
        ("Gemini_Generated_Image_3gpmmt3gpmmt3gpm (1).png", "Gemini"),
        ("Gemini_Generated_Image_3gpmmt3gpmmt4gpm.png", None),  # does not repeat
        ("ChatGPT Image 3. Mai 2026, 10_11_12.png", "ChatGPT"),
        ("DALL·E 2024-01-02 03.04.05 - a cat.png", "DALL-E"),
        ("someone_a_cat_in_a_hat_01234567-89ab-cdef-0123-456789abcdef_2.png", "Midjourney"),
        ("Generated Image October 26, 2025 - 2_24PM.png", "Google AI Studio"),
        ("IMG_20250101_101112.jpg", None),
        ("holiday_with_firefly.jpg", None),
    ],
)
def test_names_hint_at_a_generator(name: str, generator: str | None) -> None:
    assert by_name(name) == generator


def test_sizes_hint_in_both_orientations() -> None:
    assert by_size(1408, 768) == by_size(768, 1408) == "Gemini"
    assert by_size(1024, 1024) is None
