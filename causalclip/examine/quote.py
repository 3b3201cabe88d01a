"""A few sentences to paste into a story or a mail: when, which file, what was found, and how often that is wrong."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from causalclip.examine.kind import NO_ANSWER, WHY
from causalclip.examine.meant import error_rates
from causalclip.examine.parts import TITLE as DIFFERS
from causalclip.examine.score import shown
from causalclip.languages import N_, _, day, ended
from causalclip.provenance.reading import OF_WHOLE

if TYPE_CHECKING:
    from causalclip.examine.examination import Examination

CLUE = N_("This is one clue, not a proof.")
UNCHECKED = N_("Whether that answer survives re-encoding was not checked.")
HALVED = N_("The picture was judged at half its size.")
NEITHER = N_("That counts neither for nor against the picture.")


def quote(x: Examination) -> str:
    """Self-contained: it can stand without the page. Where there is no answer, there is no error rate of one."""
    rates = error_rates(x.detection.measured_as)
    known = rates.quoted if rates else _("Its error rates are not measured.")
    examined = _(
        "On {day}, CausalCLIP (detector {revision}) examined the picture file with the SHA-256 hash {hash}.",
        day=day(datetime.fromisoformat(x.examined)),
        revision=x.detection.revision,
        hash=x.sha256,
    )
    if x.provenance.of_whole:
        examined = f"{examined} {_(OF_WHOLE)}"
    if x.band == NO_ANSWER:
        return f"{examined} {_found(x)} {_(NEITHER)}"
    differs = f" {ended(_(DIFFERS))}" if x.parts.found else ""
    return f"{examined} {_found(x)}{differs} {known} {_(CLUE)}"


def _found(x: Examination) -> str:
    word = x.headline.proved if x.headline.source == "signature" else x.headline.claimed
    first = "" if x.headline.source == "pixels" else f"{word} "
    if x.band == NO_ANSWER:
        return f"{first}{_('Its pixels got no answer.')} {_(WHY[x.detection.kind])}"
    said = (
        N_("By its pixels alone, the answer is “{answer}”, with a score of {score} on a scale from 0 to 1.")
        if first
        else N_("The answer by its pixels is “{answer}”, with a score of {score} on a scale from 0 to 1.")
    )
    found = first + _(said, answer=_(x.band), score=shown(x.detection.probability, x.detection.low, x.detection.high))
    less = [HALVED] * x.halved + [UNCHECKED] * (x.stability is None)
    return " ".join([found, *map(_, less)])
