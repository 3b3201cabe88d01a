"""A score as it is written everywhere: it neither contradicts the answer beside it nor claims a certainty."""

from causalclip.languages import _, decimal


def shown(probability: float, *thresholds: float) -> str:
    """Two digits, more where it takes them to lie on the right side of a threshold; never a certainty, which no
    detector has."""
    digits = digits_for(probability, *thresholds)
    rounded, least = float(f"{probability:.{digits}f}"), 10.0**-digits
    if rounded == 0:
        return _("under {least}", least=decimal(least, digits=digits))
    if rounded == 1:
        return _("over {most}", most=decimal(1 - least, digits=digits))
    return decimal(probability, digits=digits)


def scores(probability: float, low: float, high: float) -> tuple[str, str, str]:
    """The score and both thresholds, with as many digits as it takes not to contradict the band."""
    digits = digits_for(probability, low, high)
    return shown(probability, low, high), decimal(low, digits=digits), decimal(high, digits=digits)


def digits_for(score: float, *thresholds: float) -> int:
    """How many digits it takes that the rounded score lies on the same side of all rounded thresholds."""
    for digits in (2, 3, 4, 6):
        rounded = [(round(score, digits), round(t, digits)) for t in thresholds]
        if all((s <= t, s >= t) == (score <= x, score >= x) for (s, t), x in zip(rounded, thresholds, strict=True)):
            break
    return digits
