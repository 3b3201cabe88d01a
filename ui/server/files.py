"""Where the files of visitors lie, which paths are theirs to name, and the sweep of whatever is old."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gradio as gr

BLOCK = 4096  # bytes that a file takes at least
DEEPEST = 64  # folders in a path; one of 100,000 takes half a minute to be followed
log = logging.getLogger(__name__)


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


def file_in(folder: Path, name: str) -> Path:
    """The path of a file of that name in a folder. Every name that may come from a visitor is to pass here.

    Raises:
        ValueError: it is no name of a file, or leads elsewhere.
    """
    path = folder / name
    if path.name != name or name == "..":
        raise ValueError("That is no name of a file.")
    return path


def folders_of(paths: Iterable[str]) -> set[str]:
    """The names of the folders that these lie in, of those in `uploads`; for others, names of none."""
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


def sweep(folder: Path, *, older_than: float, now: float | None = None, spare: Path | None = None) -> None:
    """Deletes what is in `folder`, at any depth, and was last changed more than `older_than` seconds ago.

    Empty folders go by the same rule. A link is deleted itself and never followed; `spare` and what is in it stays.
    What cannot be deleted now is left to the next call. Gradio's own deletion (`delete_cache`, 6.31) is not enough for
    a promise: it does not know what is answered as `gr.update(value=...)`, and its task ends at the first error.
    """
    found, now = list[str](), time.time() if now is None else now
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


def repeat(period: float, *chores: Callable[[], None]) -> None:
    """Does the chores every so many seconds, for as long as the process lives; an error in one ends nothing."""
    while True:
        time.sleep(period)
        for chore in chores:
            try:
                chore()
            except Exception as error:  # the next round must come; a message may hold a file's name
                log.error("Sweeping failed: %s", type(error).__name__)
