"""Connections whose other end neither sends nor reads: they are given up, so that they cost the others nothing."""

from __future__ import annotations

import asyncio

import h11
import uvicorn.config
from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 30.0  # seconds without a byte of an answer taken, or of a request that has begun sent
HEADERS = 10.0  # seconds until the first request of a connection is complete to its headers
MOST = 900  # connections at once; below the 1,024 files that a process may usually open


class Connection(H11Protocol):
    """uvicorn's connection, which is cut where its client does not go on with what it has begun."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self._moved = self.loop.time()
        self._unsent = 0
        if len(self.connections) > MOST:
            self._make_room()
        self._timer = self.loop.call_later(HEADERS / 4, self._look)

    def data_received(self, data: bytes) -> None:
        self._moved = self.loop.time()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    @property
    def _asks(self) -> bool:
        """Whether a whole request has come, or the body of one is coming."""
        return self.cycle is not None

    def _make_room(self) -> None:
        """Cuts the connection that has been open longest without a request; this one, if all have made theirs."""
        idle = [other for other in self.connections if isinstance(other, Connection) and not other._asks]
        min(idle, key=lambda other: other._since, default=self).transport.abort()

    def _look(self) -> None:
        if self not in self.connections:  # it has become another protocol's
            return
        now, unsent = self.loop.time(), self.transport.get_write_buffer_size()
        if unsent < self._unsent or not (unsent or self._awaits_body()):
            self._moved = now
        self._unsent = unsent
        limit = PATIENCE if self._asks else HEADERS
        if now - (self._moved if self._asks else self._since) > limit:
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(limit / 4, self._look)

    def _awaits_body(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused


def serve_so() -> None:
    """Has uvicorn make its connections so: Gradio starts it, and passes no options of its own on."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{Connection.__name__}"
