"""The command line: one line a picture, exit codes, folders, and what cannot be read."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from causalclip.commands.app import app
from causalclip.detector import Detector
from causalclip.examination.stability import STEADINESS
from causalclip.languages import _, speaking
from tests.conftest import ROOT
from tests.makers.metadata_files import unjudged_files
from tests.makers.pictures import encode, photo
from ui.endpoints import Endpoints
from ui.server.uploads import new_folder

PROCESSOR = """
import resource, sys
from {package} import app
try:
    app(sys.argv[1:])
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, one of them in a sub-folder, and a hidden file."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "a.jpg").write_bytes(encode(photo(160, 120), "JPEG"))
    (tmp_path / "deep" / "er" / "b.png").write_bytes(encode(photo(90, 100), "PNG"))
    (tmp_path / ".hidden.jpg").write_bytes(b"nothing")
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def lines(result: Result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_what_cannot_be_read_is_said_and_the_others_are_judged(folder: Path, model: str) -> None:
    (folder / "broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:900])
    (folder / "notes.txt").write_text("not a picture")
    result = run("detect", folder, folder / "gone.jpg", "--json", "--model", model)
    assert result.exit_code == 2
    rows = {Path(row["path"]).name: row for row in lines(result)}
    assert list(rows) == ["a.jpg", "broken.jpg", "b.png", "notes.txt", "gone.jpg"]  # nothing hidden
    assert all(rows[name].keys() == {"path", "error"} for name in ("notes.txt", "gone.jpg"))
    assert "cut short" in rows["broken.jpg"]["error"]
    assert rows["broken.jpg"]["examination"]["answer"] == "Not examined"
    assert "answer" in rows["b.png"]


@pytest.mark.parametrize("option", ["", "--explain", "--json"])
def test_what_is_refused_for_its_pixels_says_what_its_file_says(
    tmp_path: Path, model: str, option: str
) -> None:
    paths = []
    for why, data in unjudged_files().items():
        paths.append(tmp_path / f"{why}.jpg")
        paths[-1].write_bytes(data)
    result = run("detect", *paths, "--model", model, *filter(None, [option]))
    assert result.exit_code == 2
    said = result.stdout.splitlines()
    assert len(said) == len(paths)
    words = {"": "file says generated", "--json": '"generator": "Ideogram"'}
    assert all(words.get(option, "made with Ideogram") in line for line in said)
    told = result.stderr.splitlines() if not option else said
    assert all("were not judged. The " in line for line in told)


def timeless(value: Any) -> Any:
    """The same without times, and without a sum's last digits, which differ by threads."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in {"seconds", "examined"}}
    if isinstance(value, float):
        return round(value, 5)
    return [timeless(v) for v in value] if isinstance(value, list | tuple) else value


def test_json_is_the_examination_that_the_api_answers_with(folder: Path, model: str) -> None:
    """But for the path and the file's name, which an upload does not have."""
    [line] = lines(run("detect", folder / "a.jpg", "--json", "--model", model))
    upload = new_folder() / "a.jpg"
    upload.write_bytes((folder / "a.jpg").read_bytes())
    detector = Detector.from_pretrained(model)
    answer = json.loads(json.dumps(Endpoints(lambda: detector).detect({"path": str(upload)})))
    assert (line.pop("path"), line.pop("name"), answer.pop("name")) == (
        str(folder / "a.jpg"),
        "a.jpg",
        "",
    )
    assert timeless(line) == timeless(answer)
    assert line.keys() == answer.keys()


@pytest.mark.parametrize("option", ["--report-dir", "--heatmap-dir"])
def test_a_folder_that_cannot_be_made_is_said_in_one_line(
    folder: Path, model: str, option: str
) -> None:
    result = run("detect", folder / "a.jpg", "--model", model, option, folder / "a.jpg")
    assert result.exit_code == 1
    assert str(folder / "a.jpg") in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("package", "arguments", "words", "code"),
    [
        ("causalclip.commands.app", ["detect", "gone.jpg"], "There is no such file", 2),
        (
            "causalclip.commands.app",
            ["detect", "{here}", "--model", "gone"],
            "There is no detector 'gone'",
            1,
        ),
        (
            "training.__main__",
            ["evaluate", "--model", "gone", "--manifest", "{here}", "--root", ".", "--out", "o"],
            "gone",
            1,
        ),
    ],
)
def test_what_is_typed_is_checked_before_anything_heavy(
    package: str, arguments: list[str], words: str, code: int
) -> None:
    """By processor time, which a busy machine does not change much."""
    command = [
        sys.executable,
        "-c",
        PROCESSOR.format(package=package),
        *(a.format(here=__file__) for a in arguments),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    *said, seconds = done.stdout.splitlines()
    assert words in done.stderr + "".join(said)
    assert done.returncode == code
    assert float(seconds) < 1


@pytest.mark.parametrize("lang", ["en", "id"])
def test_a_picture_is_a_line_in_columns(folder: Path, model: str, lang: str) -> None:
    """Without colour in a pipe, with it on a terminal; what was not read keeps its sentence, on the
    error stream."""
    (folder / f"{'long' * 50}.png").write_bytes(encode(photo(90, 100), "PNG"))
    (folder / "notes.txt").write_text("not a picture")
    command = ["detect", str(folder), "--model", model, "--lang", lang]
    piped = CliRunner().invoke(app, [*command, "--stability"])
    shown = piped.stdout.splitlines()
    assert (len(shown), "\x1b" in piped.stdout) == (4, False)
    assert max(map(len, shown)) <= 100, shown
    with speaking(lang):
        words = "|".join(map(_, STEADINESS.values()))
    judged = [line for line in shown if re.search(f": ({words})$|copies ({words})$", line)]
    scores = [re.search(r"  ([<>]?[01][.,]\d\d+) ", line) for line in judged]
    assert len({found.start(1) for found in scores if found}) == 1
    assert (all(scores), len(scores)) == (True, 3), shown
    assert len([line for line in piped.stderr.splitlines() if "notes.txt" in line]) == 1
    assert "\x1b[" in CliRunner().invoke(app, command, color=True).stdout
    assert len(CliRunner().invoke(app, [*command, "--explain"]).stdout) > 3 * len(piped.stdout)


def test_maps_are_named_by_picture_and_hash(folder: Path, model: str, tmp_path: Path) -> None:
    out = tmp_path / "maps" / "new"
    result = run("detect", folder / "a.jpg", "--json", "--model", model, "--heatmap-dir", out)
    assert result.exit_code == 0, result.output
    (row,) = lines(result)
    (file,) = out.iterdir()
    assert file.name == f"a-{row['sha256'][:8]}.png"
    with Image.open(file) as picture:
        assert picture.format == "PNG"
        assert np.asarray(picture).std() > 5


def test_names_that_are_no_text(tmp_path: Path, model: str) -> None:
    name = os.fsdecode(b"odd-\xff.jpg")
    (tmp_path / name).write_bytes(encode(photo(90, 100), "JPEG"))
    assert run("detect", tmp_path, "--model", model).exit_code == 0
    (row,) = lines(run("detect", tmp_path, "--json", "--model", model))
    assert row["path"] == str(tmp_path / name)


def test_a_name_forges_no_line_and_commands_no_terminal(tmp_path: Path, model: str) -> None:
    names = (
        "a\nb.jpg: Likely not generated. Score 0.01.jpg",
        "c\x1b]0;title\x07\x1b[2J.jpg",
        "d\u202egpj.exe",
    )
    for name in names:
        (tmp_path / name).write_bytes(encode(photo(90, 100), "JPEG"))
    for options in ((), ("--explain",)):
        said = run("detect", tmp_path, "--model", model, *options).stdout
        assert len(said.splitlines()) == len(names)
        assert not {"\x1b", "\x07", "\u202e"} & set(said)
    assert r"/a\nb.jpg: Likely not generated. Score 0.01.jpg: " in said
    rows = lines(run("detect", tmp_path, "--json", "--model", model))
    assert {row["path"] for row in rows} == {str(tmp_path / name) for name in names}


def test_nothing_to_judge_and_an_unknown_language_are_refused(tmp_path: Path, model: str) -> None:
    for arguments, words in (((), "no picture"), (("--lang", "xx"), "--lang is one of en, es")):
        result = run("detect", tmp_path, "--model", model, *arguments)
        assert result.exit_code == 2
        assert words in result.output
