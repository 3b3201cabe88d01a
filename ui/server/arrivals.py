"""Uploads from their arrival until they go: soon, if nobody uses them.

Each has a folder of its own with a name that cannot be guessed, so that equal bytes of two people stay apart. It is
kept for as long as an open page uses it (ui.server.sessions), a call waits or runs on it, or somebody may be about to.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ui.server import sessions

PREFIX = "from-"
GRACE = 45.0  # seconds that a page's upload is kept while nothing uses it: a page that is open says that it does
PATIENCE = 600.0  # the same for a program, which may upload first and think before it asks
_BRIEF = "page"
_SECRET = secrets.token_bytes(32)


@dataclass(slots=True)
class _Hold:
    """Calls that use an upload, and when the last of them came or ended."""

    events: set[str] = field(default_factory=set)
    at: float = 0.0


_holds: dict[str, _Hold] = {}


def owner_of(address: str) -> str:
    """What a client's folders begin with; its address cannot be read from it."""
    return f"{PREFIX}{hmac.new(_SECRET, address.encode(), hashlib.sha256).hexdigest()[:16]}"


def folder_name(owner: str, *, brief: bool) -> str:
    """A new folder's name. brief: it holds what a page sent, or what is asked about at once."""
    return f"{owner}-{_BRIEF if brief else 'program'}-{secrets.token_hex(16)}"


def stored(owner: str = PREFIX) -> int:
    """Bytes of a client's uploads that are kept now; of all clients' by default."""
    return sum(_size(path) for path in sessions.uploads().glob(f"{owner}*/*"))


def claim(session: str, files: Iterable[str]) -> None:
    """Notes that an open page uses these uploads: they stay until it is closed."""
    for path in files:
        sessions.note_upload(session, path)


def hold(files: Iterable[str], event: str | None = None) -> None:
    """Notes that a call without a page uses these uploads. event: its name, once it has one."""
    for path in files:
        held = _holds.setdefault(str(Path(path).resolve()), _Hold())
        held.at = time.time()
        if event:
            held.events.add(event)


def sweep_unused(pending: Callable[[str], bool], *, now: float | None = None) -> None:
    """Deletes uploads that no page and no call uses, and what has been left of broken ones.

    pending: whether the call of that name still waits or runs.
    """
    now = time.time() if now is None else now
    for held in _holds.values():
        if held.events and not any(map(pending, held.events)):
            held.events, held.at = set(), now
    for path in [*sessions.uploads().glob(f"{PREFIX}*/*"), *sessions.uploads().glob("tmp*")]:
        if path.is_file() and not _used(path, now):
            sessions.delete(path)
    for name in [name for name in _holds if not Path(name).exists()]:
        del _holds[name]


def _used(path: Path, now: float) -> bool:
    held = _holds.get(str(path.resolve()), _Hold())
    try:
        touched = max(path.stat().st_mtime, held.at)
    except FileNotFoundError:
        return True
    by_program = path.parent.name.startswith(PREFIX) and f"-{_BRIEF}-" not in path.parent.name
    grace = PATIENCE if by_program else GRACE
    return bool(held.events) or now - touched <= grace or sessions.is_noted(str(path))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
