"""What is kept of visitors, and until when: one index in memory, and the folders that it stands for.

An upload has a folder of its own with a name that nobody can guess, so that equal bytes of two people stay apart. It is
kept for as long as an open page uses it, a call waits or runs on it, or somebody may be about to. What is derived from
it lies in its page's folder, and goes with the page.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from ui.server.queue import current_session

PREFIX, LOOSE = "from-", "?"
GRACE = 45.0  # seconds that a page's upload is kept while nothing uses it: a page that is open says that it does
PATIENCE = 600.0  # the same for a program, which may upload first and think before it asks
BLOCK = 4096  # bytes that a file takes at least
FEW = 16  # drawings, labelled reports and the like that are kept of a page, of each kind
DEEPEST = 64  # folders in a path; one of 100,000 takes half a minute to be followed
_SECRET = secrets.token_bytes(32)


@dataclass(slots=True)
class _Kept:
    owner: str
    size: int
    grace: float
    due: float
    loose: bool = True  # no page has ever said that it uses it
    pages: set[str] = field(default_factory=set)  # sessions that use it


@dataclass(slots=True)
class Sum:
    """How many files, and how many bytes."""

    files: int = 0
    size: int = 0

    def add(self, files: int, size: int) -> None:
        self.files += files
        self.size += size


class Store:
    """The index of uploads. Safe for threads; nothing waits for the disk while it is locked.

    late: seconds by which the latest of the last deletions came too late.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.late = clock, 0.0
        self._lock = threading.RLock()
        self._kept: dict[str, _Kept] = {}  # by the name of its folder
        self._pages: dict[str, set[str]] = {}  # session -> folders of the uploads that it uses
        self._sums: dict[str, Sum] = {}

    def add(self, owner: str, size: int, *, brief: bool) -> str:
        """Notes an upload that is about to be stored; returns the name of its folder.

        brief: it comes from a page, or is asked about at once.
        """
        name, grace = f"{owner}-{secrets.token_hex(16)}", GRACE if brief else PATIENCE
        with self._lock:
            self._kept[name] = kept = _Kept(owner, max(size, BLOCK), grace, due=self.clock() + grace)
            self.count(1, kept.size, "", owner, owner + LOOSE)
        return name

    def sum(self, owner: str = "") -> Sum:
        """What is kept of a client; of all by default. With LOOSE behind the client: of that, what no page uses."""
        return self._sums.get(owner, Sum())

    def count(self, files: int, size: int, *accounts: str) -> None:
        """Adds to what is kept; also what is coming, until it is there."""
        with self._lock:
            for name in accounts:
                total = self._sums.setdefault(name, Sum())
                total.add(files, size)
                if not total.files:
                    del self._sums[name]

    def claim(self, session: str, paths: Iterable[str]) -> None:
        """Notes that an open page uses these uploads: they stay until it is closed."""
        named = _folders(paths)
        with self._lock:
            for name in named & self._kept.keys():
                kept = self._kept[name]
                if kept.loose:
                    kept.loose = False
                    self.count(-1, -kept.size, kept.owner + LOOSE)
                kept.pages.add(session)
                self._pages.setdefault(session, set()).add(name)

    def hold(self, paths: Iterable[str]) -> None:
        """Notes that calls use these uploads now. What a page has used goes with that one all the same."""
        named = _folders(paths)
        with self._lock:
            for kept in map(self._kept.__getitem__, named & self._kept.keys()):
                if kept.loose:
                    kept.due = self.clock() + kept.grace

    def drop(self, session: str, paths: Iterable[str] | None = None) -> None:
        """Deletes uploads at once that a page has done with, all by default; what another page uses stays."""
        named = None if paths is None else _folders(paths)
        with self._lock:
            used = self._pages.pop(session, set())
            names = used if named is None else named
            if used - names:
                self._pages[session] = used - names
            for name in names & self._kept.keys():  # one may have been deleted as the page said that it uses it
                self._kept[name].pages.discard(session)
                self._kept[name].due = self.clock()
        self._delete(names)

    def close(self, session: str) -> None:
        """`drop`, and deletes all that was derived."""
        self.drop(session)
        shutil.rmtree(_folder(session), ignore_errors=True)

    def sweep(self) -> None:
        """Deletes what is due, and counts no more what has been deleted for its age while a page has it."""
        self._forget_gone()
        now = self.clock()
        with self._lock:
            due = [name for name, kept in self._kept.items() if kept.due <= now]
        if not self._delete(due):
            self.late = 0.0

    def _forget_gone(self) -> None:
        """Of what an open page uses, whose folder was there when the page named it; others are deleted when due."""
        with self._lock:
            used, root = [name for name, kept in self._kept.items() if kept.pages], uploads()
        gone = [name for name in used if not (root / name).exists()]
        with self._lock:
            for kept in filter(None, (self._kept.pop(name, None) for name in gone)):
                self.count(-1, -kept.size, "", kept.owner, *[kept.owner + LOOSE] * kept.loose)
            for names in self._pages.values():
                names.difference_update(gone)

    def _delete(self, names: Iterable[str]) -> int:
        """Deletes those that no page uses; returns how many are gone. The others are tried again in the next round."""
        with self._lock:
            unused = [name for name in names if name in self._kept and not self._kept[name].pages]
        for name in unused:
            shutil.rmtree(uploads() / name, ignore_errors=True)
        gone = [name for name in unused if not (uploads() / name).exists()]
        with self._lock:
            went = [kept for name in gone if (kept := self._kept.pop(name, None))]
            for kept in went:
                self.count(-1, -kept.size, "", kept.owner, *[kept.owner + LOOSE] * kept.loose)
            if went:
                self.late = self.clock() - min(kept.due for kept in went)
        return len(went)

    def lateness(self) -> float:
        """Seconds since something should have been deleted: what is still there, or else what went last."""
        with self._lock:
            now = self.clock()
            return max([self.late, *(now - kept.due for kept in self._kept.values() if not kept.pages)])


STORE = Store()


def owner_of(address: str) -> str:
    """What a client's folders begin with; its address cannot be read from it."""
    return f"{PREFIX}{hmac.new(_SECRET, address.encode(), hashlib.sha256).hexdigest()[:16]}"


def uploads() -> Path:
    """The folder where Gradio keeps and serves files."""
    return Path(gr.utils.get_upload_folder())


def is_upload(path: str) -> bool:
    """Whether the path lies in that folder, however it is spelt. A path that no system takes does not."""
    try:
        named, roots = Path(os.path.abspath(path)), (uploads(), uploads().resolve())
        # By its words first: of what lies elsewhere, such as on another machine, the disk is not asked.
        near = len(named.parts) <= DEEPEST and any(named.is_relative_to(root) for root in roots)
        return near and named.resolve().is_relative_to(roots[1])
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def files_in(values: Iterable[Any]) -> list[str]:
    """The paths of the files that a call holds, of which a field may take several."""
    entries = [entry for value in values for entry in (value if isinstance(value, list) else [value])]
    return [entry["path"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("path"), str)]


def new_folder(few: str = "") -> Path:
    """An empty folder for derived files, which Gradio serves: with the page's own, if an event is being answered.

    few: a name for what is made without the model, and so as often as somebody asks; the newest FEW of a page stay.
    """
    session = current_session()
    parent = _folder(session) if session else uploads()
    parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=few and f"{few}-{time.time_ns()}-", dir=parent))
    for old in sorted(parent.glob(f"{few}-*"))[:-FEW] if few else ():
        shutil.rmtree(old, ignore_errors=True)
    return new


def is_own(path: str) -> bool:
    """Whether it was made for the page whose event is being answered; others' files, and uploads, are none of ours."""
    return Path(os.path.realpath(path)).is_relative_to(_folder(current_session() or "").resolve())


def _folders(paths: Iterable[str]) -> set[str]:
    """The names of the folders that these lie in, of those in `uploads`; for others, names of none."""
    root = os.path.realpath(uploads())
    return {os.path.relpath(os.path.realpath(path), root).split(os.sep)[0] for path in paths}


def _folder(session: str) -> Path:
    """Its name comes from a client, and may be any text."""
    return uploads() / f"session-{hashlib.sha256(session.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
