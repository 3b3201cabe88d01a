"""Trains a soft prefix: behind it the model shall say of purified pictures what it says of clean ones.

The model is frozen and runs on visual tokens that were computed once, so a step costs the language model alone
(prompt tuning, Lester et al., EMNLP 2021, arXiv 2104.08691).
"""

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from purifier.vlm import EmbeddedVLM


@dataclass(frozen=True, slots=True)
class PromptConfig:
    """tokens: of the prefix. eps: of the attacks, in 1/255; attack_steps: of each. pictures: how many are attacked to
    learn from; held: how many more to measure on; questions: at most so many on each. steps, batch, lr: of the
    training. phrases: at most so many in a searched text prefix.
    """

    tokens: int = 4
    eps: tuple[float, ...] = (4.0, 6.0, 8.0)
    attack_steps: int = 6
    pictures: int = 150
    held: int = 90
    questions: int = 6
    steps: int = 150
    batch: int = 32
    lr: float = 0.001
    phrases: int = 2
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Lesson:
    """Pictures as the model sees them, and what it shall say.

    visual: tokens [N, V, D]. prompts, texts: N each, a question or the caption's prompt and what the model says of the
    clean picture.
    """

    visual: Tensor
    prompts: tuple[str, ...]
    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.visual) == len(self.prompts) == len(self.texts):
            raise ValueError("A lesson needs as many pictures, prompts and texts.")


def train_soft_prompt(model: EmbeddedVLM, lesson: Lesson, config: PromptConfig) -> Tensor:
    """Learns the prefix [P, D] from zeros, which change nothing; the model stays as it is.

    The loss is -log p(text) a token.
    """
    prefix = torch.zeros(config.tokens, model.width, requires_grad=True)
    optimizer = torch.optim.Adam([prefix], lr=config.lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    rng = random.Random(config.seed)
    for _ in range(config.steps):
        rows = rng.sample(range(len(lesson.texts)), min(config.batch, len(lesson.texts)))
        prompts, texts = [lesson.prompts[i] for i in rows], [lesson.texts[i] for i in rows]
        lengths = torch.tensor([len(model.vocabulary.answer(text)) for text in texts])
        loss = -(model.score(lesson.visual[rows], prompts, texts, prefix=prefix) / lengths).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    return prefix.detach()


def agreement(model: EmbeddedVLM, lesson: Lesson, *, prefix: Tensor | None) -> float:
    """The share of a lesson's questions that are answered as on the clean picture."""
    given = model.answer_seen(lesson.visual, lesson.prompts, prefix=prefix)
    return sum(a.text == text for a, text in zip(given, lesson.texts, strict=True)) / len(lesson.texts)


@torch.no_grad()
def surprise(model: EmbeddedVLM, lesson: Lesson, *, prefix: Tensor | None) -> float:
    """-log p of what a lesson says, a token: finer than the share of answers, which few questions tell apart."""
    lengths = torch.tensor([len(model.vocabulary.answer(text)) for text in lesson.texts])
    scores = model.score(lesson.visual, lesson.prompts, lesson.texts, prefix=prefix)
    return float(-(scores / lengths).mean())


def joined(a: Lesson, b: Lesson) -> Lesson:
    """Both, one after the other."""
    return Lesson(torch.cat([a.visual, b.visual]), a.prompts + b.prompts, a.texts + b.texts)
