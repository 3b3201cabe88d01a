"""BLIP-2 and InstructBLIP: a prompt that the language model continues, without a conversation."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from purifier.vlm.hub_model import HubVLM, each, likelihood_of, to_answer, to_pictures
from purifier.vlm.interface import CAPTION_PROMPT, Answer, Caption

# What the models' authors put before a caption, and around a question.
BLIP2 = "a photo of", "Question: {} Answer:"  # arXiv 2301.12597
INSTRUCT_BLIP = (  # arXiv 2305.06500
    "Write a short description for the image.",
    "Question: {} Short answer:",
)


class Blip2VLM(HubVLM):
    """BLIP-2 or InstructBLIP, on a decoder (OPT, Vicuna) or an encoder and decoder (Flan-T5)."""

    def __init__(self, model: Any, processor: Any, *, prefix: str = "") -> None:
        super().__init__(model, processor, prefix=prefix)
        self.prompts = INSTRUCT_BLIP if model.config.model_type == "instructblip" else BLIP2
        if processor.num_query_tokens is None:  # of folders that were saved by an old version
            processor.num_query_tokens = model.config.num_query_tokens

    def caption(self, pixels: Tensor) -> list[Caption]:
        """Return one sentence a picture."""
        return [
            Caption(*self._generate_text(picture, CAPTION_PROMPT, limit=30))
            for picture in to_pictures(pixels)
        ]

    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """Return a few words to each question."""
        pictures = to_pictures(pixels)
        pairs = zip(pictures, each(question, len(pictures)), strict=True)
        return [to_answer(*self._generate_text(picture, text, limit=12)) for picture, text in pairs]

    @property
    def _continues(self) -> bool:
        """Whether its language model is a decoder alone, whose output begins with the prompt."""
        return bool(self.model.config.use_decoder_only_language_model)

    def _generate_text(self, picture: Image.Image, prompt: str, *, limit: int) -> tuple[str, float]:
        """Return what the model says in at most `limit` tokens, and how probable it found that."""
        inputs = self._inputs(picture, self._prompt(prompt))
        start = inputs["input_ids"].shape[1] if self._continues else 0
        return self._generate(inputs, limit=limit, decoder=self.model.language_model, start=start)[
            0
        ]

    def _likelihood(self, pixels: Tensor, prompt: str, text: str) -> Tensor:
        picture, question = to_pictures(pixels)[0], self._prompt(prompt)
        inputs = self._with_gradient(self._inputs(picture, question), pixels)
        if not self._continues:
            labels = self.processor.tokenizer(text, return_tensors="pt")["input_ids"].to(
                self.model.device
            )
            logs = self.model(**inputs, labels=labels).logits[0].float().log_softmax(-1)
            return logs.gather(1, labels[0, :, None]).sum()[None]
        before = inputs["input_ids"][0].tolist()
        whole = self._inputs(picture, f"{question} {text}")["input_ids"][0].tolist()
        start = next(
            (i for i, pair in enumerate(zip(before, whole, strict=False)) if len(set(pair)) > 1),
            len(before),
        )
        ids = torch.tensor([*whole, self._end], device=self.model.device)
        answer_inputs = dict(inputs) | {
            "input_ids": ids[None],
            "attention_mask": torch.ones_like(ids)[None],
        }
        return likelihood_of(self.model(**answer_inputs).logits[0], ids, start)

    def _prompt(self, prompt: str) -> str:
        """Return the text before what the model says, with the defence prompt before it."""
        caption, question = self.prompts
        return self._with_prefix(caption if prompt == CAPTION_PROMPT else question.format(prompt))

    def _inputs(self, picture: Image.Image, text: str) -> Any:
        return self._on_device(self.processor(images=[picture], text=[text], return_tensors="pt"))

    @property
    def _end(self) -> int:
        end = self.model.generation_config.eos_token_id
        end = self.model.config.text_config.eos_token_id if end is None else end
        return int(end[0] if isinstance(end, list) else end)
