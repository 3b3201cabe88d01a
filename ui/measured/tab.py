"""The tab Accuracy: drawn when it is first opened, from the JSON files of the benchmarks."""

from __future__ import annotations

from functools import cache

import gradio as gr

from causalclip.languages import _, current, speaking
from ui.measured.accuracy import page
from ui.settings import PRIVATE


def build_measured_tab(tab: gr.Tab) -> gr.HTML:
    """Builds the content of `tab` inside the current Blocks."""
    content = gr.HTML(f"<p>{_('The measurements are being read.')}</p>", elem_id="measured")
    tab.select(lambda: _page(current()), None, content, queue=False, **PRIVATE)
    return content


@cache
def _page(language: str) -> str:
    with speaking(language):
        return page()
