"""From a data folder to a defence prompt: attacks training pictures, learns or searches the prompt, measures it."""

import json
import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from purifier.attacks import Attack, run_attack
from purifier.hub_vlm import HubVLM
from purifier.objectives import MoveFeatures, change_answer, language_tokens
from purifier.prompts.card import write_prompt_card
from purifier.prompts.search import measure_text_prefix, search_text_prefix
from purifier.prompts.soft import SoftPrompt
from purifier.prompts.train import Lesson, PromptConfig, agreement, chosen, train_soft_prompt
from purifier.vlm import CAPTION_PROMPT, EmbeddedVLM
from purifier.vlm.data import class_frequency, load_pictures, train_texts
from purifier.vlm.features import View, read_pixels, render_view

Purify = Callable[[Tensor], Tensor]  # float [N, 3, H, W] in [0, 1] -> the same


def optimise_prompt(
    data: Path,
    out: Path,
    *,
    config: PromptConfig | None = None,
    model: EmbeddedVLM | HubVLM | None = None,
    purify: Purify | None = None,
) -> dict[str, Any]:
    """Learns a soft prefix for the embedded model, or searches a text for one of the hub, and writes it to `out`.

    Args:
        data: a folder as purifier.vlm.data describes it; only its training pictures are used, some of them held out.
        model: the embedded model if None.
        purify: what attacked pictures go through before the model sees them, in one half of the cases.

    Returns:
        Shares of answers that are those of the clean picture: `before` and `after` on held-out attacked pictures,
        `clean` on held-out clean ones behind the prompt.

    Raises:
        FileNotFoundError: the data is not there.
    """
    config = config or PromptConfig()
    eyes = model if isinstance(model, EmbeddedVLM) else EmbeddedVLM.from_pretrained()
    clean, questions = _pictures(data, config)
    moved = _moved(eyes, clean, questions, config, purify)
    if isinstance(model, HubVLM):
        return _search(model, clean, moved, questions, out, config)
    return _learn(eyes, clean, moved, questions, out, config, purified=purify is not None)


def _pictures(data: Path, config: PromptConfig) -> tuple[Tensor, list[str]]:
    """Training pictures, float [N, 3, 224, 224], and a question to each."""
    pictures = load_pictures(data)
    frequency, rng = class_frequency(pictures), random.Random(config.seed)
    shots: list[Tensor] = []
    questions: list[str] = []
    for picture in rng.sample(pictures, len(pictures)):
        texts = [t.prompt for t in train_texts(picture, 0, frequency, rng) if t.prompt != CAPTION_PROMPT]
        if texts and len(shots) < config.pictures + config.held:
            shots.append(render_view(read_pixels(data / picture.name), View()))
            questions.append(rng.choice(texts))
    return torch.stack(shots), questions


def _moved(
    eyes: EmbeddedVLM, clean: Tensor, questions: list[str], config: PromptConfig, purify: Purify | None
) -> Tensor:
    """Every picture attacked once: on the answer or on CLIP's features, at one of the budgets; half of it purified."""
    answers = [a.text for a in eyes.answer(clean, questions)]
    moved = []
    for i in range(len(clean)):
        here = clean[i : i + 1]
        attack = Attack("pgd", eps=config.eps[i % len(config.eps)], steps=config.attack_steps, seed=config.seed + i)
        if i % 2:
            objective: Any = change_answer(eyes, questions[i : i + 1], answers[i : i + 1])
        else:
            objective = MoveFeatures(language_tokens(eyes.tower, layers=eyes.config.layers), here)
        shot = run_attack(attack, here, objective)
        moved.append(purify(shot) if purify is not None and i % 4 < 2 else shot)
    return torch.cat(moved)


def _learn(
    model: EmbeddedVLM,
    clean: Tensor,
    moved: Tensor,
    questions: list[str],
    out: Path,
    config: PromptConfig,
    *,
    purified: bool,
) -> dict[str, Any]:
    with torch.no_grad():
        seen, fooled = torch.cat(list(map(model.see, clean.split(8)))), torch.cat(list(map(model.see, moved.split(8))))
    answers = [a.text for a in model.answer_seen(seen, questions)]
    captions = [c.text for c in model.caption_seen(seen)]
    whole = Lesson(seen, fooled, tuple(questions), tuple(answers))
    split = len(clean) - min(config.held, len(clean) // 2)
    told = Lesson(seen, fooled, (CAPTION_PROMPT,) * len(clean), tuple(captions))
    lesson = _joined(chosen(whole, range(split)), chosen(told, range(split)))
    prefix = train_soft_prompt(model, lesson, config)
    held = chosen(whole, range(split, len(clean)))
    facts = {
        "config": asdict(config),
        "purified": purified,
        "held pictures": len(held.texts),
        "before": round(agreement(model, held.moved, held, prefix=None), 4),
        "after": round(agreement(model, held.moved, held, prefix=prefix), 4),
        "clean": round(agreement(model, held.clean, held, prefix=prefix), 4),
    }
    SoftPrompt(prefix, facts).save_pretrained(out)
    write_prompt_card(out, facts)
    return facts


def _joined(a: Lesson, b: Lesson) -> Lesson:
    return Lesson(
        torch.cat([a.clean, b.clean]), torch.cat([a.moved, b.moved]), a.prompts + b.prompts, a.texts + b.texts
    )


def _search(
    model: HubVLM, clean: Tensor, moved: Tensor, questions: list[str], out: Path, config: PromptConfig
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
