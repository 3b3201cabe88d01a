"""The bridge from an adversarial picture to the clean one that the purifier learns to walk.

A straight bridge (rectified flow, Liu et al., ICLR 2023, arXiv 2209.03003; flow matching between
paired endpoints, Lipman et al., arXiv 2210.02747), with x the clean picture, x' the adversarial
one, d = x' - x, and z ~ N(0, 1):

    x_t = x + t (d + s z)            t = 1: the (noised) adversarial picture; t = 0: the clean one
    v   = d x_t / d t = d + s z      what the network is trained to say of x_t, by squared error
    x   = x_t - t v                  exact for the true v: the one-step estimate
    x_{t - h} = x_t - h v(x_t, t)    Euler steps (FlowMatchEulerDiscreteScheduler), deterministic

CoDefend's own losses are not public. ADBM (ICLR 2025) bridges the same two ends along a diffusion;
there the walk must start from a noised picture. Here the noise level s may be 0, so that a clean
picture can be left as it is; s above 0 is what ADBM's start has: the adversarial picture under
noise.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from purifier.denoiser.latent import LatentPurifier


@dataclass(frozen=True, slots=True)
class Ends:
    """Both ends of a bridge, and a time on it.

    Attributes:
        clean, adversarial: the pictures at both ends, float [N, 3, H, W].
        t: the time, [N] in [0, 1].
        noise: what is added at the adversarial end, [N, 3, H, W].
    """

    clean: Tensor
    adversarial: Tensor
    t: Tensor
    noise: Tensor


def bridge_point(
    clean: Tensor, adversarial: Tensor, t: Tensor, noise: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """A point on the bridge and its velocity.

    Args:
        clean, adversarial: the pictures at both ends, float [N, 3, H, W].
        t: [N] in [0, 1].
        noise: [N, 3, H, W], s z of the equations.

    Returns:
        x_t and v, [N, 3, H, W] each.
    """
    velocity = adversarial - clean if noise is None else adversarial - clean + noise
    return clean + t.view(-1, 1, 1, 1) * velocity, velocity


def clean_estimate(point: Tensor, velocity: Tensor, t: Tensor) -> Tensor:
    """The clean end that a point [N, 3, H, W] at time t [N] and its velocity lead to: x_t - t v."""
    return point - t.view(-1, 1, 1, 1) * velocity


def draw_times(count: int, generator: torch.Generator, *, at_start: float = 0.5) -> Tensor:
    """Draw times [N] in (0, 1]: exactly 1, where inference starts, with the chance `at_start`, else
    uniform."""
    uniform = 1 - torch.rand(count, generator=generator)
    return torch.where(
        torch.rand(count, generator=generator) < at_start, torch.ones(count), uniform
    )


def bridge_loss(pipeline: Any, ends: Ends) -> tuple[Tensor, Tensor]:
    """Mean squared error of a PurifierPipeline's velocity, in units of its scale; and the clean
    estimate [N, 3, H, W]. A LatentPurifier's bridge lies between latents."""
    size, is_latent = ends.clean.shape[-2:], isinstance(pipeline, LatentPurifier)
    if is_latent:
        ends = _latent_ends(pipeline, ends)
    point, velocity = bridge_point(ends.clean, ends.adversarial, ends.t, ends.noise)
    estimate = pipeline.velocity(point, ends.t)
    loss = ((estimate - velocity) / pipeline.config["scale"]).square().mean()
    clean = clean_estimate(point, estimate, ends.t)
    return loss, pipeline.decode(clean, size) if is_latent else clean


def _latent_ends(pipeline: LatentPurifier, ends: Ends) -> Ends:
    """Return the latents at both ends of a bridge; the noise is in the adversarial one."""
    with torch.no_grad():
        clean = pipeline.encode(ends.clean)
        noisy = pipeline.encode(ends.adversarial + ends.noise)
    return Ends(clean, noisy, ends.t, torch.zeros_like(clean))
