"""What the hub's models share: pictures for the processor and back to pixels, and the likelihood of what is said."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
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

from causalclip.clip.weights import fast_dtype
from causalclip.paths import WeightsMissing
from purifier.vlm.interface import CAPTION_PROMPT, EMBEDDED, Answer, Caption, VisionLanguageModel
from purifier.vlm.model import EmbeddedVLM

SURE = 0.5  # of these models' own, uncalibrated probability
PROBE = 64  # px, of the picture that is looked at to learn whether a gradient comes back


class NotThisKind(ValueError):
    """The model cannot do what it was asked; the message says which kind can."""


class HubVLM(ABC):
    """A model of the hub behind the embedded one's interface. What it sees of a picture is the picture.

    Args:
        model, processor: as transformers loads them. prefix: a text put before every prompt (a defence prompt).
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
        """Without close looks at tiles of a picture, in place, if it takes any (SmolVLM): many times quicker."""
        if hasattr(self.processor.image_processor, "do_image_splitting"):
            self.processor.image_processor.do_image_splitting = False
        return self

    def to(self, device: str) -> Self:
        """Moves the weights, in place. Pictures and what is said of them stay on the processor."""
        self.model.to(device)
        return self

    @cached_property
    def differentiable(self) -> bool:
        """Whether its picture processor lets a gradient through; most of those that work on tensors do."""
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

    def log_likelihood(self, pixels: Tensor, prompts: Sequence[str], answers: Sequence[str]) -> Tensor:
        """log p(answer | picture, prompt) of each picture, [N], summed over the answer's tokens and its end.

        CAPTION_PROMPT asks for a caption in the model's own way. The value is that of the picture on 8-bit levels, as
        the model is given it; the gradient is that of the processor's resampling without the rounding.
        """
        triples = zip(pixels, prompts, answers, strict=True)
        return torch.cat([self._likelihood(picture[None], prompt, text).cpu() for picture, prompt, text in triples])

    def see(self, pixels: Tensor) -> Tensor:
        """The pictures: each question looks at them again."""
        return pixels

    def caption_seen(self, visual: Tensor) -> list[Caption]:
        """As `caption`."""
        return self.caption(visual)

    def answer_seen(self, visual: Tensor, questions: Sequence[str]) -> list[Answer]:
        """As `answer`."""
        return self.answer(visual, questions)

    def score(self, visual: Tensor, prompts: Sequence[str], answers: Sequence[str]) -> Tensor:
        """As `log_likelihood`."""
        return self.log_likelihood(visual, prompts, answers)

    @abstractmethod
    def _likelihood(self, pixels: Tensor, prompt: str, text: str) -> Tensor:
        """log p(text | picture [1, 3, H, W], prompt), [1]."""

    def _said(self, text: str) -> str:
        """A prompt with the prefix before it."""
        return f"{self.prefix} {text}".strip()

    def _here(self, inputs: Any) -> Any:
        """A processor's inputs where the model is, in its type."""
        return inputs.to(self.model.device, self.model.dtype)

    def _followed(self, inputs: Any, pixels: Tensor) -> Any:
        """The same inputs, whose values carry the gradient of the pixels [1, 3, H, W], if that is wanted."""
        if pixels.requires_grad:
            soft = self._soft_values(pixels).to(self.model.device, self.model.dtype)
            inputs["pixel_values"] = inputs["pixel_values"] + (soft - soft.detach())
        return inputs

    def _soft_values(self, pixels: Tensor) -> Tensor:
        """What the processor makes of pictures that are not rounded to 8 bits."""
        values: Tensor = self.processor.image_processor(images=list(pixels * 255), return_tensors="pt")["pixel_values"]
        return values

    def _generate(self, inputs: Any, *, limit: int, decoder: Any, start: int = 0) -> list[tuple[str, float]]:
        """What is said of each picture, from token `start` on, and how probable the model found it.

        limit: tokens at most. decoder: the part of the model that speaks.
        """
        out = self.model.generate(
            **inputs, max_new_tokens=limit, do_sample=False, output_scores=True, return_dict_in_generate=True
        )
        texts = self.processor.batch_decode(out.sequences[:, start:], skip_special_tokens=True)
        probabilities = self._probabilities(out, decoder)
        return [(" ".join(text.split()), p) for text, p in zip(texts, probabilities, strict=True)]

    def _probabilities(self, out: Any, generator: Any) -> list[float]:
        """The geometric mean of the probabilities of what was said, up to and with its end, [N]."""
        logs = generator.compute_transition_scores(out.sequences, out.scores, normalize_logits=True)
        pad = generator.generation_config.pad_token_id
        new = out.sequences[:, -logs.shape[1] :]
        kept = torch.isfinite(logs) if pad is None else torch.isfinite(logs) & (new != pad)
        mean = torch.where(kept, logs, 0.0).sum(1) / kept.sum(1).clamp_min(1)
        return [math.exp(value) for value in mean.tolist()]


def likelihood_of(logits: Tensor, ids: Tensor, start: int) -> Tensor:
    """log p(ids[start:] | ids[:start]), [1], of the logits [T, words] that a causal model gives for ids [T]."""
    logs = logits[start - 1 : -1].float().log_softmax(-1)
    return logs.gather(1, ids[start:, None]).sum()[None]


def to_answer(text: str, confidence: float) -> Answer:
    """What was said, as an answer."""
    return Answer(text, confidence, confidence >= SURE)


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


WHAT = "what is in the picture?"


class BlipCaptioner(HubVLM):
    """BLIP for captions."""

    asks = False

    def caption(self, pixels: Tensor) -> list[Caption]:
        """One sentence a picture."""
        pictures = to_pictures(pixels)
        text = [self.prefix] * len(pictures) if self.prefix else None
        inputs = self._here(self.processor(images=pictures, text=text, return_tensors="pt"))
        return [Caption(*said) for said in self._generate(inputs, limit=30, decoder=self.model.text_decoder)]

    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """Raises NotThisKind: this model has no way to take a question."""
        raise NotThisKind(
            "This BLIP model only captions. For questions load a VQA model, such as Salesforce/blip-vqa-base."
        )

    def _likelihood(self, pixels: Tensor, prompt: str, text: str) -> Tensor:
        if prompt != CAPTION_PROMPT:
            self.answer(pixels, prompt)
        inputs = self._followed(self._here(self.processor(images=to_pictures(pixels), return_tensors="pt")), pixels)
        seen = self.model.vision_model(pixel_values=inputs["pixel_values"]).last_hidden_state
        return _decoded(self, [self.model.decoder_input_ids], text, seen)


class BlipVQA(HubVLM):
    """BLIP for questions; its caption is its answer to a question for one."""

    def caption(self, pixels: Tensor) -> list[Caption]:
        """A few words on what is in each picture."""
        return [Caption(a.text, a.confidence) for a in self.answer(pixels, WHAT)]

    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """A few words to each question."""
        pictures = to_pictures(pixels)
        asked = [self._said(text) for text in each(question, len(pictures))]
        inputs = self._here(self.processor(images=pictures, text=asked, padding=True, return_tensors="pt"))
        return [to_answer(*said) for said in self._generate(inputs, limit=12, decoder=self.model.text_decoder)]

    def _likelihood(self, pixels: Tensor, prompt: str, text: str) -> Tensor:
        asked = self._said(WHAT if prompt == CAPTION_PROMPT else prompt)
        made = self.processor(images=to_pictures(pixels), text=[asked], return_tensors="pt")
        inputs = self._followed(self._here(made), pixels)
        seen = self.model.vision_model(pixel_values=inputs["pixel_values"]).last_hidden_state
        question = self.model.text_encoder(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], encoder_hidden_states=seen
        )
        return _decoded(self, [self.model.decoder_start_token_id], text, question[0])


def _decoded(vlm: HubVLM, start: list[int], text: str, seen: Tensor) -> Tensor:
    """log p(text and its end | what the decoder is given to see), [1]."""
    decoder: Any = vlm.model.text_decoder
    words = vlm.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([*start, *words, vlm.model.config.text_config.sep_token_id], device=seen.device)
    logits = decoder(input_ids=ids[None], encoder_hidden_states=seen).logits[0]
    return likelihood_of(logits, ids, len(start))


CAPTION_REQUEST = "Describe this picture in one short sentence."
ANSWER_STYLE = "Answer in one to three words."


class ChatVLM(HubVLM):
    """Every question is a conversation of its own, in the model's own template."""

    def caption(self, pixels: Tensor) -> list[Caption]:
        """One short sentence a picture."""
        return [Caption(*self._ask(picture, CAPTION_PROMPT, limit=40)) for picture in to_pictures(pixels)]

    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """A few words to each question."""
        pictures = to_pictures(pixels)
        pairs = zip(pictures, each(question, len(pictures)), strict=True)
        return [to_answer(*self._ask(picture, text, limit=12)) for picture, text in pairs]

    def _ask(self, picture: Image.Image, prompt: str, *, limit: int) -> tuple[str, float]:
        inputs = self._inputs([self._request(picture, prompt)], add_generation_prompt=True)
        return self._generate(inputs, limit=limit, decoder=self.model, start=inputs["input_ids"].shape[1])[0]

    def _likelihood(self, pixels: Tensor, prompt: str, text: str) -> Tensor:
        request = self._request(to_pictures(pixels)[0], prompt)
        before = self._inputs([request], add_generation_prompt=True)["input_ids"][0].tolist()
        reply = {"role": "assistant", "content": [{"type": "text", "text": text}]}
        inputs = self._followed(self._inputs([request, reply]), pixels)
        ids = inputs["input_ids"][0]
        start, end = _spoken(before, ids.tolist(), self._ends())
        return likelihood_of(self.model(**inputs).logits[0, :end], ids[:end], start)

    def _request(self, picture: Image.Image, prompt: str) -> dict[str, Any]:
        asked = CAPTION_REQUEST if prompt == CAPTION_PROMPT else f"{prompt} {ANSWER_STYLE}"
        content = [{"type": "image", "image": picture}, {"type": "text", "text": self._said(asked)}]
        return {"role": "user", "content": content}

    def _inputs(self, talk: list[dict[str, Any]], **options: Any) -> Any:
        made = self.processor.apply_chat_template(talk, tokenize=True, return_dict=True, return_tensors="pt", **options)
        return self._here(made)

    def _ends(self) -> set[int]:
        """The tokens that end what it says."""
        ends = self.model.generation_config.eos_token_id
        return set(ends if isinstance(ends, list) else [ends])


def _spoken(before: list[int], whole: list[int], ends: set[int]) -> tuple[int, int]:
    """Where in the ids of a whole conversation the reply starts, and where the token that ends it is over."""
    shared = next((i for i, (a, b) in enumerate(zip(before, whole, strict=False)) if a != b), len(before))
    end = next((i + 1 for i in range(shared, len(whole)) if whole[i] in ends), len(whole))
    return shared, end


__all__ = ["EMBEDDED", "BlipCaptioner", "BlipVQA", "ChatVLM", "NotThisKind", "load_vlm"]


def load_vlm(name: str = EMBEDDED, *, prefix: str = "") -> VisionLanguageModel:
    """Loads a vision-language model, frozen and in evaluation mode, on the processor.

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
        return ChatVLM(_weights(AutoModelForImageTextToText, name), _fetch(AutoProcessor, name), prefix=prefix)
    asks = "BlipForQuestionAnswering" in (config.architectures or ())
    loader: Any = BlipForQuestionAnswering if asks else BlipForConditionalGeneration
    return (BlipVQA if asks else BlipCaptioner)(_weights(loader, name), _fetch(AutoProcessor, name), prefix=prefix)


def _weights(loader: Any, name: str) -> Any:
    """In the type that they were saved in where there is a card for it, else in the processor's fast one."""
    return _fetch(loader, name, dtype="auto" if torch.cuda.is_available() else fast_dtype())


def _fetch(loader: Any, name: str, **options: Any) -> Any:
    try:
        return loader.from_pretrained(name, **options)
    except ImportError as error:  # some processors need packages that transformers itself does not
        raise WeightsMissing(f"The model {name!r} needs another package: {error}") from error
    except (OSError, ConnectionError) as error:
        raise WeightsMissing(
            f"The model {name!r} is not here and the hub cannot be reached, or has no such model. Fetch it where there "
            f"is a network (hf download {name}) and give its folder, or use the one that is shipped: {EMBEDDED!r}."
        ) from error
