"""What holds in every environment: penalties on a verdict that is right at some sites more than at others.

An environment is who made or took the pictures: a site, a collection, a family of generators. What is causal for
"generated" must hold in each of them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.head.hsic import normalised_hsic


def environment_risks(logits: Tensor, labels: Tensor, environments: Tensor) -> Tensor:
    """R_e: the mean cross-entropy of each environment in the batch, [E].

    Args:
        logits: [B]. labels: [B], 1 generated. environments: long [B], any numbers.
    """
    losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return torch.stack([losses[environments == e].mean() for e in environments.unique()])


def rex_penalty(risks: Tensor) -> Tensor:
    """Var_e[R_e] of V-REx (Krueger et al., arXiv 2003.00688, equation 8); 0 where all risks [E] are equal."""
    return risks.var(unbiased=False)


def irm_penalty(logits: Tensor, labels: Tensor, environments: Tensor) -> Tensor:
    """Mean over environments of (d R_e(w * logit) / dw at w = 1)^2: IRMv1 (Arjovsky et al., arXiv 1907.02893).

    The derivative of the cross-entropy by a scale of the logit is (sigmoid(logit) - y) * logit.
    """
    pull = (torch.sigmoid(logits) - labels) * logits
    return torch.stack([pull[environments == e].mean().square() for e in environments.unique()]).mean()


def robust_risk(risks: Tensor, *, sharpness: float = 2.0) -> Tensor:
    """The risks [E] weighted by softmax(sharpness * R_e): the worst environments count most (group DRO,
    Sagawa et al., arXiv 1911.08731, with its weights computed afresh in each batch)."""
    return (torch.softmax(sharpness * risks.detach(), 0) * risks).sum()


def environment_dependence(causal: Tensor, labels: Tensor, environments: Tensor) -> Tensor:
    """nHSIC(Zc, one-hot environment) inside each class, mean over classes: how much of the site is left in Zc [B, D].

    In [0, 1]. Inside a class, because a site that shows one class alone would otherwise hold the label.
    """
    found = []
    for label in (0, 1):
        inside = labels == label
        _, which = environments[inside].unique(return_inverse=True)
        if len(which) > 1 and int(which.max()) > 0:
            found.append(normalised_hsic(causal[inside], F.one_hot(which).float()))
    return torch.stack(found).mean() if found else causal.sum() * 0
