"""Twelve cases that a fact checker meets: each has its answer and its steps, by their ids."""

import json
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
import skimage.data

from causalclip.calibration import Band
from causalclip.detection import ImageType
from causalclip.examination.answer import Origin
from causalclip.examination.cautions import Caution
from causalclip.examination.headline import MAX_STEPS, make_headline, next_steps
from causalclip.examination.messages import NO_ANSWER
from causalclip.examination.owners import owners_of
from causalclip.marks.icons import ICONS
from causalclip.marks.logos import template_at
from causalclip.marks.pixels import find_marks
from causalclip.marks.stamps import STAMPS
from causalclip.provenance.claims import find_claims
from causalclip.provenance.credentials import State, read_credentials, without_claims
from causalclip.provenance.reading import read_provenance
from causalclip.provenance.result import Provenance
from causalclip.provenance.trust import trust_lists
from tests.makers.marks import stamp
from tests.makers.metadata_files import created, make_authority, png_texts, sign
from tests.makers.pictures import encode, photo, starred

WIDTH, HEIGHT, MARGIN = 1248, 832, 45
GRAPH = json.dumps({"3": {"class_type": "KSampler", "inputs": {"seed": 1}}})
LABEL = json.dumps({"Label": "1", "ContentProducer": "001191110102MACQD9K64010000"})


def signed_file(*, trusted: bool = False, changed: bool = False) -> Provenance:
    """What a file says that somebody signed as generated."""
    authority = make_authority()
    data = bytearray(sign(encode(photo(), "JPEG"), authority, created("trainedAlgorithmicMedia")))
    if changed:
        data[-100] ^= 1
    lists = replace(trust_lists(), signers=authority.root) if trusted else trust_lists()
    credentials = read_credentials(bytes(data), "JPEG", lists=lists)
    return Provenance(credentials, marks=tuple(find_claims(credentials, ())))


def silent_file() -> Provenance:
    return read_provenance(encode(photo(), "JPEG"), "JPEG")


def texted_file(key: str, value: str) -> Provenance:
    return read_provenance(png_texts((key, value)), "PNG")


def starred_file() -> Provenance:
    """What is found on a picture with Gemini's star."""
    return Provenance(without_claims("none"), marks=find_marks(starred()))


def worded_file() -> Provenance:
    """What is found on a photograph with Doubao's words in a corner."""
    pixels = cv2.resize(skimage.data.coffee(), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    template = template_at(STAMPS[0].template, 1.0)
    width = round(0.1572 * WIDTH)
    words = cv2.resize(template, (width, round(width * template.shape[0] / template.shape[1])))
    x, y = WIDTH - width - MARGIN, HEIGHT - len(words) - MARGIN
    marks = find_marks(stamp(pixels, words, x, y, much=0.6))
    return Provenance(without_claims("none"), marks=marks)


def iconed_file() -> Provenance:
    template = template_at(ICONS[0].template, 1.0)[..., None]
    pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    pixels[MARGIN : MARGIN + len(template), MARGIN : MARGIN + template.shape[1]] = 255 * template
    return Provenance(without_claims("none"), marks=find_marks(pixels))


UNSURE = Origin.LIKELY_GENERATED, Origin.INCONCLUSIVE, Origin.NO_ANSWER
UNCLEAR: Band = "inconclusive"
CASES: dict[str, tuple[Callable[[], Provenance], Band, str, str]] = {
    "signed by a trusted signer": (
        lambda: signed_file(trusted=True),
        UNCLEAR,
        "signed-generated",
        "signer copies",
    ),
    "signed by an unknown signer": (
        signed_file,
        UNCLEAR,
        "file-not-validated",
        "sender copies",
    ),
    "signed, then changed": (
        lambda: signed_file(trusted=True, changed=True),
        UNCLEAR,
        "file-not-validated",
        "signer sender copies",
    ),
    "OpenAI's mark, unsigned": (
        lambda: texted_file("Software", "OpenAI gpt-image-1"),
        UNCLEAR,
        "file-generated",
        "sender owner copies",
    ),
    "Gemini's star": (
        starred_file,
        UNCLEAR,
        "mark-of-generator",
        "magnify sender owner copies",
    ),
    "visible words of Doubao": (
        worded_file,
        UNCLEAR,
        "mark-of-generator",
        "magnify sender copies",
    ),
    "icon of the European Union": (
        iconed_file,
        UNCLEAR,
        "mark-of-generator",
        "magnify sender owner copies",
    ),
    "workflow of ComfyUI": (
        lambda: texted_file("prompt", GRAPH),
        "likely not generated",
        "file-generated",
        "sender copies",
    ),
    "label of Chinese law": (
        lambda: texted_file("AIGC", LABEL),
        UNCLEAR,
        "file-generated",
        "sender copies",
    ),
    "silent, inconclusive": (
        silent_file,
        UNCLEAR,
        "inconclusive",
        "copies owner original magnify",
    ),
    "silent, likely generated": (
        silent_file,
        "likely generated",
        "likely-generated",
        "copies owner original magnify",
    ),
    "silent, likely not generated": (
        silent_file,
        "likely not generated",
        "likely-not-generated",
        "copies original",
    ),
    "drawing": (
        silent_file,
        NO_ANSWER,
        "no-answer",
        "copies owner original magnify",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_case_has_its_answer_and_its_steps(case: str) -> None:
    make_file, band, origin, steps = CASES[case]
    found = make_file()
    headline = make_headline(found, band)
    image_type: ImageType = "drawing" if case == "drawing" else "photograph"
    told = next_steps(headline, band, found, (), image_type)
    assert headline.origin.value == origin
    assert [step.kind for step in told] == steps.split()
    assert all(step.sentence for step in told)


@pytest.mark.parametrize("image_type", ["photograph", "drawing", "page"])
@pytest.mark.parametrize("state", [None, "invalid", "trusted"])
@pytest.mark.parametrize("case", CASES)
def test_one_step_looks_for_copies_however_much_else_there_is_to_do(
    case: str, state: State | None, image_type: ImageType
) -> None:
    make_file, band, *_ = CASES[case]
    found = make_file()
    cautions = Caution("small", "small"), Caution("text", "has text")
    if state:
        found = replace(found, credentials=replace(found.credentials, state=state))
    headline = make_headline(found, band)
    kinds = [step.kind for step in next_steps(headline, band, found, cautions, image_type)]
    assert kinds.count("copies") == 1
    assert len(kinds) <= MAX_STEPS
    has_owner = headline.source in ("file", "mark") and owners_of(headline.name)
    assert kinds.count("owner") == bool(has_owner or headline.origin in UNSURE)


def test_no_answer_has_a_sign_that_no_other_answer_has() -> None:
    signs = {origin: origin.sign for origin in Origin}
    assert [origin for origin, sign in signs.items() if sign == signs[Origin.NO_ANSWER]] == [
        Origin.NO_ANSWER
    ]
