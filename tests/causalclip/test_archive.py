"""An archive without Ray's processes: its sources, its folder, near-equal pictures, and what a worker does."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("ray", reason="an archive needs requirements-archive.txt")
pytest.importorskip("faiss", reason="an archive needs requirements-archive.txt")

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from causalclip.archive import ArchiveError, command
from causalclip.archive.output import SCHEMA, Parts, failed_row
from causalclip.archive.sources import list_pictures, read_bytes
from causalclip.archive.summary import NEAR, near_equal
from causalclip.archive.workers import Judge, runtime_apart
from causalclip.cli import app
from causalclip.clip.runtime import VARIABLE, choose_runtime
from causalclip.detector import Detector, Verdict
from tests.conftest import ROOT
from tests.makers.detectors import saved_detector
from tests.makers.pictures import encode, photo

RUN = {"source": "s", "model": "m", "revision": "1", "runtime": "int8", "stability": False}
ASKS = (
    "import sys, causalclip.archive.command, causalclip.archive.workers;"
    "from causalclip.archive.workers import runtime_apart;"
    "print(runtime_apart(), *(name for name in ('torch', 'matplotlib') if name in sys.modules))"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("detector")
    saved_detector(folder)
    return str(folder / "model")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["archive", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "sub/a.jpg", ".hidden/c.jpg", "sub/.d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 10)
    return tmp_path


def test_a_folder_is_walked_without_what_is_hidden(folder: Path) -> None:
    assert list_pictures(str(folder)) == [str(folder / "b.jpg"), str(folder / "sub/a.jpg")]


def test_links_out_of_the_folder_pipes_and_devices_are_no_pictures(folder: Path, tmp_path_factory: Any) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "secret.jpg").write_bytes(b"x")
    (folder / "link.jpg").symlink_to(other / "secret.jpg")
    (folder / "links").symlink_to(other)
    (folder / "zero.jpg").symlink_to("/dev/zero")
    (folder / "own.jpg").symlink_to(folder / "b.jpg")
    os.mkfifo(folder / "pipe.jpg")
    assert list_pictures(str(folder)) == [str(folder / name) for name in ("b.jpg", "own.jpg", "sub/a.jpg")]


def test_what_is_no_regular_file_is_not_read(folder: Path) -> None:
    """A pipe would be waited for, and a device read to the limit."""
    os.mkfifo(folder / "pipe.jpg")
    for path in (folder / "pipe.jpg", "/dev/zero", folder):
        with pytest.raises(OSError, match=r"."):
            read_bytes(str(path), limit=10)


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


def test_any_file_system_of_fsspec() -> None:
    with fsspec.open("memory://archive/sub/a.jpg", "wb") as file:
        file.write(b"0123456789")
    assert list_pictures("memory://archive") == ["memory:///archive/sub/a.jpg"]
    assert read_bytes("memory:///archive/sub/a.jpg", limit=4) == b"0123"


@pytest.mark.parametrize(
    ("name", "content", "words", "code"),
    [
        ("nowhere", None, "no folder and no list", 1),
        ("picture.jpg", b"x", "no folder and no list", 1),
        ("list.csv", b"name\na.jpg\n", "cannot be read: 'path'", 1),
        ("list.parquet", b"no parquet", "cannot be read", 1),
        ("list.txt", b"\n\n", "no picture", 2),
        ("nosuch://x/y", None, "cannot be read", 1),
    ],
)
def test_bad_sources_are_a_sentence(tmp_path: Path, name: str, content: bytes | None, words: str, code: int) -> None:
    source = name if "://" in name else str(tmp_path / name)
    if content is not None:
        Path(source).write_bytes(content)
    with pytest.raises(ArchiveError, match=words) as caught:
        list_pictures(source)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


def rows(*names: str) -> list[dict]:
    return [failed_row(name, "It is broken.") for name in names]


def test_parts_are_one_dataset_that_pandas_reads(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "out", RUN)
    parts.add(rows("a", "b"))
    parts.add(rows("c"))
    assert parts.done() == {"a", "b", "c"}
    frame = pd.read_parquet(tmp_path / "out" / "pictures")
    assert list(frame.columns) == SCHEMA.names
    assert list(frame["error"]) == ["It is broken."] * 3


def test_what_is_unfinished_does_not_count(tmp_path: Path) -> None:
    first = Parts(tmp_path, RUN)
    first.add(rows("a"))
    first.lock.release()
    (tmp_path / "pictures" / ".part-000001.parquet.unfinished").write_bytes(b"half")
    again = Parts(tmp_path, RUN)
    assert again.done() == {"a"}
    assert [path.name for path in again.pictures.iterdir()] == ["part-000000.parquet"]


@pytest.mark.parametrize(("name", "value"), [("model", "other"), ("source", "t"), ("stability", True)])
def test_another_run_is_refused(tmp_path: Path, name: str, value: object) -> None:
    Parts(tmp_path, RUN).lock.release()
    with pytest.raises(ArchiveError, match=f"another run \\({name}"):
        Parts(tmp_path, RUN | {name: value})


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ArchiveError, match="holds something else"):
        Parts(tmp_path, RUN)


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    first = Parts(tmp_path, RUN)
    with pytest.raises(ArchiveError, match="Another run writes"):
        Parts(tmp_path, RUN)
    first.lock.release()


def test_a_broken_part_is_named(tmp_path: Path) -> None:
    parts = Parts(tmp_path, RUN)
    parts.add(rows("a"))
    parts.paths()[0].write_bytes(b"PAR1 and nothing more")
    with pytest.raises(ArchiveError, match=r"part-000000\.parquet is broken: delete it"):
        parts.done()


def test_a_full_disk_keeps_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(tmp_path, RUN)
    parts.add(rows("a"))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ArchiveError, match="No space left on device"):
        parts.add(rows("b"))
    assert parts.done() == {"a"}
    assert len(list(parts.pictures.iterdir())) == 1


def flipped(value: int, bits: list[int]) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


def test_near_hashes_are_grouped_and_far_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    hashes, wanted = [], []
    for i in range(200):
        value = int(rng.integers(0, 2**63))
        copies = [value] + [flipped(value, rng.choice(64, NEAR, replace=False).tolist()) for _ in range(i % 3)]
        hashes += copies
        wanted += [i] * len(copies)
    paths = [f"p{i}" for i in range(len(hashes))]
    table = near_equal(paths, [f"{h:016x}" for h in hashes])
    found: dict[int, set[str]] = {}
    for row in table.to_pylist():
        found.setdefault(row["group"], set()).add(row["path"])
    expected = [{p for p, w in zip(paths, wanted, strict=True) if w == i} for i in range(200) if i % 3]
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, expected))


def test_equal_hashes_are_a_group_and_nothing_alone_is() -> None:
    table = near_equal(["a", "b", "c"], ["00ff00ff00ff00ff"] * 2 + ["ffffffff00000000"])
    assert table.to_pydict() == {"group": [0, 0], "path": ["a", "b"], "perceptual_hash": ["00ff00ff00ff00ff"] * 2}
    assert len(near_equal(["a"], ["00ff00ff00ff00ff"])) == 0


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the pictures that the detector was asked about."""
    asked: list[tuple[int, ...]] = []
    judge: Callable[..., Verdict] = Detector.judge

    def noted(self: Detector, pixels: np.ndarray, **options: Any) -> Verdict:
        asked.append(pixels.shape)
        return judge(self, pixels, **options)

    monkeypatch.setattr(Detector, "judge", noted)
    monkeypatch.setattr("torch.set_num_threads", lambda n: None)  # of the tests' own process
    return asked


def test_a_copy_of_a_file_gets_its_row_and_is_not_judged_again(tmp_path: Path, judged: list[tuple[int, ...]]) -> None:
    saved_detector(tmp_path)
    one, other = encode(photo(90, 100), "JPEG"), encode(photo(96, 100), "JPEG")
    judge = Judge(str(tmp_path / "model"), False, None, remembered=1)
    rows = [judge.row(path, data) for path, data in (("a", one), ("b", one), ("c", other), ("d", one))]
    assert [row["path"] for row in rows] == ["a", "b", "c", "d"]
    assert rows[1] == rows[0] | {"path": "b"}
    assert rows[3]["logit"] == rows[0]["logit"] != rows[2]["logit"]
    assert judged == [(100, 90, 3), (100, 96, 3), (100, 90, 3)]  # what is forgotten is judged anew


def test_a_broken_file_is_told_under_each_path(tmp_path: Path, judged: list[tuple[int, ...]]) -> None:
    saved_detector(tmp_path)
    judge = Judge(str(tmp_path / "model"), False, None)
    rows = [judge.row(path, b"no picture") for path in "ab"]
    assert [row["path"] for row in rows] == ["a", "b"]
    assert all(row["error"] for row in rows)
    assert judged == []


def test_the_process_that_starts_workers_does_without_pytorch() -> None:
    asked = subprocess.run([sys.executable, "-c", ASKS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert asked.stdout.split() == [choose_runtime()]


def test_a_runtime_that_there_is_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "int4")
    with pytest.raises(ArchiveError, match=r"CAUSALCLIP_RUNTIME can be .* not 'int4'\.$"):
        runtime_apart()


class Sleeper:
    """Judges by sleeping; its first picture takes long."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def __call__(self, batch: Mapping[str, Iterable[Any]]) -> dict[str, list[bytes]]:
        time.sleep(0.01 if self.paths else 0.5)
        self.paths += batch["path"]
        return {"row": []}


def test_the_sample_is_spread_and_the_first_picture_does_not_count() -> None:
    judge = Sleeper()
    sample, seconds = command.time_sample([str(i) for i in range(1000)], judge, most=8)
    assert sample == len(set(judge.paths)) == 8
    assert max(map(int, judge.paths)) > 500
    assert 0.01 <= seconds < 0.25


def test_hours_are_of_all_workers_together() -> None:
    first, *lines = command.estimate_text(720_000, 24, 0.5, workers=2).splitlines()
    assert "720,000 pictures" in first
    assert "0.50 s each" in first
    assert lines == ["    1: 50.00", "   10: 5.00", "  100: 0.50"]


def test_a_dry_run_of_the_command_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.set_num_threads", lambda n: None)  # of the tests' own process
    saved_detector(tmp_path)
    source = tmp_path / "source"
    source.mkdir()
    for i in range(3):
        (source / f"{i}.jpg").write_bytes(encode(photo(90 + 9 * i, 100), "JPEG"))
    (source / "broken.jpg").write_bytes(b"no picture")
    given = ["archive", str(source), "--out", str(tmp_path / "out"), "--model", str(tmp_path / "model"), "--dry-run"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("4 pictures.")
    assert not (tmp_path / "out").exists()


def test_without_ray_a_sentence_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    ],
)
def test_bad_input_is_a_sentence(
    source: str, model_name: str, code: int, words: str, model: str, tmp_path: Path
) -> None:
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / os.fsdecode(b"x.jpg")).write_bytes(b"x")
    result = run(tmp_path / source, "--out", tmp_path / "out", "--model", model_name or model)
    assert result.exit_code == code
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
