"""The training objective of CausalCLIP (arXiv 2512.13285), with every term to be switched off for the ladder.

L = BCE(h(Zc), y) + a BCE(d(GRL(Znc)), y) + l1 mean|M| + l2 nHSIC(Zc, Znc) + b KL(h(Zc) || h(Zc (1 - B)))

and terms of ours: on counterfactuals (a picture and its generated twin, and places in a picture of which it is known
whether they were generated), and on environments (causalclip.head.environments).
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.head.environments import (
    environment_dependence,
    environment_risks,
    irm_penalty,
    rex_penalty,
    robust_risk,
)
from causalclip.head.hsic import normalised_hsic
from causalclip.head.model import CausalHead, HeadOutput


class _ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return -grads[0]


def reverse_gradient(x: Tensor) -> Tensor:
    """The identity forwards, minus the gradient backwards (Ganin and Lempitsky, 2015)."""
    return _ReverseGradient.apply(x)


def bernoulli_kl(logit_p: Tensor, logit_q: Tensor) -> Tensor:
    """KL(Bernoulli(sigmoid(p)) || Bernoulli(sigmoid(q))), mean over the batch; >= 0, in nats."""
    p = torch.sigmoid(logit_p)
    per_sample = p * (F.logsigmoid(logit_p) - F.logsigmoid(logit_q))
    per_sample = per_sample + (1 - p) * (F.logsigmoid(-logit_p) - F.logsigmoid(-logit_q))
    return per_sample.mean()


def pair_loss(logits: Tensor, pairs: Tensor) -> Tensor:
    """do(generation) with content held fixed: of two views of one picture, the generated one must score higher.

    Args:
        logits: [B].
        pairs: long [K, 2], positions in the batch of (real, its generated twin); K may be 0.
    """
    if len(pairs) == 0:
        return logits.sum() * 0
    return F.softplus(logits[pairs[:, 0]] - logits[pairs[:, 1]]).mean()


@dataclass(frozen=True, slots=True)
class LossWeights:
    """adversary: a. sparsity: l1. independence: l2. consistency: b. drop: P(B = 1). pairs: of the pair loss.
    places: of the verdict place by place, on splices. smoothing: of the labels.
    rex, irm, robust, sites: of the variance of the environments' risks, of IRMv1's penalty, of the worst environments'
    risk, and of nHSIC(Zc, environment).
    """

    adversary: float = 0.0
    sparsity: float = 0.0
    independence: float = 0.0
    consistency: float = 0.0
    drop: float = 0.2
    pairs: float = 0.0
    places: float = 0.0
    smoothing: float = 0.0
    rex: float = 0.0
    irm: float = 0.0
    robust: float = 0.0
    sites: float = 0.0

    @property
    def over_environments(self) -> bool:
        """Whether a term needs to know the environments."""
        return any((self.rex, self.irm, self.robust, self.sites))


def causal_loss(
    head: CausalHead,
    embedding: Tensor,
    labels: Tensor,
    *,
    weights: LossWeights,
    tau: float | None = None,
    sample_weight: Tensor | None = None,
    pairs: Tensor | None = None,
    places: tuple[Tensor, Tensor] | None = None,
    environments: Tensor | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """The objective on a batch.

    Args:
        embedding: [B, D]. labels: [B], 1 generated, 0 real. sample_weight: [B], mean about 1.
        pairs: long [K, 2], see `pair_loss`.
        places: ([S, C, D], [S, C]), splices and how much of each of their cells is generated.
        environments: long [B], see `environment_terms`.

    Returns:
        The scalar loss, and its terms as floats (with the adversary's accuracy) to be logged.
    """
    out = head(embedding, tau=tau)
    target = labels * (1 - weights.smoothing) + 0.5 * weights.smoothing
    terms = {"verdict": F.binary_cross_entropy_with_logits(out.logit, target, weight=sample_weight)}
    if weights.sparsity:
        terms["sparsity"] = weights.sparsity * out.mask.mean()
    if weights.independence:
        terms["independence"] = weights.independence * normalised_hsic(out.causal, out.non_causal)
    log = {}
    if weights.adversary:
        guess = head.adversary(reverse_gradient(out.non_causal)).squeeze(1)
        terms["adversary"] = weights.adversary * F.binary_cross_entropy_with_logits(guess, labels, weight=sample_weight)
        log["adversary accuracy"] = float(((guess > 0) == (labels > 0.5)).float().mean())
    if weights.consistency:
        keep = (torch.rand_like(out.causal) >= weights.drop).float()
        terms["consistency"] = weights.consistency * bernoulli_kl(out.logit, head.score(out.causal * keep))
    if weights.pairs and pairs is not None:
        terms["pairs"] = weights.pairs * pair_loss(out.logit, pairs)
    if weights.places and places is not None:
        cells, generated = places
        terms["places"] = weights.places * F.binary_cross_entropy_with_logits(
            head.local_logits(cells, tau=tau), generated * (1 - weights.smoothing) + 0.5 * weights.smoothing
        )
    if environments is not None:
        terms |= environment_terms(out, labels, environments, weights=weights)
    return torch.stack(list(terms.values())).sum(), {k: float(v.detach()) for k, v in terms.items()} | log


def environment_terms(
    out: HeadOutput, labels: Tensor, environments: Tensor, *, weights: LossWeights
) -> dict[str, Tensor]:
    """The weighted terms over environments, long [B]: which site, collection or family each sample comes from."""
    risks = environment_risks(out.logit, labels, environments)
    terms = {}
    if weights.rex:
        terms["rex"] = weights.rex * rex_penalty(risks)
    if weights.irm:
        terms["irm"] = weights.irm * irm_penalty(out.logit, labels, environments)
    if weights.robust:
        terms["robust"] = weights.robust * robust_risk(risks)
    if weights.sites:
        terms["sites"] = weights.sites * environment_dependence(out.causal, labels, environments)
    return terms
