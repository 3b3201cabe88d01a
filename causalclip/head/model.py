"""CausalCLIP's head: encode -> standardise -> mask -> judge by the causal part alone (arXiv 2512.13285)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from causalclip.head.masks import CausalMask, ChannelGates


@dataclass(frozen=True, slots=True)
class HeadOutput:
    """logit [B] (above 0: generated); mask, causal Zc and non_causal Znc [B, D]."""

    logit: Tensor
    mask: Tensor
    causal: Tensor
    non_causal: Tensor


class CausalHead(nn.Module):
    """The verdict is linear in the causal part, so that every dimension's and every patch's share of it is exact.

    Args:
        width: D, dimensions of the embedding.
        hidden: of the mask's MLP; 0 gives every picture the same mask, one gate a channel.
        masked: False makes it a plain linear probe (M = 1), the first rung of the ladder.
    """

    shift: Tensor
    scale: Tensor
    patch_shift: Tensor
    tau: Tensor

    def __init__(self, width: int, *, hidden: int = 64, masked: bool = True) -> None:
        super().__init__()
        self.mask: CausalMask | ChannelGates | None = None
        if masked:
            self.mask = CausalMask(width, hidden=hidden) if hidden else ChannelGates(width)
        self.verdict = nn.Linear(width, 1)
        nn.init.zeros_(self.verdict.weight)
        nn.init.zeros_(self.verdict.bias)
        self.adversary = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, 1))
        self.register_buffer("shift", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("patch_shift", torch.zeros(width))
        self.register_buffer("tau", torch.ones(()))  # of the mask, where the annealing ended

    @torch.no_grad()
    def standardise_by(self, embedding: Tensor, patch_total: Tensor | None = None) -> None:
        """Fixes the mean and deviation [D] that inputs are standardised with, from the training set [N, D].

        Args:
            patch_total: [K, D], the sum of all patches' shares on some training pictures; its mean is the neutral
                picture that maps are drawn against.
        """
        self.shift.copy_(embedding.mean(0))
        self.scale.copy_(embedding.std(0).clamp_min(1e-6))
        if patch_total is not None:
            self.patch_shift.copy_(patch_total.mean(0))

    def forward(self, embedding: Tensor, *, tau: float | None = None) -> HeadOutput:
        """[B, D], not yet standardised -> HeadOutput. tau: of the mask; None takes the one that training ended with."""
        E = (embedding - self.shift) / self.scale
        M = torch.ones_like(E) if self.mask is None else self.mask(E, tau=self.tau if tau is None else tau)
        causal = M * E
        return HeadOutput(self.score(causal), M, causal, (1 - M) * E)

    def local_logits(self, cells: Tensor, *, tau: float | None = None) -> Tensor:
        """The verdict place by place, under the one mask of the whole view.

        Args:
            cells: [B, C, D], see causalclip.clip.embedding.cell_embeddings.

        Returns:
            [B, C]: the logit if the view were like each cell alone; their mean is the view's own logit.
        """
        E = (cells - self.shift) / self.scale
        if self.mask is not None:
            E = E * self.mask(E.mean(1), tau=self.tau if tau is None else tau)[:, None]
        return self.verdict(E).squeeze(2)

    def score(self, causal: Tensor) -> Tensor:
        """Zc [B, D] -> logit [B]."""
        return self.verdict(causal).squeeze(1)

    def direction(self, mask: Tensor) -> Tensor:
        """With the mask [B, D] held fixed, d logit / d embedding [B, D]: what one unit of each dimension adds."""
        return self.verdict.weight[0] * mask / self.scale

    def offset(self, mask: Tensor) -> Tensor:
        """The rest of that linear function, [B]: logit = direction . embedding + offset."""
        return self.verdict.bias - (self.direction(mask) * self.shift).sum(1)
