"""The mask: range, noise, determinism, temperature, statistics."""

import pytest
import torch

from causalclip.head.masks import CausalMask, MaskStatistics, sample_logistic


def test_logistic_noise_is_unbiased() -> None:
    torch.manual_seed(0)
    noise = sample_logistic(torch.zeros(200_000))
    assert float((noise > 0).float().mean()) == pytest.approx(0.5, abs=0.005)  # a single Gumbel would give 0.632
    assert float(noise.std()) == pytest.approx(torch.pi / 3**0.5, rel=0.02)


def test_mask_is_in_range_and_deterministic_at_inference_only() -> None:
    torch.manual_seed(0)
    mask, x = CausalMask(16), torch.randn(8, 16)
    assert not torch.equal(mask(x), mask(x))
    mask.eval()
    assert torch.equal(mask(x), mask(x))
    assert 0 <= float(mask(x).min()) <= float(mask(x).max()) <= 1


def test_temperature_makes_it_binary() -> None:
    torch.manual_seed(0)
    mask, x = CausalMask(16).eval(), torch.randn(8, 16)
    torch.nn.init.normal_(mask.mlp[2].weight)
    soft, hard = MaskStatistics.of(mask(x, tau=1.0)), MaskStatistics.of(mask(x, tau=0.05))
    assert hard.entropy < 0.5 * soft.entropy


def test_statistics_show_collapse() -> None:
    collapsed = MaskStatistics.of(torch.ones(10, 4))
    assert collapsed.density == pytest.approx(1, abs=1e-3)
    assert collapsed.entropy == pytest.approx(0, abs=1e-3)
    assert collapsed.variance == pytest.approx(0, abs=1e-6)
    half = MaskStatistics.of(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    assert half.variance == pytest.approx(0.25, abs=1e-3)
