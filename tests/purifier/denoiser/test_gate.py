"""The gate and what is behind it: what is clean stays, what is attacked loses its faint detail."""

import io
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from purifier.attacks.budget import to_levels
from purifier.denoiser.doubt import Doubt, moves
from purifier.denoiser.filters import fine_detail, low_pass, quantise, quantise_by_chance
from purifier.denoiser.gate import STATISTICS, Gate, opened, statistics
from purifier.denoiser.pipeline import PurifierPipeline, new_pipeline
from purifier.pixels import to_tensor
from purifier.vlm.features import clip_embedding
from tests.makers.pictures import photo
from tests.makers.purifiers import tiny_purifier
from tests.makers.towers import tiny_tower

OPEN, SHUT = 50.0, -50.0


def pixels(height: int = 64, width: int = 90, *, count: int = 1) -> Tensor:
    return to_levels(torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0)))


def gate(bias: float) -> Gate:
    zeros = (0.0,) * STATISTICS
    return Gate(
        mean=zeros, deviation=(1.0,) * STATISTICS, hidden=((*zeros, 0.0),), weight=(1.0, bias), false_alarms=0.01
    )


def gated(bias: float, doubt: Doubt | None = None) -> PurifierPipeline:
    plain = tiny_purifier()
    sizes = {name: plain.config[name] for name in ("tile", "overlap", "coarse")}
    return PurifierPipeline(
        plain.unet, plain.scheduler, gate=asdict(gate(bias)), doubt=asdict(doubt) if doubt else None, **sizes
    )


def test_low_pass_keeps_what_is_coarse_and_nothing_else() -> None:
    flat = torch.full((1, 3, 80, 120), 0.3)
    assert torch.allclose(low_pass(flat, 10), flat, atol=1e-5)
    checks = ((torch.arange(80)[:, None] + torch.arange(120)) % 2).float().expand(1, 3, 80, 120)
    assert low_pass(checks, 10).shape == checks.shape
    assert (low_pass(checks, 10) - 0.5).abs().max() < 0.02
    assert fine_detail(flat).abs().max() < 1e-6


def test_statistics_by_hand() -> None:
    x, e = pixels(), torch.full((1, 3, 64, 90), 2 / 255)
    found = statistics(x, e)[0]
    assert found.shape == (STATISTICS,)
    assert float(found[0].exp()) == pytest.approx(2, rel=1e-3)  # root of the mean square
    assert float(found[3]) == pytest.approx(1, rel=1e-3)  # the same from pixel to pixel
    assert float(found[5]) == pytest.approx(1, rel=1e-3)  # and from channel to channel
    noise = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(1)) * 5 / 255
    free = statistics(pixels(256, 256), noise)[0]
    assert abs(float(free[3])) < 0.02
    assert float(free[6].exp()) == pytest.approx(3, rel=0.05)  # kurtosis of a normal distribution


def test_a_picture_without_any_detail_has_finite_statistics_and_gradients() -> None:
    x = torch.full((1, 3, 64, 64), 0.5, requires_grad=True)
    found = statistics(x, x * 0)
    assert torch.isfinite(found).all()
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert torch.isfinite(gradient).all()


def test_the_gate_opens_with_its_network() -> None:
    x, e = pixels(count=2), pixels(count=2) / 50
    by_size = replace(gate(0.0), hidden=((0.1,) + (0.0,) * (STATISTICS - 1) + (1.0,),))
    small, large = by_size(x, e / 100), by_size(x, e)
    assert (small < large).all()
    assert torch.allclose(gate(0.0)(x, e), torch.zeros(2))
    size = statistics(x, e)[:, 0]
    by_hand = 2 * torch.relu(size / 10 + 0.3) - 1
    wide = replace(gate(0.0), hidden=((0.1,) + (0.0,) * (STATISTICS - 1) + (0.3,),), weight=(2.0, -1.0))
    assert torch.allclose(wide(x, e), by_hand, atol=1e-5)


def test_a_patch_stands_out_from_its_picture() -> None:
    x = torch.full((1, 3, 140, 140), 0.5) + pixels(140, 140) / 50
    patched = x.clone()
    patched[..., 40:70, 40:70] = pixels(30, 30)
    places = slice(11, STATISTICS)
    plain, found = (statistics(p, p * 0)[0, places].view(4, 4) for p in (x, patched))
    assert (found[[1, 3], 2] > plain[[1, 3], 2] + 1).all()  # detail, and its colours: the largest above the median
    assert torch.allclose(found[:, 3], plain[:, 3], atol=0.1)  # elsewhere nothing has changed


def test_large_pictures_are_looked_at_as_small_ones() -> None:
    purifier = gated(0.0)
    side = purifier.config["coarse"]
    looked, found = purifier.look(pixels(3 * side, 4 * side))
    assert looked.shape == found.shape == (1, 3, side, round(4 * side / 3))
    small = pixels(side, side + 8)
    assert torch.equal(purifier.look(small)[0], small)


def test_what_is_taken_for_clean_stays_to_the_bit() -> None:
    assert torch.equal(gated(SHUT)(pixels()).images, pixels())


@pytest.mark.parametrize("quality", [10, 40])
def test_quantised_as_jpeg_does_it(quality: int) -> None:
    shot = photo(160, 96)
    file = io.BytesIO()
    Image.fromarray(shot).save(file, "JPEG", quality=quality)
    theirs = to_tensor(np.array(Image.open(file).convert("RGB")))
    ours = quantise(to_tensor(shot), quality, ((0, 0),))
    assert (ours - theirs).abs().mean() < 1.5 / 255  # their rounding to 8 bits between the steps
    assert (ours - to_tensor(shot)).abs().mean() > 2 * (ours - theirs).abs().mean()


def test_quantising_on_many_grids_leaves_no_blocks_and_every_size() -> None:
    smooth = torch.linspace(0.2, 0.7, 90).expand(1, 3, 70, 90)
    once, mean = quantise(smooth, shifts=((0, 0),)), quantise(smooth)
    jump = lambda x: float((x[..., 1:] - x[..., :-1]).abs().max())  # noqa: E731
    assert mean.shape == smooth.shape
    assert jump(mean) < jump(once) / 2
    assert (mean - smooth).abs().mean() < (once - smooth).abs().mean()


@pytest.mark.parametrize("size", [(224, 224), (90, 150), (300, 211)])
def test_quantised_by_chance_is_another_one_each_time_and_stays_in_place(size: tuple[int, int]) -> None:
    shot = to_tensor(photo(*size))
    height, width = shot.shape[-2:]
    drawn = [quantise_by_chance(shot, (height, width), generator=torch.Generator().manual_seed(n)) for n in range(6)]
    assert all(x.shape == shot.shape for x in drawn)
    assert not torch.equal(drawn[0], drawn[1])
    mean = torch.stack(drawn).mean(0)
    errors = [(mean.roll(step, -1) - shot).abs().mean().item() for step in (-8, 0, 8)]
    assert min(errors) == errors[1]
    assert errors[1] < (drawn[0] - shot).abs().mean()


@pytest.mark.parametrize("size", [(192, 256), (180, 320), (900, 150)])
def test_quantised_by_chance_leaves_everything_in_its_place(size: tuple[int, int]) -> None:
    """Also the corners of a long picture, which sweep far when it is turned."""
    down, right = torch.meshgrid(*(torch.linspace(0, 1, side) for side in size), indexing="ij")
    places = torch.stack([down, right, torch.full(size, 0.5)])[None]
    for seed in range(20):
        drawn = quantise_by_chance(places, size, 90, torch.Generator().manual_seed(seed))
        assert (drawn - places).abs().max() < 0.03


def test_what_is_taken_for_attacked_holds_nothing_of_its_faint_detail() -> None:
    """Before any training, which leaves the picture to the quantisation alone."""
    fresh = new_pipeline(channels=(8, 16), coarse=32)
    purifier = PurifierPipeline(fresh.unet, fresh.scheduler, gate=asdict(gate(OPEN)), coarse=32)
    x = torch.linspace(0.3, 0.6, 224).expand(1, 3, 224, 224)
    checks = ((torch.arange(224)[:, None] + torch.arange(224)) % 2).float() - 0.5
    a, b = (purifier.purify(x + s * checks * 16 / 255) for s in (-1, 1))
    assert (a - b).abs().max() < 2 / 255  # of 32
    assert not torch.equal(a, x)


def test_it_can_be_forced_as_if_the_gate_were_open_and_at_another_quality() -> None:
    x = pixels()
    assert torch.allclose(gated(OPEN).purify(x), gated(SHUT).forced(x), atol=1e-6)
    mild, coarse = (gated(SHUT).forced(x, quality=quality) for quality in (40, 10))
    assert 0 < (mild - x).abs().mean() < (coarse - x).abs().mean()


def test_a_picture_taken_for_clean_is_purified_all_the_same_where_that_is_wished() -> None:
    x, shut = pixels(), gated(SHUT)
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


def test_it_opens_whole_or_not_at_all_and_slopes_for_an_attacker() -> None:
    odds = torch.tensor([-2.0, -0.01, 0.01, 2.0], requires_grad=True)
    share = opened(odds)
    assert share.tolist() == [0, 0, 1, 1]
    (slope,) = torch.autograd.grad(share.sum(), odds)
    assert (slope > 0).all()
    assert slope[1] > 100 * slope[0]


@pytest.mark.parametrize(("bias", "asks"), [(-4.0, False), (-1.0, True), (1.0, True), (3.0, False)])
def test_clip_decides_where_the_gate_is_in_doubt(bias: float, asks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By how far what it sees moves, whatever the gate leant to."""
    asked = []
    monkeypatch.setattr("purifier.denoiser.doubt.shared_tower", lambda name: name)
    monkeypatch.setattr(
        "purifier.denoiser.doubt.moves", lambda tower, x, y: asked.append(tower) or torch.tensor([moved])
    )
    purifier = gated(bias, Doubt(low=-3, high=2, distance=0.2))
    for moved in (0.1, 0.3):
        changed = not torch.equal(purifier(pixels()).images, pixels())
        assert changed == (moved > 0.2 if asks else bias > 0)
    assert asked == (["clip-vit-b-16"] * 2 if asks else [])


def test_the_doubt_is_about_each_picture_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("purifier.denoiser.doubt.shared_tower", lambda name: name)
    monkeypatch.setattr("purifier.denoiser.doubt.moves", lambda _, x, y: (x - y).mean((1, 2, 3)))
    odds = torch.tensor([-5.0, 0.5, 5.0, -0.5], requires_grad=True)
    x = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 2, 2)
    found = Doubt(low=-3, high=2, distance=2.0)(odds, x, x * 0)
    assert found.tolist() == [-5, -10, 5, 10]


def test_what_clip_sees_moves_by_a_cosine() -> None:
    tower, x, y = tiny_tower(), torch.rand(2, 3, 48, 40), torch.rand(2, 3, 48, 40)
    assert moves(tower, x, x).abs().max() < 1e-5
    by_hand = 1 - torch.cosine_similarity(clip_embedding(tower, x), clip_embedding(tower, y))
    assert torch.allclose(moves(tower, x, y), by_hand, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 4])
def test_gated_it_is_deterministic_and_differentiable(steps: int) -> None:
    purifier = gated(0.0)
    assert torch.equal(purifier(pixels(), steps).images, purifier(pixels(), steps).images)
    x = (pixels() * 0.8 + 0.1).requires_grad_(True)
    (gradient,) = torch.autograd.grad(purifier.purify(x, steps).sum(), x)
    assert (gradient != 0).float().mean() > 0.99


def test_saving_keeps_the_gate(tmp_path: Path) -> None:
    purifier = gated(0.3)
    purifier.save_pretrained(tmp_path)
    again = PurifierPipeline.from_pretrained(tmp_path)
    kept = Gate(**again.config["gate"])
    assert tuple(kept.weight) == gate(0.3).weight
    assert (again(pixels()).images - purifier(pixels()).images).abs().mean() < 1 / 255  # half precision
