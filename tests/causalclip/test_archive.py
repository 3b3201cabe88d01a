"""An archive: what counts as a picture of it, a picture's row, and on a Ray of its own: good,
broken, killed, resumed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("ray", reason="an archive needs requirements-archive.txt")

import pandas as pd
import psutil
from pyarrow.fs import LocalFileSystem

from causalclip.commands.app import app
from causalclip.commands.archive import COLUMNS, Examiner, list_pictures
from causalclip.examination.schema import SCHEMA
from causalclip.images.formats import MAX_BYTES
from tests.conftest import ROOT
from tests.makers.pictures import encode, photo
from tests.serving import until


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["archive", *map(str, arguments)])


def test_links_out_of_the_folder_hidden_files_and_pipes_are_no_pictures(
    tmp_path: Path, tmp_path_factory: Any
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "secret.jpg").write_bytes(b"x")
    for name in ("b.jpg", "sub/a.PNG", "notes.txt", ".hidden/c.jpg", "sub/.d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 10)
    (tmp_path / "link.jpg").symlink_to(other / "secret.jpg")
    (tmp_path / "links").symlink_to(other)
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "own.jpg").symlink_to(tmp_path / "b.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    wanted = {str(tmp_path / name): 10 for name in ("b.jpg", "own.jpg", "sub/a.PNG")}
    assert list_pictures(str(tmp_path))[1] == wanted


def test_a_picture_costs_no_other_its_row(model: str, tmp_path: Path) -> None:
    for name, data in (("a.png", encode(photo(300, 280), "PNG")), ("b.png", b"no picture")):
        (tmp_path / name).write_bytes(data)
    examiner = Examiner(LocalFileSystem(), model, None)
    names = ("a.png", 100), ("b.png", 10), ("gone.png", 10), ("large.png", MAX_BYTES + 1)
    batch = {"path": [str(tmp_path / name) for name, _ in names], "size": [n for _, n in names]}
    table = examiner(batch)
    assert table.column_names == list(COLUMNS)
    good, broken, gone, large = table.to_pylist()
    assert good["error"] is None
    assert 0 <= good["probability"] <= 1
    assert (good["width"], good["height"]) == (300, 280)
    fields = json.loads(good["examination"])
    assert fields["schema"] == SCHEMA
    assert {name: fields[name] for name in COLUMNS if name in fields} == {
        name: value for name, value in good.items() if name in fields
    }
    assert broken["error"].startswith("This is not a picture")
    assert gone["error"].startswith("The file cannot be read")
    assert "20 MB" in large["error"]
    assert not any(row["answer"] for row in (broken, gone, large))


def test_without_ray_a_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    result = run(tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.strip() == "An archive needs Ray: pip install -r requirements-archive.txt."


@pytest.mark.parametrize(
    ("source", "model_name", "words"),
    [
        ("nowhere", "", "is no folder that can be read"),
        ("nosuch://x/y", "", "is no folder that can be read"),
        ("", "no-such-model", "There is no detector 'no-such-model'"),
    ],
)
def test_bad_input_is_a_sentence(
    source: str, model_name: str, words: str, model: str, tmp_path: Path
) -> None:
    path = source if "://" in source else tmp_path / source
    result = run(path, "--out", tmp_path / "out", "--model", model_name or model)
    assert result.exit_code == 1
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


# With Ray -----------------------------------------------------------------------------------------


SLOWLY = """
import time
from causalclip.commands import archive
from causalclip.commands.app import app

class Slow(archive.Examiner):
    def row(self, path, size):
        time.sleep(0.25)
        return super().row(path, size)

archive.Examiner, archive.PART_ROWS, archive.TASK_PICTURES = Slow, 4, 4
"""


@pytest.mark.ray
def test_killed_and_resumed_no_picture_is_lost_or_judged_twice(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First a worker is killed, which costs a retry; then the whole run, which goes on where it
    was. Whatever was killed, the folder is a dataset."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # where workers find the packages
    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 would let all other tests go first
    source, out = tmp_path / "source", tmp_path / "out"
    (source / "sub").mkdir(parents=True)
    picture = encode(photo(90, 100), "JPEG")
    for i in range(19):
        (source / "sub" / f"{i}.jpg").write_bytes(picture)
    (source / "broken.jpg").write_bytes(b"no picture")
    arguments = [str(source), "--out", str(out), "--model", model, "--workers", "1"]

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", f"{SLOWLY}app({['archive', *arguments]})"]
        return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE)

    def parts() -> list[Path]:
        return sorted(out.glob("*.parquet"))

    def workers() -> list[psutil.Process]:
        children = psutil.Process(first.pid).children(recursive=True)
        return [process for process in children if "MapWorker" in process.name()]

    first = start()
    try:
        assert until(lambda: parts() or first.poll() is not None, seconds=600)
        killed = workers()
        assert killed
        for worker in killed:
            worker.kill()
        before = len(parts())
        assert until(lambda: len(parts()) > before or first.poll() is not None, seconds=600)
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    kept = {path: path.read_bytes() for path in parts()}
    pictures = sorted(str(path) for path in source.rglob("*.jpg"))
    assert 0 < len(pd.read_parquet(out)) < len(pictures)
    again = start()
    said, _ = again.communicate(timeout=600)
    assert again.returncode == 2, said
    assert "20 pictures" in said
    frame = pd.read_parquet(out).set_index("path")
    assert sorted(frame.index) == pictures
    assert list(frame.index[frame["error"].notna()]) == [str(source / "broken.jpg")]
    assert frame["probability"].dropna().between(0, 1).all()
    assert {path: path.read_bytes() for path in kept} == kept
    whole = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert run(*arguments).exit_code == 2  # once more: nothing is left to do
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == whole
