"""The whole of CausalCLIP's method (arXiv 2512.13285): mask, independence, adversary, head.

A picture is caused by what it shows and by how it was made. Only traces of generation that all
generators share ("causal") should reach the verdict; content, style, codec and one generator's
fingerprint ("non-causal") should not.

    a   = MLP(E)                              (B, D)  mask logits of the standardised embedding E
    M   = sigmoid((a + l) / tau)              (B, D)  two-category Gumbel-Softmax, l ~ Logistic;
                                                      at inference l = 0
    Zc  = M * E,  Znc = (1 - M) * E           (B, D)  what passes, and what is suppressed
    h   = w . Zc + b                          (B,)    the verdict's logit; the adversary's is d(Znc)
    L   = BCE(h(Zc), y)                               verdict
        + l3 BCE(d(GRL(Znc)), y)                      adversary behind gradient reversal
        + l1 mean|M|                                  sparsity
        + l2 nHSIC(Zc, Znc)                           independence
        + l4 KL(h(Zc) || h(Zc * (1 - B)))             consistency, B ~ Bernoulli(p)

The paper has no public code; docs/method.md says what it leaves open and what ships. Every term is
switched by its weight (`LossWeights`). The head can start from the ridge regression's verdict
(training.detector.ridge).
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# the size of a logit that is exactly 0 or 1 after a sigmoid, in half precision too
SATURATED = 200.0


# Mask: two-category Gumbel-Softmax (Jang et al., arXiv 1611.01144;
# Maddison et al., arXiv 1611.00712)


def sample_logistic(like: Tensor) -> Tensor:
    """Logistic(0, 1) noise of the shape of `like`: the difference of two Gumbels.

    So sigmoid((a + l) / tau) is a Gumbel-Softmax over {causal, non-causal}. A single Gumbel would
    be biased: P(M > 0.5) = 0.632 at a = 0.
    """
    u = torch.rand_like(like).clamp(1e-6, 1 - 1e-6)
    return torch.log(u) - torch.log1p(-u)


def relax(logits: Tensor, tau: float | Tensor, *, noisy: bool) -> Tensor:
    """Turn mask logits (B, D) into a mask (B, D) in [0, 1] at the temperature tau; deterministic
    unless `noisy`."""
    if noisy:
        logits = logits + sample_logistic(logits)
    return torch.sigmoid(logits / tau)


class PictureMask(nn.Module):
    """The paper's mask, one for each picture: a = MLP(E).

    Args:
        width: D, dimensions of the embedding. hidden: of the MLP.
        start: the mask's logit before training; above 0 so that training begins with most of the
            embedding.
    """

    def __init__(self, width: int, *, hidden: int = 64, start: float = 1.0) -> None:
        super().__init__()
        first, last = nn.Linear(width, hidden), nn.Linear(hidden, width)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, start)
        self.mlp = nn.Sequential(first, nn.GELU(), last)

    def forward(self, embedding: Tensor, *, tau: float | Tensor = 1.0) -> Tensor:
        """(B, D) -> mask (B, D)."""
        return relax(self.mlp(embedding), tau, noisy=self.training)


class SharedMask(nn.Module):
    """One logit a channel: the same mask for every picture, which makes it feature selection.

    Args:
        width: D, dimensions of the embedding. start: every logit before training.
    """

    def __init__(self, width: int, *, start: float = 1.0) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.full((width,), start))

    @torch.no_grad()
    def select(self, passing: Tensor) -> None:
        """Let the channels that pass (bool (D,)) through whole, and no others."""
        self.logits.copy_(torch.where(passing, SATURATED, -SATURATED))

    def forward(self, embedding: Tensor, *, tau: float | Tensor = 1.0) -> Tensor:
        """(B, D) -> mask (B, D)."""
        return relax(self.logits.expand(len(embedding), -1), tau, noisy=self.training)


# Independence: HSIC (Gretton et al., ALT 2005), normalised as CKA (Kornblith et al., arXiv
# 1905.00414)


def squared_distances(x: Tensor) -> Tensor:
    """Return squared Euclidean distances, (N, D) -> (N, N), never below zero."""
    norms = x.square().sum(1)
    return (norms[:, None] + norms[None] - 2 * x @ x.T).clamp_min(0)


def median_bandwidth(distances: Tensor) -> Tensor:
    """The median heuristic: sigma^2 is the median squared distance of different samples. Detached;
    1 if that is 0."""
    n = len(distances)
    off_diagonal = distances.detach()[~torch.eye(n, dtype=torch.bool, device=distances.device)]
    median = off_diagonal.median() if n > 1 else distances.new_tensor(0.0)
    return torch.where(median > 0, median, torch.ones_like(median))


def _gaussian_kernel(x: Tensor) -> Tensor:
    """Return the Gram matrix of (N, D), (N, N): k(a, b) = exp(-|a - b|^2 / (2 sigma^2)), sigma^2 by
    the median heuristic."""
    distances = squared_distances(x.float())
    return torch.exp(-distances / (2 * median_bandwidth(distances)))


def centre(gram: Tensor) -> Tensor:
    """Return H K H with H = I - 1/N: the Gram matrix of the centred features."""
    return gram - gram.mean(0, keepdim=True) - gram.mean(1, keepdim=True) + gram.mean()


def normalised_hsic(x: Tensor, y: Tensor, *, eps: float = 1e-8) -> Tensor:
    """HSIC(x, y) / sqrt(HSIC(x, x) HSIC(y, y)) of (N, Dx) and (N, Dy): scale free, in [0, 1], 0 for
    a constant.

    Kornblith et al., ICML 2019, equation 4, with Gaussian kernels; HSIC is the biased estimator
    tr(K H L H) / (N - 1)^2 (Gretton et al., 2005), whose divisor cancels. Independent data do not
    give 0: it is a loss, and `unbiased_normalised_hsic` the measure.
    """
    k, l = centre(_gaussian_kernel(x)), centre(_gaussian_kernel(y))  # noqa: E741
    return (k * l).sum() / (k.square().sum() * l.square().sum() + eps).sqrt()


def unbiased_hsic(k: Tensor, l: Tensor) -> Tensor:  # noqa: E741
    """HSIC of two Gram matrices (N, N), N at least 4, without bias: 0 in the mean where the two are
    independent, whatever N is.

    Song et al., JMLR 13, 2012, equation 4. It can be negative.
    """
    n = len(k)
    off_diagonal = 1 - torch.eye(n, dtype=k.dtype, device=k.device)
    k, l = k * off_diagonal, l * off_diagonal  # noqa: E741
    same_pairs = (k * l).sum()
    all_pairs = k.sum() * l.sum() / ((n - 1) * (n - 2))
    one_shared = 2 * (k.sum(0) @ l.sum(0)) / (n - 2)
    return (same_pairs + all_pairs - one_shared) / (n * (n - 3))


def unbiased_normalised_hsic(x: Tensor, y: Tensor, *, eps: float = 1e-8) -> Tensor:
    """`normalised_hsic` of (N, Dx) and (N, Dy) by the unbiased estimator: 0 in the mean where x and
    y are independent, 1 for x and x, 0 for a constant.

    Where N is below the number of channels, the biased one is near 1 whatever the data are (0.98
    for independent Gaussians at N = 256 and 7,680 channels).

    Raises:
        ValueError: N is below 4.
    """
    _check_samples(len(x))
    return _unbiased_ratio(_gaussian_kernel(x).double(), _gaussian_kernel(y).double(), eps=eps)


def _check_samples(count: int) -> None:
    if count < 4:
        raise ValueError(f"An unbiased HSIC needs 4 samples, not {count}.")


def _unbiased_ratio(k: Tensor, l: Tensor, *, eps: float = 1e-8) -> Tensor:  # noqa: E741
    """Return the unbiased HSIC of two Gram matrices (N, N) over the root of both matrices' own.

    eps: the least root; a constant's own is 0 but for rounding, which differs between processors.
    """
    own = unbiased_hsic(k, k).clamp_min(0) * unbiased_hsic(l, l).clamp_min(0)
    return unbiased_hsic(k, l) / own.sqrt().clamp_min(eps)


@dataclass(frozen=True, slots=True)
class Dependence:
    """The dependence of two parts of the same pictures.

    Attributes:
        nhsic: unbiased and normalised (unbiased_normalised_hsic); 0 is independent.
        permuted: its mean where one part's pictures are permuted, so that nothing is shared.
        spread: its standard deviation there.
        pictures: how many.
    """

    nhsic: float
    permuted: float
    spread: float
    pictures: int

    @classmethod
    @torch.no_grad()
    def between(
        cls, x: Tensor, y: Tensor, *, permutations: int = 20, seed: int = 0
    ) -> "Dependence":
        """Return the dependence of (N, Dx) and (N, Dy); raises ValueError where N is below 4."""
        _check_samples(len(x))
        generator = torch.Generator().manual_seed(seed)
        k, l = _gaussian_kernel(x).double(), _gaussian_kernel(y).double()  # noqa: E741
        orders = [torch.randperm(len(y), generator=generator) for _ in range(permutations)]
        floor = torch.stack([_unbiased_ratio(k, l[order][:, order]) for order in orders])
        return cls(
            nhsic=float(_unbiased_ratio(k, l)),
            permuted=float(floor.mean()),
            spread=float(floor.std()),
            pictures=len(x),
        )


# Adversary: gradient reversal (Ganin and Lempitsky, arXiv 1409.7495) ------------------------------


class _GradientReversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return -grads[0]


def reverse_gradient(x: Tensor) -> Tensor:
    """The identity forwards, minus the gradient backwards."""
    return _GradientReversal.apply(x)


# Counterfactual consistency: KL between the verdict and the verdict without some causal channels


def bernoulli_kl(logit_p: Tensor, logit_q: Tensor) -> Tensor:
    """KL(Bernoulli(sigmoid(p)) || Bernoulli(sigmoid(q))), mean over the batch; >= 0, in nats."""
    p = torch.sigmoid(logit_p)
    per_sample = p * (F.logsigmoid(logit_p) - F.logsigmoid(logit_q))
    per_sample = per_sample + (1 - p) * (F.logsigmoid(-logit_p) - F.logsigmoid(-logit_q))
    return per_sample.mean()


def drop_channels(causal: Tensor, *, share: float) -> Tensor:
    """Drop channels by chance: Zc * (1 - B), B ~ Bernoulli(share), (B, D) -> (B, D)."""
    return causal * (torch.rand_like(causal) >= share).float()


# Head ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HeadOutput:
    """logit (B,), above 0: generated; mask, causal Zc and non_causal Znc (B, D)."""

    logit: Tensor
    mask: Tensor
    causal: Tensor
    non_causal: Tensor


class CausalHead(nn.Module):
    """Standardise -> mask -> judge by the causal part alone.

    The verdict is linear in the causal part, so that every channel's and every patch's share of it
    is exact.

    Args:
        width: D, dimensions of the embedding.
        hidden: of the mask's MLP; 0 gives every picture the same mask.
        masked: False makes it a plain linear probe (M = 1).
        start: the mask's logit before training.
    """

    shift: Tensor
    scale: Tensor
    patch_shift: Tensor
    tau: Tensor

    def __init__(
        self, width: int, *, hidden: int = 64, masked: bool = True, start: float = 1.0
    ) -> None:
        super().__init__()
        self.mask: PictureMask | SharedMask | None = None
        if masked:
            self.mask = (
                PictureMask(width, hidden=hidden, start=start)
                if hidden
                else SharedMask(width, start=start)
            )
        self.verdict = nn.Linear(width, 1)
        nn.init.zeros_(self.verdict.weight)
        nn.init.zeros_(self.verdict.bias)
        # of training alone
        self.adversary = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, 1))
        self.register_buffer("shift", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("patch_shift", torch.zeros(width))
        self.register_buffer("tau", torch.ones(()))  # of the mask, where the annealing ended

    def without_adversary(self) -> "CausalHead":
        """Return the head itself without the adversary, which only training needs."""
        self.adversary = nn.Sequential()
        return self

    def forward(self, embedding: Tensor, *, tau: float | None = None) -> HeadOutput:
        """Judge embeddings (B, D), not yet standardised. tau: of the mask; None takes the one that
        training ended with."""
        E = (embedding - self.shift) / self.scale  # (B, D)
        # (B, D)
        M = (
            torch.ones_like(E)
            if self.mask is None
            else self.mask(E, tau=self.tau if tau is None else tau)
        )
        causal = M * E
        return HeadOutput(self.score(causal), M, causal, (1 - M) * E)

    def score(self, causal: Tensor) -> Tensor:
        """Return h(Zc), the logit (B,), of the causal part (B, D)."""
        return self.verdict(causal).squeeze(1)

    def guess(self, non_causal: Tensor) -> Tensor:
        """Return d(Znc), the adversary's logit (B,), of the non-causal part (B, D)."""
        return self.adversary(non_causal).squeeze(1)

    def direction(self, mask: Tensor) -> Tensor:
        """Return d logit / d embedding (B, D) with the mask (B, D) held fixed: what one unit of
        each channel adds."""
        return self.verdict.weight[0] * mask / self.scale

    def offset(self, mask: Tensor) -> Tensor:
        """The rest of that linear function, (B,): logit = direction . embedding + offset."""
        return self.verdict.bias - (self.direction(mask) * self.shift).sum(1)


# Objective ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LossWeights:
    """adversary: l3. sparsity: l1. independence: l2. consistency: l4. drop: p, P(B = 1).

    density: of the mask, which sparsity pulls to; the paper pulls to 0. smoothing: of the labels.
    Both are ours. A term with weight 0 is not computed.
    """

    adversary: float = 0.0
    sparsity: float = 0.0
    independence: float = 0.0
    consistency: float = 0.0
    drop: float = 0.2
    density: float = 0.0
    smoothing: float = 0.0


def causal_loss(
    head: CausalHead,
    embedding: Tensor,
    labels: Tensor,
    *,
    weights: LossWeights,
    tau: float | None = None,
    sample_weight: Tensor | None = None,
) -> Tensor:
    """Return the loss L on a batch, a scalar.

    Args:
        embedding: (B, D). labels: (B,), 1 generated, 0 real. sample_weight: (B,), mean about 1.
    """
    out = head(embedding, tau=tau)
    target = labels * (1 - weights.smoothing) + 0.5 * weights.smoothing
    loss = F.binary_cross_entropy_with_logits(out.logit, target, weight=sample_weight)
    if weights.sparsity:
        loss = loss + weights.sparsity * (out.mask.mean(1) - weights.density).abs().mean()
    if weights.independence:
        loss = loss + weights.independence * normalised_hsic(out.causal, out.non_causal)
    if weights.adversary:
        guess = head.guess(reverse_gradient(out.non_causal))
        loss = loss + weights.adversary * F.binary_cross_entropy_with_logits(
            guess, labels, weight=sample_weight
        )
    if weights.consistency:
        logit_without = head.score(drop_channels(out.causal, share=weights.drop))
        loss = loss + weights.consistency * bernoulli_kl(out.logit, logit_without)
    return loss
