"""Uploads on their way in: at most so many and so much, from one client and from all; nothing of a broken one stays."""

from __future__ import annotations

from collections import Counter
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from gradio import route_utils

from ui.server.arrivals import PREFIX, folder_name, owner_of, stored
from ui.server.doors.answers import App, Message, Receive, Scope, Send, client_of, drain, header, refuse

FILES = 50  # of a request
A_REQUEST, A_CLIENT, ALL = 200 * 2**20, 500 * 2**20, 4 * 2**30  # bytes
TOO_MUCH = f"At most {FILES} files and {A_REQUEST // 2**20} MB can be sent at once."
YOURS = f"{A_CLIENT // 2**20} MB of your pictures are kept already. Close the page, or wait, then send more."
FULL = "This server keeps as many pictures as it can. Please try again in a few minutes."
_UPLOAD = "/gradio_api/upload"
_sender: ContextVar[tuple[str, bool]] = ContextVar("sender", default=(f"{PREFIX}nobody", True))


class QuotaError(Exception):
    """More than is allowed; the message is the sentence for the sender."""


class Uploads:
    """Lets uploads in to `app`, or answers them with a sentence."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._arriving: Counter[str] = Counter()  # bytes by client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != _UPLOAD:
            await self.app(scope, receive, send)
            return
        owner = owner_of(client_of(scope))
        _sender.set((owner, _is_brief(scope)))
        count = _Count(receive, self._arriving, owner)
        try:
            count.check(_declared(scope))
            await self.app(scope, count.receive, send)
        except QuotaError as error:
            if count.more:
                await drain(receive)
            await refuse(send, 413, str(error), plain=True)
        finally:
            count.end()


class _Count:
    """Counts what arrives of one request."""

    def __init__(self, receive: Receive, arriving: Counter[str], owner: str) -> None:
        self._receive, self._arriving, self._owner = receive, arriving, owner
        self._mine, self._kept, self._all = 0, stored(owner), stored()
        self.more = True

    def check(self, more: int) -> None:
        """Raises QuotaError if `more` bytes would be too much."""
        if self._mine + more > A_REQUEST:
            raise QuotaError(TOO_MUCH)
        if self._kept + self._arriving[self._owner] + more > A_CLIENT:
            raise QuotaError(YOURS)
        if self._all + self._arriving.total() + more > ALL:
            raise QuotaError(FULL)

    async def receive(self) -> Message:
        message = await self._receive()
        self.more = message["type"] == "http.request" and message.get("more_body", False)
        size = len(message.get("body", b""))
        self.check(size)
        self._mine += size
        self._arriving[self._owner] += size
        return message

    def end(self) -> None:
        self._arriving[self._owner] -= self._mine
        if not self._arriving[self._owner]:
            del self._arriving[self._owner]


def _declared(scope: Scope) -> int:
    length = header(scope, "content-length")
    return int(length) if length.isdecimal() and len(length) < 16 else 0


def _is_brief(scope: Scope) -> bool:
    """Whether a browser sends it, or Gradio's own client for what came over MCP."""
    return any(header(scope, name) for name in ("origin", "sec-fetch-site", "x-gradio-user"))


class _Name:
    """Takes the place of a digest: Gradio names an upload's folder by it."""

    def hexdigest(self) -> str:
        owner, brief = _sender.get()
        return folder_name(owner, brief=brief)


class Parser(route_utils.GradioMultiPartParser):
    """Gradio's, with fewer files, folders that nobody can guess, and nothing left of what broke off."""

    def __init__(self, headers: Any, stream: Any, **options: Any) -> None:
        super().__init__(headers, stream, **options | {"max_files": FILES})

    async def parse(self) -> Any:
        try:
            form = await super().parse()
        except BaseException:  # also a sender that has gone
            for file in self._files_to_close_on_error:
                file.close()
                Path(file.name).unlink(missing_ok=True)
            raise
        for _, part in form.multi_items():
            if isinstance(part, route_utils.GradioUploadFile):
                part.sha = _Name()  # type: ignore[assignment]
        return form


route_utils.GradioMultiPartParser = Parser  # type: ignore[misc]
