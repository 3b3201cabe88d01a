"""A learned soft prefix, and the embedded model as it answers behind one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from safetensors.torch import load_file, save_file
from torch import Tensor

from causalclip.clip.tower import Tower
from causalclip.clip.weights import ASSETS, WeightsMissing
from purifier.vlm import Answer, Caption, EmbeddedVLM

FOLDER = ASSETS / "vlm-prompt"


@dataclass(frozen=True, slots=True)
class PromptedVLM:
    """The embedded model with a soft prefix before every prompt; the same interface, and no state: keep both models
    and use the one that the switch says.
    """

    model: EmbeddedVLM
    prefix: Tensor
    asks: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True

    @property
    def tower(self) -> Tower:
        return self.model.tower

    @property
    def answers(self) -> tuple[str, ...]:
        return self.model.answers

    def see(self, pixels: Tensor) -> Tensor:
        """As EmbeddedVLM.see: the prefix is on the language side alone."""
        return self.model.see(pixels)

    def answer(self, pixels: Tensor, question: str | Sequence[str]) -> list[Answer]:
        """As EmbeddedVLM.answer, behind the prefix."""
        return self.model.answer(pixels, question, prefix=self.prefix)

    def answer_seen(self, visual: Tensor, questions: Sequence[str]) -> list[Answer]:
        """The same from visual tokens."""
        return self.model.answer_seen(visual, questions, prefix=self.prefix)

    def caption(self, pixels: Tensor) -> list[Caption]:
        """As EmbeddedVLM.caption, behind the prefix."""
        return self.model.caption(pixels, prefix=self.prefix)

    def caption_seen(self, visual: Tensor) -> list[Caption]:
        """The same from visual tokens."""
        return self.model.caption_seen(visual, prefix=self.prefix)

    def log_likelihood(
        self, pixels: Tensor, prompts: Sequence[str], answers: Sequence[str], *, prefix: Tensor | None = None
    ) -> Tensor:
        """As EmbeddedVLM.log_likelihood, behind this prefix (or another one)."""
        return self.model.log_likelihood(pixels, prompts, answers, prefix=self.prefix if prefix is None else prefix)

    def score(self, visual: Tensor, prompts: Sequence[str], answers: Sequence[str]) -> Tensor:
        """The same from visual tokens."""
        return self.model.score(visual, prompts, answers, prefix=self.prefix)


@dataclass(frozen=True, slots=True)
class SoftPrompt:
    """prefix: float [P, D], D the width of the embedded model. facts: how it was trained and what it does."""

    prefix: Tensor
    facts: dict[str, Any] = field(default_factory=dict)

    def applied_to(self, model: EmbeddedVLM) -> PromptedVLM:
        """The model behind this prefix.

        Raises:
            ValueError: the prefix was trained for a model of another width.
        """
        if self.prefix.shape[1] != model.width:
            raise ValueError(
                f"This prefix is for a model of width {self.prefix.shape[1]}, not {model.width}. Train it again: "
                "python -m purifier optimise-prompt."
            )
        return PromptedVLM(model, self.prefix)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes model.safetensors and config.json."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"prefix": self.prefix.detach().float().contiguous()}, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(self.facts, indent=2) + "\n")

    @classmethod
    def from_pretrained(cls, folder: str | Path = FOLDER) -> "SoftPrompt":
        """Loads a prefix, frozen.

        Raises:
            WeightsMissing: there is none.
        """
        folder = Path(folder)
        if not (folder / "model.safetensors").is_file():
            raise WeightsMissing(
                f"There is no soft prefix in {folder.name!r}. Restore the folder, or train one: "
                "python -m purifier optimise-prompt."
            )
        prefix = load_file(folder / "model.safetensors")["prefix"]
        return cls(prefix, json.loads((folder / "config.json").read_text()))
