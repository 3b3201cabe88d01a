"""The output folder: parts are whole, belong to one run, and stay."""

import errno
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="an archive needs requirements-archive.txt")

import pandas as pd

from causalclip.archive.parts import Parts
from causalclip.archive.problems import ArchiveProblem
from causalclip.archive.rows import SCHEMA, failed_row

RUN = {"source": "s", "model": "m", "revision": "1", "runtime": "int8", "stability": False}


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
    with pytest.raises(ArchiveProblem, match=f"another run \\({name}"):
        Parts(tmp_path, RUN | {name: value})


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ArchiveProblem, match="holds something else"):
        Parts(tmp_path, RUN)


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    first = Parts(tmp_path, RUN)
    with pytest.raises(ArchiveProblem, match="Another run writes"):
        Parts(tmp_path, RUN)
    first.lock.release()


def test_a_broken_part_is_named(tmp_path: Path) -> None:
    parts = Parts(tmp_path, RUN)
    parts.add(rows("a"))
    parts.paths()[0].write_bytes(b"PAR1 and nothing more")
    with pytest.raises(ArchiveProblem, match=r"part-000000\.parquet is broken: delete it"):
        parts.done()


def test_a_full_disk_keeps_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(tmp_path, RUN)
    parts.add(rows("a"))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ArchiveProblem, match="No space left on device"):
        parts.add(rows("b"))
    assert parts.done() == {"a"}
    assert len(list(parts.pictures.iterdir())) == 1
