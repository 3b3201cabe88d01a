"""The commands say which data and packages they need before anything is learned, and log where
they are told."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from training.__main__ import app
from training.purifier import loop

TENSORBOARD = "torch.utils.tensorboard"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["purifier", "train", "--out", "{folder}/m"], "vlm data"),
        (["purifier", "refine", "--folder", "{folder}/m"], "--data"),
        (["purifier", "train-encoder", "--out", "{folder}/m"], "--data"),
        (["purifier", "optimise-prompt", "--out", "{folder}/m", "--vlm", "some/model"], "--data"),
        (["detector", "--out", "{folder}/m"], "--originals"),
    ],
)
def test_a_command_says_which_data_it_needs(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    result = CliRunner().invoke(app, [word.format(folder=tmp_path) for word in arguments])
    assert result.exit_code != 0
    assert words in result.output


def train_purifier(folder: Path) -> Result:
    words = ["--tensorboard", folder / "board", "purifier", "train", "--out", folder / "purifier"]
    return CliRunner().invoke(app, [str(word) for word in words])


def test_tensorboard_is_given_every_row_of_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def log_twice(_sources: Any, _out: Path, **_options: Any) -> None:
        (tmp_path / "run").mkdir()
        loop.log_row(tmp_path / "run", {"step": 100, "loss": 0.5, "psnr": 30.0})
        loop.log_row(tmp_path / "run", {"step": 200, "loss": 0.25})

    class Writer:
        def __init__(self, folder: Path) -> None:
            self.folder = folder
            self.waiting: list[tuple[Path, str, float, int]] = []

        def add_scalar(self, name: str, value: float, step: int) -> None:
            self.waiting.append((self.folder, name, value, step))

        def flush(self) -> None:
            written.extend(self.waiting)
            self.waiting.clear()

    written: list[tuple[Path, str, float, int]] = []
    monkeypatch.setattr(loop, "READERS", [])
    monkeypatch.setattr("training.tensorboard.READERS", loop.READERS)
    monkeypatch.setitem(sys.modules, TENSORBOARD, SimpleNamespace(SummaryWriter=Writer))
    monkeypatch.setattr("training.purifier.pairs.training_sources", lambda *_folders: [])
    monkeypatch.setattr("training.purifier.denoiser.train_purifier", log_twice)
    result = train_purifier(tmp_path)
    assert result.exit_code == 0, result.output
    run = tmp_path / "board" / "run"
    assert written == [
        (run, "loss", 0.5, 100),
        (run, "psnr", 30.0, 100),
        (run, "loss", 0.25, 200),
    ]
    assert len((tmp_path / "run" / "train.jsonl").read_text().splitlines()) == 2


def test_without_tensorboard_a_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, TENSORBOARD, None)
    result = train_purifier(tmp_path)
    assert result.exit_code == 1
    assert "pip install tensorboard" in result.stderr
    assert not list(tmp_path.iterdir())
