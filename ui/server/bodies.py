"""The bytes of requests that arrive: of one, of one sender and of all.

They lie on the disk, or a little of them in memory, until the request is answered; so whoever sends
slowly, or much at once, is bounded here, whatever the request is for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.types import Message, Receive

from causalclip.languages import _
from ui.server.senders import FULL, YOURS, Refused

MAX_ARRIVING_OF_ONE = 400 * 2**20  # bytes of one sender's requests
MAX_ARRIVING = 2**30  # the same of all


class Bodies:
    """The bytes of all requests that have arrived and are not answered yet."""

    def __init__(self) -> None:
        self._bytes = Counter[str]()  # by sender

    @contextmanager
    def limit(
        self, receive: Receive, sender: str, max_bytes: int, too_long: Callable[[], Refused]
    ) -> Iterator[Receive]:
        """Hold the bytes of a request in a `with`, until it is answered.

        Args:
            max_bytes: of this request; beyond it, too_long() is raised.

        Yields:
            A `receive` that raises Refused for a body that is too long, and where there is no room
            for more of the sender's, or of all.
        """
        size = 0

        async def receive_some() -> Message:
            nonlocal size
            message = await receive()
            piece = len(message.get("body", b""))
            size += piece
            self._bytes[sender] += piece
            if size > max_bytes:
                raise too_long()
            if self._bytes[sender] > MAX_ARRIVING_OF_ONE:
                raise Refused(429, _(YOURS))
            if self._bytes.total() > MAX_ARRIVING:
                raise Refused(503, _(FULL))
            return message

        try:
            yield receive_some
        finally:
            self._bytes -= Counter({sender: size})
