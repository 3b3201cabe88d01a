"""From a manifest to a detector and its numbers, through the command line, on pictures made here and a tiny tower."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from causalclip.cli import app
from causalclip.detector import Detector
from causalclip.training.recipe import Recipe
from tests.makers.towers import write_tower

ROOT = Path(__file__).resolve().parents[3]
CONFIG = {
    "parts": ["cls:2", "patch:1"],
    "copies": 2,
    "folds": 2,
    "window_share": 0.3,
    "splices": 8,
    "revision": "of a test",
    "head": {"epochs": 8, "batch": 32, "hidden": 8, "rate": 0.01},
}


def picture(label: int, seed: int) -> Image.Image:
    """Smooth for a real one; a generated one carries a grid of 2 px."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:1:120j, 0:1:160j]
    smooth = sum(rng.uniform(30, 60) * np.sin(rng.uniform(1, 5) * x + rng.uniform(1, 5) * y + k) for k in range(3))
    grid = 50 * label * ((np.arange(160)[None] // 2 + np.arange(120)[:, None] // 2) % 2 - 0.5)
    return Image.fromarray((128 + smooth + grid).clip(0, 255).astype(np.uint8)).convert("RGB")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, their manifest, a tower and a config."""
    folder = tmp_path_factory.mktemp("workshop")
    (folder / "pictures").mkdir()
    rows = []
    for seed in range(48):
        label, split = seed % 2, "test" if seed >= 36 else "train"
        source = f"{('camera', 'generator')[label]}{seed // 2 % 4}"
        for view in ("whole", "crop") if split == "train" else ("picture",):
            shot = picture(label, seed)
            (shot.crop((20, 10, 84, 74)) if view == "crop" else shot).save(folder / "pictures" / f"{seed}-{view}.png")
            rows.append(
                {"path": f"{seed}-{view}.png", "label": ("real", "fake")[label], "source": source, "split": split}
                | {"set": "broad", "view": view, "picture": str(seed), "family": source}
            )
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    write_tower(folder / "tower")
    return folder


def data(workshop: Path) -> list[str]:
    return ["--manifest", str(workshop / "manifest.csv"), "--root", str(workshop / "pictures")]


def train(workshop: Path) -> list[str]:
    tower = f"local-dir:{workshop / 'tower'}"
    options = {"backbone": tower, "out": "model", "config": "config.json", "cache": "cache"}
    paths = {name: value if name == "backbone" else str(workshop / value) for name, value in options.items()}
    return ["train", *data(workshop), *(word for name, value in paths.items() for word in (f"--{name}", value))]


def kept(workshop: Path) -> dict[Path, int]:
    """Finished pieces of work and when they were written."""
    files = [*(workshop / "cache").rglob("*.npz"), *(workshop / "model").rglob("checkpoints/**/*.safetensors")]
    return {f: f.stat().st_mtime_ns for f in files if "partial" not in f.name}


def killed_after_the_first_piece(workshop: Path) -> dict[Path, int]:
    """Starts the training, kills it and what it started when something is finished, and returns what was."""
    command = [sys.executable, "-m", "causalclip", *train(workshop)]
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


class Inside(ThreadPoolExecutor):
    """A pool in this process: the killed run has used the real one, whose processes are slow to start."""

    def __init__(self, workers: int, mp_context: object) -> None:
        super().__init__(1)


@pytest.fixture(scope="module")
def trained(workshop: Path) -> Path:
    """The folder of a detector whose training was killed once, and then run to its end."""
    before = killed_after_the_first_piece(workshop)
    assert before
    assert not (workshop / "model" / "config.json").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("causalclip.training.features.ProcessPoolExecutor", Inside)
        result = CliRunner().invoke(app, train(workshop), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    after = kept(workshop)
    assert len(after) > len(before)
    assert all(after[file] == written for file, written in before.items())  # not computed again
    return workshop / "model"


def test_a_killed_training_goes_on_and_ends_with_a_detector(trained: Path, workshop: Path) -> None:
    detector = Detector.from_pretrained(trained)
    config = detector.config
    assert config.parts == ("cls:2", "patch:1")
    assert config.share == {"whole": 0.7, "window": pytest.approx(0.3)}
    assert config.revision == "of a test"
    assert 0 < config.calibration.low < config.calibration.high < 1
    labels = np.arange(16) % 2
    scores = [detector.judge(np.asarray(picture(label, 100 + k))).probability for k, label in enumerate(labels)]
    assert roc_auc_score(labels, scores) > 0.7  # a random tower: it must have learned something, not all


def test_training_again_changes_nothing(trained: Path, workshop: Path) -> None:
    before, weights = kept(workshop), (trained / "head.safetensors").read_bytes()
    assert CliRunner().invoke(app, train(workshop), catch_exceptions=False).exit_code == 0
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
