"""Where the page lets a browser extension in: a code to type, and a way to let none in any more."""

from __future__ import annotations

import gradio as gr

from causalclip.languages import N_, _, figure, number
from ui.server.doors.hosts import is_this_machine
from ui.server.pairing import PAIRINGS, PATIENCE, Pairings
from ui.settings import PRIVATE

INTRO = N_(
    "With the extension, a right-click on a picture of any page checks it here: its bytes are read in your browser "
    "and go to this app alone. Load it from the folder <code>extension/</code> of this project (docs/using.md says "
    "how), then type the code that is shown here."
)
TYPE = N_("Type this in the extension within {minutes} minutes:")
LET_OUT = N_("Disconnected: {count}. No extension may ask this app any more.")
NOT_YOURS = N_("Only whoever runs this app can do that: open this page on the app's own machine.")


def build_pairing(pairings: Pairings = PAIRINGS) -> None:
    """Builds it inside the current Blocks."""

    def show(request: gr.Request) -> str:
        code = pairings.new_code(_address(request))
        return (
            f"<p role='status' aria-live='polite'>{_(TYPE, minutes=figure(PATIENCE / 60))} "
            f"<b id='pairing-code' dir='ltr'>{code[:4]} {code[4:]}</b></p>"
        )

    def forget(request: gr.Request) -> str:
        mine = is_this_machine(_address(request))  # else any visitor could let everybody's extensions out
        words = _(LET_OUT, count=number(pairings.forget())) if mine else _(NOT_YOURS)
        return f"<p role='status' aria-live='polite'>{words}</p>"

    with gr.Accordion(_("Check pictures on other pages: the browser extension"), open=False):
        gr.HTML(f"<p>{_(INTRO)}</p>")
        with gr.Row():
            shown = gr.Button(_("Show a code"), elem_id="pair")
            out = gr.Button(_("Disconnect all extensions"), elem_id="unpair")
        said = gr.HTML(elem_id="paired")
    shown.click(show, None, said, queue=False, **PRIVATE)
    out.click(forget, None, said, queue=False, **PRIVATE)


def _address(request: gr.Request) -> str:
    return request.client.host if request.client else ""
