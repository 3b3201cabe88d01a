"""One command goes from folders to the papers' tables, in miniature."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.defences.__main__ import evaluate
from tests.makers.detectors import WORKSHOP_CONFIG, gridded, write_tower
from tests.makers.models import vlm_folder
from training import papers
from training.__main__ import app

SERIES = "imagenet_ai_0419_sdv4"
defences = typer.Typer()
defences.command()(evaluate)


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs the steps in this process, those of the detector on a tiny tower; the networks and the
    table of defences stand as files alone."""
    names: list[str] = []

    def run_step(words: list[str]) -> int:
        names.append(" ".join(words[:2]))
        command = {"training": app, "benchmarks.defences": defences}[words[0]]
        result = CliRunner().invoke(command, words[1:])
        assert result.exit_code == 0, result.output
        return result.exit_code

    def train_purifier(_sources: Any, out: Path, *, cache: Path, **_options: Any) -> None:
        assert cache == tmp_path / "out" / "purifier"
        out.mkdir(parents=True)
        (out / "README.md").touch()

    def evaluate_defences(config: Any, **_options: Any) -> dict[str, Any]:
        assert len(config.rows) == 4
        return {"cells": []}

    monkeypatch.setattr(papers, "run_step", run_step)
    monkeypatch.setattr("training.purifier.denoiser.train_purifier", train_purifier)
    monkeypatch.setattr("benchmarks.defences.evaluate_defences", evaluate_defences)
    monkeypatch.setattr("benchmarks.purification.defence_tables", lambda *_: [])
    return names


def words_for(folder: Path) -> list[str]:
    """Makes one series of GenImage, the language model's data and a tower; returns the command."""
    for split, count in {"train": 12, "val": 4}.items():
        for label, kind in enumerate(("nature", "ai")):
            place = folder / "GenImage" / SERIES / split / kind
            place.mkdir(parents=True)
            for number in range(count):
                seed = 100 * len(split) + 50 * label + number
                gridded(label, seed).save(place / f"{number}.png")
    vlm_folder(folder / "vlm")
    (folder / "config.json").write_text(json.dumps(WORKSHOP_CONFIG))
    tower = write_tower(folder / "tower")
    options = {"genimage": "GenImage", "vlm": "vlm", "out": "out", "config": "config.json"}
    paths = [w for name, path in options.items() for w in (f"--{name}", str(folder / path))]
    return ["papers", *paths, "--backbone", tower, "--device", "cpu"]


def test_folders_become_both_tables_and_complete_steps_are_not_run_again(
    tmp_path: Path, ran: list[str]
) -> None:
    words = words_for(tmp_path)
    estimate = CliRunner().invoke(app, [*words, "--estimate"])
    assert estimate.exit_code == 0, estimate.output
    assert "24 pictures" in estimate.stdout
    assert not ran
    assert not (tmp_path / "out").exists()

    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    purifiers = ["training purifier"] * 3
    detector = ["training data", "training detector", "training evaluate"]
    assert ran == [*detector, *purifiers, "benchmarks.defences --data"]
    assert SERIES in (tmp_path / "out" / "genimage-table.md").read_text()

    ran.clear()
    (tmp_path / "out" / "genimage-table.csv").unlink()
    assert CliRunner().invoke(app, words).exit_code == 0
    assert ran == ["training evaluate"]


def test_a_folder_of_another_layout_is_a_sentence(tmp_path: Path) -> None:
    words = ["papers", "--genimage", str(tmp_path), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "holds no pictures laid out as genimage" in result.stderr
