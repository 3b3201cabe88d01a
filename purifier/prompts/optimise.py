"""From a data folder to a defence prompt: attacks training pictures, learns or searches the prompt, measures it."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from purifier.attacks import Attack, run_attack
from purifier.objectives import MoveFeatures, change_answer, language_tokens
from purifier.prompts.card import write_prompt_card
from purifier.prompts.fitting import Lesson, PromptConfig, agreement, joined, surprise, train_soft_prompt
from purifier.prompts.search import measure_text_prefix, search_text_prefix
from purifier.prompts.soft import SoftPrompt
from purifier.vlm import CAPTION_PROMPT, EmbeddedVLM
from purifier.vlm.features import View, read_pixels, render_view
from purifier.vlm.hosted import HubVLM
from purifier.vlm.training.data import class_frequency, load_pictures, train_texts

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
        data: a folder as vlm.training.data describes it; only its training pictures are used, some of them held out.
        model: the embedded model if None.
        purify: what attacked pictures go through before the model sees them. Those that come back as they were are
            left out: the prompt is for pictures that were purified.

    Returns:
        Of held-out attacked pictures, the shares of answers that are those of the clean picture and -log p of those
        answers, `before` and `after`, without and behind the prompt; `clean`, the share on clean pictures behind it.

    Raises:
        FileNotFoundError: the data is not there.
    """
    config = config or PromptConfig()
    eyes = model if isinstance(model, EmbeddedVLM) else EmbeddedVLM.from_pretrained()
    clean, questions = _pictures(data, config)
    moved = _moved(eyes, clean, [asked[0] for asked in questions], config)
    if purify is not None:
        purified = torch.cat([purify(shot) for shot in moved.split(1)])
        changed = (purified != moved).flatten(1).any(1)
        clean, moved = clean[changed], purified[changed]
        questions = [asked for asked, kept in zip(questions, changed.tolist(), strict=True) if kept]
    if isinstance(model, HubVLM):
        return _search(model, clean, moved, [asked[0] for asked in questions], out, config)
    return _learn(eyes, clean, moved, questions, out, config, purified=purify is not None)


def _pictures(data: Path, config: PromptConfig) -> tuple[Tensor, list[list[str]]]:
    """Training pictures, float [N, 3, 224, 224], and questions on each."""
    pictures = load_pictures(data)
    frequency, rng = class_frequency(pictures), random.Random(config.seed)
    shots: list[Tensor] = []
    questions: list[list[str]] = []
    for picture in rng.sample(pictures, len(pictures)):
        texts = sorted({t.prompt for t in train_texts(picture, 0, frequency, rng)} - {CAPTION_PROMPT})
        if texts and len(shots) < config.pictures + config.held:
            shots.append(render_view(read_pixels(data / picture.name), View()))
            questions.append(rng.sample(texts, min(len(texts), config.questions)))
    return torch.stack(shots), questions


def _moved(eyes: EmbeddedVLM, clean: Tensor, questions: list[str], config: PromptConfig) -> Tensor:
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


def _learn(
    model: EmbeddedVLM,
    clean: Tensor,
    moved: Tensor,
    questions: list[list[str]],
    out: Path,
    config: PromptConfig,
    *,
    purified: bool,
) -> dict[str, Any]:
    with torch.no_grad():
        seen, fooled = (torch.cat(list(map(model.see, pixels.split(8)))) for pixels in (clean, moved))
    split = len(clean) - min(config.held, len(clean) // 2)
    lesson = _asked(model, seen, fooled, questions, range(split))
    told = tuple(c.text for c in model.caption_seen(seen[:split]))
    lesson = joined(lesson, Lesson(fooled[:split], (CAPTION_PROMPT,) * split, told))
    prefix = train_soft_prompt(model, lesson, config)
    held = _asked(model, seen, fooled, questions, range(split, len(clean)))
    untouched = _asked(model, seen, seen, questions, range(split, len(clean)))
    facts: dict[str, Any] = {"config": asdict(config), "purified": purified}
    facts |= {"pictures": split, "held pictures": len(clean) - split, "held questions": len(held.texts)}
    for name, given in (("before", None), ("after", prefix)):
        facts[name] = round(agreement(model, held, prefix=given), 4)
        facts[f"surprise {name}"] = round(surprise(model, held, prefix=given), 4)
    facts["clean"] = round(agreement(model, untouched, prefix=prefix), 4)
    SoftPrompt(prefix, facts).save_pretrained(out)
    write_prompt_card(out, facts)
    return facts


def _asked(
    model: EmbeddedVLM, seen: Tensor, shown: Tensor, questions: list[list[str]], pictures: Sequence[int]
) -> Lesson:
    """Every question on these pictures, of which the model sees `shown` and shall say what it says of `seen`."""
    rows = [i for i in pictures for _ in questions[i]]
    prompts = tuple(text for i in pictures for text in questions[i])
    answers = [a.text for part, texts in _parts(seen[rows], prompts) for a in model.answer_seen(part, texts)]
    return Lesson(shown[rows], prompts, tuple(answers))


def _parts(visual: Tensor, texts: Sequence[str], size: int = 64) -> Iterator[tuple[Tensor, Sequence[str]]]:
    for at in range(0, len(texts), size):
        yield visual[at : at + size], texts[at : at + size]


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
