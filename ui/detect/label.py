"""Name and note for the report: typed beside its buttons, written into its two files, kept nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from causalclip.languages import N_, _, any_of, quoted
from causalclip.report.document import Label, read_label, write_label
from ui.server.files import new_folder, upload_path
from ui.server.queue import FILES, Priority
from ui.server.store import is_own
from ui.server.turns import Part
from ui.settings import PRIVATE

PROMISE = N_(
    "Both go into the report that you download, and nowhere else. The time is shown in your own time zone, too."
)
ZONE = "(...values) => [...values.slice(0, 5), Intl.DateTimeFormat().resolvedOptions().timeZone]"

Payload = dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Fields:
    """The two fields, above the report's buttons."""

    name: gr.Textbox
    note: gr.Textbox
    said: gr.HTML
    zone: gr.Textbox

    def wire(self, part: Part, picture: gr.Image, html: gr.DownloadButton, plain: gr.DownloadButton) -> None:
        """part: whose answer the report is. html, plain: the buttons of the report's two files."""
        written: dict[str, Any] = {
            "js": ZONE,
            "preprocess": False,
            "trigger_mode": "multiple",
            "queue": False,
            **PRIVATE,
        }
        inputs, outputs = [html, plain, self.name, self.note, self.zone], [html, plain, self.said]
        part.beside([self.name.change, self.note.change, html.change], relabel, inputs, outputs, **written)
        gr.on([picture.upload, picture.clear], lambda: "", None, self.note, queue=False, **PRIVATE)


def label_fields() -> Fields:
    """Adds the fields to the current Blocks."""
    with gr.Row(elem_id="report-label"):
        name = gr.Textbox(label=_("Your name, for the report (optional)"), max_length=120, elem_id="report-name")
        note = gr.Textbox(label=_("A note (optional)"), max_length=2000, lines=1, elem_id="report-note")
    said = gr.HTML(_said(Label()), elem_id="report-promise")
    return Fields(name, note, said, gr.Textbox(visible=False))


def relabel(html: Payload, plain: Payload, name: str, note: str, zone: str) -> Any:
    """The paths of the report with what is typed now, and words on it.

    Skipped where it holds that, is not there, or is none that was made for this page.
    """
    label = Label(name or "", note or "", zone or "").cleaned()
    files = [Path(path) for path in (upload_path(html), upload_path(plain)) if path and is_own(path)]
    if len(files) < 2 or read_label(files[1]) == label:
        return gr.skip(), gr.skip(), gr.skip()
    with FILES.enter(Priority.MAP):
        written = write_label(files[0], files[1], label, new_folder("labelled"))
    return *(str(path) for path in written), _said(label)


def _said(label: Label) -> str:
    """What is in the report by now: a download that starts while somebody types would have less."""
    typed = [quoted(escape(text)) for text in (label.name, label.note) if text]
    holds = _("The report holds {typed}.", typed=any_of(typed, style="standard")) if typed else ""
    spoken = f"<span role='status'>{holds}</span> " if holds else ""
    return f"<p class='cc-small'>{spoken}{_(PROMISE)}</p>"
