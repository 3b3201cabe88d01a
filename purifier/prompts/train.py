"""Trains a soft prefix: behind it the model shall say of attacked and purified pictures what it says of clean ones.

The model is frozen and runs on visual tokens that were computed once, so a step costs the language model alone
(prompt tuning, Lester et al., EMNLP 2021, arXiv 2104.08691).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from purifier.vlm import EmbeddedVLM


@dataclass(frozen=True, slots=True)
class PromptConfig:
    """tokens: of the prefix. eps: of the attacks, in 1/255; attack_steps: of each. pictures: how many are attacked to
    learn from; held: how many more to measure on. clean: the weight of clean pictures beside the others. steps, batch,
    lr: of the training. phrases: at most so many in a searched text prefix.
    """

    tokens: int = 8
    eps: tuple[float, ...] = (2.0, 4.0, 8.0)
    attack_steps: int = 5
    pictures: int = 96
    held: int = 48
    clean: float = 1.0
    steps: int = 300
    batch: int = 12
    lr: float = 0.02
    phrases: int = 2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Lesson:
    """Pictures as the model sees them, and what it shall say.

    clean, moved: visual tokens [N, V, D] of the same pictures, untouched and attacked (perhaps purified). prompts,
    texts: N each, a question or the caption's prompt and what the model says of the clean picture.
    """

    clean: Tensor
    moved: Tensor
    prompts: tuple[str, ...]
    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.clean) == len(self.moved) == len(self.prompts) == len(self.texts):
            raise ValueError("A lesson needs as many clean tokens, moved tokens, prompts and texts.")


def train_soft_prompt(model: EmbeddedVLM, lesson: Lesson, config: PromptConfig) -> Tensor:
    """Learns the prefix [P, D]; the model stays as it is.

    The loss is -log p(text) on moved pictures plus `clean` times the same on clean ones, a token.
    """
    generator = torch.Generator().manual_seed(config.seed)
    prefix = _start(model, config.tokens, generator).requires_grad_()
    optimizer = torch.optim.Adam([prefix], lr=config.lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    rng = random.Random(config.seed)
    for _ in range(config.steps):
        rows = rng.sample(range(len(lesson.texts)), min(config.batch, len(lesson.texts)))
        prompts, texts = [lesson.prompts[i] for i in rows], [lesson.texts[i] for i in rows]
        lengths = torch.tensor([len(model.vocabulary.answer(text)) for text in texts])
        loss = torch.zeros(())
        for visual, weight in ((lesson.moved, 1.0), (lesson.clean, config.clean)):
            loss = loss - weight * (model.score(visual[rows], prompts, texts, prefix=prefix) / lengths).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    return prefix.detach()


def agreement(model: EmbeddedVLM, visual: Tensor, lesson: Lesson, *, prefix: Tensor | None) -> float:
    """The share of a lesson's questions that are answered as on the clean picture, given visual tokens."""
    given = model.answer_seen(visual, lesson.prompts, prefix=prefix)
    return sum(a.text == text for a, text in zip(given, lesson.texts, strict=True)) / len(lesson.texts)


def _start(model: EmbeddedVLM, tokens: int, generator: torch.Generator) -> Tensor:
    """Random words of the vocabulary: a start inside what the model knows."""
    table: Tensor = model.language.get_input_embeddings().weight.detach()
    return table[torch.randint(len(table), (tokens,), generator=generator)].clone()


def chosen(lesson: Lesson, rows: Sequence[int]) -> Lesson:
    """A part of a lesson."""
    index = list(rows)
    return Lesson(
        lesson.clean[index],
        lesson.moved[index],
        tuple(lesson.prompts[i] for i in index),
        tuple(lesson.texts[i] for i in index),
    )
