"""Quantities that attacks raise: another answer, another caption, moved CLIP features, the
detector's other verdict.

Each objective is a callable, float [N, 3, H, W] in [0, 1] -> [N]; `flat` says that its gradient
vanishes at the clean picture. `goals` makes them by name, as the page and the commands ask for
them; `adaptive` takes them through a defence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.clip.embedding import embed, needs
from causalclip.clip.tower import Tower
from causalclip.clip.views import View, plan_views
from causalclip.images.jpeg import compression
from purifier.pixels import to_array
from purifier.vlm.features import LAYERS, at_tower_size, clip_features
from purifier.vlm.interface import CAPTION_PROMPT, VisionLanguageModel

if TYPE_CHECKING:
    from causalclip.detector import Detector

See = Callable[[Tensor], list[Tensor]]  # pixels [N, 3, H, W] -> token sequences, each [N, T, D]
GENERATED, NOT_GENERATED = "generated", "not generated"


@dataclass(frozen=True, slots=True)
class SaySomething:
    """Makes the model say something else than `texts` (untargeted), or exactly `texts` (targeted).

    prompts, texts: one a picture. The loss is -log p(text | picture, prompt), or log p for a
    target.
    """

    vlm: VisionLanguageModel
    prompts: tuple[str, ...]
    texts: tuple[str, ...]
    targeted: bool = False
    flat: bool = field(default=False, init=False)

    def __call__(self, pixels: Tensor) -> Tensor:
        likelihood = self.vlm.log_likelihood(pixels, self.prompts, self.texts)
        return likelihood if self.targeted else -likelihood


def change_answer(
    vlm: VisionLanguageModel, questions: Sequence[str], answers: Sequence[str]
) -> SaySomething:
    """Return the objective that leads away from what the model answers to each question now."""
    return SaySomething(vlm, tuple(questions), tuple(answers))


def force_answer(
    vlm: VisionLanguageModel, questions: Sequence[str], targets: Sequence[str]
) -> SaySomething:
    """Make the objective of one answer to each question."""
    return SaySomething(vlm, tuple(questions), tuple(targets), targeted=True)


def change_caption(vlm: VisionLanguageModel, captions: Sequence[str]) -> SaySomething:
    """Return the objective that leads away from what the model says about each picture now."""
    return SaySomething(vlm, (CAPTION_PROMPT,) * len(captions), tuple(captions))


def force_caption(vlm: VisionLanguageModel, targets: Sequence[str]) -> SaySomething:
    """Make the objective of one caption of each picture."""
    return SaySomething(vlm, (CAPTION_PROMPT,) * len(targets), tuple(targets), targeted=True)


class MoveFeatures:
    """Moves what CLIP sees away from the clean pictures' features, or towards other pictures'.

    The loss is the cosine distance, averaged over each sequence's tokens and then over the
    sequences; its negative for a target.

    Args:
        see: which features (language_tokens or layer_tokens of a tower).
        clean: float [N, 3, H, W], the pictures to get away from (or the targets to get near).
    """

    def __init__(self, see: See, clean: Tensor, *, targeted: bool = False) -> None:
        self.see, self.targeted = see, targeted
        # the distance from the clean picture has no slope at the clean picture
        self.flat = not targeted
        with torch.no_grad():
            self.reference = see(clean)

    def __call__(self, pixels: Tensor) -> Tensor:
        terms = []
        for pair in zip(self.see(pixels), self.reference, strict=True):
            ours, theirs = (x - x.mean(-1, keepdim=True) for x in pair)  # each token centred over D
            terms.append(1 - F.cosine_similarity(ours, theirs, dim=-1).mean(1))
        distance = torch.stack(terms).mean(0)  # (N,), in [0, 2]
        return -distance if self.targeted else distance


def language_tokens(tower: Tower, *, layers: Sequence[int] = LAYERS) -> See:
    """Return what the embedded language model is given: pooled patch tokens of `layers`, and CLIP's
    embedding."""

    def see(pixels: Tensor) -> list[Tensor]:
        patches, embedding = clip_features(tower, pixels, layers=layers)
        return [*patches.chunk(len(layers), dim=-1), embedding[:, None]]

    return see


def detector_logit(detector: "Detector", pixels: Tensor) -> Tensor:
    """Return, of float [N, 3, H, W] in [0, 1], the calibrated log-odds of being generated, [N].

    `Detector.predict` with two differences, without which there is no gradient: views are resampled
    by PyTorch, not Pillow (both bicubic with antialiasing; boxes are rounded to whole pixels), and
    the calibration's estimate of the compression is held at the picture's own value.
    """
    height, width = pixels.shape[-2:]
    config, tower = detector.config, detector.differentiable
    views = plan_views(width, height, size=tower.image_size, windows=config.windows)
    shots = torch.cat([_render(pixels, view, tower) for view in views])  # (V N, 3, S, S)
    trace = tower(shots.to(tower.mean.device), **needs(config.parts, tower))
    embedding = embed(trace, config.parts, tower).unflatten(0, (len(views), -1))  # (V, N, D)
    embedding = embedding.cpu()  # where the heads are
    logit = torch.stack([_shift(detector, picture) for picture in pixels])
    for view, weight, features in zip(views, detector.view_weights(views), embedding, strict=True):
        own = detector.heads[view.view_type](features).logit.to(logit)
        logit = logit + weight * config.calibration.scale * own
    return logit


class FlipVerdict:
    """Pushes the detector's logit to the other side of 0, away from where each clean picture is.

    Args:
        clean: float [N, 3, H, W].
        target: "generated" or "not generated" for all pictures; None is the other verdict of each.
    """

    flat = False

    def __init__(self, detector: "Detector", clean: Tensor, *, target: str | None = None) -> None:
        if target not in {None, GENERATED, NOT_GENERATED}:
            raise ValueError(
                f"The detector's verdict can be generated or not generated, not {target!r}."
            )
        self.detector = detector
        with torch.no_grad():
            now = detector_logit(detector, clean)
        self.sign = (
            -now.sign()
            if target is None
            else torch.full_like(now, 1.0 if target == GENERATED else -1.0)
        )

    def __call__(self, pixels: Tensor) -> Tensor:
        return self.sign * detector_logit(self.detector, pixels)


def _render(pixels: Tensor, view: View, tower: Tower) -> Tensor:
    left, top, right, bottom = (round(x) for x in view.box)
    return at_tower_size(tower, pixels[..., top:bottom, left:right])


def _shift(detector: "Detector", picture: Tensor) -> Tensor:
    return picture.new_tensor(
        detector.config.calibration.shift(compression(to_array(picture[None])))
    )
