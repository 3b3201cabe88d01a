"""What is seen of pictures, in units of what purification does to it."""

import torch

from purifier.training.sight import Sight
from tests.makers.models import tiny_vlm


def test_its_unit_is_what_purification_moves() -> None:
    model, generator = tiny_vlm(), torch.Generator().manual_seed(0)
    clean = [torch.rand(2, 3, 32, 40, generator=generator) for _ in range(3)]
    purified = [picture * 0.5 + 0.2 for picture in clean]
    sight = Sight(model, clean, purified)
    seen, wanted = ([torch.cat(part) for part in zip(*map(sight, x), strict=True)] for x in (purified, clean))
    assert torch.allclose(sight.left(seen, wanted), torch.ones(3), atol=1e-4)
    assert not sight.left(wanted, wanted).any()
    half = [(a + b) / 2 for a, b in zip(seen, wanted, strict=True)]
    assert torch.allclose(sight.left(half, wanted), torch.full((3,), 0.25), atol=1e-4)
    assert torch.equal(wanted[0][:2], model.see(clean[0]))
