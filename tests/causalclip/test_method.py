"""The method: mask and HSIC against independent computations, the objective's terms, a head exact
in its sums."""

import itertools
import math

import numpy as np
import pytest
import torch

from causalclip.method import (
    CausalHead,
    Dependence,
    LossWeights,
    PictureMask,
    SharedMask,
    bernoulli_kl,
    causal_loss,
    median_bandwidth,
    normalised_hsic,
    sample_logistic,
    squared_distances,
    unbiased_hsic,
    unbiased_normalised_hsic,
)
from training.detector.mask_statistics import MaskStatistics

D = 12


def sample(n: int = 24, d: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def batch(n: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    return sample(n, D), (torch.arange(n) % 2).float()


def embeddings(n: int = 5) -> torch.Tensor:
    return 3 + 2 * sample(n, D)


def random_head(**options: bool) -> CausalHead:
    torch.manual_seed(1)
    head = CausalHead(D, hidden=8, **options)
    for p in head.parameters():
        torch.nn.init.normal_(p, std=0.4)
    head.shift.copy_(embeddings(50).mean(0))
    head.scale.copy_(embeddings(50).std(0))
    return head.eval()


# Mask ---------------------------------------------------------------------------------------------


def test_logistic_noise_is_unbiased() -> None:
    torch.manual_seed(0)
    noise = sample_logistic(torch.zeros(200_000))
    # a single Gumbel would give 0.632
    assert float((noise > 0).float().mean()) == pytest.approx(0.5, abs=0.005)
    assert float(noise.std()) == pytest.approx(torch.pi / 3**0.5, rel=0.02)


def test_the_logistic_form_is_the_two_category_gumbel_softmax() -> None:
    """Against PyTorch's own, of the logits (a, 0): the same distribution."""
    torch.manual_seed(0)
    mask = SharedMask(40_000, start=0.7)
    ours = mask(torch.zeros(1, 40_000), tau=0.6)[0].detach()
    theirs = torch.nn.functional.gumbel_softmax(
        torch.tensor([[0.7, 0.0]]).expand(40_000, 2), tau=0.6
    )[:, 0]
    levels = torch.linspace(0.05, 0.95, 19)
    assert torch.allclose(torch.quantile(ours, levels), torch.quantile(theirs, levels), atol=0.02)


def test_mask_is_in_range_and_deterministic_at_inference_only() -> None:
    torch.manual_seed(0)
    mask, x = PictureMask(16).requires_grad_(False), torch.randn(8, 16)
    assert not torch.equal(mask(x), mask(x))
    mask.eval()
    assert torch.equal(mask(x), mask(x))
    assert 0 <= float(mask(x).min()) <= float(mask(x).max()) <= 1


def test_statistics_show_collapse() -> None:
    collapsed = MaskStatistics.of(torch.ones(10, 4))
    assert collapsed.density == pytest.approx(1, abs=1e-3)
    assert collapsed.entropy == pytest.approx(0, abs=1e-3)
    assert collapsed.variance == pytest.approx(0, abs=1e-6)
    half = MaskStatistics.of(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    assert half.variance == pytest.approx(0.25, abs=1e-3)


# HSIC ---------------------------------------------------------------------------------------------


def hsic_by_definition(x: np.ndarray, y: np.ndarray, sx: float, sy: float) -> float:
    """E[kl] + E[k] E[l] - 2 E[E[k] E[l]] over all pairs, times n^2 / (n - 1)^2: Gretton et al.
    (2005), lemma 1."""
    n = len(x)
    k = np.zeros((n, n))
    l = np.zeros((n, n))  # noqa: E741
    for i in range(n):
        for j in range(n):
            k[i, j] = np.exp(-((x[i] - x[j]) ** 2).sum() / (2 * sx))
            l[i, j] = np.exp(-((y[i] - y[j]) ** 2).sum() / (2 * sy))
    joint = (k * l).mean() + k.mean() * l.mean() - 2 * (k.mean(1) * l.mean(1)).mean()
    return joint * n**2 / (n - 1) ** 2


def test_normalised_hsic_equals_the_definition() -> None:
    x, y = sample(seed=1), sample(d=3, seed=2) + sample(seed=1)[:, :3]
    (a, s), (b, t) = (
        (v.double().numpy(), float(median_bandwidth(squared_distances(v)))) for v in (x, y)
    )
    expected = (
        hsic_by_definition(a, b, s, t)
        / (hsic_by_definition(a, a, s, s) * hsic_by_definition(b, b, t, t)) ** 0.5
    )
    assert float(normalised_hsic(x, y)) == pytest.approx(expected, rel=1e-4)


def test_bandwidth_is_the_median_of_different_pairs() -> None:
    x = torch.tensor([[0.0], [1.0], [3.0]])
    assert float(median_bandwidth(squared_distances(x))) == 4.0  # of 1, 4, 9
    assert float(median_bandwidth(torch.zeros(4, 4))) == 1.0


def test_normalised_hsic_is_zero_for_a_constant_never_negative_and_knows_no_order() -> None:
    x, y = sample(seed=4), sample(seed=5)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    assert float(normalised_hsic(x[order], y[order])) == pytest.approx(
        float(normalised_hsic(x, y)), rel=1e-4
    )
    assert float(normalised_hsic(x, torch.ones(len(x), 2))) == pytest.approx(0, abs=1e-6)
    assert min(float(normalised_hsic(x, sample(seed=seed))) for seed in range(5)) >= -1e-7


def test_normalised_is_scale_free_one_for_itself_and_tells_dependence() -> None:
    x = sample(n=128, seed=7)
    independent = sample(n=128, seed=8)
    assert float(normalised_hsic(x, x)) == pytest.approx(1, abs=1e-3)
    assert float(normalised_hsic(x * 1e3, x.abs())) == pytest.approx(
        float(normalised_hsic(x, x.abs())), rel=1e-2
    )
    assert float(normalised_hsic(x, x.abs())) > 1.5 * float(normalised_hsic(x, independent))


def hsic_over_distinct_samples(k: np.ndarray, l: np.ndarray) -> float:  # noqa: E741
    """E k_ij l_ij + E k_ij l_qr - 2 E k_ij l_iq over all tuples of distinct samples: Gretton et
    al. (2005), lemma 1, as a U-statistic."""
    n = len(k)
    pairs = list(itertools.permutations(range(n), 2))
    triples = list(itertools.permutations(range(n), 3))
    quads = list(itertools.permutations(range(n), 4))
    joint = np.mean([k[i, j] * l[i, j] for i, j in pairs])
    apart = np.mean([k[i, j] * l[q, r] for i, j, q, r in quads])
    shared = np.mean([k[i, j] * l[i, q] for i, j, q in triples])
    return float(joint + apart - 2 * shared)


def test_unbiased_hsic_equals_the_mean_over_distinct_samples() -> None:
    k, l = (v @ v.T for v in (sample(7, 3, seed=1), sample(7, 2, seed=2)))  # noqa: E741
    for a, b in ((k, l), (k, k)):
        expected = hsic_over_distinct_samples(a.double().numpy(), b.double().numpy())
        assert float(unbiased_hsic(a.double(), b.double())) == pytest.approx(expected, rel=1e-9)


def gram_by_definition(x: np.ndarray) -> np.ndarray:
    """Gaussian kernel, sigma^2 the median squared distance of different samples."""
    distances = ((x[:, None] - x[None]) ** 2).sum(-1)
    # torch's median of an even count is the lower one of the two in the middle
    apart = np.sort(distances[~np.eye(len(x), dtype=bool)])
    return np.exp(-distances / (2 * apart[(len(apart) - 1) // 2]))


def test_unbiased_nhsic_of_unlike_halves_is_over_the_root_of_both_own_ones() -> None:
    x = sample(9, 3, seed=1)
    y = torch.cat([x[:, :1].square(), 30 * sample(9, 1, seed=2)], 1)
    k, l = (gram_by_definition(v.double().numpy()) for v in (x, y))  # noqa: E741
    own = hsic_over_distinct_samples(k, k), hsic_over_distinct_samples(l, l)
    assert own[0] != pytest.approx(own[1], rel=0.1)
    expected = hsic_over_distinct_samples(k, l) / (own[0] * own[1]) ** 0.5
    assert float(unbiased_normalised_hsic(x, y)) == pytest.approx(expected, rel=1e-4)
    assert Dependence.between(x, y).nhsic == pytest.approx(expected, rel=1e-4)


def test_unbiased_hsic_of_independent_data_is_zero_in_the_mean_in_many_channels() -> None:
    draws = [(sample(32, 400, seed=2 * i), sample(32, 400, seed=2 * i + 1)) for i in range(60)]
    unbiased = np.array([float(unbiased_normalised_hsic(x, y)) for x, y in draws])
    assert abs(unbiased.mean()) < 3 * unbiased.std() / len(draws) ** 0.5
    assert abs(unbiased.mean()) < 0.02
    assert np.mean([float(normalised_hsic(x, y)) for x, y in draws]) > 0.8  # why it is no measure


def test_unbiased_nhsic_is_one_for_itself_zero_for_a_constant_and_knows_no_order() -> None:
    x, y = sample(64, seed=4), sample(64, seed=4).abs()
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    assert float(unbiased_normalised_hsic(x, x)) == pytest.approx(1, abs=1e-6)
    assert float(unbiased_normalised_hsic(x, torch.ones(64, 2))) == pytest.approx(0, abs=1e-6)
    assert float(unbiased_normalised_hsic(x[order], y[order])) == pytest.approx(
        float(unbiased_normalised_hsic(x, y)), rel=1e-5
    )
    with pytest.raises(ValueError, match="4 samples"):
        unbiased_normalised_hsic(x[:3], y[:3])


def test_dependence_is_far_above_its_permuted_floor_only_where_there_is_some() -> None:
    x, independent = sample(64, 200, seed=6), sample(64, 200, seed=7)
    shared, none = Dependence.between(x, x.abs() + x), Dependence.between(x, independent)
    assert shared.nhsic > shared.permuted + 10 * shared.spread
    assert abs(none.nhsic - none.permuted) < 4 * none.spread
    assert abs(none.permuted) < 0.02
    assert none.pictures == 64


# Objective ----------------------------------------------------------------------------------------


def test_kl_by_hand_and_zero_for_equals() -> None:
    p, q = torch.tensor([0.3]), torch.tensor([-0.4])
    a, b = torch.sigmoid(p).item(), torch.sigmoid(q).item()
    expected = a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b))
    assert float(bernoulli_kl(p, q)) == pytest.approx(expected, rel=1e-5)
    assert float(bernoulli_kl(p, p)) == pytest.approx(0, abs=1e-7)
    assert torch.isfinite(bernoulli_kl(torch.tensor([80.0]), torch.tensor([-80.0])))


TERMS = {"adversary": 0.5, "sparsity": 0.1, "independence": 0.2, "consistency": 0.3}


def test_each_term_is_added_by_its_weight() -> None:
    head, (x, y) = random_head(), batch()

    def loss(**terms: float) -> float:
        torch.manual_seed(0)  # the same channels are dropped
        return float(causal_loss(head, x, y, weights=LossWeights(**terms)).detach())

    verdict = float(torch.nn.functional.binary_cross_entropy_with_logits(head(x).logit, y).detach())
    each = {name: loss(**{name: weight}) - verdict for name, weight in TERMS.items()}
    assert loss() == pytest.approx(verdict)
    assert min(each.values()) > 1e-3
    for name, weight in TERMS.items():
        assert loss(**{name: 2 * weight}) - verdict == pytest.approx(2 * each[name], rel=1e-3)
    assert loss(**TERMS) == pytest.approx(verdict + sum(each.values()), rel=1e-5)


def cross_entropy(logit: np.ndarray, target: np.ndarray, weight: np.ndarray) -> float:
    p = 1 / (1 + np.exp(-logit))
    return float((-weight * (target * np.log(p) + (1 - target) * np.log(1 - p))).mean())


def terms_by_hand(head: CausalHead, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor):
    """The terms of L at the density 0.63, a smoothing of 0.1, and with all channels dropped."""
    out = head(x)
    labels, weights = y.double().numpy(), weight.double().numpy()
    logit, guess, mask = (
        v.detach().double().numpy() for v in (out.logit, head.guess(out.non_causal), out.mask)
    )
    without = head.verdict.bias.item()  # the logit of a picture without any channel
    p, q = 1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(-without))
    return {
        "verdict": cross_entropy(logit, 0.9 * labels + 0.05, weights),
        "sparsity": np.abs(mask.mean(1) - 0.63).mean(),
        "adversary": cross_entropy(guess, labels, weights),  # whose labels are not smoothed
        "consistency": (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).mean(),
    }


@pytest.mark.parametrize("term", ["verdict", "sparsity", "adversary", "consistency"])
def test_each_term_is_the_equation_s(term: str) -> None:
    head, (x, y) = random_head(), batch()
    density = head(x).mask.mean(1)
    assert density.min() < 0.63 < density.max()  # each picture's own counts, not the batch's
    weight = 0.5 + torch.rand(len(x), generator=torch.Generator().manual_seed(2))
    expected = terms_by_hand(head, x, y, weight)
    switched = {} if term == "verdict" else {term: 2.0}
    weights = LossWeights(density=0.63, smoothing=0.1, drop=1.0, **switched)
    found = causal_loss(head, x, y, weights=weights, sample_weight=weight).item()
    rest = 0.0 if term == "verdict" else 2 * expected[term]
    assert found == pytest.approx(expected["verdict"] + rest, rel=1e-4)


def test_adversary_learns_while_the_mask_works_against_it() -> None:
    torch.manual_seed(0)
    x, y = batch()
    x[:, 0] += 3 * y
    head = CausalHead(D)
    # The mask's output layer starts at zero, so that only its bias sees a gradient at first: start
    # it elsewhere.
    torch.nn.init.normal_(head.mask.mlp[2].weight, std=0.1)
    head.eval()
    causal_loss(head, x, y, weights=LossWeights(adversary=1.0)).backward()
    assert head.adversary[0].weight.grad.abs().sum() > 0
    plain = torch.nn.functional.binary_cross_entropy_with_logits(head.guess(head(x).non_causal), y)
    towards_adversary = torch.autograd.grad(plain, head.mask.mlp[2].bias)[0]
    # The verdict's weights are still 0, so the mask sees nothing but the adversary.
    assert torch.allclose(head.mask.mlp[2].bias.grad, -towards_adversary, atol=1e-6)


# Head ---------------------------------------------------------------------------------------------


def test_causal_and_non_causal_parts_share_the_standardised_embedding() -> None:
    head = random_head()
    out = head(embeddings())
    assert torch.allclose(
        out.causal + out.non_causal, (embeddings() - head.shift) / head.scale, atol=1e-5
    )
    assert ((out.mask > 0) & (out.mask < 1)).all()
    assert out.mask.std(0).max() > 0.01  # the mask is a function of the picture


def test_direction_and_offset_are_the_logit() -> None:
    head = random_head()
    out = head(embeddings())
    exact = (head.direction(out.mask) * embeddings()).sum(1) + head.offset(out.mask)
    assert torch.allclose(exact, out.logit, atol=1e-4)


def test_a_selection_is_exact_and_the_same_for_every_picture_in_half_precision_too() -> None:
    head = CausalHead(D, hidden=0).eval()
    passing = torch.arange(D) % 3 == 0
    head.mask.select(passing)
    assert torch.equal(head.half().float()(embeddings()).mask, passing.float().expand(5, D))
