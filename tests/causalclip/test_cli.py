"""The command line: one line a picture, exit codes, folders, and what cannot be read."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from causalclip.cli import app
from causalclip.cli_helpers import MEANINGS
from causalclip.detector import Detector
from causalclip.evidence.headline import ANSWERS
from causalclip.evidence.regions import UNKNOWN, WHY_UNKNOWN
from causalclip.images import formats
from causalclip.languages import _, speaking
from tests.conftest import ROOT
from tests.makers.detectors import saved_detector
from tests.makers.pictures import encode, photo
from ui.endpoints import Endpoints
from ui.fields import new_folder

TOO_SMALL = UNKNOWN.format(why=WHY_UNKNOWN["small"])
FIELDS = {
    "schema",
    "path",
    "answer",
    "stability",
    "sha256",
    "width",
    "height",
    "probability",
    "logit",
    "band",
    "model",
    "seconds",
    "notes",
}
PROCESSOR = """
import resource, sys
from {package}.cli import app
try:
    app(sys.argv[1:])
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime)
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("detector")
    saved_detector(folder)
    return str(folder / "model")


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


def test_json_is_one_line_a_picture(folder: Path, model: str) -> None:
    result = run("detect", folder, "--json", "--model", model)
    assert result.exit_code == 0, result.output
    first, second = lines(result)
    assert first.keys() == second.keys() >= FIELDS
    assert [first["path"], second["path"]] == [str(folder / "a.jpg"), str(folder / "deep" / "er" / "b.png")]
    assert (first["width"], first["height"], first["model"]) == (160, 120, "model")
    assert len(first["sha256"]) == 64
    assert first["band"] in {"likely generated", "inconclusive", "likely not generated"}
    assert 0 <= first["probability"] <= 1


def test_the_file_of_a_part_is_the_same_whoever_asks(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It repeats what was done to the whole as it was read."""
    monkeypatch.setattr(formats, "MAX_PIXELS", 100_000)
    (tmp_path / "large.jpg").write_bytes(encode(photo(640, 480), "JPEG"))
    asked = "detect", tmp_path / "large.jpg", "--crop", "0,0,320,240", "--json", "--model", model
    german, english = (lines(run(*asked, "--lang", language))[0] for language in ("de", "en"))
    assert german["sha256"] == english["sha256"]
    assert "half its size" in json.dumps(german["provenance"])


def test_a_part_is_counted_in_pixels_of_the_file_also_where_that_is_read_at_half_its_size(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "MAX_PIXELS", 100_000)
    (tmp_path / "large.jpg").write_bytes(encode(photo(640, 480), "JPEG"))
    [part] = lines(run("detect", tmp_path / "large.jpg", "--crop", "320,160,640,480", "--json", "--model", model))
    assert (part["width"], part["height"]) == (160, 160)
    said = json.dumps(part["provenance"])
    assert "from (160, 80) to (320, 240) of a picture of 320 x 240 pixels" in said
    assert "half its size" in part["quote"]


def test_answers_and_refusals_are_in_the_language_that_was_asked_for(folder: Path, model: str) -> None:
    """Sentences are; keys, the band and the numbers of --json are those of English."""
    (folder / "notes.txt").write_text("not a picture")
    said, plain = (run("detect", folder, "--model", model, "--lang", language) for language in ("de", "en"))
    assert said.exit_code == plain.exit_code == 2
    first, second, refused = (line.partition(": ")[2] for line in said.stdout.splitlines())
    with speaking("de"):
        answers = [_(answer) for answer in ANSWERS]
        for line in (first, second):
            assert line.partition(".")[0] in answers
            assert f"{_('Survives re-encoding?')} {_('Not checked')}." in line
            assert _(UNKNOWN, why=_(WHY_UNKNOWN["small"])) in line
        assert refused.startswith(f"{_('not read.')} Das ist kein Bild")
    assert TOO_SMALL not in said.stdout
    assert TOO_SMALL in plain.stdout
    german, english = (
        lines(run("detect", folder / "a.jpg", "--json", "--model", model, "--lang", language))[0]
        for language in ("de", "en")
    )
    assert german.keys() == english.keys()
    assert (german["band"], german["probability"]) == (english["band"], english["probability"])
    assert (german["language"], english["language"]) == ("de", "en")
    assert german["stability"]["sentence"] != english["stability"]["sentence"]


def test_a_language_that_nobody_speaks_here_is_refused(folder: Path, model: str) -> None:
    result = run("detect", folder, "--model", model, "--lang", "xx")
    assert result.exit_code == 2
    assert "--lang is one of en, es" in result.output


def test_reports_say_what_the_line_says(folder: Path, model: str, tmp_path: Path) -> None:
    result = run("detect", folder / "a.jpg", "--json", "--model", model, "--report-dir", tmp_path / "reports")
    assert result.exit_code == 0, result.output
    [line] = lines(result)
    [html] = (tmp_path / "reports").glob("*.html")
    report = json.loads(html.with_suffix(".json").read_text())
    assert timeless(report | {"path": line["path"]}).keys() - {"report"} == timeless(line).keys()
    assert (report["band"], report["sha256"]) == (line["band"], line["sha256"])
    assert line["sha256"] in html.read_text()


def test_what_cannot_be_read_is_said_and_the_others_are_judged(folder: Path, model: str) -> None:
    (folder / "broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:900])
    (folder / "notes.txt").write_text("not a picture")
    result = run("detect", folder, folder / "gone.jpg", "--json", "--model", model)
    assert result.exit_code == 2
    rows = {Path(row["path"]).name: row for row in lines(result)}
    assert set(rows) == {"a.jpg", "b.png", "broken.jpg", "notes.txt", "gone.jpg"}
    assert all(rows[name].keys() == {"path", "error"} for name in ("broken.jpg", "notes.txt", "gone.jpg"))
    assert "cut short" in rows["broken.jpg"]["error"]
    assert rows["b.png"].keys() >= FIELDS


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
    assert (line.pop("path"), line.pop("name"), answer.pop("name")) == (str(folder / "a.jpg"), "a.jpg", "")
    assert timeless(line) == timeless(answer)
    assert line.keys() == answer.keys()


def test_the_line_says_what_the_answer_must_not_be_read_without(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats, "MAX_PIXELS", 100_000)
    (tmp_path / "large.jpg").write_bytes(encode(photo(640, 480), "JPEG", quality=40))
    said = run("detect", tmp_path / "large.jpg", "--model", model).stdout
    assert "The picture was judged at half its size." in said
    assert "heavily compressed (JPEG quality about 40 of 100)" in said


@pytest.mark.parametrize("option", ["--report-dir", "--heatmap-dir"])
def test_a_folder_that_cannot_be_made_is_said_in_one_line(folder: Path, model: str, option: str) -> None:
    result = run("detect", folder / "a.jpg", "--model", model, option, folder / "a.jpg")
    assert result.exit_code == 1
    assert str(folder / "a.jpg") in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_stability_is_said_where_it_is_asked_for(folder: Path, model: str) -> None:
    said = run("detect", folder / "a.jpg", "--model", model, "--stability").stdout
    [line] = lines(run("detect", folder / "a.jpg", "--model", model, "--json"))
    assert line["stability"]["sentence"] in said
    assert f": {line['answer']}. Score" in said
    assert f"Survives re-encoding? {line['stability']['words']}." in said
    assert line["parts"]["sentence"].startswith(TOO_SMALL)
    assert TOO_SMALL in said
    assert 0 <= line["tied_to_no_place"] <= 1
    assert "Not checked" not in said


@pytest.mark.parametrize(
    ("package", "arguments", "words", "code"),
    [
        ("causalclip", ["detect", "gone.jpg"], "There is no such file", 2),
        ("causalclip", ["detect", "{here}"], "not a picture", 2),
        ("causalclip", ["detect", "{here}", "--model", "gone"], "There is no detector 'gone'", 1),
        ("causalclip", ["evaluate", "--model", "gone", "--manifest", "{here}", "--root", ".", "--out", "o"], "gone", 1),
        ("purifier", ["purify", "gone.jpg", "-o", "o.png"], "There is no such file", 2),
        ("purifier", ["attack", "{here}", "-o", "o.png", "--attack", "magic"], "no attack 'magic'", 1),
        ("purifier", ["ask", "gone.jpg", "What is this?"], "There is no such file", 2),
    ],
)
def test_what_is_typed_is_checked_before_anything_heavy(
    package: str, arguments: list[str], words: str, code: int
) -> None:
    """By processor time, which a busy machine does not change much."""
    command = [sys.executable, "-c", PROCESSOR.format(package=package), *(a.format(here=__file__) for a in arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    *said, seconds = done.stdout.splitlines()
    assert words in done.stderr + "".join(said)
    assert done.returncode == code
    assert float(seconds) < 1


def test_exit_codes_stand_in_the_help_of_both() -> None:
    import purifier.cli

    for help_of in (run("--help"), run("detect", "--help"), CliRunner().invoke(purifier.cli.app, ["--help"])):
        said = " ".join(help_of.stdout.split())
        for code, meaning in MEANINGS.items():
            assert f"{code} {meaning}" in said


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


def test_nothing_to_judge_is_an_error(tmp_path: Path, model: str) -> None:
    result = run("detect", tmp_path, "--model", model)
    assert result.exit_code == 2
    assert "no picture" in result.stderr


def test_names_that_are_no_text(tmp_path: Path, model: str) -> None:
    name = os.fsdecode(b"odd-\xff.jpg")
    (tmp_path / name).write_bytes(encode(photo(90, 100), "JPEG"))
    assert run("detect", tmp_path, "--model", model).exit_code == 0
    (row,) = lines(run("detect", tmp_path, "--json", "--model", model))
    assert row["path"] == str(tmp_path / name)


def test_a_name_forges_no_line_and_commands_no_terminal(tmp_path: Path, model: str) -> None:
    names = ("a\nb.jpg: Likely not generated. Score 0.01.jpg", "c\x1b]0;title\x07\x1b[2J.jpg", "d\u202egpj.exe")
    for name in names:
        (tmp_path / name).write_bytes(encode(photo(90, 100), "JPEG"))
    said = run("detect", tmp_path, "--model", model).stdout
    assert len(said.splitlines()) == len(names)
    assert r"a\nb.jpg: Likely not generated. Score 0.01.jpg: " in said
    assert not {"\x1b", "\x07", "\u202e"} & set(said)
    assert {row["path"] for row in lines(run("detect", tmp_path, "--json", "--model", model))} == {
        str(tmp_path / name) for name in names
    }


@pytest.mark.parametrize(
    ("rows", "config", "words"),
    [
        ("path,label,source\na.jpg,real,s\n", "{}", "missing: split"),
        ("path,label,source,split\na.jpg,real,s,train\n", '{"nonsense": 1}', "nonsense"),
        ("path,label,source,split\na.jpg,real,s,train\n", "{", "Expecting property name"),
    ],
)
def test_train_says_what_is_wrong_before_it_starts(rows: str, config: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(rows)
    (tmp_path / "c.json").write_text(config)
    result = run(
        *("train", "--manifest", tmp_path / "m.csv", "--root", tmp_path, "--out", tmp_path / "out"),
        *("--config", tmp_path / "c.json"),
    )
    assert result.exit_code == 1
    assert words in result.stderr
    assert not (tmp_path / "out").exists()


def test_evaluate_needs_both_classes(tmp_path: Path, model: str) -> None:
    (tmp_path / "m.csv").write_text("path,label,source,split\na.jpg,real,s,test\n")
    result = run(
        *("evaluate", "--model", model, "--manifest", tmp_path / "m.csv", "--root", tmp_path),
        *("--out", tmp_path / "report.json"),
    )
    assert result.exit_code == 1
    assert "needs real and generated pictures" in result.stderr
