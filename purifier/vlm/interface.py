"""The interface of vision-language models: captions, and answers that know how sure they
are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from causalclip.languages import _

if TYPE_CHECKING:
    from torch import Tensor

CAPTION_PROMPT = "describe the picture"
EMBEDDED: Final = "embedded"  # key of the model that is shipped
OTHER: Final = "other"  # key of one that a host has added
NOT_SURE = "I am not sure"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. text: the best guess, in lower case. confidence: in [0, 1]. sure: confidence is at
    or above the threshold."""

    text: str
    confidence: float
    sure: bool

    @property
    def spoken(self) -> str:
        """Return what to show: the answer, or that the model is not sure, with its guess."""
        return self.text if self.sure else f"{NOT_SURE} (perhaps: {self.text})"


@dataclass(frozen=True, slots=True)
class Caption:
    """A caption. text: one sentence in lower case. confidence: the geometric mean of its tokens'
    probabilities, in [0, 1]."""

    text: str
    confidence: float


@runtime_checkable
class VisionLanguageModel(Protocol):
    """The interface of models that see and speak. pixels: float [N, 3, H, W] in [0, 1], any
    size.

    What `see` returns is for the methods beside it: models that can look at a picture once,
    whatever is asked about it, then do so.
    """

    @property
    def answers(self) -> tuple[str, ...]:
        """The only ones that it gives; () if it may say anything."""
        ...

    @property
    def asks(self) -> bool:
        """Return whether it takes questions."""
        ...

    @property
    def differentiable(self) -> bool:
        """Return whether `log_likelihood` has a gradient in the pixels."""
        ...

    def caption(self, pixels: Tensor) -> list[Caption]:
        """One caption a picture."""
        ...

    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """One answer a picture, to one question for all or one for each."""
        ...

    def log_likelihood(
        self, pixels: Tensor, prompts: Sequence[str], answers: Sequence[str]
    ) -> Tensor:
        """Return log p(answer | picture, prompt) of each picture, [N]; CAPTION_PROMPT asks for a
        caption."""
        ...

    def see(self, pixels: Tensor) -> Any:
        """Return what it sees."""
        ...

    def caption_seen(self, visual: Any) -> list[Caption]:
        """Caption pictures that were seen, as `caption` does."""
        ...

    def answer_seen(self, visual: Any, questions: Sequence[str]) -> list[Answer]:
        """Answer one question a picture about pictures that were seen."""
        ...


class EmptyQuestion(ValueError):
    """A question has no words; the message says what to do."""


def normalise_question(text: str) -> str:
    """Lower case, without the question mark and punctuation at the end, one space between words.

    Raises:
        EmptyQuestion: nothing is left.
    """
    words = " ".join(text.replace("_", " ").lower().rstrip(" ?.!").split())
    if not words:
        raise EmptyQuestion(
            _("The question is empty. Type one, such as: how many people are there?")
        )
    return words
