"""An archive: its sources, its folder, near-equal pictures; and on a Ray of its own: good, broken,
killed, resumed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

pytest.importorskip("ray", reason="an archive needs requirements-archive.txt")

import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from causalclip.archive import ArchiveError
from causalclip.archive.output import RunFolder, failed_row
from causalclip.archive.summary import NEAR_BITS, near_equal
from causalclip.archive.workers import Judge, list_pictures, read_bytes
from causalclip.cli import app
from causalclip.examination.headline import ANSWERS
from causalclip.examination.result import SCHEMA
from causalclip.marks.pixels import star
from tests.conftest import ROOT
from tests.makers.pictures import encode, photo
from tests.serving import until

RUN = {"source": "s", "model": "m", "revision": "1", "runtime": "int8", "stability": False}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["archive", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "sub/a.jpg", ".hidden/c.jpg", "sub/.d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 10)
    return tmp_path


def test_links_out_of_the_folder_pipes_and_devices_are_no_pictures(
    folder: Path, tmp_path_factory: Any
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "secret.jpg").write_bytes(b"x")
    (folder / "link.jpg").symlink_to(other / "secret.jpg")
    (folder / "links").symlink_to(other)
    (folder / "zero.jpg").symlink_to("/dev/zero")
    (folder / "own.jpg").symlink_to(folder / "b.jpg")
    os.mkfifo(folder / "pipe.jpg")
    assert list_pictures(str(folder)) == [
        str(folder / name) for name in ("b.jpg", "own.jpg", "sub/a.jpg")
    ]


def test_a_name_is_no_chain_of_addresses(folder: Path) -> None:
    (folder / "simplecache::b.jpg").write_bytes(b"mine")
    assert str(folder / "simplecache::b.jpg") in list_pictures(str(folder))
    assert read_bytes(str(folder / "simplecache::b.jpg"), limit=10) == b"mine"
    with pytest.raises(OSError, match="chain"):
        read_bytes("simplecache::memory://x.jpg", limit=10)


def test_lists_name_paths_from_their_folder(folder: Path) -> None:
    wanted = sorted([str(folder / "b.jpg"), "/elsewhere/x.jpg", "memory://m/y.jpg"])
    paths = ["b.jpg", "/elsewhere/x.jpg", "memory://m/y.jpg", "b.jpg"]
    (folder / "list.txt").write_text("\n".join([*paths, ""]))
    (folder / "list.csv").write_text("id,path\n" + "".join(f"1,{p}\n" for p in paths))
    pq.write_table(pa.table({"path": [*paths, None], "id": range(5)}), folder / "list.parquet")
    for name in ("list.txt", "list.csv", "list.parquet"):
        assert list_pictures(str(folder / name)) == wanted


def rows(*names: str) -> list[dict]:
    return [failed_row(name, "It is broken.") for name in names]


def test_what_is_unfinished_does_not_count(tmp_path: Path) -> None:
    first = RunFolder(tmp_path, RUN)
    first.add(rows("a"))
    first.lock.release()
    (tmp_path / "pictures" / ".part-000001.parquet.unfinished").write_bytes(b"half")
    again = RunFolder(tmp_path, RUN)
    assert again.done() == {"a"}
    assert [path.name for path in again.pictures.iterdir()] == ["part-000000.parquet"]


@pytest.mark.parametrize(
    ("name", "value"), [("model", "other"), ("source", "t"), ("stability", True)]
)
def test_another_run_is_refused(tmp_path: Path, name: str, value: object) -> None:
    RunFolder(tmp_path, RUN).lock.release()
    with pytest.raises(ArchiveError, match=f"another run \\({name}"):
        RunFolder(tmp_path, RUN | {name: value})


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    first = RunFolder(tmp_path, RUN)
    with pytest.raises(ArchiveError, match="Another run writes"):
        RunFolder(tmp_path, RUN)
    first.lock.release()


def flipped(value: int, bits: list[int]) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


def test_near_hashes_are_grouped_and_far_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    hashes, wanted = [], []
    for i in range(200):
        value = int(rng.integers(0, 2**63))
        copies = [value] + [
            flipped(value, rng.choice(64, NEAR_BITS, replace=False).tolist()) for _ in range(i % 3)
        ]
        hashes += copies
        wanted += [i] * len(copies)
    paths = [f"p{i}" for i in range(len(hashes))]
    table = near_equal(paths, [f"{h:016x}" for h in hashes])
    found: dict[int, set[str]] = {}
    for row in table.to_pylist():
        found.setdefault(row["group"], set()).add(row["path"])
    expected = [
        {p for p, w in zip(paths, wanted, strict=True) if w == i} for i in range(200) if i % 3
    ]
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, expected))


def test_marks_alone_are_read_without_a_detector() -> None:
    exif = Image.Exif()
    exif[305] = "Ideogram AI"
    data = encode(photo(90, 100), "JPEG", exif=exif)
    marked, plain = (
        Judge(None, False, None).row("a", found) for found in (data, encode(photo(90, 100), "JPEG"))
    )
    assert marked["marks"] == ["Ideogram (metadata)"]
    assert marked["answer"] == "The file says it was generated"
    assert plain["marks"] == []
    assert plain["answer"] is None
    assert "probability" not in marked


def test_marks_are_seen_on_a_large_jpeg_whose_row_has_its_size() -> None:
    """It is decoded at half its size, or a quarter, and upright."""
    pixels = np.full((1600, 2400, 3), 90, np.uint8)
    pixels[1600 - 160 : 1600 - 64, 2400 - 160 : 2400 - 64] += np.round(80 * star(96)).astype(
        np.uint8
    )[..., None]
    turned = Image.fromarray(pixels).rotate(90, expand=True)
    exif = Image.Exif()
    exif[274] = 6  # to be turned by a quarter to the right
    files = encode(Image.fromarray(pixels), "JPEG"), encode(turned, "JPEG", exif=exif)
    for data in files:
        row = Judge(None, False, None).row("a", data)
        assert (row["width"], row["height"], row["marks"]) == (
            2400,
            1600,
            ["Gemini (visible mark)"],
        )


def test_without_ray_a_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    result = run(tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.strip() == "An archive needs Ray: pip install -r requirements-archive.txt."


@pytest.mark.parametrize(
    ("source", "model_name", "code", "words"),
    [
        ("empty", "", 2, "There is no picture in"),
        ("nowhere", "", 1, "is no folder and no list"),
        ("full", "no-such-model", 1, "There is no detector 'no-such-model'"),
        ("list.csv", "", 1, "cannot be read: 'path'"),
        ("list.parquet", "", 1, "cannot be read"),
        ("nosuch://x/y", "", 1, "cannot be read"),
    ],
)
def test_bad_input_is_a_sentence(
    source: str, model_name: str, code: int, words: str, model: str, tmp_path: Path
) -> None:
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    for name in ("full/x.jpg", "list.csv", "list.parquet"):
        (tmp_path / name).write_bytes(b"name\na.jpg\n")
    path = source if "://" in source else tmp_path / source
    result = run(path, "--out", tmp_path / "out", "--model", model_name or model)
    assert result.exit_code == code
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


# With Ray
# --------------------------------------------------------------------------------------------------


@pytest.fixture
def workers_find_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.mark.ray
@pytest.mark.usefixtures("workers_find_the_packages")
def test_an_archive_becomes_a_dataset(model: str, tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    (source / "sub").mkdir(parents=True)
    for i in range(5):
        (source / f"{i}.jpg").write_bytes(encode(photo(90 + 9 * i, 100), "JPEG"))
    (source / "sub" / "again.jpg").write_bytes((source / "0.jpg").read_bytes())
    (source / "broken.jpg").write_bytes(b"no picture")
    arguments = (
        source,
        "--out",
        out,
        "--model",
        model,
        "--workers",
        1,
        "--stability",
        "--duplicates",
    )
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


@pytest.mark.ray
@pytest.mark.usefixtures("workers_find_the_packages")
def test_killed_and_resumed_no_picture_is_lost_or_judged_twice(model: str, tmp_path: Path) -> None:
    """First a worker is killed, which costs a retry; then the whole run, which goes on where it
    was."""
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    picture = encode(photo(700, 600), "PNG")
    for i in range(60):
        (source / f"{i}.png").write_bytes(picture)
    arguments = ["archive", str(source), "--out", str(out), "--model", model, "--workers", "1"]
    code = (
        "from causalclip.archive import command; command.PART_ROWS = 4; from causalclip.cli "
        "import app; "
    )

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", f"{code}app({arguments})"],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
        )

    def parts() -> list[Path]:
        return sorted((out / "pictures").glob("part-*.parquet"))

    def workers() -> list[psutil.Process]:
        return [
            p for p in psutil.Process(first.pid).children(recursive=True) if "MapWorker" in p.name()
        ]

    first = start()
    try:
        assert until(parts, seconds=600)
        killed = workers()
        assert killed
        for worker in killed:
            worker.kill()
        before = len(parts())
        assert until(lambda: len(parts()) > before, seconds=600)
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
