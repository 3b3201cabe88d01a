"""How the page is served: style, scripts, and the options of Gradio that keep its promises."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.routing import Route

from causalclip.paths import shipped_folder
from causalclip.pictures.formats import MAX_BYTES
from ui.languages import Languages
from ui.server import inline
from ui.server.doors import uploads
from ui.server.doors.door import Door
from ui.server.doors.exposure import open_many, refuse_exposure
from ui.server.doors.offline import stay_offline
from ui.server.doors.programs import answer_for_origins
from ui.server.pages import keep_open_ones
from ui.server.starting import start_patiently

ASSETS = shipped_folder("assets")
STYLES = "style", "evidence", "reviewer", "purify", "review", "yardstick"


SESSIONS = 256  # open pages that the server remembers, with what they were answered; anyone can invent one
THREADS = 100  # for the page's functions, many of which wait; files and uploads have 40 of their own
WAITING = 16  # calls that may wait for the same thing at most; further ones are told to come back


def launch(page: gr.Blocks, *, routes: Sequence[Route] = (), **options: Any) -> str:
    """Serves the page in the background and returns its address.

    routes: beside Gradio's own, which come after them. options: of gr.Blocks.launch. Where others could reach it, and
    nobody has said that they may, the program ends.
    """
    refuse_exposure(options.get("server_name"))
    start_patiently()
    _, address, _ = page.launch(
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        ssr_mode=False,
        run_history=False,
        mcp_server=True,
        app_kwargs={"middleware": _doors(page), "routes": [*uploads.ROUTES, *routes]},
        state_session_capacity=SESSIONS,
        max_threads=THREADS,
        max_file_size=f"{MAX_BYTES >> 20}mb",
        _frontend=False,  # no page is asked for, to see within three seconds whether one comes
        footer_links=["api", "settings"],
        theme=_theme(),
        css_paths=[ASSETS / f"{name}.css" for name in STYLES],
        js=_script(),
        **options,
    )
    keep_open_ones(page)
    return address


def _script() -> str:
    """What the page runs once it is there."""
    pieces = (
        (ASSETS / f"{name}.js").read_text(encoding="utf-8").strip()
        for name in ("upload", "keys", "share", "stale", "part")
    )
    return f"() => {{ {' '.join(f'({piece})();' for piece in pieces)} }}"


def _doors(page: gr.Blocks) -> list[Middleware]:
    """What every request passes, outermost first."""
    stay_offline()
    open_many()
    inline.replace_gradios()
    answer_for_origins()
    if os.environ.get("SPACE_ID"):  # there, all requests come from one proxy, which says for whom
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")
    return [Middleware(Languages), Middleware(Door, page=page, waiting=WAITING)]


def _theme() -> gr.themes.Base:
    """Colours apart from the maps' two; Gradio's own font files, in whole weights (its semi-bold is a subset)."""
    font = gr.themes.LocalFont("Source Sans Pro", weights=(400, 700))
    return gr.themes.Default(primary_hue="teal", neutral_hue="stone", font=[font, "system-ui", "sans-serif"])
