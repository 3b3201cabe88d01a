"""What the purifier does where its gate is in doubt: it asks CLIP whether a picture is another one without its detail.

An attack on CLIP lives in detail that quantisation takes away, so that what CLIP sees moves far; of a clean picture it
sees much the same with and without (feature squeezing, Xu et al., NDSS 2018, arXiv 1704.01155). It costs two passes
through CLIP, and few pictures are in doubt.
"""

from dataclasses import dataclass

from torch import Tensor

from causalclip.clip.backbones import shared_tower
from causalclip.clip.tower import Tower

SLOPE = 10.0  # log-odds a unit of distance


@dataclass(frozen=True, slots=True)
class Doubt:
    """low, high: the gate's log-odds between which it is in doubt. distance: between CLIP's embeddings (1 - cosine) of
    a picture before and after quantisation, from which on it is taken for attacked. tower: CLIP, by name.
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
