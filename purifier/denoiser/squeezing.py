"""What CLIP tells the gate: how far what it sees moves when a picture loses its faintest detail.

An attack on CLIP consists of faint detail, and mild quantisation takes that away. CLIP's tokens of an attacked picture
then move far, those of a clean one little (feature squeezing, Xu et al., NDSS 2018, arXiv 1704.01155). The first layers
show an attack as it was made. After a JPEG only the last layers show it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.clip.tower import Tower
from purifier.denoiser.filters import quantise

TOWER = "clip-vit-b-16"
MILD = (30, 70)  # qualities of JPEG: the lower one tells more of what was saved as a JPEG before
FEW = 0.1  # share of the patches that move farthest, for what is in one place
STILL = 0.003  # distance, added before the logarithm: less is noise of bfloat16


def moves(tower: Tower, pixels: Tensor) -> Tensor:
    """How far CLIP's tokens move when pictures are quantised at the size that CLIP sees.

    Args:
        tower: CLIP, of L layers; compared on the processor, where it is.
        pixels: float [N, 3, H, W] in [0, 1], any size.

    Returns:
        Logarithms of distances (1 - cosine), [N, len(MILD) * (1 + 3 L)], where the pixels are. For each quality: of the
        embedding, and after every layer of the CLS token, of the patches on average, and what a share FEW of them
        exceeds.
    """
    from purifier.vlm.features import at_tower_size, embedding  # imports transformers: seconds, at the first picture

    seen = at_tower_size(tower, pixels.cpu()).clamp(0, 1)
    views = torch.cat([seen, *(quantise(seen, quality) for quality in MILD)])
    trace = tower(views)
    found = [_distances(embedding(tower, trace), len(pixels))]
    for cls, patches in zip(trace.cls[1:], trace.patches[1:], strict=True):
        apart = _distances(patches, len(pixels))
        found += [_distances(cls, len(pixels)), apart.mean(-1), apart.quantile(1 - FEW, -1)]
    return (torch.stack(found, -1).transpose(0, 1).flatten(1) + STILL).log().to(pixels)


def _distances(views: Tensor, count: int) -> Tensor:
    """[(1 + Q) N, ..., D], of pictures and of their Q quantised twins -> 1 - cosine between the two, [Q, N, ...]."""
    before, *after = views.split(count)
    return torch.stack([1 - F.cosine_similarity(before, x, dim=-1) for x in after])
