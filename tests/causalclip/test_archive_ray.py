"""The archive command on a Ray of its own: good, broken, killed and resumed."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

ray = pytest.importorskip("ray", reason="an archive needs requirements-archive.txt")

import pandas as pd  # noqa: E402
import psutil  # noqa: E402

from causalclip.cli import app  # noqa: E402
from causalclip.evidence.examination import SCHEMA  # noqa: E402
from causalclip.evidence.headline import ANSWERS  # noqa: E402
from causalclip.profile import Profile  # noqa: E402
from tests.conftest import ROOT  # noqa: E402
from tests.makers.detectors import saved_detector  # noqa: E402
from tests.makers.pictures import encode, photo  # noqa: E402


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("detector")
    saved_detector(folder)
    return str(folder / "model")


@pytest.fixture(autouse=True)
def workers_find_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["archive", *map(str, arguments)])


@pytest.mark.ray
def test_an_archive_becomes_a_dataset(model: str, tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    (source / "sub").mkdir(parents=True)
    for i in range(5):
        (source / f"{i}.jpg").write_bytes(encode(photo(90 + 9 * i, 100), "JPEG"))
    (source / "sub" / "again.jpg").write_bytes((source / "0.jpg").read_bytes())
    (source / "broken.jpg").write_bytes(b"no picture")
    arguments = (source, "--out", out, "--model", model, "--workers", 1, "--stability", "--duplicates")
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "7 pictures" in result.stdout
    assert "2 pictures have a near-equal one" in result.stdout
    frame = pd.read_parquet(out / "pictures").set_index("path")
    assert len(frame) == 7
    assert frame.loc[str(source / "broken.jpg"), "error"].startswith("This is not a picture")
    good = frame[frame["error"].isna()]
    assert len(good) == 6
    assert good["probability"].between(0, 1).all()
    assert set(good["schema"]) == {SCHEMA}
    assert set(good["answer"]) <= set(ANSWERS)
    assert good["stability"].str.match("Yes$|Only just: |No: ").all()
    assert set(good["model"]) == {"model"}
    assert set(good["perceptual_hash"].str.len()) == {16}
    assert "By answer" in (out / "summary.html").read_text()
    groups = pd.read_parquet(out / "duplicates.parquet")
    assert set(groups["path"]) == {str(source / "0.jpg"), str(source / "sub" / "again.jpg")}
    parts = {path: path.stat().st_mtime_ns for path in (out / "pictures").iterdir()}
    assert run(*arguments).exit_code == 2  # once more: nothing is left to do
    assert {path: path.stat().st_mtime_ns for path in (out / "pictures").iterdir()} == parts


def wait(until: Callable[[], Any], *, seconds: float = 600) -> Any:
    end = time.monotonic() + seconds
    while not (found := until()):
        assert time.monotonic() < end, "It did not happen in time."
        time.sleep(0.02)
    return found


@pytest.mark.ray
def test_killed_and_resumed_no_picture_is_lost_or_judged_twice(model: str, tmp_path: Path) -> None:
    """First a worker is killed, which costs a retry; then the whole run, which goes on where it was."""
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    picture = encode(photo(700, 600), "PNG")
    for i in range(60):
        (source / f"{i}.png").write_bytes(picture)
    arguments = ["archive", str(source), "--out", str(out), "--model", model, "--workers", "1"]
    code = "from causalclip.archive import command; command.PART = 4; from causalclip.cli import app; "

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", f"{code}app({arguments})"], cwd=ROOT, text=True, stdout=subprocess.PIPE
        )

    def parts() -> list[Path]:
        return sorted((out / "pictures").glob("part-*.parquet"))

    def workers() -> list[psutil.Process]:
        return [p for p in psutil.Process(first.pid).children(recursive=True) if "MapWorker" in p.name()]

    first = start()
    try:
        wait(parts)
        killed = workers()
        assert killed
        for worker in killed:
            worker.kill()
        before = len(parts())
        wait(lambda: len(parts()) > before)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    kept = {path: path.read_bytes() for path in parts()}
    assert kept
    again = start()
    said, _ = again.communicate(timeout=600)
    assert again.returncode == 0, said
    assert "60 pictures" in said
    frame = pd.read_parquet(out / "pictures")
    assert sorted(frame["path"]) == sorted(str(path) for path in source.iterdir())
    assert frame["error"].isna().all()
    assert {path: path.read_bytes() for path in kept} == kept
    assert json.loads((out / "run.json").read_text())["source"] == str(source)


@pytest.mark.ray
def test_rows_are_held_to_a_profile_and_to_no_other(model: str, tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "a.jpg").write_bytes(encode(photo(90, 100), "JPEG"))
    profile = Profile("model", "test", "float32", "2026-01-01", (0.999,) * 80, (0.999,) * 80, 0.05)
    profile.write(tmp_path / "profile.json")
    given = (source, "--out", out, "--model", model, "--workers", 1)
    assert run(*given, "--profile", tmp_path / "profile.json").exit_code == 0
    [row] = pd.read_parquet(out / "pictures").to_dict("records")
    said = json.loads(row["archive"])
    assert said["sentence"] == "Of 80 photographs of your archive, 80 scored this high."
    assert said["unlike"]
    assert row["high"] == said["high"] > 0.999
    assert run(*given).exit_code == 1  # the folder is of a run that was held to a profile
    other = tmp_path / "other.json"
    other.write_text((tmp_path / "profile.json").read_text().replace('"test"', '"another"'))
    assert "Make it again" in run(source, "--out", tmp_path / "new", "--model", model, "--profile", other).stderr
