"""Training: seeded, annealed, and able to find causal dimensions where they are known."""

import pytest
import torch

from causalclip.head.losses import LossWeights
from causalclip.head.masks import MaskStatistics
from causalclip.head.model import CausalHead
from causalclip.training.fitting import TrainConfig, fit_head, in_environments, in_turn, temperature

EVERYTHING = LossWeights(adversary=0.3, sparsity=1.0, independence=0.1, consistency=0.2, drop=0.3)
CAUSAL, SPURIOUS = slice(0, 20), slice(20, 40)


def synthetic(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """60 dimensions and their labels. The first 20 carry the trace that all generators share; the next 20 a fingerprint
    whose sign changes from generator to generator and which real pictures show as well; the last 20 are content."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (count,), generator=g).float()
    side = 2 * labels[:, None] - 1
    fingerprint = torch.where(torch.rand(count, 1, generator=g) < 0.5, 1.0, -1.0)
    x = torch.randn(count, 60, generator=g)
    x[:, CAUSAL] += 1.2 * side
    x[:, SPURIOUS] = 0.5 * x[:, SPURIOUS] + 1.2 * fingerprint * side
    return x, labels


@pytest.fixture(scope="module", params=[(0, 0.0), (1, 0.0), (0, 0.1)])
def found(request: pytest.FixtureRequest) -> CausalHead:
    """A head fitted with every term of the objective, from nothing and from least squares."""
    seed, ridge = request.param
    x, labels = synthetic(2000, seed=seed)
    config = TrainConfig(epochs=30, rate=3e-3, decay=1e-3, hidden=16, weights=EVERYTHING, ridge=ridge, seed=seed)
    return fit_head(CausalHead(60, hidden=16), x, labels, config=config)


@torch.inference_mode()
def test_mask_lets_the_causal_dimensions_through_and_holds_the_others_back(found: CausalHead) -> None:
    mean = found(synthetic(1000, seed=9)[0]).mask.mean(0)
    assert float((mean[CAUSAL] > 0.5).float().mean()) >= 0.9
    assert float((mean[20:] < 0.5).float().mean()) >= 0.9
    assert float(mean[CAUSAL].mean()) > 3 * float(mean[20:].mean())


@torch.inference_mode()
def test_what_reaches_the_verdict_comes_from_the_causal_dimensions(found: CausalHead) -> None:
    """A mask alone could be undone by weights: what counts is their product."""
    pull = (found(synthetic(1000, seed=9)[0]).mask.mean(0) * found.verdict.weight[0]).abs()
    strongest = pull.argsort(descending=True)[:20]
    assert float((strongest < 20).float().mean()) >= 0.9
    assert float(pull[20:].sum()) < 0.15 * float(pull.sum())


@torch.inference_mode()
def test_no_collapse_and_new_pictures_are_judged_rightly(found: CausalHead) -> None:
    x, labels = synthetic(1000, seed=9)
    out = found(x)
    statistics = MaskStatistics.of(out.mask)
    assert 0.1 < statistics.density < 0.7
    assert 0.2 < statistics.causal_share < 0.45
    assert float(((out.logit > 0).float() == labels).float().mean()) > 0.95


@torch.inference_mode()
def test_a_new_generators_fingerprint_does_not_change_the_verdict(found: CausalHead) -> None:
    """do(fingerprint): the causal dimensions held fixed, the others from other pictures."""
    x, labels = synthetic(1000, seed=9)
    swapped = x.clone()
    swapped[:, 20:] = x[torch.randperm(1000, generator=torch.Generator().manual_seed(0)), 20:]
    before, after = found(x).logit, found(swapped).logit
    assert float(((after > 0).float() == labels).float().mean()) > 0.95
    assert float((before - after).abs().mean()) < 0.25 * float(before.abs().mean())


def quick(**changes: object) -> CausalHead:
    x, labels = synthetic(300, seed=0)
    torch.manual_seed(5)
    config = TrainConfig(epochs=3, batch=64, weights=EVERYTHING, **changes)  # type: ignore[arg-type]
    return fit_head(CausalHead(60, hidden=8), x, labels, config=config)


def test_the_same_seed_gives_the_same_head() -> None:
    a, b, c = quick().state_dict(), quick().state_dict(), quick(seed=1).state_dict()
    assert all(torch.equal(a[n], b[n]) for n in a)
    assert not torch.equal(a["verdict.weight"], c["verdict.weight"])


def test_temperature_falls_geometrically_and_its_end_is_kept() -> None:
    config = TrainConfig(tau_start=2.0, tau_end=0.5)
    assert [temperature(config, t) for t in (0, 0.5, 1)] == pytest.approx([2, 1, 0.5])
    assert float(quick(tau_end=0.4).tau) == pytest.approx(0.4)


def test_without_averaging_the_last_step_counts() -> None:
    assert not torch.equal(quick(average=0.0).verdict.weight, quick().verdict.weight)


def test_copies_pairs_and_weights_are_used() -> None:
    x, labels = synthetic(200, seed=0)
    copies = torch.stack([x, x + 0.1]).half()
    torch.manual_seed(0)
    config = TrainConfig(epochs=20, batch=64, rate=3e-3, weights=LossWeights(pairs=2.0), pairs_a_step=8)
    real, fake = labels.argmin(), labels.argmax()
    twins = torch.stack([fake, real])[None]  # the wrong way round: the pair loss alone would prefer that
    heads = [
        fit_head(CausalHead(60, hidden=8), copies, labels, config=config, sample_weight=weight, pairs=pairs)
        for weight, pairs in ((None, None), (torch.zeros(200), twins))
    ]
    with torch.inference_mode():
        margins = [float(h(x[fake][None]).logit - h(x[real][None]).logit) for h in heads]
    assert margins[0] > 0 > margins[1]
    assert not heads[0].training


def test_places_are_learned_from_splices() -> None:
    """Cells of which half carry the trace: the verdict must find them although no whole picture is labelled by it."""
    g = torch.Generator().manual_seed(0)
    generated = (torch.rand(200, 9, generator=g) > 0.5).float()
    cells = torch.randn(200, 9, 8, generator=g)
    cells[..., 3] += 2 * (2 * generated - 1)
    x, labels = torch.randn(64, 8, generator=g), (torch.arange(64) % 2).float()
    for ridge in (0.0, 0.1):
        config = TrainConfig(epochs=60, batch=64, rate=1e-2, hidden=4, ridge=ridge, weights=LossWeights(places=1.0))
        head = fit_head(CausalHead(8, hidden=4), x, labels, config=config, places=(cells, generated))
        with torch.inference_mode():
            right = (head.local_logits(cells) > 0) == (generated > 0.5)
        assert float(right.float().mean()) > 0.8


def test_the_mask_may_have_a_rate_of_its_own() -> None:
    x, labels = synthetic(256, seed=0)
    slow, fast = (
        fit_head(CausalHead(60, hidden=8), x, labels, config=TrainConfig(epochs=20, rate=1e-4, mask_rate=r, hidden=8))
        for r in (None, 1e-2)
    )
    moved = [float(h.mask.mlp[-1].weight.detach().abs().sum()) for h in (slow, fast)]
    assert moved[1] > 10 * moved[0]


def two_sites(count: int, agreement: tuple[float, float], seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A trace that is right 8 times in 10 at both sites, a style that is right as often as each site's `agreement`."""
    g = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (count,), generator=g).float()
    site = torch.randint(0, 2, (count,), generator=g)
    side = 2 * labels - 1
    trace = torch.where(torch.rand(count, generator=g) < 0.8, side, -side)
    style = torch.where(torch.rand(count, generator=g) < torch.tensor(agreement)[site], side, -side)
    return torch.stack([trace, style], 1) + 0.1 * torch.randn(count, 2, generator=g), labels, site


@pytest.mark.parametrize(("term", "strength"), [("rex", 20.0), ("irm", 500.0)])
def test_a_style_that_differs_from_site_to_site_is_trusted_less(term: str, strength: float) -> None:
    x, labels, site = two_sites(2000, (0.95, 0.7), seed=0)
    new, truth, _ = two_sites(2000, (0.1, 0.1), seed=1)
    right = []
    for weights in (LossWeights(), LossWeights(**{term: strength})):
        config = TrainConfig(epochs=40, rate=1e-2, masked=False, weights=weights, environments_a_step=2)
        head = fit_head(CausalHead(2, masked=False), x, labels, config=config, environments=site)
        with torch.inference_mode():
            right.append(float(((head(new).logit > 0).float() == truth).float().mean()))
    assert right[1] > right[0] + 0.1, right


def test_batches_of_environments_hold_as_much_of_a_small_one() -> None:
    environments = torch.tensor([7] * 90 + [3] * 10)
    rows = next(in_environments(environments, TrainConfig(batch=40, environments_a_step=2)))
    assert sorted(environments[rows].tolist()) == [3] * 20 + [7] * 20


def test_in_turn_takes_every_row_before_any_comes_again() -> None:
    batches = in_turn(10, 4)
    seen = torch.cat([next(batches) for _ in range(5)]).tolist()
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
