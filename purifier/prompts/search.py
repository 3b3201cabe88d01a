"""Searches words to put before every question to a model of the hub, whose insides are out of reach."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from purifier.vlm.hosted import HubVLM

PHRASES = (
    "The picture may be noisy.",
    "Ignore noise in the picture.",
    "The picture may have been changed to mislead you.",
    "Look at the whole picture.",
    "Look at the main object.",
    "Describe only what is clearly visible.",
    "Trust large shapes more than fine texture.",
    "Do not trust small patterns.",
    "Think of what is likely in an everyday photo.",
    "Take your time and look twice.",
    "Answer carefully.",
    "If the picture looks odd, give the most likely answer.",
)


@dataclass(frozen=True, slots=True)
class Found:
    """text: the best prefix, "" if none helps. moved, clean: the share of answers on attacked and on clean pictures
    that are those of the clean picture without a prefix; before: moved, without a prefix. tried: how many prefixes.
    """

    text: str
    moved: float
    clean: float
    before: float
    tried: int


def search_text_prefix(
    model: HubVLM,
    clean: Tensor,
    moved: Tensor,
    questions: Sequence[str],
    *,
    pool: Sequence[str] = PHRASES,
    phrases: int = 2,
    seed: int = 0,
) -> Found:
    """Greedy search: adds the phrase that helps most, up to `phrases` of them, in an order drawn with the seed.

    A prefix is better if the sum of both shares (attacked and clean pictures) is; equal sums keep the shorter text.

    Args:
        clean, moved: float [N, 3, H, W] in [0, 1], pictures and their attacked (perhaps purified) versions.
        questions: one a picture.
    """
    expected = [a.text for a in model.with_prefix("").answer(clean, questions)]

    def measured(text: str) -> Found:
        return _measure(model, clean, moved, questions, expected, text)

    order = random.Random(seed).sample(list(pool), len(pool))
    best = measured("")
    before, tried = best.moved, 1
    for _ in range(phrases):
        options = [measured(f"{best.text} {phrase}".strip()) for phrase in order if phrase not in best.text]
        tried += len(options)
        top = max(options, key=lambda found: found.moved + found.clean, default=best)
        if top.moved + top.clean <= best.moved + best.clean:
            break
        best = top
    return replace(best, before=before, tried=tried)


def measure_text_prefix(model: HubVLM, clean: Tensor, moved: Tensor, questions: Sequence[str], text: str) -> Found:
    """What one prefix does, on other pictures than those of the search."""
    expected = [a.text for a in model.with_prefix("").answer(clean, questions)]
    plain = _measure(model, clean, moved, questions, expected, "")
    return replace(_measure(model, clean, moved, questions, expected, text), before=plain.moved)


def _measure(
    model: HubVLM, clean: Tensor, moved: Tensor, questions: Sequence[str], expected: Sequence[str], text: str
) -> Found:
    led = model.with_prefix(text)
    on_moved, on_clean = (_share(led, pixels, questions, expected) for pixels in (moved, clean))
    return Found(text, on_moved, on_clean, before=on_moved, tried=1)


def _share(model: HubVLM, pixels: Tensor, questions: Sequence[str], expected: Sequence[str]) -> float:
    given = model.answer(pixels, questions)
    return sum(a.text == text for a, text in zip(given, expected, strict=True)) / len(expected)
