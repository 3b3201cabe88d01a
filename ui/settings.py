"""What the tabs share: how long a drawing is kept, what an empty picture field says, and how events are queued."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from causalclip.languages import N_, _
from causalclip.paths import shipped_folder
from ui.fields import picture_input

KEPT = 3000  # seconds that a file or a session's drawing is kept at most: with the sweeper's rounds, less than an hour
OPACITY = 0.5
VLM = os.environ.get("CAUSALCLIP_VLM", "").strip()  # a model that describes and answers beside the embedded one
PROMISE = N_("Kept on this server, deleted within an hour.")
# Whatever works with a picture waits in ui.server.queue, which is fair; Gradio's queue lets all of them in.
RUNS: dict[str, Any] = {"concurrency_id": "runs", "concurrency_limit": 64}
# Of an HTML part: a click on one of its buttons, with the button's number.
PICK = """element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) trigger("click", { index: Number(button.dataset.index) });
});"""
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def script(name: str, before: str = "", **settings: Any) -> str:
    """A script in assets/, for a component's `js_on_load`: after its settings as constants, and after other code."""
    constants = f"const {{ {', '.join(settings)} }} = {json.dumps(settings)};\n" if settings else ""
    return constants + before + (shipped_folder("assets") / f"{name}.js").read_text(encoding="utf-8")


def placeholder() -> str:
    """What an empty picture field says, in the reader's language."""
    return _("Drop, paste or choose a picture")


def picture_field(name: str, label: str, **options: Any) -> gr.Image:
    """A field for a picture, for uploads alone."""
    return picture_input(buttons=["fullscreen"], label=label, placeholder=placeholder(), elem_id=name, **options)


def map_output(name: str, *, label: str | None = None, **options: Any) -> gr.Image:
    """A place for a map, which is sent without loss."""
    fixed: dict[str, Any] = {"format": "png", "type": "filepath", "interactive": False, "elem_classes": "cc-output"}
    described = {"alt_text": label, **options}
    return gr.Image(label=label, buttons=["download", "fullscreen"], elem_id=name, **fixed, **described)


@dataclass(frozen=True, slots=True)
class Carried:
    """A button that takes a picture over from another tab.

    picture: as it is shown there. source: a gr.State with the path of what was judged, of which `picture` may show a
    copy. tabs: all of them. name: the id of the one to go to.
    """

    button: gr.Button
    picture: gr.Image
    source: gr.State
    tabs: gr.Tabs
    name: str

    @property
    def shown(self) -> Any:
        """The update of `tabs` that goes there."""
        return gr.update(selected=self.name)


def add_endpoint(function: Callable[..., Any], inputs: Any, outputs: Any) -> None:
    """Lets programs and agents call a function by its name. Files come to it as they are sent."""
    gr.on([], function, inputs, outputs, preprocess=False, api_name=function.__name__, **RUNS)
