"""Every rung of the ladder learns, from the pictures of its protocol; generators are joined by family."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from benchmarks import ablation
from benchmarks.detection import family_of
from causalclip.method import CausalHead
from causalclip.training.data import Record
from causalclip.training.fitting import Problem, SelectionConfig, TrainConfig
from causalclip.training.recipe import Recipe, balance, fit


@pytest.fixture(scope="module")
def data() -> Problem:
    """Three copies of pictures by twenty owners, whose first channels tell the label."""
    torch.manual_seed(0)
    labels = (torch.rand(160) > 0.5).float()
    features = torch.randn(3, 160, 12)
    features[..., :4] += 1.5 * labels[None, :, None]
    owners = [f"o{i % 20}" for i in range(160)]
    records = tuple(
        Record(str(i), int(y), "", "train", "sites", "picture", str(i), o, owner=o)
        for i, (y, o) in enumerate(zip(labels, owners, strict=True))
    )
    number = np.arange(160)
    return Problem(records, features.half(), labels, balance(records, broad=0.1), number % 5, environments=number % 20)


def test_every_rung_learns(data: Problem) -> None:
    shipped = Recipe(head=TrainConfig(hidden=0, ridge=1.0, selection=SelectionConfig(passing=0.5)))
    rungs = ablation.rungs(shipped, 3)
    assert [rung.seeds for rung in rungs] == [1, 1, 1, 3, 3, 1]
    for rung in rungs:
        some = ablation.restrict(data, np.arange(100), rung.copies, broad=0.1)
        assert some.features.shape[:2] == (rung.copies, 100)
        config = replace(rung.config, epochs=min(rung.config.epochs, 6), batch=16)
        head = fit(some, config, head=ablation.build(rung, 12, config))
        with torch.inference_mode():
            raw = head(data.features[0, 100:].float()).logit
        assert isinstance(head, CausalHead)
        assert roc_auc_score(data.labels[100:], raw) > 0.8, rung.name


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("OpenAI GPT-4o/GPT-image (C2PA)", "GPT Image 1 and 1.5, GPT-4o"),
        ("Gemini image, GPT Image (Replit)", "several at one site"),
        ("FLUX.2 klein", "FLUX.2"),
        ("unknown (Lovable 2026)", "Lovable's tool, model not stated"),
        ("", "not stated"),
    ],
)
def test_names_are_joined_by_family(name: str, family: str) -> None:
    assert family_of(name) == family
