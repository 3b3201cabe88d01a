"""Where a byte of an upload may be, and until when: one table in memory of the folders in
`uploads()`.

| A row | stays until |
|---|---|
| an upload that is coming (no folder yet) | it is whole, or its connection breaks |
| an upload, `from-…` | the last page that uses it is closed; without one, for GRACE or PATIENCE
after its last use |
| what was derived for a page, `session-…` | the page is closed |
| what was derived for a program, `program-…` | PATIENCE after its call |

Whatever it is, `sweep` deletes it within an hour. A folder's name cannot be guessed, so that equal
bytes of two people stay apart. All rows of an address count for it, also what is coming and what
was derived.
"""

from __future__ import annotations

import contextlib
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
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from causalclip.languages import N_, _, number
from ui.server.queue import current_client

UPLOAD, PAGE, PROGRAM = "from-", "session-", "program-"  # what names of folders begin with
# seconds that a page's upload is kept while nothing uses it: a page that is open says that it does
GRACE = 45.0
# the same for a program, which may upload first and think before it asks, and for what it was given
PATIENCE = 600.0
# drawings, labelled reports and the like that are kept of a page, of each kind; and at least
FEW, LEAST = 16, 2
AT_ONCE = 500  # folders that are deleted before it is looked again what has to go
# bytes derived for a page from which on only the newest LEAST of each kind stay
A_PAGE = 400 * 2**20
A_CLIENT = 2_000, 500 * 2**20  # files and bytes of an address that no page has ever used
AN_ADDRESS = 4_000, 2 * 2**30  # and all of an address: a newsroom may have one together
ALL = 20_000, 4 * 2**30
# what of ALL is for addresses that have little, and how little
RESERVE, LITTLE = (4_000, 2**30), 100 * 2**20
YOURS = N_("{mb} MB of your pictures are kept already. Close the page, or wait, then send more.")
MANY = N_(
    "At most {files} of your pictures are kept at once. Close the page, or wait, then send more."
)
NO_ROOM = N_("No room for more")
FULL = N_("This server keeps as many pictures as it can. Please try again in a few minutes.")
_SECRET = secrets.token_bytes(32)


@dataclass(slots=True, eq=False)
class _Row:
    """linger: seconds that it stays after its last use. due: when it goes, while nobody uses it.
    loose: no page has ever used it. users: sessions of open pages, and of programs' calls."""

    owner: str
    size: int
    linger: float
    due: float
    files: int = 1
    loose: bool = True
    users: set[str] = field(default_factory=set)


class Store:
    """The table. Safe for threads; nothing waits for the disk while it is locked.

    late: seconds by which the latest of the last deletions came too late.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.late = clock, 0.0
        self._lock = threading.RLock()
        self._rows: dict[str, _Row] = {}  # by name

    def add(self, owner: str, size: int, *, brief: bool) -> str:
        """Notes an upload that is about to be stored; returns the name of its folder.

        brief: it comes from a page, or is asked about at once.
        """
        linger = GRACE if brief else PATIENCE
        row = _Row(owner, max(size, BLOCK), linger, self.clock() + linger)
        return self._new(f"{folder_prefix(owner)}-{secrets.token_hex(16)}", row)

    def derive(self, owner: str, session: str) -> str:
        """Notes that something is about to be derived for a session, "" for a call without one;
        returns the name of the folder for it. Raises gr.Error where its owner has no room."""
        name = folder_of(session or PROGRAM + secrets.token_hex(16))
        linger = 0.0 if name.startswith(PAGE) else PATIENCE
        (uploads() / name).mkdir(parents=True, exist_ok=True)
        with self._lock:
            if name not in self._rows:
                row = _Row(owner, 0, linger, self.clock() + PATIENCE, loose=linger > 0)
                row.users.update([session] if session else [])
                self._new(name, row)
            loose = self._rows[name].loose
        self._measure(name)
        if said := self.lacks(owner, 0, 0, loose=loose):
            raise gr.Error(said, title=_(NO_ROOM), print_exception=False)
        return name

    @contextmanager
    def expect(self, owner: str) -> Iterator[Callable[[int, int], str]]:
        """For as long as an upload is coming: expected(files, size) reserves so much in all, or
        says why it cannot."""
        name = self._new(secrets.token_hex(16), row := _Row(owner, 0, 0.0, float("inf"), files=0))

        def expected(files: int, size: int) -> str:
            with self._lock:
                said = self.lacks(owner, files - row.files, size - row.size, loose=True)
                if not said:
                    row.files, row.size = files, size
                return said

        try:
            yield expected
        finally:
            self._forget(name)

    def _new(self, name: str, row: _Row) -> str:
        with self._lock:
            self._rows[name] = row
        return name

    def _measure(self, name: str) -> None:
        """Counts what lies in a folder of derived files now."""
        size = size_of(uploads() / name)
        with self._lock:
            if row := self._rows.get(name):
                row.size = size

    def kept(self, owner: str | None = None, *, loose: bool = False) -> tuple[int, int]:
        """How many files and bytes are there or coming, of an owner or of all. loose: only what no
        page has used."""
        with self._lock:
            rows = [
                row
                for row in self._rows.values()
                if owner in (None, row.owner) and (row.loose or not loose)
            ]
        return sum(row.files for row in rows), sum(row.size for row in rows)

    def lacks(self, owner: str, files: int, size: int, *, loose: bool) -> str:
        """A sentence where there is no room for so much more of an owner's, "" otherwise."""
        mine = self.kept(owner)
        most = ALL if mine[1] + size <= LITTLE else (ALL[0] - RESERVE[0], ALL[1] - RESERVE[1])
        limits = [(self.kept(owner, loose=True), A_CLIENT, MANY, YOURS)] if loose else []
        limits += [(mine, AN_ADDRESS, MANY, YOURS), (self.kept(), most, FULL, FULL)]
        for there, limit, many, large in limits:
            if there[0] + files > limit[0]:
                return _(many, files=number(limit[0]))
            if there[1] + size > limit[1]:
                return _(large, mb=limit[1] >> 20)
        return ""

    def claim(self, session: str, paths: Iterable[str]) -> None:
        """Notes that an open page, or a program's call, uses these. What a page has used goes with
        the last page."""
        with self._lock:
            for row in [self._rows[name] for name in folders_of(paths) & self._rows.keys()]:
                row.users.add(session)
                if not session.startswith(PROGRAM):
                    row.loose, row.linger = False, 0.0

    def drop(self, session: str, paths: Iterable[str]) -> None:
        """Deletes at once what a session has done with; what another one uses stays."""
        with self._lock:
            names = folders_of(paths) & self._rows.keys()
            for name in names:
                self._rows[name].users.discard(session)
                self._rows[name].due = self.clock()
        self._delete(names)

    def close(self, over: Callable[[str], bool]) -> None:
        """Deletes what nobody uses any more. over: whether a session has ended; what is of a
        program stays a while."""
        left = []
        with self._lock:
            for name, row in self._rows.items():
                users = {session for session in row.users if not over(session)}
                if row.users and not users:
                    row.due = self.clock() + row.linger
                    left.append(name)
                row.users = users
        self._delete(left)

    def sweep(self, used: Callable[[str], bool] = lambda session: False) -> None:
        """Deletes what is due. used: whether a session is an open page's, or has a call that waits
        or runs."""
        self.late, tried = 0.0, set[str]()
        self.close(lambda session: not used(session))
        with self._lock:
            derived = [name for name in self._rows if name.startswith((PAGE, PROGRAM))]
            known = [name for name, row in self._rows.items() if row.users]
        for name in derived:
            self._measure(name)
        while due := [name for name in self._due() if name not in tried][:AT_ONCE]:
            tried.update(due)
            self._delete(due)
        for name in known:
            if not (uploads() / name).exists():  # the sweep of what is old was first
                self._forget(name)

    def _due(self) -> list[str]:
        """What has to go now, each owner's first before anybody's second: who has thousands delays
        no others."""
        with self._lock:
            now, before = self.clock(), Counter[str]()
            ranks: dict[str, int] = {}
            for name, row in self._rows.items():
                if row.due <= now and not row.users:
                    ranks[name] = before[row.owner]
                    before[row.owner] += 1
        return sorted(ranks, key=ranks.__getitem__)

    def _delete(self, names: Iterable[str]) -> None:
        """Deletes those of them that are due. What cannot be deleted is tried again in the next
        round."""
        for name in names:
            row = self._rows.get(name)
            if row is None or row.users or row.due > self.clock():
                continue
            shutil.rmtree(uploads() / name, ignore_errors=True)
            if not (uploads() / name).exists():
                self._forget(name)
                self.late = max(self.late, self.clock() - row.due)

    def _forget(self, name: str) -> None:
        with self._lock:
            self._rows.pop(name, None)

    def lateness(self) -> float:
        """Seconds since something should have been deleted: what is still there, or else what went
        last."""
        with self._lock:
            now = self.clock()
            return max(
                [self.late, *(now - row.due for row in self._rows.values() if not row.users)]
            )


STORE = Store()


def folder_prefix(owner: str) -> str:
    """What the folders of an owner's uploads begin with; its address cannot be read from it."""
    return f"{UPLOAD}{hmac.new(_SECRET, owner.encode(), hashlib.sha256).hexdigest()[:16]}"


def folder_of(session: str) -> str:
    """The name of the folder for what is derived for a session, whose name comes from a client and
    may be any text."""
    kind = PROGRAM if session.startswith(PROGRAM) else PAGE
    return f"{kind}{hashlib.sha256(session.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def own_folder() -> Path:
    """The folder of all that is derived for the page, or for the call, that is being answered;
    raises as Store.derive does."""
    client = current_client()
    return uploads() / STORE.derive(client.address, client.session)


def new_folder(few: str = "") -> Path:
    """An empty folder in it, which Gradio serves; raises as `own_folder` does.

    few: a name for what is made as often as somebody asks; the newest FEW of a page stay, or fewer
    of large ones.
    """
    if session := current_client().session:
        _make_room(uploads() / folder_of(session), few)
    return Path(tempfile.mkdtemp(prefix=few and f"{few}-{time.time_ns()}-", dir=own_folder()))


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
    """Whether it was made for the page whose event is being answered; others' files, and uploads,
    are none of ours."""
    return Path(os.path.realpath(path)).is_relative_to(
        (uploads() / folder_of(current_client().session)).resolve()
    )


BLOCK = 4096  # bytes that a file takes at least
DEEPEST = 64  # folders in a path; one of 100,000 takes half a minute to be followed
log = logging.getLogger(__name__)


def uploads() -> Path:
    """The folder where Gradio keeps and serves files."""
    return Path(gr.utils.get_upload_folder())


def is_upload(path: str) -> bool:
    """Whether the path lies in that folder, however it is spelt. A path that no system takes does
    not."""
    try:
        named, roots = Path(os.path.abspath(path)), (uploads(), uploads().resolve())
        # By its words first: of what lies elsewhere, such as on another machine, the disk is not
        # asked.
        near = len(named.parts) <= DEEPEST and any(named.is_relative_to(root) for root in roots)
        return near and named.resolve().is_relative_to(roots[1])
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def files_in(values: Iterable[Any]) -> list[str]:
    """The paths of the files that a call holds, of which a field may take several."""
    entries = [
        entry for value in values for entry in (value if isinstance(value, list) else [value])
    ]
    return [
        entry["path"]
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("path"), str)
    ]


def file_in(folder: Path, name: str) -> Path:
    """The path of a file of that name in a folder. Every name that may come from a visitor is to
    pass here.

    Raises:
        ValueError: it is no name of a file, or leads elsewhere.
    """
    path = folder / name
    if path.name != name or name == "..":
        raise ValueError("That is no name of a file.")
    return path


def folders_of(paths: Iterable[str]) -> set[str]:
    """The names of the folders that these lie in, of those in `uploads`; for others, names of
    none."""
    root = os.path.realpath(uploads())
    return {os.path.relpath(os.path.realpath(path), root).split(os.sep)[0] for path in paths}


def size_of(folder: Path) -> int:
    """Bytes that the files in it take."""
    total = 0
    for root, _inside, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # it has just gone
                total += max(BLOCK, os.lstat(os.path.join(root, name)).st_size)
    return total


def sweep(
    folder: Path, *, older_than: float, now: float | None = None, spare: Path | None = None
) -> None:
    """Deletes what is in `folder`, at any depth, and was last changed more than `older_than`
    seconds ago.

    Empty folders go by the same rule. A link is deleted itself and never followed; `spare` and what
    is in it stays. What cannot be deleted now is left to the next call. Gradio's own deletion
    (`delete_cache`, 6.31) is not enough for
    a promise: it does not know what is answered as `gr.update(value=...)`, and its task ends at the
    first error.
    """
    found, now = list[str](), time.time() if now is None else now
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if os.path.join(root, name) != str(spare)]
        found += (os.path.join(root, name) for name in (*folders, *files))
    # The ages of all first: what is deleted in a folder changes its own time. What is in a folder
    # goes before it.
    for path in reversed([path for path in found if _age(path, now) > older_than]):
        try:
            (os.rmdir if os.path.isdir(path) and not os.path.islink(path) else os.unlink)(path)
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTEMPTY}:
                log.warning("An old file could not be deleted yet: %s", type(error).__name__)


def _age(path: str, now: float) -> float:
    """Seconds since the last change of content or name; 0 where it is gone.

    Both times, because a copy may carry its source's mtime, and ctime is the day of creation on
    Windows. A file from
    the future, after the clock was set back, counts by its distance: it would stay for good.
    """
    try:
        stat = os.lstat(path)
    except OSError:
        return 0.0
    return abs(now - max(stat.st_mtime, stat.st_ctime))


def repeat(period: float, *chores: Callable[[], None]) -> None:
    """Does the chores every so many seconds, for as long as the process lives; an error in one ends
    nothing."""
    while True:
        time.sleep(period)
        for chore in chores:
            try:
                chore()
            except Exception as error:  # the next round must come; a message may hold a file's name
                log.error("Sweeping failed: %s", type(error).__name__)
