"""The tab "How good is it?": drawn once in each language, when it is first opened."""

from __future__ import annotations

from functools import cache

import gradio as gr

from causalclip.languages import _, current
from causalclip.languages.locale import ENGLISH
from ui.measured.page import page
from ui.settings import PRIVATE


def build_measured_tab(tab: gr.Tab) -> gr.HTML:
    """Builds the content of `tab` inside the current Blocks."""
    content = gr.HTML(f"<p>{_('The measurements are being read.')}</p>", elem_id="measured")
    tab.select(lambda: _page_in(current()), None, content, queue=False, **PRIVATE)
    return content


@cache
def _page_in(language: str) -> str:
    """The tables, which are in English whatever the page's language is."""
    if language == ENGLISH:
        return page()
    return f"<p>{_('These tables are in English.')}</p><div lang='en' dir='ltr'>{page()}</div>"
