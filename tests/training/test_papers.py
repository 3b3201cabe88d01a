"""One command goes from folders to the papers' tables, in miniature."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.defences.__main__ import evaluate
from benchmarks.defences.table import DENOISERS
from tests.conftest import ROOT
from tests.makers.detectors import WORKSHOP_CONFIG, gridded, tiny_tower, write_tower
from tests.makers.models import tiny_lora, tiny_purifier, vlm_folder
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
        tiny_purifier().save_pretrained(out)
        (out / "README.md").touch()

    def train_encoder(_data: Path, _more: Any, out: Path, *, purifier: Any, **_options: Any) -> int:
        assert purifier.config["fold"] == tiny_purifier().config["fold"]
        tiny_lora(tiny_tower()).save_pretrained(out)
        (out / "README.md").touch()
        return 0

    def evaluate_defences(config: Any, **_options: Any) -> dict[str, Any]:
        compared = Path(config.compared)
        assert {f"{folder}-encoder" for folder in DENOISERS.values()} <= set(os.listdir(compared))
        assert {row.split()[-1] for row in config.rows} == {"defence", "encoder", "own"}
        return {"cells": []}

    monkeypatch.setattr(papers, "run_step", run_step)
    monkeypatch.setattr("training.purifier.denoiser.train_purifier", train_purifier)
    monkeypatch.setattr("training.purifier.adapter.train_encoder", train_encoder)
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


@pytest.mark.full
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
    purifiers = ["training purifier"] * 2 * len(DENOISERS)
    detector = ["training data", "training detector", "training evaluate"]
    assert ran == [*detector, *purifiers, "benchmarks.defences --data"]
    assert SERIES in (tmp_path / "out" / "genimage-table.md").read_text()

    ran.clear()
    (tmp_path / "out" / "genimage-table.csv").unlink()
    assert CliRunner().invoke(app, words).exit_code == 0
    assert ran == ["training evaluate"]


def documented_commands(folder: Path) -> list[list[str]]:
    """Return what docs/papers.md runs for CoDefend's networks, as the shell reads it."""
    section = (ROOT / "docs" / "papers.md").read_text().split("### Six networks")[1]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    print_words = "python() { printf '%s\\n' \"$@\"; echo; }"
    script = "\n".join([print_words, *lines])
    done = subprocess.run(["bash", "-ec", script], cwd=folder, capture_output=True, check=True)
    return [command.split("\n")[1:] for command in done.stdout.decode().strip().split("\n\n")]


def test_the_documented_networks_are_those_that_one_command_trains(tmp_path: Path) -> None:
    data = vlm_folder(tmp_path / "DATA" / "vlm")
    steps = papers.purifier_steps(data, tmp_path / "runs")
    places = {str(papers.CONFIGS): "training/configs", f"{tmp_path}/runs/purifier": "runs/six"}
    places |= {f"{tmp_path}/runs/recipes.json": "runs/six.json", f"{tmp_path}/": ""}

    def as_documented(word: str) -> str:
        for place, name in places.items():
            word = word.replace(place, name)
        return word

    run = [[as_documented(word) for word in step.words] for step in steps]
    assert documented_commands(tmp_path) == run


def test_a_folder_of_another_layout_is_a_sentence(tmp_path: Path) -> None:
    words = ["papers", "--genimage", str(tmp_path), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "holds no pictures laid out as genimage" in result.stderr
