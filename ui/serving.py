"""How the page is served: style, scripts, and the options of Gradio that keep its promises."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio import http_server
from gradio.routes import App, ORJSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from causalclip.images.formats import MAX_BYTES
from causalclip.paths import shipped_folder
from ui.agents import Agents
from ui.cancellation import cancel_runs
from ui.detector import forget_choices
from ui.languages import Languages
from ui.pairing import PAIRINGS
from ui.server import requests
from ui.server.hosts import is_this_machine, stay_offline
from ui.server.middleware import Middleware, Refused, refuse
from ui.server.sessions import Sessions

ASSETS = shipped_folder("assets")
STYLES = "style", "evidence", "reviewer", "purify", "review", "archive"
SESSIONS = 10_000  # that Gradio remembers: ui.server.sessions lets in far fewer, and forgets them
VARIABLE = "CAUSALCLIP_EXPOSED"
REFUSED = (
    "The app does not listen on {address}: others could reach it there, and it is not made for "
    "slow and many clients. Put a proxy before it (docs/hosting.md) and name that one in "
    "FORWARDED_ALLOW_IPS, or set " + VARIABLE + "=1 if "
    "whoever can reach that address is meant to, such as inside a container of your own."
)
CONNECTIONS = 16_384
# for the page's functions, many of which wait; files and uploads have 40 of their own
THREADS = 100
_RUN = http_server.Server.run_in_thread


def launch(
    page: gr.Blocks,
    *,
    routes: Sequence[Route] = (),
    sessions: Sessions | None = None,
    **options: Any,
) -> str:
    """Serves the page in the background and returns its address.

    routes: beside Gradio's own, which come after them. sessions: of the page. options: of
    gr.Blocks.launch. Where others could reach it, and nobody has said that they may, the program
    ends.
    """
    refuse_exposure(options.get("server_name"))
    stay_offline()
    open_many()
    http_server.Server.run_in_thread = _run  # type: ignore[method-assign]
    page.mcp_server = True  # as the page's description says; the endpoint is ours
    sessions = sessions or make_sessions(page)
    own = [*requests.ROUTES, *Agents(page).routes, *routes]
    app = GuardedApp(
        sessions,
        routes=own,
        exception_handlers={Refused: refuse},
        default_response_class=ORJSONResponse,
    )
    _, address, _ = page.launch(
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        ssr_mode=False,
        run_history=False,
        mcp_server=False,
        _app=app,
        state_session_capacity=SESSIONS,
        max_threads=THREADS,
        max_file_size=f"{MAX_BYTES >> 20}mb",
        _frontend=False,  # no page is asked for, to see within three seconds whether one comes
        footer_links=["api"],
        theme=_theme(),
        css_paths=[ASSETS / f"{name}.css" for name in STYLES],
        js=_script(),
        **options,
    )
    return address


def make_sessions(page: gr.Blocks) -> Sessions:
    """The page's sessions, which end runs and forget choices with it."""
    return Sessions(page, cancel_runs=cancel_runs, forget_choices=forget_choices)


class GuardedApp(App):
    """Gradio's app behind our middleware, which is outermost: Gradio puts its own around what
    launch is given."""

    def __init__(self, sessions: Sessions, **options: Any) -> None:
        super().__init__(**options)
        self._sessions = sessions

    def build_middleware_stack(self) -> ASGIApp:
        return Languages(
            Middleware(super().build_middleware_stack(), sessions=self._sessions, pairings=PAIRINGS)
        )


def _run(server: http_server.Server) -> None:
    """Waits until a server has started, or has ended without: on a busy machine that takes more
    than Gradio's five seconds, after which it would start the same page on the next port."""
    try:
        _RUN(server)
    except http_server.ServerFailedToStartError:
        while server.thread.is_alive() and not server.started:
            time.sleep(0.01)
        if not server.started:
            raise


def refuse_exposure(listens_on: str | None) -> None:
    """Ends the program with a sentence where others could reach it, and nobody has said that they
    may.

    On a Space, and where FORWARDED_ALLOW_IPS names a proxy (as in a network of containers), there
    is one before it.

    Args:
        listens_on: an address; None for what GRADIO_SERVER_NAME says, or else 127.0.0.1.
    """
    listens_on = listens_on or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    proxies = {name.strip() for name in os.environ.get("FORWARDED_ALLOW_IPS", "").split(",")} - {
        "",
        "*",
    }
    named = not all(map(is_this_machine, proxies))
    if not (
        is_this_machine(listens_on)
        or named
        or os.environ.get("SPACE_ID")
        or os.environ.get(VARIABLE) == "1"
    ):
        raise SystemExit(REFUSED.format(address=listens_on))


def open_many() -> None:
    """Lets this process have as many connections as the system allows it.

    1,024 is usual, and where none is left, nobody gets in and asyncio logs that without end.
    """
    # not on Windows; elsewhere the system may have its own
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, CONNECTIONS)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def _script() -> str:
    """What the page runs once it is there."""
    pieces = (
        (ASSETS / f"{name}.js").read_text(encoding="utf-8").strip()
        for name in ("upload", "keys", "share", "stale", "part", "answer", "mask")
    )
    return f"() => {{ {' '.join(f'({piece})();' for piece in pieces)} }}"


def _theme() -> gr.themes.Base:
    """Colours apart from the maps' two, four sizes of type (assets/style.css); Gradio's own font
    files, in whole weights (its semi-bold is a subset)."""
    font = gr.themes.LocalFont("Source Sans Pro", weights=(400, 700))
    # xxs to xxl
    type_sizes = gr.themes.Size(*("12px",) * 3, *("14px",) * 2, "18px", "28px", name="cc")
    return gr.themes.Default(
        primary_hue="teal",
        neutral_hue="stone",
        font=[font, "system-ui", "sans-serif"],
        text_size=type_sizes,
    )
