"""Old files go, young ones stay, and nothing ends the sweeping."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import HANGS
from ui.server.sweeper import Sweeper, sweep

NOW = 1_000_000_000.0


@pytest.fixture(autouse=True)
def ages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the content's time counts here: no test can set the time of the last change of a name (ctime)."""
    monkeypatch.setattr("ui.server.sweeper._age", lambda path, now: now - os.lstat(path).st_mtime)


def make(path: Path, *, age: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    os.utime(path, (NOW - age, NOW - age))
    return path


def test_old_files_go_at_any_depth_and_young_ones_stay(tmp_path: Path) -> None:
    old = [make(tmp_path / name, age=101) for name in ("a.png", "b/c.png", "b/d/e/f.png", ".g.part")]
    young = [make(tmp_path / name, age=99) for name in ("h.png", "b/i.png")]
    sweep(tmp_path, older_than=100, now=NOW)
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in young)


def test_empty_folders_go_by_the_same_rule(tmp_path: Path) -> None:
    make(tmp_path / "old" / "a.png", age=101)
    (tmp_path / "new").mkdir()
    os.utime(tmp_path / "old", (NOW - 101, NOW - 101))
    os.utime(tmp_path / "new", (NOW - 1, NOW - 1))
    sweep(tmp_path, older_than=100, now=NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_links_go_and_are_not_followed(tmp_path: Path) -> None:
    outside = make(tmp_path / "outside" / "kept.png", age=500)
    room = tmp_path / "room"
    room.mkdir()
    for name, target in (("file", outside), ("folder", outside.parent), ("nowhere", tmp_path / "none")):
        (room / name).symlink_to(target)
        os.utime(room / name, (NOW - 101, NOW - 101), follow_symlinks=False)
    sweep(room, older_than=100, now=NOW)
    assert not list(room.iterdir())
    assert outside.exists()


def test_what_is_spared_stays(tmp_path: Path) -> None:
    example = make(tmp_path / "examples" / "cat.png", age=500)
    gone = make(tmp_path / "examples-not" / "cat.png", age=500)
    sweep(tmp_path, older_than=100, now=NOW, spare=tmp_path / "examples")
    assert example.exists()
    assert not gone.exists()


def test_a_file_that_cannot_be_deleted_costs_no_other_and_its_name_is_not_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    files = [make(tmp_path / f"{name}.png", age=101) for name in ("a", "secret", "z")]
    unlink = os.unlink

    def refuse(path: Any, **options: Any) -> None:
        if "secret" in str(path):
            raise PermissionError(f"no: {path}")
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", refuse)
    sweep(tmp_path, older_than=100, now=NOW)
    assert [path.exists() for path in files] == [False, True, False]
    assert "PermissionError" in caplog.text
    assert "secret" not in caplog.text


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path) -> None:
    sweep(tmp_path / "none", older_than=100, now=NOW)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_rounds_go_on_after_any_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A chore fails in every round, and the clock in the first one; later rounds delete all the same."""
    file, calls = make(tmp_path / "a.png", age=101), []

    def clock() -> float:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("Set changed size during iteration")
        if len(calls) == 3:
            raise SystemExit  # no error: the end of the process
        return NOW

    def chore() -> None:
        raise ValueError

    sweeper = Sweeper(tmp_path, limit=100, chores=[chore], clock=clock)
    sweeper.period = 0.01
    sweeper.start()
    sweeper.join(HANGS)
    assert len(calls) == 3
    assert not file.exists()
    assert {"RuntimeError", "ValueError"} <= set(caplog.text.replace("\n", " ").split())


def test_a_round_comes_soon_enough_to_keep_the_limit(tmp_path: Path) -> None:
    assert Sweeper(tmp_path, limit=3000).period <= 60
    assert Sweeper(tmp_path, limit=8).period <= 2
