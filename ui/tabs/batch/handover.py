"""A photograph inside a row's picture, such as a screenshot's, which the Check tab judges alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from causalclip.batch import collect
from causalclip.images.formats import UnsupportedImage
from causalclip.languages import _
from causalclip.report import card
from ui.errors import explain
from ui.fields import GONE, existing_and_missing
from ui.jobs import Job
from ui.panel import PanelRequest
from ui.places import PICTURES, Priority
from ui.server.uploads import file_in, new_folder
from ui.tabs.batch.results import Batch
from ui.tabs.check.crop import CropRun, Whole, look_inside, nth_inside
from ui.tabs.check.tab import CheckTab

# the page sends the row's number times this, plus the picture's (assets/table.js, assets/row.js)
PICTURES_OF_A_ROW = 10
Updates = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class Handover:
    """The way of a photograph from Batch to Check.

    Attributes:
        check: the tab that judges it.
        tabs: all tabs of the page.
        chosen: holds the number of the row, and which picture inside it.
    """

    check: CheckTab
    tabs: gr.Tabs
    chosen: gr.State

    def begin(self, event: gr.EventData) -> Updates:
        """Return what the page shows at once: Check, with nothing of an older picture."""
        chosen = divmod(int(event.index), PICTURES_OF_A_ROW)
        opened = {self.tabs: gr.update(selected="check"), self.chosen: chosen}
        return opened | self._emptied()

    def run(
        self, request: PanelRequest, payload: Any, batch: Batch | None, chosen: tuple[int, int]
    ) -> Iterator[Updates]:
        """Find the row's file among the uploads, and judge the photograph as a part of it."""
        yield self._emptied()
        row, index = chosen
        yield from request.guard(self._judge(request, payload, batch, row, index), self._failed)

    def _judge(
        self, request: PanelRequest, payload: Any, batch: Batch | None, row: int, index: int
    ) -> Iterator[Updates]:
        """Yield how long the photograph waits, then what is ready of its examination."""
        rows = batch.rows if batch else ()
        digest = next((other.sha256 for other in rows if other.number == row), "")
        job = Job(partial(_find_whole, payload=payload, digest=digest), request.is_newest)
        whole = yield from job.last(lambda before: {self.check.status: card.queued(before)})
        yield {self.check.whole: whole}
        yield from CropRun(self.check, nth_inside(index)).run(request, whole)

    def _emptied(self) -> Updates:
        """Return Check without a picture, while it looks for this one."""
        return self.check.emptied(card.looking(_("the part"))) | {self.check.picture: None}

    def _failed(self, error: Exception) -> Updates:
        """Return Check with the error's sentence."""
        return self._emptied() | {self.check.status: card.failure(*explain(error))}


def add_handover(
    check: CheckTab, tabs: gr.Tabs, triggers: list[Any], files: gr.File, batch: gr.State
) -> None:
    """Wire the buttons of Batch that judge a picture inside a row's.

    Args:
        triggers: events that say which, by one number.
        files: Batch's uploads.
        batch: holds the Batch of the page.
    """
    handover = Handover(check, tabs, gr.State((0, 0)))
    check.panel.on(
        triggers,
        handover.begin,
        handover.run,
        begin_inputs=[],
        **check.options
        | {
            "inputs": [files, batch, handover.chosen],
            "outputs": [*check.options["outputs"], tabs, handover.chosen],
        },
    )


def _find_whole(job: Job[Whole], payload: Any, digest: str) -> Iterator[Whole]:
    """Yield the picture with this hash, which may lie in a zip, once it has a file of its own.

    Raises:
        UnsupportedImage: it is no longer among the uploads.
    """
    paths, _missing = existing_and_missing(payload)
    with job.enter(PICTURES, Priority.VERDICT):
        contents = (content for _name, content in collect(paths) if isinstance(content, bytes))
        data = next((data for data in contents if hashlib.sha256(data).hexdigest() == digest), None)
        if data is None:
            raise UnsupportedImage(_(GONE))
        path: Path = file_in(new_folder(*paths), "whole")
        path.write_bytes(data)
        (width, height), boxes, _preview = look_inside(str(path))
    yield str(path), width, height, boxes
