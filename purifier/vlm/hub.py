"""Vision-language models of the Hugging Face hub, behind the embedded model's interface."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, Self

import torch
from PIL import Image
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoModelForVisualQuestionAnswering,
    AutoProcessor,
)

from causalclip.clip.runtime import fast_dtype
from causalclip.paths import WeightsMissing
from purifier.pixels import check_pixels
from purifier.vlm.interface import CAPTION_PROMPT, EMBEDDED, Answer, Caption, VisionLanguageModel
from purifier.vlm.model import EmbeddedVLM

__all__ = ["EMBEDDED", "HubVLM", "NotThisKind", "load_vlm", "read_prompt"]

MIN_CONFIDENCE = 0.5  # of these models' own, uncalibrated probability
ANSWER_TOKENS = 12  # at most
PROBE_SIDE = 64  # px, of the picture that is looked at to learn whether a gradient comes back


class NotThisKind(ValueError):
    """The model cannot do what it was asked; the message says which kind can."""


@dataclass(frozen=True, slots=True)
class Family:
    """The differences between families of models.

    Attributes:
        caption: the prompt that asks for a caption.
        question: the prompt around a question; "" if the family takes none.
        caption_tokens: at most so many in a caption.
        loader: the class of transformers that loads the weights.
    """

    caption: str
    question: str
    caption_tokens: int = 30
    loader: Any = AutoModelForImageTextToText


CAPTIONER = Family("", "")  # BLIP, arXiv 2201.12086
BLIP_VQA = Family(
    "what is in the picture?", "{}", ANSWER_TOKENS, AutoModelForVisualQuestionAnswering
)
BLIP_2 = Family("a photo of", "Question: {} Answer:")  # arXiv 2301.12597
INSTRUCT_BLIP = Family(  # arXiv 2305.06500
    "Write a short description for the image.", "Question: {} Short answer:"
)
CHAT = Family(  # LLaVA, Qwen-VL, SmolVLM and others with a chat template
    "Describe this picture in one short sentence.", "{} Answer in one to three words.", 40
)


class HubVLM:
    """A model of the hub behind the embedded one's interface. What it sees of a picture is the
    picture.

    Args:
        model, processor: as transformers loads them.
        family: how the model is asked.
        prefix: a text put before every prompt (a defence prompt).
    """

    answers: tuple[str, ...] = ()

    def __init__(self, model: Any, processor: Any, family: Family, *, prefix: str = "") -> None:
        self.model = model.eval().requires_grad_(False)
        self.processor = processor
        self.family = family
        self.prefix = prefix

    @property
    def asks(self) -> bool:
        """Return whether it takes questions."""
        return bool(self.family.question)

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
        """Return whether its picture processor lets a gradient through; most of those that work on
        tensors do."""
        probe = torch.full((1, 3, PROBE_SIDE, PROBE_SIDE), 0.5, requires_grad=True)
        try:
            return bool(self._soft_values(probe).requires_grad)
        except Exception:  # a processor is the model's own code and may fail in any way
            return False

    def caption(self, pixels: Tensor) -> list[Caption]:
        """One caption a picture."""
        limit = self.family.caption_tokens
        return [
            Caption(*self._generate(picture, CAPTION_PROMPT, limit))
            for picture in to_pictures(pixels)
        ]

    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """A few words to each question.

        Raises:
            NotThisKind: the model takes no questions.
        """
        pictures, answers = to_pictures(pixels), []
        for picture, text in zip(pictures, _each(question, len(pictures)), strict=True):
            said, confidence = self._generate(picture, text, ANSWER_TOKENS)
            answers.append(Answer(said, confidence, confidence >= MIN_CONFIDENCE))
        return answers

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
        return torch.stack(
            [self._likelihood(picture[None], prompt, text) for picture, prompt, text in triples]
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

    def _inputs(self, picture: Image.Image, prompt: str, reply: str | None = None) -> Any:
        """Return what the model is given of a picture, a prompt, and a reply behind it."""
        if not self.asks and prompt != CAPTION_PROMPT:
            raise NotThisKind(
                "This BLIP model only captions. For questions load a VQA model, such as "
                "Salesforce/blip-vqa-base."
            )
        family = self.family
        text = family.caption if prompt == CAPTION_PROMPT else family.question.format(prompt)
        text = f"{self.prefix} {text}".strip()
        if family is CHAT:
            image = {"type": "image", "image": picture}
            talk = [{"role": "user", "content": [image, {"type": "text", "text": text}]}]
            if reply is not None:
                talk.append({"role": "assistant", "content": [{"type": "text", "text": reply}]})
            inputs = self.processor.apply_chat_template(
                talk,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                add_generation_prompt=reply is None,
            )
        else:
            texts = [f"{text} {reply or ''}".strip()]
            inputs = self.processor(images=[picture], text=texts, return_tensors="pt")
        return inputs.to(self.model.device, self.model.dtype)

    @torch.no_grad()
    def _generate(self, picture: Image.Image, prompt: str, limit: int) -> tuple[str, float]:
        """Return what is said in at most `limit` tokens, and the geometric mean of its tokens'
        probabilities, its end included."""
        output = self.model.generate(
            **self._inputs(picture, prompt),
            max_new_tokens=limit,
            do_sample=False,
            output_scores=True,
            return_dict_in_generate=True,
        )
        tokens = output.sequences[0, -len(output.scores) :]  # some models give the prompt back
        logs = torch.cat(output.scores).float().log_softmax(-1).gather(1, tokens[:, None])
        text = self.processor.decode(tokens, skip_special_tokens=True)
        return " ".join(text.split()), float(logs.mean().exp())

    def _likelihood(self, pixels: Tensor, prompt: str, text: str) -> Tensor:
        """Return log p(text and its end | picture [1, 3, H, W], prompt), a scalar."""
        if self.family is BLIP_VQA or not getattr(
            self.model.config, "use_decoder_only_language_model", True
        ):
            logits, ids, start = self._decode(pixels, prompt, text)
        else:
            logits, ids, start = self._continue(pixels, prompt, text)
        logs = logits[start - 1 : -1].float().log_softmax(-1)
        return logs.gather(1, ids[start:, None]).sum().cpu()

    def _decode(self, pixels: Tensor, prompt: str, text: str) -> tuple[Tensor, Tensor, int]:
        """Return the logits of a text and its end, [T, words], its ids [T] and its start, where a
        decoder of its own says it."""
        inputs = self._with_gradient(self._inputs(to_pictures(pixels)[0], prompt), pixels)
        words = self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        if self.family is not BLIP_VQA:
            start = self.model.config.text_config.decoder_start_token_id
            ids = torch.tensor([start, *words, self._ends[0]], device=self.model.device)
            return self.model(**inputs, decoder_input_ids=ids[None]).logits[0], ids, 1
        # BlipForQuestionAnswering returns its loss alone
        start = self.model.decoder_start_token_id
        ids = torch.tensor([start, *words, self._ends[0]], device=self.model.device)
        features = self.model.vision_model(pixel_values=inputs["pixel_values"]).last_hidden_state
        question = self.model.text_encoder(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            encoder_hidden_states=features,
        )[0]
        decoder = self.model.text_decoder
        return decoder(input_ids=ids[None], encoder_hidden_states=question).logits[0], ids, 1

    def _continue(self, pixels: Tensor, prompt: str, text: str) -> tuple[Tensor, Tensor, int]:
        """Return the logits of a prompt, a text and its end, [T, words], their ids [T], and where
        the text starts, where it continues the prompt."""
        picture = to_pictures(pixels)[0]
        inputs, whole = self._inputs(picture, prompt), self._inputs(picture, prompt, text)
        ids: list[int] = whole["input_ids"][0].tolist()
        pairs = zip(inputs["input_ids"][0].tolist(), ids, strict=False)
        start = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        end = next((i + 1 for i in range(start, len(ids)) if ids[i] in self._ends), len(ids))
        if self.family is CHAT:
            inputs = whole  # some templates write more behind the end
        else:
            # Q-Formers read the prompt alone, so that only the language model is given the text
            if end == len(ids) and ids[-1] not in self._ends:
                ids.append(self._ends[0])
                end += 1
            if self.family is CAPTIONER:  # the tokenizer begins with another token
                ids[0] = self.model.config.text_config.bos_token_id
            inputs["input_ids"] = whole["input_ids"].new_tensor([ids])
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        logits = self.model(**self._with_gradient(inputs, pixels)).logits[0, :end]
        return logits, inputs["input_ids"][0, :end], start

    @property
    def _ends(self) -> list[int]:
        """The tokens that end what is said."""
        config = self.model.config.get_text_config()
        if self.family in (CAPTIONER, BLIP_VQA):
            return [config.sep_token_id]
        ends = self.model.generation_config.eos_token_id
        ends = config.eos_token_id if ends is None else ends
        return ends if isinstance(ends, list) else [ends]

    def _with_gradient(self, inputs: Any, pixels: Tensor) -> Any:
        """Return the inputs, whose values carry the gradient of the pixels [1, 3, H, W], if that is
        wanted."""
        if pixels.requires_grad:
            soft = self._soft_values(pixels).to(self.model.device, self.model.dtype)
            inputs["pixel_values"] = inputs["pixel_values"] + (soft - soft.detach())
        return inputs

    def _soft_values(self, pixels: Tensor) -> Tensor:
        """Return what the processor makes of pictures that are not rounded to 8 bits."""
        images = list(pixels * 255)
        values: Tensor = self.processor.image_processor(images, return_tensors="pt")["pixel_values"]
        return values


def load_vlm(name: str = EMBEDDED, *, prefix: str = "") -> VisionLanguageModel:
    """Load a vision-language model, frozen and in evaluation mode, on the processor.

    >>> model = load_vlm()  # doctest: +SKIP
    >>> model.answer(pixels, "what is in the picture")[0].text  # doctest: +SKIP

    Args:
        name: "embedded", a model of the hub, or a folder that `save_pretrained` wrote.
        prefix: a text put before every prompt of a hub model (a defence prompt).

    Raises:
        WeightsMissing: it is neither here nor to be had from the hub.
        NotThisKind: it is no model of a kind that sees and speaks.
    """
    if name == EMBEDDED:
        if prefix:
            raise NotThisKind("A prompt is for a model of the hub; the embedded model takes none.")
        return EmbeddedVLM.from_pretrained()
    config = _fetch(AutoConfig, name)
    family = _family(config)
    # the type that the weights were saved in where there is a card for it, else the fast one
    dtype: Any = "auto" if torch.cuda.is_available() else fast_dtype()
    try:
        model = _fetch(family.loader, name, dtype=dtype)
    except ValueError as error:  # what an Auto class says of another kind of model
        sentence = (
            f"{name!r} is a {config.model_type!r} model; it must be BLIP or of the "
            "image-text-to-text kind."
        )
        raise NotThisKind(sentence) from error
    processor = _fetch(AutoProcessor, name)
    if family in (BLIP_2, INSTRUCT_BLIP) and processor.num_query_tokens is None:
        processor.num_query_tokens = config.num_query_tokens  # of folders by an old version
    return HubVLM(model, processor, family, prefix=prefix)


def read_prompt(path: str | Path) -> str:
    """The text of a defence prompt, from the file that `optimise-prompt` wrote.

    Raises:
        ValueError: it is not there, or is another file.
    """
    try:
        return str(json.loads(Path(path).read_text(encoding="utf-8"))["text"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        sentence = (
            f"There is no defence prompt in {str(path)!r}. `optimise-prompt` writes such a file."
        )
        raise ValueError(sentence) from error


def to_pictures(pixels: Tensor) -> list[Image.Image]:
    """float [N, 3, H, W] in [0, 1] -> 8-bit pictures.

    Raises:
        ValueError: the shape is another one.
    """
    check_pixels(pixels)
    arrays = (pixels.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(picture) for picture in arrays]


def _family(config: Any) -> Family:
    if config.model_type == "blip":
        return BLIP_VQA if "BlipForQuestionAnswering" in (config.architectures or ()) else CAPTIONER
    return {"blip-2": BLIP_2, "instructblip": INSTRUCT_BLIP}.get(config.model_type, CHAT)


def _fetch(loader: Any, name: str, **options: Any) -> Any:
    try:
        return loader.from_pretrained(name, **options)
    except ImportError as error:  # some processors need packages that transformers itself does not
        raise WeightsMissing(f"The model {name!r} needs another package: {error}") from error
    except (OSError, ConnectionError) as error:
        raise WeightsMissing(
            f"The model {name!r} is not here and the hub cannot be reached, or has no such model. "
            f"Fetch it where there is a network (hf download {name}) and give its folder, or use "
            f"the one that is shipped: {EMBEDDED!r}."
        ) from error


def _each(question: str | Sequence[str], count: int) -> list[str]:
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
