"""The answer from all evidence, what it has meant in the benchmark, and what it must not be read
without."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

from causalclip.calibration import Band, Calibration
from causalclip.examination import precision
from causalclip.examination.answer import Origin
from causalclip.examination.cautions import find_cautions, measure
from causalclip.examination.headline import MAX_STEPS, make_headline, next_steps
from causalclip.examination.messages import NO_ANSWER
from causalclip.examination.owners import OWNERS
from causalclip.examination.precision import EmpiricalPrecision, empirical_precision
from causalclip.images.reencoding import encode
from causalclip.marks.mark import Mark, Says
from causalclip.measured import Measured
from causalclip.paths import ASSETS
from causalclip.provenance.claims import find_claims
from causalclip.provenance.credentials import Credentials, State
from causalclip.provenance.result import Provenance
from causalclip.provenance.source_types import SourceType, source_type
from tests.makers.numbers import measured_set
from tests.makers.pictures import cartoon, chart, page

HERE, EARLIER = "Content Credentials", "Content Credentials of an earlier version or a part"
MARK = Mark("NovelAI", "PNG text, Software", "NovelAI")
HINT = Mark("Gemini", "file name", kind="file name", certainty="hinted")
BANDS = ("likely not generated", "inconclusive", "likely generated")


def claim(where: str, code: str) -> SourceType:
    found = source_type(where, code)
    assert found
    return found


def file(
    *, state: State = "none", types: tuple[SourceType, ...] = (), xmp: str = "", mark: bool = False
) -> Provenance:
    credentials = Credentials(
        state, "", signer="Ada" if state != "none" else "", source_types=types
    )
    said = (claim("XMP", xmp),) if xmp else ()
    marks = (*find_claims(credentials, said), *((MARK,) if mark else ()))
    return Provenance(credentials, source_types=said, marks=marks)


SAID = "The file says it was generated"
NOT_VALIDATED = "Says it was generated; signature not confirmed"


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
    "unknown signer": (self_signed(claim(HERE, GENERATED)), NOT_VALIDATED, "file"),
    "signed": (signed(claim(HERE, GENERATED)), "Signed as generated", "signature"),
    "signed, captured": (signed(claim(HERE, CAPTURED)), "Signed as captured", "signature"),
    "signed, part": (signed(claim(EARLIER, GENERATED)), "Signed as partly generated", "signature"),
    "signed, part captured": (signed(claim(EARLIER, CAPTURED)), "Inconclusive", "pixels"),
    "not validated": (
        file(state="unvalidated", types=(claim(HERE, GENERATED),)),
        NOT_VALIDATED,
        "file",
    ),
    "does not hold": (
        file(state="invalid", types=(claim(HERE, GENERATED),)),
        NOT_VALIDATED,
        "file",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_whose_word_is_the_headline(case: str) -> None:
    provenance, title, source = CASES[case]
    found = make_headline(provenance, "inconclusive")
    assert (found.title, found.source) == (title, source)
    assert found.origin.answer.title == found.title
    assert Origin(found.origin.value) is found.origin
    assert found.proved.endswith(".")
    assert found.claimed.endswith(".")


@pytest.mark.parametrize("says", ["is", "in part", "may be", "is suspected"])
def test_a_line_has_words_for_whatever_a_file_claims(says: Says) -> None:
    claims = replace(file(), marks=(replace(MARK, says=says),))
    origin = make_headline(claims, "inconclusive").origin
    assert origin.answer.source == "file"
    assert origin.answer.brief not in ("", Origin.NOT_EXAMINED.answer.brief)


@pytest.mark.parametrize("band", BANDS)
def test_whether_they_agree_is_said(band: str) -> None:
    said = {
        case: make_headline(CASES[case][0], band).agreement
        for case in ("silent", "mark", "signed, captured")
    }  # type: ignore[arg-type]
    assert said["silent"] == ""
    expected = {
        "likely not generated": ("The file and the pixels do not agree", "The pixels agree."),
        "inconclusive": ("The pixels neither", "The pixels neither"),
        "likely generated": ("The pixels agree.", "The file and the pixels do not agree"),
    }[band]
    assert said["mark"].startswith(expected[0])
    assert said["signed, captured"].startswith(expected[1])


def test_a_signed_capture_with_a_generators_mark_contradicts_itself() -> None:
    signed = replace(CASES["signed, captured"][0], marks=(MARK,))
    assert "carries a mark of an image generator" in make_headline(signed, "inconclusive").agreement


def test_before_the_pixels_are_judged_the_file_is_heard() -> None:
    early = make_headline(file(mark=True), None)
    assert (early.title, early.agreement) == ("The file says it was generated", "")
    assert make_headline(file(), None).title == ""


def visible(generator: str = "Gemini", *, edited: bool = False) -> Mark:
    return Mark(
        generator, "bottom right corner", kind="visible mark", box=(1, 2, 3, 4), edited=edited
    )


@pytest.mark.parametrize(
    ("marks", "title"),
    [
        ((visible(),), "It bears the mark of a generator"),
        ((Mark("Grok", "EXIF, Description"), visible()), "The file says it was generated"),
        (
            (Mark("Google AI", "XMP, Credit", edited=True),),
            "Says that it was edited with generative AI",
        ),
        (
            (visible("Samsung Galaxy AI", edited=True),),
            "It bears the mark of an editor with generative AI",
        ),
        (
            (Mark("Doubao", "XMP, AIGC", kind="label", says="may be"),),
            "The file says it may be generated",
        ),
        (
            (Mark("Doubao", "XMP, AIGC", kind="label", says="is suspected"),),
            "A platform suspects that it was generated",
        ),
        (
            (Mark("Doubao", "XMP, AIGC", kind="label", says="may be"), visible()),
            "It bears the mark of a generator",
        ),
        (
            (Mark("Topaz", "EXIF, Software", certainty="hinted", edited=True),),
            "Likely not generated",
        ),
    ],
)
def test_marks_lead_and_hints_do_not(marks: tuple[Mark, ...], title: str) -> None:
    """A picture with a claim is never headlined "Likely not generated" by its pixels."""
    headline = make_headline(replace(file(), marks=marks), "likely not generated")
    assert headline.title == title


@pytest.mark.parametrize(
    ("says", "word"), [("may be", "may have been"), ("is suspected", "suspects")]
)
def test_a_label_says_no_more_than_its_number(says: Says, word: str) -> None:
    label = replace(file(), marks=(Mark("Doubao", "XMP, AIGC", kind="label", says=says),))
    found = make_headline(label, "likely not generated")
    assert word in found.claimed
    assert "neither support nor contradict" in found.agreement
    assert found.tone == "inconclusive"
    assert make_headline(label, "likely generated").agreement == "The pixels agree."


WRONG = {"real": 0.0, "generated": 1.0}
SHARES = {
    "likely generated": {"real": 0.01, "generated": 0.4},
    "inconclusive": {"real": 0.4, "generated": 0.5},
    "likely not generated": {"real": 0.59, "generated": 0.1},
}
ALL = {"real": 200, "generated": 100, "shares": SHARES}


@pytest.fixture
def benchmark_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the test's own numbers those that were measured, by head and set."""

    def measure(**heads: dict[str, dict[str, Any]]) -> None:
        numbers = Measured(
            one
            for revision, (head, sets) in enumerate(heads.items(), 1)
            for name, report in sets.items()
            for one in measured_set(f"detection.{head}.{name}", **report, revision=str(revision))
        )
        monkeypatch.setattr(precision, "measured", lambda: numbers)

    return measure


def test_an_answer_is_worth_what_it_is_where_content_is_alike(
    benchmark_of: Callable[..., None],
) -> None:
    hard = SHARES | {"likely not generated": {"real": 0.5, "generated": 0.5}}
    few = {"real": 59, "generated": 40, "shares": SHARES | {"likely not generated": WRONG}}
    benchmark_of(causal={"all": ALL, "alike": ALL | {"shares": hard}, "fresh": few})
    cleared = empirical_precision("likely not generated", "1")
    # of 300 pictures: 50 generated and 100 real ones have it
    assert cleared.hardest == pytest.approx(50 / 150)
    assert "33" in cleared.sentence
    unsure = empirical_precision("inconclusive", "1")
    assert unsure.hardest is None


def test_both_heads_have_their_own_numbers(benchmark_of: Callable[..., None]) -> None:
    never = SHARES | {"inconclusive": {"real": 0.0, "generated": 0.0}}
    benchmark_of(causal={"all": ALL}, linear={"all": ALL | {"shares": never}})
    assert empirical_precision("likely generated", "2") == empirical_precision(
        "likely generated", "1"
    )
    assert empirical_precision("inconclusive", "2") is None
    assert empirical_precision("likely generated", "3") is None


def test_an_answer_means_what_the_test_pictures_with_it_were(
    benchmark_of: Callable[..., None],
) -> None:
    benchmark_of(causal={"all": ALL})
    found = empirical_precision("likely generated", "1")
    assert found == EmpiricalPrecision(pictures=42, generated=40, base=1 / 3)
    assert empirical_precision("inconclusive", "1") == EmpiricalPrecision(
        pictures=130, generated=50, base=1 / 3
    )
    assert empirical_precision(NO_ANSWER, "1") is None
    assert empirical_precision("likely not generated", "1") == EmpiricalPrecision(
        pictures=128, generated=10, base=1 / 3
    )
    assert "95 of 100" in found.sentence
    for number in ("40 of 42", "84 to 99", "33 of 100"):
        assert number in found.counts_sentence


def test_no_share_contradicts_the_word_beside_it() -> None:
    """Of the shipped detector: what is called inconclusive was generated less often than what is
    called generated."""
    config = json.loads((ASSETS / "detector-linear" / "config.json").read_text())
    calibration, revision = config["calibration"], config["revision"]
    found = [empirical_precision(band, revision) for band in BANDS]
    shares = [m.generated / m.pictures for m in found if m]
    assert len(shares) == 3
    assert shares == sorted(shares)
    low, high = calibration["low"], calibration["high"]
    for beside in (low, high):  # on either side of a threshold stand two words and two shares
        bands = {Calibration(low=low, high=high).band(beside + step) for step in (-0.001, 0.001)}
        assert len({empirical_precision(band, revision).sentence for band in bands}) == 2


CARRIED = Path(skimage.data.__file__).parent


def carried(name: str) -> np.ndarray:
    return np.asarray(Image.open(CARRIED / name).convert("RGB"))


def kinds(pixels: np.ndarray) -> set[str]:
    return {caution.kind for caution in find_cautions(pixels)}


@pytest.mark.parametrize("quality", [None, 90, 60])
@pytest.mark.parametrize(("make", "kind"), [(chart, "text"), (page, "text"), (cartoon, "graphic")])
def test_drawn_and_typeset(make: object, kind: str, quality: int | None) -> None:
    for seed in (1, 2):
        picture = make(seed)  # type: ignore[operator]
        pixels = np.asarray(picture if quality is None else encode(picture, "JPEG", quality))
        found = kinds(pixels) & {"text", "graphic"}
        assert found == {kind} if kind == "text" else found


@pytest.mark.parametrize(
    "name",
    ["coffee.png", "chelsea.png", "motorcycle_left.png", "rocket.jpg", "coins.png", "ihc.png"],
)
def test_photographs_are_no_drawings(name: str) -> None:
    assert not kinds(carried(name)) & {"text", "graphic", "portrait"}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("shape", [(64, 30_000), (30_000, 64), (64, 400_000)])
def test_long_strips_have_statistics(shape: tuple[int, int]) -> None:
    looks = measure(np.zeros((*shape, 3), np.uint8))
    assert (looks.flat, looks.edge, looks.textured) == (1, 0, 0)


@pytest.mark.parametrize("shape", [(40_000, 64), (64, 40_000)])
def test_a_strip_is_looked_at_like_any_picture(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert "inside" not in kinds(noise)


def marked(generator: str, kind: Any = "metadata") -> Provenance:
    return replace(file(), marks=(Mark(generator, "a", kind=kind),))


@pytest.mark.parametrize(
    ("provenance", "band", "asked"),
    [
        (file(), "inconclusive", ("OpenAI", "Google")),
        (file(), "likely generated", ("OpenAI", "Google")),
        (file(), "likely not generated", ()),
        (marked("Gemini", "visible mark"), "likely not generated", ("Google",)),
        (marked("OpenAI"), "likely generated", ("OpenAI",)),
        (marked("DALL-E 2", "visible mark"), "likely generated", ()),
        (marked("ComfyUI"), "likely generated", ()),
        (file(state="trusted", types=(claim(HERE, GENERATED),)), "likely generated", ()),
    ],
)
def test_owners_of_invisible_marks_are_asked_where_no_signature_answers(
    provenance: Provenance, band: Band, asked: tuple[str, ...]
) -> None:
    headline = make_headline(provenance, band)
    steps = next_steps(headline, band, provenance, ())
    told = [step.sentence for step in steps if step.kind == "owner"]
    services = tuple(o.name for o in OWNERS.values() if any(o.service in text for text in told))
    assert services == asked
    assert all("leaves this computer" in sentence for sentence in told)
    assert len(steps) <= MAX_STEPS
