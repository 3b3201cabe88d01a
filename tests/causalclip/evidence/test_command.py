"""`causalclip compare A B`: words, JSON, the report, and files that cannot be read."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data
from typer.testing import CliRunner, Result

from causalclip.cli import app
from causalclip.cli_helpers import DONE, REFUSED
from causalclip.pictures import formats


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    picture = np.asarray(data.astronaut())
    changed = picture.copy()
    changed[60:150, 120:200] = 0
    paths = tmp_path / "a.png", tmp_path / "b.jpg"
    for pixels, path in zip((picture, changed), paths, strict=True):
        Image.fromarray(pixels).save(path)
    return paths


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["compare", *(str(a) for a in arguments)])


def test_words_say_the_answer_and_number_the_changes(pair: tuple[Path, Path]) -> None:
    result = run(*pair)
    assert result.exit_code == DONE
    first, second = result.stdout.splitlines()
    assert first.startswith("Same picture, one part differs (confidence 9")
    assert second.startswith("1: ")


def test_words_and_report_are_in_the_language_that_was_asked_for(pair: tuple[Path, Path], tmp_path: Path) -> None:
    result = run(*pair, "--lang", "de", "--out-dir", tmp_path / "out")
    assert result.stdout.startswith("Dasselbe Bild, eine Stelle unterscheidet sich (Konfidenz 9")
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "<html lang='de' dir='ltr'>" in page
    assert "Was dies nicht sagen kann" in page
    assert json.loads(run(*pair, "--json", "--lang", "de").stdout)["answer"] == "same picture"
    assert run(*pair, "--lang", "xx").exit_code == REFUSED


def test_a_picture_that_is_read_at_half_its_size_says_so_at_every_door(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes and boxes are of the half."""
    monkeypatch.setattr(formats, "MAX_PIXELS", 200_000)
    Image.open(pair[0]).resize((400, 400)).save(pair[0])
    result = run(*pair, "--out-dir", tmp_path / "out")
    assert result.stdout.splitlines()[1].startswith("Second picture: The picture has 512 x 512 pixels")
    said = json.loads(run(*pair, "--json").stdout)
    assert said["sizes"] == [[400, 400], [256, 256]]
    assert "half its size" in said["notes"][0]
    for name in ("html", "json"):
        assert "half its size" in (tmp_path / "out" / f"comparison.{name}").read_text(encoding="utf-8")


def test_json_names_both_files(pair: tuple[Path, Path]) -> None:
    said = json.loads(run(*pair, "--json").stdout)
    assert said["paths"] == [str(path) for path in pair]
    assert said["answer"] == "same picture"
    assert len(said["changes"]) == 1


def test_the_report_stands_alone(pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert run(*pair, "--out-dir", tmp_path / "out").exit_code == DONE
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "Same picture, one part differs" in page
    assert "default-src 'none'" in page
    assert page.count("data:image/jpeg;base64,") == 2
    assert "http" not in page.replace("http-equiv", "")
    held = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert held["comparison"]["changes"][0]["share"] > 0.01
    assert Image.open(tmp_path / "out" / "first.png").size == (512, 512)


def test_a_file_that_is_no_picture_is_refused_with_its_reason(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "no.txt").write_text("no picture")
    result = run(pair[0], tmp_path / "no.txt")
    assert result.exit_code == REFUSED
    assert "not read" in result.stdout
    assert "error" in json.loads(run(pair[0], tmp_path / "no.txt", "--json").stdout)


def test_a_folder_that_cannot_be_made_is_said_in_one_line(pair: tuple[Path, Path]) -> None:
    result = run(*pair, "--out-dir", pair[0])
    assert result.exit_code == 1
    assert str(pair[0]) in result.stderr
    assert "Traceback" not in result.stderr
