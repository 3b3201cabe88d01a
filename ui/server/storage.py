"""What is kept of visitors, and until when: one index in memory, the folders that it stands for, and one sweep.

An upload has a folder of its own with a name that nobody can guess, so that equal bytes of two people stay apart. It is
kept for as long as an open page uses it, a call waits or runs on it, or somebody may be about to. What is derived from
it lies in its page's folder, and goes with the page. Nothing is kept for an hour, whoever made it.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import logging
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable
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
PAGE, PROGRAM = "session-", "program-"  # what folders of derived files begin with
_SECRET = secrets.token_bytes(32)
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Upload:
    owner: str
    size: int
    grace: float
    due: float
    loose: bool = True  # no page has ever said that it uses it
    pages: set[str] = field(default_factory=set)  # sessions that use it

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
    """The index of uploads. Safe for threads; nothing waits for the disk while it is locked.

    late: seconds by which the latest of the last deletions came too late.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.late = clock, 0.0
        self._lock = threading.RLock()
        self._uploads: dict[str, _Upload] = {}  # by the name of its folder
        self._sums: dict[str, Sum] = {}

    def add(self, owner: str, size: int, *, brief: bool) -> str:
        """Notes an upload that is about to be stored; returns the name of its folder.

        brief: it comes from a page, or is asked about at once.
        """
        name, grace = f"{owner}-{secrets.token_hex(16)}", GRACE if brief else PATIENCE
        with self._lock:
            upload = _Upload(owner, max(size, BLOCK), grace, due=self.clock() + grace)
            self._uploads[name] = upload
            self.count(1, upload.size, *upload.accounts)
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
            for name in named & self._uploads.keys():
                upload = self._uploads[name]
                if upload.loose:
                    self.count(-1, -upload.size, upload.owner + LOOSE)
                    upload.loose = False
                upload.pages.add(session)

    def hold(self, paths: Iterable[str]) -> None:
        """Notes that calls use these uploads now. What a page has used goes with that one all the same."""
        named = _folders(paths)
        with self._lock:
            for name in named & self._uploads.keys():
                upload = self._uploads[name]
                if upload.loose:
                    upload.due = self.clock() + upload.grace

    def drop(self, session: str, paths: Iterable[str] | None = None) -> None:
        """Deletes uploads at once that a page has done with, all by default; what another page uses stays."""
        named = None if paths is None else _folders(paths)
        with self._lock:
            used = {name for name, upload in self._uploads.items() if session in upload.pages}
            names = (used if named is None else named) & self._uploads.keys()
            for name in names:  # one may have been deleted as the page said that it uses it
                self._uploads[name].pages.discard(session)
                self._uploads[name].due = self.clock()
        self._delete(names)

    def close(self, session: str) -> None:
        """`drop`, and deletes all that was derived."""
        self.drop(session)
        shutil.rmtree(uploads() / folder_of(session), ignore_errors=True)

    def sweep(self, open_pages: Collection[str] = ()) -> None:
        """Deletes what is due, and what was derived for pages that are not open any more (a run may write after that)
        and for programs whose call is long over.

        open_pages: sessions that are open, or whose calls still run.
        """
        with self._lock:
            known = {name: upload.pages for name, upload in self._uploads.items()}
            due = [name for name, upload in self._uploads.items() if upload.due <= self.clock()]
        if not self._delete(due):
            self.late = 0.0
        self._forget([name for name, pages in known.items() if pages and not (uploads() / name).exists()])
        kept = {folder_of(session) for session in open_pages}
        for kind, age in ((PAGE, 0.0), (PROGRAM, PATIENCE)):
            for folder in uploads().glob(f"{kind}*"):
                if folder.name not in kept and _age(str(folder), time.time()) >= age:
                    shutil.rmtree(folder, ignore_errors=True)

    def _delete(self, names: Iterable[str]) -> int:
        """Deletes those that no page uses; returns how many are gone. The others are tried again in the next round."""
        with self._lock:
            unused = [name for name in names if name in self._uploads and not self._uploads[name].pages]
        for name in unused:
            shutil.rmtree(uploads() / name, ignore_errors=True)
        went = self._forget([name for name in unused if not (uploads() / name).exists()])
        if went:
            self.late = self.clock() - min(upload.due for upload in went)
        return len(went)

    def _forget(self, names: Iterable[str]) -> list[_Upload]:
        """Counts those no more."""
        with self._lock:
            went = [upload for name in names if (upload := self._uploads.pop(name, None))]
            for upload in went:
                self.count(-1, -upload.size, *upload.accounts)
        return went

    def lateness(self) -> float:
        """Seconds since something should have been deleted: what is still there, or else what went last."""
        with self._lock:
            now = self.clock()
            return max([self.late, *(now - upload.due for upload in self._uploads.values() if not upload.pages)])


STORE = Store()


def owner_of(client: str) -> str:
    """What a client's folders begin with; its address cannot be read from it."""
    return f"{PREFIX}{hmac.new(_SECRET, client.encode(), hashlib.sha256).hexdigest()[:16]}"


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

    few: a name for what is made as often as somebody asks; the newest FEW of a page stay.
    """
    session = current_session()
    few = few if session else ""
    parent = uploads() / folder_of(session) if session else uploads()
    parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=few and f"{few}-{time.time_ns()}-", dir=parent))
    for old in sorted(parent.glob(f"{few}-*"))[:-FEW] if few else ():
        shutil.rmtree(old, ignore_errors=True)
    return new


def file_in(folder: Path, name: str) -> Path:
    """The path of a file of that name in a folder. Every name that may come from a visitor is to pass here.

    Raises:
        ValueError: it is no name of a file, or leads elsewhere.
    """
    path = folder / name
    if path.name != name or name == "..":
        raise ValueError("That is no name of a file.")
    return path


def is_own(path: str) -> bool:
    """Whether it was made for the page whose event is being answered; others' files, and uploads, are none of ours."""
    return Path(os.path.realpath(path)).is_relative_to((uploads() / folder_of(current_session() or "")).resolve())


def folder_of(session: str) -> str:
    """The name of the folder for what is derived for a session, whose name comes from a client and may be any text."""
    kind = PROGRAM if session.startswith(PROGRAM) else PAGE
    return f"{kind}{hashlib.sha256(session.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _folders(paths: Iterable[str]) -> set[str]:
    """The names of the folders that these lie in, of those in `uploads`; for others, names of none."""
    root = os.path.realpath(uploads())
    return {os.path.relpath(os.path.realpath(path), root).split(os.sep)[0] for path in paths}


def sweep(folder: Path, *, older_than: float, now: float, spare: Path | None = None) -> None:
    """Deletes what is in `folder`, at any depth, and was last changed more than `older_than` seconds before `now`.

    Empty folders go by the same rule. A link is deleted itself and never followed; `spare` and what is in it stays.
    What cannot be deleted now is left to the next call. Gradio's own deletion (`delete_cache`, 6.31) is not enough for
    a promise: it does not know what is answered as `gr.update(value=...)`, and its task ends at the first error.
    """
    found: list[str] = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if os.path.join(root, name) != str(spare)]
        found += (os.path.join(root, name) for name in (*folders, *files))
    # The ages of all first: what is deleted in a folder changes its own time. What is in a folder goes before it.
    for path in reversed([path for path in found if _age(path, now) > older_than]):
        try:
            (os.rmdir if os.path.isdir(path) and not os.path.islink(path) else os.unlink)(path)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTEMPTY}:
                log.warning("An old file could not be deleted yet: %s", type(error).__name__)


def _age(path: str, now: float) -> float:
    """Seconds since the last change of content or name; 0 where it is gone.

    Both times, because a copy may carry its source's mtime, and ctime is the day of creation on Windows. A file from
    the future, after the clock was set back, counts by its distance: it would stay for good.
    """
    try:
        stat = os.lstat(path)
    except OSError:
        return 0.0
    return abs(now - max(stat.st_mtime, stat.st_ctime))


class Sweeper(threading.Thread):
    """Sweeps a folder again and again, for as long as the process lives.

    limit: seconds that a file may live; it is gone after limit + `period` at most.
    chores: called first in every round; an error in one ends nothing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limit: float,
        spare: Path | None = None,
        chores: Collection[Callable[[], None]] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(name="sweeper", daemon=True)
        self.chores = (*chores, lambda: sweep(folder, older_than=limit, now=clock(), spare=spare))
        self.limit = limit
        self.period = min(10.0, limit / 4)

    def round(self) -> None:
        """One round, now."""
        for chore in self.chores:
            try:
                chore()
            except Exception as error:  # the next round must come; a message may hold a file's name
                log.error("Sweeping failed: %s", type(error).__name__)

    def run(self) -> None:
        while True:
            time.sleep(self.period)
            self.round()
