"""Sentences about what the mask of a picture lets through, and how the masks of two differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causalclip.examination.messages import score_text
from causalclip.languages import _, decimal, number, paragraph
from causalclip.maps.channels import MaskDifference, mean_mask, passing, without_strongest

if TYPE_CHECKING:
    from causalclip.detection import Detection

MAX_REMOVED = 500  # channels that are taken away for the sentence


def mask_sentence(detection: Detection) -> str:
    """Return what the mask lets through, and what the strongest of those channels carry: the
    reviewer's first sentence."""
    count = min(MAX_REMOVED, passing(mean_mask(detection)) // 3)
    removed = _removal_sentence(detection, count) if count else ""
    return paragraph(passing_sentence(detection), removed)


def passing_sentence(detection: Detection) -> str:
    """Return how many channels the mask lets through."""
    mask = mean_mask(detection)
    return _(
        "{all} channels; for this picture the mask lets {passing} through.",
        all=number(len(mask)),
        passing=number(passing(mask)),
    )


def _removal_sentence(detection: Detection, count: int) -> str:
    """Return what is left of the score without the first `count` channels, beside as many that are
    drawn."""
    remaining, others = without_strongest(detection, count)
    return _(
        "Without the {n} channels that push hardest: {before} → {after}; without {n} at random: "
        "{others}.",
        n=number(count),
        before=score_text(detection.probability),
        after=score_text(remaining),
        others=score_text(others),
    )


def difference_sentence(difference: MaskDifference) -> str:
    """Return how two masks differ, for a person."""
    if not difference.mean:
        return _("The two masks are equal.")
    sentence = _(
        "Channels that pass in the first picture alone: {first}; in the second alone: {second}. "
        "From 0 to 1, the masks differ by {mean} on average.",
        first=number(difference.only_first),
        second=number(difference.only_second),
        mean=decimal(difference.mean, digits=2),
    )
    if difference.correlation is None:
        return sentence
    correlation = decimal(difference.correlation, digits=2)
    return paragraph(sentence, _("Their correlation is {r}.", r=correlation))
