"""The head: linear in what the mask lets through, so that every share of the verdict is exact."""

import pytest
import torch

from causalclip.head.model import CausalHead

D = 12


def embeddings(n: int = 5) -> torch.Tensor:
    return 3 + 2 * torch.randn(n, D, generator=torch.Generator().manual_seed(0))


def trained_like(**options: bool) -> CausalHead:
    torch.manual_seed(1)
    head = CausalHead(D, hidden=8, **options)
    for p in head.parameters():
        torch.nn.init.normal_(p, std=0.4)
    head.standardise_by(embeddings(50))
    return head.eval()


def test_causal_and_non_causal_parts_share_the_standardised_embedding() -> None:
    head = trained_like()
    out = head(embeddings())
    assert torch.allclose(out.causal + out.non_causal, (embeddings() - head.shift) / head.scale, atol=1e-5)
    assert ((out.mask > 0) & (out.mask < 1)).all()
    assert out.mask.std(0).max() > 0.01  # the mask is a function of the picture


def test_direction_and_offset_are_the_logit() -> None:
    head = trained_like()
    out = head(embeddings())
    exact = (head.direction(out.mask) * embeddings()).sum(1) + head.offset(out.mask)
    assert torch.allclose(exact, out.logit, atol=1e-4)


def test_only_the_causal_part_is_judged() -> None:
    head = trained_like()
    out = head(embeddings())
    assert torch.allclose(head.score(out.causal), out.logit)
    with torch.no_grad():
        head.adversary[0].weight.add_(5)
    assert torch.equal(head(embeddings()).logit, out.logit)


def test_unmasked_is_a_linear_probe() -> None:
    head = trained_like(masked=False)
    out = head(embeddings())
    assert torch.equal(out.mask, torch.ones(5, D))
    assert not out.non_causal.any()
    a, b = embeddings()[:1], embeddings()[1:2]
    assert torch.allclose(head((a + b) / 2).logit, (head(a).logit + head(b).logit) / 2, atol=1e-5)


def test_standardises_by_the_training_set() -> None:
    head = CausalHead(D)
    head.standardise_by(embeddings(200), torch.full((3, D), 2.0))
    E = (embeddings(200) - head.shift) / head.scale
    assert E.mean(0).abs().max() < 1e-5
    assert torch.allclose(E.std(0), torch.ones(D), atol=1e-4)
    assert torch.equal(head.patch_shift, torch.full((D,), 2.0))
    head.standardise_by(torch.ones(4, D))
    assert torch.isfinite(head(torch.ones(1, D)).logit).all()  # a dimension that never changes divides by no zero


def test_temperature_of_the_end_is_the_default_and_is_stored() -> None:
    head = trained_like()
    head.tau.fill_(0.3)
    x = embeddings()
    assert torch.equal(head(x).mask, head(x, tau=0.3).mask)
    assert not torch.allclose(head(x).mask, head(x, tau=1.0).mask)
    assert float(head.state_dict()["tau"]) == pytest.approx(0.3)
