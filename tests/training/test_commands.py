"""The commands say which data they need, before anything is learned."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from training.__main__ import app


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
