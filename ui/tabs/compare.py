"""The Compare tab: are two pictures copies of one, what was changed, and what is each of them?

What is computed is in causalclip.compare.pictures and causalclip.examination.stages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from causalclip.examination.result import NotJudged, Stage
from causalclip.images.formats import ImageError
from causalclip.images.loading import load_image
from causalclip.languages import N_, _
from causalclip.report import card
from causalclip.report.comparison import PLACES
from causalclip.report.pictures import file_thumbnail
from causalclip.report.templates import render
from ui.detector import ChosenDetector
from ui.errors import UNREADABLE, errors_as_sentences, explain
from ui.fields import (
    LIFETIME,
    PICK,
    PROMISE,
    RUNS,
    Payload,
    Source,
    Transfer,
    add_endpoint,
    picture_field,
    save_png,
    shown_copy,
    upload_path,
)
from ui.jobs import Job, examine_in_turns, run_in
from ui.panel import Panel, PanelRequest, Updates
from ui.places import PICTURES, Priority
from ui.server.uploads import new_folder
from ui.tabs.check import rendering

if TYPE_CHECKING:
    from causalclip.compare.result import Comparison
    from causalclip.examination.result import Examination
    from causalclip.images.loading import LoadedImage

PURPOSE = N_("Are two pictures copies of one, and what was changed between them?")
TITLE = N_("What was changed between two copies?")
ABOUT = N_(
    "You found an earlier copy by a reverse image search? Add both pictures. They are laid over "
    "each other, what was changed is framed, and each is judged. Crops, sizes, mirroring, tones "
    "and compression are taken out first."
)
SLIDER = N_(
    "Both pictures on one grid; drag the line to see the first or the second. Frames are what "
    "differs."
)
WORKING = N_("The two are being laid over each other")
HEIGHT = 200  # px of a field
EXAMPLE_SIDE = 96  # px of the example's thumbnails

# path of what the page shows in its place -> what was given, or the part of it
Originals = Mapping[str, Source]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareTab:
    """The tab's components and callbacks.

    Attributes:
        detector: returns the loaded detector; may raise WeightsMissing.
        verdicts: what each picture is.
        originals: a gr.State with an `Originals`.
    """

    detector: ChosenDetector
    first: gr.Image
    second: gr.Image
    answer: gr.HTML
    verdicts: gr.HTML
    slider: gr.ImageSlider
    details: gr.HTML
    quote: gr.HTML
    report: gr.DownloadButton
    originals: gr.State

    @property
    def outputs(self) -> list[Any]:
        """All fields that a run may change, but the pictures."""
        texts = [self.answer, self.verdicts, self.details, self.quote]
        return [*texts, self.slider, self.report, self.originals]

    def begin(self, event: gr.EventData, first: Payload, second: Payload) -> Updates:
        """Return what the page shows at once: nothing of an older pair beside the new one."""
        pictures = sum(bool(upload_path(payload)) for payload in (first, second))
        if pictures == 2:
            return self.cleared(card.working(_(WORKING)))
        title = _("Add the other picture") if pictures else _(TITLE)
        return self.cleared(card.waiting(title, _(ABOUT)))

    def carry(
        self,
        transfer: Transfer,
        event: gr.EventData,
        source: Source | None,
        second: Payload,
        originals: Originals,
    ) -> Updates:
        """Return what the page shows at once of a first picture that comes from another tab."""
        payload = {"path": source.file} if source else None
        updates = {self.first: upload_path(payload), transfer.tabs: transfer.selection}
        if source:
            updates[self.originals] = {**(originals or {}), source.file: source}
        return updates | self.begin(event, payload, second)

    def run(
        self, request: PanelRequest, first: Payload, second: Payload, originals: Originals
    ) -> Iterator[Updates]:
        """Compare the two pictures once both are there, then examine each; yield what is said of
        them."""
        # 1. Both pictures
        yield self.begin(gr.EventData(None, None), first, second)
        fields = (self.first, first), (self.second, second)
        sources = {
            field: source for field, payload in fields if (source := _original(payload, originals))
        }
        if len(sources) < 2:
            return
        pictures: dict[gr.Image, LoadedImage] = {}

        # 2. The comparison
        def failure(error: Exception) -> Updates:
            updates = self.cleared(card.failure(*explain(error)))
            unread = next((field for field in sources if field not in pictures), None)
            # what is no picture leaves its field
            return updates | ({unread: None} if isinstance(error, ImageError) and unread else {})

        job = Job(partial(self._compare, sources=sources, pictures=pictures), request.is_newest)
        updates = job.show(lambda before: {self.answer: card.queued(before)})
        yield from request.guard(updates, failure)
        if len(pictures) < 2:
            return
        pictures.clear()  # up to 150 MB each

        # 3. What each of them is
        examine = Job(partial(self._examine, sources=list(sources.values())), request.is_newest)
        verdicts = examine.show(lambda before: {})
        yield from request.guard(
            verdicts, lambda error: {self.verdicts: card.failure(*explain(error))}
        )

    def _examine(self, job: Job[Updates], sources: Sequence[Source]) -> Iterator[Updates]:
        """Yield what each picture is: first both verdicts, then whether their copies keep them."""
        found: list[Examination | None] = [None] * len(sources)
        titles = [_(name) for name, _alt in PLACES]
        for until in (Stage.VERDICT, Stage.DONE):
            for i, source in enumerate(sources):
                stages = examine_in_turns(
                    job, Path(source.whole), self.detector, part=source.box, until=until
                )
                try:
                    *_stages, found[i] = stages
                except NotJudged as error:
                    found[i] = error.examination
                yield {self.verdicts: card.pair(titles, found)}

    def _compare(
        self,
        job: Job[Updates],
        sources: Mapping[gr.Image, Source],
        pictures: dict[gr.Image, LoadedImage],
    ) -> Iterator[Updates]:
        """Yield what is said of two pictures.

        pictures: filled with each picture once it has been read.
        """
        with job.enter(PICTURES, Priority.BATCH):
            for field, source in sources.items():
                pictures[field] = source.load()
            a, b = pictures.values()
            files = [source.whole for source in sources.values()]
            updates = self._result(_compare_pixels(a, b), a, b, files)
            copies = {
                field: copy
                for field, source in sources.items()
                if source.box is None and (copy := shown_copy(pictures[field], source.whole))
            }
        originals = {copies.get(field, source.file): source for field, source in sources.items()}
        yield updates | copies | {self.originals: originals}

    def _result(
        self, comparison: Comparison, a: LoadedImage, b: LoadedImage, sources: Sequence[str]
    ) -> Updates:
        """Return what the page shows of a comparison. sources: both uploads."""
        from causalclip.report.comparison import notes, overlaid, quote, save_report

        pair = overlaid(comparison) if comparison.answer == "same picture" else None
        files = None
        if pair:
            files = tuple(
                save_png(picture, name, *sources)
                for picture, name in zip(pair, ("first", "second"), strict=True)
            )
        hints = [_(SLIDER)] if files else []
        return {
            self.answer: card.comparison(
                comparison.answer, comparison.headline, comparison.confidence_sentence
            ),
            self.verdicts: card.pair([_(name) for name, _alt in PLACES], [None, None]),
            self.slider: gr.update(value=files, visible=bool(files)),
            self.details: describe(comparison, [*hints, *notes(a, b)]),
            self.quote: rendering.sentence(quote(comparison, a, b)),
            self.report: str(save_report(comparison, a, b, new_folder(*sources))),
        }

    def cleared(self, answer: str = "") -> Updates:
        """Return the page without a result. answer: instead of what the tab is for."""
        return {
            self.answer: answer or card.waiting(_(TITLE), _(ABOUT)),
            self.slider: gr.update(value=None, visible=False),
            **dict.fromkeys((self.verdicts, self.details, self.quote), ""),
            self.report: None,
        }


def _original(payload: Payload, originals: Originals) -> Source | None:
    """Return the picture that somebody gave, of which the page may show a copy or a part; None for
    an empty field.

    Raises:
        gr.Error: its file has been deleted.
    """
    path = upload_path(payload)
    source = (originals or {}).get(path, Source(path, path)) if path else None
    return source if source and source.has_files() else None


def _compare_pixels(a: LoadedImage, b: LoadedImage) -> Comparison:
    from causalclip.compare.pictures import compare

    return compare(a.pixels, b.pixels)


def describe(comparison: Comparison, notes: Sequence[str] = ()) -> str:
    """Return what a comparison says beneath its headline, as HTML. notes: on slider and reading."""
    rows = [change.describe(number) for number, change in enumerate(comparison.changes, 1)]
    return render("compared_details", sentence=comparison.sentence, notes=notes, rows=rows)


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

    def work() -> dict[str, Any]:
        a, b = (load_image(path) for path in paths if path)
        return _compare_pixels(a, b).model_dump(mode="json") | {"notes": notes(a, b)}

    with errors_as_sentences():
        return run_in(PICTURES, Priority.BATCH, work)


def build_compare_tab(
    detector: ChosenDetector,
    transfer: Transfer | None = None,
    *,
    example: tuple[Path, Path] | None = None,
) -> CompareTab:
    """Build the tab inside the current Blocks and wire it.

    Args:
        transfer: where a first picture may come from.
        example: a picture and an edited copy of it, to try.
    """
    # 1. The fields, and beside them the result.
    with gr.Row(elem_classes="cc-columns"):
        with gr.Column(scale=3, min_width=260):
            fields = [
                picture_field(
                    f"compare-{name}",
                    label,
                    alt_text=_("A picture to be compared"),
                    height=HEIGHT,
                )
                for name, label in (("a", _("First picture")), ("b", _("Second picture")))
            ]
            gr.HTML(f"<p class='cc-small'>{_(PROMISE)}</p>", elem_id="compare-promise")
            thumbnails = [file_thumbnail(path, side=EXAMPLE_SIDE) for path in example or ()]
            try_example = gr.HTML(
                render("example_pair", addresses=thumbnails) if example else "",
                visible=bool(example),
                js_on_load=PICK,
                elem_id="compare-example",
            )
        with gr.Column(scale=8, min_width=300, elem_id="compare-result"):
            answer = gr.HTML(card.waiting(_(TITLE), _(ABOUT)), elem_id="compare-answer")
            verdicts = gr.HTML(elem_id="compare-verdicts", elem_classes="cc-flush")
            slider = gr.ImageSlider(
                label=_(SLIDER),
                show_label=False,  # on a phone it would lie over the pictures; it is said below
                type="filepath",
                format="png",
                interactive=False,
                elem_id="compare-slider",
                max_height=480,
                visible=False,  # where nothing was laid over another, its frame would be empty
            )
            details = gr.HTML(elem_id="compare-details")
            quote = gr.HTML(elem_id="compare-quote")
            report = gr.DownloadButton(
                _("Download the comparison (HTML)"), elem_id="compare-report"
            )
    first, second = fields
    tab = CompareTab(
        detector=detector,
        first=first,
        second=second,
        answer=answer,
        verdicts=verdicts,
        slider=slider,
        details=details,
        quote=quote,
        report=report,
        originals=gr.State({}, time_to_live=LIFETIME),
    )
    # 2. What starts a comparison.
    panel = Panel("compare")
    run: dict[str, Any] = {
        "inputs": [first, second, tab.originals],
        "outputs": [first, second, *tab.outputs],
        **RUNS,
    }
    changes = [event for field in fields for event in (field.upload, field.clear)]
    panel.on(changes, tab.begin, tab.run, begin_inputs=fields, **run)
    if example:
        paths = dict(zip(fields, map(str, example), strict=True))

        def begin_example(event: gr.EventData) -> Updates:
            return paths | tab.cleared(card.working(_(WORKING)))

        panel.on([try_example.click], begin_example, tab.run, begin_inputs=[], **run)
    if transfer:
        begin_inputs = [transfer.source, second, tab.originals]
        run["outputs"] = [*run["outputs"], transfer.tabs]
        panel.on(
            [transfer.button.click],
            partial(tab.carry, transfer),
            tab.run,
            begin_inputs=begin_inputs,
            **run,
        )
    add_endpoint(compare, fields, gr.JSON(visible=False))
    return tab
