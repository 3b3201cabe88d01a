"""Pairs are made and kept, training learns from them and goes on after a stop, guidance points the right way."""

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from causalclip.clip.weights import WeightsMissing
from causalclip.detector import Detector
from purifier.denoiser.gate import Gate
from purifier.denoiser.pipeline import PurifierPipeline, new_pipeline
from purifier.training import refit_gate
from purifier.training.config import TrainConfig
from purifier.training.ends import cropped_ends, whole_ends
from purifier.training.gate import CLEAN, _arrived, fit_to
from purifier.training.loop import fit, pair_files
from purifier.training.loss import Guidance
from purifier.training.pairs import PairMaker, Pairs, PairsConfig, Source, load_pairs, make_pairs, save_pairs
from purifier.training.sources import training_sources
from purifier.training.validation import psnr
from purifier.vlm import CAPTION_PROMPT, EmbeddedVLM
from purifier.vlm.features import clip_features
from tests.makers.detectors import tiny_detector
from tests.makers.models import tiny_vlm
from tests.makers.pictures import photo
from tests.makers.purifiers import tiny_clip, tiny_purifier
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
        made.append(Source(folder / f"{i}.png", ("is there a dog",)))
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


def test_a_few_steps_take_away_what_every_attack_adds(pairs: Pairs, tmp_path: Path) -> None:
    clean = pairs.clean.clamp(20, 200)
    for n in range(2):
        save_pairs(
            replace(pairs, clean=clean, moved=(clean + 10)[None]),
            {"attack": "pgd", "eps": 10},
            tmp_path / f"pairs-{n}.safetensors",
        )
    pipeline = new_pipeline(channels=(8, 16))
    config = TrainConfig(steps=40, batch=3, crop=16, check=40, held=1, guided=0.0, clean=0.0, noisy=0.0, lr=2e-2)
    fit(pipeline, tmp_path, tmp_path, config, tower=tiny_tower())
    row = json.loads((tmp_path / "train.jsonl").read_text())
    assert row["psnr"] > row["psnr_attacked"] + 1


def test_pairs_know_their_attack(sources: list[Source]) -> None:
    config = replace(PAIRS, attacks=(("l2", 1.0), ("patch", 1.0)), area=(0.05, 0.1), eps=(4.0, 4.0))
    maker = PairMaker(sources, config, tower=tiny_tower())
    made = {pairs.attack: pairs for pairs, _ in map(maker.make, range(8))}
    assert set(made) == {"pgd, l2", "patch"}
    change = (made["pgd, l2"].moved[-1].float() - made["pgd, l2"].clean.float()).flatten(1)
    assert (change.square().mean(1).sqrt() <= 0.6 * 4 + 1e-3).all()
    assert change.square().mean(1).sqrt().min() > 1
    touched = (made["patch"].moved[-1] != made["patch"].clean).any(1).float().mean((1, 2))
    assert (touched < 0.11).all()


def test_refitting_the_gate_leaves_the_network_and_says_what_it_opens_for(
    sources: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise WeightsMissing("not here")

    monkeypatch.setattr(EmbeddedVLM, "from_pretrained", missing)
    monkeypatch.setattr(Detector, "from_pretrained", missing)
    tiny_clip(monkeypatch)
    tiny_purifier().save_pretrained(tmp_path / "out")
    (tmp_path / "out/README.md").write_text("# Purifier\n\n## Limits\nMany.\n")
    kind = {"batch": 2, "sizes": PAIRS.sizes, "layers": LAYERS, "eps": (8.0, 8.0)}
    settings = {"gate": [kind | {"steps": (2, 2)}, kind | {"steps": (3, 3), "seed": 1}]}
    before = PurifierPipeline.from_pretrained(tmp_path / "out").unet.state_dict()
    for _ in range(2):  # the second time with the first one's gate and section in place
        refit_gate(
            sources, tmp_path / "out", settings=settings, batches=3, cache=tmp_path / "cache", tower=tiny_tower()
        )
    again = PurifierPipeline.from_pretrained(tmp_path / "out")
    assert Gate(**again.config["gate"]).false_alarms == 0.005
    assert all(torch.equal(v, before[k]) for k, v in again.unet.state_dict().items())
    card = (tmp_path / "out/README.md").read_text()
    assert card.count("## The gate") == card.count("## Limits") == 1
    assert "Fitted to 12 attacked pictures" in card
    assert card.endswith("## Limits\nMany.\n")


def test_a_gate_is_judged_on_groups_that_it_did_not_see() -> None:
    """It opens for what is far from clean, at the share of false alarms that is asked for; and for nothing of an attack
    that lies in one group alone."""
    rng = np.random.default_rng(0)
    clean, strong, alone = rng.normal(0, 1, (1200, 3)), rng.normal(5, 1, (300, 3)), rng.normal(0, 1, (40, 3))
    alone[:, 2] = -5
    evidence = np.concatenate([clean, strong, alone])
    kinds = np.array([CLEAN] * 1200 + ["pgd"] * 300 + ["patch"] * 40)
    groups = np.array([f"{i // 6}" for i in range(1500)] + ["patches"] * 40)
    gate, opens = fit_to(evidence, kinds, groups, seed=0)
    assert opens["pgd"] > 0.98
    assert opens[CLEAN] <= 0.006
    assert opens["patch"] < 0.1
    odds = gate(torch.from_numpy(evidence).float())
    assert (odds[1200:1500] > 0).float().mean() > 0.98
    assert (odds[:1200] > 0).float().mean() < 0.01


def test_pairs_arrive_as_they_are_as_jpeg_and_without_colour() -> None:
    levels = torch.from_numpy(photo(64, 48)).permute(2, 0, 1)[None].repeat(2, 1, 1, 1)
    plain, jpeg, grey = _arrived(levels, 70).values()
    assert torch.equal(plain, levels.float() / 255)
    assert 0 < (jpeg - plain).abs().mean() < 0.05
    assert torch.equal(grey[:, 0], grey[:, 2])
    assert (grey - plain).abs().mean() < 0.2


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no pairs"):
        fit(new_pipeline(channels=(8, 16)), tmp_path, tmp_path / "out", TRAIN, tower=tiny_tower())
    with pytest.raises(FileNotFoundError, match="no pictures"):
        training_sources(None, None)
    with pytest.raises(FileNotFoundError, match="manifest"):
        training_sources(None, tmp_path)


def test_no_picture_of_a_test_split_is_learned_from(tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    rows = []
    for i, split in enumerate(("train", "test", "val")):
        Image.new("RGB", (30, 30)).save(tmp_path / f"coco/{i}.jpg")
        rows.append({"file": f"coco/{i}.jpg", "split": split, "captions": ["a dog ."]})
    (tmp_path / "coco.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asked = [{"question": "what is it", "answer": "bed", "split": s} for s in ("train", "test")]
    (tmp_path / "daquar").mkdir()
    Image.new("RGB", (30, 30)).save(tmp_path / "daquar/0.jpg")
    (tmp_path / "daquar.jsonl").write_text(json.dumps({"file": "daquar/0.jpg", "qa": asked}))
    (tmp_path / "manifest.csv").write_text("path,split,view\na.jpg,train,whole\nb.jpg,test,whole\nc.jpg,train,crop\n")
    assert [s.path.name for s in training_sources(tmp_path, tmp_path)] == ["0.jpg", "a.jpg"]


def test_what_is_asked_about_a_picture_comes_along(tmp_path: Path) -> None:
    (tmp_path / "daquar").mkdir()
    (tmp_path / "coco").mkdir()
    asked = [{"question": "what is it", "answer": "bed", "split": "train"}]
    (tmp_path / "daquar.jsonl").write_text(json.dumps({"file": "daquar/0.jpg", "qa": asked}))
    boxes = [{"name": "dog", "xywh": [4, 4, 30, 30], "iscrowd": 0}]
    Image.new("RGB", (60, 60)).save(tmp_path / "coco/0.jpg")
    row = {"file": "coco/0.jpg", "split": "train", "captions": ["a dog ."], "boxes": boxes}
    (tmp_path / "coco.jsonl").write_text(json.dumps(row))
    boxed, human = sorted(training_sources(tmp_path, None), key=lambda s: str(s.path))
    assert human.asked == ("what is it",)
    assert any("dog" in question or "animal" in question for question in boxed.asked)
    assert CAPTION_PROMPT not in boxed.asked


def test_psnr_of_a_known_error() -> None:
    a = torch.zeros(1, 3, 4, 4)
    assert psnr(a + 0.1, a).item() == pytest.approx(20, abs=1e-3)
    assert psnr(a, a).item() == pytest.approx(60)
