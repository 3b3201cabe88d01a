"""A few sentences to paste into a story or a mail: when, which file, what was found, and how often that is wrong."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from causalclip.examine.kind import NO_ANSWER, WHY
from causalclip.examine.meant import error_rates

if TYPE_CHECKING:
    from causalclip.examine.examination import Examination

CLUE = "This is one clue, not a proof."


def quote(x: Examination) -> str:
    """Self-contained: it can stand without the page."""
    day = datetime.fromisoformat(x.examined)
    rates = error_rates(revision=x.detection.revision)
    known = rates.sentence.replace("it calls", "this detector calls") if rates else "Its error rates are not measured."
    return (
        f"On {day.day} {day:%B %Y}, CausalCLIP (detector {x.detection.revision}) examined the picture file with the "
        f"SHA-256 hash {x.sha256}. {_found(x)} {known} {CLUE}"
    )


def _found(x: Examination) -> str:
    word = x.headline.proved if x.headline.source == "signature" else x.headline.claimed
    first = "" if x.headline.source == "pixels" else f"{word} "
    if x.band == NO_ANSWER:
        return f"{first}Its pixels got no answer. {WHY[x.detection.kind]}"
    score = f"a score of {x.detection.probability:.2f} on a scale from 0 to 1"
    if not first:
        return f"The answer by its pixels is “{x.band}”, with {score}."
    return f"{first}By its pixels alone, the answer is “{x.band}”, with {score}."
