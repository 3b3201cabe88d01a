"""Models with a chat template: LLaVA, Qwen-VL, SmolVLM and others of the image-text-to-text
kind."""

from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from purifier.vlm.hub_model import HubVLM, each, likelihood_of, to_answer, to_pictures
from purifier.vlm.interface import CAPTION_PROMPT, Answer, Caption

CAPTION_REQUEST = "Describe this picture in one short sentence."
ANSWER_STYLE = "Answer in one to three words."


class ChatVLM(HubVLM):
    """Every question is a conversation of its own, in the model's own template."""

    def caption(self, pixels: Tensor) -> list[Caption]:
        """One short sentence a picture."""
        return [
            Caption(*self._ask(picture, CAPTION_PROMPT, limit=40))
            for picture in to_pictures(pixels)
        ]

    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """A few words to each question."""
        pictures = to_pictures(pixels)
        pairs = zip(pictures, each(question, len(pictures)), strict=True)
        return [to_answer(*self._ask(picture, text, limit=12)) for picture, text in pairs]

    def _ask(self, picture: Image.Image, prompt: str, *, limit: int) -> tuple[str, float]:
        inputs = self._inputs([self._request(picture, prompt)], add_generation_prompt=True)
        return self._generate(
            inputs, limit=limit, decoder=self.model, start=inputs["input_ids"].shape[1]
        )[0]

    def _likelihood(self, pixels: Tensor, prompt: str, text: str) -> Tensor:
        request = self._request(to_pictures(pixels)[0], prompt)
        before = self._inputs([request], add_generation_prompt=True)["input_ids"][0].tolist()
        reply = {"role": "assistant", "content": [{"type": "text", "text": text}]}
        inputs = self._with_gradient(self._inputs([request, reply]), pixels)
        ids = inputs["input_ids"][0]
        start, end = _spoken(before, ids.tolist(), self._ends())
        return likelihood_of(self.model(**inputs).logits[0, :end], ids[:end], start)

    def _request(self, picture: Image.Image, prompt: str) -> dict[str, Any]:
        request = CAPTION_REQUEST if prompt == CAPTION_PROMPT else f"{prompt} {ANSWER_STYLE}"
        content = [
            {"type": "image", "image": picture},
            {"type": "text", "text": self._with_prefix(request)},
        ]
        return {"role": "user", "content": content}

    def _inputs(self, talk: list[dict[str, Any]], **options: Any) -> Any:
        inputs = self.processor.apply_chat_template(
            talk, tokenize=True, return_dict=True, return_tensors="pt", **options
        )
        return self._on_device(inputs)

    def _ends(self) -> set[int]:
        ends = self.model.generation_config.eos_token_id
        return set(ends if isinstance(ends, list) else [ends])


def _spoken(before: list[int], whole: list[int], ends: set[int]) -> tuple[int, int]:
    """Return where in the ids of a whole conversation the reply starts, and where the token that
    ends it is over."""
    common = next(
        (i for i, (a, b) in enumerate(zip(before, whole, strict=False)) if a != b), len(before)
    )
    end = next((i + 1 for i in range(common, len(whole)) if whole[i] in ends), len(whole))
    return common, end
