"""Training on a made folder: what is packed, what is learned, and how a stopped run goes on."""

import dataclasses
import json
import random
from pathlib import Path

import pytest
import torch

from purifier.training.vlm_data import FeatureCache, Picture, load_pictures, train_texts
from purifier.training.vlm_fitting import (
    PACKED,
    VLMTrainConfig,
    build_model,
    fit_vlm,
    pack,
    packed_logits,
    step_loss,
)
from purifier.vlm import EmbeddedVLM
from tests.makers.folders import vlm_folder
from tests.makers.towers import tiny_tower

SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
CONFIG = VLMTrainConfig(
    epochs=3, batch=4, views=1, lr=3e-3, lr_new=3e-3, dropout=0.0, feature_dropout=0.0, language=SMALL, vision=(2, 3)
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vlm_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def pictures(root: Path) -> list[Picture]:
    return load_pictures(root)


@pytest.fixture(scope="module")
def features(root: Path, pictures: list[Picture]) -> FeatureCache:
    return FeatureCache.build(tiny_tower(), root, [p.name for p in pictures], root / "cache", views=1, layers=(2, 3))


def untrained(pictures: list[Picture]) -> EmbeddedVLM:
    torch.manual_seed(0)
    return build_model(pictures, tiny_tower(), CONFIG, warm_start=None)


def test_packed_texts_do_not_see_each_other() -> None:
    packed = pack([[([2, 9, 3], [5, 3]), ([2, 8, 3], [6, 3])], [([2, 3], [7, 3])]], pad=0)
    assert packed.ids.tolist() == [[2, 9, 3, 5, 2, 8, 3, 6], [2, 3, 7, 0, 0, 0, 0, 0]]
    assert packed.labels.tolist()[0] == [-100, -100, 5, 3, -100, -100, 6, 3]
    seen = packed.mask(2)[0, 0]
    assert seen[6].tolist() == [True, True, False, False, False, False, True, False, False, False]
    assert packed.positions[0].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


def test_packed_training_agrees_with_the_likelihood(pictures: list[Picture], features: FeatureCache) -> None:
    model = untrained(pictures).eval()
    texts = train_texts(pictures[0], 0, {}, random.Random(0))
    visual = model.connector(*features.take([(pictures[0].name, 0)])).expand(len(texts), -1, -1)
    alone = model.score(visual, [t.prompt for t in texts], [t.answer for t in texts]).tolist()
    model.language.set_attn_implementation(PACKED)
    logits, labels, _ = packed_logits(model, [(pictures[0], 0, texts)], features, CONFIG)
    packed = -torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    lengths = [len(model.vocabulary.answer(t.answer)) for t in texts]
    assert [part.sum().item() for part in packed.split(lengths)] == pytest.approx(alone, abs=1e-3)


def test_training_learns_and_goes_on_after_a_stop(
    pictures: list[Picture], features: FeatureCache, tmp_path: Path
) -> None:
    losses = {}
    for name, stages in (("whole", [3]), ("stopped", [1, 3])):
        for epochs in stages:
            config = dataclasses.replace(CONFIG, stop_after=epochs if epochs < 3 else None)
            fit_vlm(untrained(pictures), pictures, features, config, folder=tmp_path / name)
        lines = (tmp_path / name / "train.jsonl").read_text().splitlines()
        losses[name] = [json.loads(line)["loss"] for line in lines]
    assert losses["whole"] == pytest.approx(losses["stopped"], rel=1e-3)
    assert losses["whole"][-1] < losses["whole"][0]


def test_a_blind_model_learns_nothing_from_the_picture(pictures: list[Picture], features: FeatureCache) -> None:
    model = untrained(pictures).train()
    config = dataclasses.replace(CONFIG, blind=True)
    rows = [p for p in pictures if p.source != "flickr8k"]
    step_loss(model, rows, features, {"dog": 1, "cup": 1}, config, random.Random(0)).backward()
    assert all(p.grad is None for p in model.connector.parameters())
    assert model.language.get_input_embeddings().weight.grad.abs().max() > 0


def test_cached_features_are_those_of_the_tower(root: Path, pictures: list[Picture], features: FeatureCache) -> None:
    again = FeatureCache.build(tiny_tower(), root, [p.name for p in pictures], root / "cache", views=1, layers=(2, 3))
    patches, embedding = again.take([(pictures[2].name, 0)])
    assert patches.shape == (1, 49, 96)
    assert embedding.norm().item() == pytest.approx(1, abs=1e-2)
    assert torch.equal(patches, features.take([(pictures[2].name, 0)])[0])
