"""Which head judges: a small choice in Detect and in Explore, one for the whole page, where the app has both heads."""

from __future__ import annotations

import gradio as gr

from causalclip.evidence.words import JUDGED_BY
from causalclip.languages import N_, _
from causalclip.paths import DEFAULT_HEAD
from ui.detector import ChosenDetector
from ui.settings import PRIVATE

ABOUT = N_("The causal head makes a mask for each picture; the linear head has one for all.")


def add_head_choice(detector: ChosenDetector, name: str) -> gr.Radio | None:
    """Adds the choice to the current Blocks; None where there is nothing to choose. name: of the tab."""
    choices = [(_(JUDGED_BY[head]), head) for head in reversed(detector.heads)]
    if not choices:
        return None
    about, label = _(ABOUT), _("Judged by")
    return gr.Radio(choices, value=DEFAULT_HEAD, label=label, info=about, elem_id=f"{name}-head")


def link_heads(first: gr.Radio | None, second: gr.Radio | None) -> None:
    """Both choices of a page say the same: what is chosen in one tab holds in the other."""
    for chosen, other in ((first, second), (second, first)):
        if chosen and other:
            chosen.input(lambda head: head, chosen, other, queue=False, **PRIVATE)
