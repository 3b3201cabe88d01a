"""The detector's logit as a differentiable function of pixels, and the objective that flips its verdict."""

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.calibration import compression
from causalclip.clip.attributions import embed, needs
from causalclip.clip.views import View, plan_views

if TYPE_CHECKING:
    from causalclip.detector import Detector


def detector_logit(detector: "Detector", pixels: Tensor) -> Tensor:
    """float [N, 3, H, W] in [0, 1] -> the calibrated log-odds of being generated, [N].

    `Detector.predict` with two differences, without which there is no gradient: views are resampled by PyTorch, not
    Pillow (both bicubic with antialiasing; boxes are rounded to whole pixels), and the calibration's estimate of the
    compression is held at the picture's own value.
    """
    height, width = pixels.shape[-2:]
    config, tower = detector.config, detector.differentiable
    views = plan_views(width, height, size=tower.image_size, windows=config.windows)
    shots = torch.cat([_render(pixels, view, tower.image_size) for view in views])  # (V N, 3, S, S)
    trace = tower(shots, **needs(config.parts, tower))
    embedding = embed(trace, config.parts, tower).unflatten(0, (len(views), -1))  # (V, N, D)
    logit = torch.stack([_shift(detector, picture) for picture in pixels])
    for view, weight, seen in zip(views, detector.view_weights(views), embedding, strict=True):
        logit = logit + weight * config.calibration.scale * detector.heads[view.kind](seen).logit
    return logit


class FlipVerdict:
    """Pushes the logit to the other side of 0, away from where each clean picture is.

    Args:
        clean: float [N, 3, H, W].
        target: "generated" or "not generated" for all pictures; None is the other verdict of each.
    """

    flat = False

    def __init__(self, detector: "Detector", clean: Tensor, *, target: str | None = None) -> None:
        if target not in {None, "generated", "not generated"}:
            raise ValueError(f"The detector's verdict can be generated or not generated, not {target!r}.")
        self.detector = detector
        with torch.no_grad():
            now = detector_logit(detector, clean)
        self.sign = -now.sign() if target is None else torch.full_like(now, 1.0 if target == "generated" else -1.0)

    def __call__(self, pixels: Tensor) -> Tensor:
        return self.sign * detector_logit(self.detector, pixels)


def _render(pixels: Tensor, view: View, size: int) -> Tensor:
    left, top, right, bottom = (round(x) for x in view.box)
    crop = pixels[..., top:bottom, left:right]
    if crop.shape[-2:] == (size, size):
        return crop
    return F.interpolate(crop, (size, size), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def _shift(detector: "Detector", picture: Tensor) -> Tensor:
    levels = (picture.detach().permute(1, 2, 0) * 255).round().clamp(0, 255).byte().cpu().numpy()
    return picture.new_tensor(detector.config.calibration.shift(compression(np.ascontiguousarray(levels))))
