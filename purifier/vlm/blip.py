"""BLIP: a captioner, and a model for questions."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from purifier.vlm.hub_model import HubVLM, NotThisKind, each, likelihood_of, to_answer, to_pictures
from purifier.vlm.interface import CAPTION_PROMPT, Answer, Caption

WHAT = "what is in the picture?"


class BlipCaptioner(HubVLM):
    """BLIP for captions."""

    asks = False

    def caption(self, pixels: Tensor) -> list[Caption]:
        """One sentence a picture."""
        pictures = to_pictures(pixels)
        text = [self.prefix] * len(pictures) if self.prefix else None
        inputs = self._on_device(self.processor(images=pictures, text=text, return_tensors="pt"))
        return [
            Caption(*output)
            for output in self._generate(inputs, limit=30, decoder=self.model.text_decoder)
        ]

    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """Raise NotThisKind: this model has no way to take a question."""
        raise NotThisKind(
            "This BLIP model only captions. For questions load a VQA model, such as "
            "Salesforce/blip-vqa-base."
        )

    def _likelihood(self, pixels: Tensor, prompt: str, text: str) -> Tensor:
        if prompt != CAPTION_PROMPT:
            self.answer(pixels, prompt)
        inputs = self._with_gradient(
            self._on_device(self.processor(images=to_pictures(pixels), return_tensors="pt")), pixels
        )
        features = self.model.vision_model(pixel_values=inputs["pixel_values"]).last_hidden_state
        return _decoder_likelihood(self, [self.model.decoder_input_ids], text, features)


class BlipVQA(HubVLM):
    """BLIP for questions; its caption is its answer to a question for one."""

    def caption(self, pixels: Tensor) -> list[Caption]:
        """A few words on what is in each picture."""
        return [Caption(a.text, a.confidence) for a in self.answer(pixels, WHAT)]

    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """A few words to each question."""
        pictures = to_pictures(pixels)
        texts = [self._with_prefix(text) for text in each(question, len(pictures))]
        inputs = self._on_device(
            self.processor(images=pictures, text=texts, padding=True, return_tensors="pt")
        )
        return [
            to_answer(*output)
            for output in self._generate(inputs, limit=12, decoder=self.model.text_decoder)
        ]

    def _likelihood(self, pixels: Tensor, prompt: str, text: str) -> Tensor:
        request = self._with_prefix(WHAT if prompt == CAPTION_PROMPT else prompt)
        batch = self.processor(images=to_pictures(pixels), text=[request], return_tensors="pt")
        inputs = self._with_gradient(self._on_device(batch), pixels)
        features = self.model.vision_model(pixel_values=inputs["pixel_values"]).last_hidden_state
        question = self.model.text_encoder(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            encoder_hidden_states=features,
        )
        return _decoder_likelihood(self, [self.model.decoder_start_token_id], text, question[0])


def _decoder_likelihood(vlm: HubVLM, start: list[int], text: str, visual: Tensor) -> Tensor:
    """Return log p(text and its end | what the decoder is given to see), [1]."""
    decoder: Any = vlm.model.text_decoder
    words = vlm.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = torch.tensor(
        [*start, *words, vlm.model.config.text_config.sep_token_id], device=visual.device
    )
    logits = decoder(input_ids=ids[None], encoder_hidden_states=visual).logits[0]
    return likelihood_of(logits, ids, len(start))
