"""From a manifest to a detector and its numbers, through the command line, on pictures made here and a tiny tower."""

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
from typer.testing import CliRunner

from causalclip.cli import app
from causalclip.detector import Detector
from causalclip.training.recipe import Recipe
from tests.makers.workshops import Inside, gridded, train_words, workshop_folder

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workshop_folder(tmp_path_factory.mktemp("workshop"))


def data(workshop: Path) -> list[str]:
    return ["--manifest", str(workshop / "manifest.csv"), "--root", str(workshop / "pictures")]


def kept(workshop: Path) -> dict[Path, int]:
    """Finished pieces of work and when they were written."""
    files = [*(workshop / "cache").rglob("*.np[yz]"), *(workshop / "model").rglob("checkpoints/**/*.safetensors")]
    return {f: f.stat().st_mtime_ns for f in files if "partial" not in f.name}


def killed_after_the_first_piece(workshop: Path) -> dict[Path, int]:
    """Starts the training, kills it and what it started when something is finished, and returns what was."""
    command = [sys.executable, "-m", "causalclip", *train_words(workshop)]
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
def trained(workshop: Path) -> Path:
    """The folder of a detector whose training was killed once, and then run to its end."""
    before = killed_after_the_first_piece(workshop)
    assert before
    assert not (workshop / "model" / "config.json").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("causalclip.training.features.ProcessPoolExecutor", Inside)
        result = CliRunner().invoke(app, train_words(workshop), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    after = kept(workshop)
    assert len(after) > len(before)
    assert all(after[file] == written for file, written in before.items())  # not computed again
    return workshop / "model"


def test_a_killed_training_goes_on_and_ends_with_a_detector(trained: Path, workshop: Path) -> None:
    detector = Detector.from_pretrained(trained)
    config = detector.config
    assert config.parts == ("cls:2", "patch:1")
    assert config.share == {"whole": 1.0}
    assert config.revision == "of a test"
    assert 0 < config.calibration.low < config.calibration.high < 1
    labels = np.arange(16) % 2
    scores = [detector.judge(np.asarray(gridded(label, 100 + k))).probability for k, label in enumerate(labels)]
    assert roc_auc_score(labels, scores) > 0.7  # a random tower: it must have learned something, not all


def test_training_again_changes_nothing(trained: Path, workshop: Path) -> None:
    before, weights = kept(workshop), (trained / "head.safetensors").read_bytes()
    assert CliRunner().invoke(app, train_words(workshop), catch_exceptions=False).exit_code == 0
    assert kept(workshop) == before
    assert (trained / "head.safetensors").read_bytes() == weights


def test_the_card_tells_what_it_was_trained_on_and_how_the_mask_is(trained: Path) -> None:
    card = (trained / "README.md").read_text()
    assert card.startswith("---\n")
    assert "revision of a test" in card
    assert "| broad | generated | 18 | 4 |" in card
    assert "| broad | real | 18 | 4 |" in card
    assert "density" in card
    assert "nan" not in card.lower().replace("finance", "")
    report = json.loads((trained / "training.json").read_text())
    assert report["pictures"] == 36
    for mask in report["masks"].values():
        assert 0.02 < mask["density"] < 0.98
        assert 0 <= mask["nhsic"] <= 1
        assert 0 <= mask["adversary_accuracy"] <= 1


def test_evaluate_reports_every_measure_by_set_and_source(trained: Path, workshop: Path) -> None:
    out = workshop / "reports" / "test.json"
    result = CliRunner().invoke(
        app, ["evaluate", "--model", str(trained), *data(workshop), "--out", str(out)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    report = json.loads(out.read_text())
    assert (report["model"], report["revision"], report["split"]) == ("model", "of a test", "test")
    measures = {"auc", "ap", "balanced_accuracy", "balanced_accuracy_at_0.5", "tpr_at_1_fpr", "tpr_at_5_fpr", "ece"}
    assert measures | {"real_accuracy", "generated_accuracy"} <= report["broad"].keys()
    assert report["broad"]["pictures"] == 12
    assert report["broad"]["auc"] > 0.7
    assert sum(source["pictures"] for source in report["sources"].values()) == 12


def test_settings_come_from_json_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps({"head": {"epochs": 3, "weights": {"sparsity": 0.5}}, "folds": 3}))
    recipe = Recipe.read(tmp_path / "c.json")
    assert (recipe.folds, recipe.head.epochs, recipe.head.weights.sparsity) == (3, 3, 0.5)
    assert recipe.head.weights.independence == Recipe().head.weights.independence  # what is not named stays
    (tmp_path / "c.json").write_text('{"head": {"epoch": 3}}')
    with pytest.raises(TypeError, match="epoch"):
        Recipe.read(tmp_path / "c.json")
