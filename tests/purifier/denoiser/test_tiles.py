"""Tiles cover every size, and leave no seam."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from purifier.denoiser.tiles import apply_tiled, plan_tiles

SIZES = {"tile": 64, "overlap": 16, "multiple": 8}


def smooth(part: Tensor) -> Tensor:
    """A network that sees 5 px far."""
    return F.avg_pool2d(F.pad(part, (2, 2, 2, 2), mode="replicate"), 5, 1)


def shifting(part: Tensor) -> Tensor:
    """One that answers every tile differently: by the tile's mean, which a seam would show."""
    return part.mean((1, 2, 3), keepdim=True).expand_as(part)


@pytest.mark.parametrize("size", [(64, 64), (20, 33), (65, 40), (150, 201), (7, 300), (1, 1)])
def test_every_size_comes_back_whole(size: tuple[int, int]) -> None:
    pixels = torch.rand(2, 3, *size)
    assert torch.allclose(apply_tiled(lambda x: x, pixels, **SIZES), pixels, atol=1e-6)


def test_the_network_sees_bounded_multiples_alone() -> None:
    seen = []

    def network(part: Tensor) -> Tensor:
        seen.append(part.shape[-2:])
        return part

    apply_tiled(network, torch.rand(1, 3, 100, 130), **SIZES)
    assert len(seen) > 1
    assert all(h <= 64 and w <= 64 and h % 8 == 0 and w % 8 == 0 for h, w in seen)


def test_away_from_the_edges_tiles_change_nothing() -> None:
    pixels = torch.rand(1, 3, 150, 201)
    tiled, whole = apply_tiled(smooth, pixels, **SIZES), smooth(pixels)
    # within 2 px of a tile's own edge its network sees padding; the weight there is at most 2 / 16
    assert (tiled - whole).abs().max() < 0.05
    assert (tiled - whole).abs().mean() < 0.001


def test_there_is_no_seam_between_tiles_that_disagree() -> None:
    pixels = torch.linspace(0, 1, 200).expand(1, 3, 200, 200).contiguous()
    out = apply_tiled(shifting, pixels, **SIZES)
    steps = (out[..., 1:] - out[..., :-1]).abs()
    assert out.max() - out.min() > 0.4  # the tiles do disagree
    assert steps.max() < 1.5 * (out.max() - out.min()) / (3 * 16)  # and the way is spread over the overlaps


def test_gradients_flow_through_tiles() -> None:
    pixels = torch.rand(1, 3, 100, 100, requires_grad=True)
    apply_tiled(smooth, pixels, **SIZES).sum().backward()
    assert (pixels.grad > 0).all()


@pytest.mark.parametrize("side", [1, 64, 65, 100, 1000])
def test_tiles_reach_both_ends(side: int) -> None:
    size, starts = plan_tiles(side, **SIZES)
    assert size <= 64
    assert size % 8 == 0
    assert starts[0] == 0
    assert starts[-1] + size >= side
    assert all(b - a <= size - 16 for a, b in itertools.pairwise(starts))
