"""Vision-language models by name: from the hub, its cache or a folder, behind the embedded model's interface.

    load_vlm("embedded")                                   the shipped one
    load_vlm("HuggingFaceTB/SmolVLM-256M-Instruct")        a chat model of the image-text-to-text kind
    load_vlm("Salesforce/blip-vqa-base")                   BLIP for questions
    load_vlm("Salesforce/blip-image-captioning-base")      BLIP for captions

Nothing is replaced silently: a model that cannot be had raises WeightsMissing, and a captioning model that is asked a
question says that it cannot.
"""

import math
from collections.abc import Sequence
from typing import Any, Self

import torch
from PIL import Image
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    BlipForConditionalGeneration,
    BlipForQuestionAnswering,
)

from causalclip.clip.weights import WeightsMissing
from purifier.vlm import Answer, Caption, EmbeddedVLM, VisionLanguageModel

EMBEDDED = "embedded"
CAPTION_REQUEST = "Describe this picture in one short sentence."
ANSWER_STYLE = "Answer in one to three words."
SURE = 0.5  # of these models' own, uncalibrated probability


class NotThisKind(ValueError):
    """The model cannot do what it was asked; the message says which kind can."""


def load_vlm(name: str = EMBEDDED, *, prefix: str = "") -> VisionLanguageModel:
    """Loads a vision-language model, frozen and in evaluation mode.

    Args:
        name: "embedded", a model of the hub, or a folder that `save_pretrained` wrote.
        prefix: a text put before every prompt of a hub model (a defence prompt).

    Raises:
        WeightsMissing: it is neither here nor to be had from the hub.
        NotThisKind: it is no model of a kind that sees and speaks.
    """
    if name == EMBEDDED:
        return EmbeddedVLM.from_pretrained()
    config = _fetch(AutoConfig, name)
    if config.model_type != "blip":
        if type(config) not in AutoModelForImageTextToText._model_mapping:
            raise NotThisKind(
                f"{name!r} is a {config.model_type!r} model; it must be BLIP or of the image-text-to-text kind."
            )
        return ChatVLM(_fetch(AutoModelForImageTextToText, name), _fetch(AutoProcessor, name), prefix=prefix)
    asks = "BlipForQuestionAnswering" in (config.architectures or ())
    loader: Any = BlipForQuestionAnswering if asks else BlipForConditionalGeneration
    return (BlipVQA if asks else BlipCaptioner)(_fetch(loader, name), _fetch(AutoProcessor, name), prefix=prefix)


def _fetch(loader: Any, name: str) -> Any:
    try:
        return loader.from_pretrained(name)
    except ImportError as error:  # some processors need packages that transformers itself does not
        raise WeightsMissing(f"The model {name!r} needs another package: {error}") from error
    except (OSError, ConnectionError) as error:
        raise WeightsMissing(
            f"The model {name!r} is not here and the hub cannot be reached, or has no such model. Fetch it where there "
            f"is a network (hf download {name}) and give its folder, or use the one that is shipped: {EMBEDDED!r}."
        ) from error


class HubVLM:
    """What the hub's models share: pictures for the processor, and a probability from the generated tokens."""

    def __init__(self, model: Any, processor: Any, *, prefix: str = "") -> None:
        self.model = model.eval().requires_grad_(False)
        self.processor = processor
        self.prefix = prefix

    def with_prefix(self, prefix: str) -> Self:
        """The same model with another text before every prompt."""
        return type(self)(self.model, self.processor, prefix=prefix)

    def caption(self, pixels: Tensor) -> list[Caption]:
        """One caption a picture."""
        raise NotImplementedError

    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """One answer a picture."""
        raise NotImplementedError

    def _said(self, text: str) -> str:
        """A prompt with the prefix before it."""
        return f"{self.prefix} {text}".strip()

    def _probabilities(self, out: Any, generator: Any) -> list[float]:
        """The geometric mean of the probabilities of what was said, up to and with its end, [N]."""
        logs = generator.compute_transition_scores(out.sequences, out.scores, normalize_logits=True)
        pad = generator.generation_config.pad_token_id
        new = out.sequences[:, -logs.shape[1] :]
        kept = torch.isfinite(logs) if pad is None else torch.isfinite(logs) & (new != pad)
        mean = torch.where(kept, logs, 0.0).sum(1) / kept.sum(1).clamp_min(1)
        return [math.exp(value) for value in mean.tolist()]


class ChatVLM(HubVLM):
    """A chat model of the image-text-to-text kind (SmolVLM, Idefics, LLaVA, Qwen-VL ...)."""

    def caption(self, pixels: Tensor) -> list[Caption]:
        """One short sentence a picture."""
        return [Caption(*self._ask(picture, CAPTION_REQUEST, limit=40)) for picture in to_pictures(pixels)]

    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """A few words to each question."""
        pictures = to_pictures(pixels)
        pairs = zip(pictures, each(question, len(pictures)), strict=True)
        return [_answer(*self._ask(picture, f"{text} {ANSWER_STYLE}", limit=12)) for picture, text in pairs]

    def _ask(self, picture: Image.Image, text: str, *, limit: int) -> tuple[str, float]:
        content = [{"type": "image", "image": picture}, {"type": "text", "text": self._said(text)}]
        inputs = self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        out = self.model.generate(
            **inputs, max_new_tokens=limit, do_sample=False, output_scores=True, return_dict_in_generate=True
        )
        new = out.sequences[:, inputs["input_ids"].shape[1] :]
        words = self.processor.batch_decode(new, skip_special_tokens=True)[0]
        return " ".join(words.split()), self._probabilities(out, self.model)[0]


class BlipCaptioner(HubVLM):
    """BLIP for captions."""

    def caption(self, pixels: Tensor) -> list[Caption]:
        """One sentence a picture."""
        pictures = to_pictures(pixels)
        text = [self.prefix] * len(pictures) if self.prefix else None
        inputs = self.processor(images=pictures, text=text, return_tensors="pt")
        out = self.model.generate(
            **inputs, max_new_tokens=30, do_sample=False, output_scores=True, return_dict_in_generate=True
        )
        words = self.processor.batch_decode(out.sequences, skip_special_tokens=True)
        chances = self._probabilities(out, self.model.text_decoder)
        return [Caption(" ".join(w.split()), p) for w, p in zip(words, chances, strict=True)]

    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """Raises NotThisKind: this model has no way to take a question."""
        raise NotThisKind(
            "This BLIP model only captions. For questions load a VQA model, such as Salesforce/blip-vqa-base."
        )


class BlipVQA(HubVLM):
    """BLIP for questions; its caption is its answer to a question for one."""

    def caption(self, pixels: Tensor) -> list[Caption]:
        """A few words on what is in each picture."""
        return [Caption(a.text, a.confidence) for a in self.answer(pixels, "what is in the picture?")]

    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """A few words to each question."""
        pictures = to_pictures(pixels)
        asked = [self._said(text) for text in each(question, len(pictures))]
        inputs = self.processor(images=pictures, text=asked, padding=True, return_tensors="pt")
        out = self.model.generate(
            **inputs, max_new_tokens=12, do_sample=False, output_scores=True, return_dict_in_generate=True
        )
        words = self.processor.batch_decode(out.sequences, skip_special_tokens=True)
        chances = self._probabilities(out, self.model.text_decoder)
        return [_answer(" ".join(w.split()), p) for w, p in zip(words, chances, strict=True)]


def to_pictures(pixels: Tensor) -> list[Image.Image]:
    """float [N, 3, H, W] in [0, 1] -> 8-bit pictures.

    Raises:
        ValueError: the shape is another one.
    """
    if pixels.dim() != 4 or pixels.shape[1] != 3 or not pixels.is_floating_point():
        raise ValueError(f"Pixels must be float [N, 3, H, W] in [0, 1], not {pixels.dtype} {tuple(pixels.shape)}.")
    rounded = (pixels.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(picture) for picture in rounded]


def each(question: str | Sequence[str], count: int) -> list[str]:
    """One question a picture.

    Raises:
        ValueError: the numbers differ, or a question is empty.
    """
    questions = [question] * count if isinstance(question, str) else list(question)
    if len(questions) != count or not all(text.strip() for text in questions):
        raise ValueError(f"Give one question for all {count} pictures or one for each, none of them empty.")
    return questions


def _answer(text: str, confidence: float) -> Answer:
    return Answer(text, confidence, confidence >= SURE)
