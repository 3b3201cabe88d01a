"""Task guidance at use: one step moves a picture so that CLIP sees in it more of what is seen in its coarse twin.

CoDefend (arXiv 2510.11096) guides its denoiser by the task's encoder while it learns. Here the encoder guides each
picture, towards an anchor as in AGC (arXiv 2605.15584). Quantised coarsely, a picture loses what an attack put into it,
and its detail; but the adapted encoder (purifier/vlm/eye.py) sees nearly the clean one in it. With x the picture behind
the network, c its coarse twin, f and e the patch tokens of two layers of CLIP and of the adapted encoder, g and h their
embeddings, and d how far e's values differ from place to place, plus EVEN of the mean of that:

    L(x) = mean |f(x) - e(c)|^2 / d^2 + |g(x) - h(c)|^2        x <- x - s sign(grad L(x))

An attack moves what CLIP sees far by a change of pixels that is hardly seen; so one that is hardly seen moves it back.
Detail would need a larger change, so it stays.
"""

import torch
from torch import Tensor

from causalclip.clip.tower import Tower
from purifier.attacks.budget import LEVELS

SIZE = 4.0  # 1/255, of the step
EVEN = 0.3  # of the mean deviation, added to each: dimensions that hardly differ would count most


def guided(pixels: Tensor, coarse: Tensor, *, tower: Tower, eye: Tower, size: float = SIZE) -> Tensor:
    """One step of the pictures towards what is seen in their coarse twins.

    Args:
        pixels, coarse: float [N, 3, H, W] in [0, 1]; each picture is moved as if it were alone.
        tower, eye: CLIP and the adapted encoder, both on the processor. size: of the step, in 1/255.

    Returns:
        The pictures, moved by `size` in every value, clipped to [0, 1]. Its gradient is that of the pictures: the
        step's own is 0 nearly everywhere, as a sign's.
    """
    from purifier.vlm.features import clip_features  # imports transformers: seconds, at the first picture

    layers = (2 * tower.layers // 3, tower.layers - 1)  # as the language model is given: for parts, and for meaning
    with torch.inference_mode(False), torch.no_grad():
        patches, embedding = clip_features(eye, coarse.cpu(), layers=layers)
        spread = patches.std(1, keepdim=True)
        spread = spread + EVEN * spread.mean((1, 2), keepdim=True)
    with torch.inference_mode(False), torch.enable_grad():
        here = pixels.detach().cpu().clone().requires_grad_(True)  # a clone, which is no inference tensor
        found = clip_features(tower, here, layers=layers)
        parts = ((found[0] - patches) / spread, (found[1] - embedding) * embedding.shape[1] ** 0.5)
        loss = torch.stack([part.float().square().flatten(1).mean(1) for part in parts]).sum()
        (gradient,) = torch.autograd.grad(loss, here)
    return (pixels - size / LEVELS * gradient.sign().to(pixels)).clamp(0, 1)
