"""Marks in texts: China's label, metadata, names, sizes, Samsung's trailer, and texts in the lowest
bits of pixels."""

import base64
import gzip
import json
from collections.abc import Iterator

import numpy as np
import pytest
import skimage.data
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

from causalclip.examination.headline import make_headline
from causalclip.examination.stages import read_claims, with_pixel_marks
from causalclip.images import steganography as hidden_text
from causalclip.images.decoding import decode
from causalclip.images.loading import load_image
from causalclip.images.steganography import MAX_TEXT, read_hidden
from causalclip.marks.hints import generator_by_name, generator_by_size
from causalclip.marks.label import read_label
from causalclip.marks.mark import UNKNOWN_SERVICE, UNNAMED, Field
from causalclip.marks.samsung import edited_with_galaxy_ai
from causalclip.marks.texts import find_hidden_marks, find_text_marks
from causalclip.provenance.result import Provenance
from tests.makers.marks import hide
from tests.makers.metadata_files import samsung_trailer
from tests.makers.pictures import encode

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


@pytest.mark.parametrize(
    ("producer", "name"),
    [
        ("001191440300708461136T10000", "Tencent Yuanbao"),
        ("腾讯元宝", "Tencent Yuanbao"),
        ("Tencent Yuanbao", "Tencent Yuanbao"),
        ("腾讯混元", "Tencent Hunyuan"),
        ("hunyuan-image-3.0", "Tencent Hunyuan"),
    ],
)
def test_tencents_services_are_known_by_code_and_by_name(producer: str, name: str) -> None:
    assert read_label(json.dumps({"Label": "1", "ContentProducer": producer})) == (name, "is")


@pytest.mark.parametrize("caption", ["AIGC: 腾讯混元 was shown", '{"Label": "腾讯混元"}'])
def test_a_word_about_hunyuan_is_no_label(caption: str) -> None:
    assert read_label(caption) is None


@pytest.mark.parametrize(("code", "said"), [("1", "is"), ("2", "may be"), ("3", "is suspected")])
def test_its_three_values_are_told_apart(code: str, said: str) -> None:
    found = read_label(json.dumps({"Label": code, "ProduceID": ""}))
    assert found[1] == said


def test_a_member_called_label_alone_is_a_label_only_under_its_name() -> None:
    alone = json.dumps({"Label": "1"})
    assert read_label(json.dumps({"AIGC": {"Label": "1"}})) == (UNKNOWN_SERVICE, "is")
    assert read_label("AIGC" + alone) == (UNKNOWN_SERVICE, "is")
    assert find_text_marks([Field("XMP", "AIGC", alone)])[0].says == "is"
    assert find_text_marks([Field("EXIF", "Comment", '{"Label": "1", "class": "cat"}')]) == ()


@pytest.mark.parametrize(
    ("kind", "said"), [(1, True), ("2", True), (0, False), ("", False), ("12", False)]
)
def test_an_export_of_bytedance_is_a_label_where_it_says_so(kind: object, said: bool) -> None:
    found = read_label(json.dumps({"product": "capcut", "aigc_info": {"aigc_label_type": kind}}))
    assert found == (("ByteDance", "is") if said else None)


def test_dreamina_says_generation_beside_a_label_of_zero() -> None:
    info, data = (
        {"aigc_label_type": 0, "source_info": "dreamina"},
        {"product": "dreamina", "exportType": "generation"},
    )
    assert read_label(json.dumps({"aigc_info": info, "data": data})) == ("Jimeng", "is")
    assert (
        read_label(
            json.dumps({"aigc_info": info, "data": {"product": "dreamina", "exportType": "edit"}})
        )
        is None
    )


GRAPH = '{"4": {"inputs": {"ckpt_name": "a"}, "class_type": "Loader"}}'
# as ComfyUI's page saves it, until and since its format 1
DRAWN = '{"last_node_id": 9, "nodes": [{"id": 9, "type": "SaveImage"}], "links": []}'
DRAWN_SINCE = '{"version":1,"state":{"lastNodeId":9},"nodes":[{"id":9,"type":"SaveImage"}]}'


@pytest.mark.parametrize(
    ("name", "value", "generator"),
    [
        ("Camera maker", "Workflow: " + GRAPH, "ComfyUI"),
        ("Camera", "prompt:" + GRAPH, "ComfyUI"),
        ("Comment", GRAPH, "ComfyUI"),
        ("Comment", GRAPH.replace('"', ""), "ComfyUI"),
        ("Description", DRAWN, "ComfyUI"),
        ("Camera maker", "Workflow:" + DRAWN, "ComfyUI"),
        ("Description", DRAWN_SINCE, "ComfyUI"),
        ("Description", DRAWN_SINCE.replace('"', ""), "ComfyUI"),
        (
            "Description",
            "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7",
            "Stable Diffusion web UI",
        ),
        (
            "Comment",
            '{"Prompt": "a", "Negative": "b", "steps": 9, "seed": 1, "software": "RuinedFooocus"}',
            "Fooocus",
        ),
        ("Comment", '{"prompt": "a", "steps": 9, "seed": 1, "sampler": "x"}', "an image generator"),
        ("Software", "FooocusPlus 1.0.0", "Fooocus"),
        ("Software", "Draw Things", "Draw Things"),
        ("AI system used", "a model of our own", "an image generator"),
        ("Camera maker", "Leonardo.Ai", "Leonardo"),
    ],
)
def test_a_generator_is_named_wherever_it_writes(name: str, value: str, generator: str) -> None:
    found = find_text_marks([Field("EXIF", name, value)])
    assert [mark.generator.partition(" (")[0] for mark in found] == [generator]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Camera maker", "Firefly"),  # a camera
        ("Description", "The inputs of a class; class types are listed in {braces}."),
        ("Comment", '{"prompt": "Which seed was sown?", "model": "plough"}'),
        ("Comment", '{"steps": 9, "seed": 1, "sampler": "x"}'),
        ("Comment", "A line about sui_image_params and last_node_id"),
        ("Comment", "convert --v 2 --v 3"),
        ("AI system used", "None"),
        ("Software", "Adobe Photoshop 26.0"),
    ],
)
def test_what_no_generator_writes_is_no_mark(name: str, value: str) -> None:
    assert find_text_marks([Field("EXIF", name, value)]) == ()


def png_marks(**texts: str) -> list[tuple[str, str]]:
    """Generator and certainty of each mark among texts of a PNG."""
    fields = [Field("PNG text", name, value) for name, value in texts.items()]
    return [(mark.generator, mark.certainty) for mark in find_text_marks(fields)]


@pytest.mark.parametrize(
    "texts",
    [
        {"prompt": "a cat", "negative_prompt": "", "guidance_scale": "7.5", "seed": "1"},
        {"Prompt": "a cat", "Model": "imagen-4", "Seed": "1", "Provider": "Google AI Studio"},
        {"prompt": "[a cat:a dog:0.5]", "step_count": "30", "model": "dreamshaper"},
        {"prompt": "{{{a cat}}}, 一只猫", "num_inference_steps": "30"},
    ],
)
def test_a_prompt_beside_how_it_was_sampled_is_declared(texts: dict[str, str]) -> None:
    assert png_marks(**texts) == [(UNNAMED, "declared")]


@pytest.mark.parametrize(
    "texts",
    [
        {"prompt": "a cat"},
        {"Prompt": "Describe this picture.", "model": "a reader of pictures"},
        {"negative_prompt": "blurred", "seed": "1"},
    ],
)
def test_a_prompt_alone_is_a_hint(texts: dict[str, str]) -> None:
    assert png_marks(**texts) == [(UNNAMED, "hinted")]
    assert find_text_marks([Field("EXIF", "prompt", "a cat")]) == ()


@pytest.mark.parametrize("value", ["[[[[", "", "{}", "[]", "1234", " { "])
@pytest.mark.parametrize(
    "name",
    [
        *("prompt", "workflow", "parameters", "negative_prompt", "comment", "dream"),
        *("invokeai_metadata", "invokeai_graph", "invokeai_workflow", "sd-metadata"),
        *("fooocus_scheme", "flux:model", "GrokImagePrompt", "AI-generation-source"),
        *("AIGC", "AI system used", "AI prompt"),
    ],
)
def test_a_field_that_holds_nothing_is_no_mark(name: str, value: str) -> None:
    assert png_marks(**{name: value}) == []


@pytest.mark.parametrize("name", ["prompt", "workflow", "parameters", "comment"])
@pytest.mark.parametrize(
    "value",
    [
        '{"a": 1',
        '["class_type", "inputs"]',
        '{"nodes": []}',
        '{"nodes": [{"id": "Ann"}], "links": [{"source": "Ann", "target": "Eve"}]}',
        '{"nodes": [{"type": "n8n.http"}], "connections": {}}',
        '{"prompt": "Describe this picture.", "model": "a reader", "temperature": 0.7}',
    ],
)
def test_what_is_no_graph_and_holds_no_settings_is_no_mark(name: str, value: str) -> None:
    assert png_marks(**{name: value}) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"Label": "9"}',
        '{"x": 1}',
        "[1]",
        '"' * 50,
        '{"AIGC": ' * 5000,
        '{"AIGC": {"Label": {}}}',
        "AIGC{",
    ],
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
    assert generator_by_name(name) == generator


def test_sizes_hint_in_both_orientations() -> None:
    assert generator_by_size(1408, 768) == generator_by_size(768, 1408) == "Gemini"
    assert generator_by_size(1024, 1024) is None


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
def test_metadata_name_who_made_or_edited_a_picture(
    key: str, value: str, generator: str, edited: bool
) -> None:
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
        ("Description", "A story about Midjourney and DALL-E"),
        ("parameters", "shutter 1/250, aperture f/8"),
        ("prompt", "Write a caption"),
        ("Software", "GIMP 3.0"),
        ("Comment", "Steps: up to the church"),
        ("Title", "Firefly over a meadow"),
        ("Source", "OpenAI"),
    ],
)
def test_what_a_photographer_writes_is_no_mark(key: str, value: str) -> None:
    assert find_text_marks([Field("", key, value)]) == ()


@pytest.mark.parametrize(("kind", "said"), [(1, True), (8, True), (0, False)])
def test_samsungs_trailer_says_whether_generative_ai_edited(kind: int, said: bool) -> None:
    assert edited_with_galaxy_ai(samsung_trailer(json.dumps({"genAIType": kind}).encode())) is said


def test_an_ordinary_edit_on_a_samsung_is_silent() -> None:
    assert not edited_with_galaxy_ai(
        samsung_trailer(b'{"genAIType": 1}', name=b"PhotoEditor_Re_Edit_Data")
    )


def test_damaged_trailers_are_silent() -> None:
    whole = samsung_trailer(b'{"genAIType": 1}')
    for cut in range(1, len(whole)):
        assert not edited_with_galaxy_ai(whole[cut:])
    assert not edited_with_galaxy_ai(samsung_trailer(b'{"genAIType": 1}', back=2**31))
    # the first entry is whole
    assert edited_with_galaxy_ai(samsung_trailer(b'{"genAIType": 1}', count=2**31))
    assert not edited_with_galaxy_ai(samsung_trailer(b"[" * 60_000))


KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
SETTINGS = "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7"


def novelai(pixels: np.ndarray, key: Ed25519PrivateKey) -> bytes:
    """NovelAI's text for uint8 RGB [H, W, 3], signed."""
    comment = {"prompt": "a café", "steps": 28, "scale": 10.0, "seed": 1}
    signature = key.sign(pixels.tobytes() + json.dumps(comment).encode())
    signed = json.dumps(comment | {"signed_hash": base64.b64encode(signature).decode()})
    return json.dumps({"Description": "a café", "Software": "NovelAI", "Comment": signed}).encode()


@pytest.fixture(autouse=True)
def _our_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hidden_text, "NOVELAI_KEY", PUBLIC)


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return skimage.data.astronaut()[:256]


@pytest.fixture(scope="module")
def signed(photograph: np.ndarray) -> np.ndarray:
    return hide(photograph, novelai(photograph, KEY))


@pytest.mark.parametrize(
    ("name", "options"), [("PNG", {}), ("WebP", {"lossless": True, "exact": True})]
)
def test_a_signature_holds_in_every_lossless_file(
    signed: np.ndarray, name: str, options: dict[str, bool]
) -> None:
    *_decoded, found = decode(encode(Image.fromarray(signed), name, **options), name)  # type: ignore[arg-type]
    (mark,) = find_hidden_marks(found[0], signed=found[1])
    assert (mark.generator, mark.kind, mark.certainty) == ("NovelAI", "signature", "signed")


def damaged(signed: np.ndarray) -> Iterator[np.ndarray]:
    for at in ((0, 0, 0), (255, 511, 2), (100, 100, 1)):
        changed = signed.copy()
        changed[at] ^= 1
        yield changed


def test_one_changed_pixel_is_no_proof(signed: np.ndarray) -> None:
    for pixels in damaged(signed):
        found = read_hidden(Image.fromarray(pixels))
        (mark,) = find_hidden_marks(found[0], signed=found[1])  # still what anybody can write
        assert (mark.generator, mark.certainty) == ("NovelAI", "declared")


def test_another_key_is_no_proof(signed: np.ndarray) -> None:
    """The way through the sandbox: its process knows NovelAI's own key alone."""
    hidden = load_image(encode(Image.fromarray(signed), "PNG")).hidden
    assert not hidden[1]


def test_a_signature_moved_to_another_picture_is_no_proof(photograph: np.ndarray) -> None:
    found = read_hidden(Image.fromarray(hide(photograph[::-1].copy(), novelai(photograph, KEY))))
    assert not found[1]


@pytest.mark.parametrize(
    "word", [b"stealth_pnginfo", b"stealth_pngcomp", b"stealth_rgbinfo", b"stealth_rgbcomp"]
)
def test_hidden_settings_are_found_through_the_sandbox(photograph: np.ndarray, word: bytes) -> None:
    data = encode(Image.fromarray(hide(photograph, SETTINGS.encode(), word=word)), "PNG")
    found = with_pixel_marks(read_claims(data), load_image(data))
    assert ["Stable Diffusion" in mark.generator for mark in found.marks] == [True]
    assert make_headline(found, "likely not generated").title == "The file says it was generated"


def test_a_proof_leads_and_is_not_called_forgeable() -> None:
    marks = find_hidden_marks('{"Software": "NovelAI"}', signed=True)
    claims = read_claims(encode(Image.new("RGB", (64, 64)), "PNG"))
    found = make_headline(Provenance(claims.credentials, marks=marks), "likely not generated")
    assert (found.title, found.source) == ("Signed as generated", "signature")
    assert "NovelAI" in found.proved
    assert "forged" not in found.claimed


def test_what_hides_nothing_is_none(photograph: np.ndarray) -> None:
    for mode in ("RGB", "RGBA", "L", "P", "1"):
        assert read_hidden(Image.fromarray(photograph).convert(mode)) is None


@pytest.mark.parametrize(
    "text",
    [
        b"\x1f\x8b" + b"x" * 300,
        gzip.compress(b"x" * 10_000_000),
        gzip.compress(b'{"Comment": {"signed_hash": ' * 3000),
        gzip.compress(b'{"Comment": "{\\"signed_hash\\": 1}"}'),
        gzip.compress(json.dumps({"Comment": json.dumps({"signed_hash": "AAAA"})}).encode()),
        gzip.compress(b'["signed_hash", "Comment"]' + b"[" * 5000),
    ],
    # gzip writes the time, which differs
    ids=["no gzip", "bomb", "cut short", "number", "short signature", "deep"],
)
def test_hostile_texts_are_bounded_and_no_proof(photograph: np.ndarray, text: bytes) -> None:
    for size in (8 * len(text), 2**32 - 1, 0):
        found = read_hidden(Image.fromarray(hide(photograph, text, size=size)))
        assert found is None or (not found[1] and len(found[0]) <= MAX_TEXT)
        assert not found or not any(
            mark.kind == "signature" for mark in find_hidden_marks(found[0], signed=found[1])
        )
