"""Uploads on their way in: at most so many and so much, from one client and from all; nothing of a broken one stays."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextvars import ContextVar
from functools import cached_property
from pathlib import Path
from typing import Any

from gradio import route_utils, routes
from gradio_client.utils import strip_invalid_filename_characters
from python_multipart.exceptions import FormParserError
from starlette.formparsers import MultiPartException

from causalclip.languages import N_, _
from ui.server.doors.answers import App, Message, Receive, Scope, Send, client_of, drain, header, refuse
from ui.server.store import LOOSE, PREFIX, STORE, Sum, owner_of

FILES = 50  # of a request
A_REQUEST = 200 * 2**20  # bytes
A_CLIENT = 2_000, 500 * 2**20  # files and bytes of an address that no open page has
AN_ADDRESS = 4_000, 2 * 2**30  # and all of an address: a newsroom may have one together
ALL = 20_000, 4 * 2**30
LONGEST_TEXT = 4096  # bytes of a field that is no file
FOLLOWED = 1000  # uploads whose progress is told; Gradio by itself never forgets one, nor one that was asked about
NO_FILE = "A file is expected in files, not a text."
TOO_MUCH = N_("At most {files} files and {mb} MB can be sent at once.")
YOURS = N_("{mb} MB of your pictures are kept already. Close the page, or wait, then send more.")
FULL = N_("This server keeps as many pictures as it can. Please try again in a few minutes.")
_sender: ContextVar[tuple[str, bool]] = ContextVar("sender", default=(f"{PREFIX}nobody", True))
_arriving: defaultdict[str, Sum] = defaultdict(Sum)  # by client, "" for all: what requests may bring that go on


class QuotaError(Exception):
    """More than is allowed; the message is the sentence for the sender."""


async def upload(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Lets an upload in to `app`, or answers it with a sentence."""
    owner = owner_of(client_of(scope))
    _sender.set((owner, _is_brief(scope)))
    room = Room(receive, owner)
    try:
        room.take(_declared(scope), FILES)
        await app(scope, room.receive, send)
    except QuotaError as error:
        if room.more:
            await drain(receive)
        await refuse(send, 413, str(error), plain=True)
    finally:
        room.leave()


def check_room(owner: str, size: int, files: int) -> None:
    """Raises QuotaError where there is no room for so much more of a client's."""
    for kept, coming, most, sentence in (
        (STORE.sum(owner + LOOSE), _arriving.get(owner, Sum()), A_CLIENT, YOURS),
        (STORE.sum(owner), _arriving.get(owner, Sum()), AN_ADDRESS, YOURS),
        (STORE.sum(), _arriving[""], ALL, FULL),
    ):
        if kept.files + coming.files + files > most[0] or kept.size + coming.size + size > most[1]:
            raise QuotaError(_(sentence, mb=A_CLIENT[1] >> 20))


class Room:
    """What a request may fill: reserved as soon as its size is known, and against all that is there at that moment."""

    def __init__(self, receive: Receive, owner: str) -> None:
        self._receive, self._owner = receive, owner
        self._taken, self._come = Sum(), 0
        self.more = True

    def take(self, size: int, files: int = 0) -> None:
        """Reserves so much more; raises QuotaError where there is no room for it."""
        if self._taken.size + size > A_REQUEST:
            raise QuotaError(_(TOO_MUCH, files=FILES, mb=A_REQUEST >> 20))
        check_room(self._owner, size, files)
        self._change(files, size)

    async def receive(self) -> Message:
        message = await self._receive()
        self.more = message["type"] == "http.request" and message.get("more_body", False)
        self._come += len(message.get("body", b""))
        self.take(max(0, self._come - self._taken.size))
        return message

    def leave(self) -> None:
        """Gives back what was reserved: what has been stored is counted there."""
        self._change(-self._taken.files, -self._taken.size)
        if not _arriving[self._owner].files:
            del _arriving[self._owner]

    def _change(self, files: int, size: int) -> None:
        for one in (self._taken, _arriving[self._owner], _arriving[""]):
            one.add(files, size)


def _declared(scope: Scope) -> int:
    length = header(scope, "content-length")
    return int(length) if length.isdecimal() and len(length) < 16 else 0


def _is_brief(scope: Scope) -> bool:
    """Whether a browser sends it, or Gradio's own client for what came over MCP."""
    return any(header(scope, name) for name in ("origin", "sec-fetch-site", "x-gradio-user"))


class _Name:
    """Takes the place of a digest: Gradio names an upload's folder by it."""

    def __init__(self, size: int) -> None:
        self._size = size

    @cached_property
    def _folder(self) -> str:
        owner, brief = _sender.get()
        return STORE.add(owner, self._size, brief=brief)

    def hexdigest(self) -> str:
        return self._folder


class Parser(route_utils.GradioMultiPartParser):
    """Gradio's, with fewer files, folders that nobody can guess, and nothing left of what broke off."""

    def __init__(self, headers: Any, stream: Any, **options: Any) -> None:
        super().__init__(headers, stream, **options | {"max_files": FILES, "max_fields": FILES})

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._current_part
        if part.file is None and len(part.data) + end - start > LONGEST_TEXT:  # Gradio keeps all of it in memory
            raise MultiPartException(NO_FILE)
        super().on_part_data(data, start, end)

    async def parse(self) -> Any:
        try:
            form = await super().parse()
        except BaseException as error:  # also a sender that has gone
            for file in self._files_to_close_on_error:
                file.close()
                Path(file.name).unlink(missing_ok=True)
            if isinstance(error, FormParserError):  # such as a boundary of 60 kB
                raise MultiPartException("The form cannot be read.") from None
            raise
        for name, part in form.multi_items():
            if name == "files" and isinstance(part, route_utils.GradioUploadFile):
                part.sha = _Name(part.size or 0)  # type: ignore[assignment]
                if not strip_invalid_filename_characters(Path(part.filename or "").name).strip("."):
                    part.filename = "picture"  # of such a name, Gradio would leave the file where it is
            elif isinstance(part, route_utils.GradioUploadFile):  # Gradio would leave it where it is
                part.file.close()
                Path(part.file.name).unlink(missing_ok=True)
        if any(isinstance(part, str) for part in form.getlist("files")):
            raise MultiPartException(NO_FILE)
        return form


class _Latest(defaultdict[str, Any]):
    """Only so many: with one more, the oldest goes."""

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        if len(self) > FOLLOWED:
            del self[next(iter(self))]


route_utils.GradioMultiPartParser = Parser  # type: ignore[misc]
routes.file_upload_statuses._statuses = _Latest()
routes.file_upload_statuses._signals = _Latest(asyncio.Event)
