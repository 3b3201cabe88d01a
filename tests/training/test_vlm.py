"""The embedded vision-language model: its data, each file checked by its hash, its training, and
its measures."""

import copy
import dataclasses
import gzip
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from purifier.vlm.model import EmbeddedVLM
from tests.makers.detectors import tiny_tower
from tests.makers.models import tiny_vlm, vlm_folder
from tests.makers.pictures import encode, photo
from tests.training.dataset.hosting import Host, sha
from training.dataset.table import as_csv
from training.purifier.cards import write_vlm_card as write_card
from training.vlm import command
from training.vlm import sources as vlm_sources
from training.vlm.config import VLMTrainConfig
from training.vlm.data import FeatureCache, Picture, load_pictures, train_texts
from training.vlm.fitting import fit_vlm
from training.vlm.loss import packed_logits, step_loss
from training.vlm.packing import PACKED
from training.vlm.questions import QUESTION_TYPES, Box, box_questions
from training.vlm.recipe import UNSEEN, evaluate_vlm, fit_confidence
from training.vlm.sources import Reference, read_references, shrink
from training.vlm.untrained import build_model

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
CONFIG = VLMTrainConfig(
    epochs=3,
    batch=4,
    views=1,
    lr=3e-3,
    lr_new=3e-3,
    dropout=0.0,
    feature_dropout=0.0,
    language=SMALL,
    vision=(2, 3),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vlm_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def pictures(root: Path) -> list[Picture]:
    return load_pictures(root)


@pytest.fixture(scope="module")
def features(root: Path, pictures: list[Picture]) -> FeatureCache:
    return FeatureCache.build(
        tiny_tower(), root, [p.name for p in pictures], root / "cache", views=1, layers=(2, 3)
    )


def untrained(pictures: list[Picture]) -> EmbeddedVLM:
    torch.manual_seed(0)
    return build_model(pictures, tiny_tower(), CONFIG, warm_start=None)


def test_packed_training_agrees_with_the_likelihood(
    pictures: list[Picture], features: FeatureCache
) -> None:
    model = untrained(pictures).eval()
    texts = train_texts(pictures[0], 0, {}, random.Random(0))
    visual = model.connector(*features.take([(pictures[0].name, 0)])).expand(len(texts), -1, -1)
    alone = model.score(visual, [t.prompt for t in texts], [t.answer for t in texts]).tolist()
    model.language.set_attn_implementation(PACKED)
    logits, labels, _ = packed_logits(model, [(pictures[0], 0, texts)], features, CONFIG)
    packed = -torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    lengths = [len(model.vocabulary.answer(t.answer)) for t in texts]
    assert [part.sum().item() for part in packed.split(lengths)] == pytest.approx(alone, abs=1e-3)


def test_training_goes_on_after_a_stop(
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


def test_a_blind_model_learns_nothing_from_the_picture(
    pictures: list[Picture], features: FeatureCache
) -> None:
    model = untrained(pictures).train()
    config = dataclasses.replace(CONFIG, blind=True)
    rows = [p for p in pictures if p.source != "flickr8k"]
    step_loss(model, rows, features, {"dog": 1, "cup": 1}, config, random.Random(0)).backward()
    assert all(p.grad is None for p in model.connector.parameters())
    assert model.language.get_input_embeddings().weight.grad.abs().max() > 0


def test_all_of_a_training_step_happens_on_the_card(
    pictures: list[Picture], features: FeatureCache
) -> None:
    """What is left on the processor raises an error: the card's tensors hold no numbers and mix
    with those of no other device."""
    model = untrained(pictures).to_empty(device="meta").train()
    model.language.set_attn_implementation(PACKED)
    loss = step_loss(model, pictures[:4], features, {"dog": 1}, CONFIG, random.Random(0))
    loss.backward()
    assert loss.device.type == "meta"
    assert model.connector.row.grad.device.type == "meta"


def test_a_card_that_is_not_there_is_named_before_training(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    call = ["train", str(root), "--out", str(tmp_path / "out"), "--device", "cuda"]
    stopped = CliRunner().invoke(command.app, call)
    assert stopped.exit_code == 2
    assert "sees no graphics card" in stopped.stderr


BOXES = [
    Box("dog", 0.05, 0.4, 0.25, 0.8),
    Box("person", 0.6, 0.1, 0.95, 0.95),
    Box("cup", 0.3, 0.5, 0.36, 0.6),
    Box("cup", 0.4, 0.5, 0.46, 0.6),
]


def test_box_questions_are_answered_by_the_boxes() -> None:
    rng = random.Random(0)
    asked = [
        t for _ in range(60) for t in box_questions(BOXES, {"dog": 5, "person": 9, "zebra": 2}, rng)
    ]
    # two classes are beside each: no one answer
    assert {t.kind for t in asked} == set(QUESTION_TYPES) - {"left of", "right of"}
    for text in asked:
        if text.kind == "presence":
            assert text.answer == ("no" if "zebra" in text.prompt else "yes")
        if text.kind == "count" and "cup" in text.prompt:
            assert text.answer == "2"
        if text.kind == "place" and text.prompt.endswith("dog"):
            assert text.answer == "left"
        if text.kind == "largest":
            assert text.answer == "person"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    model = tiny_vlm()
    model.config = dataclasses.replace(model.config, threshold=0.0, beams=2)
    return evaluate_vlm(model, vlm_folder(tmp_path_factory.mktemp("data"), pictures=2), blind=model)


def test_evaluation_has_every_column(results: dict[str, Any]) -> None:
    assert set(results["captions"]) == {"flickr8k", "coco"}
    assert all(
        0 <= row["cider"] <= 10 and row["pictures"] == 1 for row in results["captions"].values()
    )
    assert results["answers"]["daquar, all"]["questions"] == 1
    # the training answer is "2", as the test's
    assert results["answers"]["daquar, all"]["majority"] == 1.0
    assert {"accuracy", "blind", "majority", "interval"} <= set(results["answers"]["boxes, all"])
    # no training picture was held out with all its questions here
    assert UNSEEN not in results["answers"]
    assert results["sure"]["boxes"]["share"] == 1.0  # from a threshold of 0 on, it is always sure


def test_the_card_states_what_was_measured(results: dict[str, Any], tmp_path: Path) -> None:
    measured = copy.deepcopy(results)
    measured["captions"]["coco"]["cider"] = 0.4321
    card = write_card(tmp_path, measured, model=tiny_vlm(), settings="Chosen by hand.").read_text()
    assert "| coco | 1 | 0.432 |" in card
    assert "6 answers" in card
    assert "Chosen by hand." in card
    assert "daquar, all" in card
    assert "I am not sure" in card


def test_confidence_is_fitted_to_how_often_answers_are_right() -> None:
    rng = random.Random(0)
    scores = [rng.uniform(-4, 0) for _ in range(3000)]
    right = [rng.random() < 1 / (1 + math.exp(-(1.5 * s + 2.0))) for s in scores]
    fitted = fit_confidence(scores, right)
    slope, offset = fitted
    assert slope == pytest.approx(1.5, abs=0.2)
    assert offset == pytest.approx(2.0, abs=0.3)
    with pytest.raises(ValueError, match="right and wrong"):
        fit_confidence([0.0, -1.0], [True, True])


PHOTO = encode(photo(448, 300), "JPEG")
LARGE = encode(photo(448, 336), "JPEG")


@pytest.fixture
def mirrors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Mirrors of three small sets, and a table of them; one picture has no repository."""
    host = Host(tmp_path)
    instances = {
        "categories": [{"id": 3, "name": "dog"}],
        "annotations": [
            {"image_id": 7, "category_id": 3, "bbox": [30.0, 60.0, 150.0, 75.0], "iscrowd": 0}
        ],
    }
    files = {
        ("picture", "flickr8k/a.jpg", "train", "JPEG"): PHOTO,
        (
            "captions",
            "flickr8k",
            "",
            "CSV",
        ): b'image,caption\na.jpg,"A dog, running ."\na.jpg,A dog\n',
        ("picture", "daquar/image1.jpg", "", "PNG"): encode(photo(300, 240), "PNG"),
        (
            "questions",
            "daquar",
            "train",
            "CSV",
        ): b"question,answer,image_id\nwhat is it,chair,image1\n",
        (
            "questions",
            "daquar",
            "test",
            "CSV",
        ): b"question,answer,image_id\nhow many chairs are,2,image1\n",
        ("picture", "coco/000000000007.jpg", "val", "JPEG"): PHOTO,
        ("boxes", "coco", "", "JSON"): json.dumps(instances).encode(),
    }
    paths = {key: f"files/{i}.{key[3].lower()}" for i, key in enumerate(files)}
    commit = host.commit("anna/sets", {paths[key]: data for key, data in files.items()})
    rows = [
        (
            kind,
            name,
            split,
            "anna/sets",
            commit,
            paths[kind, name, split, ending],
            ending,
            sha(data),
        )
        for (kind, name, split, ending), data in files.items()
    ]
    rows.append(
        ("picture", "coco/000000000009.jpg", "train", "", "", "", "JPEG", sha(shrink(LARGE)[0]))
    )
    columns = tuple(Reference.__dataclass_fields__)
    table = tmp_path / "vlm.csv.gz"
    table.write_bytes(
        gzip.compress(as_csv([dict(zip(columns, r, strict=True)) for r in rows], columns).encode())
    )
    monkeypatch.setattr(vlm_sources.read_references, "__defaults__", (table,))
    return host.mirrors


def lines(out: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (out / f"{name}.jsonl").read_text().splitlines()]


def test_the_tables_are_made_of_checked_files_and_training_reads_them(
    mirrors: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(command.app, ["data", "--out", str(out), "--mirrors", str(mirrors)])
    assert done.exit_code == 0, done.output
    assert lines(out, "flickr8k")[0]["captions"] == ["A dog, running .", "A dog"]
    assert {q["split"]: q["answer"] for q in lines(out, "daquar")[0]["qa"]} == {
        "train": "chair",
        "test": "2",
    }
    box = lines(out, "coco")[0]["boxes"][0]
    # as the picture: 224 of 300 px
    assert box == {"name": "dog", "xywh": [22.4, 44.8, 112.0, 56.0], "iscrowd": 0}
    pictures = {p.name: p for p in load_pictures(out)}
    assert set(pictures) == {"flickr8k/a.jpg", "daquar/image1.jpg", "coco/000000000007.jpg"}
    assert "1 of 2 pictures" in done.output


def test_a_changed_file_is_left_out_and_said(
    mirrors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "vlm.csv.gz"
    changed = gzip.decompress(table.read_bytes()).decode().replace(sha(PHOTO), sha(b"another"))
    table.write_bytes(gzip.compress(changed.encode()))
    out = tmp_path / "out"
    done = CliRunner().invoke(command.app, ["data", "--out", str(out), "--mirrors", str(mirrors)])
    assert done.exit_code == 2
    assert "2 files of repositories are missing" in done.output
    assert lines(out, "flickr8k") == []
    assert len(lines(out, "daquar")) == 1


def test_a_picture_of_the_archives_is_taken_where_its_shrunk_copy_is_the_known_one(
    mirrors: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "archive/val2017"
    archive.mkdir(parents=True)
    call = [
        "data",
        "--out",
        str(tmp_path / "out"),
        "--mirrors",
        str(mirrors),
        "--coco",
        str(tmp_path / "archive"),
    ]
    (archive / "000000000009.jpg").write_bytes(PHOTO)
    assert "1 of 2 pictures" in CliRunner().invoke(command.app, call).output
    (archive / "000000000009.jpg").write_bytes(LARGE)
    assert "2 of 2 pictures" in CliRunner().invoke(command.app, call).output


def test_the_table_of_the_shipped_model_names_every_file_once() -> None:
    rows = read_references(Path("training/tables/vlm.csv.gz"))
    pictures = [r for r in rows if r.kind == "picture"]
    assert len({r.name for r in pictures}) == len(pictures) == 3223
    assert sum(not r.repo for r in pictures) == 94
    assert all(len(r.commit) == 40 for r in rows if r.repo)
