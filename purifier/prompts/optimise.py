"""From a data folder to words before every question: attacks training pictures, searches the words, measures them."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from purifier.attacks import Attack, run_attack
from purifier.objectives import MoveFeatures, change_answer, language_tokens
from purifier.prompts.search import measure_text_prefix, search_text_prefix
from purifier.vlm import CAPTION_PROMPT, EmbeddedVLM
from purifier.vlm.features import View, read_pixels, render_view
from purifier.vlm.hosted import HubVLM
from purifier.vlm.training.data import class_frequency, load_pictures, train_texts

Purify = Callable[[Tensor], Tensor]  # float [N, 3, H, W] in [0, 1] -> the same


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """eps: of the attacks, in 1/255; attack_steps: of each. pictures: how many are attacked to search on; held: how
    many more to measure on. phrases: at most so many in the text."""

    eps: tuple[float, ...] = (4.0, 6.0, 8.0)
    attack_steps: int = 6
    pictures: int = 150
    held: int = 90
    phrases: int = 2
    seed: int = 0


def optimise_prompt(
    data: Path, out: Path, model: HubVLM, *, config: SearchConfig | None = None, purify: Purify | None = None
) -> dict[str, Any]:
    """Searches a text for a model of the hub, and writes it to `out`.

    The attacks are made through the embedded model, and show on the other one as far as they transfer.

    Args:
        data: a folder as vlm.training.data describes it; only its training pictures are used, some of them held out.
        purify: what attacked pictures go through before the model sees them. Those that come back as they were are
            left out: the prompt is for pictures that were purified.

    Returns:
        The text; of held-out attacked pictures, the shares of answers that are those of the clean picture, `before` and
        `after`, without and behind it; `clean`, the share on clean pictures behind it.

    Raises:
        FileNotFoundError: the data is not there.
    """
    config = config or SearchConfig()
    clean, questions = _pictures(data, config)
    moved = _moved(EmbeddedVLM.from_pretrained(), clean, questions, config)
    if purify is not None:
        purified = torch.cat([purify(shot) for shot in moved.split(1)])
        changed = (purified != moved).flatten(1).any(1)
        clean, moved = clean[changed], purified[changed]
        questions = [asked for asked, kept in zip(questions, changed.tolist(), strict=True) if kept]
    return _search(model, clean, moved, questions, out, config)


def _pictures(data: Path, config: SearchConfig) -> tuple[Tensor, list[str]]:
    """Training pictures, float [N, 3, 224, 224], and a question on each."""
    pictures = load_pictures(data)
    frequency, rng = class_frequency(pictures), random.Random(config.seed)
    shots: list[Tensor] = []
    questions: list[str] = []
    for picture in rng.sample(pictures, len(pictures)):
        texts = sorted({t.prompt for t in train_texts(picture, 0, frequency, rng)} - {CAPTION_PROMPT})
        if texts and len(shots) < config.pictures + config.held:
            shots.append(render_view(read_pixels(data / picture.name), View()))
            questions.append(rng.choice(texts))
    return torch.stack(shots), questions


def _moved(eyes: EmbeddedVLM, clean: Tensor, questions: list[str], config: SearchConfig) -> Tensor:
    """Every picture attacked once: on the answer or, every third one, on CLIP's features; at one of the budgets."""
    moved = []
    for i, question in enumerate(questions):
        here = clean[i : i + 1]
        attack = Attack("pgd", eps=config.eps[i % len(config.eps)], steps=config.attack_steps, seed=config.seed + i)
        if i % 3:
            objective: Any = change_answer(eyes, [question], [eyes.answer(here, question)[0].text])
        else:
            objective = MoveFeatures(language_tokens(eyes.tower, layers=eyes.config.layers), here)
        moved.append(run_attack(attack, here, objective))
    return torch.cat(moved)


def _search(
    model: HubVLM, clean: Tensor, moved: Tensor, questions: list[str], out: Path, config: SearchConfig
) -> dict[str, Any]:
    """Searches on the first pictures and measures on the held-out ones."""
    split = len(clean) - min(config.held, len(clean) // 2)
    found = search_text_prefix(
        model, clean[:split], moved[:split], questions[:split], phrases=config.phrases, seed=config.seed
    )
    held = measure_text_prefix(model, clean[split:], moved[split:], questions[split:], found.text)
    facts = {"text": found.text, "tried": found.tried, "held pictures": len(questions) - split}
    facts |= {"before": held.before, "after": held.moved, "clean": held.clean}
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(facts, indent=2) + "\n")
    return facts
