"""What is kept of visitors, until when, and how much: one index in memory of the folders in ui.server.files.

An upload has a folder of its own with a name that nobody can guess, so that equal bytes of two people stay apart. It is
kept for as long as an open page uses it, a call waits or runs on it, or somebody may be about to. What is derived from
it lies in its page's folder, and goes with the page; for a program, in its call's, and goes ten minutes later. All of
it counts for whoever asked. Nothing is kept for an hour, whoever made it.
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
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import gradio as gr

from causalclip.languages import N_, _, number
from ui.server.files import BLOCK, PAGE, PROGRAM, folder_of, folders_of, size_of, uploads
from ui.server.queue import current_client, current_session

PREFIX, LOOSE = "from-", "?"
GRACE = 45.0  # seconds that a page's upload is kept while nothing uses it: a page that is open says that it does
PATIENCE = 600.0  # the same for a program, which may upload first and think before it asks, and for what it was given
FEW, LEAST = 16, 2  # drawings, labelled reports and the like that are kept of a page, of each kind; and at least
AT_ONCE = 500  # folders that are deleted before it is looked again what has to go
A_PAGE = 400 * 2**20  # bytes derived for a page from which on only the newest LEAST of each kind stay
A_CLIENT = 2_000, 500 * 2**20  # files and bytes of an address that no open page has
AN_ADDRESS = 4_000, 2 * 2**30  # and all of an address, uploaded or derived: a newsroom may have one together
ALL = 20_000, 4 * 2**30
RESERVE, LITTLE = (4_000, 2**30), 100 * 2**20  # what of ALL is for addresses that have little, and how little
YOURS = N_("{mb} MB of your pictures are kept already. Close the page, or wait, then send more.")
MANY = N_("At most {files} of your pictures are kept at once. Close the page, or wait, then send more.")
NO_ROOM = N_("No room for more")
FULL = N_("This server keeps as many pictures as it can. Please try again in a few minutes.")
_SECRET = secrets.token_bytes(32)


@dataclass(slots=True)
class _Folder:
    """An upload's, or that of what was derived for a page or for a call of a program.

    pages: sessions that use it. grace: seconds that it stays while none does. loose: no page has ever said that it uses
    it.
    """

    owner: str
    size: int
    grace: float
    due: float
    loose: bool = True
    pages: set[str] = field(default_factory=set)

    @property
    def accounts(self) -> tuple[str, ...]:
        """What it counts for: all, its owner, and what of the owner's no page uses."""
        return ("", self.owner, *[self.owner + LOOSE] * self.loose)


@dataclass(slots=True)
class Sum:
    """How many files, and how many bytes."""

    files: int = 0
    size: int = 0

    def add(self, files: int, size: int) -> None:
        self.files += files
        self.size += size


class Store:
    """The index of what is kept. Safe for threads; nothing waits for the disk while it is locked.

    late: seconds by which the latest of the last deletions came too late.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.late = clock, 0.0
        self._lock = threading.RLock()
        self._folders: dict[str, _Folder] = {}  # by name
        self._sums: dict[str, Sum] = {}

    def add(self, owner: str, size: int, *, brief: bool) -> str:
        """Notes an upload that is about to be stored; returns the name of its folder.

        brief: it comes from a page, or is asked about at once.
        """
        name, grace = f"{owner}-{secrets.token_hex(16)}", GRACE if brief else PATIENCE
        self._add(name, _Folder(owner, max(size, BLOCK), grace, due=self.clock() + grace))
        return name

    def derive(self, owner: str, session: str) -> str:
        """Notes that something is about to be derived for a session, "" for a call without one; returns the name of the
        folder for it. Raises gr.Error where its owner has no room."""
        name = folder_of(session or PROGRAM + secrets.token_hex(16))
        page = name.startswith(PAGE)
        (uploads() / name).mkdir(parents=True, exist_ok=True)
        with self._lock:
            if name not in self._folders:
                due = self.clock() + PATIENCE
                self._add(name, _Folder(owner, 0, PATIENCE, due, loose=not page, pages={session} if page else set()))
            accounts = self._folders[name].accounts
        self.measure(name)
        if said := self.lacks(0, 0, *accounts):
            raise gr.Error(said, title=_(NO_ROOM), print_exception=False)
        return name

    def _add(self, name: str, folder: _Folder) -> None:
        with self._lock:
            self._folders[name] = folder
            self.count(1, folder.size, *folder.accounts)

    def measure(self, name: str) -> None:
        """Counts what lies in a folder of derived files now."""
        size = size_of(uploads() / name)
        with self._lock:
            if folder := self._folders.get(name):
                self.count(0, size - folder.size, *folder.accounts)
                folder.size = size

    def lacks(self, files: int, size: int, *accounts: str) -> str:
        """A sentence where one of these accounts has no room for so much more, "" otherwise."""
        for account in accounts:
            kept, most = self.sum(account), A_CLIENT if account.endswith(LOOSE) else AN_ADDRESS
            if not account:
                owners = [self.sum(one) for one in accounts if one and not one.endswith(LOOSE)]
                little = all(owner.size + size <= LITTLE for owner in owners)
                most = ALL if little else (ALL[0] - RESERVE[0], ALL[1] - RESERVE[1])
            if kept.files + files > most[0]:
                return _(MANY if account else FULL, files=number(most[0]))
            if kept.size + size > most[1]:
                return _(YOURS if account else FULL, mb=most[1] >> 20)
        return ""

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
        """Notes that an open page uses these: they stay until it is closed."""
        for folder in self._of(paths):
            with self._lock:
                if folder.loose:
                    self.count(-1, -folder.size, folder.owner + LOOSE)
                    folder.loose = False
                folder.pages.add(session)

    def hold(self, paths: Iterable[str]) -> None:
        """Notes that calls use these now. What a page has used goes with that one all the same."""
        for folder in self._of(paths):
            if folder.loose:
                folder.due = self.clock() + folder.grace

    def _of(self, paths: Iterable[str]) -> list[_Folder]:
        names = folders_of(paths)
        with self._lock:
            return [self._folders[name] for name in names & self._folders.keys()]

    def drop(self, session: str, paths: Iterable[str]) -> None:
        """Deletes at once what a page has done with; what another page uses stays."""
        self._drop(session, folders_of(paths))

    def close(self, session: str) -> None:
        """Deletes all that was kept for a page, uploaded or derived; what another page uses stays."""
        with self._lock:
            names = [name for name, folder in self._folders.items() if session in folder.pages]
        self._drop(session, names)

    def _drop(self, session: str, names: Iterable[str]) -> None:
        with self._lock:
            known = [name for name in names if name in self._folders]
            for name in known:  # one may have been deleted as the page said that it uses it
                self._folders[name].pages.discard(session)
                self._folders[name].due = self.clock()
        self._delete(known)

    def sweep(self, open_pages: Collection[str] = ()) -> None:
        """Deletes what is due, and what was derived for pages that are not open any more (a run may write after that).

        open_pages: sessions that are open, or whose calls still run.
        """
        kept = {folder_of(session) for session in open_pages}
        with self._lock:
            derived = [name for name in self._folders if name.startswith((PAGE, PROGRAM))]
        for name in derived:
            self.measure(name)
        with self._lock:
            for name in derived:
                folder = self._folders.get(name)
                if folder and name in kept and not folder.pages:
                    folder.due = self.clock() + folder.grace
                elif folder and name not in kept and folder.pages:
                    folder.pages, folder.due = set(), self.clock()
            known = {name: folder.pages for name, folder in self._folders.items()}
        self.late, tried = 0.0, set[str]()
        while due := [name for name in self._due() if name not in tried][:AT_ONCE]:
            tried.update(due)
            self._delete(due)
        self._forget([name for name, pages in known.items() if pages and not (uploads() / name).exists()])

    def _due(self) -> list[str]:
        """What has to go now, each owner's first before anybody's second: who has thousands delays no others."""
        with self._lock:
            now, before = self.clock(), Counter[str]()
            ranks: dict[str, int] = {}
            for name, folder in self._folders.items():
                if folder.due <= now and not folder.pages:
                    ranks[name] = before[folder.owner]
                    before[folder.owner] += 1
        return sorted(ranks, key=ranks.__getitem__)

    def _delete(self, names: Iterable[str]) -> None:
        """Deletes those that no page uses. What cannot be deleted is tried again in the next round."""
        with self._lock:
            unused = [name for name in names if name in self._folders and not self._folders[name].pages]
        for name in unused:
            shutil.rmtree(uploads() / name, ignore_errors=True)
        went = self._forget([name for name in unused if not (uploads() / name).exists()])
        self.late = max([self.late, *(self.clock() - folder.due for folder in went)])

    def _forget(self, names: Iterable[str]) -> list[_Folder]:
        """Counts those no more."""
        with self._lock:
            went = [folder for name in names if (folder := self._folders.pop(name, None))]
            for folder in went:
                self.count(-1, -folder.size, *folder.accounts)
        return went

    def lateness(self) -> float:
        """Seconds since something should have been deleted: what is still there, or else what went last."""
        with self._lock:
            now = self.clock()
            return max([self.late, *(now - folder.due for folder in self._folders.values() if not folder.pages)])


STORE = Store()


def owner_of(client: str) -> str:
    """What a client's folders begin with; its address cannot be read from it."""
    return f"{PREFIX}{hmac.new(_SECRET, client.encode(), hashlib.sha256).hexdigest()[:16]}"


def new_folder(few: str = "") -> Path:
    """An empty folder for derived files, which Gradio serves; raises as `own_folder` does.

    few: a name for what is made as often as somebody asks; the newest FEW of a page stay, or fewer of large ones.
    """
    if session := current_session():
        _make_room(uploads() / folder_of(session), few)
    return Path(tempfile.mkdtemp(prefix=few and f"{few}-{time.time_ns()}-", dir=own_folder()))


def own_folder() -> Path:
    """The folder of all that is derived for the page, or for the call, that is being answered.

    Raises:
        gr.Error: whoever asks has no room for more.
    """
    return uploads() / STORE.derive(owner_of(current_client().address), current_session() or "")


def _make_room(parent: Path, few: str) -> None:
    """Deletes the oldest of a page's folders, before another one of that name."""
    made = [(*folder.name.rsplit("-", 2)[:2], folder.name) for folder in parent.glob("*-*-*")]
    count = Counter([few, *(kind for kind, _time, _name in made)])
    over = size_of(parent) - A_PAGE
    for kind, _time, name in sorted(made, key=lambda one: one[1]):
        if count[kind] > FEW or (over > 0 and count[kind] > LEAST):
            over -= size_of(parent / name)
            count[kind] -= 1
            shutil.rmtree(parent / name, ignore_errors=True)


def is_own(path: str) -> bool:
    """Whether it was made for the page whose event is being answered; others' files, and uploads, are none of ours."""
    return Path(os.path.realpath(path)).is_relative_to((uploads() / folder_of(current_session() or "")).resolve())
