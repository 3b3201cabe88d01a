"""The Purify tab: components and callbacks.

The models are loaded when they are first used; the words are in rendering.py.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from causalclip.images.formats import ImageError
from causalclip.images.loading import load_image
from causalclip.languages import _
from causalclip.report.card import failure, queued
from purifier.models import Models
from purifier.pixels import check_size
from purifier.vlm.interface import EMBEDDED, OTHER
from ui.fields import (
    LIFETIME,
    PICK,
    PRIVATE,
    PROMISE,
    RUNS,
    Transfer,
    picture_field,
    save_png,
    selected_item,
    upload_path,
)
from ui.jobs import Job, Waiting, run_job
from ui.panel import Panel, PanelRequest, Updates
from ui.places import MODEL, PICTURES, PURIFICATIONS, Priority
from ui.tabs.purify import answers, examples, facts, rendering, widgets
from ui.tabs.purify.endpoints import add_endpoints, reason
from ui.tabs.purify.storyboard import draw_storyboard

if TYPE_CHECKING:
    from purifier.request import Request
    from purifier.scenario import Scenario, Which

    # what came of a run, and the files of its pictures, which are too large for memory
    LastRun = tuple[Scenario, dict[Which, str]]

OPEN = """() => {
  if (!window.ccTurns?.purify) document.querySelector("#purify-open")?.click();
}"""  # the tab opens with a prepared one, unless something was asked of it before
# as the slider lays them out
SIDES = "{adversarial} \N{LEFT-TO-RIGHT MARK}|\N{LEFT-TO-RIGHT MARK} {purified}"
Settings = dict[str, Any]  # by name, as in PurifyTab


@dataclass(frozen=True, slots=True, kw_only=True)
class PurifyTab:
    """The tab's components and callbacks.

    Attributes:
        settings: by name: question, vlm (who answers), and those of widgets.build_settings.
        status: how far a run is.
        headline: the result in words.
        question: that was asked.
        pictures: by frame of the storyboard.
        responses: what the model says of each of them.
        changes: what was added to a picture, by name.
        save: the run as one picture.
        notes: how the result was made.
        offer: why nobody but the embedded model can answer.
        history: further questions about the pictures.
        last_run: holds the `LastRun` of the page.
        follow_ups: holds what `history` shows.
        example_number: holds the number of the example.
        example_files: the files of the three examples.
    """

    models: Models
    picture: gr.Image
    settings: dict[str, Any]
    status: gr.HTML
    headline: gr.HTML
    question: gr.HTML
    pictures: dict[Which, gr.Image]
    responses: dict[Which, gr.HTML]
    changes: dict[str, gr.Image]
    slider: gr.ImageSlider
    save: gr.DownloadButton
    notes: gr.HTML
    offer: gr.HTML
    history: gr.HTML
    last_run: gr.State
    follow_ups: gr.State
    example_number: gr.State
    example_files: Sequence[Path] = ()

    @property
    def outputs(self) -> list[Any]:
        """All fields that a run may change."""
        return [self.status, *self._result, self.history, self.follow_ups]

    @property
    def vlm(self) -> gr.Radio:
        """The choice of the model that describes and answers."""
        radio: gr.Radio = self.settings["vlm"]
        return radio

    @property
    def _result(self) -> list[Any]:
        pictures = [*self.pictures.values(), *self.changes.values()]
        texts = [self.headline, self.question, *self.responses.values(), self.notes]
        return [*texts, self.slider, self.save, self.last_run, *pictures]

    def begin(self, event: gr.EventData, payload: dict[str, Any] | None) -> Updates:
        """Return what the page shows at once of a new picture: nothing of the older one."""
        return self.cleared(rendering.progress_card() if upload_path(payload) else None)

    def again(self, event: gr.EventData, payload: dict[str, Any] | None) -> Updates:
        """Return what the page shows at once of the same picture with other settings; without one,
        what there is to do.

        The last result stays until there is a new one.
        """
        return {
            self.status: rendering.progress_card()
            if upload_path(payload)
            else rendering.waiting_card()
        }

    def example(self, event: gr.EventData) -> Updates:
        """Return what the page shows at once of one of the three examples, with its settings."""
        example, picture = selected_item(
            event, list(zip(examples.PREPARED, self.example_files, strict=True))
        )
        attack = {
            "attack": "pgd",
            "eps": example.eps,
            "attack_steps": example.steps,
            "objective": "answer",
            "target": "",
            "stop_early": True,
        }
        others = {"question": example.question, "steps": 1, "always": False, "vlm": EMBEDDED}
        settings = dict.fromkeys(rendering.PARTS, True) | attack | others
        updates: Updates = {self.settings[name]: value for name, value in settings.items()}
        updates[self.picture] = str(picture)
        updates[self.example_number] = event.index  # type: ignore[attr-defined]
        return updates | self.cleared(rendering.progress_card())

    def open_first(self, event: gr.EventData) -> Updates:
        """Return what the page shows when the tab is opened first: the first example, without a
        change of the fields."""
        return {self.example_number: 0} | self.cleared(rendering.progress_card())

    def carry(
        self, transfer: Transfer, event: gr.EventData, payload: dict[str, Any] | None
    ) -> Updates:
        """Return what the page shows at once of a picture that comes from another tab."""
        updates = {self.picture: upload_path(payload), transfer.tabs: transfer.selection}
        return updates | self.cleared(rendering.progress_card())

    def run_given(
        self, request: PanelRequest, payload: dict[str, Any] | None, *settings: Any
    ) -> Iterator[Updates]:
        """Purify a new picture as it was given."""
        yield self.cleared(rendering.progress_card(total=2))
        yield from self._run(request, payload, self._by_name(settings), with_attack=False)

    def run_example(self, request: PanelRequest, number: int) -> Iterator[Updates]:
        """Show an example as a whole: it was attacked and purified beforehand."""
        yield self.cleared(rendering.progress_card())
        self.models.wait()
        scenario = examples.load(examples.PREPARED[number])
        request.check()
        yield self._result_updates(scenario)
        # who looks at an example may give a picture of their own next
        threading.Thread(target=self.models.prepare, daemon=True).start()

    def ask(
        self,
        last_run: LastRun | None,
        follow_ups: tuple[answers.FollowUp, ...] | None,
        question: str,
    ) -> tuple[Any, Any, Any]:
        """Put another question to each of the pictures that are there.

        Returns:
            The updates of status, history and follow_ups.
        """
        follow_ups = follow_ups or ()
        # 1. What there is to ask about, and who could answer.
        if last_run is None:
            missing = failure(_("The question was not asked"), _("Add a picture first, then ask."))
            return missing, gr.skip(), gr.skip()
        scenario, files = last_run
        if not scenario.model.asks:
            only = _("{name} only captions.", name=scenario.model.name)
            message = failure(_("The question was not asked"), only)
            return gr.skip(), answers.history(follow_ups, message), follow_ups
        # 2. The answers.
        try:
            from purifier.scenario import ask_again

            def work(job: Job[Any]) -> Any:
                with job.enter(PURIFICATIONS, Priority.ATTACK):
                    with job.enter(PICTURES, Priority.ATTACK):
                        paths = {name: upload_path({"path": file}) for name, file in files.items()}
                        pictures = {
                            name: load_image(path).pixels for name, path in paths.items() if path
                        }
                    with_pictures = scenario.model_copy(update={"pictures": pictures})
                    with job.enter(MODEL, Priority.ATTACK):
                        return ask_again(self.models, with_pictures, question)

            responses = run_job(work)
            follow_ups = (*follow_ups, answers.FollowUp(question.strip(), responses))
        except Exception as error:
            return gr.skip(), answers.history(follow_ups, failure(*reason(error))), follow_ups
        return gr.skip(), answers.history(follow_ups), follow_ups

    def run_again(
        self,
        request: PanelRequest,
        payload: dict[str, Any] | None,
        *settings: Any,
        with_attack: bool = False,
    ) -> Iterator[Updates]:
        """Purify the picture that is there, with `with_attack` after an attack on it."""
        if upload_path(payload) is None:
            yield {self.status: rendering.waiting_card()}
            return
        values = self._by_name(settings)
        total = int(values["attack_steps"]) + 3 if with_attack else 2
        yield {self.status: rendering.progress_card(total=total)}
        yield from self._run(request, payload, values, with_attack=with_attack)

    def _by_name(self, settings: Sequence[Any]) -> Settings:
        return dict(zip(self.settings, settings, strict=True))

    def _run(
        self,
        request: PanelRequest,
        payload: dict[str, Any] | None,
        settings: Settings,
        *,
        with_attack: bool,
    ) -> Iterator[Updates]:
        """Yield what a run shows, or an error in words."""
        path = upload_path(payload)
        if path is None:
            yield self.cleared()
            return
        yield from request.guard(
            self._read(request, path, settings, with_attack=with_attack), self._failed
        )

    def _read(
        self, request: PanelRequest, path: str, settings: Settings, *, with_attack: bool
    ) -> Iterator[Updates]:
        """Yield how far a run is after each of its steps, then its result."""
        yield from self._wait_for_models(request, settings["vlm"])
        last: Scenario | None = None
        work = partial(self._work, path=path, settings=settings, with_attack=with_attack)
        for event in Job(work, request.is_newest).read():
            if isinstance(event, Waiting):
                before = event.before
                card = rendering.progress_card(last, before=before) if last else queued(before)
                yield {self.status: card}
                continue
            last = event
            rendering.remember_pace(last)
            if not last.complete:
                yield {self.status: rendering.progress_card(last)}
        assert last is not None
        yield self._result_updates(last, path)

    def _work(
        self, job: Job[Scenario], path: str, settings: Settings, *, with_attack: bool
    ) -> Iterator[Scenario]:
        """Yield the stages of a run, which holds small pixels alone while it waits for the
        model."""
        from purifier.scenario import run

        with job.enter(PURIFICATIONS, Priority.ATTACK):
            with job.enter(PICTURES, Priority.ATTACK):
                pixels = load_image(path).pixels
                check_size(pixels)
            stages = run(_request(settings, with_attack=with_attack), pixels, self.models)
            yield from job.step(MODEL, Priority.ATTACK, stages)

    def _failed(self, error: Exception) -> Updates:
        """Return the error's sentence for the page; what is no picture leaves its field."""
        updates = {self.status: failure(*reason(error))}
        if isinstance(error, ImageError):
            return self.cleared() | updates | {self.picture: None}
        return updates

    def _wait_for_models(self, request: PanelRequest, vlm: str) -> Iterator[Updates]:
        """Wait for the models; for the other one only if it is the one that answers."""
        self.models.wait()
        if vlm == OTHER and not self.models.other_tried:
            yield {self.status: rendering.loading_card(self.models.other)}
            self.models.info(OTHER)
            request.check()

    def _result_updates(self, scenario: Scenario, source: str = "") -> Updates:
        """Return all fields of a result at once, so that nothing of an older one stands beside it.

        source: the upload that was purified; "" for an example.
        """
        from purifier.scenario import difference

        # 1. The files of the pictures, and of what changed between them.
        clean = scenario.pictures.get("clean")
        adversarial = scenario.pictures.get("adversarial")
        purified = scenario.pictures.get("purified")
        assert adversarial is not None
        assert purified is not None
        changes = {"purifier-change": difference(purified, adversarial)}
        if clean is not None:
            changes["attack-change"] = difference(adversarial, clean)
        change_files = {
            name: save_png(Image.fromarray(pixels), name, source)
            for name, pixels in changes.items()
        }
        files = {
            name: save_png(Image.fromarray(pixels), name, source)
            for name, pixels in scenario.pictures.items()
        }
        # 2. What further questions are put to.
        question_files = files.copy()
        if scenario.unchanged:  # there is no purified picture
            del question_files["purified"]
        # 3. The fields.
        labels = {name: _(label) for name, label in widgets.FRAMES.items()}
        labels |= {} if clean is not None else {"adversarial": _("As given")}
        return {
            self.status: "",
            self.last_run: (scenario.model_copy(update={"pictures": {}}), question_files),
            self.history: "",
            self.follow_ups: (),
            self.headline: rendering.result_card(scenario),
            self.question: answers.question(scenario.question),
            self.notes: facts.notes(scenario),
            self.save: save_png(draw_storyboard(scenario), "causalclip-purified", source),
            self.slider: gr.update(
                value=(files["adversarial"], files["purified"]), label=SIDES.format(**labels)
            ),
            **{image: change_files.get(name) for name, image in self.changes.items()},
            **{field: answers.as_html(scenario, name) for name, field in self.responses.items()},
            **{
                image: self._frame(scenario, name, labels[name], files.get(name))
                for name, image in self.pictures.items()
            },
        }

    @staticmethod
    def _frame(scenario: Scenario, name: Which, label: str, file: str | None) -> Any:
        """Return one picture of the storyboard, with what the model says of it as its alt text."""
        if file is None:
            return None
        alt_text = _(
            "{picture}. The model says: {caption}",
            picture=label,
            caption=scenario.responses[name].caption,
        )
        return gr.update(value=file, label=label, alt_text=alt_text)

    def cleared(self, status: str | None = None) -> Updates:
        """Return the page without a result: nothing of an older picture stays beside a newer
        one."""
        return {
            self.status: status or rendering.waiting_card(),
            **dict.fromkeys([self.headline, self.question, *self.responses.values()], ""),
            **dict.fromkeys([self.notes, self.history], ""),
            **dict.fromkeys(
                [*self.pictures.values(), *self.changes.values(), self.slider, self.last_run]
            ),
            self.save: None,
            self.follow_ups: (),
        }

    def stopped(self) -> Updates:
        """Return what the page shows after the stop button: the run ends at its next step, and an
        older result stays."""
        return {self.status: rendering.stopped_card()}

    def speakers(self) -> Updates:
        """Return, for a page that is opened, who can describe and answer."""
        problem = self.models.other_problem
        if not problem:
            return {self.vlm: gr.skip(), self.offer: gr.skip()}
        words = f"<p class='cc-small'>{escape(problem)}</p>"
        return {
            self.vlm: gr.update(visible=False, value=EMBEDDED),
            self.offer: gr.update(visible=True, value=words),
        }


def _request(settings: Settings, *, with_attack: bool) -> Request:
    from purifier.request import Request
    from purifier.scenario import make_attack

    attack = None
    if with_attack:
        attack = make_attack(settings["attack"], settings["eps"], settings["attack_steps"])
    fields = {
        "question": settings["question"] or "",
        "steps": settings["steps"],
        "always": settings["always"],
        "without": [part for part in rendering.PARTS if not settings[part]],
        "attack": attack,
        "objective": settings["objective"],
        "target": settings["target"],
        "stop_early": settings["stop_early"],
        "vlm": settings["vlm"] or EMBEDDED,
    }
    return Request.model_validate(fields)


def build_purify_tab(
    models: Models,
    transfer: Transfer | None = None,
    *,
    example_files: Sequence[Path] = (),
    opens: gr.Tab | None = None,
) -> PurifyTab:
    """Build the tab inside the current Blocks and wire it.

    Args:
        transfer: where a picture may come from.
        example_files: as `examples.write` returns them.
        opens: the tab itself, which then opens with the first example.
    """
    # 1. The fields, and beside them the result.
    with gr.Row(elem_classes="cc-columns cc-purify"):
        with gr.Column(scale=4, min_width=300):
            label = _("Picture, clean or already attacked")
            alt = _("The picture to be purified")
            picture = picture_field("purify-picture", label, alt_text=alt, height=190)
            gr.HTML(f"<p class='cc-small'>{_(PROMISE)}</p>", elem_id="purify-promise")
            shelf = gr.HTML(
                examples.shelf(example_files) if example_files else "",
                js_on_load=PICK,
                visible=bool(example_files),
                elem_id="purify-examples",
            )
            question_fields, buttons = widgets.build_question(models)
            settings = widgets.build_settings()
        with gr.Column(scale=9, min_width=300):
            status = gr.HTML(rendering.waiting_card(), elem_id="purify-status")
            outputs = widgets.build_outputs()
    # 2. The tab.
    tab = PurifyTab(
        models=models,
        picture=picture,
        settings={
            "question": question_fields.pop("question"),
            **settings,
            "vlm": question_fields.pop("vlm"),
        },
        status=status,
        last_run=gr.State(time_to_live=LIFETIME),
        follow_ups=gr.State((), time_to_live=LIFETIME),
        example_number=gr.State(0),
        example_files=example_files,
        **outputs,
        **question_fields,
    )
    _wire(tab, buttons, shelf, transfer)
    if opens and example_files:
        opens.select(None, js=OPEN, **PRIVATE)
    return tab


def _wire(
    tab: PurifyTab, buttons: dict[str, gr.Button], shelf: gr.HTML, transfer: Transfer | None
) -> None:
    """Wire the runs, the further questions, and what ends a run."""
    panel = Panel("purify")
    question = tab.settings["question"]
    settings: dict[str, Any] = {"inputs": [tab.picture, *tab.settings.values()], **RUNS}
    outputs = [tab.picture, *tab.outputs]
    # 1. A new picture, or another run of the same.
    run: dict[str, Any] = {"begin_inputs": [tab.picture], "outputs": outputs, **settings}
    panel.on([tab.picture.upload], tab.begin, tab.run_given, **run)
    panel.on([buttons["purify"].click], tab.again, tab.run_again, **run)
    panel.on([buttons["both"].click], tab.again, partial(tab.run_again, with_attack=True), **run)
    # 2. An example.
    on_example: dict[str, Any] = {
        "begin_inputs": [],
        "inputs": [tab.example_number],
        "outputs": [*outputs, *tab.settings.values(), tab.example_number],
        **RUNS,
    }
    panel.on([shelf.click], tab.example, tab.run_example, **on_example)
    opener = gr.Button(elem_id="purify-open", elem_classes="cc-hidden")
    panel.on([opener.click], tab.open_first, tab.run_example, **on_example)
    # 3. A further question, and the end of a run.
    panel.beside(
        [buttons["ask"].click, question.submit],
        tab.ask,
        [tab.last_run, tab.follow_ups, question],
        [tab.status, tab.history, tab.follow_ups],
        api_visibility="private",
        show_progress="minimal",
        **RUNS,
    )
    panel.off([buttons["stop"].click], tab.stopped, outputs=tab.outputs)
    panel.off([tab.picture.clear], tab.cleared, outputs=tab.outputs)
    # 4. A picture from another tab, and the endpoints for programs.
    if transfer:
        panel.on(
            [transfer.button.click],
            partial(tab.carry, transfer),
            tab.run_given,
            begin_inputs=[transfer.picture],
            outputs=[*outputs, transfer.tabs],
            **settings,
        )
    add_endpoints(tab.models, tab.picture)
