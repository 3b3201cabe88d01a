"""Fixed filters that the purifier's networks see a picture through."""

import torch.nn.functional as F
from torch import Tensor

COARSE = 40  # px of the short side


def fine_detail(pixels: Tensor) -> Tensor:
    """What each value differs by from the mean of its 3 x 3 px: where a perturbation is large against the content."""
    return pixels - F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, 1)


def low_pass(pixels: Tensor, side: int = COARSE) -> Tensor:
    """The picture as `side` px of its short side hold it, at its own size: too coarse for an attack to survive in."""
    small = resize(pixels, side / min(pixels.shape[-2:]))
    return F.interpolate(small, pixels.shape[-2:], mode="bicubic", align_corners=False).clamp(0, 1)


def resize(pixels: Tensor, factor: float) -> Tensor:
    """float [N, 3, H, W] -> the same at `factor` times its size, bicubic with antialias."""
    if factor == 1:
        return pixels
    size = [max(1, round(side * factor)) for side in pixels.shape[-2:]]
    return F.interpolate(pixels, size, mode="bicubic", antialias=True, align_corners=False)
