"""Explore's second question: are the two pictures copies of one, and what was changed? No model
code.

What is computed is in causalclip.examination.compare.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr

from causalclip.examination.compare import headline, row
from causalclip.images.loading import load_image
from causalclip.languages import N_, _
from causalclip.report import card
from ui.cancellation import CancellationToken, Panel
from ui.fields import (
    RUNS,
    UNREADABLE,
    add_endpoint,
    errors_as_sentences,
    explain,
    save_png,
    upload_path,
)
from ui.server.turns import PICTURES, Priority
from ui.server.uploads import new_folder

if TYPE_CHECKING:
    from causalclip.examination.compare import Comparison
    from causalclip.images.loading import LoadedImage

ABOUT = N_(
    "You found an earlier copy by a reverse image search? Add both pictures above. They are laid "
    "over each other, and what was changed is framed. Crops, sizes, mirroring, tones and "
    "compression are taken out first."
)
TWO = N_("Add two pictures above first, and wait until both are shown.")
SLIDER = N_(
    "Both pictures on one grid; drag the line to see the first or the second. Frames are what "
    "differs."
)

Updates = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class CompareSection:
    """The section's components and callbacks."""

    answer: gr.HTML
    slider: gr.ImageSlider
    report: gr.DownloadButton

    @property
    def shown(self) -> list[Any]:
        return [self.answer, self.slider, self.report]

    def cleared(self, answer: str = "") -> Updates:
        """No result."""
        return {
            self.answer: answer or about(),
            self.slider: gr.update(value=None, visible=False),
            self.report: None,
        }

    def begin(self, event: gr.EventData) -> Updates:
        return self.cleared(
            f"{_status(_('The two are being laid over each other.'))}<p>{card.elapsed()}</p>"
        )

    def run(self, token: CancellationToken, first: Any, second: Any) -> Iterator[Updates]:
        """Compares the two pictures that are explored; each a ui.tabs.explore.tab.ExploredPicture,
        or None."""
        yield self.begin(gr.EventData(None, None))
        paths = [upload_path({"path": x.path}) if x else None for x in (first, second)]
        if not all(paths):
            yield self.cleared(_status(_(TWO)))
            return
        stages = self._stages(token, str(paths[0]), str(paths[1]))
        yield from token.guard(stages, lambda error: self.cleared(card.failure(*explain(error))))

    def _stages(self, token: CancellationToken, first: str, second: str) -> Iterator[Updates]:
        with PICTURES.ask(Priority.BATCH) as place:
            for before in token.waits(place):
                yield {self.answer: card.queued(before)}
            shown = self._found(*compared(first, second))
        yield shown

    def _found(self, found: Comparison, a: LoadedImage, b: LoadedImage) -> Updates:
        from causalclip.report.comparison import notes, overlaid, save_report

        pair = overlaid(found) if found.answer == "same picture" else None
        files = (
            tuple(
                save_png(picture, name, few=name)
                for picture, name in zip(pair, ("first", "second"), strict=True)
            )
            if pair
            else None
        )
        return {
            self.answer: said(found, [*notes(a, b), *([_(SLIDER)] if files else [])]),
            self.slider: gr.update(value=files, visible=bool(files)),
            self.report: str(save_report(found, a, b, new_folder("comparison"))),
        }


def about() -> str:
    """What the section is for, as HTML."""
    return f"<p>{_(ABOUT)}</p>"


def compared(first: str, second: str) -> tuple[Comparison, LoadedImage, LoadedImage]:
    """The comparison of two pictures' files, and both pictures."""
    from causalclip.examination.compare import compare

    a, b = load_image(first), load_image(second)
    return compare(a.pixels, b.pixels), a, b


def said(found: Comparison, notes: Sequence[str] = ()) -> str:
    """A comparison in words, as HTML. notes: on how the pictures were read."""
    rows = "".join(
        f"<li>{escape(row(number, change))}</li>" for number, change in enumerate(found.changes, 1)
    )
    changes = f"<ul class='cc-small'>{rows}</ul>" if rows else ""
    done = "".join(f"<p class='cc-small'>{escape(note)}</p>" for note in notes)
    return f"<div role='status'><h3>{escape(headline(found))}</h3><p>{escape(found.sentence)}</p>{done}{changes}</div>"  # noqa: E501


def compare(first: dict[str, Any] | None, second: dict[str, Any] | None) -> dict[str, Any]:
    """Compares two picture files, such as a picture and an earlier copy of it.

    first, second: as for detect.
    Returns the answer (same picture; same scene, another moment; no match) with its confidence, and
    a box in pixels of either picture around every part that differs. Crops, sizes, mirroring, tones
    and compression are compensated.
    """
    from causalclip.report.comparison import notes

    paths = upload_path(first), upload_path(second)
    if not paths[0] or not paths[1]:
        raise gr.Error(_("Send two pictures."), title=_(UNREADABLE), print_exception=False)
    with errors_as_sentences(), PICTURES.enter(Priority.BATCH):
        found, *pictures = compared(paths[0], paths[1])
        return found.as_dict() | {"notes": notes(*pictures)}


def add_compare(pictures: list[gr.Image], explored: list[gr.State]) -> CompareSection:
    """Adds the section to the current Blocks. explored: gr.States with the ExploredPicture of each
    that is compared."""
    with gr.Accordion(
        _("Two copies of one picture? See what was changed"), open=False, elem_id="compare"
    ):
        answer = gr.HTML(about(), elem_id="compare-answer", elem_classes="cc-flush")
        button = gr.Button(_("Compare the two"), elem_id="compare-button")
        slider = gr.ImageSlider(
            label=_(SLIDER),
            show_label=False,  # on a phone it would lie over the pictures; it is said above them
            type="filepath",
            format="png",
            interactive=False,
            elem_id="compare-slider",
            max_height=600,
            visible=False,  # where nothing was laid over another, its frame would be empty
        )
        report = gr.DownloadButton(_("Download the comparison (HTML)"), elem_id="compare-report")
    parts, part = CompareSection(answer, slider, report), Panel("compare")
    part.on(
        [button.click],
        parts.begin,
        parts.run,
        given=[],
        inputs=explored,
        outputs=parts.shown,
        **RUNS,
    )
    changed = [event for picture in pictures for event in (picture.upload, picture.clear)]
    part.off(changed, parts.cleared, outputs=parts.shown)
    add_endpoint(compare, pictures, gr.JSON(visible=False))
    return parts


def _status(words: str) -> str:
    return f"<p role='status'>{escape(words)}</p>"
