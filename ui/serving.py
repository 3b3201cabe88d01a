"""How the page is served: style, scripts, and the options of Gradio that keep its promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from ui.server.doors import Doors

from causalclip.pictures.formats import MAX_BYTES

ASSETS = Path(__file__).resolve().parents[1] / "assets"


def launch(page: gr.Blocks, **options: Any) -> str:
    """Serves the page in the background and returns its address. `options` are those of gr.Blocks.launch."""
    _, address, _ = page.launch(
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        ssr_mode=False,
        run_history=False,
        mcp_server=True,
        app_kwargs={"middleware": [Middleware(Doors)]},
        max_file_size=f"{MAX_BYTES >> 20}mb",
        footer_links=["api", "settings"],
        theme=_theme(),
        css_paths=[ASSETS / f"{name}.css" for name in ("style", "evidence", "reviewer", "purify", "review")],
        js=(ASSETS / "upload.js").read_text(encoding="utf-8"),
        **options,
    )
    return address


def _theme() -> gr.themes.Base:
    """Colours apart from the maps' two; Gradio's own font files, in whole weights (its semi-bold is a subset)."""
    font = gr.themes.LocalFont("Source Sans Pro", weights=(400, 700))
    return gr.themes.Default(primary_hue="teal", neutral_hue="stone", font=[font, "system-ui", "sans-serif"])
