"""Penalties over environments: against autograd, by hand, and by what they must not see."""

import math

import pytest
import torch
import torch.nn.functional as F

from causalclip.head.environments import (
    environment_dependence,
    environment_risks,
    irm_penalty,
    rex_penalty,
    robust_risk,
)

LABELS = (torch.arange(24) % 2).float()
SITES = torch.arange(24) // 8 * 10  # any numbers: 0, 10, 20


def logits() -> torch.Tensor:
    return torch.randn(24, generator=torch.Generator().manual_seed(0))


def test_risks_are_the_cross_entropy_site_by_site() -> None:
    risks = environment_risks(logits(), LABELS, SITES)
    by_hand = [F.binary_cross_entropy_with_logits(logits()[i : i + 8], LABELS[i : i + 8]) for i in (0, 8, 16)]
    assert risks.tolist() == pytest.approx([float(r) for r in by_hand])


def test_irm_is_the_squared_gradient_of_a_dummy_scale() -> None:
    found = []
    for site in SITES.unique():
        scale = torch.ones((), requires_grad=True)
        inside = site == SITES
        risk = F.binary_cross_entropy_with_logits(scale * logits()[inside], LABELS[inside])
        found.append(torch.autograd.grad(risk, scale)[0].square())
    assert float(irm_penalty(logits(), LABELS, SITES)) == pytest.approx(float(torch.stack(found).mean()), rel=1e-5)


def test_irm_is_zero_at_the_best_scale_of_every_site() -> None:
    # Log-odds of 3 in 4 right, in each site: no scale does better.
    sure = math.log(3.0)
    said = torch.tensor([sure, sure, sure, sure] * 2)
    labels = torch.tensor([1.0, 1.0, 1.0, 0.0] * 2)
    assert float(irm_penalty(said, labels, torch.tensor([0] * 4 + [1] * 4))) == pytest.approx(0, abs=1e-12)


def test_rex_is_the_variance_of_the_risks() -> None:
    assert float(rex_penalty(torch.tensor([0.5, 0.5, 0.5]))) == 0
    assert float(rex_penalty(torch.tensor([0.0, 1.0]))) == pytest.approx(0.25)


def test_the_robust_risk_leans_towards_the_worst_site() -> None:
    risks = torch.tensor([0.2, 0.4, 1.5])
    assert float(risks.mean()) < float(robust_risk(risks)) < float(risks.max())
    assert float(robust_risk(risks, sharpness=0.0)) == pytest.approx(float(risks.mean()))


def test_dependence_sees_a_sites_style_and_not_the_label() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(24, 6, generator=generator)
    styled = noise + 5 * F.one_hot(SITES // 10, 6).float()
    labelled = noise + 5 * LABELS[:, None]
    seen, unseen, by_label = (float(environment_dependence(z, LABELS, SITES)) for z in (styled, noise, labelled))
    assert 0 <= unseen < seen <= 1
    assert by_label == pytest.approx(unseen, abs=1e-4)  # inside a class the label shifts all alike


def test_dependence_of_one_site_is_nothing_and_has_a_gradient() -> None:
    z = torch.randn(24, 6, requires_grad=True)
    environment_dependence(z, LABELS, torch.zeros(24, dtype=torch.long)).backward()
    assert z.grad is not None
    assert float(z.grad.abs().sum()) == 0
