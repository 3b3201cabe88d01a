"""What is kept goes when nobody uses it: soon, on time, and for each of the ways in which that comes about."""

import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.pace import slowness
from ui.server import store
from ui.server.files import upload_path
from ui.server.pages import GONE
from ui.server.store import BLOCK, GRACE, LOOSE, PATIENCE, Store, is_upload, new_folder, owner_of
from ui.server.sweeper import Sweeper, sweep

ME, YOU = owner_of("192.0.2.1"), owner_of("192.0.2.2")


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
    return Store(clock)


def upload(kept: Store, owner: str = ME, *, size: int = 100, brief: bool = True) -> Path:
    path = store.uploads() / kept.add(owner, size, brief=brief) / "picture.jpg"
    path.parent.mkdir()
    path.write_bytes(b"x" * size)
    return path


def test_all_is_gone_within_a_minute(tmp_path: Path) -> None:
    assert max(GRACE, GONE) + Sweeper(tmp_path, limit=3000).period < 60


def test_one_that_nobody_uses_goes(kept: Store, clock: Clock) -> None:
    old = upload(kept)
    clock.now += GRACE - 1
    new = upload(kept)
    clock.now += 2
    kept.sweep()
    assert not old.parent.exists()
    assert new.exists()


def test_a_program_may_think_before_it_asks(kept: Store, clock: Clock) -> None:
    path = upload(kept, brief=False)
    clock.now += PATIENCE - 1
    kept.sweep()
    assert path.exists()
    clock.now += 2
    kept.sweep()
    assert not path.exists()


def test_one_that_an_open_page_uses_stays_until_the_last_is_closed(kept: Store, clock: Clock) -> None:
    path = upload(kept)
    kept.claim("one", [str(path)])
    kept.claim("two", [str(path.parent / ".." / path.parent.name / path.name)])  # the same file in other words
    clock.now += 2000
    kept.sweep()
    kept.close("one")
    assert path.exists()
    kept.close("two")
    assert not path.parent.exists()


def test_what_was_deleted_for_its_age_counts_no_more_though_its_page_is_open(kept: Store, clock: Clock) -> None:
    """Otherwise a page that is open all day would take its address's room for good."""
    old, new, coming = upload(kept), upload(kept), kept.add(ME, 100, brief=True)
    kept.claim("one", [str(old), str(new)])
    sweep(store.uploads(), older_than=-1, now=time.time(), spare=new.parent)
    kept.sweep()
    assert (kept.sum().files, kept.sum(ME).files, kept.sum(ME + LOOSE).files) == (2, 2, 1)
    assert coming in kept._kept  # its folder is not there yet
    assert kept._pages == {"one": {new.parent.name}}
    kept.close("one")
    clock.now += GRACE + 1
    kept.sweep()
    assert not kept._kept
    assert not kept._sums


def test_one_that_a_call_uses_stays_a_while_longer_than_the_call(kept: Store, clock: Clock) -> None:
    path = upload(kept)
    for _ in range(3):
        clock.now += GRACE - 1
        kept.hold([str(path)])
        kept.sweep()
        assert path.exists()
    clock.now += GRACE + 1
    kept.sweep()
    assert not path.exists()


def test_no_call_keeps_what_a_closed_page_has_used(kept: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    path = upload(kept)
    kept.claim("one", [str(path)])
    with monkeypatch.context() as patch:
        patch.setattr(store.shutil, "rmtree", lambda *_, **__: None)  # for now it cannot be deleted
        kept.close("one")
    kept.hold([str(path)])
    kept.sweep()
    assert not path.exists()


def test_what_was_derived_goes_with_its_page_and_that_of_others_stays(kept: Store, answer: Any) -> None:
    answer("one")
    mine = new_folder()
    answer("two")
    yours = new_folder()
    kept.close("one")
    assert not mine.parent.exists()
    assert yours.exists()


@pytest.mark.parametrize("path", ["/" + "a/" * 100_000, "/" + "../" * 65, "/a" * 65])
def test_an_endless_path_is_no_upload_and_is_not_followed(kept: Store, path: str) -> None:
    started = time.process_time()
    assert not is_upload(path)
    assert not is_upload(f"{store.uploads()}{path}")
    assert time.process_time() - started < 0.5 * slowness()


def test_a_run_that_starts_as_its_page_is_closed_is_told(kept: Store) -> None:
    path = upload(kept)
    kept.claim("one", [str(path)])
    kept.close("one")
    with pytest.raises(gr.Error, match="no longer kept"):
        upload_path({"path": str(path)})


def test_of_what_is_made_again_and_again_a_page_keeps_the_newest(kept: Store, answer: Any) -> None:
    """Drawings at another opacity and labelled reports need no model, so one page could fill the disk with them."""
    answer("one")
    batch, others = new_folder(), new_folder("other")
    made = [new_folder("map") for _ in range(store.FEW + 3)]
    assert [path for path in made if path.exists()] == made[3:]
    assert batch.exists()
    assert others.exists()


def test_without_a_session_there_is_still_a_folder(kept: Store, answer: Any) -> None:
    answer(None)
    assert new_folder().parent == store.uploads()


@pytest.mark.parametrize("session", ["../../etc", "*", "a/b", "\ud800", "x" * 5000])
def test_a_session_may_have_any_name(kept: Store, answer: Any, session: str) -> None:
    other = upload(kept)
    answer(session)
    assert new_folder().parent.parent == store.uploads()
    kept.close(session)
    assert other.exists()
    assert not list(store.uploads().glob("session-*"))


def test_the_disk_is_not_asked_for_what_lies_elsewhere(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """On some systems that would ask another machine."""
    inside = str(upload(kept))
    roots = [store.uploads(), store.uploads().resolve()]
    asked: list[Path] = []
    resolve = Path.resolve
    monkeypatch.setattr(Path, "resolve", lambda path: asked.append(path) or resolve(path))
    assert is_upload(inside)
    asked.clear()
    for path in ("//192.0.2.1/x.png", "http://192.0.2.1/x.png", f"{roots[0]}/../x.png", "C:/x.png"):
        assert not is_upload(path)
    assert set(asked) <= set(roots)


def test_nobody_waits_while_a_slow_disk_is_asked(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    path, waited, ask = str(upload(kept)), [], os.path.realpath

    def slow(name: str) -> str:
        other = threading.Thread(target=kept.lateness)
        other.start()
        other.join(5)
        waited.append(other.is_alive())
        return ask(name)

    monkeypatch.setattr(os.path, "realpath", slow)
    kept.claim("one", [path])
    kept.hold([path])
    kept.drop("one", [path])
    assert waited
    assert not any(waited)


@pytest.mark.parametrize("path", ["\0", "/" + "a" * 5000, "", "/etc/passwd", "uploads/../../x"])
def test_what_no_system_takes_is_no_upload(kept: Store, path: str) -> None:
    assert not is_upload(path)
    kept.claim("one", ["/etc/passwd", str(store.uploads())])  # nobody's
    kept.close("one")
    assert Path("/etc/passwd").exists()


def test_a_page_that_names_one_while_it_is_deleted_has_its_others_deleted_when_it_is_closed(
    kept: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, others = upload(kept), [upload(kept) for _ in range(9)]
    kept.claim("one", map(str, others))
    clock.now += GRACE + 1
    delete = shutil.rmtree

    def named_first(path: Path, **options: Any) -> None:
        kept.claim("one", [str(going)])
        delete(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(store.shutil, "rmtree", named_first)
        kept.sweep()
    assert not going.exists()
    kept.close("one")
    assert not any(path.exists() for path in others)
    assert not kept._kept
    assert not kept._sums


def test_what_is_gone_already_is_no_error(kept: Store) -> None:
    path = upload(kept)
    kept.claim("one", [str(path)])
    shutil.rmtree(path.parent)
    kept.close("one")
    kept.close("one")
    assert kept.sum().files == 0


def test_sums_are_of_a_client_and_of_all(kept: Store, clock: Clock) -> None:
    mine = upload(kept, size=100_000)
    upload(kept, size=0)  # takes a block all the same
    upload(kept, YOU, size=50_000)
    assert (kept.sum(ME).files, kept.sum(ME).size) == (2, 100_000 + BLOCK)
    assert (kept.sum().files, kept.sum().size) == (3, 150_000 + BLOCK)
    kept.claim("page", [str(mine)])
    assert kept.sum(ME + LOOSE).size == BLOCK
    assert kept.sum(ME).size == 100_000 + BLOCK
    kept.close("page")
    clock.now += GRACE + 1
    kept.sweep()
    assert kept.sum() == kept.sum(ME) == kept.sum(ME + LOOSE)
    assert not kept._sums


def test_nobody_can_guess_a_folder_or_read_an_address_from_it(kept: Store) -> None:
    assert upload(kept).parent != upload(kept).parent
    assert "192" not in ME


def test_deletion_costs_the_same_however_many_there_are(kept: Store, clock: Clock) -> None:
    """A tenth of a millisecond or so of a processor each: ten thousand are gone within seconds."""
    for _ in range(2000):
        (store.uploads() / kept.add(ME, 0, brief=True)).mkdir()
    clock.now += GRACE + 5
    started = time.process_time()
    kept.sweep()
    assert time.process_time() - started < 2 * slowness()
    assert not list(store.uploads().iterdir())
    assert kept.lateness() == 5


def test_what_cannot_be_deleted_is_tried_again_and_counts_as_late(
    kept: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = upload(kept)
    clock.now += GRACE + 70
    with monkeypatch.context() as patch:
        patch.setattr(store.shutil, "rmtree", lambda *_, **__: None)
        kept.sweep()
        assert kept.lateness() == 70
        assert kept.sum().files == 1
    kept.sweep()
    assert not path.exists()
    clock.now += 100
    kept.sweep()
    assert kept.lateness() == 0
