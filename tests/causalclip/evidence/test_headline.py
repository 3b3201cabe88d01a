"""One headline from all evidence: whose word it is, and whether they agree."""

from dataclasses import replace

import pytest

from causalclip.evidence.headline import ANSWERS, conclude_all
from causalclip.marks.mark import Mark, Says
from causalclip.provenance.claims import SourceType, source_type
from causalclip.provenance.credentials import Credentials, State
from causalclip.provenance.reading import Provenance

HERE, EARLIER = "Content Credentials", "Content Credentials of an earlier version or a part"
MARK = Mark("NovelAI", "PNG text, Software", "NovelAI")
HINT = Mark("Gemini", "file name", kind="file name", certainty="hint")
BANDS = ("likely not generated", "inconclusive", "likely generated")


def claim(where: str, code: str) -> SourceType:
    found = source_type(where, code)
    assert found
    return found


def file(*, state: State = "none", types: tuple[SourceType, ...] = (), xmp: str = "", mark: bool = False) -> Provenance:
    credentials = Credentials(state, "", signer="Ada" if state != "none" else "", source_types=types)
    said = (claim("XMP", xmp),) if xmp else ()
    return Provenance(credentials, source_types=said, marks=(MARK,) if mark else ())


SAID = "The file says it was generated"


def signed(*types: SourceType) -> Provenance:
    return file(state="trusted", types=types)


def self_signed(*types: SourceType) -> Provenance:
    return file(state="unknown signer", types=types)


GENERATED, CAPTURED = "trainedAlgorithmicMedia", "digitalCapture"
CASES = {
    "signed, captured, hint": (
        replace(file(state="trusted", types=(claim(HERE, CAPTURED),)), marks=(HINT,)),
        "Signed as captured",
        "signature",
    ),
    "silent": (file(), "Inconclusive", "pixels"),
    "mark": (file(mark=True), SAID, "file"),
    "xmp": (file(xmp=GENERATED), SAID, "file"),
    "xmp captured": (file(xmp=CAPTURED), "Inconclusive", "pixels"),
    "mark and captured": (file(mark=True, xmp=CAPTURED), SAID, "file"),
    "unknown signer": (self_signed(claim(HERE, GENERATED)), SAID, "file"),
    "signed": (signed(claim(HERE, GENERATED)), "Signed as generated", "signature"),
    "signed, captured": (signed(claim(HERE, CAPTURED)), "Signed as captured", "signature"),
    "signed, part": (signed(claim(EARLIER, GENERATED)), "Signed as partly generated", "signature"),
    "signed, part captured": (signed(claim(EARLIER, CAPTURED)), "Inconclusive", "pixels"),
    "not validated": (file(state="unvalidated", types=(claim(HERE, GENERATED),)), SAID, "file"),
    "does not hold": (file(state="invalid", types=(claim(HERE, GENERATED),)), "Inconclusive", "pixels"),
}


@pytest.mark.parametrize("case", CASES)
def test_whose_word_is_the_headline(case: str) -> None:
    provenance, title, source = CASES[case]
    found = conclude_all(provenance, "inconclusive")
    assert (found.title, found.source) == (title, source)
    assert found.title in ANSWERS
    assert found.proved.endswith(".")
    assert found.claimed.endswith(".")


@pytest.mark.parametrize("band", BANDS)
def test_whether_they_agree_is_said(band: str) -> None:
    said = {case: conclude_all(CASES[case][0], band).agreement for case in ("silent", "mark", "signed, captured")}  # type: ignore[arg-type]
    assert said["silent"] == ""
    expected = {
        "likely not generated": ("They do not agree", "They agree."),
        "inconclusive": ("The pixels neither", "The pixels neither"),
        "likely generated": ("They agree.", "They do not agree"),
    }[band]
    assert said["mark"].startswith(expected[0])
    assert said["signed, captured"].startswith(expected[1])


def test_a_signed_capture_with_a_generators_mark_contradicts_itself() -> None:
    signed = replace(CASES["signed, captured"][0], marks=(MARK,))
    assert "carries a mark of an image generator" in conclude_all(signed, "inconclusive").agreement


def test_before_the_pixels_are_judged_the_file_is_heard() -> None:
    early = conclude_all(file(mark=True), None)
    assert (early.title, early.agreement) == ("The file says it was generated", "")
    assert conclude_all(file(), None).title == ""


def visible(generator: str = "Gemini", *, edited: bool = False) -> Mark:
    return Mark(generator, "bottom right corner", kind="visible mark", box=(1, 2, 3, 4), edited=edited)


@pytest.mark.parametrize(
    ("marks", "title"),
    [
        ((visible(),), "It bears the mark of a generator"),
        ((Mark("Grok", "EXIF, Description"), visible()), "The file says it was generated"),
        ((Mark("Google AI", "XMP, Credit", edited=True),), "Says that it was edited with generative AI"),
        ((visible("Samsung Galaxy AI", edited=True),), "Says that it was edited with generative AI"),
        ((Mark("Doubao", "XMP, AIGC", kind="label", says="may be"),), "The file says it may be generated"),
        (
            (Mark("Doubao", "XMP, AIGC", kind="label", says="is suspected"),),
            "A platform suspects that it was generated",
        ),
        ((Mark("Doubao", "XMP, AIGC", kind="label", says="may be"), visible()), "It bears the mark of a generator"),
        ((Mark("Topaz", "EXIF, Software", certainty="hint", edited=True),), "Likely not generated"),
    ],
)
def test_marks_lead_and_hints_do_not(marks: tuple[Mark, ...], title: str) -> None:
    """A picture with a claim is never headlined "Likely not generated" by its pixels."""
    headline = conclude_all(replace(file(), marks=marks), "likely not generated")
    assert headline.title == title


def test_a_forged_mark_stays_a_claim_that_pixels_may_contradict() -> None:
    headline = conclude_all(replace(file(), marks=(visible(),)), "likely not generated")
    assert "Anybody can stamp it." in headline.claimed
    assert headline.agreement.startswith("They do not agree.")


@pytest.mark.parametrize(("says", "word"), [("may be", "may have been"), ("is suspected", "suspects")])
def test_a_label_says_no_more_than_its_number(says: Says, word: str) -> None:
    label = replace(file(), marks=(Mark("Doubao", "XMP, AIGC", kind="label", says=says),))
    found = conclude_all(label, "likely not generated")
    assert word in found.claimed
    assert "neither support nor contradict" in found.agreement
    assert found.tone == "inconclusive"
    assert conclude_all(label, "likely generated").agreement == "They agree."
