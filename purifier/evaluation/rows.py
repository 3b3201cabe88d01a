"""The rows of the table: what a picture goes through before the model sees it."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from purifier.denoiser.filters import COARSE, QUALITY, low_pass
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.models import Models
from purifier.pixels import to_array

COMPARED = ("unsupervised", "one-step regression", "ours, ungated, against itself")  # the same network, other recipes
NOISE = 12.0  # of the unsupervised row, in 1/255: what hides a perturbation of 8/255 under it


@dataclass(frozen=True, slots=True)
class Row:
    """defend: float [N, 3, H, W] in [0, 1] -> the same, not rounded. smooth: whether it has a gradient of its own.
    random: whether it draws noise. speaker: the model that answers behind it. adapted: the one with the adapted
    encoder, where the row has it; it answers about pictures that the defence changed.
    """

    name: str
    defend: Callable[[Tensor], Tensor]
    smooth: bool
    random: bool
    speaker: Any
    adapted: Any = None

    def speaks_of(self, shown: Tensor, given: Tensor) -> Any:
        """Who answers about `shown`, [1, 3, H, W], which the defence made of `given`."""
        return self.adapted if self.adapted and not torch.equal(shown, given) else self.speaker


def build_rows(models: Models, *, compared: Path | None) -> list[Row]:
    """Every row whose models are here: the compared recipes are left out where `compared` does not hold them."""
    vlm, ours = models.vlm, models.purifier
    rows = [
        Row("no defence", lambda x: x, True, False, vlm),
        Row("JPEG 75", jpeg, False, False, vlm),
        Row(f"JPEG {QUALITY}", lambda x: jpeg(x, QUALITY), False, False, vlm),
        Row("median blur", median, False, False, vlm),
        Row(f"low pass, {COARSE} px", low_pass, True, False, vlm),
    ]
    unsupervised, regression, against_itself = COMPARED
    if other := _compared(compared, "noise"):
        rows.append(Row(unsupervised, _noised(other), True, True, vlm))
    if other := _compared(compared, "regression"):
        rows.append(Row(regression, other.purify, True, False, vlm))
    if trained := _compared(compared, "against-itself"):
        rows.append(Row(against_itself, lambda x: trained.purify(x, always=True), True, True, vlm))
    rows.append(Row("ours, 1 step", lambda x: ours.purify(x, 1), True, False, vlm))
    rows.append(Row("ours, 4 steps", lambda x: ours.purify(x, 4), True, False, vlm))
    rows.append(Row("ours, ungated", lambda x: ours.purify(x, always=True), True, True, vlm))
    adapted = models.adapted
    rows.append(Row("ours, 1 step, adapted encoder", lambda x: ours.purify(x, 1), True, False, vlm, adapted))
    rows.append(Row("ours, ungated, adapted encoder", lambda x: ours.purify(x, always=True), True, True, vlm, adapted))
    return rows


def jpeg(pixels: Tensor, quality: int = 75) -> Tensor:
    """A JPEG round trip."""

    def through(picture: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return _by_picture(pixels, through)


def median(pixels: Tensor) -> Tensor:
    """The median of each 3 x 3 px."""
    return _by_picture(pixels, lambda picture: picture.filter(ImageFilter.MedianFilter(3)))


def _by_picture(pixels: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    changed = [np.asarray(change(Image.fromarray(to_array(pixels[i : i + 1])))) for i in range(len(pixels))]
    return torch.from_numpy(np.stack(changed)).permute(0, 3, 1, 2).to(pixels) / 255


def _noised(pipeline: PurifierPipeline) -> Callable[[Tensor], Tensor]:
    """DiffPure's recipe with this network: add noise, then take it away."""
    return lambda pixels: pipeline.purify(pixels, 1, NOISE, torch.default_generator)


def _compared(folder: Path | None, name: str) -> PurifierPipeline | None:
    if folder is None or not (folder / name / "model_index.json").is_file():
        return None
    return PurifierPipeline.from_pretrained(folder / name)
