"""The whole page, and how it is kept while it is served."""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from causalclip.languages import LANGUAGES, N_, _, current
from causalclip.paths import DEFAULT_HEAD, HEADS
from causalclip.report.card import failure
from causalclip.report.templates import render
from causalclip.settings import read_settings
from purifier.models import Models, lacking, weights_are_shipped
from ui import api
from ui.detector import ChosenDetector, LazyDetector
from ui.errors import explain
from ui.fields import AT_ONCE, Transfer
from ui.languages import Page
from ui.scripts import script, sending_cards
from ui.server import monitoring
from ui.server.offline import online
from ui.server.token import host_token, token
from ui.server.uploads import sweep
from ui.serving import close_page, launch
from ui.tabs.accuracy import build_measured_tab
from ui.tabs.batch.tab import build_batch_tab
from ui.tabs.check.examples import SHOWCASE, Example, expected, write_examples, write_pair
from ui.tabs.check.rendering import showcase
from ui.tabs.check.tab import build_check_tab
from ui.tabs.compare import PURPOSE as COMPARES
from ui.tabs.compare import build_compare_tab
from ui.tabs.mask.tab import build_mask_tab
from ui.tabs.purify import examples as prepared
from ui.tabs.purify.rendering import PURPOSE
from ui.tabs.purify.tab import PurifyTab, build_purify_tab
from ui.tabs.reference.tab import build_reference_tab

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.examination.result import Examination
    from ui.start import RunFolder

log = logging.getLogger(__name__)
SHIPPED = HEADS[DEFAULT_HEAD]
LEADS = {  # by tab
    "check": N_("Was this picture generated? See why."),
    "purify": PURPOSE,
    "compare": COMPARES,
    "mask": N_(
        "What the verdict reads in a picture, what it leaves out, and how little of it decides."
    ),
    "measured": N_(
        "What was measured, on pictures that the detector was not trained on, with what it misses."
    ),
}
TELLING_RATE = 2.0  # seconds between two times that a waiting call is told its place
MODEL = N_("Model: {name}, revision {revision}, on {backbone}, in {runtime}.")


_part = partial(render, template="frame.html")  # of the page's frame


def build(
    detector: Callable[[], Detector],
    *,
    problem: Callable[[], Exception | None] = lambda: None,
    examples_folder: Path | None = None,
    models: Models | None = None,
    shown: Callable[[], Examination | None] = lambda: None,
) -> gr.Blocks:
    """Build the whole page.

    Args:
        detector: returns the loaded detector.
        problem: returns why there is none; asked when a page is opened.
        examples_folder: where the examples are written; by default a folder that goes with this
            process.
        models: of the Purify tab; without them there is no such tab.
        shown: returns the examination of the example that the page opens with; asked when a page is
            opened.
    """
    folder = examples_folder
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="causalclip-examples-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    examples = write_examples(folder, expected() if read_settings().model == SHIPPED else {})
    pair = write_pair(folder)
    pictures = prepared.write(folder) if models is not None else None
    again = partial(_lay_out, detector, problem, shown, examples, pair, models, pictures)
    return again(again=again)


def _lay_out(
    detector: Callable[[], Detector],
    problem: Callable[[], Exception | None],
    shown: Callable[[], Examination | None],
    examples: Sequence[Example],
    pair: tuple[Path, Path],
    models: Models | None,
    pictures: Any,
    *,
    again: Callable[[], Page] | None = None,
) -> Page:
    """Lay out the page in the current language.

    Args:
        pair: a picture and an edited copy of it, for Compare.
        pictures: the files of the Purify tab's examples.
        again: as in Page.
    """
    chosen_detector = ChosenDetector(detector)
    with Page(title="CausalCLIP", analytics_enabled=False, again=again) as page:
        # 1. The head of the page.
        gr.HTML(_part("name"), elem_id="introduction")
        languages = _part("preferences", codes=LANGUAGES, spoken=current())
        # the browser keeps what is chosen
        gr.HTML(languages, js_on_load=script("preferences"), elem_id="languages")
        banner = gr.HTML(visible=False, elem_id="banner")
        gr.HTML(sending_cards(), visible="hidden", elem_id="on-its-way")
        with gr.Tabs() as tabs:
            # 2. The tabs for whoever checks a picture.
            with gr.Tab(_("Check"), id="check"):
                _add_lead("check")
                check_tab = build_check_tab(chosen_detector, examples, purifies=models is not None)
                _add_cards(tabs, purifies=models is not None)
            take = partial(Transfer, picture=check_tab.picture, source=check_tab.source, tabs=tabs)
            with gr.Tab(_("Batch"), id="batch"):
                build_batch_tab(chosen_detector, check_tab, tabs)
            with gr.Tab(_("Compare"), id="compare"):
                _add_lead("compare")
                transfer = take(check_tab.compare, name="compare")
                build_compare_tab(chosen_detector, transfer, example=pair)
            with gr.Tab(_("Your pictures"), id="pictures") as reference_tab:
                build_reference_tab(reference_tab, chosen_detector)
            # 3. The tabs for whoever looks into the method, after a line (assets/style.css).
            with gr.Tab(_("Mask"), id="mask"):
                _add_lead("mask")
                transfer = take(check_tab.mask, name="mask")
                build_mask_tab(chosen_detector, transfer, examples=examples)
            purify_tab = _add_purify(models, take(check_tab.purify, name="purify"), pictures)
            with gr.Tab(_("Accuracy"), id="accuracy") as accuracy_tab:
                _add_lead("measured")
                build_measured_tab(accuracy_tab)
        # 4. What stands below the tabs, and what happens when a page is opened or closed.
        with gr.Accordion(_("Privacy and limits"), open=False):
            gr.Markdown(_part("privacy"))
            footer = gr.HTML(elem_id="footer")
        page.unload(close_page)
        page.load(partial(_notice, detector, problem), None, [banner, footer], **AT_ONCE)
        page.load(lambda: showcase(shown()), None, check_tab.showcase, **AT_ONCE)
        if purify_tab:
            who = [purify_tab.vlm, purify_tab.offer]
            page.load(purify_tab.speakers, None, who, **AT_ONCE)
    # By itself Gradio 6.31 tells each waiting call its place whenever another one starts, and where
    # the session of one is among those that 2,000 newer ones have pushed out, it answers no call of
    # anybody's from then on. Told by the clock, they cost nobody an answer.
    page.queue(default_concurrency_limit=4, api_open=False, status_update_rate=TELLING_RATE)
    return page


def _notice(
    detector: Callable[[], Detector], problem: Callable[[], Exception | None]
) -> tuple[dict[str, Any], str]:
    """Return why there is no detector, for the banner; or which one there is, for the footer."""
    error = problem()
    if error:
        return gr.update(visible=True, value=failure(*explain(error))), ""
    model = detector()
    sentence = _(
        MODEL,
        name=model.name,
        revision=model.config.revision,
        backbone=model.config.backbone,
        runtime=model.runtime,
    )
    return gr.update(visible=False), f"<p class='cc-small'>{escape(sentence)}</p>"


def _add_lead(tab: str) -> None:
    gr.HTML(_part("lead", words=_(LEADS[tab])))


def _add_purify(models: Models | None, transfer: Transfer, pictures: Any) -> PurifyTab | None:
    """Add the Purify tab; without models, what is missing for them, if that is known."""
    if models is None:
        if lacking():
            with gr.Tab(_("Purify"), id="purify"):
                gr.HTML(f"<p class='cc-said'>{lacking()}</p>")
        return None
    with gr.Tab(_("Purify"), id="purify") as opens:
        _add_lead("purify")
        return build_purify_tab(models, transfer, example_files=pictures, opens=opens)


def _add_cards(tabs: gr.Tabs, *, purifies: bool) -> None:
    """Add what can be done here, below the empty field; assets/style.css hides it beside a
    picture."""
    with gr.Row(elem_id="front-cards"):
        check = gr.Button(_("Check a picture"))
        mask = gr.Button(_("See the mask"))
        fool = gr.Button(_("Fool a model"), visible=purifies)
    choose = "() => document.querySelector('#picture input[type=file]')?.click()"
    check.click(None, js=choose, **AT_ONCE)
    for button, tab in ((mask, "mask"), (fool, "purify")):
        button.click(partial(gr.Tabs, selected=tab), None, tabs, **AT_ONCE)


def main(run: RunFolder) -> None:
    """Build the page and serve it until the process is stopped; the models are loaded meanwhile."""
    logging.basicConfig(level=logging.WARNING)
    monitoring.drop_messages()
    settings = read_settings()
    detector = LazyDetector(settings.model, profile=settings.profile)
    models = None
    if weights_are_shipped() and not lacking():
        models = Models(
            detector=detector, other=settings.vlm, prompt=settings.prompt, wait=detector.problem
        )
    page = build(
        detector,
        problem=detector.problem,
        examples_folder=run.examples,
        models=models,
        shown=detector.first,
    )
    _make_sweeper(run).start()
    address = launch(page, routes=[*api.routes(detector), *monitoring.routes(detector.loaded)])
    print(f"CausalCLIP is ready: open {address}", flush=True)
    if not host_token():
        print(f"Token for the browser extension: {token()}", flush=True)
    threading.Thread(target=detector.warm_up, args=(run.examples / SHOWCASE,), daemon=True).start()
    if models is not None:
        threading.Thread(target=_load, args=(models,), daemon=True).start()
    page.block_thread()


def _load(models: Models) -> None:
    """Load the models of the Purify tab; one that the host has named may come from the hub."""
    with online() if models.other else nullcontext():
        models.warm_up()


def _make_sweeper(run: RunFolder) -> threading.Thread:
    """Return a thread, to be started, that deletes uploads and what is derived from them within an
    hour."""
    limit, period = lifetime()

    def keep_sweeping() -> None:
        while True:
            time.sleep(period)
            try:
                sweep(run.folder, older_than=limit, spare=run.examples)
            except Exception as error:  # the next round must come; a message may hold a name
                log.error("Sweeping failed: %s", type(error).__name__)

    return threading.Thread(target=keep_sweeping, name="sweeper", daemon=True)


def lifetime() -> tuple[float, float]:
    """Return the seconds that a file may live, and those from one sweep to the next.

    A file is gone after the sum of both at most.
    """
    limit = read_settings().kept
    return limit, min(10.0, limit / 4)
