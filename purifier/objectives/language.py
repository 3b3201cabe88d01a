"""Moves what a model says: its answer to a question, or its caption."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from purifier.vlm import CAPTION_PROMPT, VisionLanguageModel


@dataclass(frozen=True, slots=True)
class SaySomething:
    """Makes the model say something else than `texts` (untargeted), or exactly `texts` (targeted).

    prompts, texts: one a picture. The loss is -log p(text | picture, prompt), or log p for a target.
    """

    vlm: VisionLanguageModel
    prompts: tuple[str, ...]
    texts: tuple[str, ...]
    targeted: bool = False
    flat: bool = field(default=False, init=False)

    def __call__(self, pixels: Tensor) -> Tensor:
        likelihood = self.vlm.log_likelihood(pixels, self.prompts, self.texts)
        return likelihood if self.targeted else -likelihood


def change_answer(vlm: VisionLanguageModel, questions: Sequence[str], answers: Sequence[str]) -> SaySomething:
    """Away from what the model answers to each question now."""
    return SaySomething(vlm, tuple(questions), tuple(answers))


def force_answer(vlm: VisionLanguageModel, questions: Sequence[str], targets: Sequence[str]) -> SaySomething:
    """Towards one answer to each question."""
    return SaySomething(vlm, tuple(questions), tuple(targets), targeted=True)


def change_caption(vlm: VisionLanguageModel, captions: Sequence[str]) -> SaySomething:
    """Away from what the model says about each picture now."""
    return SaySomething(vlm, (CAPTION_PROMPT,) * len(captions), tuple(captions))


def force_caption(vlm: VisionLanguageModel, targets: Sequence[str]) -> SaySomething:
    """Towards one caption of each picture."""
    return SaySomething(vlm, (CAPTION_PROMPT,) * len(targets), tuple(targets), targeted=True)
