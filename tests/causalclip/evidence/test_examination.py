"""An examination: of a part of a picture, of what is no photograph, and the sentence to paste."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from causalclip.detector import Detector
from causalclip.evidence.examination import Examination, WholePicture, examine, read_claims
from causalclip.evidence.words import IMAGE_TYPES, NO_ANSWER, NO_ANSWER_TITLE, WHAT_TO_DO, WHY_NO_ANSWER
from causalclip.image_type import ImageTypeClassifier
from causalclip.images.loading import cut, load_image
from causalclip.provenance.reading import OF_WHOLE
from causalclip.report.card import provenance_panel
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo, spliced

BOX = 60.0, 60.0, 460.0, 460.0
SETTINGS = b"ASCII\0\0\0a fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model: sdxl"

# A part of a picture: what the picture's file says, and how it was stored, counts as much -----------------------------


def marked(quality: int) -> bytes:
    """A JPEG with Stable Diffusion's settings."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = SETTINGS
    return encode(spliced(), "JPEG", quality=quality, exif=exif)


def examined(data: bytes) -> tuple[Examination, Examination]:
    """A picture, and a part of it."""
    loaded, detector = load_image(data), tiny_detector()
    part = examine(cut(loaded, BOX), detector, stability=False, whole=WholePicture.of(loaded, read_claims(data)))
    return examine(data, detector, stability=False), part


def test_a_part_has_the_claims_of_its_file_and_says_whose_they_are() -> None:
    whole, part = examined(marked(90))
    assert part.width == part.height == 400
    assert part.provenance.marks == whole.provenance.marks != ()
    assert part.headline.title == whole.headline.title == "The file says it was generated"
    assert part.format == "JPEG"
    assert any("of a picture of 512 x 512 pixels" in field.value for field in part.provenance.fields)
    assert OF_WHOLE in part.notes
    assert OF_WHOLE in part.quote
    assert OF_WHOLE in provenance_panel(part.provenance).replace("&#39;", "'")
    assert OF_WHOLE not in whole.quote


def test_a_name_is_a_hint_that_changes_no_headline() -> None:
    data, detector, name = encode(photo(512), "JPEG"), tiny_detector(), "Gemini_Generated_Image_3gpmmt3gpmmt3gpm.png"
    unnamed, named = (examine(data, detector, name=given, stability=False) for given in ("", name))
    (hint,) = named.provenance.marks
    assert (hint.generator, hint.kind, hint.certainty) == ("Gemini", "file name", "hint")
    assert unnamed.provenance.marks == named.provenance.claimed_marks == ()
    assert named.headline.title == unnamed.headline.title
    assert "proves nothing alone" in named.provenance.summary()


def test_a_part_of_what_was_compressed_too_much_is_not_searched_and_has_the_caution() -> None:
    file = io.BytesIO()
    Image.fromarray(spliced()).save(file, "GIF")
    assert examined(file.getvalue())[1].parts.why == "palette"
    for one in examined(marked(35)):
        assert (one.parts.state, one.parts.why) == ("cannot know", "compressed")
        assert "recompressed" in [caution.kind for caution in one.cautions]
        assert one.provenance.jpeg
        assert one.provenance.jpeg.quality == 35


# What is no photograph gets no answer --------------------------------------------------------------------------------


def refusing(kind: str) -> Detector:
    """A detector that takes every picture for that kind."""
    detector = tiny_detector()
    head = ImageTypeClassifier(detector.heads["whole"].shift.shape[0])
    with torch.no_grad():
        head.scores.weight.zero_()
        head.scores.bias.copy_(torch.tensor([1.0, 1.0 if kind == "page" else -1.0]))
    detector.image_types = head
    return detector


@pytest.fixture(scope="module", params=["drawing", "page", "blank"])
def refused(request: pytest.FixtureRequest) -> Examination:
    if request.param == "blank":
        noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
        return examine(encode(noise, "PNG"), tiny_detector())
    return examine(encode(photo(200, 150), "JPEG"), refusing(request.param))


def test_there_is_no_score_no_frequency_and_no_check(refused: Examination) -> None:
    said, kind = refused.as_dict(), refused.detection.kind
    assert (said["answer"], said["band"], said["kind"]) == (NO_ANSWER_TITLE, NO_ANSWER, kind)
    assert kind in IMAGE_TYPES
    assert said["probability"] is said["logit"] is said["meant"] is None
    assert said["stability"]["words"] == "Not checked"
    assert WHY_NO_ANSWER[kind] in said["quote"]
    assert "score of" not in said["quote"]
    assert "of 100" not in said["quote"]  # error rates are of answers
    assert WHAT_TO_DO[kind] in said["next_steps"]
    assert any("Magnify" in step for step in said["next_steps"]) == (kind != "blank")  # nothing to be seen
