"""Training a restorer: on tiny models and pictures that the tests draw."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from purifier.denoiser.pipeline import PurifierPipeline
from purifier.training import train_restorer
from purifier.training.pairs import Source
from tests.makers.models import tiny_vlm
from tests.makers.purifiers import tiny_purifier

PICTURES = {"batch": 2, "sizes": [[32, 40, 1.0]]}
TRAIN = {"steps": 12, "check": 6, "held": 2, "guide_from": 0.5, "rate": 4e-3, "qualities": [10, 20]}
SETTINGS = {"restorer": {"pictures": PICTURES, "train": TRAIN, "network": {"channels": (8, 16)}, "quality": 20}}


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Source]:
    """Ten like pictures of sharp stripes, so that few steps are enough; restorer and quantisation work at 32 px."""
    for place in ("restorer.SIDE", "pipeline.SEEN"):
        monkeypatch.setattr(f"purifier.denoiser.{place}", 32)
    picture = np.full((48, 60, 3), 200, np.uint8)
    picture[:, ::6] = (60, 20, 120)
    made = [Source(tmp_path / f"{number}.png") for number in range(10)]
    for source in made:
        Image.fromarray(picture).save(source.path)
    return made


def train(sources: list[Source], folder: Path, cache: Path, **changed: object) -> PurifierPipeline:
    if not folder.exists():
        tiny_purifier().save_pretrained(folder)
        (folder / "README.md").write_text("# Purifier\n\n## Limits\nMany.\n")
    restorer = SETTINGS["restorer"] | {"train": TRAIN | changed}
    return train_restorer(sources, folder, settings={"restorer": restorer}, cache=cache, model=tiny_vlm())


def test_it_learns_and_leaves_the_network_before_it(sources: list[Source], tmp_path: Path) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache"
    after = train(sources, out, cache, steps=60, check=30, rate=1e-2, average=0.9)
    rows = [json.loads(line) for line in (cache / "out-restorer/train.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [30, 60]
    assert rows[0]["guidance"] == 0
    assert rows[1]["guidance"] > 0
    assert rows[1]["psnr"] > rows[1]["psnr quantised"] + 0.5
    assert after.config["quality"] == 20
    kept = PurifierPipeline.from_pretrained(out)
    assert kept.config["quality"] == 20
    before = tiny_purifier().unet.half().float().state_dict()
    assert all(torch.equal(value, before[name]) for name, value in kept.unet.state_dict().items())
    x = torch.rand(1, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    assert (kept.forced(x) - after.forced(x)).abs().mean() < 0.003  # half precision
    assert not any(p.requires_grad for p in after.restorer.parameters())


def test_its_card_says_what_it_learned_from_and_keeps_the_rest(sources: list[Source], tmp_path: Path) -> None:
    train(sources, tmp_path / "out", tmp_path / "cache")
    card = (tmp_path / "out/README.md").read_text()
    assert "crops of 6 pictures of the training splits, none of them attacked, in 12 steps" in card
    assert "one of 10, 20 in each; the purifier uses 20" in card
    assert card.endswith("## Limits\nMany.\n")


def test_too_few_pictures_are_said(sources: list[Source], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="more than 4 pictures"):
        train(sources[:4], tmp_path / "out", tmp_path / "cache")


def test_it_goes_on_after_a_stop(sources: list[Source], tmp_path: Path) -> None:
    whole = train(sources, tmp_path / "whole", tmp_path / "one", decay=1e-9)
    train(sources, tmp_path / "stopped", tmp_path / "two", decay=1e-9, steps=6, guide_from=1.0)
    again = train(sources, tmp_path / "stopped", tmp_path / "two", decay=1e-9)
    steps = [
        json.loads(line)["step"] for line in (tmp_path / "two/stopped-restorer/train.jsonl").read_text().splitlines()
    ]
    assert steps == [6, 12]
    weights = [pipeline.restorer.conv_out.weight for pipeline in (whole, again)]
    assert weights[0].abs().max() > 0
    assert torch.allclose(*weights, atol=1e-4)
