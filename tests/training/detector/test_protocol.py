"""The papers' protocol, in miniature: learn from one series of generators, be judged on every
one."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from typer.testing import CliRunner

from tests.conftest import ROOT
from tests.makers.detectors import gridded, write_tower
from training.__main__ import app
from training.dataset.folders import BadFolder, Row, read_folder
from training.detector.data import Record, assign_folds, check_training, divide_lone_groups
from training.detector.evaluation import Scores
from training.detector.generator_table import best_accuracy, generator_table

SERIES = "sdv4", "adm", "wukong"


def invoke(*words: str | Path) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def pictures(folder: Path, label: int, count: int, *, seed: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        gridded(label, seed + number).save(folder / f"{number}.png")


@pytest.fixture
def genimage(tmp_path: Path) -> Path:
    """Three series as GenImage lays them out, with 12 pictures of each class to learn from and 6 to
    be judged on."""
    for i, series in enumerate(SERIES):
        for j, (split, count) in enumerate({"train": 12, "val": 6}.items()):
            for label, kind in enumerate(("nature", "ai")):
                seed = 1000 * i + 100 * j + 50 * label
                pictures(tmp_path / "genimage" / series / split / kind, label, count, seed=seed)
    return tmp_path / "genimage"


@pytest.mark.full
def test_one_series_is_learned_from_and_every_one_is_in_the_table(
    genimage: Path, tmp_path: Path
) -> None:
    manifest, model = tmp_path / "manifest.csv", tmp_path / "model"
    config = json.loads((ROOT / "training" / "configs" / "paper.json").read_text())
    config["head"] |= {"batch": 8, "hidden": 8}
    (tmp_path / "config.json").write_text(json.dumps(config | {"folds": 3}))
    where = ("--manifest", manifest, "--root", genimage)

    said = invoke(
        "data", "folder", genimage, "--layout", "genimage", "--train", "sdv4", "--out", manifest
    )
    assert "train  sdv4: 12 real, 12 generated" in said
    assert "aside  adm: 12 real, 12 generated" in said

    tower = write_tower(tmp_path / "tower")
    invoke(
        "detector",
        *where,
        "--backbone",
        tower,
        "--config",
        tmp_path / "config.json",
        "--out",
        model,
    )
    printed = invoke(
        "evaluate", *where, "--model", model, "--out", tmp_path / "report.json", "--table"
    )

    with (tmp_path / "report.csv").open(newline="") as file:
        rows = {row["generator"]: row for row in csv.DictReader(file)}
    assert list(rows) == [*sorted(SERIES), "mean"]
    assert all(
        (row["real"], row["generated"]) == ("6", "6")
        for name, row in rows.items()
        if name != "mean"
    )
    for measure in ("accuracy at 0.5", "accuracy at the best threshold", "AP"):
        values = [float(rows[name][measure]) for name in SERIES]
        assert float(rows["mean"][measure]) == pytest.approx(np.mean(values), abs=0.1)
    assert float(rows["mean"]["AP"]) > 70  # a random tower: it must have learned something, not all
    assert printed.startswith("| generator |")
    assert printed == (tmp_path / "report.md").read_text()


def record(number: int, label: int, *, set: str = "broad", source: str = "one") -> Record:
    return Record(
        f"{number}-{set}", label, source, "train", set, "picture", f"{number}-{set}", source
    )


def test_a_class_of_one_source_is_held_out_by_a_hash(capsys: pytest.CaptureFixture[str]) -> None:
    records = [record(i, i % 2, source=("nature", "sdv4")[i % 2]) for i in range(200)]
    divided = divide_lone_groups(records, folds=4)
    check_training(divided, folds=4)
    fold_of = assign_folds(divided, folds=4)
    for label in (0, 1):
        counts = np.bincount([fold_of[r.group] for r in divided if r.label == label], minlength=4)
        assert counts.min() > 10
    assert "a hash draws the folds" in capsys.readouterr().err
    again = divide_lone_groups(records[::-1], folds=4)
    assert again[::-1] == divided  # by the picture, not by its place


def test_sources_that_can_be_told_apart_are_held_out_whole() -> None:
    records = [
        record(i, i % 2, source=f"{('camera', 'generator')[i % 2]}{i // 2 % 3}") for i in range(60)
    ]
    assert divide_lone_groups(records, folds=3) == records


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def found(rows: list[Row]) -> set[tuple[str, str, str]]:
    return {(row.split, row.set, row.path) for row in rows}


def test_universalfakedetect_is_read_with_the_real_pictures_that_its_series_share(
    tmp_path: Path,
) -> None:
    touch(
        tmp_path,
        *(
            "train/cat/0_real/1.png",
            "train/cat/1_fake/2.png",
            "val/cat/1_fake/3.png",
            "train/cat/1_fake/notes.txt",
        ),
        *("test/cyclegan/horse/0_real/4.png", "test/cyclegan/horse/1_fake/5.png"),
        *("diffusion_datasets/imagenet/0_real/6.png", "diffusion_datasets/laion/0_real/7.png"),
        *("diffusion_datasets/guided/1_fake/8.png", "diffusion_datasets/dalle/1_fake/9.png"),
    )
    rows = read_folder(tmp_path, "universalfakedetect")
    assert found(rows) == {
        ("train", "progan", "train/cat/0_real/1.png"),
        ("train", "progan", "train/cat/1_fake/2.png"),
        ("aside", "progan", "val/cat/1_fake/3.png"),
        ("test", "cyclegan", "test/cyclegan/horse/0_real/4.png"),
        ("test", "cyclegan", "test/cyclegan/horse/1_fake/5.png"),
        ("test", "guided", "diffusion_datasets/imagenet/0_real/6.png"),
        ("test", "guided", "diffusion_datasets/guided/1_fake/8.png"),
        ("test", "dalle", "diffusion_datasets/laion/0_real/7.png"),
        ("test", "dalle", "diffusion_datasets/dalle/1_fake/9.png"),
    }
    assert {row.label for row in rows if "0_real" in row.path} == {"real"}


def test_two_plain_folders_are_split_by_a_hash_and_every_series_meets_all_real_test_pictures(
    tmp_path: Path,
) -> None:
    touch(
        tmp_path,
        *(f"real/{i}.jpg" for i in range(60)),
        *(f"fake/{s}/{i}.jpg" for s in SERIES for i in range(60)),
    )
    rows = read_folder(tmp_path, "flat")
    assert rows == read_folder(tmp_path, "flat")
    tested = {
        series: {r.path for r in rows if r.split == "test" and r.set == series} for series in SERIES
    }
    real = {path for path in tested["adm"] if path.startswith("real")}
    assert 4 < len(real) < 24
    assert all(real < paths for paths in tested.values())
    learned = [row.path for row in rows if row.split == "train"]
    assert len(learned) == len(set(learned))
    assert not set(learned) & set.union(*tested.values())


def test_a_folder_of_another_layout_or_series_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "sdv4/train/ai/1.png", "sdv4/train/nature/1.png")
    with pytest.raises(BadFolder, match="laid out as flat: real/FILE"):
        read_folder(tmp_path, "flat")
    with pytest.raises(BadFolder, match=r"no training pictures of adm; there are of sdv4\."):
        read_folder(tmp_path, "genimage", train=["adm"])


def test_the_best_threshold_is_no_worse_than_any_other() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        labels, scores = rng.integers(0, 2, 30), rng.integers(0, 8, 30) / 8
        tried = [((scores >= t) == labels).mean() for t in [-1, *np.unique(scores), 2]]
        assert best_accuracy(labels, scores) == pytest.approx(max(tried))


def test_the_mean_counts_each_generator_alike() -> None:
    rng = np.random.default_rng(1)
    counts = {"many": 80, "few": 6}
    records = tuple(
        record(i, i % 2, set=name) for name, count in counts.items() for i in range(count)
    )
    probability = np.array([0.6 * r.label * (r.set == "few") + 0.4 * rng.random() for r in records])
    first, second, mean = generator_table(
        Scores(records, probability, ("inconclusive",) * len(records))
    )
    assert (first.generator, first.accuracy, first.average_precision) == ("few", 1.0, 1.0)
    many = [i for i, r in enumerate(records) if r.set == "many"]
    ap = average_precision_score([records[i].label for i in many], probability[many])
    assert second.average_precision == pytest.approx(ap)
    assert mean.average_precision == pytest.approx((1 + ap) / 2)
