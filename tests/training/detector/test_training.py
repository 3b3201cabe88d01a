"""From pictures to a detector and its numbers, through the command line, on pictures made here and
a tiny tower."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner, Result

from causalclip.detector import Detector
from causalclip.method import PictureMask, SharedMask
from tests.makers.detectors import WORKSHOP_CONFIG as CONFIG
from tests.makers.detectors import (
    gridded,
    read_rows,
    saved_detector,
    train_words,
    workshop_folder,
    write_rows,
)
from training.__main__ import app
from training.detector import selection
from training.detector.recipe import Recipe

ROOT = Path(__file__).resolve().parents[3]


def invoke(*words: str) -> Result:
    return CliRunner().invoke(app, words, catch_exceptions=False)


def train(workshop: Path) -> Result:
    return invoke(*train_words(workshop))


def evaluate(workshop: Path) -> Result:
    if not (workshop / "model").is_dir():
        saved_detector(workshop)
    paths = {"model": "model", "manifest": "manifest.csv", "root": "pictures", "out": "report.json"}
    return invoke(
        "evaluate",
        *(word for name, path in paths.items() for word in (f"--{name}", str(workshop / path))),
    )


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    return workshop_folder(tmp_path)


# A run --------------------------------------------------------------------------------------------


def kept(workshop: Path) -> dict[str, int]:
    """Finished pieces of work: pictures and where their features lie, heads and when they were
    written."""
    lines = [
        line
        for file in (workshop / "cache").rglob("keys.txt")
        for line in file.read_text().splitlines()
    ]
    files = (workshop / "model").rglob("checkpoints/**/*.safetensors")
    heads = {str(f): f.stat().st_mtime_ns for f in files if "partial" not in f.name}
    return {line: number for number, line in enumerate(lines)} | heads


def killed_after_the_first_piece(workshop: Path) -> dict[str, int]:
    """Starts the training, kills it and what it started when something is finished, and returns
    what was."""
    command = [sys.executable, "-m", "training", *train_words(workshop)]
    run = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        for _ in range(6000):  # a busy machine takes minutes to start
            if kept(workshop) or run.poll() is not None:
                break
            time.sleep(0.1)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    return kept(workshop)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was killed once and then went to its end."""
    workshop = workshop_folder(tmp_path_factory.mktemp("workshop"))
    before = killed_after_the_first_piece(workshop)
    assert before
    assert not (workshop / "model" / "config.json").exists()
    assert train(workshop).exit_code == 0
    after = kept(workshop)
    assert len(after) > len(before)
    assert all(after[file] == written for file, written in before.items())  # not computed again
    return workshop


@pytest.mark.full
def test_a_killed_training_goes_on_and_ends_with_a_detector(trained: Path) -> None:
    detector = Detector.from_pretrained(trained / "model")
    config = detector.config
    assert (config.parts, config.share, config.revision) == (
        ("cls:2", "patch:1"),
        {"whole": 1.0},
        "of a test",
    )
    assert 0 < config.calibration.low < config.calibration.high < 1
    labels = np.arange(16) % 2
    scores = [
        detector.score(np.asarray(gridded(label, 100 + k))).probability
        for k, label in enumerate(labels)
    ]
    # a random tower: it must have learned something, not all
    assert roc_auc_score(labels, scores) > 0.7
    card = (trained / "model" / "README.md").read_text()
    for word in ("non-commercial", "license", "measured: written", "detector-linear"):
        assert word not in card  # it says nothing of the shipped detectors


@pytest.mark.full
def test_evaluate_reports_every_measure_by_set_and_source(trained: Path) -> None:
    assert evaluate(trained).exit_code == 0
    report = json.loads(text := (trained / "report.json").read_text())
    assert ".png" not in text  # no file's name
    assert (report["model"], report["revision"], report["split"]) == ("model", "of a test", "test")
    measures = {
        "auc",
        "ap",
        "balanced_accuracy",
        "balanced_accuracy_at_0.5",
        "tpr_at_1_fpr",
        "tpr_at_5_fpr",
        "ece",
    }
    assert measures | {"real_accuracy", "generated_accuracy"} <= report["broad"].keys()
    assert report["broad"]["pictures"] == 12
    assert report["broad"]["auc"] > 0.7
    assert sum(source["pictures"] for source in report["sources"].values()) == 12


# Recipes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "mask"), [("paper", PictureMask), ("causal", PictureMask), ("linear", SharedMask)]
)
def test_the_recipes_train_on_a_small_tower(
    name: str, mask: type, workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # few steps: all else is asked here, and test_fitting takes the paper's 2,000
    monkeypatch.setattr(selection, "PROBING", (20, 256, 1e-3))
    config = json.loads((ROOT / "training" / "configs" / f"{name}.json").read_text())
    if "steps" in config["head"]:
        config["head"]["steps"] = 60
    layers, selected = name != "paper", name == "linear"
    config |= {"parts": ["cls:2", "patch:1"] if layers else config["parts"], "folds": 2}
    (workshop / "config.json").write_text(json.dumps(config))
    assert train(workshop).exit_code == 0
    detector = Detector.from_pretrained(workshop / "model")
    assert {type(head.mask) for head in detector.heads.values()} == {mask}
    seen = detector.predict(np.asarray(gridded(1, 5)))
    assert {view.view_type for view in seen.views} == ({"whole", "window"} if layers else {"whole"})
    total = sum(float(v.causal.sum()) + v.rest for v in seen.views) + seen.rest
    assert total == pytest.approx(seen.logit, abs=1e-3)
    varies = json.loads((workshop / "model" / "training.json").read_text())["masks"]["whole"][
        "variance"
    ]
    assert (varies == 0) == selected


@pytest.mark.parametrize(
    ("file", "name"), [("linear", "detector-linear"), ("causal", "detector-causal")]
)
def test_the_shipped_detectors_are_of_their_recipes(file: str, name: str) -> None:
    recipe, config = (
        Recipe.read(ROOT / "training" / "configs" / f"{file}.json"),
        Detector.from_pretrained(name).config,
    )
    assert (recipe.parts, recipe.windows) == (config.parts, config.windows)
    assert not recipe.revision  # what somebody trains is not called as ours
    assert (recipe.head.hidden, recipe.share) == (config.hidden, config.share["window"])


# Bad input ----------------------------------------------------------------------------------------


def refused(result: Result, words: str) -> None:
    """Exit code 1, and one line that says what is wrong."""
    assert result.exit_code == 1
    (line,) = result.stderr.strip().splitlines()
    assert words in line


@pytest.mark.parametrize("command", [train, evaluate])
def test_a_manifest_that_cannot_be_used_is_refused(command, workshop: Path) -> None:
    rows, split = read_rows(workshop), "train" if command is train else "test"
    write_rows(
        workshop, [{k: v for k, v in r.items() if k not in {"label", "split"}} for r in rows]
    )
    refused(command(workshop), "missing: label, split.")
    write_rows(workshop, [r for r in rows if r["label"] == "real"])
    refused(
        command(workshop),
        f"The split '{split}' needs real and generated pictures; the manifest has only real",
    )
    write_rows(workshop, rows)
    os.rename(workshop / "pictures", workshop / "moved")
    (workshop / "pictures").mkdir()
    refused(command(workshop), "None of the manifest's files can be read in")
    assert not (workshop / "cache").exists()


def test_training_goes_on_without_what_cannot_be_read(workshop: Path) -> None:
    write_rows(workshop, [{k: v for k, v in r.items() if k != "set"} for r in read_rows(workshop)])
    (workshop / "config.json").write_text(json.dumps(CONFIG | {"augmentations": ["light"]}))
    (workshop / "pictures" / "3.png").unlink()
    (workshop / "pictures" / "4.png").write_bytes(b"no picture")
    broken = workshop / "pictures" / "5.png"
    broken.write_bytes(broken.read_bytes()[:200])
    result = train(workshop)
    assert result.exit_code == 0, result.output
    sentence = (
        "Left out, 3 of 36 files: 3.png is missing, 4.png cannot be read, 5.png cannot be read."
    )
    assert result.stderr.count(sentence) == 1
    detector = Detector.from_pretrained(workshop / "model")
    assert float(detector.heads["whole"].verdict.weight.abs().sum()) > 0


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            KeyboardInterrupt(),
            "Stopped. What is finished is kept: the same command goes on from there.",
        ),
        (
            RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"),
            "A worker process was killed, most likely for want of memory. What is finished",
        ),
    ],
)
def test_a_stopped_run_says_what_is_kept(
    error: BaseException, words: str, workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("training.detector.features._fill", stop)
    refused(train(workshop), words)
    (workshop / "report.json").write_text("the old one")
    monkeypatch.setattr("training.detector.evaluation.score_split", stop)
    refused(evaluate(workshop), "report.json is as it was.")
    assert (workshop / "report.json").read_text() == "the old one"
