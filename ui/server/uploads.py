"""Files of visitors: uploads, and what is derived from them, each in a folder of its own.

A folder's name cannot be guessed. It says whose it is, as a hash of the address that asked, and
when the upload came: what is made of an upload is as old as that. A folder is deleted when the page
that used it says that it closes, by `sweep` when it is old, or for room: then the oldest of whoever
has most goes first.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import shutil
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import gradio as gr
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from causalclip.images.formats import MAX_BYTES, too_many_bytes
from causalclip.settings import read_settings
from ui.server.senders import Refused, client_of, current_client

UPLOAD = "/gradio_api/upload"
SENT, MADE = "sent", "made"  # what a folder's name begins with: an upload, or what was derived
MAX_FILES = 50  # of a request
MAX_REQUEST_BYTES = 200 * 2**20  # bytes
LONGEST_TEXT = 4096  # bytes of a field that is no file
# bytes that a folder counts for at least, so that there are not too many
MIN_FOLDER_BYTES = 64 * 2**10
COUNTED = 5.0  # seconds for which it is known how much there is
NO_FILE = "A file is expected in files, not a text."
NO_FORM = "Send a form: multipart/form-data, with the files in the field files."
# Folders of ours by their names: whose they are, when the upload came, and 128 random bits.
_KEPT = re.compile(rf"(?P<kind>{SENT}|{MADE})-[0-9a-f]{{16}}-(?P<time>\d{{1,19}})-[0-9a-f]{{32}}")
# A file in one of them, or a copy that Gradio has made of an example, in a folder by its content.
_SERVED = re.compile(
    rf"(?P<folder>{_KEPT.pattern}|[0-9a-f]{{64}}){re.escape(os.sep)}(?!\.{{1,2}}$)[^/\\\0]{{1,255}}"
)
_SECRET = secrets.token_bytes(32)
_lock = threading.Lock()
_usage = {"bytes": 0, "since": 0.0}  # at the last count, and what has come since; when that was
_used: defaultdict[str, set[str]] = defaultdict(set)  # session -> folders that its page has used
log = logging.getLogger(__name__)


def uploads() -> Path:
    """Return the folder where Gradio keeps and serves files."""
    return Path(gr.utils.get_upload_folder())


def is_upload(path: str) -> bool:
    """Return whether a path is that of a file which Gradio serves: an upload, what was made of one,
    or an example.

    It is judged by its words alone, in the one spelling in which paths are given out. The disk is
    not asked, as anybody can send thousands of paths; the folders are made here, so no link is in
    them.
    """
    return _match(path) is not None


def _match(path: str) -> re.Match[str] | None:
    """Return the parts of a served file's path, None for another path."""
    root = os.path.abspath(uploads()) + os.sep
    return _SERVED.fullmatch(path, len(root)) if path.startswith(root) else None


def is_own(path: str) -> bool:
    """Return whether a file was made by the app, and is no upload."""
    folder = folder_of(path)
    return folder is not None and folder.name.startswith(f"{MADE}-")


def folder_of(path: str) -> Path | None:
    """Return the folder of an upload or of what was made of one; None for any other file."""
    match = _match(path)
    return uploads() / match["folder"] if match and match["kind"] else None


def new_folder(*sources: str) -> Path:
    """Make a folder, which Gradio serves, for what is made for the current client; return it.

    sources: the paths of the uploads that it is made of. The folder is as old as the oldest of
        them, and so goes with it.
    """
    matches = map(_match, sources)
    times = [int(match["time"]) for match in matches if match and match["kind"]]
    client = current_client()
    folder = _make(MADE, client.address, since=min(times, default=0))
    if client.session:
        _note(client.session, {folder.name})
    return folder


def file_in(folder: Path, name: str) -> Path:
    """Return the path of a file of that name in a folder. Every name of a visitor's passes here.

    Raises:
        ValueError: it is no name of a file, or leads elsewhere.
    """
    path = folder / name
    if path.name != name or name == "..":
        raise ValueError("That is no name of a file.")
    return path


# Who uses them ------------------------------------------------------------------------------------


def use(session: str, paths: Iterable[str]) -> None:
    """Note that a page uses these files: they go with it."""
    folders = map(folder_of, paths)
    _note(session, {folder.name for folder in folders if folder})


def _note(session: str, names: set[str]) -> None:
    """Note that a page uses these folders."""
    if names:
        with _lock:
            _used[session] |= names


def close(session: str) -> None:
    """Delete what a page has used and no other page does."""
    with _lock:
        names = _used.pop(session, set())
        others = set().union(*_used.values())
    for name in names - others:
        shutil.rmtree(uploads() / name, ignore_errors=True)


def delete(paths: Iterable[str]) -> None:
    """Delete the current client's own uploads at once, whose work is done; leave other files."""
    own = f"{SENT}-{_owner_hash(current_client().address)}-"
    for folder in filter(None, map(folder_of, paths)):
        if folder.name.startswith(own):
            shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path, *, older_than: float, spare: Path | None = None) -> None:
    """Delete what lies in a folder, at any depth, and is older than so many seconds.

    An upload and what was made of it are as old as their folder's name says; anything else, as its
    last change. Empty folders go by the same rule. A link is deleted itself and never followed;
    `spare` and what is in it stays. What cannot be deleted now is left to the next call.
    """
    # 1. Uploads and what was made of them, as whole folders.
    paths: list[str] = []
    now = time.time()
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if os.path.join(root, name) != str(spare)]
        kept = [name for name in folders if _KEPT.fullmatch(name)]
        for name in kept:
            folders.remove(name)
            if abs(now - _born(name)) > older_than:  # of the future where the clock was set back
                shutil.rmtree(os.path.join(root, name), ignore_errors=True)
        paths += (os.path.join(root, name) for name in (*folders, *files))
    # 2. The rest. The ages of all first, as a deletion changes its folder's. What is in a folder
    # goes before it.
    for path in reversed([path for path in paths if _age(path, now) > older_than]):
        try:
            is_folder = os.path.isdir(path) and not os.path.islink(path)
            (os.rmdir if is_folder else os.unlink)(path)
        except OSError as error:
            log.debug("Not deleted yet: %s", type(error).__name__)  # it is in use, or not empty
    # 3. Who used it.
    with _lock:
        for session, names in list(_used.items()):
            names.intersection_update(name for name in names if (uploads() / name).exists())
            if not names:
                del _used[session]


def _born(name: str) -> float:
    """Return the time of the upload that a folder's name carries, in seconds."""
    return int(name.split("-")[2]) / 1e9


def _owner_of(name: str) -> str:
    """Return whose a folder is, as its name says."""
    return name.split("-")[1]


def _age(path: str, now: float) -> float:
    """Return the seconds since the last change of a file's content or name; 0 where it is gone.

    Both times, because a copy may carry its source's mtime, and ctime is the day of creation on
    Windows. A file from the future, after the clock was set back, counts by its distance.
    """
    try:
        stat = os.lstat(path)
    except OSError:
        return 0.0
    return abs(now - max(stat.st_mtime, stat.st_ctime))


# Room ---------------------------------------------------------------------------------------------


def _make(kind: str, owner: str, *, size: int = 0, since: int = 0) -> Path:
    """Make a new folder of an owner's, after there is room for so many bytes more.

    since: the time that its name carries, in nanoseconds; 0 for now.
    """
    _make_room(size)
    time_ns = since or time.time_ns()
    name = f"{kind}-{_owner_hash(owner)}-{time_ns}-{secrets.token_hex(16)}"
    folder = uploads() / name
    folder.mkdir(parents=True)
    return folder


def _owner_hash(owner: str) -> str:
    """Return what stands for an owner in a folder's name."""
    return hmac.digest(_SECRET, owner.encode(), hashlib.sha256).hex()[:16]


def _make_room(size: int) -> None:
    """Delete folders until there is room for so many bytes: the oldest of whoever has most."""
    size = max(size, MIN_FOLDER_BYTES)
    with _lock:
        # 1. As a rule there is room; the disk is asked only now and then.
        _usage["bytes"] += size
        recent = time.monotonic() - _usage["since"] < COUNTED
        allowed = read_settings().room * 2**20
        if recent and _usage["bytes"] <= allowed:
            return
        # 2. What each owner has.
        folders = [path for path in uploads().glob("*-*-*-*") if _KEPT.fullmatch(path.name)]
        folders.sort(key=lambda folder: _born(folder.name))
        sizes = {folder: _size(folder) for folder in folders}
        held = Counter[str]()
        for folder in folders:
            held[_owner_of(folder.name)] += sizes[folder]
        # 3. One by one, as whoever has most may be another one then.
        while +held and held.total() + size > allowed:
            [(owner, _most)] = held.most_common(1)
            oldest = next(folder for folder in folders if _owner_of(folder.name) == owner)
            folders.remove(oldest)
            held[owner] -= sizes[oldest]
            shutil.rmtree(oldest, ignore_errors=True)
        _usage.update(bytes=held.total() + size, since=time.monotonic())


def _size(folder: Path) -> int:
    """Return the bytes that a folder counts for; 0 where it has just gone."""
    try:
        with os.scandir(folder) as entries:
            return max(
                MIN_FOLDER_BYTES,
                sum(entry.stat(follow_symlinks=False).st_size for entry in entries),
            )
    except OSError:
        return 0


# The route ----------------------------------------------------------------------------------------


class FormParser(MultiPartParser):
    """Starlette's parser, which keeps nothing in memory; its files have no name, and go when
    closed."""

    spool_max_size = 1


async def upload(request: Request) -> Response:
    """Keep the files of the field `files`, and answer with their paths; raise Refused."""
    limits = {"max_files": MAX_FILES, "max_fields": MAX_FILES, "max_part_size": LONGEST_TEXT}
    try:
        form = await FormParser(request.headers, request.stream(), **limits).parse()
        try:
            owner = client_of(request.scope)
            paths = await run_in_threadpool(_add_all, form.getlist("files"), owner)
        finally:
            await form.close()
    except (MultiPartException, KeyError, ValueError) as error:  # without a boundary, say
        sentence = error.message if isinstance(error, MultiPartException) else NO_FORM
        raise Refused(400, sentence) from None
    return JSONResponse(paths)


def _add_all(files: list[Any], owner: str) -> list[str]:
    """Keep the files of a form, and return their paths; raise Refused."""
    if not all(isinstance(file, UploadFile) for file in files):
        raise Refused(400, NO_FILE)
    if any((file.size or 0) > MAX_BYTES for file in files):
        raise Refused(413, str(too_many_bytes()))
    return [add(file.file, file.filename or "", owner, file.size or 0) for file in files]


def add(file: BinaryIO, name: str, owner: str, size: int) -> str:
    """Copy an upload into a new folder, under that name or a similar one; return its path."""
    folder = _make(SENT, owner, size=size)
    safe_name = re.sub(r"[^\w .()\-]", "", Path(name).name).strip(". ")[-100:]
    # A file system takes 255 bytes.
    safe_name = safe_name.encode()[-240:].decode(errors="ignore").strip()
    path = file_in(folder, safe_name or "picture")
    with path.open("wb") as copy:
        shutil.copyfileobj(file, copy)
    return str(path)


async def _progress(request: Request) -> Response:
    """Answer that an upload is done: a proxy collects it first, and Gradio would remember who has
    asked."""
    return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")


def routes() -> list[Route]:
    """Return the routes that take uploads, in place of Gradio's own."""
    return [
        Route(UPLOAD, upload, methods=["POST"]),
        Route("/gradio_api/upload_progress", _progress),
    ]
