"""The purifier on small random networks: bridge, tiles, filters, attack detector, guided step, whole pipeline."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import FlowMatchEulerDiscreteScheduler
from PIL import Image
from torch import Tensor

from causalclip.clip.tower import Tower
from causalclip.clip.weights import WeightsMissing
from purifier.attacks.budget import to_levels
from purifier.denoiser import filters
from purifier.denoiser.attack_detector import (
    MILD,
    STATISTICS,
    STILL,
    AttackDetector,
    clip_moves,
    decided,
    statistics,
)
from purifier.denoiser.bridge import bridge_point, clean_estimate, draw_times
from purifier.denoiser.filters import (
    LARGEST,
    apply_tiled,
    coarser,
    fine_detail,
    low_pass,
    quantise,
    quantise_at,
    quantise_by_chance,
)
from purifier.denoiser.guidance import guided
from purifier.denoiser.pipeline import (
    ALONE,
    FINER,
    PurifierPipeline,
    Stages,
    low_quality_reference,
    new_pipeline,
    towards_reference,
)
from purifier.pixels import to_tensor
from purifier.vlm import lora
from purifier.vlm.features import at_tower_size, clip_features, embedding
from tests.makers.pictures import photo
from tests.makers.purifiers import EVIDENCE, fixed_attack_detector, tiny_clip, tiny_lora, tiny_purifier
from tests.makers.towers import tiny_tower, views

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
    return to_levels(torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0)))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def detecting(odds: float) -> PurifierPipeline:
    return tiny_purifier(gate=fixed_attack_detector(odds))


# The bridge ---------------------------------------------------------------------------------------


@pytest.fixture
def ends() -> tuple[Tensor, Tensor, Tensor]:
    clean = torch.rand(2, 3, 8, 8, generator=seeded(0))
    moved = (clean + 0.1 * torch.randn(clean.shape, generator=seeded(1))).clamp(0, 1)
    return clean, moved, 0.05 * torch.randn(clean.shape, generator=seeded(2))


def test_the_bridge_s_ends_are_the_clean_and_the_noised_adversarial_picture(ends) -> None:
    clean, moved, noise = ends
    assert torch.equal(bridge_point(clean, moved, torch.zeros(2), noise)[0], clean)
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
    t = draw_times(2000, seeded(0), at_start=0.25)
    assert (t == 1).float().mean().item() == pytest.approx(0.25, abs=0.05)
    assert 0 < t.min() < 0.1


# Tiles and filters --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 64), (20, 33), (150, 201), (7, 300), (1, 1)])
def test_every_size_comes_back_whole_through_bounded_tiles(size: tuple[int, int]) -> None:
    seen, given = [], torch.rand(2, 3, *size)

    def network(part: Tensor) -> Tensor:
        seen.append(part.shape[-2:])
        return part

    assert torch.allclose(apply_tiled(network, given, tile=64, overlap=16, multiple=8), given, atol=1e-6)
    assert all(h <= 64 and w <= 64 and h % 8 == 0 and w % 8 == 0 for h, w in seen)


def test_there_is_no_seam_between_tiles_that_disagree() -> None:
    given = torch.linspace(0, 1, 200).expand(1, 3, 200, 200).contiguous().requires_grad_(True)
    out = apply_tiled(lambda x: x.mean((1, 2, 3), keepdim=True).expand_as(x), given, tile=64, overlap=16, multiple=8)
    steps = (out[..., 1:] - out[..., :-1]).abs()
    assert out.max() - out.min() > 0.4  # the tiles do disagree
    assert steps.max() < 1.5 * (out.max() - out.min()) / (3 * 16)  # and the way is spread over the overlaps
    out.sum().backward()
    assert (given.grad > 0).all()


def test_low_pass_keeps_what_is_coarse_and_nothing_else() -> None:
    flat = torch.full((1, 3, 80, 120), 0.3)
    assert torch.allclose(low_pass(flat, 10), flat, atol=1e-5)
    checks = ((torch.arange(80)[:, None] + torch.arange(120)) % 2).float().expand(1, 3, 80, 120)
    assert (low_pass(checks, 10) - 0.5).abs().max() < 0.02
    assert fine_detail(flat).abs().max() < 1e-6


@pytest.mark.parametrize("quality", [10, 40])
def test_quantised_as_jpeg_does_it(quality: int) -> None:
    shot, file = photo(160, 96), io.BytesIO()
    Image.fromarray(shot).save(file, "JPEG", quality=quality)
    theirs = to_tensor(np.array(Image.open(file).convert("RGB")))
    ours = quantise(to_tensor(shot), quality, ((0, 0),))
    assert (ours - theirs).abs().mean() < 1.5 / 255  # their rounding to 8 bits between the steps
    assert (ours - to_tensor(shot)).abs().mean() > 2 * (ours - theirs).abs().mean()


def test_quantising_on_many_grids_leaves_no_blocks() -> None:
    smooth = torch.linspace(0.2, 0.7, 90).expand(1, 3, 70, 90)
    once, mean = quantise(smooth, shifts=((0, 0),)), quantise(smooth)
    assert mean.diff(dim=-1).abs().max() < once.diff(dim=-1).abs().max() / 2
    assert (mean - smooth).abs().mean() < (once - smooth).abs().mean()


@pytest.mark.parametrize("size", [(192, 256), (180, 320), (900, 150)])
def test_quantised_by_chance_is_another_one_each_time_and_leaves_everything_in_its_place(size) -> None:
    """Also the corners of a long picture, which sweep far when it is turned."""
    down, right = torch.meshgrid(*(torch.linspace(0, 1, side) for side in size), indexing="ij")
    places = torch.stack([down, right, torch.full(size, 0.5)])[None]
    drawn = [quantise_by_chance(places, size, 90, seeded(n)) for n in range(8)]
    assert all((x - places).abs().max() < 0.03 for x in drawn)
    assert not torch.equal(drawn[0], drawn[1])


@pytest.mark.parametrize("size", [(40, 60_000), (60_000, 40)])
def test_a_strip_is_not_enlarged_to_what_would_fill_the_memory(size: tuple[int, int]) -> None:
    coarse = coarser(torch.zeros(1, 3, *size), 176)
    assert min(coarse.shape[-2:]) >= 24
    assert coarse.shape[-2] * coarse.shape[-1] <= 1.02 * LARGEST
    assert coarser(torch.zeros(1, 3, 224, 304), 176).shape == (1, 3, 176, 239)


@pytest.mark.parametrize("size", [(224, 224), (100, 160)])
def test_nearly_nothing_of_a_faint_pattern_is_left_in_a_low_quality_reference(size: tuple[int, int]) -> None:
    smooth = F.interpolate(pixels(4, 4), size, mode="bicubic").clamp(0.1, 0.9)
    signs = torch.rand(1, 3, *size, generator=seeded(1)).sub(0.5).sign()
    left = low_quality_reference(smooth + 8 / 255 * signs) - low_quality_reference(smooth)
    assert left.abs().mean() < 0.25 * 8 / 255


# The attack detector ------------------------------------------------------------------------------


def test_statistics_by_hand() -> None:
    found = statistics(pixels(), torch.full((1, 3, 64, 90), 2 / 255))[0]
    assert found.shape == (STATISTICS,)
    assert float(found[0].exp()) == pytest.approx(2, rel=1e-3)  # root of the mean square
    assert float(found[3]) == pytest.approx(1, rel=1e-3)  # the same from pixel to pixel
    assert float(found[5]) == pytest.approx(1, rel=1e-3)  # and from channel to channel
    free = statistics(pixels(256, 256), torch.randn(1, 3, 256, 256, generator=seeded(1)) * 5 / 255)[0]
    assert abs(float(free[3])) < 0.02
    assert float(free[6].exp()) == pytest.approx(3, rel=0.05)  # kurtosis of a normal distribution


def test_a_picture_without_any_detail_has_finite_statistics_and_gradients() -> None:
    x = torch.full((1, 3, 64, 64), 0.5, requires_grad=True)
    found = statistics(x, x * 0)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert torch.isfinite(found).all()
    assert torch.isfinite(gradient).all()


def test_a_patch_stands_out_from_its_picture() -> None:
    x = torch.full((1, 3, 140, 140), 0.5) + pixels(140, 140) / 50
    patched = x.clone()
    patched[..., 40:70, 40:70] = pixels(30, 30)
    plain, found = (statistics(p, p * 0)[0, 11:STATISTICS].view(4, 4) for p in (x, patched))
    assert (found[[1, 3], 2] > plain[[1, 3], 2] + 1).all()  # detail, and its colours: the largest above the median
    assert torch.allclose(found[:, 3], plain[:, 3], atol=0.1)  # elsewhere nothing has changed


def test_it_decides_by_its_network_wholly_or_not_at_all_and_slopes_for_an_attacker() -> None:
    hidden, weight = ((0.1, 0.0, 0.3), (0.0, 1.0, 0.0)), (2.0, 0.5, -1.0)
    detector = AttackDetector((1.0, 0.0), (2.0, 1.0), hidden, weight, false_alarms=0.01)
    odds = detector(torch.tensor([[5.0, 4.0], [-9.0, -4.0]]))
    assert odds.tolist() == pytest.approx([2 * (0.2 + 0.3) + 0.5 * 4 - 1, -1])
    odds = torch.tensor([-2.0, -0.01, 0.01, 2.0], requires_grad=True)
    assert decided(odds).tolist() == [0, 0, 1, 1]
    (slope,) = torch.autograd.grad(decided(odds).sum(), odds)
    assert (slope > 0).all()
    assert slope[1] > 100 * slope[0]


def test_it_gets_the_statistics_and_how_far_clip_s_tokens_move() -> None:
    purifier, x = detecting(0.0), pixels(count=2)
    found = purifier.evidence(x)
    assert found.shape == (2, EVIDENCE)
    assert torch.equal(found[:, :STATISTICS], statistics(*purifier.look(x)))
    assert torch.equal(found[:, STATISTICS:], clip_moves(tiny_tower(), x))


def test_clip_s_tokens_move_by_a_cosine() -> None:
    """Of the embedding, and after each layer of the CLS token and of the patches; of each picture by itself."""
    tower, x = tiny_tower(), torch.rand(2, 3, 32, 32, generator=seeded(0))
    found = (clip_moves(tower, x).exp() - STILL).view(2, len(MILD), -1)
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
    wide = torch.rand(1, 3, 50, 40, generator=seeded(1), requires_grad=True)
    assert torch.equal(clip_moves(tower, wide), clip_moves(tower, at_tower_size(tower, wide)))
    (gradient,) = torch.autograd.grad(clip_moves(tower, wide).sum(), wide)
    assert (gradient != 0).float().mean() > 0.9


# The guided step ----------------------------------------------------------------------------------


def apart(x: Tensor, reference: Tensor) -> Tensor:
    """L of the equations, [N], written out."""
    (p, e), (q, f) = (clip_features(tower, y, layers=(4, 5)) for tower, y in ((TOWER, x), (ENCODER, reference)))
    found = []
    for mine, wanted in zip(p, q, strict=True):
        spread = (wanted - wanted.mean(0)).square().sum(0).div(len(wanted) - 1).sqrt()
        found.append(((mine - wanted) / (spread + 0.3 * spread.mean())).square().mean())
    return torch.stack(found) + e.shape[1] * (e - f).square().mean(1)


def test_it_moves_every_value_down_the_slope() -> None:
    x, reference = views(1), 0.5 + 0.3 * (views(2)[1:] - 0.5)
    here = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(apart(here, reference).sum(), here)
    moved = guided(x, reference, tower=TOWER, encoder=ENCODER, size=0.5)
    assert torch.allclose(moved, (x - 0.5 / 255 * slope.sign()).clamp(0, 1))
    assert float(apart(moved, reference)) < float(apart(x, reference))


def test_each_picture_is_moved_as_if_it_were_alone_and_the_gradient_goes_straight_through() -> None:
    x, reference = views(3), views(3).flip(0)
    together = guided(x, reference, tower=TOWER, encoder=ENCODER)
    alone = [guided(x[i : i + 1], reference[i : i + 1], tower=TOWER, encoder=ENCODER) for i in range(3)]
    assert (together == torch.cat(alone)).float().mean() > 0.999  # a slope of nearly 0 may have either sign
    inner = (0.2 + 0.6 * views(1)).requires_grad_()
    weights = torch.rand(inner.shape, generator=seeded(1))
    moved = guided(inner, views(1), tower=TOWER, encoder=ENCODER)
    assert torch.equal(torch.autograd.grad((moved * weights).sum(), inner)[0], weights)


def test_the_purifier_guides_at_the_size_that_clip_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def seen(given: Tensor, reference: Tensor, **others: Tower) -> Tensor:
        sizes.append((given.shape, reference.shape))
        return guided(given, reference, **others)

    monkeypatch.setattr("purifier.denoiser.pipeline.guided", seen)
    purified = detecting(ATTACKED)(pixels(300, 400)).images
    assert sizes == [((1, 3, 224, 299), (1, 3, 224, 299))]
    assert purified.shape == (1, 3, 300, 400)


def test_what_is_finer_than_clip_sees_stays_but_what_is_faint(monkeypatch: pytest.MonkeyPatch) -> None:
    purifier = detecting(ATTACKED)
    monkeypatch.setattr(purifier, "denoise", lambda given, steps: given)
    lines = (torch.arange(448) % 4 < 2).float().expand(1, 3, 448, 448)  # bold enough to stay
    faint = 2 / 255 * (torch.arange(448) % 2 * 2 - 1.0).view(448, 1).expand(1, 3, 448, 448)
    purified = purifier.forced(0.2 + 0.6 * lines + faint)
    across, down = (purified.diff(2, dim=d).abs().mean() for d in (-1, -2))
    assert float(across) > 0.4
    assert float(down) < 0.25 * float(faint.diff(2, dim=-2).abs().mean())


def test_another_encoder_guides_elsewhere_and_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    purifier, x = detecting(ATTACKED), views(1)
    assert torch.equal(purifier.forced(x), purifier.forced(x, encoder=lora.shared_encoder()))
    assert not torch.equal(purifier.forced(x), purifier.forced(x, encoder=tiny_tower(seed=1)))

    def missing(*_: object) -> None:
        raise WeightsMissing("There is no LoRA encoder.")

    monkeypatch.setattr(lora, "shared_encoder", missing)
    with pytest.raises(WeightsMissing, match="no LoRA encoder"):
        purifier(x)


# The pipeline -------------------------------------------------------------------------------------


def test_untrained_it_leaves_every_picture_as_it_is() -> None:
    fresh = new_pipeline(channels=(8, 16), coarse=32)
    assert all(torch.equal(fresh(x, 3).images, x) for x in (pixels(40, 40), pixels(70, 150)))


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (10, 12), (70, 151), (32, 400)])
def test_any_size_keeps_its_size_and_comes_out_on_8_bit_levels(purifier, size: tuple[int, int]) -> None:
    out = purifier(pixels(*size, count=2)).images
    assert out.shape == (2, 3, *size)
    assert torch.equal(out, to_levels(out))
    assert not torch.equal(out, pixels(*size, count=2))


def test_the_network_sees_a_picture_its_fine_detail_and_what_its_reference_adds(purifier) -> None:
    seen: list[Tensor] = []
    hook = purifier.unet.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    x = pixels(32, 48)
    purifier.velocity(x, torch.ones(1))
    hook.remove()
    picture, detail, added = F.pixel_shuffle(seen[0], purifier.config["fold"]).split(3, 1)
    torch.testing.assert_close(picture, x * 2 - 1)
    torch.testing.assert_close(detail, 8 * fine_detail(x))
    torch.testing.assert_close(added, 4 * (low_quality_reference(x) - x))


def test_large_pictures_are_looked_at_as_small_ones(purifier) -> None:
    side = purifier.config["coarse"]
    looked, found = purifier.look(pixels(3 * side, 4 * side))
    assert looked.shape == found.shape == (1, 3, side, round(4 * side / 3))
    small = pixels(side, side + 8)
    assert torch.equal(purifier.look(small)[0], small)


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("odds", [None, 0.0])
def test_it_is_deterministic_and_differentiable(steps: int, odds: float | None) -> None:
    purifier = tiny_purifier() if odds is None else detecting(odds)
    assert torch.equal(purifier(pixels(), steps).images, purifier(pixels(), steps).images)
    x = (pixels() * 0.8 + 0.1).requires_grad_(True)
    (gradient,) = torch.autograd.grad(purifier.purify(x, steps).sum(), x)
    assert (gradient != 0).float().mean() > 0.99


def test_noise_is_optional_and_seeded(purifier) -> None:
    runs = [purifier(pixels(32, 32), noise=8, generator=seeded(s)).images for s in (0, 0, 1)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_what_is_taken_for_clean_stays_to_the_bit_unless_it_is_forced() -> None:
    x = pixels()
    assert torch.equal(detecting(CLEAN)(x).images, x)
    assert torch.allclose(detecting(ATTACKED).purify(x), detecting(CLEAN).forced(x), atol=1e-6)
    with torch.inference_mode():
        assert torch.equal(detecting(ATTACKED)(x).images, to_levels(detecting(CLEAN).forced(x)))


def walked(x: Tensor) -> Tensor:
    return detecting(CLEAN).denoise(x)


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (ALONE, lambda x: walked(x)),
        (Stages(detector=False, quantisation=False), lambda x: towards_reference(walked(x))[0]),
        (Stages(detector=False, guided_step=False), lambda x: quantise(walked(x).clamp(0, 1), FINER)),
        (Stages(detector=False, network=False), lambda x: quantise(towards_reference(x)[0], FINER)),
        (
            Stages(detector=False, encoder=False, quantisation=False),
            lambda x: towards_reference(walked(x), tiny_tower())[0],
        ),
    ],
)
def test_each_part_can_be_switched_off(stages: Stages, expected) -> None:
    x = pixels(224, 224)  # the size that CLIP sees, at which nothing is enlarged
    with torch.no_grad():
        found = detecting(CLEAN).purify(x, stages=stages)
        assert torch.allclose(found, expected(x).clamp(0, 1), atol=1e-5)
        assert not torch.allclose(found, detecting(CLEAN).purify(x, stages=Stages(detector=False)), atol=1e-3)


def test_the_detector_decides_whatever_takes_the_network_s_place() -> None:
    x = pixels(224, 224)
    for options in ({"stages": Stages(network=False)}, {"denoise": lambda given: given * 0.9}):
        assert torch.equal(detecting(CLEAN).purify(x, **options), x)
        with torch.no_grad():
            given = x if "stages" in options else x * 0.9
            restored = quantise(towards_reference(given)[0], FINER).clamp(0, 1)
            assert torch.allclose(detecting(ATTACKED).purify(x, **options), restored, atol=1e-5)


def test_ungated_it_is_purified_by_chance() -> None:
    x, purifier = pixels(), detecting(CLEAN)
    first, again, other = (purifier(x, always=True, generator=seeded(seed)).images for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert 0.01 < (first - other).abs().mean() < (first - x).abs().mean()
    unforeseen = []
    for _ in range(2):
        torch.manual_seed(0)  # as every process begins
        unforeseen.append(purifier(x, always=True).images)
    assert not torch.equal(*unforeseen)


def test_what_is_taken_for_attacked_holds_nothing_of_its_faint_detail() -> None:
    """Before any training, which leaves the picture to the quantisation alone."""
    purifier = new_pipeline(channels=(8, 16), coarse=32, gate=fixed_attack_detector(ATTACKED))
    x = torch.linspace(0.3, 0.6, 224).expand(1, 3, 224, 224)
    checks = ((torch.arange(224)[:, None] + torch.arange(224)) % 2).float() - 0.5
    a, b = (purifier.purify(x + s * checks * 16 / 255) for s in (-1, 1))
    assert (a - b).abs().max() < 2 / 255  # of 32
    assert not torch.equal(a, x)


def test_an_attacker_has_the_gradient_of_the_picture_and_of_what_it_is_moved_towards() -> None:
    x = (0.2 + 0.6 * torch.rand(1, 3, 40, 40, generator=seeded(0))).requires_grad_()
    purifier = detecting(ATTACKED)
    (through,) = torch.autograd.grad(purifier.purify(x).sum(), x)
    (towards,) = torch.autograd.grad(quantise_at(purifier.denoise(x), 10, 176).sum(), x)
    assert float(through.sum()) == pytest.approx(2 * float(towards.sum()), rel=0.2)


@pytest.fixture
def quantised_sizes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[torch.Size]]:
    sizes: list[torch.Size] = []
    for place in ("pipeline.quantise", "filters.quantise"):
        monkeypatch.setattr(f"purifier.denoiser.{place}", lambda given, *_: sizes.append(given.shape[-2:]) or given)
    monkeypatch.setattr(filters, "LARGEST", 200 * 200)
    return sizes


def test_a_strip_is_quantised_at_what_the_memory_holds(quantised_sizes: list[torch.Size]) -> None:
    purifier = detecting(1.0)
    purifier.forced(pixels(40, 900))
    purifier.purify(pixels(40, 900), always=True, generator=seeded(0))
    assert len(quantised_sizes) == 6
    assert all(min(size) > 30 and size[0] * size[1] < 2.4 * 200 * 200 for size in quantised_sizes)


def test_saving_and_loading_keeps_the_result(tmp_path: Path) -> None:
    purifier = detecting(0.3)
    purifier.save_pretrained(tmp_path)
    again = PurifierPipeline.from_pretrained(tmp_path)
    assert {f.suffix for f in tmp_path.rglob("*") if f.is_file()} == {".json", ".safetensors"}
    for name in ("fold", "scale", "tile", "overlap", "coarse"):
        assert again.config[name] == purifier.config[name]
    assert tuple(AttackDetector(**again.config["gate"]).weight) == fixed_attack_detector(0.3)["weight"]
    assert (again(pixels(40, 40)).images - purifier(pixels(40, 40)).images).abs().mean() < 1 / 255  # half precision
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
