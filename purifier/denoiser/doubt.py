"""What the purifier does where its gate is in doubt: it asks CLIP how much the picture's fine detail matters.

Quantisation removes the detail that an attack on CLIP consists of. So CLIP's embedding of an attacked picture moves far
when it is quantised, and that of a clean picture moves little (feature squeezing, Xu et al., NDSS 2018, arXiv
1704.01155). This costs two passes through CLIP. Few pictures are in doubt.
"""

from dataclasses import dataclass

from torch import Tensor

from causalclip.clip.backbones import shared_tower
from causalclip.clip.tower import Tower

SLOPE = 10.0  # log-odds a unit of distance


@dataclass(frozen=True, slots=True)
class Doubt:
    """When the gate is in doubt, and what CLIP decides then.

    low, high: the gate is in doubt if its log-odds lie between them. distance: a picture in doubt is judged attacked if
    CLIP's embedding moves by more than this (1 - cosine) when the picture is purified. tower: CLIP, by name.
    """

    low: float
    high: float
    distance: float
    tower: str = "clip-vit-b-16"

    def __call__(self, odds: Tensor, pixels: Tensor, purified: Tensor) -> Tensor:
        """The gate's log-odds [N], those in doubt replaced by what CLIP says of [N, 3, H, W] and its purified twin."""
        asked = (odds > self.low) & (odds < self.high)
        if not bool(asked.any()):
            return odds
        moved = moves(shared_tower(self.tower), pixels[asked], purified[asked])
        return odds.masked_scatter(asked, SLOPE * (moved - self.distance))


def moves(tower: Tower, pixels: Tensor, purified: Tensor) -> Tensor:
    """1 - the cosine between CLIP's embeddings of both, [N]; on the processor, where the tower is."""
    from purifier.vlm.features import clip_embedding  # seconds of imports, when a picture is first in doubt

    before, after = (clip_embedding(tower, x.cpu()) for x in (pixels, purified))
    return (1 - (before * after).sum(-1)).to(pixels)
