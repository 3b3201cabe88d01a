"""A session's files go with it, and only they."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from gradio.context import LocalContext

from ui.server.files import upload_path
from ui.server.sessions import forget, forget_closed, forget_idle, is_upload, new_folder, note_upload


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    (tmp_path / "uploads").mkdir()
    return tmp_path / "uploads"


@pytest.fixture
def answer() -> Iterator[Any]:
    """Says whose event is being answered."""

    def start(session: str | None) -> None:
        LocalContext.request.set(SimpleNamespace(session_hash=session) if session else None)  # type: ignore[arg-type]

    yield start
    LocalContext.request.set(None)


def upload(folder: Path, name: str) -> Path:
    """A file as it is stored: in a folder of its own."""
    path = folder / f"from-{name}" / "picture.jpg"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(name.encode())
    return path


def left(folder: Path) -> list[Path]:
    """Everything but the marks of closed sessions, which are empty files."""
    return [path for path in folder.rglob("*") if not path.name.startswith("closed-")]


def use(path: Path) -> Path:
    """A request that names an upload, and an event that reads it and derives a file."""
    if request := LocalContext.request.get(None):
        note_upload(str(request.session_hash), str(path))
    assert upload_path({"path": str(path)}) == str(path)
    derived = new_folder() / "map.png"
    derived.touch()
    return derived


def test_upload_and_derived_files_go_and_those_of_others_stay(folder: Path, answer: Any) -> None:
    answer("one")
    mine = upload(folder, "mine"), use(upload(folder, "mine"))
    answer("two")
    yours = upload(folder, "yours"), use(upload(folder, "yours"))
    forget("one")
    assert not any(path.exists() for path in mine)
    assert all(path.exists() for path in yours)
    forget("two")
    assert not left(folder)


def test_a_file_that_two_sessions_use_goes_with_the_last(folder: Path, answer: Any) -> None:
    path = upload(folder, "same")
    answer("one")
    use(path)
    answer("two")
    derived = use(path.parent / ".." / path.parent.name / path.name)  # the same file in other words
    forget("one")
    assert path.exists()
    assert derived.exists()
    forget("two")
    assert not left(folder)


def test_what_a_run_derives_after_its_page_was_closed_goes_too(folder: Path, answer: Any) -> None:
    answer("one")
    use(upload(folder, "a"))
    forget("one")
    late = new_folder()  # the run goes on
    answer("two")
    other = use(upload(folder, "b"))
    forget_closed()
    assert not late.exists()
    assert other.exists()


def test_a_run_that_starts_as_its_page_is_closed_keeps_nothing(folder: Path, answer: Any) -> None:
    path = upload(folder, "a")
    note_upload("one", str(path))  # the request came in
    forget("one")  # and the page was closed
    answer("one")
    with pytest.raises(gr.Error, match="no longer kept"):
        upload_path({"path": str(path)})
    new_folder()
    forget_closed()
    assert not left(folder)


def test_a_page_that_comes_back_is_open_again(folder: Path, answer: Any) -> None:
    answer("one")
    use(upload(folder, "a"))
    forget("one")
    derived = use(upload(folder, "b"))
    forget_closed()
    assert derived.exists()


def test_without_a_session_there_is_still_a_folder(folder: Path, answer: Any) -> None:
    answer(None)
    assert use(upload(folder, "a")).is_relative_to(folder)


@pytest.mark.parametrize("session", ["../../etc", "*", "", "a/b", "\ud800", "x" * 5000])
def test_a_session_may_have_any_name(folder: Path, answer: Any, session: str) -> None:
    kept = upload(folder, "kept")
    answer("other")
    use(kept)
    answer(session)
    new_folder()
    forget(session)
    assert kept.exists()
    assert all(path.parent == folder for path in folder.glob("session-*"))


@pytest.mark.parametrize("path", ["\0", "/" + "a" * 5000, "", "/etc/passwd", "uploads/../../x"])
def test_what_no_system_takes_is_no_upload(path: str) -> None:
    assert not is_upload(path)


def test_what_is_swept_already_is_no_error(folder: Path, answer: Any) -> None:
    answer("one")
    path = upload(folder, "a")
    use(path)
    path.unlink()
    forget("one")
    forget("one")
    assert not list(folder.glob("session-*"))


def test_idle_sessions_are_dropped_from_memory() -> None:
    with gr.Blocks() as page:
        state = gr.State()
    gr.routes.App.create_app(page)
    for name in ("idle", "busy"):
        page.state_holder[name][state._id] = "pixels"
    page.state_holder.time_last_used["idle"] -= datetime.timedelta(seconds=101)
    forget_idle(page, 100)
    assert list(page.state_holder.session_data) == ["busy"]
    assert list(page.state_holder.time_last_used) == ["busy"]
