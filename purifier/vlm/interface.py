"""What every vision-language model offers here: captions, and answers that know how sure they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

CAPTION_PROMPT = "describe the picture"
NOT_SURE = "I am not sure"


@dataclass(frozen=True, slots=True)
class Answer:
    """text: the best guess, in lower case. confidence: in [0, 1]. sure: confidence is at or above the threshold."""

    text: str
    confidence: float
    sure: bool

    @property
    def spoken(self) -> str:
        """What to show: the answer, or that the model is not sure, with its guess."""
        return self.text if self.sure else f"{NOT_SURE} (perhaps: {self.text})"


@dataclass(frozen=True, slots=True)
class Caption:
    """text: one sentence in lower case. confidence: the geometric mean of its tokens' probabilities, in [0, 1]."""

    text: str
    confidence: float


@runtime_checkable
class VisionLanguageModel(Protocol):
    """What a model that sees and speaks offers here. pixels: float [N, 3, H, W] in [0, 1], any size."""

    def caption(self, pixels: Tensor) -> list[Caption]:
        """One caption a picture."""
        ...

    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """One answer a picture, to one question for all or one for each."""
        ...


def normalise_question(text: str) -> str:
    """Lower case, without the question mark and punctuation at the end, one space between words.

    Raises:
        ValueError: nothing is left.
    """
    words = " ".join(text.replace("_", " ").lower().rstrip(" ?.!").split())
    if not words:
        raise ValueError("The question is empty. Type one, such as: how many people are there?")
    return words
