"""The pipeline on small random networks: sizes, determinism, gradients, saving and loading."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from causalclip.clip.weights import WeightsMissing
from purifier.attacks.budget import to_levels
from purifier.denoiser.filters import LARGEST, coarser, fine_detail
from purifier.denoiser.pipeline import PurifierPipeline, coarse_twin, new_pipeline
from tests.makers.purifiers import fixed_gate, tiny_clip, tiny_purifier


@pytest.fixture(scope="module")
def purifier() -> PurifierPipeline:
    return tiny_purifier()


def pixels(height: int, width: int, *, count: int = 1) -> Tensor:
    return to_levels(torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0)))


def test_untrained_it_leaves_every_picture_as_it_is() -> None:
    fresh = new_pipeline(channels=(8, 16), coarse=32)
    for x in (pixels(40, 40), pixels(70, 150)):
        assert torch.equal(fresh(x, 3).images, x)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (10, 12), (70, 151), (32, 400)])
def test_any_size_keeps_its_size_and_comes_out_on_8_bit_levels(purifier, size: tuple[int, int]) -> None:
    out = purifier(pixels(*size, count=2)).images
    assert out.shape == (2, 3, *size)
    assert torch.equal(out, to_levels(out))
    assert not torch.equal(out, pixels(*size, count=2))


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_two_runs_are_the_same_to_the_bit(purifier, steps: int) -> None:
    assert torch.equal(purifier(pixels(70, 90), steps).images, purifier(pixels(70, 90), steps).images)


def test_steps_differ(purifier) -> None:
    assert not torch.equal(purifier.purify(pixels(32, 32), 1), purifier.purify(pixels(32, 32), 4))


def test_the_network_sees_a_picture_its_fine_detail_and_what_its_coarse_twin_adds(purifier) -> None:
    seen: list[Tensor] = []
    hook = purifier.unet.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    x = pixels(32, 48)
    purifier.velocity(x, torch.ones(1))
    hook.remove()
    picture, detail, added = F.pixel_shuffle(seen[0], purifier.config["fold"]).split(3, 1)
    torch.testing.assert_close(picture, x * 2 - 1)
    torch.testing.assert_close(detail, 8 * fine_detail(x))
    torch.testing.assert_close(added, 4 * (coarse_twin(x) - x))


@pytest.mark.parametrize("size", [(224, 224), (100, 160)])
def test_nearly_nothing_of_a_faint_pattern_is_left_in_a_coarse_twin(size: tuple[int, int]) -> None:
    smooth = F.interpolate(pixels(4, 4), size, mode="bicubic").clamp(0.1, 0.9)
    signs = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1)).sub(0.5).sign()
    moved, left = smooth + 8 / 255 * signs, coarse_twin(smooth + 8 / 255 * signs) - coarse_twin(smooth)
    assert coarse_twin(moved).shape == smooth.shape
    assert left.abs().mean() < 0.25 * 8 / 255


def test_noise_is_optional_and_seeded(purifier) -> None:
    runs = [purifier(pixels(32, 32), noise=8, generator=torch.Generator().manual_seed(s)).images for s in (0, 0, 1)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_the_attacker_gets_the_gradient_through_every_part(purifier) -> None:
    x = (pixels(70, 90) * 0.8 + 0.1).requires_grad_(True)
    (gradient,) = torch.autograd.grad(purifier.purify(x, 2).sum(), x)
    assert (gradient != 0).float().mean() > 0.99


def test_a_large_picture_has_no_seam(purifier) -> None:
    x = pixels(1, 1).expand(1, 3, 200, 200) + 0.1 * pixels(200, 200)
    correction = (purifier.purify(x.clamp(0, 1)) - x.clamp(0, 1))[0].mean(0)
    whole = tiny_purifier(tile=512)
    assert purifier.config["tile"] < 200 < whole.config["tile"]
    tiled_steps, whole_steps = (
        (c[:, 1:] - c[:, :-1]).abs().mean(0)
        for c in (correction, (whole.purify(x.clamp(0, 1)) - x.clamp(0, 1))[0].mean(0))
    )
    assert tiled_steps.max() < 1.5 * whole_steps.max()


def test_saving_and_loading_keeps_the_result(purifier, tmp_path: Path) -> None:
    purifier.save_pretrained(tmp_path)
    again = PurifierPipeline.from_pretrained(tmp_path)
    assert {f.suffix for f in tmp_path.rglob("*") if f.is_file()} == {".json", ".safetensors"}
    for name in ("fold", "scale", "tile", "overlap", "coarse"):
        assert again.config[name] == purifier.config[name]
    assert (again(pixels(40, 40)).images - purifier(pixels(40, 40)).images).abs().max() <= 1.01 / 255
    assert purifier.unet.dtype == torch.float32
    assert again.scheduler.config["num_train_timesteps"] == 1000


def test_bad_input_is_refused(purifier, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Pixels must be"):
        purifier(torch.zeros(3, 8, 8))
    with pytest.raises(ValueError, match="1 to 5 steps"):
        purifier(pixels(32, 32), 6)
    with pytest.raises(ValueError, match="noise"):
        purifier(pixels(32, 32), noise=-1)
    with pytest.raises(WeightsMissing, match="no purifier"):
        PurifierPipeline.from_pretrained(tmp_path)


def test_a_strip_is_quantised_at_what_the_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the gate and without."""
    tiny_clip(monkeypatch)
    sizes: list[torch.Size] = []

    def quantise(pixels: Tensor, *_: object) -> Tensor:
        sizes.append(pixels.shape[-2:])
        return pixels

    for place in ("pipeline.quantise", "filters.quantise"):
        monkeypatch.setattr(f"purifier.denoiser.{place}", quantise)
    monkeypatch.setattr("purifier.denoiser.filters.LARGEST", 200 * 200)
    purifier = tiny_purifier(gate=fixed_gate(1.0))
    purifier.forced(pixels(40, 900))
    purifier.purify(pixels(40, 900), always=True, generator=torch.Generator().manual_seed(0))
    assert len(sizes) == 6
    assert all(min(size) > 30 and size[0] * size[1] < 2.4 * 200 * 200 for size in sizes)  # the last with its rim


@pytest.mark.parametrize("size", [(40, 60_000), (60_000, 40)])
def test_a_strip_is_not_enlarged_to_what_would_fill_the_memory(size: tuple[int, int]) -> None:
    coarse = coarser(torch.zeros(1, 3, *size), 176)
    assert min(coarse.shape[-2:]) >= 24
    assert coarse.shape[-2] * coarse.shape[-1] <= 1.02 * LARGEST
    assert coarser(torch.zeros(1, 3, 224, 304), 176).shape == (1, 3, 176, 239)
