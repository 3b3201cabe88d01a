"""Pairs are made and kept, training learns from them and goes on after a stop, guidance points the right way."""

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from purifier.denoiser.pipeline import new_pipeline
from purifier.training.config import TrainConfig
from purifier.training.ends import cropped_ends, whole_ends
from purifier.training.loop import fit, pair_files
from purifier.training.loss import Guidance
from purifier.training.pairs import PairMaker, Pairs, PairsConfig, Source, load_pairs, make_pairs
from purifier.vlm.features import clip_features
from tests.makers.detectors import tiny_detector
from tests.makers.models import tiny_vlm
from tests.makers.towers import tiny_tower

LAYERS = (2, 3)
PAIRS = PairsConfig(batch=3, sizes=((32, 32, 1.0), (32, 48, 1.0)), steps=(2, 3), layers=LAYERS)
TRAIN = TrainConfig(steps=6, batch=3, crop=24, check=3, held=1, layers=LAYERS, guided=0.5, guide_from=0.0)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    made = []
    for i in range(4):
        coarse = Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8))
        coarse.resize((48, 40), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
        made.append(Source(folder / f"{i}.png", (("is there a dog", "yes"),)))
    return made


@pytest.fixture(scope="module")
def folder(sources: list[Source], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pairs")
    assert len(list(make_pairs(_maker(sources), out, batches=4))) == 4
    return out


def _maker(sources: list[Source]) -> PairMaker:
    return PairMaker(sources, PAIRS, tower=tiny_tower(), vlm=tiny_vlm(), detector=tiny_detector())


@pytest.fixture(scope="module")
def pairs(folder: Path) -> Pairs:
    return load_pairs(pair_files(folder)[0])


def test_pairs_are_in_their_budget_and_hold_what_clip_saw(folder: Path) -> None:
    for path in pair_files(folder):
        pairs = load_pairs(path)
        change = (pairs.moved.int() - pairs.clean.int()).abs()
        assert 0 < change.max() <= pairs.eps
        seen = clip_features(tiny_tower(), pairs.moved[-1].float() / 255, layers=LAYERS)
        assert torch.allclose(seen[0], pairs.moved_seen[0], atol=0.02)
        assert (pairs.moved_seen[1] - pairs.clean_seen[1]).norm(dim=1).min() > 1e-3


def test_making_pairs_goes_on_where_it_was(sources: list[Source], folder: Path) -> None:
    first = pair_files(folder)[0]
    before = first.stat().st_mtime_ns
    list(make_pairs(_maker(sources), folder, batches=4))
    assert first.stat().st_mtime_ns == before
    again, _ = _maker(sources).make(0)
    assert torch.equal(again.clean, load_pairs(first).clean)


def test_the_questions_on_each_picture_come_along(sources: list[Source], pairs: Pairs) -> None:
    assert pairs.asked == [["is there a dog"]] * len(pairs.clean)
    half = _maker([replace(s, asked=s.asked * (i % 2)) for i, s in enumerate(sources)])
    pixels, asked = half.plain(0)
    assert len(asked) == len(pixels)
    assert {tuple(questions) for number in range(4) for questions in half.plain(number)[1]} == {(), ("is there a dog",)}


def test_every_objective_is_drawn(sources: list[Source]) -> None:
    maker = _maker(sources)
    assert {maker.draw_objective(random.Random(n)) for n in range(30)} == {
        "features",
        "layers",
        "towards",
        "answer",
        "detector",
    }
    unasked = _maker([Source(s.path) for s in sources])
    assert "answer" not in {unasked.draw_objective(random.Random(n)) for n in range(30)}


def test_crops_keep_pairs_together(pairs: Pairs) -> None:
    config = TrainConfig(batch=40, crop=16, clean=0.3, noisy=0.3)
    ends = cropped_ends(pairs, random.Random(0), config)
    assert ends.clean.shape == ends.moved.shape == (40, 3, 16, 16)
    change = (ends.moved - ends.clean).flatten(1).abs().amax(1)
    assert change.max() <= 1.25 * pairs.eps / 255 + 1e-4
    assert 0.1 < (change == 0).float().mean() < 0.6
    assert 0.1 < (ends.noise.flatten(1).abs().amax(1) > 0).float().mean() < 0.6


@pytest.mark.parametrize("kind", ["regression", "noise"])
def test_the_compared_recipes_see_what_they_should(pairs: Pairs, kind: str) -> None:
    ends = cropped_ends(pairs, random.Random(0), TrainConfig(kind=kind, batch=20, crop=16))
    attacked = not torch.allclose(ends.moved, ends.clean)
    assert attacked == (kind == "regression")
    assert (ends.noise.abs().max() > 0) == (kind == "noise")
    assert kind == "noise" or (ends.t == 1).all()


def test_whole_pictures_bring_what_clip_saw_of_them(pairs: Pairs) -> None:
    ends, clean_seen, moved_seen = whole_ends(pairs, random.Random(3), TrainConfig(batch=3, clean=0.5))
    for i in range(3):
        untouched = torch.equal(ends.clean[i], ends.moved[i])
        assert untouched == torch.equal(clean_seen[1][i], moved_seen[1][i])


def test_guidance_is_least_at_the_clean_picture_and_pulls_towards_it(pairs: Pairs) -> None:
    guidance = Guidance(tiny_tower(), layers=LAYERS)
    clean, moved = pairs.clean.float() / 255, pairs.moved[-1].float() / 255
    halfway = ((clean + moved) / 2).requires_grad_(True)
    values = [guidance(x, pairs.clean_seen, pairs.moved_seen) for x in (clean, halfway, moved)]
    assert values[0] < values[1] < values[2]
    values[1].backward()
    assert (halfway.grad * (clean - moved)).sum() < 0


def test_training_learns_and_goes_on_after_a_stop(folder: Path, tmp_path: Path) -> None:
    trained = {}
    for name, stages in (("whole", [6]), ("stopped", [3, 6])):
        for steps in stages:
            pipeline = new_pipeline(channels=(8, 16))
            config = replace(TRAIN, decay=1e-9, steps=steps)  # so that the rate does not depend on the planned end
            fit(pipeline, folder, tmp_path / name, config, tower=tiny_tower())
        trained[name] = pipeline
    rows = [json.loads(line) for line in (tmp_path / "whole/train.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [3, 6]
    assert {"loss", "guidance", "psnr", "psnr_attacked", "psnr_clean", "shift", "shift_clean"} <= set(rows[-1])
    weights = [p.unet.conv_out.weight for p in trained.values()]
    assert weights[0].abs().max() > 0
    assert torch.allclose(*weights, atol=1e-5)
    assert not any(p.requires_grad for p in trained["whole"].unet.parameters())
