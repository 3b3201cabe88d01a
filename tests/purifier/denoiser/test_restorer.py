"""The restorer on small random networks: it begins at the quantised picture, adds to it, travels with the pipeline."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor

from purifier.attacks.budget import to_levels
from purifier.denoiser.doubt import Doubt
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.denoiser.restorer import new_restorer, restored
from tests.makers.purifiers import fixed_gate, tiny_purifier, tiny_restorer

SIZES = {"tile": 512, "overlap": 48}


def pixels(height: int, width: int, *, count: int = 1, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(224, 224), (33, 47), (300, 230)])
def test_untrained_it_leaves_the_quantised_picture_as_it_is(size: tuple[int, int]) -> None:
    quantised = pixels(*size)
    assert torch.equal(restored(new_restorer(channels=(8, 16)), quantised, 10, **SIZES), quantised)


@pytest.mark.parametrize("fold", [2, 4])
def test_it_adds_by_what_it_sees_and_by_the_quality(fold: int) -> None:
    quantised = pixels(224, 230).requires_grad_(True)
    added = restored(tiny_restorer(fold=fold), quantised, 10, **SIZES) - quantised
    assert added.abs().max() > 1e-3
    (gradient,) = torch.autograd.grad(added.square().sum(), quantised)
    assert (gradient != 0).float().mean() > 0.99
    assert not torch.equal(added, restored(tiny_restorer(fold=fold), quantised, 30, **SIZES) - quantised)


def test_a_long_picture_goes_through_in_tiles() -> None:
    long = pixels(224, 900)
    tiled, whole = (restored(tiny_restorer(), long, 10, tile=t, overlap=48) for t in (512, 1024))
    assert tiled.shape == long.shape
    assert not torch.equal(tiled, whole)
    assert ((tiled - long).abs().amax(1) > 0).float().mean() > 0.99


def test_the_pipeline_restores_what_the_open_gate_quantised_and_nothing_else() -> None:
    x = to_levels(pixels(40, 50))
    shut, opened = (tiny_purifier(restorer=tiny_restorer(), gate=fixed_gate(bias)) for bias in (-1.0, 1.0))
    assert torch.equal(shut(x).images, x)
    assert torch.allclose(opened.purify(x), opened.forced(x), atol=1e-6)
    assert not torch.equal(opened.forced(x), tiny_purifier().forced(x))
    assert torch.equal(tiny_purifier(restorer=new_restorer(channels=(8, 16))).forced(x), tiny_purifier().forced(x))


def test_a_picture_taken_for_clean_is_purified_all_the_same_where_that_is_wished() -> None:
    x = to_levels(pixels(40, 50))
    shut = tiny_purifier(gate=fixed_gate(-1.0))
    assert torch.equal(shut(x).images, x)
    seeded = lambda seed: torch.Generator().manual_seed(seed)  # noqa: E731
    first, again, other = (shut(x, always=True, generator=seeded(seed)).images for seed in (0, 0, 1))
    assert first.shape == x.shape
    assert torch.equal(first, again)
    assert 0.01 < (first - other).abs().mean() < (first - x).abs().mean()
    unforeseen = []
    for _ in range(2):
        torch.manual_seed(0)  # as every process begins
        unforeseen.append(shut(x, always=True).images)
    assert not torch.equal(*unforeseen)
    moved = x.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(shut.purify(moved, always=True).square().sum(), moved)
    assert (gradient != 0).float().mean() > 0.9


def test_clip_is_asked_about_the_quantised_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its threshold was set on quality 10: a restored picture, or a milder one, is nearer to the attacked one."""
    asked: list[Tensor] = []
    monkeypatch.setattr("purifier.denoiser.doubt.shared_tower", lambda name: name)
    monkeypatch.setattr("purifier.denoiser.doubt.moves", lambda _, x, y: asked.append(y) or torch.ones(len(x)))
    doubt = asdict(Doubt(low=-3.0, high=2.0, distance=0.2))
    for restorer, quality in ((None, 10), (tiny_restorer(), 10), (None, 20)):
        tiny_purifier(restorer=restorer, quality=quality, gate=fixed_gate(-1.0), doubt=doubt).purify(pixels(40, 50))
    assert torch.equal(asked[0], asked[1])
    assert torch.equal(asked[0], asked[2])


def test_a_milder_quality_leaves_more_of_a_picture() -> None:
    x = pixels(40, 50)
    mild, coarse = (tiny_purifier(quality=quality).forced(x) for quality in (40, 10))
    assert (mild - x).abs().mean() < (coarse - x).abs().mean()
    assert torch.equal(tiny_purifier().forced(x, quality=40), mild)


def test_saving_and_loading_keeps_the_restorer(tmp_path: Path) -> None:
    purifier, x = tiny_purifier(restorer=tiny_restorer()), pixels(40, 40)
    purifier.save_pretrained(tmp_path / "with")
    again = PurifierPipeline.from_pretrained(tmp_path / "with")
    assert (again.forced(x) - purifier.forced(x)).abs().mean() < 0.001  # half precision
    assert not any(p.requires_grad for p in again.restorer.parameters())
    assert purifier.restorer.dtype == torch.float32
    tiny_purifier().save_pretrained(tmp_path / "without")
    assert PurifierPipeline.from_pretrained(tmp_path / "without").restorer is None
