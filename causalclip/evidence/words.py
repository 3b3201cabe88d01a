"""The words of answers: image types that get none, what the bands mean, and a score as it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causalclip.languages import N_, _, decimal

if TYPE_CHECKING:
    from causalclip.image_type import ImageType

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
