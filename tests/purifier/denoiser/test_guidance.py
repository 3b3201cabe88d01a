"""The guided step: on small random towers."""

import pytest
import torch
from torch import Tensor

from causalclip.clip.tower import Tower
from causalclip.clip.weights import WeightsMissing
from purifier.denoiser.filters import quantise_at
from purifier.denoiser.guidance import guided
from purifier.vlm import eye as eyes
from purifier.vlm.features import clip_features
from tests.makers.purifiers import fixed_gate, tiny_clip, tiny_eye, tiny_purifier
from tests.makers.towers import tiny_tower, views

TOWER = tiny_tower(layers=6)
EYE = tiny_eye(TOWER).on(TOWER)


def apart(x: Tensor, coarse: Tensor) -> Tensor:
    """L of the equations, [N], written out."""
    (p, e), (q, f) = (clip_features(tower, y, layers=(4, 5)) for tower, y in ((TOWER, x), (EYE, coarse)))
    found = []
    for mine, wanted in zip(p, q, strict=True):
        spread = (wanted - wanted.mean(0)).square().sum(0).div(len(wanted) - 1).sqrt()
        found.append(((mine - wanted) / (spread + 0.3 * spread.mean())).square().mean())
    return torch.stack(found) + e.shape[1] * (e - f).square().mean(1)


def test_it_moves_every_value_down_the_slope() -> None:
    x, coarse = views(1), 0.5 + 0.3 * (views(2)[1:] - 0.5)
    here = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(apart(here, coarse).sum(), here)
    moved = guided(x, coarse, tower=TOWER, eye=EYE, size=0.5)
    assert torch.allclose(moved, (x - 0.5 / 255 * slope.sign()).clamp(0, 1))
    assert float(apart(moved, coarse)) < float(apart(x, coarse))


def test_each_picture_is_moved_as_if_it_were_alone() -> None:
    x, coarse = views(3), views(3).flip(0)
    together = guided(x, coarse, tower=TOWER, eye=EYE)
    alone = [guided(x[i : i + 1], coarse[i : i + 1], tower=TOWER, eye=EYE) for i in range(3)]
    assert (together == torch.cat(alone)).float().mean() > 0.999  # a slope of nearly 0 may have either sign


def test_the_gradient_goes_straight_through() -> None:
    x = (0.2 + 0.6 * views(1)).requires_grad_()
    weights = torch.rand(x.shape, generator=torch.Generator().manual_seed(1))
    (found,) = torch.autograd.grad((guided(x, views(1), tower=TOWER, eye=EYE) * weights).sum(), x)
    assert torch.equal(found, weights)


def test_the_purifier_guides_at_the_size_that_clip_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_clip(monkeypatch)
    sizes = []

    def seen(pixels: Tensor, coarse: Tensor, **given: Tower) -> Tensor:
        sizes.append((pixels.shape, coarse.shape))
        return guided(pixels, coarse, **given)

    monkeypatch.setattr("purifier.denoiser.pipeline.guided", seen)
    purifier = tiny_purifier(gate=fixed_gate(50.0))
    x = torch.rand(1, 3, 300, 400, generator=torch.Generator().manual_seed(0))
    purified = purifier(x).images
    assert sizes == [((1, 3, 224, 299), (1, 3, 224, 299))]
    assert purified.shape == x.shape
    assert torch.equal(purified, (purified * 255).round() / 255)
    assert torch.equal(purified, purifier(x).images)


def test_what_is_finer_than_clip_sees_stays_but_what_is_faint(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_clip(monkeypatch)
    purifier = tiny_purifier(gate=fixed_gate(50.0))
    monkeypatch.setattr(purifier, "without_perturbation", lambda pixels, steps: pixels)
    lines = (torch.arange(448) % 4 < 2).float().expand(1, 3, 448, 448)  # bold enough to stay
    faint = 2 / 255 * (torch.arange(448) % 2 * 2 - 1.0).view(448, 1).expand(1, 3, 448, 448)
    purified = purifier.forced(0.2 + 0.6 * lines + faint)
    across, down = (purified.diff(2, dim=d).abs().mean() for d in (-1, -2))
    assert float(across) > 0.4
    assert float(down) < 0.25 * float(faint.diff(2, dim=-2).abs().mean())


def test_another_eye_guides_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_clip(monkeypatch)
    purifier, x = tiny_purifier(gate=fixed_gate(50.0)), views(1)
    assert torch.equal(purifier.forced(x), purifier.forced(x, eye=eyes.shared_eye()))
    assert not torch.equal(purifier.forced(x), purifier.forced(x, eye=tiny_tower(seed=1)))


def test_an_attacker_has_the_gradient_of_the_picture_and_of_what_it_is_moved_towards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiny_clip(monkeypatch)
    x = (0.2 + 0.6 * torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))).requires_grad_()
    purifier = tiny_purifier(gate=fixed_gate(50.0))
    (through,) = torch.autograd.grad(purifier.purify(x).sum(), x)
    coarse = quantise_at(purifier.without_perturbation(x), 10, 176)
    (towards,) = torch.autograd.grad(coarse.sum(), x)
    assert float(through.sum()) == pytest.approx(2 * float(towards.sum()), rel=0.2)


def test_it_purifies_where_no_gradient_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_clip(monkeypatch)
    purifier = tiny_purifier(gate=fixed_gate(50.0))
    expected = purifier(views(1)).images
    with torch.inference_mode():
        assert torch.equal(purifier(views(1)).images, expected)


def test_without_an_eye_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise WeightsMissing("There is no eye.")

    tiny_clip(monkeypatch)
    monkeypatch.setattr(eyes, "shared_eye", missing)
    with pytest.raises(WeightsMissing, match="no eye"):
        tiny_purifier(gate=fixed_gate(50.0))(views(1))
