"""HSIC against its definition written out, against ignite's, and by its properties."""

import numpy as np
import pytest
import torch
from ignite.metrics import HSIC

from causalclip.head.hsic import hsic, median_bandwidth, normalised_hsic, squared_distances


def sample(n: int = 24, d: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def hsic_by_definition(x: np.ndarray, y: np.ndarray, sx: float, sy: float) -> float:
    """E[kl] + E[k] E[l] - 2 E[E[k] E[l]] over all pairs, times n^2 / (n - 1)^2: Gretton et al. (2005), lemma 1."""
    n = len(x)
    k = np.zeros((n, n))
    l = np.zeros((n, n))  # noqa: E741
    for i in range(n):
        for j in range(n):
            k[i, j] = np.exp(-((x[i] - x[j]) ** 2).sum() / (2 * sx))
            l[i, j] = np.exp(-((y[i] - y[j]) ** 2).sum() / (2 * sy))
    joint = (k * l).mean() + k.mean() * l.mean() - 2 * (k.mean(1) * l.mean(1)).mean()
    return joint * n**2 / (n - 1) ** 2


def test_equals_the_definition() -> None:
    x, y = sample(seed=1), sample(d=3, seed=2) + sample(seed=1)[:, :3]
    expected = hsic_by_definition(x.double().numpy(), y.double().numpy(), 2.5, 0.7)
    assert float(hsic(x, y, bandwidth_x=2.5, bandwidth_y=0.7)) == pytest.approx(expected, rel=1e-4)


def test_equals_ignite() -> None:
    x, y = sample(n=32, seed=3), sample(n=32, seed=3) ** 2
    metric = HSIC(sigma_x=1.3, sigma_y=0.8)
    metric.update((x, y))
    # ignite gives the unbiased estimator (Song et al., 2012); rebuilt here from the same kernels.
    k = torch.exp(-squared_distances(x) / (2 * 1.3**2)).fill_diagonal_(0).double()
    l = torch.exp(-squared_distances(y) / (2 * 0.8**2)).fill_diagonal_(0).double()  # noqa: E741
    n = len(x)
    unbiased = ((k * l).sum() + k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 * (k.sum(0) * l.sum(0)).sum() / (n - 2)) / (
        n * (n - 3)
    )
    assert metric.compute() == pytest.approx(float(unbiased), rel=1e-3)
    ours = float(hsic(x, y, bandwidth_x=1.3**2, bandwidth_y=0.8**2))
    assert ours == pytest.approx(metric.compute(), abs=4 / n)  # the biased estimator is within O(1/n)


def test_bandwidth_is_the_median_of_different_pairs() -> None:
    x = torch.tensor([[0.0], [1.0], [3.0]])
    assert float(median_bandwidth(squared_distances(x))) == 4.0  # of 1, 4, 9
    assert float(median_bandwidth(torch.zeros(4, 4))) == 1.0


@pytest.mark.parametrize("measure", [hsic, normalised_hsic])
def test_does_not_depend_on_the_order_of_samples(measure) -> None:
    x, y = sample(seed=4), sample(seed=5)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    assert float(measure(x[order], y[order])) == pytest.approx(float(measure(x, y)), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("measure", [hsic, normalised_hsic])
def test_is_zero_for_a_constant_and_never_negative(measure) -> None:
    x = sample(seed=6)
    assert float(measure(x, torch.ones(len(x), 2))) == pytest.approx(0, abs=1e-6)
    for seed in range(5):
        assert float(measure(x, sample(seed=seed))) >= -1e-7


def test_normalised_is_scale_free_one_for_itself_and_tells_dependence() -> None:
    x = sample(n=128, seed=7)
    independent = sample(n=128, seed=8)
    assert float(normalised_hsic(x, x)) == pytest.approx(1, abs=1e-3)
    assert float(normalised_hsic(x * 1e3, x.abs())) == pytest.approx(float(normalised_hsic(x, x.abs())), rel=1e-2)
    assert float(normalised_hsic(x, x.abs())) > 1.5 * float(normalised_hsic(x, independent))


def test_gradients_flow_and_lower_it() -> None:
    x = sample(n=64, d=3, seed=9)
    y = (x + 0.1 * sample(n=64, d=3, seed=10)).requires_grad_()
    before = normalised_hsic(x, y)
    before.backward()
    assert torch.isfinite(y.grad).all()
    assert y.grad.abs().sum() > 0
    with torch.no_grad():
        after = normalised_hsic(x, y - 0.5 * y.grad / y.grad.norm())
    assert float(after) < float(before.detach())
