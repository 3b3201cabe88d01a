"""The words and signs of answers, and scores as they are written.

One source for the page, the reports, the command line and the tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from causalclip.languages import N_, _, decimal

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.detection import ImageType
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
EMPTY = "\N{WHITE CIRCLE}"  # where there is no answer, or none yet
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
# the same, of the pixels among other evidence
TRACES: dict[str, str] = {
    N_("likely generated"): N_(
        "They carry traces like those of pictures made by image generators."
    ),
    N_("inconclusive"): N_("Their traces point neither way clearly enough."),
    N_("likely not generated"): N_("They carry few traces like those of image generators."),
    NO_ANSWER: N_("They are not those of a photograph, so they are not judged."),
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
# of a page in which a photograph was found
JUDGE_PART = N_("Judge the photograph in it alone; or find the picture that it shows.")

# What is not known yet, and what a file proves ----------------------------------------------------

CREDENTIALS: dict[State, tuple[str, str]] = {  # words, and the colour's name in evidence.css
    "none": (N_("none"), "quiet"),
    "trusted": (N_("intact, signer on the trust list"), "held"),
    "interim": (N_("intact, signer on the interim list"), "unknown"),
    "unknown signer": (N_("intact, signer unknown"), "unknown"),
    "invalid": (N_("do not hold"), "broken"),
    "unvalidated": (N_("could not be validated"), "unknown"),
    "elsewhere": (N_("kept elsewhere, not checked"), "unknown"),
    "unreadable": (N_("not readable"), "unknown"),
}
SIGNER = N_("Signer")
SIGNERS: dict[State, str] = {
    "trusted": N_("Certificate names"),
    "interim": N_("Certificate names"),
    "unknown signer": N_("Calls itself (unverified)"),
    "unvalidated": N_("Calls itself (unverified)"),
    "invalid": N_("Calls itself (does not hold)"),
}

# Scores -------------------------------------------------------------------------------------------


def score_text(probability: float, *thresholds: float) -> str:
    """Return a score in two digits, or in more where it takes them to lie on the right side of a
    threshold; never as a certainty, which no detector has."""
    digits = digits_for(probability, *thresholds)
    rounded, least = float(f"{probability:.{digits}f}"), 10.0**-digits
    if rounded == 0:
        return _("under {least}", least=decimal(least, digits=digits))
    if rounded == 1:
        return _("over {most}", most=decimal(1 - least, digits=digits))
    return decimal(probability, digits=digits)


def score_texts(probability: float, low: float, high: float) -> tuple[str, str, str]:
    """Return the score and both thresholds, with as many digits as it takes not to contradict the
    band."""
    digits = digits_for(probability, low, high)
    return (
        score_text(probability, low, high),
        decimal(low, digits=digits),
        decimal(high, digits=digits),
    )


def bar_place(score: float, low: float, high: float) -> float:
    """Return where a score in [0, 1] stands on a bar whose three bands are equally wide, in percent
    of its width."""
    ends = (0.0, low, high, 1.0)
    band = 1
    if score <= low:
        band = 0
    elif score >= high:
        band = 2
    start, stop = ends[band : band + 2]
    within = (score - start) / (stop - start) if stop > start else 0.5
    return 100 / 3 * (band + within)


def digits_for(score: float, *thresholds: float) -> int:
    """Return how many digits it takes that the rounded score lies on the same side of all rounded
    thresholds."""
    for digits in (2, 3, 4, 6):
        rounded = [(round(score, digits), round(t, digits)) for t in thresholds]
        if all(
            (s <= t, s >= t) == (score <= x, score >= x)
            for (s, t), x in zip(rounded, thresholds, strict=True)
        ):
            break
    return digits
