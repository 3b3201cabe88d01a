"""The closed form that training starts from, against scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from causalclip.head.model import CausalHead
from causalclip.training.warm_start import GAIN, start_at_least_squares


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
