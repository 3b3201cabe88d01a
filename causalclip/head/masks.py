"""The causal mask: which dimensions of an embedding reach the verdict (CausalCLIP, arXiv 2512.13285)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

CLOSED = 200.0  # the size of a logit that is 0 or 1 after a sigmoid


def sample_logistic(like: Tensor) -> Tensor:
    """Logistic(0, 1) noise of the shape of `like`: the difference of two Gumbels, so that sigmoid((a + l) / tau) is a
    Gumbel-Softmax over {causal, non-causal}. A single Gumbel would be biased: P(M > 0.5) = 0.632 at a = 0."""
    u = torch.rand_like(like).clamp(1e-6, 1 - 1e-6)
    return torch.log(u) - torch.log1p(-u)


@dataclass(frozen=True, slots=True)
class MaskStatistics:
    """Signs of collapse, over a batch of masks [B, D]: all near 0 or all near 1 makes independence trivial.

    density: mean of M, 0 to 1. entropy: mean binary entropy in bits, 0 to 1.
    variance: mean over dimensions of the variance across pictures. causal_share: share of dimensions with mean M > 0.5.
    """

    density: float
    entropy: float
    variance: float
    causal_share: float

    @classmethod
    def of(cls, mask: Tensor) -> "MaskStatistics":
        m = mask.detach().double().clamp(1e-7, 1 - 1e-7)
        entropy = -(m * m.log2() + (1 - m) * (1 - m).log2())
        return cls(
            float(m.mean()),
            float(entropy.mean()),
            float(m.var(0, unbiased=False).mean()),
            float((m.mean(0) > 0.5).double().mean()),
        )


class CausalMask(nn.Module):
    """a = MLP(E); M = sigmoid((a + l) / tau), l logistic in training and 0 at inference.

    Args:
        width: D, dimensions of the embedding.
        hidden: of the MLP.
        start: the mask's logit before training; above 0 so that training begins with most of the embedding.
    """

    def __init__(self, width: int, *, hidden: int = 64, start: float = 1.0) -> None:
        super().__init__()
        first, last = nn.Linear(width, hidden), nn.Linear(hidden, width)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, start)
        self.mlp = nn.Sequential(first, nn.GELU(), last)

    def forward(self, embedding: Tensor, *, tau: float | Tensor = 1.0) -> Tensor:
        """[B, D] -> mask [B, D] in [0, 1]; deterministic in evaluation mode."""
        logits = self.mlp(embedding)
        if self.training:
            logits = logits + sample_logistic(logits)
        return torch.sigmoid(logits / tau)


class ChannelGates(nn.Module):
    """One logit a channel: the same mask for every picture, M = sigmoid((a + l) / tau) as above.

    Args:
        width: D, dimensions of the embedding. start: every gate's logit at first.
    """

    def __init__(self, width: int, *, start: float = 1.0) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.full((width,), start))

    @torch.no_grad()
    def open(self, passing: Tensor) -> None:
        """Gates of the channels [D] that pass are open, all others closed; exactly, in half precision too."""
        self.logits.copy_(torch.where(passing, CLOSED, -CLOSED))

    def forward(self, embedding: Tensor, *, tau: float | Tensor = 1.0) -> Tensor:
        """[B, D] -> mask [B, D] in [0, 1]; deterministic in evaluation mode."""
        logits = self.logits.expand(len(embedding), -1)
        if self.training:
            logits = logits + sample_logistic(logits)
        return torch.sigmoid(logits / tau)
