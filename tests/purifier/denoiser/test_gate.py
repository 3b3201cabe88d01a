"""The gate and what is behind it: what is clean stays, what is attacked loses its faint detail."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from purifier.attacks.budget import to_levels
from purifier.denoiser.filters import fine_detail, low_pass, quantise, quantise_at, quantise_by_chance
from purifier.denoiser.gate import STATISTICS, Gate, opened, statistics
from purifier.denoiser.pipeline import PurifierPipeline, new_pipeline
from purifier.denoiser.squeezing import MILD, STILL, moves
from purifier.pixels import to_tensor
from purifier.vlm.features import at_tower_size, embedding
from tests.makers.pictures import photo
from tests.makers.purifiers import EVIDENCE, fixed_gate, tiny_clip, tiny_purifier
from tests.makers.towers import tiny_tower

OPEN, SHUT = 50.0, -50.0


def pixels(height: int = 64, width: int = 90, *, count: int = 1) -> Tensor:
    return to_levels(torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0)))


@pytest.fixture(autouse=True)
def _clip(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_clip(monkeypatch)


def gated(odds: float) -> PurifierPipeline:
    return tiny_purifier(gate=fixed_gate(odds))


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
    gate = Gate((1.0, 0.0), (2.0, 1.0), ((0.1, 0.0, 0.3), (0.0, 1.0, 0.0)), (2.0, 0.5, -1.0), false_alarms=0.01)
    evidence = torch.tensor([[5.0, 4.0], [-9.0, -4.0]])
    assert gate(evidence).tolist() == pytest.approx([2 * (0.2 + 0.3) + 0.5 * 4 - 1, -1])


def test_the_gate_gets_the_statistics_and_what_clip_sees_move() -> None:
    purifier, x = gated(0.0), pixels(count=2)
    found = purifier.evidence(x)
    assert found.shape == (2, EVIDENCE)
    assert torch.equal(found[:, :STATISTICS], statistics(*purifier.look(x)))
    assert torch.equal(found[:, STATISTICS:], moves(tiny_tower(), x))


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
    purifier = new_pipeline(channels=(8, 16), coarse=32, gate=fixed_gate(OPEN))
    x = torch.linspace(0.3, 0.6, 224).expand(1, 3, 224, 224)
    checks = ((torch.arange(224)[:, None] + torch.arange(224)) % 2).float() - 0.5
    a, b = (purifier.purify(x + s * checks * 16 / 255) for s in (-1, 1))
    assert (a - b).abs().max() < 2 / 255  # of 32
    assert not torch.equal(a, x)


def test_it_can_be_forced_as_if_the_gate_were_open() -> None:
    x = pixels()
    assert torch.allclose(gated(OPEN).purify(x), gated(SHUT).forced(x), atol=1e-6)


def test_less_is_quantised_at_a_better_quality_and_a_larger_size() -> None:
    x = pixels()
    changed = [float((quantise_at(x, *at) - x).abs().mean()) for at in ((40, 64), (10, 64), (10, 40))]
    assert 0 < changed[0] < changed[1] < changed[2]


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


def test_what_clip_sees_moves_by_a_cosine() -> None:
    """Of the embedding, and after each layer of the CLS token and of the patches; of each picture by itself."""
    tower, x = tiny_tower(), torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = (moves(tower, x).exp() - STILL).view(2, len(MILD), -1)
    for row, quality in zip(found.unbind(1), MILD, strict=True):
        after = quantise(x, quality)
        embedded = torch.cosine_similarity(*(embedding(tower, tower(y)) for y in (x, after)))
        assert torch.allclose(row[:, 0], 1 - embedded, atol=1e-5)
        for layer in range(1, tower.layers + 1):
            one, two = tower(x, until=layer), tower(after, until=layer)
            of_cls, mean, most = row[:, 3 * layer - 2 : 3 * layer + 1].unbind(1)
            apart = 1 - torch.cosine_similarity(one.patches[-1], two.patches[-1], dim=-1)
            assert torch.allclose(of_cls, 1 - torch.cosine_similarity(one.cls[-1], two.cls[-1]), atol=1e-5)
            assert torch.allclose(mean, apart.mean(1), atol=1e-5)
            assert (apart <= most[:, None]).float().mean() == pytest.approx(0.9, abs=0.05)
    assert torch.allclose(moves(tower, x[1:]), moves(tower, x)[1:], atol=1e-5)
    wide = torch.rand(1, 3, 50, 40, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.equal(moves(tower, wide), moves(tower, at_tower_size(tower, wide)))
    (gradient,) = torch.autograd.grad(moves(tower, wide).sum(), wide)
    assert (gradient != 0).float().mean() > 0.9
    flat = torch.full((1, 3, 50, 40), 0.5)
    assert (moves(tower, flat).exp() - STILL).abs().max() < 1e-3


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
    assert tuple(kept.weight) == fixed_gate(0.3)["weight"]
    assert (again(pixels()).images - purifier(pixels()).images).abs().mean() < 1 / 255  # half precision
