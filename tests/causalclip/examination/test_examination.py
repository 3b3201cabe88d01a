"""An examination: of a part of a picture, of what is no photograph, and the sentence to paste."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw

from causalclip.calibration import Calibration, sigmoid
from causalclip.detection import Verdict
from causalclip.examination.messages import (
    IMAGE_TYPES,
    JUDGE_PART,
    NO_ANSWER,
    NO_ANSWER_TITLE,
    WHAT_TO_DO,
)
from causalclip.examination.result import Examination, Stage
from causalclip.examination.schema import ExaminationSchema
from causalclip.examination.stability import (
    COPIES,
    MILD,
    STRONG,
    Stability,
    copy_source,
    draw_dots,
    judge_copies,
)
from causalclip.examination.stages import examine_file
from causalclip.images.reencoding import REENCODINGS
from causalclip.provenance.result import OF_WHOLE
from causalclip.report.card import provenance_panel, stability_panel
from tests.makers.detectors import refusing_detector, tiny_detector
from tests.makers.pictures import encode, photo, spliced

BOX = 60.0, 60.0, 460.0, 460.0
SETTINGS = (
    b"ASCII\0\0\0a fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, "
    b"Model: sdxl"
)

# A part of a picture: what the picture's file says, and how it was stored, counts as much ---------


def marked(quality: int) -> bytes:
    """A JPEG with Stable Diffusion's settings."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = SETTINGS
    return encode(spliced(), "JPEG", quality=quality, exif=exif)


def examined(data: bytes) -> tuple[Examination, Examination]:
    """A picture, and a part of it."""
    detector = tiny_detector()
    part = examine_file(data, detector, until=Stage.VERDICT, part=BOX)
    return examine_file(data, detector, until=Stage.VERDICT), part


def test_a_part_has_the_claims_of_its_file_and_says_whose_they_are() -> None:
    whole, part = examined(marked(90))
    assert part.width == part.height == 400
    assert part.provenance.marks == whole.provenance.marks != ()
    assert part.headline.title == whole.headline.title == "The file says it was generated"
    assert part.format == "JPEG"
    assert "of a picture of 512 x 512 pixels" in part.part.words
    assert part.sha256 == whole.sha256
    assert "from (60, 60) to (460, 460) of a picture of 512 x 512 pixels" in part.quote
    assert part.quote.splitlines()[-1] == whole.quote.splitlines()[-1]
    assert OF_WHOLE in provenance_panel(part.provenance).replace("&#39;", "'")
    assert "The part from" not in whole.quote


def test_a_name_is_a_hint_that_changes_no_headline() -> None:
    data, detector, name = (
        encode(photo(512), "JPEG"),
        tiny_detector(),
        "Gemini_Generated_Image_3gpmmt3gpmmt3gpm.png",
    )
    unnamed, named = (
        examine_file(data, detector, name=given, until=Stage.VERDICT) for given in ("", name)
    )
    (hint,) = named.provenance.marks
    assert (hint.generator, hint.kind, hint.certainty) == ("Gemini", "file name", "hinted")
    assert unnamed.provenance.marks == named.provenance.claimed_marks == ()
    assert named.headline.title == unnamed.headline.title
    assert "proves nothing alone" in named.provenance.summary


def test_a_part_of_what_was_compressed_too_much_has_the_caution() -> None:
    for one in examined(marked(35)):
        assert "recompressed" in [caution.kind for caution in one.cautions]
        assert one.provenance.jpeg.quality == 35


# What is no photograph gets no answer -------------------------------------------------------------


@pytest.fixture(scope="module", params=["drawing", "page", "blank"])
def refused(request: pytest.FixtureRequest) -> Examination:
    if request.param == "blank":
        noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
        return examine_file(encode(noise, "PNG"), tiny_detector())
    return examine_file(encode(photo(200, 150), "JPEG"), refusing_detector(request.param))


def test_there_is_no_score_no_frequency_and_no_check(refused: Examination) -> None:
    said, kind = ExaminationSchema.dump(refused), refused.detection.image_type
    assert (said["answer"], said["band"], said["kind"]) == (NO_ANSWER_TITLE, NO_ANSWER, kind)
    assert kind in IMAGE_TYPES
    assert said["probability"] is said["logit"] is said["meant"] is None
    assert said["stability"]["words"] == "Not checked"
    assert NO_ANSWER_TITLE in said["quote"]
    assert "score of" not in said["quote"]
    assert "of 100" not in said["quote"]  # error rates are of answers
    assert WHAT_TO_DO[kind] in said["next_steps"]
    assert len(said["next_steps"]) <= 4


def test_a_photograph_that_was_found_in_a_page_is_the_first_step() -> None:
    post = Image.new("RGB", (1080, 1500), "white")
    post.paste(Image.fromarray(skimage.data.coffee()), (240, 300))
    ImageDraw.Draw(post).rectangle((60, 60, 700, 70), fill=(40, 40, 40))
    file = encode(np.asarray(post), "PNG")
    steps = examine_file(file, refusing_detector("page"), until=Stage.VERDICT).steps
    assert (steps[0].kind, steps[0].sentence) == ("crop", JUDGE_PART)


CALIBRATION = Calibration(low=0.2, high=0.8, threshold=0.4)


class Scripted:
    """A detector whose verdict on each delivery of one picture is given, in log-odds."""

    def __init__(self, pixels: np.ndarray, own: float, moves: dict[str, float]) -> None:
        self.config = replace(tiny_detector().config, calibration=CALIBRATION)
        picture = Image.fromarray(pixels)
        self.answers = {
            np.asarray(REENCODINGS[name](picture)).tobytes(): own + moves.get(name, 0.0)
            for name in (*MILD, *STRONG)
        }
        self.answers[pixels.tobytes()] = own

    def score(self, pixels: np.ndarray, *, more: float = 0.0) -> Verdict:
        logit = self.answers[pixels.tobytes()] + more
        return Verdict(sigmoid(logit), logit, CALIBRATION.band(sigmoid(logit)))

    def score_batch(
        self, pictures: Iterable[np.ndarray], *, windows: int, squares: int
    ) -> list[Verdict]:
        # fewer views see something else
        return [self.score(pixels, more=3.0) for pixels in pictures]


def stability_of(detector: Any, pixels: np.ndarray, verdict: Any = None) -> Stability:
    centre = copy_source(pixels)
    is_centre = centre.size < pixels.size
    verdict = verdict or detector.score(pixels)
    return next(judge_copies(detector, centre, verdict, is_centre=is_centre, together=COPIES + 1))


def run(own: float, **moves: float) -> Any:
    pixels = photo(160, 120)
    names = {
        "jpeg90": "JPEG 90",
        "jpeg70": "JPEG 70",
        "webp": "WebP 80",
        "small": "0.5x",
        "three": "0.75x",
    }
    fake: Any = Scripted(pixels, own, {names[key]: move for key, move in moves.items()})
    return stability_of(fake, pixels)


def test_an_answer_that_all_copies_keep_is_steady() -> None:
    s = run(2.0, jpeg90=-0.3, webp=0.5)
    assert (s.band, s.final_band, s.answer) == ("likely generated", "likely generated", "steady")
    assert [row.name for row in s.rows] == [*MILD, *STRONG]
    assert s.rows[0].logit == pytest.approx(1.7)
    assert "all 8 copies" in s.sentence


def test_an_answer_that_most_mild_copies_change_turns_and_is_inconclusive() -> None:
    """Even where the score stays on its side of the threshold."""
    lost = run(2.0, jpeg90=-2.2, jpeg70=-2.2, webp=-2.2)
    assert (lost.final_band, lost.answer) == ("inconclusive", "turns")
    assert lost.lost_to == ("JPEG 90", "JPEG 70", "WebP 80")
    assert "3 of the 4 mildly changed copies came out inconclusive" in lost.sentence
    assert "would be likely generated" in lost.sentence


@pytest.mark.parametrize(
    ("moves", "words"),
    [
        ({"jpeg90": -2.2, "jpeg70": -2.2}, "2 of 8 copies came out inconclusive"),
        ({"small": -4.0}, "1 of 8 copies came out likely not generated"),
        ({"jpeg70": -4.0, "small": -2.2, "webp": -2.2}, "2 of 8 copies came out inconclusive, 1"),
    ],
)
def test_an_answer_that_some_copies_change_is_weak_and_says_what_they_came_out_as(
    moves: dict[str, float], words: str
) -> None:
    weak = run(2.0, **moves)
    assert (weak.final_band, weak.answer, weak.lost_to) == ("likely generated", "weak", ())
    assert words in weak.sentence


def test_the_row_of_dots_names_the_picture_and_every_copy_with_its_answer() -> None:
    weak = run(2.0, jpeg70=-2.2)
    dots = draw_dots(weak.band, weak)
    assert [dot.label for dot in dots][:3] == ["as it is", "JPEG 90", "JPEG 70"]
    assert [dot.band for dot in dots] == [weak.band, *(row.band for row in weak.rows)]
    assert {dot.band for dot in draw_dots(weak.band, None)[1:]} == {None}


def test_a_real_detector_agrees_with_itself() -> None:
    detector, pixels = tiny_detector(), photo(200, 150)
    s = stability_of(detector, pixels, detector.predict(pixels))
    alone = stability_of(detector, pixels)
    assert [row.probability for row in s.rows] == pytest.approx(
        [row.probability for row in alone.rows], abs=1e-5
    )
    assert s.probability == pytest.approx(alone.probability, abs=1e-5)
    assert s.final_band == alone.final_band
    said = s.model_dump(mode="json")
    assert said["rows"][0]["name"] == "JPEG 90"
    assert (said["answer"], said["sentence"]) == (s.answer, s.sentence)


def test_of_a_strip_that_no_jpeg_could_hold_the_middle_is_checked() -> None:
    s = stability_of(tiny_detector(), photo(66_000, 64))
    assert s.part
    assert "JPEG 90" in [row.name for row in s.rows]


@pytest.mark.parametrize(("width", "skipped"), [(16_383, ()), (16_384, ("WebP 80",))])
def test_a_picture_too_long_for_webp_is_judged_without_it_and_that_is_said(
    width: int, skipped: tuple[str, ...]
) -> None:
    s = stability_of(tiny_detector(), photo(width, 64))
    assert s.skipped == skipped
    assert ("WebP 80" in [row.name for row in s.rows]) == (not skipped)
    assert ("could not be saved as WebP of quality 80: it is too long" in s.sentence) == bool(
        skipped
    )
    assert ("too long" in stability_panel(s)) == bool(skipped)
