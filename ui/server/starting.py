"""A server may take its time to start."""

from __future__ import annotations

import time

from gradio import http_server

_RUN = http_server.Server.run_in_thread


def start_patiently() -> None:
    """Has Gradio wait until a server has started, or has ended without: on a busy machine that takes more than its five
    seconds.

    After these it would start the same page on the next port. A page that answers agents starts only once, so it would
    try a hundred ports in vain, for eight minutes.
    """
    http_server.Server.run_in_thread = _run  # type: ignore[method-assign]


def _run(server: http_server.Server) -> None:
    try:
        _RUN(server)
    except http_server.ServerFailedToStartError:
        while server.thread.is_alive() and not server.started:
            time.sleep(0.01)
        if not server.started:
            raise
