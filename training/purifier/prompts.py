"""Searches words to put before every question to a model of the hub, whose insides are out of
reach."""

import copy
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from purifier.attacks import Attack, run_attack
from purifier.attacks.objectives import MoveFeatures, change_answer, language_tokens
from purifier.vlm.hub import HubVLM
from purifier.vlm.interface import CAPTION_PROMPT
from purifier.vlm.model import EmbeddedVLM
from training.vlm.data import class_frequency, load_pictures, train_texts
from training.vlm.views import View, read_pixels, render_view

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
Purify = Callable[[Tensor], Tensor]  # float [N, 3, H, W] in [0, 1] -> the same


@dataclass(frozen=True, slots=True)
class PrefixShares:
    """What a prefix is worth: shares of answers that are those of the clean picture without one.

    Attributes:
        text: the best prefix, "" if none helps.
        under_attack, clean: on adversarial and on clean pictures.
        before: on adversarial pictures without a prefix.
        tried: how many prefixes.
    """

    text: str
    under_attack: float
    clean: float
    before: float
    tried: int


def _search_text_prefix(
    model: HubVLM,
    clean: Tensor,
    adversarial: Tensor,
    questions: Sequence[str],
    *,
    pool: Sequence[str] = PHRASES,
    phrases: int = 2,
    seed: int = 0,
) -> PrefixShares:
    """Search greedily: add the phrase that helps most, up to `phrases` of them, in an order drawn
    with the seed.

    A prefix is better if the sum of both shares (attacked and clean pictures) is; equal sums keep
    the shorter text.

    Args:
        clean, adversarial: float [N, 3, H, W] in [0, 1], pictures and their attacked (perhaps
            purified) versions.
        questions: one a picture.
    """
    answers = [a.text for a in _guided(model, "").answer(clean, questions)]

    def measure(text: str) -> PrefixShares:
        return _measure(model, clean, adversarial, questions, answers, text)

    order = random.Random(seed).sample(list(pool), len(pool))
    best = measure("")
    before, attempts = best.under_attack, 1
    for _ in range(phrases):
        options = [
            measure(f"{best.text} {phrase}".strip()) for phrase in order if phrase not in best.text
        ]
        attempts += len(options)
        top = max(options, key=lambda shares: shares.under_attack + shares.clean, default=best)
        if top.under_attack + top.clean <= best.under_attack + best.clean:
            break
        best = top
    return replace(best, before=before, tried=attempts)


def _measure_text_prefix(
    model: HubVLM, clean: Tensor, adversarial: Tensor, questions: Sequence[str], text: str
) -> PrefixShares:
    """Return what one prefix does, on other pictures than those of the search."""
    answers = [a.text for a in _guided(model, "").answer(clean, questions)]
    plain = _measure(model, clean, adversarial, questions, answers, "")
    return replace(
        _measure(model, clean, adversarial, questions, answers, text), before=plain.under_attack
    )


def _measure(
    model: HubVLM,
    clean: Tensor,
    adversarial: Tensor,
    questions: Sequence[str],
    answers: Sequence[str],
    text: str,
) -> PrefixShares:
    """Return a prefix's shares; `answers` are those about the clean pictures without one."""
    guided = _guided(model, text)
    under_attack, on_clean = (
        _share(guided, pixels, questions, answers) for pixels in (adversarial, clean)
    )
    return PrefixShares(text, under_attack, on_clean, before=under_attack, tried=1)


def _guided(model: HubVLM, prefix: str) -> HubVLM:
    """Return the same model with another text before every prompt."""
    other = copy.copy(model)
    other.prefix = prefix
    return other


def _share(model: HubVLM, pixels: Tensor, questions: Sequence[str], texts: Sequence[str]) -> float:
    """Return the share of the questions on pictures [N, 3, H, W] that are answered by `texts`."""
    answers = model.answer(pixels, questions)
    return sum(a.text == text for a, text in zip(answers, texts, strict=True)) / len(texts)


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """What a prompt is searched on.

    Attributes:
        eps: budgets of the attacks, in 1/255.
        attack_steps: of each attack.
        pictures: how many are attacked to search on.
        held: how many more to measure on.
        phrases: at most so many in the text.
        seed: of the pictures, the questions and the attacks.
    """

    eps: tuple[float, ...] = (4.0, 6.0, 8.0)
    attack_steps: int = 6
    pictures: int = 150
    held: int = 90
    phrases: int = 2
    seed: int = 0


def optimise_prompt(
    data: Path,
    out: Path,
    model: HubVLM,
    *,
    config: SearchConfig | None = None,
    purify: Purify | None = None,
) -> dict[str, Any]:
    """Search a text for a model of the hub, and write it to the file `out`, which `read_prompt`
    reads.

    The attacks are made through the embedded model, and show on the other one as far as they
    transfer.

    Args:
        data: a folder as training.vlm.data describes it; only its training pictures are used, some
            of them held out.
        purify: what attacked pictures go through before the model sees them. Those that come back
            as they were are left out: the prompt is for pictures that were purified.

    Returns:
        The text; of held-out attacked pictures, the shares of answers that are those of the clean
        picture, `before` and `after`, without and behind it; `clean`, the share on clean pictures
        behind it.

    Raises:
        FileNotFoundError: the data is not there.
        ValueError: `out` is no .json, or fewer than two pictures were purified, so that there is
            nothing to search on.
    """
    if out.suffix != ".json":
        raise ValueError(f"Name the file for the prompt .json, not {out.name!r}.")
    config = config or SearchConfig()

    # 1. Training pictures, and the same attacked
    clean, questions = _pictures(data, config)
    adversarial = _attacked_pictures(EmbeddedVLM.from_pretrained(), clean, questions, config)

    # 2. Purify, and keep what that changed
    if purify is not None:
        results = torch.cat([purify(shot) for shot in adversarial.split(1)])
        is_changed = (results != adversarial).flatten(1).any(1)
        clean, adversarial = clean[is_changed], results[is_changed]
        questions = [
            question
            for question, changed in zip(questions, is_changed.tolist(), strict=True)
            if changed
        ]
    if len(clean) < 2:
        raise ValueError(
            f"Of the attacked pictures, {len(clean)} were purified; at least 2 are needed, to "
            "search on and to measure on. Take more pictures (`pictures` in --config) or a larger "
            "budget (`eps`)."
        )

    # 3. Search on some, measure on the others
    return _search(model, clean, adversarial, questions, out, config)


def _pictures(data: Path, config: SearchConfig) -> tuple[Tensor, list[str]]:
    """Return training pictures, float [N, 3, 224, 224], and a question on each."""
    pictures = load_pictures(data)
    frequency, rng = class_frequency(pictures), random.Random(config.seed)
    shots: list[Tensor] = []
    questions: list[str] = []
    for picture in rng.sample(pictures, len(pictures)):
        texts = sorted(
            {t.prompt for t in train_texts(picture, 0, frequency, rng)} - {CAPTION_PROMPT}
        )
        if texts and len(shots) < config.pictures + config.held:
            shots.append(render_view(read_pixels(data / picture.name), View()))
            questions.append(rng.choice(texts))
    return torch.stack(shots), questions


def _attacked_pictures(
    vlm: EmbeddedVLM, clean: Tensor, questions: list[str], config: SearchConfig
) -> Tensor:
    """Attack every picture once: the answer or, of every third one, CLIP's features; at one of the
    budgets."""
    adversarial = []
    for i, question in enumerate(questions):
        picture = clean[i : i + 1]
        attack = Attack(
            "pgd",
            eps=config.eps[i % len(config.eps)],
            steps=config.attack_steps,
            seed=config.seed + i,
        )
        if i % 3:
            objective: Any = change_answer(vlm, [question], [vlm.answer(picture, question)[0].text])
        else:
            objective = MoveFeatures(language_tokens(vlm.tower, layers=vlm.config.layers), picture)
        adversarial.append(run_attack(attack, picture, objective))
    return torch.cat(adversarial)


def _search(
    model: HubVLM,
    clean: Tensor,
    adversarial: Tensor,
    questions: list[str],
    out: Path,
    config: SearchConfig,
) -> dict[str, Any]:
    """Search on the first pictures and measure on the held-out ones."""
    split = len(clean) - min(config.held, len(clean) // 2)
    prefix = _search_text_prefix(
        model,
        clean[:split],
        adversarial[:split],
        questions[:split],
        phrases=config.phrases,
        seed=config.seed,
    )
    shares = _measure_text_prefix(
        model, clean[split:], adversarial[split:], questions[split:], prefix.text
    )
    facts = {"text": prefix.text, "tried": prefix.tried, "held pictures": len(questions) - split}
    facts |= {"before": shares.before, "after": shares.under_attack, "clean": shares.clean}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(facts, indent=2) + "\n")
    return facts
