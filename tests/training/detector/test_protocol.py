"""The papers' protocol, in miniature: learn from one series of generators, be judged on every
one."""

import csv
import json
import os
import shlex
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import average_precision_score
from typer.testing import CliRunner, Result

from causalclip.detector import Detector
from tests.conftest import ROOT
from tests.makers.detectors import (
    WORKSHOP_CONFIG,
    gridded,
    saved_detector,
    train_words,
    workshop_folder,
    write_tower,
)
from training.__main__ import app
from training.dataset.folders import BadFolder, Row, read_folder
from training.detector.data import (
    Record,
    assign_folds,
    check_training,
    divide_lone_groups,
    read_manifest,
)
from training.detector.evaluation import Scores
from training.detector.generator_table import best_accuracy, generator_table

SDV4 = "imagenet_ai_0419_sdv4"
SERIES = SDV4, "imagenet_ai_0508_adm", "imagenet_ai_0419_biggan"
# px, of GenImage: what its photographs mostly have, and its generators
PHOTOGRAPH = 480, 360
SIZES = {SDV4: (512, 512), SERIES[1]: (256, 256), SERIES[2]: (128, 128)}
MEASURES = "accuracy at 0.5", "accuracy at the best threshold", "AP"


def invoke(*words: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def pictures(folder: Path, label: int, count: int, size: tuple[int, int], *, seed: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        gridded(label, seed + number, size=size).save(folder / f"{number}.png")


def genimage(folder: Path, *, photograph: tuple[int, int] = PHOTOGRAPH) -> None:
    """Three series as GenImage lays them out, in its sizes, with 20 pictures of each class to learn
    from and 6 to be judged on."""
    for i, series in enumerate(SERIES):
        for j, (split, count) in enumerate({"train": 20, "val": 6}.items()):
            for label, kind in enumerate(("nature", "ai")):
                seed = 1000 * i + 100 * j + 50 * label
                size = SIZES[series] if label else photograph
                pictures(folder / "GenImage" / series / split / kind, label, count, size, seed=seed)


def documented_commands() -> list[list[str]]:
    """Return the commands of docs/papers.md on GenImage, as words after `python -m training`."""
    section = (ROOT / "docs" / "papers.md").read_text().split("### On GenImage")[1].split("###")[0]
    block = "".join(line[4:] for line in section.splitlines(True) if line.startswith("    "))
    lines = block.replace("\\\n", " ").splitlines()
    return [shlex.split(line.removeprefix("python -m training ")) for line in lines]


def run_documented(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: str) -> list[Result]:
    """Run the documented commands in the folder on a small tower, with some words changed."""
    tower = write_tower(folder / "tower", image_size=224, patch_size=32, layers=12)
    changes = {"ViT-L-14-quickgelu/openai": tower, "auto": "cpu"} | changes
    monkeypatch.chdir(folder)
    results = []
    for words in documented_commands():
        words = [changes.get(word, word) for word in words]
        words = [str(ROOT / word) if word.startswith("training/") else word for word in words]
        results.append(invoke(*words))
    return results


@pytest.mark.full
@pytest.mark.parametrize("config", ["paper", "causal"])
def test_documented_commands_learn_from_one_series_and_keep_their_manifest(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genimage(tmp_path)
    settings = json.loads((ROOT / "training" / "configs" / f"{config}.json").read_text())
    if config == "paper":
        settings["head"] |= {"steps": 100, "rate": 2e-3}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    changes = {"training/configs/paper.json": str(tmp_path / "settings.json")}
    described, _trained, printed = run_documented(tmp_path, monkeypatch, **changes)

    # 1. The manifest, which is still there
    assert f"train  {SDV4}: 20 real, 20 generated" in described.stdout
    assert f"aside  {SERIES[1]}: 20 real, 20 generated" in described.stdout
    assert len(read_manifest("genimage.csv")) == 3 * 2 * 26

    # 2. The table
    with Path("genimage-table.csv").open(newline="") as file:
        rows = {row["generator"]: row for row in csv.DictReader(file)}
    assert list(rows) == [*sorted(SERIES), "mean"]
    assert {(row["real"], row["generated"]) for name, row in rows.items() if name != "mean"} == {
        ("6", "6")
    }
    for measure in MEASURES:
        values = [float(rows[name][measure]) for name in SERIES]
        assert float(rows["mean"][measure]) == pytest.approx(np.mean(values), abs=0.1)
    # a random tower: it must have learned something, not all
    assert float(rows[SDV4]["AP"]) > 70
    assert printed.stdout == Path("genimage-table.md").read_text()

    # 3. The model: of this run, not of the shipped detector
    detector = Detector.from_pretrained("runs/genimage")
    assert detector.config.revision.startswith(f"{date.today():%Y.%m.%d}-")
    assert set(detector.heads) == ({"whole", "window"} if config == "causal" else {"whole"})
    logs = {
        path.parent.name: [json.loads(line) for line in path.read_text().splitlines()]
        for path in Path("runs/genimage").rglob("train.jsonl")
    }
    assert set(logs) == {f"genimage-{view}" for view in detector.heads}
    assert all(0 < rows[-1]["open"] < 1 for rows in logs.values())
    if config == "paper":
        assert [row["step"] for row in logs["genimage-whole"]] == [50, 100]
    assert all(
        torch.isfinite(t).all() for t in load_file("runs/genimage/head.safetensors").values()
    )


@pytest.mark.full
@pytest.mark.parametrize(
    ("series", "photograph"), [(SERIES[2], PHOTOGRAPH), (SERIES[1], (256, 256))]
)
def test_too_few_pictures_with_windows_give_a_detector_without_a_head_of_windows(
    series: str,
    photograph: tuple[int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    genimage(tmp_path, photograph=photograph)
    causal = {"training/configs/paper.json": "training/configs/causal.json", SDV4: series}
    _described, trained, _printed = run_documented(tmp_path, monkeypatch, **causal)
    assert "large enough for windows at native scale: the detector has no head" in trained.stderr
    detector = Detector.from_pretrained("runs/genimage")
    assert (set(detector.heads), detector.config.windows) == ({"whole"}, 0)
    assert all(
        torch.isfinite(t).all() for t in load_file("runs/genimage/head.safetensors").values()
    )


def test_evaluate_refuses_to_overwrite_its_inputs(tmp_path: Path) -> None:
    workshop_folder(tmp_path)
    saved_detector(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    os.symlink(tmp_path / "manifest.csv", tmp_path / "link.json")
    (tmp_path / "report-table.csv").write_bytes((tmp_path / "manifest.csv").read_bytes())
    for out, manifest, table in (
        ("manifest.csv", "manifest.csv", False),
        ("link.json", "manifest.csv", False),
        ("report.json", "report-table.csv", True),
        ("model/config.json", "manifest.csv", False),
        ("pictures/40.png", "manifest.csv", False),
    ):
        paths = {"manifest": manifest, "root": "pictures", "model": "model", "out": out}
        words = [w for name, path in paths.items() for w in (f"--{name}", str(tmp_path / path))]
        result = CliRunner().invoke(app, ["evaluate", *words, *(["--table"] if table else [])])
        assert result.exit_code == 1, result.output
        assert "would be written over: give --out another name." in result.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_training_refuses_to_overwrite_its_config(tmp_path: Path) -> None:
    workshop_folder(tmp_path)
    words = train_words(tmp_path)
    words[words.index("--out") + 1] = str(tmp_path)
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "config.json is read by this command" in result.stderr
    assert json.loads((tmp_path / "config.json").read_text()) == WORKSHOP_CONFIG


def test_a_head_that_diverged_is_not_saved(tmp_path: Path) -> None:
    workshop_folder(tmp_path)
    head = WORKSHOP_CONFIG["head"] | {"rate": 1e30, "epochs": 3}
    (tmp_path / "config.json").write_text(json.dumps(WORKSHOP_CONFIG | {"head": head}))
    result = CliRunner().invoke(app, train_words(tmp_path))
    assert result.exit_code == 1
    assert "are not finite" in result.stderr.splitlines()[-1], result.exception
    assert not (tmp_path / "model" / "head.safetensors").exists()


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
    real = {path for path in tested[SERIES[1]] if path.startswith("real")}
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
