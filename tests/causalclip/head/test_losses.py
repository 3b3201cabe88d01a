"""The objective's terms: values worked out by hand, limits, and where the gradients go."""

import math

import pytest
import torch

from causalclip.head.losses import LossWeights, bernoulli_kl, causal_loss, pair_loss, reverse_gradient
from causalclip.head.model import CausalHead


def batch(n: int = 32, d: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=g), (torch.arange(n) % 2).float()


def test_gradient_reversal() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (3 * reverse_gradient(x)).sum().backward()
    assert x.grad.tolist() == [-3.0, -3.0]


def test_kl_by_hand_and_zero_for_equals() -> None:
    p, q = torch.tensor([0.3]), torch.tensor([-0.4])
    a, b = torch.sigmoid(p).item(), torch.sigmoid(q).item()
    expected = a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b))
    assert float(bernoulli_kl(p, q)) == pytest.approx(expected, rel=1e-5)
    assert float(bernoulli_kl(p, p)) == pytest.approx(0, abs=1e-7)
    assert torch.isfinite(bernoulli_kl(torch.tensor([80.0]), torch.tensor([-80.0])))


def test_pairs_prefer_the_generated_twin() -> None:
    logits = torch.tensor([0.0, 3.0, 3.0, 0.0])
    right, wrong = pair_loss(logits, torch.tensor([[0, 1]])), pair_loss(logits, torch.tensor([[2, 3]]))
    assert float(right) < 0.1 < 3 < float(wrong)
    assert float(pair_loss(logits, torch.empty(0, 2, dtype=torch.long))) == 0


def test_every_term_is_in_the_sum() -> None:
    torch.manual_seed(0)
    x, y = batch()
    weights = LossWeights(adversary=0.5, sparsity=0.1, independence=0.2, consistency=0.3, pairs=0.4)
    loss, terms = causal_loss(CausalHead(12), x, y, weights=weights, pairs=torch.tensor([[0, 1]]))
    accuracy = terms.pop("adversary accuracy")
    assert 0 <= accuracy <= 1
    assert set(terms) == {"verdict", "adversary", "sparsity", "independence", "consistency", "pairs"}
    assert float(loss) == pytest.approx(sum(terms.values()), rel=1e-5)


def test_terms_without_weight_are_left_out() -> None:
    x, y = batch()
    _, terms = causal_loss(CausalHead(12), x, y, weights=LossWeights())
    assert set(terms) == {"verdict"}


def test_terms_over_environments_need_environments() -> None:
    torch.manual_seed(0)
    x, y = batch()
    weights = LossWeights(rex=1.0, irm=0.5, robust=0.5, sites=0.2)
    assert weights.over_environments
    _, terms = causal_loss(CausalHead(12), x, y, weights=weights, environments=torch.arange(32) // 8)
    assert set(terms) == {"verdict", "rex", "irm", "robust", "sites"}
    _, terms = causal_loss(CausalHead(12), x, y, weights=weights)
    assert set(terms) == {"verdict"}


def test_adversary_learns_while_the_mask_works_against_it() -> None:
    torch.manual_seed(0)
    x, y = batch()
    x[:, 0] += 3 * y
    head = CausalHead(12)
    # The mask's output layer starts at zero, so that only its bias sees a gradient at first: start it elsewhere.
    torch.nn.init.normal_(head.mask.mlp[2].weight, std=0.1)
    head.eval()
    weights = LossWeights(adversary=1.0)
    loss, _ = causal_loss(head, x, y, weights=weights)
    loss.backward()
    assert head.adversary[0].weight.grad.abs().sum() > 0
    out = head(x)
    plain = torch.nn.functional.binary_cross_entropy_with_logits(head.adversary(out.non_causal).squeeze(1), y)
    towards_adversary = torch.autograd.grad(plain, head.mask.mlp[2].bias)[0]
    assert torch.allclose(
        head.mask.mlp[2].bias.grad, -towards_adversary, atol=1e-6
    )  # the verdict's weights are still 0


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    x, y = batch()
    head = CausalHead(12)
    torch.nn.init.normal_(head.verdict.weight)
    torch.nn.init.normal_(head.mask.mlp[2].weight)
    weights = LossWeights(adversary=0.5, sparsity=0.1, independence=0.2, consistency=0.3)
    causal_loss(head, x, y, weights=weights)[0].backward()
    for name, parameter in head.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_places_teach_where_a_generated_part_is() -> None:
    """The term is the mean cross-entropy of the cells' own verdicts, and its gradient reaches verdict and mask."""
    torch.manual_seed(0)
    x, y = batch()
    head = CausalHead(12, hidden=4)
    torch.nn.init.normal_(head.verdict.weight)
    torch.nn.init.normal_(head.mask.mlp[-1].weight)
    cells, generated = torch.randn(5, 9, 12), torch.rand(5, 9)
    weights = LossWeights(places=2.0)
    head.eval()
    loss, terms = causal_loss(head, x, y, weights=weights, places=(cells, generated))
    local = head.local_logits(cells)
    assert torch.allclose(local.mean(1), head(cells.mean(1)).logit, atol=1e-5)
    by_hand = -(generated * local.sigmoid().log() + (1 - generated) * (1 - local.sigmoid()).log()).mean()
    assert terms["places"] == pytest.approx(2 * float(by_hand), rel=1e-4)
    (loss - terms["verdict"]).backward()
    assert head.verdict.weight.grad.abs().sum() > 0
    assert head.mask.mlp[-1].weight.grad.abs().sum() > 0
    assert "places" not in causal_loss(head, x, y, weights=LossWeights(), places=(cells, generated))[1]
