"""A part of the page that is shown when a box is ticked.

An accordion makes what it holds when it is opened, and may then miss what an event that is under way sends to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr


@contextmanager
def folded(label: str, name: str) -> Iterator[None]:
    """Builds the box, named `name`, and hides what is built inside until it is ticked (assets/style.css)."""
    with gr.Column(elem_classes="cc-fold"):
        gr.Checkbox(False, label=label, elem_id=name, elem_classes="cc-fold-switch", container=False)
        with gr.Column(elem_classes="cc-fold-content"):
            yield
