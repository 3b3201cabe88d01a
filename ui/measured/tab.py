"""The tab "How good is it?": drawn when it is opened, from the files that are there then."""

from __future__ import annotations

import gradio as gr

from ui.measured.page import page
from ui.settings import PRIVATE


def build_measured_tab(tab: gr.Tab) -> gr.HTML:
    """Builds the content of `tab` inside the current Blocks."""
    content = gr.HTML("<p>The measurements are being read.</p>", elem_id="measured")
    tab.select(page, None, content, queue=False, **PRIVATE)
    return content
