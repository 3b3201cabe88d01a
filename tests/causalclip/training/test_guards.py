"""Bad input to `train` and `evaluate`: one sentence each, nothing lost, and the run goes on where it can."""

import os
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from causalclip.cli import app
from causalclip.detector import Detector
from causalclip.training.data import BadManifest, Record, check_training, readable
from tests.makers.detectors import saved_detector
from tests.makers.workshops import Inside, read_rows, train_words, workshop_folder, write_rows


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("causalclip.training.features.ProcessPoolExecutor", Inside)
    return workshop_folder(tmp_path)


def train(workshop: Path) -> Result:
    return CliRunner().invoke(app, train_words(workshop), catch_exceptions=False)


def evaluate(workshop: Path) -> Result:
    if not (workshop / "model").is_dir():
        saved_detector(workshop)
    paths = {"model": "model", "manifest": "manifest.csv", "root": "pictures", "out": "report.json"}
    words = [word for name, path in paths.items() for word in (f"--{name}", str(workshop / path))]
    return CliRunner().invoke(app, ["evaluate", *words], catch_exceptions=False)


def refused(result: Result, words: str) -> None:
    """Exit code 1, and one line that says what is wrong."""
    assert result.exit_code == 1
    (line,) = result.stderr.strip().splitlines()
    assert words in line


def keep(workshop: Path, **wanted: set[str]) -> None:
    """Leaves the rows whose columns have the wanted values."""
    write_rows(workshop, [r for r in read_rows(workshop) if all(r[k] in v for k, v in wanted.items())])


@pytest.mark.parametrize("command", [train, evaluate])
def test_a_manifest_without_a_column_is_refused(command, workshop: Path) -> None:
    write_rows(workshop, [{k: v for k, v in r.items() if k not in {"label", "split"}} for r in read_rows(workshop)])
    refused(command(workshop), "missing: label, split.")
    assert not (workshop / "cache").exists()


@pytest.mark.parametrize("command", [train, evaluate])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe\x00nothing", "manifest.csv is not a CSV table in UTF-8."),
        (b"", "missing: path, label, source, split."),
        (b"path,label,source,split\na.png,real\n", "The split"),  # a row that ends early
        (b"path,label,source,split\na.png\nb.png,no,s,train\n", "also has ['', 'no']."),
    ],
)
def test_what_is_no_manifest_is_refused(command, content: bytes, words: str, workshop: Path) -> None:
    (workshop / "manifest.csv").write_bytes(content)
    refused(command(workshop), words)


def test_a_byte_order_mark_is_no_part_of_a_column(workshop: Path) -> None:
    manifest = workshop / "manifest.csv"
    manifest.write_bytes(b"\xef\xbb\xbf" + manifest.read_bytes())
    assert evaluate(workshop).exit_code == 0


@pytest.mark.parametrize(("command", "split"), [(train, "train"), (evaluate, "test")])
def test_one_class_is_refused(command, split: str, workshop: Path) -> None:
    keep(workshop, label={"real"})
    refused(
        command(workshop), f"The split '{split}' needs real and generated pictures; the manifest has only real ones"
    )
    (workshop / "manifest.csv").write_text("path,label,source,split\na.png,real,s,other\n")
    refused(command(workshop), f"The split '{split}' needs real and generated pictures; the manifest has none")


def test_training_goes_on_without_what_cannot_be_read(workshop: Path) -> None:
    """Missing and broken files are left out, in one sentence."""
    write_rows(workshop, [{k: v for k, v in r.items() if k != "set"} for r in read_rows(workshop)])
    (workshop / "pictures" / "3.png").unlink()
    (workshop / "pictures" / "4.png").write_bytes(b"no picture")
    broken = workshop / "pictures" / "5.png"
    broken.write_bytes(broken.read_bytes()[:200])
    result = train(workshop)
    assert result.exit_code == 0, result.output
    sentence = "Left out, 3 of 36 files: 3.png is missing, 4.png cannot be read, 5.png cannot be read."
    assert result.stderr.count(sentence) == 1
    detector = Detector.from_pretrained(workshop / "model")
    assert float(detector.heads["whole"].verdict.weight.abs().sum()) > 0


def test_evaluation_goes_on_without_what_cannot_be_read_and_counts_it(workshop: Path) -> None:
    rows = read_rows(workshop)
    write_rows(workshop, [r | {"set": "odd" if r["path"].startswith("47") else r["set"]} for r in rows])
    (workshop / "pictures" / "36.png").unlink()
    result = evaluate(workshop)
    assert result.exit_code == 0, result.output
    assert "Left out, 1 of 12 files: 36.png is missing." in result.stderr
    assert "No table of odd: measures need real and generated pictures" in result.stderr
    report = (workshop / "report.json").read_text()
    assert '"files_left_out": 1' in report
    assert "NaN" not in report


@pytest.mark.parametrize("command", [train, evaluate])
def test_a_wrong_root_is_refused(command, workshop: Path) -> None:
    os.rename(workshop / "pictures", workshop / "moved")
    (workshop / "pictures").mkdir()
    refused(command(workshop), "None of the manifest's files can be read in")


def test_a_class_that_cannot_be_held_out_is_refused(workshop: Path) -> None:
    rows = read_rows(workshop)
    write_rows(workshop, [r | ({"family": "one"} if r["label"] == "fake" else {}) for r in rows])
    refused(train(workshop), "All generated pictures fall into one fold")


def test_a_tower_without_the_recipes_parts_is_refused(workshop: Path) -> None:
    (workshop / "config.json").write_text('{"parts": ["cls:11"]}')
    refused(train(workshop), "'cls:11' is no part of this tower")


def record(label: int, source: str, number: int, name: str = "broad") -> Record:
    return Record(f"{source}{number}.png", label, source, "train", name, "picture", f"{source}{number}", source)


def test_a_fold_without_both_classes_is_said_and_the_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    broad = [record(label, f"{label}-{s}", i) for label in (0, 1) for s in range(2) for i in range(4)]
    check_training(broad, folds=2)
    assert capsys.readouterr().err == ""
    check_training([*broad, record(1, "1-0", 9, "odd")], folds=2)
    said = capsys.readouterr().err
    assert said == "Set odd: no AUC in 1 of its 1 folds, which lack a class; nothing held out is measured of it.\n"
    odd = [record(1, "1-0", 9, "odd"), record(1, "1-1", 9, "odd"), record(0, "0-0", 9, "odd")]
    check_training([*broad, *odd], folds=2)
    assert "Set odd: no AUC in 1 of its 2 folds, which lack a class; the mean is over the others." in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyboardInterrupt(), "Stopped. What is finished is kept: the same command goes on from there."),
        (BrokenProcessPool("gone"), "A worker process was killed, most likely for want of memory. What is finished"),
    ],
)
def test_a_killed_run_says_what_is_kept(
    error: BaseException, words: str, workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("causalclip.training.features.in_processes", stop)
    refused(train(workshop), words)


def test_a_stopped_evaluation_leaves_the_report_as_it_was(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    (workshop / "report.json").write_text("the old one")
    monkeypatch.setattr("causalclip.training.evaluation.score_split", stop)
    refused(evaluate(workshop), "report.json is as it was.")
    assert (workshop / "report.json").read_text() == "the old one"


def test_many_faults_are_counted_and_few_named(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [record(0, "none", i) for i in range(5)]
    there = replace(records[0], path="0.png")
    assert readable([*records, there], workshop / "pictures") == [there]
    assert capsys.readouterr().err.strip().endswith("none2.png is missing, and 2 more.")
    with pytest.raises(BadManifest, match="None of the manifest's files"):
        readable(records, workshop / "pictures")
