"""Shared parts of the hub's models: pictures for the processor and back to pixels, and the
likelihood of what is said."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

import torch
from PIL import Image
from torch import Tensor

from purifier.vlm.interface import Answer, Caption

SURE = 0.5  # of these models' own, uncalibrated probability
PROBE = 64  # px, of the picture that is looked at to learn whether a gradient comes back


class NotThisKind(ValueError):
    """The model cannot do what it was asked; the message says which kind can."""


class HubVLM(ABC):
    """A model of the hub behind the embedded one's interface. What it sees of a picture is the
    picture.

    Args:
        model, processor: as transformers loads them. prefix: a text put before every prompt (a
        defence prompt).
    """

    answers: tuple[str, ...] = ()
    asks: bool = True

    def __init__(self, model: Any, processor: Any, *, prefix: str = "") -> None:
        self.model = model.eval().requires_grad_(False)
        self.processor = processor
        self.prefix = prefix

    def with_prefix(self, prefix: str) -> Self:
        """The same model with another text before every prompt."""
        return type(self)(self.model, self.processor, prefix=prefix)

    def see_whole(self) -> Self:
        """Without close looks at tiles of a picture, in place, if it takes any (SmolVLM): many
        times quicker."""
        if hasattr(self.processor.image_processor, "do_image_splitting"):
            self.processor.image_processor.do_image_splitting = False
        return self

    def to(self, device: str) -> Self:
        """Move the weights, in place. Pictures and what is said of them stay on the processor."""
        self.model.to(device)
        return self

    @cached_property
    def differentiable(self) -> bool:
        """Whether its picture processor lets a gradient through; most of those that work on tensors
        do."""
        probe = torch.full((1, 3, PROBE, PROBE), 0.5, requires_grad=True)
        try:
            return bool(self._soft_values(probe).requires_grad)
        except Exception:  # a processor is the model's own code and may fail in any way
            return False

    @abstractmethod
    def caption(self, pixels: Tensor) -> list[Caption]:
        """One caption a picture."""

    @abstractmethod
    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """One answer a picture."""

    def log_likelihood(
        self, pixels: Tensor, prompts: Sequence[str], answers: Sequence[str]
    ) -> Tensor:
        """Return log p(answer | picture, prompt) of each picture, [N], summed over the answer's
        tokens and its end.

        CAPTION_PROMPT asks for a caption in the model's own way. The value is that of the picture
        on 8-bit levels, as the model is given it; the gradient is that of the processor's
        resampling without the rounding.
        """
        triples = zip(pixels, prompts, answers, strict=True)
        return torch.cat(
            [
                self._likelihood(picture[None], prompt, text).cpu()
                for picture, prompt, text in triples
            ]
        )

    def see(self, pixels: Tensor) -> Tensor:
        """The pictures: each question looks at them again."""
        return pixels

    def caption_seen(self, visual: Tensor) -> list[Caption]:
        """Caption pictures that were seen, as `caption` does."""
        return self.caption(visual)

    def answer_seen(self, visual: Tensor, questions: Sequence[str]) -> list[Answer]:
        """Answer about pictures that were seen, as `answer` does."""
        return self.answer(visual, questions)

    def score(self, visual: Tensor, prompts: Sequence[str], answers: Sequence[str]) -> Tensor:
        """Score as `log_likelihood` does."""
        return self.log_likelihood(visual, prompts, answers)

    @abstractmethod
    def _likelihood(self, pixels: Tensor, prompt: str, text: str) -> Tensor:
        """Return log p(text | picture [1, 3, H, W], prompt), [1]."""

    def _with_prefix(self, text: str) -> str:
        return f"{self.prefix} {text}".strip()

    def _on_device(self, inputs: Any) -> Any:
        return inputs.to(self.model.device, self.model.dtype)

    def _with_gradient(self, inputs: Any, pixels: Tensor) -> Any:
        """The same inputs, whose values carry the gradient of the pixels [1, 3, H, W], if that is
        wanted."""
        if pixels.requires_grad:
            soft = self._soft_values(pixels).to(self.model.device, self.model.dtype)
            inputs["pixel_values"] = inputs["pixel_values"] + (soft - soft.detach())
        return inputs

    def _soft_values(self, pixels: Tensor) -> Tensor:
        """Return what the processor makes of pictures that are not rounded to 8 bits."""
        values: Tensor = self.processor.image_processor(
            images=list(pixels * 255), return_tensors="pt"
        )["pixel_values"]
        return values

    def _generate(
        self, inputs: Any, *, limit: int, decoder: Any, start: int = 0
    ) -> list[tuple[str, float]]:
        """Return what is said of each picture, from token `start` on, and how probable the model
        found it.

        limit: tokens at most. decoder: the part of the model that speaks.
        """
        out = self.model.generate(
            **inputs,
            max_new_tokens=limit,
            do_sample=False,
            output_scores=True,
            return_dict_in_generate=True,
        )
        texts = self.processor.batch_decode(out.sequences[:, start:], skip_special_tokens=True)
        probabilities = self._probabilities(out, decoder)
        return [(" ".join(text.split()), p) for text, p in zip(texts, probabilities, strict=True)]

    def _probabilities(self, out: Any, generator: Any) -> list[float]:
        """The geometric mean of the probabilities of what was said, up to and with its end, [N]."""
        logs = generator.compute_transition_scores(out.sequences, out.scores, normalize_logits=True)
        pad = generator.generation_config.pad_token_id
        new = out.sequences[:, -logs.shape[1] :]
        is_word = torch.isfinite(logs) if pad is None else torch.isfinite(logs) & (new != pad)
        mean = torch.where(is_word, logs, 0.0).sum(1) / is_word.sum(1).clamp_min(1)
        return [math.exp(value) for value in mean.tolist()]


def likelihood_of(logits: Tensor, ids: Tensor, start: int) -> Tensor:
    """Return log p(ids[start:] | ids[:start]), [1], of the logits [T, words] that a causal model
    gives for ids [T]."""
    logs = logits[start - 1 : -1].float().log_softmax(-1)
    return logs.gather(1, ids[start:, None]).sum()[None]


def to_answer(text: str, confidence: float) -> Answer:
    """Return what was said, as an answer."""
    return Answer(text, confidence, confidence >= SURE)


def to_pictures(pixels: Tensor) -> list[Image.Image]:
    """float [N, 3, H, W] in [0, 1] -> 8-bit pictures.

    Raises:
        ValueError: the shape is another one.
    """
    if pixels.dim() != 4 or pixels.shape[1] != 3 or not pixels.is_floating_point():
        raise ValueError(
            f"Pixels must be float [N, 3, H, W] in [0, 1], not {pixels.dtype} "
            f"{tuple(pixels.shape)}."
        )
    arrays = (pixels.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(picture) for picture in arrays]


def each(question: str | Sequence[str], count: int) -> list[str]:
    """One question a picture.

    Raises:
        ValueError: the numbers differ, or a question is empty.
    """
    questions = [question] * count if isinstance(question, str) else list(question)
    if len(questions) != count or not all(text.strip() for text in questions):
        raise ValueError(
            f"Give one question for all {count} pictures or one for each, none of them empty."
        )
    return questions
