"""The bridge's ends, its velocity, and Euler steps along it."""

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from purifier.denoiser.bridge import bridge_point, clean_estimate, draw_times


@pytest.fixture
def ends() -> tuple[torch.Tensor, ...]:
    g = torch.Generator().manual_seed(0)
    clean = torch.rand(2, 3, 8, 8, generator=g)
    moved = (clean + 0.1 * torch.randn(clean.shape, generator=g)).clamp(0, 1)
    return clean, moved, 0.05 * torch.randn(clean.shape, generator=g)


def test_at_t_0_it_is_the_clean_picture(ends) -> None:
    clean, moved, noise = ends
    assert torch.equal(bridge_point(clean, moved, torch.zeros(2), noise)[0], clean)


def test_at_t_1_it_is_the_noised_adversarial_picture(ends) -> None:
    clean, moved, noise = ends
    assert torch.allclose(bridge_point(clean, moved, torch.ones(2))[0], moved, atol=1e-6)
    assert torch.allclose(bridge_point(clean, moved, torch.ones(2), noise)[0], moved + noise, atol=1e-6)


def test_the_velocity_is_the_slope_and_leads_to_the_clean_end(ends) -> None:
    clean, moved, noise = ends
    t, h = torch.tensor([0.3, 0.8]), 1e-2
    point, velocity = bridge_point(clean, moved, t, noise)
    later, _ = bridge_point(clean, moved, t + h, noise)
    assert torch.allclose((later - point) / h, velocity, atol=1e-4)
    assert torch.allclose(clean_estimate(point, velocity, t), clean, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 4])
def test_the_scheduler_s_steps_walk_to_the_clean_end(ends, steps: int) -> None:
    clean, moved, noise = ends
    scheduler = FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(sigmas=np.linspace(1, 0, steps + 1)[:-1].tolist())
    x, velocity = bridge_point(clean, moved, torch.ones(2), noise)
    for t in scheduler.timesteps:
        x = scheduler.step(velocity, t, x).prev_sample
    assert torch.allclose(x, clean, atol=1e-5)


def test_times_start_at_1_as_often_as_asked_and_are_never_0() -> None:
    t = draw_times(2000, torch.Generator().manual_seed(0), at_start=0.25)
    assert (t == 1).float().mean().item() == pytest.approx(0.25, abs=0.05)
    assert 0 < t.min() < 0.1
