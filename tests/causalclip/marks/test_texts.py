"""China's label in every way that it is written, and hints in names and sizes."""

import json
import struct

import pytest

from causalclip.marks.mark import Field
from causalclip.marks.texts import by_name, by_size, edited_with_galaxy_ai, find_text_marks, read_label

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


@pytest.mark.parametrize(("kind", "said"), [(1, True), ("2", True), (0, False), ("", False), ("12", False)])
def test_an_export_of_bytedance_is_a_label_where_it_says_so(kind: object, said: bool) -> None:
    found = read_label(json.dumps({"product": "capcut", "aigc_info": {"aigc_label_type": kind}}))
    assert found == (("ByteDance", "is") if said else None)


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


@pytest.mark.parametrize(
    ("key", "value", "generator", "edited"),
    [
        ("Description", "Signature: " + "A7b+" * 80, "Grok", False),
        ("Credit", "AI-Generated with Google", "Google AI", False),
        ("Credit", "Edited with Google AI", "Google AI", True),
        ("Credit", "Apple Photos Clean Up", "Apple Photos Clean Up", True),
        ("Camera maker", "Ideogram AI", "Ideogram", False),
        ("Software", "AI generated;txt2img;flux", "FLUX", False),
        ("Artist", "AI generated", "an image generator", False),
        ("AI-generation-source", "LEONARDO_IMAGE", "Canva Magic Media", False),
        ("Comment", '{"prompt": "a", "model": "b", "nologo": true}', "pollinations.ai", False),
        ("Comment", "a cat\nCivitai resources: [{}]", "Civitai", False),
        ("AIGC", json.dumps(json.dumps(LABEL)), "Doubao", False),
        ("Software", "Topaz Gigapixel AI 7", "Topaz", True),
    ],
)
def test_metadata_name_who_made_or_edited_a_picture(key: str, value: str, generator: str, edited: bool) -> None:
    (mark,) = find_text_marks([Field("", key, value)])
    assert (mark.generator, mark.edited) == (generator, edited)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Description", "Signature: Mayor of Lyon"),
        ("Credit", "Photographed, not AI-generated with Google"),
        ("Description", "A parade of AI generated floats"),
        ("Comment", '{"prompt": "press enter"}'),
        ("Camera maker", "Canon"),
        ("Software", "Adobe Lightroom"),
        ("Comment", '{"prompt": ' * 3000),
    ],
)
def test_what_a_photographer_writes_is_no_mark(key: str, value: str) -> None:
    assert find_text_marks([Field("", key, value)]) == ()


def trailer(block: bytes, *, back: int | None = None, count: int = 1) -> bytes:
    """A JPEG's end and Samsung's trailer with one block."""
    entry = struct.pack("<HHII", 0, 0x0D91, len(block) if back is None else back, len(block))
    directory = b"SEFH" + struct.pack("<II", 107, count) + entry
    return b"\xff\xd9" + block + directory + struct.pack("<I", len(directory)) + b"SEFT"


def named(value: bytes, name: bytes = b"PEg_Info") -> bytes:
    return b"\0\0\x91\x0d" + struct.pack("<I", len(name)) + name + value


@pytest.mark.parametrize(("kind", "said"), [(1, True), (8, True), (0, False)])
def test_samsungs_trailer_says_whether_generative_ai_edited(kind: int, said: bool) -> None:
    assert edited_with_galaxy_ai(trailer(named(json.dumps({"genAIType": kind}).encode()))) is said


def test_an_ordinary_edit_on_a_samsung_is_silent() -> None:
    assert not edited_with_galaxy_ai(trailer(named(b'{"genAIType": 1}', name=b"PhotoEditor_Re_Edit_Data")))


def test_damaged_trailers_are_silent() -> None:
    whole = trailer(named(b'{"genAIType": 1}'))
    for cut in range(len(whole)):
        assert not edited_with_galaxy_ai(whole[cut + 1 :]) or cut < 2  # the picture's end is no part of it
    assert not edited_with_galaxy_ai(trailer(named(b'{"genAIType": 1}'), back=2**31))
    assert edited_with_galaxy_ai(trailer(named(b'{"genAIType": 1}'), count=2**31))  # the first entry is whole
    assert not edited_with_galaxy_ai(trailer(named(b"[" * 60_000)))
