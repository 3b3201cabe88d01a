"""What the heads say of a picture's views, in calibrated log-odds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Judged:
    """[V, D] each: mask, what one unit of each dimension adds (causal, non_causal), what it adds here (channels), and
    the patches' total on the average picture (neutral); bias and offset [V]: the logit is sum(channels) + bias, and
    also causal . embedding + offset."""

    mask: Tensor
    causal: Tensor
    non_causal: Tensor
    channels: Tensor
    neutral: Tensor
    bias: Tensor
    offset: Tensor

    def alone(self, channel: int, embedding: Tensor) -> Judged:
        """One dimension of the embedding [V, D] without the others and the bias."""
        chosen = torch.zeros(embedding.shape[1])
        chosen[channel] = 1
        causal, channels = self.causal * chosen, self.channels * chosen
        offset = (channels - causal * embedding).sum(1)
        return Judged(self.mask, causal, self.non_causal * chosen, channels, self.neutral, 0 * self.bias, offset)


def joined(few: Sequence[Judged]) -> Judged:
    """Those of all views."""
    names = [field.name for field in fields(Judged)]
    return Judged(*(torch.cat([getattr(judged, name) for judged in few]) for name in names))
