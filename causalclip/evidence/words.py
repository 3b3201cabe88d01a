"""The words and signs of answers, which the page, the reports and the command line share; a score as it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from causalclip.languages import N_, _, decimal

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.image_type import ImageType
    from causalclip.provenance.credentials import State

Tone = Literal["generated", "inconclusive", "not-generated", "signed"]

# Answers by the pixels ------------------------------------------------------------------------------------------------

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
        "It carries traces like those of pictures made by image generators. "
        "That says nothing about who made it, or whether what it shows happened."
    ),
    "inconclusive": N_(
        "The traces point neither way clearly enough. "
        "Count this neither for nor against the picture; look for other evidence."
    ),
    "likely not generated": N_(
        "Few traces like those of image generators were found. "
        "That does not make it authentic: it may be edited, staged, or from a generator that leaves other traces."
    ),
}
UNSTABLE = N_(
    "The answer does not survive what happens to pictures on their way. "
    "Count this neither for nor against the picture; look for other evidence."
)

# Image types that get no answer ---------------------------------------------------------------------------------------

NO_ANSWER = N_("no answer")  # the band
NO_ANSWER_TITLE = N_("No answer for this kind of picture")
IMAGE_TYPES: dict[ImageType, str] = {
    "photograph": N_("photograph"),
    "drawing": N_("drawing"),
    "page": N_("page"),
    "blank": N_("blank"),
}
WHY_NO_ANSWER: dict[ImageType, str] = {
    "drawing": N_(
        "It looks like a drawing, a painting or a rendering. The detector knows photographs, and generated pictures "
        "that look like photographs; on anything else its score would mean nothing."
    ),
    "page": N_(
        "It looks like a screenshot, a chart, a scan, a meme or a collage. The detector knows photographs, and "
        "generated pictures that look like photographs; on anything else its score would mean nothing."
    ),
    "blank": N_(
        "There is no picture in it that could be judged: it is one colour, or even noise. The detector would give such "
        "a file a score all the same, and it would mean nothing."
    ),
}
WHAT_TO_DO: dict[ImageType, str] = {
    "drawing": N_(
        "Find out who made it, and when: earlier copies and the artist's own page tell more than pixels here."
    ),
    "page": N_(
        "Cut out the photograph in it, if there is one, and examine that part; or find the picture that it shows."
    ),
    "blank": N_("Ask for the file again: it may have been damaged, or was exported without its content."),
}
NO_TRACES = N_("They are not those of a photograph, so they are not judged.")

# What is not known yet, and what a file proves -----------------------------------------------------------------------

CHECKING_STABILITY = N_("Being checked now: whether this answer survives what happens to pictures on their way.")
LOOKING_FOR_REGIONS = N_("Being looked for now: whether one part differs from the rest.")
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

# Scores ---------------------------------------------------------------------------------------------------------------


def score_text(probability: float, *thresholds: float) -> str:
    """Two digits, more where it takes them to lie on the right side of a threshold; never a certainty, which no
    detector has."""
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
    return score_text(probability, low, high), decimal(low, digits=digits), decimal(high, digits=digits)


def digits_for(score: float, *thresholds: float) -> int:
    """How many digits it takes that the rounded score lies on the same side of all rounded thresholds."""
    for digits in (2, 3, 4, 6):
        rounded = [(round(score, digits), round(t, digits)) for t in thresholds]
        if all((s <= t, s >= t) == (score <= x, score >= x) for (s, t), x in zip(rounded, thresholds, strict=True)):
            break
    return digits
