"""Which files belong to which open page, so that they go when it is closed.

The file system is the register: every session has a folder, which holds what is derived from its pictures and a note of
every upload that it uses. A note is made when a request names the upload, before anything runs: so none is missed when
the page is closed.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import shutil
import tempfile
from pathlib import Path

import gradio as gr

from ui.server.turns import current_session, forget_turns

_NOTE, _CLOSED = "uses-", "closed-"


def uploads() -> Path:
    """The folder where Gradio keeps and serves files."""
    return Path(gr.utils.get_upload_folder())


def is_upload(path: str) -> bool:
    """Whether the path lies in that folder, however it is spelt. A path that no system takes does not."""
    try:
        return Path(path).resolve().is_relative_to(uploads().resolve())
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def new_folder() -> Path:
    """An empty folder for derived files, which Gradio serves: with the session's own, if an event is being answered."""
    session = current_session()
    parent = _folder(session) if session else uploads()
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent))


def note_upload(session: str, path: str) -> None:
    """Notes that an open page uses this upload."""
    folder = _folder(session)
    folder.mkdir(parents=True, exist_ok=True)
    _closed(session).unlink(missing_ok=True)  # a page that was out of reach, and is back
    path = str(Path(path).resolve())  # one note for one file, however a client spells it
    (folder / f"{_NOTE}{_digest(path)}").write_bytes(_bytes(path))


def is_noted(path: str) -> bool:
    """Whether an open page uses this upload."""
    return any(uploads().glob(f"session-*/{_NOTE}{_digest(str(Path(path).resolve()))}"))


def forget(session: str) -> None:
    """Deletes a session's uploads and everything derived from them; uploads that another session uses stay.

    What a run that still goes on derives later is left to `forget_closed`.
    """
    folder = _folder(session)
    with contextlib.suppress(FileNotFoundError):  # nothing was ever uploaded
        _closed(session).touch()
    for note in folder.glob(f"{_NOTE}*"):
        with contextlib.suppress(OSError):  # swept already, or soon
            path = Path(note.read_bytes().decode("utf-8", "surrogatepass"))
            note.unlink()
            if not any(uploads().glob(f"session-*/{note.name}")):
                delete(path)
    shutil.rmtree(folder, ignore_errors=True)


def delete(path: Path) -> None:
    """Deletes an upload, with the folder that it has to itself."""
    path.unlink(missing_ok=True)
    if path.parent != uploads():
        with contextlib.suppress(OSError):  # it is gone, or holds something else
            path.parent.rmdir()


def forget_all(page: gr.Blocks, session: str) -> None:
    """Forgets a session in memory and on disk."""
    forget_state(page, session)
    forget(session)


def forget_closed() -> None:
    """Deletes what runs have derived after their page was closed."""
    for mark in uploads().glob(f"{_CLOSED}*"):
        shutil.rmtree(uploads() / mark.name.replace(_CLOSED, "session-", 1), ignore_errors=True)


def forget_state(page: gr.Blocks, session: str) -> None:
    """Drops what is kept of a session in memory: drawings, and the answers that Gradio keeps for it."""
    page.state_holder.delete_state(session)
    page.state_holder.session_data.pop(session, None)
    page.state_holder.time_last_used.pop(session, None)
    forget_turns(session)


def forget_idle(page: gr.Blocks, seconds: float) -> None:
    """`forget_state` for all sessions that have not been used for so long."""
    then = datetime.datetime.now() - datetime.timedelta(seconds=seconds)
    for session, used in list(page.state_holder.time_last_used.items()):
        if used < then:
            forget_state(page, session)


def _folder(session: str) -> Path:
    return uploads() / f"session-{_digest(session)}"  # the name comes from a client, and may be any text


def _closed(session: str) -> Path:
    return uploads() / f"{_CLOSED}{_digest(session)}"


def _digest(text: str) -> str:
    return hashlib.sha256(_bytes(text)).hexdigest()[:32]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # JSON may hold what UTF-8 does not
