"""The words and signs of answers, scores as they are written, and what an answer has meant in the
benchmark.

One source for the page, the reports, the command line and the tables. Empirical precision: how many
of the test pictures with an answer were generated, and how often it was wrong, from the benchmark's
file, of one revision alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from causalclip.intervals import wilson
from causalclip.languages import N_, _, decimal, number
from causalclip.paths import shipped_folder

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.image_type import ImageType
    from causalclip.provenance.credentials import State

Tone = Literal["generated", "inconclusive", "not-generated", "signed"]

# Answers by the pixels ----------------------------------------------------------------------------

TONE: dict[Band, Tone] = {
    "likely not generated": "not-generated",
    "inconclusive": "inconclusive",
    "likely generated": "generated",
}
SIGN: dict[Tone, str] = {
    "not-generated": "\N{BLACK DOWN-POINTING TRIANGLE}",
    "inconclusive": "\N{BLACK DIAMOND}",
    "generated": "\N{BLACK UP-POINTING TRIANGLE}",
    "signed": "\N{BLACK SQUARE}",
}
ICON: dict[Band, str] = {band: SIGN[tone] for band, tone in TONE.items()}
MEANING: dict[Band, str] = {
    "likely generated": N_(
        "It carries traces like those of image generators; that does not say who made it, or "
        "whether what it shows happened."
    ),
    "inconclusive": N_("Its traces point neither way: treat this as no answer."),
    "likely not generated": N_(
        "Few traces of image generators were found; it may still be edited, staged, or from a "
        "generator that leaves other traces."
    ),
}
UNSTABLE = N_("Re-saving it ({copies}) changes the answer, so treat this as no answer.")

# Heads that judge ---------------------------------------------------------------------------------

JUDGED_BY: dict[str, str] = {"causal": N_("causal head"), "linear": N_("linear head")}

# Image types that get no answer -------------------------------------------------------------------

NO_ANSWER = N_("no answer")  # the band
NO_ANSWER_TITLE = N_("No answer for this kind of picture")
NOT_EXAMINED = N_("Not examined")  # the title where there is neither an answer nor a claim
IMAGE_TYPES: dict[ImageType, str] = {
    "photograph": N_("photograph"),
    "drawing": N_("drawing"),
    "page": N_("page"),
    "blank": N_("blank"),
}
WHY_NO_ANSWER: dict[ImageType, str] = {
    "drawing": N_(
        "It looks like a drawing, a painting or a rendering. The detector knows photographs, and "
        "generated pictures that look like photographs; on anything else its score would mean "
        "nothing."
    ),
    "page": N_(
        "It looks like a screenshot, a chart, a scan, a meme or a collage. The detector knows "
        "photographs, and generated pictures that look like photographs; on anything else its "
        "score would mean nothing."
    ),
    "blank": N_(
        "There is no picture in it that could be judged: it is one colour, or even noise. The "
        "detector would give such a file a score all the same, and it would mean nothing."
    ),
}
WHAT_TO_DO: dict[ImageType, str] = {
    "drawing": N_(
        "Find out who made it, and when: earlier copies and the artist's own page tell more than "
        "pixels here."
    ),
    "page": N_(
        "Cut out the photograph in it, if there is one, and examine that part; or find the picture "
        "that it shows."
    ),
    "blank": N_(
        "Ask for the file again: it may have been damaged, or was exported without its content."
    ),
}
NO_TRACES = N_("They are not those of a photograph, so they are not judged.")

# What is not known yet, and what a file proves ----------------------------------------------------

CREDENTIALS: dict[State, tuple[str, str]] = {  # words, and the colour's name in evidence.css
    "none": (N_("none"), "quiet"),
    "trusted": (N_("intact, signer on the trust list"), "held"),
    "unknown signer": (N_("intact, signer unknown"), "unknown"),
    "invalid": (N_("do not hold"), "broken"),
    "unvalidated": (N_("could not be validated"), "unknown"),
    "elsewhere": (N_("kept elsewhere, not checked"), "unknown"),
    "unreadable": (N_("not readable"), "unknown"),
}
SIGNER = N_("Signer")
SIGNERS: dict[State, str] = {
    "trusted": N_("Certificate names"),
    "unknown signer": N_("Calls itself (unverified)"),
    "unvalidated": N_("Calls itself (unverified)"),
    "invalid": N_("Calls itself (does not hold)"),
}

# Scores -------------------------------------------------------------------------------------------


def score_text(probability: float, *thresholds: float) -> str:
    """Two digits, more where it takes them to lie on the right side of a threshold; never a
    certainty, which no detector has."""
    digits = digits_for(probability, *thresholds)
    rounded, least = float(f"{probability:.{digits}f}"), 10.0**-digits
    if rounded == 0:
        return _("under {least}", least=decimal(least, digits=digits))
    if rounded == 1:
        return _("over {most}", most=decimal(1 - least, digits=digits))
    return decimal(probability, digits=digits)


def score_texts(probability: float, low: float, high: float) -> tuple[str, str, str]:
    """The score and both thresholds, with as many digits as it takes not to contradict the band."""
    digits = digits_for(probability, low, high)
    return (
        score_text(probability, low, high),
        decimal(low, digits=digits),
        decimal(high, digits=digits),
    )


def bar_place(score: float, low: float, high: float) -> float:
    """Where a score in [0, 1] stands on a bar whose three bands are equally wide, in percent of its
    width."""
    ends = (0.0, low, high, 1.0)
    band = 0 if score <= low else 2 if score >= high else 1
    start, stop = ends[band : band + 2]
    return 100 / 3 * (band + ((score - start) / (stop - start) if stop > start else 0.5))


def digits_for(score: float, *thresholds: float) -> int:
    """How many digits it takes that the rounded score lies on the same side of all rounded
    thresholds."""
    for digits in (2, 3, 4, 6):
        rounded = [(round(score, digits), round(t, digits)) for t in thresholds]
        if all(
            (s <= t, s >= t) == (score <= x, score >= x)
            for (s, t), x in zip(rounded, thresholds, strict=True)
        ):
            break
    return digits


DETECTION, HEADS = (
    shipped_folder("benchmarks") / name for name in ("detection.json", "heads.json")
)
# sets where real and generated pictures show the same things
LIKE_CONTENT = "alike", "fresh", "sites"
MIN_PICTURES = 100  # pictures of a set that an answer is judged by
BANDS = "likely generated", "inconclusive", "likely not generated"


@dataclass(frozen=True, slots=True)
class EmpiricalPrecision:
    """pictures: of the test, with this answer. generated: how many of them were. base: the share of
    generated pictures in the whole test, in [0, 1]. hardest: the share of generated ones in the set
    of like content where this answer is worth least; None for an answer that leaves it open."""

    pictures: int
    generated: int
    base: float
    hardest: float | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share, in [0, 1]."""
        return wilson(self.generated, self.pictures)

    @property
    def sentence(self) -> str:
        """For a person."""
        share = round(100 * self.generated / self.pictures)
        if self.hardest is None or (hardest := round(100 * self.hardest)) == share:
            return _(
                "In tests, {share} of 100 pictures with this answer were generated.", share=share
            )
        return _(
            "In tests, {share} of 100 pictures with this answer were generated; where real and "
            "generated ones show the same things, {hardest}.",
            share=share,
            hardest=hardest,
        )

    @property
    def counted(self) -> str:
        """What that rests on, for a person who wants to know."""
        low, high = (round(100 * end) for end in self.interval)
        return _(
            "Counted: {generated} of {pictures} (95% interval {low} to {high} of 100). Of all "
            "test pictures, {base} of 100 were generated; where they are rarer, fewer with this "
            "answer are.",
            generated=number(self.generated),
            pictures=number(self.pictures),
            low=low,
            high=high,
            base=round(100 * self.base),
        )


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Shares of the test pictures, in [0, 1], and how many there were.

    recognised, accused: of the generated ones that are called likely generated, and of the real
    ones that are.
    missed: of the generated ones that are called likely not generated.
    undecided: of the generated and of the real ones for which the answer is inconclusive.
    """

    recognised: float
    accused: float
    missed: float
    undecided: tuple[float, float]
    generated: int
    real: int

    @property
    def sentence(self) -> str:
        """The numbers that matter, for a person: an error of either kind is as bad as the other."""
        accused, missed = (
            _("fewer than 1") if 100 * x < 0.5 else f"{round(100 * x)}"
            for x in (self.accused, self.missed)
        )
        return _(
            "On {pictures} test pictures, it calls {found} of 100 generated ones likely generated "
            "and {missed} likely not generated; of 100 real ones, it wrongly calls {accused} "
            "likely generated.",
            pictures=number(self.generated + self.real),
            found=round(100 * self.recognised),
            accused=accused,
            missed=missed,
        )

    @property
    def unsure(self) -> str:
        """How often there is no answer, for a person."""
        generated, real = (round(100 * share) for share in self.undecided)
        return _(
            "It says “inconclusive” for {generated} of 100 generated and {real} of 100 real ones.",
            generated=generated,
            real=real,
        )


def empirical_precision(band: Band, measured_as: str | None) -> EmpiricalPrecision | None:
    """Of an answer by the pixels; None where that has not been measured, and where there was no
    answer: how many drawings and screenshots of a test set were generated says nothing of another
    one.

    An answer, and not a score: the share then cannot contradict the word beside it.

    Args:
        measured_as: of the detection (causalclip.detector.Detection); the benchmark speaks of one
            revision alone.
    """
    report = _benchmark(measured_as)
    if band not in BANDS or report is None:
        return None
    generated, real = _with_answer(report["all"], band)
    classes = _classes(report["all"])
    base = classes["generated"] / sum(classes.values())
    if not generated + real:
        return None
    rows = [
        report[name]
        for name in LIKE_CONTENT
        if report.get(name, {}).get("pictures", 0) >= MIN_PICTURES
    ]
    found = [g / (g + r) for g, r in (_with_answer(row, band) for row in rows) if g + r]
    worst = {"likely generated": min, "likely not generated": max}.get(band)
    return EmpiricalPrecision(
        generated + real, generated, base, worst(found) if worst and found else None
    )


def error_rates(measured_as: str | None) -> ErrorRates | None:
    """How often it is right and wrong, from the same benchmark; None where there is none of this
    revision."""
    report = _benchmark(measured_as)
    if report is None:
        return None
    called, unsure, cleared = (report["all"]["bands"][band] for band in BANDS)
    undecided = unsure["generated"], unsure["real"]
    return ErrorRates(
        called["generated"],
        called["real"],
        cleared["generated"],
        undecided,
        **_classes(report["all"]),
    )


def _classes(report: dict[str, Any]) -> dict[str, int]:
    """How many test pictures are generated, and how many real."""
    generated = sum(row["generated"] for row in report["reliability"])
    return {"generated": generated, "real": report["pictures"] - generated}


def _with_answer(row: dict[str, Any], band: Band) -> tuple[int, int]:
    """How many generated and how many real pictures of a set got the answer."""
    shares = row["bands"].get(band, {})
    generated, real = (
        round(shares.get(kind, 0.0) * count) for kind, count in _classes(row).items()
    )
    return generated, real


def _benchmark(revision: str | None) -> dict[str, Any] | None:
    """What a benchmark found with that revision, a row a set; None where there is none."""
    return next((report for report in _read() if revision and report["revision"] == revision), None)


@lru_cache(maxsize=1)
def _read() -> list[dict[str, Any]]:
    """The detector's own benchmark, then that of both heads; fewer in a copy of the packages
    alone."""
    reports = [
        json.loads(file.read_text(encoding="utf-8"))
        for file in (DETECTION, HEADS)
        if file.is_file()
    ]
    return [
        found
        for report in reports
        for found in ([report] if "revision" in report else _rows(report))
    ]


def _rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [found for found in report.values() if isinstance(found, dict)]
