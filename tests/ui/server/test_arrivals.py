"""Uploads go when nobody uses them: soon, and for each of the ways in which that comes about."""

import os
import time
from pathlib import Path

import pytest

from ui.server import arrivals, sessions
from ui.server.arrivals import GRACE, PATIENCE, claim, folder_name, hold, owner_of, stored, sweep_unused
from ui.server.doors.lifelines import GONE


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(arrivals, "_holds", {})
    return tmp_path


def upload(folder: Path, address: str = "192.0.2.1", *, age: float = 0, brief: bool = True) -> Path:
    path = folder / folder_name(owner_of(address), brief=brief) / "picture.jpg"
    path.parent.mkdir()
    path.write_bytes(b"x" * 100)
    for entry in (path, path.parent):
        os.utime(entry, (time.time() - age, time.time() - age))
    return path


def test_all_is_gone_within_a_minute() -> None:
    """With a round of the sweeper every ten seconds."""
    assert max(GRACE, GONE) + 10 < 60


def test_one_that_nobody_uses_goes(folder: Path) -> None:
    old, new = upload(folder, age=GRACE + 1), upload(folder)
    sweep_unused(lambda _: False)
    assert not old.parent.exists()
    assert new.exists()


def test_a_program_may_think_before_it_asks(folder: Path) -> None:
    thinking, gone = (upload(folder, age=age, brief=False) for age in (PATIENCE - 5, PATIENCE + 1))
    sweep_unused(lambda _: False)
    assert thinking.exists()
    assert not gone.exists()


def test_what_a_broken_upload_left_goes(folder: Path) -> None:
    left, arriving = folder / "tmpabcd", folder / "tmpefgh"
    left.touch()
    arriving.touch()
    os.utime(left, (time.time() - GRACE - 1,) * 2)
    (folder / "tmpfolder").mkdir()
    sweep_unused(lambda _: False)
    assert not left.exists()
    assert arriving.exists()
    assert (folder / "tmpfolder").exists()


def test_one_that_an_open_page_uses_stays_until_it_is_closed(folder: Path) -> None:
    path = upload(folder, age=GRACE + 1)
    claim("page", [str(path)])
    sweep_unused(lambda _: False, now=time.time() + 2000)
    assert path.exists()
    sessions.forget("page")
    assert not path.exists()


def test_one_that_a_call_uses_stays_a_while_longer_than_the_call(folder: Path) -> None:
    path, now = upload(folder), time.time()
    hold([str(path)])
    hold([str(path)], "call")
    sweep_unused(lambda name: name == "call", now=now + 1000)
    assert path.exists()
    sweep_unused(lambda _: False, now=now + 1001)
    assert path.exists()
    sweep_unused(lambda _: False, now=now + 1001 + GRACE + 1)
    assert not path.exists()
    sweep_unused(lambda _: False)
    assert not arrivals._holds


def test_nobody_can_guess_a_folder_or_read_an_address_from_it(folder: Path) -> None:
    assert folder_name(owner_of("a"), brief=True) != folder_name(owner_of("a"), brief=True)
    assert "192" not in owner_of("192.0.2.1")
    upload(folder)
    upload(folder)
    upload(folder, "192.0.2.2")
    assert stored(owner_of("192.0.2.1")) == 200
    assert stored() == 300
