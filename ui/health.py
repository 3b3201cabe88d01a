"""How the app is: for who runs it. Nothing here is about a picture or a person."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr
from prometheus_client import CollectorRegistry, Gauge, disable_created_metrics, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ui.server.storage import STORE

LATE = 60.0  # seconds by which a deletion may be late before the app counts as unwell


def routes(page: gr.Blocks, ready: Callable[[], bool]) -> list[Route]:
    """`/healthz` for everybody and `/metrics` for the machine itself (the middleware keeps it so).

    ready: whether the models are loaded.
    """
    disable_created_metrics()
    registry, waiting = CollectorRegistry(), page._queue.event_ids_to_events
    read: Callable[[], float]
    for name, words, read in (
        ("ready", "1 once the models are loaded", ready),
        ("queue_length", "calls that wait or run", lambda: len(waiting)),
        ("sessions", "sessions that are remembered", lambda: len(page.state_holder.session_data)),
        ("uploads", "uploads that are kept, and places of those that are coming", lambda: STORE.kept()[0]),
        ("uploads_bytes", "bytes of them", lambda: STORE.kept()[1]),
        ("deletion_lateness_seconds", "by how much the latest deletion is or was late", STORE.lateness),
    ):
        Gauge(f"causalclip_{name}", words, registry=registry).set_function(read)

    def healthz(_: Request) -> Response:
        late, loaded = round(STORE.lateness(), 1), ready()
        said = {"models_loaded": loaded, "queue_length": len(waiting), "deletion_lateness_seconds": late}
        well = loaded and late <= LATE
        return JSONResponse({"ready": well, **said}, status_code=200 if well else 503)

    def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    return [Route("/healthz", healthz), Route("/metrics", metrics)]
