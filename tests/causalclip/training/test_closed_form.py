"""Heads in closed form: the verdict against scikit-learn's, and gates that halves of the owners agree on."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from causalclip.head.model import CausalHead
from causalclip.training.closed_form import GAIN, GateConfig, start_at_least_squares
from causalclip.training.fitting import TrainConfig, fit_head

OWNERS, EACH = 12, 40


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("with_places", [True, False])
def test_it_is_ridge_regression(masked: bool, with_places: bool) -> None:
    g = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 60, 10, generator=g), (torch.rand(60, generator=g) > 0.5).float()
    weight = torch.rand(60, generator=g) + 0.5
    places = (torch.randn(5, 4, 10, generator=g), torch.rand(5, 4, generator=g)) if with_places else None
    head = CausalHead(10, hidden=4, masked=masked)
    head.standardise_by(x.flatten(0, 1))
    start_at_least_squares(
        head, x, y, strength=0.2, sample_weight=weight, places=places, places_weight=0.5 if with_places else 0.0
    )
    rows, target, w = x.flatten(0, 1), y.repeat(2), weight.repeat(2) / weight.sum() / 2
    if places:
        rows = torch.cat([rows, places[0].flatten(0, 1)])
        target, w = torch.cat([target, places[1].flatten()]), torch.cat([w, torch.full((20,), 0.5 / 20)])
    E = ((rows - head.shift) / head.scale).numpy()
    theirs = Ridge(alpha=0.2).fit(E, 2 * target.numpy() - 1, sample_weight=w.numpy())
    head.eval()
    ours = head(rows).logit.detach().numpy()
    assert np.allclose(ours, GAIN * theirs.predict(E), atol=1e-3)


def pictures() -> tuple[Tensor, Tensor, Tensor]:
    """Copies [1, N, 8], labels, owners: channels 0 and 1 say the label everywhere, 2 and 3 at half of the owners and
    the opposite at the others, the rest is noise."""
    g = torch.Generator().manual_seed(0)
    owner = torch.arange(OWNERS).repeat_interleave(EACH)
    label = (torch.rand(OWNERS * EACH, generator=g) > 0.5).float()
    sign = 2 * label - 1
    x = torch.randn(OWNERS * EACH, 8, generator=g)
    x[:, :2] += sign[:, None]
    x[:, 2:4] += (sign * (1 - 2 * (owner % 2)))[:, None]
    return x[None], label, owner


def fitted(**changes: object) -> CausalHead:
    x, label, owner = pictures()
    config = TrainConfig(hidden=0, ridge=0.1, gates=GateConfig(passing=0.25, halves=6))
    return fit_head(CausalHead(8, hidden=0), x, label, config=config, environments=owner, **changes)  # type: ignore[arg-type]


def test_channels_that_owners_agree_on_pass_and_no_others() -> None:
    head, (x, label, _) = fitted(), pictures()
    out = head(x[0])
    assert torch.equal(out.mask[0], torch.tensor([1.0, 1, 0, 0, 0, 0, 0, 0]))
    assert torch.equal(head.verdict.weight[0, 2:], torch.zeros(6))
    assert float(((out.logit > 0) == (label > 0.5)).float().mean()) > 0.9


def test_the_mask_is_the_same_for_every_picture_also_in_half_precision() -> None:
    head, (x, _, _) = fitted(), pictures()
    masks = head.half().float()(x[0]).mask
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    assert float(masks.detach().var(0).max()) == 0


def test_it_is_seeded() -> None:
    first, again = fitted(), fitted()
    assert all(torch.equal(a, again.state_dict()[name]) for name, a in first.state_dict().items())


def test_a_mask_of_the_pictures_own_cannot_be_gated() -> None:
    x, label, owner = pictures()
    config = TrainConfig(ridge=0.1, gates=GateConfig())
    with pytest.raises(TypeError, match="hidden=0"):
        fit_head(CausalHead(8, hidden=4), x, label, config=config, environments=owner)
    with pytest.raises(ValueError, match="environments"):
        fit_head(CausalHead(8, hidden=0), x, label, config=config)
