"""Guidance by the frozen encoder at each use.

CoDefend (arXiv 2510.11096) guides its denoiser by the task's encoder while it learns
(training/purifier/guidance.py). At use, one signed-gradient step moves CLIP's features of a picture
towards the LoRA encoder's features of its low-quality JPEG reference, an anchor as in AGC (arXiv
2605.15584): `guided_step`. Quantised coarsely, a picture loses what an attack put into it, and its
detail; but the LoRA encoder (purifier/vlm/lora.py) sees nearly the clean one in it. With x the
picture behind the network, c its reference, f and e the patch tokens of two layers of CLIP and of
the LoRA encoder, g and h their embeddings, and d how far e's values differ from place to place,
plus EVEN of the mean of that:

    L(x) = mean |f(x) - e(c)|^2 / d^2 + |g(x) - h(c)|^2        x <- x - s sign(grad L(x))

An attack moves CLIP's features far by a change of pixels that is hardly seen; so one that is hardly
seen moves them back. Detail would need a larger change, so it stays.
"""

import torch
from torch import Tensor

from causalclip.clip.tower import Tower
from purifier.attacks.budget import LEVELS
from purifier.vlm.features import clip_features

SIZE = 4.0  # 1/255, of the step
EVEN = 0.3  # of the mean deviation, added to each: dimensions that hardly differ would count most


def guided_step(
    pixels: Tensor, reference: Tensor, *, tower: Tower, encoder: Tower, size: float = SIZE
) -> Tensor:
    """One step of the pictures towards what is seen in their references.

    Args:
        pixels, reference: float [N, 3, H, W] in [0, 1]; each picture is moved as if it were alone.
        tower, encoder: CLIP and the LoRA encoder. size: of the step, in 1/255.

    Returns:
        The pictures, moved by `size` in every value, clipped to [0, 1]. Its gradient is that of the
        pictures: the step's own is 0 nearly everywhere, as a sign's.
    """
    # as the language model is given: for places, and for meaning
    layers = (2 * tower.layers // 3, tower.layers - 1)
    with torch.inference_mode(False), torch.no_grad():
        target = clip_features(encoder, reference, layers=layers)
        patches, embedding = (features.to(tower.mean.device) for features in target)
        spread = patches.std(1, keepdim=True)
        spread = spread + EVEN * spread.mean((1, 2), keepdim=True)
    with torch.inference_mode(False), torch.enable_grad():
        # a clone, which is no inference tensor
        here = pixels.detach().to(tower.mean.device).clone().requires_grad_(True)
        features_now = clip_features(tower, here, layers=layers)
        terms = (
            (features_now[0] - patches) / spread,
            (features_now[1] - embedding) * embedding.shape[1] ** 0.5,
        )
        loss = torch.stack([term.float().square().flatten(1).mean(1) for term in terms]).sum()
        (gradient,) = torch.autograd.grad(loss, here)
    return (pixels - size / LEVELS * gradient.sign().to(pixels)).clamp(0, 1)
