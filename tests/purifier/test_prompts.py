"""The search of words to put before every question, on pictures made here."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from purifier.prompts import SearchConfig, optimise_prompt
from purifier.vlm import Answer, Caption, EmbeddedVLM
from purifier.vlm.hub import HubVLM
from tests.makers.models import tiny_vlm, vlm_folder

CONFIG = SearchConfig(pictures=2, held=1, attack_steps=2, eps=(8.0,))


class Misled(HubVLM):
    """Says what it sees (bright or dark), but always "bright" of a picture with a red corner, unless told to look."""

    def __init__(self, model: object = None, processor: object = None, *, prefix: str = "") -> None:
        self.model, self.processor, self.prefix = model, processor, prefix

    def caption(self, pixels: torch.Tensor) -> list[Caption]:
        return [Caption(answer.text, answer.confidence) for answer in self.answer(pixels, "")]

    def _likelihood(self, pixels: torch.Tensor, prompt: str, text: str) -> torch.Tensor:
        said = self.answer(pixels, prompt)[0]
        return torch.tensor([said.confidence if said.text == text else 1 - said.confidence]).log()

    def answer(self, pixels: torch.Tensor, question: str | Sequence[str]) -> list[Answer]:
        fooled = pixels[:, 0, 0, 0] > pixels[:, 1, 0, 0]
        if "whole" in self.prefix:
            fooled = torch.zeros_like(fooled)
        bright = (pixels.mean((1, 2, 3)) > 0.5) | fooled
        return [Answer("bright" if b else "dark", 0.9, True) for b in bright.tolist()]


def test_optimising_writes_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmbeddedVLM, "from_pretrained", tiny_vlm)
    purified = []

    def purify(pixels: torch.Tensor) -> torch.Tensor:
        purified.append(len(pixels))
        return pixels if len(purified) == 1 else pixels.flip(-1)

    facts = optimise_prompt(vlm_folder(tmp_path / "data"), tmp_path / "out", Misled(), config=CONFIG, purify=purify)
    assert len(purified) == 3
    assert facts["held pictures"] == 1  # of two: one of the three was taken for clean
    assert facts["tried"] >= 2
    assert f'"text": "{facts["text"]}"' in (tmp_path / "out" / "config.json").read_text()
