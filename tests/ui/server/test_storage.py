"""What is kept goes when nobody uses it: soon, on time, and for each of the ways in which that
comes about."""

import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from tests.makers.cost import slowness
from ui.fields import explain, save_png, upload_path
from ui.server import storage as store
from ui.server.storage import (
    BLOCK,
    GRACE,
    PATIENCE,
    Store,
    file_in,
    folder_prefix,
    is_upload,
    new_folder,
    repeat,
    sweep,
)

ME, YOU = "192.0.2.1", "192.0.2.2"


class Clock:
    """Seconds, as a test wants them."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Store:
    """An empty store, and its folder."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    (tmp_path / "uploads").mkdir()
    monkeypatch.setattr(store, "STORE", empty := Store(clock))
    return empty


def upload(kept: Store, owner: str = ME, *, size: int = 100, brief: bool = True) -> Path:
    path = store.uploads() / kept.add(owner, size, brief=brief) / "picture.jpg"
    path.parent.mkdir()
    path.write_bytes(b"x" * size)
    return path


def close(kept: Store, session: str) -> None:
    kept.close(lambda one: one == session)


def test_a_program_may_think_before_it_asks(kept: Store, clock: Clock) -> None:
    path = upload(kept, brief=False)
    clock.now += PATIENCE - 1
    kept.sweep()
    assert path.exists()
    clock.now += 2
    kept.sweep()
    assert not path.exists()


def test_one_that_an_open_page_uses_stays_until_the_last_is_closed(
    kept: Store, clock: Clock
) -> None:
    path = upload(kept)
    kept.claim("one", [str(path)])
    # the same file in other words
    kept.claim("two", [str(path.parent / ".." / path.parent.name / path.name)])
    clock.now += 2000
    kept.sweep({"one", "two"}.__contains__)
    close(kept, "one")
    assert path.exists()
    close(kept, "two")
    assert not path.parent.exists()


def test_one_that_a_call_uses_stays_a_while_longer_than_the_call(kept: Store, clock: Clock) -> None:
    path, call = upload(kept), f"{store.PROGRAM}call"
    kept.claim(call, [str(path)])
    for _ in range(3):
        clock.now += GRACE - 1
        kept.sweep({call}.__contains__)
    kept.sweep()
    clock.now += GRACE - 1
    kept.sweep()
    assert path.exists()
    clock.now += 2
    kept.sweep()
    assert not path.exists()


def test_what_was_derived_for_a_program_goes_ten_minutes_after_its_call(
    kept: Store, answer: Any, clock: Clock
) -> None:
    runs, over = (f"{store.PROGRAM}{name}" for name in ("runs", "over"))
    places = []
    for session in (runs, over, None):  # the last as an agent's
        answer(session)
        places.append(new_folder().parent)
    kept.sweep({runs}.__contains__)
    clock.now += PATIENCE - 1
    kept.sweep({runs}.__contains__)
    assert all(place.exists() for place in places)
    clock.now += 2
    kept.sweep({runs}.__contains__)
    assert [place.exists() for place in places] == [True, False, False]
    kept.sweep()
    clock.now += PATIENCE + 1
    kept.sweep()
    assert not places[0].exists()
    assert kept.kept() == (0, 0)


def test_what_a_run_writes_after_its_page_was_closed_goes_with_the_next_sweep(
    kept: Store, answer: Any
) -> None:
    answer("one")
    new_folder()
    close(kept, "one")
    late = new_folder()
    kept.sweep({"one"}.__contains__)
    assert late.exists()
    kept.sweep()
    assert not late.parent.exists()
    assert kept.kept() == (0, 0)


def test_what_was_derived_counts_for_whoever_asked(
    kept: Store, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one address fills the disk with pages that write maps."""
    monkeypatch.setattr(store, "AN_ADDRESS", (100, 10 * BLOCK))
    for session, address in (("one", "192.0.2.1"), ("two", "192.0.2.1"), ("three", "192.0.2.2")):
        answer(session, address)
        (new_folder("map") / "map.npz").write_bytes(bytes(6 * BLOCK))
    kept.sweep({"one", "two", "three"}.__contains__)
    assert kept.kept(ME)[1] == 12 * BLOCK
    assert kept.kept()[1] == 18 * BLOCK
    answer("two", "192.0.2.1")
    with pytest.raises(gr.Error, match="kept already") as full:
        new_folder("map")
    # a tab says it in the answer's place
    assert explain(full.value) == ("No room for more", full.value.message)
    answer("three", "192.0.2.2")
    new_folder("map")
    close(kept, "one")
    answer("two", "192.0.2.1")
    new_folder("map")


def test_a_program_has_less_room_and_does_not_take_a_pages(
    kept: Store, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "A_CLIENT", (100, 2 * BLOCK))
    for _ in range(2):
        answer(f"{store.PROGRAM}{_}", "192.0.2.1")
        (new_folder() / "report.html").write_bytes(bytes(2 * BLOCK))
        kept.sweep()
    answer(f"{store.PROGRAM}more", "192.0.2.1")
    with pytest.raises(gr.Error, match="kept already"):
        new_folder()
    answer("page", "192.0.2.1")
    new_folder()


def test_of_large_drawings_a_page_keeps_fewer(
    kept: Store, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "A_PAGE", 8 * BLOCK)
    answer("one")
    made = []
    for name in ("purifier-change", "map", "map", "map", "map", "map"):
        made.append(new_folder(name) / "x.png")
        made[-1].write_bytes(bytes(3 * BLOCK))
    assert [path.exists() for path in made] == [True, False, False, False, True, True]


def test_of_each_drawing_a_page_keeps_few(kept: Store, answer: Any) -> None:
    """Else one page could fill the disk by looking at examples again and again."""
    answer("one")
    paths = [Path(save_png(Image.new("L", (1, 1)), "purified")) for _ in range(store.FEW + 4)]
    assert [path.exists() for path in paths] == [False] * 4 + [True] * store.FEW


@pytest.mark.parametrize("path", ["/" + "a/" * 100_000, "/" + "../" * 65, "/a" * 65])
def test_an_endless_path_is_no_upload_and_is_not_followed(kept: Store, path: str) -> None:
    started = time.process_time()
    assert not is_upload(path)
    assert not is_upload(f"{store.uploads()}{path}")
    assert time.process_time() - started < 0.5 * slowness()


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "..", ".", "", "./x", "x/"])
def test_a_name_never_leads_out_of_its_folder(name: str, tmp_path: Path) -> None:
    assert file_in(tmp_path, "x.png") == tmp_path / "x.png"
    with pytest.raises(ValueError, match="no name"):
        file_in(tmp_path, name)


def test_a_run_that_starts_as_its_page_is_closed_is_told(kept: Store) -> None:
    path = upload(kept)
    kept.claim("one", [str(path)])
    close(kept, "one")
    with pytest.raises(gr.Error, match="no longer kept"):
        upload_path({"path": str(path)})


def test_sums_are_of_a_client_and_of_all(kept: Store, clock: Clock) -> None:
    mine = upload(kept, size=100_000)
    upload(kept, size=0)  # takes a block all the same
    upload(kept, YOU, size=50_000)
    assert kept.kept(ME) == (2, 100_000 + BLOCK)
    assert kept.kept() == (3, 150_000 + BLOCK)
    kept.claim("page", [str(mine)])
    assert kept.kept(ME, loose=True) == (1, BLOCK)
    assert kept.kept(ME) == (2, 100_000 + BLOCK)
    close(kept, "page")
    clock.now += GRACE + 1
    kept.sweep()
    assert kept.kept() == (0, 0)


def test_what_cannot_be_deleted_is_tried_again_and_counts_as_late(
    kept: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = upload(kept)
    clock.now += GRACE + 70
    with monkeypatch.context() as patch:
        patch.setattr(store.shutil, "rmtree", lambda *_, **__: None)
        kept.sweep()
        assert kept.lateness() == 70
        assert kept.kept()[0] == 1
    kept.sweep()
    assert not path.exists()
    clock.now += 100
    kept.sweep()
    assert kept.lateness() == 0


def test_who_has_thousands_delays_nobody_elses_deletion(
    kept: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what becomes due while thousands are deleted goes before the rest of them."""
    monkeypatch.setattr(store, "AT_ONCE", 10)
    for _ in range(100):
        upload(kept)
    clock.now += 10
    upload(kept, YOU)
    clock.now += GRACE - 9
    remove, went = store.shutil.rmtree, list[str]()

    def slowly(path: Path, **options: Any) -> None:
        remove(path, **options)
        went.append(path.name)
        clock.now += 1

    monkeypatch.setattr(store.shutil, "rmtree", slowly)
    kept.sweep()
    assert len(went) == 101
    assert [name.startswith(folder_prefix(YOU)) for name in went].index(True) <= 20
    assert kept.kept() == (0, 0)


# The sweep of what is old
# --------------------------------------------------------------------------

NOW = 1_000_000_000.0


@pytest.fixture
def ages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the content's time counts here: no test can set the time of the last change of a name
    (ctime)."""
    monkeypatch.setattr("ui.server.storage._age", lambda path, now: now - os.lstat(path).st_mtime)


def make(path: Path, *, age: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    os.utime(path, (NOW - age, NOW - age))
    return path


@pytest.mark.usefixtures("ages")
def test_old_files_go_at_any_depth_and_young_ones_stay(tmp_path: Path) -> None:
    old = [
        make(tmp_path / name, age=101) for name in ("a.png", "b/c.png", "b/d/e/f.png", ".g.part")
    ]
    young = [make(tmp_path / name, age=99) for name in ("h.png", "b/i.png")]
    sweep(tmp_path, older_than=100, now=NOW)
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in young)


@pytest.mark.usefixtures("ages")
def test_links_go_and_are_not_followed(tmp_path: Path) -> None:
    outside = make(tmp_path / "outside" / "kept.png", age=500)
    room = tmp_path / "room"
    room.mkdir()
    for name, target in (
        ("file", outside),
        ("folder", outside.parent),
        ("nowhere", tmp_path / "none"),
    ):
        (room / name).symlink_to(target)
        os.utime(room / name, (NOW - 101, NOW - 101), follow_symlinks=False)
    sweep(room, older_than=100, now=NOW)
    assert not list(room.iterdir())
    assert outside.exists()


@pytest.mark.usefixtures("ages")
def test_rounds_go_on_after_any_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file, rounds = make(tmp_path / "a.png", age=101), list[int]()

    def chore() -> None:
        rounds.append(1)
        if len(rounds) == 3:
            raise SystemExit  # no error: the end of the process
        raise RuntimeError("Set changed size during iteration")

    with pytest.raises(SystemExit):
        repeat(0.01, chore, partial(sweep, tmp_path, older_than=100, now=NOW))
    assert not file.exists()
    assert caplog.text.count("RuntimeError") == 2
