"""The tab "How good is it?": drawn when it is opened, from the files that are there then."""

from __future__ import annotations

import gradio as gr

from causalclip.languages import _, current
from causalclip.languages.names import ENGLISH
from ui.measured.page import page
from ui.settings import PRIVATE


def build_measured_tab(tab: gr.Tab) -> gr.HTML:
    """Builds the content of `tab` inside the current Blocks."""
    content = gr.HTML(f"<p>{_('The measurements are being read.')}</p>", elem_id="measured")
    tab.select(_page, None, content, queue=False, **PRIVATE)
    return content


def _page() -> str:
    """The tables, which are in English whatever the page's language is."""
    if current() == ENGLISH:
        return page()
    return f"<p>{_('These tables are in English.')}</p><div lang='en' dir='ltr'>{page()}</div>"
