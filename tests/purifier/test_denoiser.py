"""The purifier on small random networks: bridge, tiles, filters, attack detector, guided step,
whole pipeline."""

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from causalclip.paths import WeightsMissing
from purifier.attacks.budget import to_levels
from purifier.denoiser.attack_detector import AttackDetector, attack_decision
from purifier.denoiser.filters import MAX_QUANTISED_PIXELS, coarser, quantise
from purifier.denoiser.guidance import guided_step
from purifier.denoiser.pipeline import FINER, PurifierPipeline, Stages, towards_reference
from purifier.denoiser.tiles import apply_tiled, finish
from purifier.pixels import to_tensor
from purifier.vlm.features import clip_features
from tests.makers.detectors import tiny_tower, views
from tests.makers.models import fixed_attack_detector, tiny_clip, tiny_lora, tiny_purifier
from tests.makers.pictures import photo
from training.purifier.bridge import Ends, bridge_loss, bridge_point, clean_estimate, draw_times

ATTACKED, CLEAN = 50.0, -50.0  # log-odds
TOWER = tiny_tower(layers=6)
ENCODER = tiny_lora(TOWER).on(TOWER)


@pytest.fixture(autouse=True)
def _clip(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_clip(monkeypatch)


@pytest.fixture(scope="module")
def purifier() -> PurifierPipeline:
    return tiny_purifier()


def pixels(height: int = 64, width: int = 90, *, count: int = 1) -> Tensor:
    return to_levels(
        torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))
    )


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def detecting(odds: float) -> PurifierPipeline:
    return tiny_purifier(attack_detector=fixed_attack_detector(odds))


@pytest.fixture
def ends() -> tuple[Tensor, Tensor, Tensor]:
    clean = torch.rand(2, 3, 8, 8, generator=seeded(0))
    adversarial = (clean + 0.1 * torch.randn(clean.shape, generator=seeded(1))).clamp(0, 1)
    return clean, adversarial, 0.05 * torch.randn(clean.shape, generator=seeded(2))


def test_the_bridge_s_ends_are_the_clean_and_the_noised_adversarial_picture(ends) -> None:
    clean, adversarial, noise = ends
    assert torch.equal(bridge_point(clean, adversarial, torch.zeros(2), noise)[0], clean)
    assert torch.allclose(
        bridge_point(clean, adversarial, torch.ones(2), noise)[0], adversarial + noise, atol=1e-6
    )


def test_the_velocity_is_the_slope_and_leads_to_the_clean_end(ends) -> None:
    clean, adversarial, noise = ends
    t, h = torch.tensor([0.3, 0.8]), 1e-2
    point, velocity = bridge_point(clean, adversarial, t, noise)
    later, _ = bridge_point(clean, adversarial, t + h, noise)
    assert torch.allclose((later - point) / h, velocity, atol=1e-4)
    assert torch.allclose(clean_estimate(point, velocity, t), clean, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_the_walk_is_euler_s_from_the_attacked_end(steps: int, monkeypatch) -> None:
    """Of a velocity that differs with place and time: scale (t + 2 x - 1)."""
    purifier, scale = tiny_purifier(), 0.2
    purifier.register_to_config(scale=scale)

    def network(blocks: Tensor, t: Tensor) -> SimpleNamespace:
        pictures = blocks[:, :12]  # 2 x - 1, folded by 2
        return SimpleNamespace(sample=pictures + t / 1000)

    monkeypatch.setattr(purifier.unet, "forward", network)
    x = pixels(40, 44)
    expected = x.double()
    for step in range(steps):
        t = 1 - step / steps
        expected = expected - scale * (t + 2 * expected - 1) / steps
    assert torch.allclose(purifier.denoise(x, steps).double(), expected, atol=1e-5)


def knowing(velocity: Tensor) -> SimpleNamespace:
    """A pipeline that says the same velocity of all, and keeps what it is asked about."""
    asked: list[tuple[Tensor, Tensor]] = []

    def say(point: Tensor, t: Tensor) -> Tensor:
        asked.append((point, t))
        return velocity

    return SimpleNamespace(config={"scale": 0.05}, velocity=say, asked=asked)


def test_the_bridge_s_loss_is_zero_for_the_true_velocity_and_its_square_without_any(ends) -> None:
    clean, adversarial, noise = ends
    t = torch.tensor([0.3, 1.0])
    bridge = Ends(clean, adversarial, t, noise)
    truth = adversarial - clean + noise
    knows = knowing(truth)
    loss, estimate = bridge_loss(knows, bridge)
    ((point, at),) = knows.asked
    assert torch.allclose(point, clean + t.view(2, 1, 1, 1) * truth, atol=1e-6)
    assert torch.equal(at, t)
    assert float(loss) == pytest.approx(0, abs=1e-10)
    assert torch.allclose(estimate, clean, atol=1e-6)
    loss, estimate = bridge_loss(knowing(torch.zeros_like(clean)), bridge)
    assert float(loss) == pytest.approx(float((truth / 0.05).square().mean()), rel=1e-5)
    assert torch.allclose(estimate, point)  # it stays where it was asked


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_so_many_of_the_times_are_where_inference_starts(share: float) -> None:
    times = draw_times(20_000, seeded(0), at_start=share)
    assert float((times == 1).float().mean()) == pytest.approx(share, abs=0.01)
    others = times[times < 1]
    assert not len(others) or others.min() > 0
    assert not len(others) or float(others.mean()) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("size", [(150, 201), (7, 300), (1, 1)])
def test_every_size_comes_back_whole_through_bounded_tiles(size: tuple[int, int]) -> None:
    seen, given = [], torch.rand(2, 3, *size)

    def network(part: Tensor) -> Tensor:
        seen.append(part.shape[-2:])
        return part

    parts = apply_tiled(network, given, tile=64, overlap=16, multiple=8)
    assert torch.allclose(finish(parts), given, atol=1e-6)
    assert all(h <= 64 and w <= 64 and h % 8 == 0 and w % 8 == 0 for h, w in seen)


@pytest.mark.parametrize("quality", [10])
def test_quantised_as_jpeg_does_it(quality: int) -> None:
    shot, file = photo(160, 96), io.BytesIO()
    Image.fromarray(shot).save(file, "JPEG", quality=quality)
    theirs = to_tensor(np.array(Image.open(file).convert("RGB")))
    ours = quantise(to_tensor(shot), quality, ((0, 0),))
    assert (ours - theirs).abs().mean() < 1.5 / 255  # their rounding to 8 bits between the steps
    assert (ours - to_tensor(shot)).abs().mean() > 2 * (ours - theirs).abs().mean()


@pytest.mark.parametrize("size", [(40, 60_000), (60_000, 40)])
def test_a_strip_is_not_enlarged_to_what_would_fill_the_memory(size: tuple[int, int]) -> None:
    coarse = coarser(torch.zeros(1, 3, *size), 176)
    assert min(coarse.shape[-2:]) >= 24
    assert coarse.shape[-2] * coarse.shape[-1] <= 1.02 * MAX_QUANTISED_PIXELS
    assert coarser(torch.zeros(1, 3, 224, 304), 176).shape == (1, 3, 176, 239)


def apart(x: Tensor, reference: Tensor) -> Tensor:
    """L of the equations, [N], written out."""
    (p, e), (q, f) = (
        clip_features(tower, y, layers=(4, 5)) for tower, y in ((TOWER, x), (ENCODER, reference))
    )
    found = []
    for mine, wanted in zip(p, q, strict=True):
        spread = (wanted - wanted.mean(0)).square().sum(0).div(len(wanted) - 1).sqrt()
        found.append(((mine - wanted) / (spread + 0.3 * spread.mean())).square().mean())
    return torch.stack(found) + e.shape[1] * (e - f).square().mean(1)


def test_it_moves_every_value_down_the_slope() -> None:
    x, reference = views(1), 0.5 + 0.3 * (views(2)[1:] - 0.5)
    here = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(apart(here, reference).sum(), here)
    result = guided_step(x, reference, tower=TOWER, encoder=ENCODER, size=0.5)
    assert torch.allclose(result, (x - 0.5 / 255 * slope.sign()).clamp(0, 1))
    assert float(apart(result, reference)) < float(apart(x, reference))


def test_each_picture_is_moved_as_if_it_were_alone_and_the_gradient_goes_straight_through() -> None:
    x, reference = views(3), views(3).flip(0)
    together = guided_step(x, reference, tower=TOWER, encoder=ENCODER)
    alone = [
        guided_step(x[i : i + 1], reference[i : i + 1], tower=TOWER, encoder=ENCODER)
        for i in range(3)
    ]
    # a slope of nearly 0 may have either sign
    assert (together == torch.cat(alone)).float().mean() > 0.999
    inner = (0.2 + 0.6 * views(1)).requires_grad_()
    weights = torch.rand(inner.shape, generator=seeded(1))
    result = guided_step(inner, views(1), tower=TOWER, encoder=ENCODER)
    assert torch.equal(torch.autograd.grad((result * weights).sum(), inner)[0], weights)


@pytest.mark.parametrize("size", [(33, 47), (10, 12), (70, 151)])
def test_any_size_keeps_its_size_and_comes_out_on_8_bit_levels(
    purifier, size: tuple[int, int]
) -> None:
    out = purifier(pixels(*size, count=2)).images
    assert out.shape == (2, 3, *size)
    assert torch.equal(out, to_levels(out))
    assert not torch.equal(out, pixels(*size, count=2))


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("odds", [None, 0.0])
def test_it_is_deterministic_and_differentiable(steps: int, odds: float | None) -> None:
    purifier = tiny_purifier() if odds is None else detecting(odds)
    assert torch.equal(purifier(pixels(), steps).images, purifier(pixels(), steps).images)
    x = (pixels() * 0.8 + 0.1).requires_grad_(True)
    (gradient,) = torch.autograd.grad(purifier.purify(x, steps).sum(), x)
    assert (gradient != 0).float().mean() > 0.99


def test_what_is_taken_for_clean_stays_to_the_bit_and_the_rest_is_restored() -> None:
    x = pixels()
    assert torch.equal(detecting(CLEAN)(x).images, x)
    with torch.no_grad():
        restored = detecting(CLEAN).restore(walked(x)).clamp(0, 1)
    assert torch.allclose(detecting(ATTACKED).purify(x), restored, atol=1e-6)
    with torch.inference_mode():
        assert torch.equal(detecting(ATTACKED)(x).images, to_levels(restored))


def walked(x: Tensor) -> Tensor:
    return detecting(CLEAN).denoise(x)


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (Stages(guided_step=False, quantisation=False), lambda x: walked(x)),
        (Stages(quantisation=False), lambda x: towards_reference(walked(x))[0]),
        (Stages(guided_step=False), lambda x: quantise(walked(x).clamp(0, 1), FINER)),
        (Stages(network=False), lambda x: quantise(towards_reference(x)[0], FINER)),
        (
            Stages(lora_encoder=False, quantisation=False),
            lambda x: towards_reference(walked(x), tiny_tower())[0],
        ),
    ],
)
def test_each_part_can_be_switched_off(stages: Stages, expected) -> None:
    x = pixels(224, 224)  # the size that CLIP sees, at which nothing is enlarged
    purifier = detecting(ATTACKED)
    with torch.no_grad():
        found = purifier.purify(x, stages=stages)
        assert torch.allclose(found, expected(x).clamp(0, 1), atol=1e-5)
        assert not torch.allclose(found, purifier.purify(x), atol=1e-3)
    assert torch.equal(detecting(CLEAN).purify(x, stages=stages), x)


def test_ungated_it_is_purified_by_chance() -> None:
    x, purifier = pixels(), detecting(CLEAN)
    first, again, other = (
        purifier(x, always=True, generator=seeded(seed)).images for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert 0.01 < (first - other).abs().mean() < (first - x).abs().mean()
    unforeseen = []
    for _ in range(2):
        torch.manual_seed(0)  # as every process begins
        unforeseen.append(purifier(x, always=True).images)
    assert not torch.equal(*unforeseen)


def test_saving_and_loading_keeps_the_result(tmp_path: Path) -> None:
    purifier = detecting(0.3)
    purifier.save_pretrained(tmp_path)
    again = PurifierPipeline.from_pretrained(tmp_path)
    # diffusers loads the pipeline by the one module beside the weights
    assert [f.name for f in tmp_path.rglob("*.py")] == ["pipeline.py"]
    files = {f.suffix for f in tmp_path.rglob("*") if f.is_file()}
    assert files == {".json", ".safetensors", ".py"}
    for name in ("fold", "scale", "tile", "overlap", "coarse"):
        assert again.config[name] == purifier.config[name]
    assert (
        tuple(AttackDetector(**again.config["attack_detector"]).weight)
        == fixed_attack_detector(0.3)["weight"]
    )
    # half precision
    assert (again(pixels(40, 40)).images - purifier(pixels(40, 40)).images).abs().mean() < 1 / 255
    assert purifier.unet.dtype == torch.float32


def test_bad_input_is_refused(purifier, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Pixels must be"):
        purifier(torch.zeros(3, 8, 8))
    with pytest.raises(ValueError, match="1 to 5 steps"):
        purifier(pixels(32, 32), 6)
    with pytest.raises(ValueError, match="noise"):
        purifier(pixels(32, 32), noise=-1)
    with pytest.raises(WeightsMissing, match="no purifier"):
        PurifierPipeline.from_pretrained(tmp_path)


def test_it_decides_by_its_network_wholly_or_not_at_all_and_slopes_for_an_attacker() -> None:
    hidden, weight = ((0.1, 0.0, 0.3), (0.0, 1.0, 0.0)), (2.0, 0.5, -1.0)
    detector = AttackDetector((1.0, 0.0), (2.0, 1.0), hidden, weight, false_alarms=0.01)
    odds = detector(torch.tensor([[5.0, 4.0], [-9.0, -4.0]]))
    assert odds.tolist() == pytest.approx([2 * (0.2 + 0.3) + 0.5 * 4 - 1, -1])
    odds = torch.tensor([-2.0, -0.01, 0.01, 2.0], requires_grad=True)
    assert attack_decision(odds).tolist() == [0, 0, 1, 1]
    (slope,) = torch.autograd.grad(attack_decision(odds).sum(), odds)
    assert (slope > 0).all()
    assert slope[1] > 100 * slope[0]
