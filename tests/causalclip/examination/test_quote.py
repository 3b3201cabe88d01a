"""The sentence to paste is true for whatever the headline rests on: every source, with every
answer, checked or not."""

from dataclasses import replace
from typing import Any

import pytest

from causalclip.examination import precision
from causalclip.examination.messages import NO_ANSWER
from causalclip.examination.result import Examination, Stage
from causalclip.examination.stability import MILD, ReencodedAnswer, Stability
from causalclip.examination.stages import examine_file
from causalclip.marks.mark import UNNAMED, Field, Mark
from causalclip.marks.texts import find_text_marks
from causalclip.measured import Measured
from causalclip.provenance.credentials import Credentials
from causalclip.provenance.result import JpegTables, Provenance
from causalclip.provenance.source_types import source_type
from causalclip.reference import Profile
from causalclip.report.card import chips, verdict
from tests.makers.detectors import tiny_detector
from tests.makers.numbers import measured_set
from tests.makers.pictures import encode, photo

BANDS = {"likely not generated": 0.1, "inconclusive": 0.5, "likely generated": 0.9, NO_ANSWER: 0.5}
# of 100 with the answer, generated
SHARES = {"likely not generated": 4, "inconclusive": 45, "likely generated": 97}
NOBODY = Credentials("none", "")


def signed(code: str) -> Provenance:
    made = source_type("Content Credentials", code)
    assert made
    return Provenance(
        Credentials(
            "trusted", "", "Signing Service, Google LLC", "Google LLC", source_types=(made,)
        )
    )


def marked(*marks: Mark) -> Provenance:
    return Provenance(NOBODY, marks=marks)


STAR = Mark("Gemini", "bottom right corner", kind="visible mark", box=(1, 2, 30, 40))
SOURCES = {  # what is known of the file, and what the sentence must say of it
    "signed as generated": (
        signed("trainedAlgorithmicMedia"),
        ("Google LLC signed that it was generated", "C2PA"),
    ),
    "signed as captured": (
        signed("digitalCapture"),
        ("Google LLC signed that it was captured", "C2PA"),
    ),
    "declared by the file": (
        marked(Mark("Grok", "EXIF")),
        ("The file says that it was made with Grok",),
    ),
    "declared without a name": (
        marked(Mark(UNNAMED, "EXIF")),
        ("The file says it was generated", "can be forged"),
    ),
    "edited, by the file": (
        marked(Mark("Google AI", "XMP", edited=True)),
        ("edited with Google AI",),
    ),
    "bears a mark": (marked(STAR), ("Gemini's mark is on it", "can be forged")),
    "proved by a generator": (
        marked(Mark("NovelAI", "lowest bits", kind="signature", certainty="signed")),
        ("NovelAI signed that it was generated", "its signature holds"),
    ),
    "pixels": (Provenance(NOBODY), ()),
}
CHECKS = "not checked", "steady", "weak", "turns"


@pytest.fixture(autouse=True)
def benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    """A benchmark of 3,000 pictures: 1,000 with each answer, of which SHARES were generated."""
    generated = 10 * sum(SHARES.values())
    shares = {
        band: {"generated": 10 * n / generated, "real": (1000 - 10 * n) / (3000 - generated)}
        for band, n in SHARES.items()
    }
    numbers = Measured(
        measured_set(
            "detection.causal.all",
            real=3000 - generated,
            generated=generated,
            shares=shares,
            revision="1",
        )
    )
    monkeypatch.setattr(precision, "measured", lambda: numbers)


@pytest.fixture(scope="module")
def examined() -> Examination:
    return examine_file(encode(photo(300), "PNG"), tiny_detector(), until=Stage.VERDICT)


def found(examined: Examination, source: str, band: Any, check: str = "not checked") -> Examination:
    """The examination of a picture with that answer."""
    kind: Any = "drawing" if band == NO_ANSWER else "photograph"
    detection = replace(
        examined.detection, band=band, probability=BANDS[band], image_type=kind, revision="1"
    )
    stability = None if check == "not checked" or band == NO_ANSWER else checked(band, check)
    return replace(
        examined,
        stage=Stage.DONE,
        provenance=SOURCES[source][0],
        drawn=replace(examined.drawing, detection=detection),
        stability=stability,
    )


def checked(band: Any, check: str) -> Stability:
    changed = {"steady": 0, "weak": 1, "turns": 3}[check]
    other: Any = "inconclusive" if band != "inconclusive" else "likely generated"
    rows = (
        ReencodedAnswer(name, 0.5, 0.0, other if i < changed else band, True)
        for i, name in enumerate(MILD)
    )
    return Stability(
        probability=BANDS[band], band=band, low=0.3, high=0.7, threshold=0.5, rows=tuple(rows)
    )


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("source", SOURCES)
def test_the_sentence_names_its_source_and_quotes_the_number_of_that_answer(
    examined: Examination, source: str, band: str, check: str
) -> None:
    x = found(examined, source, band, check)
    said = x.quote
    for part in SOURCES[source][1]:
        assert part in said
    assert ("Treat this as no answer." in said) == (source == "pixels" and band == NO_ANSWER)
    assert "neither for nor against" not in said
    by_pixels = source == "pixels" and band != NO_ANSWER
    lost = by_pixels and check == "turns"
    quoted = {n for n in SHARES.values() if f"{n} of 100 pictures with this answer" in said}
    assert quoted == (
        {SHARES[band]} if by_pixels and (not lost or band == "inconclusive") else set()
    )
    by_file = source != "pixels" and band != NO_ANSWER
    assert (f"By the pixels: {x.band}." in said) == by_file
    unchecked = band != NO_ANSWER and check == "not checked"
    assert ("Re-encoded copies are not checked." in said) == unchecked
    if lost and band != "inconclusive":
        assert "“Inconclusive”" in said
        assert "changes the answer" in said
    assert ("with a score of" in said) == by_pixels
    assert ("Weak: 1 of 4 copies" in said) == (by_pixels and check == "weak")
    assert len(said.split()) <= 60
    assert said.endswith(f"SHA-256: {x.sha256}")


@pytest.mark.parametrize("source", SOURCES)
def test_pixels_that_were_not_judged_do_not_take_the_word_from_the_file(
    examined: Examination, source: str
) -> None:
    if source == "pixels":
        return
    assert "Its pixels were not judged." in found(examined, source, NO_ANSWER).quote


@pytest.mark.parametrize("band", ["inconclusive", "likely generated"])
def test_an_answer_held_to_a_reference_set_says_what_of_that_scored_as_high(
    examined: Examination, band: str
) -> None:
    x = found(examined, "pixels", band)
    profile = Profile(
        "tiny", "1", "torch", "", scores=(0.2, 0.95), counted=(0.2, 0.95), at_most=None
    )
    held = replace(x.drawing, detection=replace(x.detection, correction=profile))
    said = replace(x, drawn=held).quote
    assert "Of 2 photographs of yours, 1 scored this high." in said
    assert "not measured" not in said


def test_the_generator_is_named_in_the_chip_and_the_first_step_is_the_mark(
    examined: Examination,
) -> None:
    x = found(examined, "bears a mark", "inconclusive")
    assert "<b>Mark</b> Gemini" in chips(x)
    assert "bottom right corner" in x.steps[0].sentence
    assert all("as the file says" not in step.sentence for step in x.steps)
    assert "stamp" in x.provenance.caveat


def test_a_mark_without_a_name_is_not_called_its_own_name() -> None:
    (mark,) = find_text_marks([Field("EXIF", "Software", "AI generated")])
    assert not mark.is_named
    assert marked(mark).summary.count("image generator") == 1


def test_the_mark_is_shown_enlarged_beside_the_headline(examined: Examination) -> None:
    assert "class='cc-mark'" in verdict(found(examined, "bears a mark", "inconclusive"))
    assert "class='cc-mark'" not in verdict(found(examined, "pixels", "inconclusive"))


def test_a_picture_that_was_judged_at_half_its_size_is_said_as_it_is(examined: Examination) -> None:
    tables = JpegTables(90, True, "4:2:0", False, size=(5774, 8660))  # as it lies in the file
    claims = Provenance(NOBODY, jpeg=tables)
    halved = replace(examined, halved=True, width=4330, height=2887, provenance=claims)
    assert halved.size == (8660, 5774)
    assert examined.size == (examined.width, examined.height)
