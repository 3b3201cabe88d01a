"""The Purify tab: components and callbacks. The models come in lazily, the words from views.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
from PIL import Image

from causalclip.images.formats import ImageError
from causalclip.images.loading import load_image
from causalclip.languages import _
from causalclip.report.card import failure, queued
from purifier.models import Models
from purifier.pausing import pausing
from purifier.pixels import check_size
from purifier.vlm.interface import EMBEDDED, OTHER
from ui.cancellation import CancellationToken, Panel
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
from ui.server.turns import MODEL, PICTURES, PURIFY_QUEUE, Priority, Turn
from ui.tabs.purify import answers, examples, facts, parts, views
from ui.tabs.purify.endpoints import add_endpoints, reason

if TYPE_CHECKING:
    from purifier.request import Request
    from purifier.scenario import Scenario, Which

    # what was found, and the files of its pictures, too large for memory
    Kept = tuple[Scenario, dict[Which, str]]

OPEN = """() => {
  if (!window.ccTurns?.purify) document.querySelector("#purify-open")?.click();
}"""  # the tab opens with a prepared one, unless something was asked of it before
# as the slider lays them out
SIDES = "{adversarial} \N{LEFT-TO-RIGHT MARK}|\N{LEFT-TO-RIGHT MARK} {purified}"
Updates = dict[Any, Any]
Settings = dict[str, Any]  # by name, as in PurifyTab


@dataclass(frozen=True, slots=True, kw_only=True)
class PurifyTab:
    """The tab's components and callbacks.

    settings: by name: question, vlm (who speaks), and those of parts.settings. status: what goes
    on. headline, notes: the result in words. question: that was asked. pictures, said: by frame of
    the storyboard. history: further questions about its pictures. changes: by name. offer: why
    nobody but the embedded model can speak. kept: a gr.State of the pictures' `Kept`. asked: a
    gr.State of what history shows. chosen: a gr.State of the example's number. prepared: the files
    of the three examples.
    """

    models: Models
    picture: gr.Image
    settings: dict[str, Any]
    status: gr.HTML
    headline: gr.HTML
    question: gr.HTML
    pictures: dict[Which, gr.Image]
    said: dict[Which, gr.HTML]
    changes: dict[str, gr.Image]
    slider: gr.ImageSlider
    notes: gr.HTML
    offer: gr.HTML
    history: gr.HTML
    kept: gr.State
    asked: gr.State
    chosen: gr.State
    prepared: Sequence[Path] = ()

    @property
    def shown(self) -> list[Any]:
        """Everything that a run may change."""
        return [self.status, *self._result, self.history, self.asked]

    @property
    def vlm(self) -> gr.Radio:
        """Who speaks."""
        radio: gr.Radio = self.settings["vlm"]
        return radio

    @property
    def _result(self) -> list[Any]:
        pictures = [*self.pictures.values(), *self.changes.values()]
        told = [self.headline, self.question, *self.said.values(), self.notes]
        return [*told, self.slider, self.kept, *pictures]

    def begin(self, event: gr.EventData, payload: dict[str, Any] | None) -> Updates:
        """What the page shows at once for a new picture: nothing of the older one."""
        return self.cleared(views.working() if upload_path(payload) else None)

    def again(self, event: gr.EventData, payload: dict[str, Any] | None) -> Updates:
        """The same for another setting for the same picture, whose last result stays until there is
        a new one."""
        return {self.status: views.working()} if upload_path(payload) else self.cleared()

    def example(self, event: gr.EventData) -> Updates:
        """The same for one of the three that are prepared, with its settings."""
        chosen, picture = selected_item(
            event, list(zip(examples.PREPARED, self.prepared, strict=True))
        )
        attack = {
            "attack": "pgd",
            "eps": chosen.eps,
            "attack_steps": chosen.steps,
            "objective": "answer",
            "target": "",
        }
        others = {"question": chosen.question, "steps": 1, "always": False, "vlm": EMBEDDED}
        settings = dict.fromkeys(views.PARTS, True) | attack | others
        updates: Updates = {self.settings[name]: value for name, value in settings.items()}
        updates |= {self.picture: str(picture), self.chosen: event.index}  # type: ignore[attr-defined]
        return updates | self.cleared(views.working())

    def opened(self, event: gr.EventData) -> Updates:
        """The same when the tab is opened: the first of the three, without a change of the
        fields."""
        return {self.chosen: 0} | self.cleared(views.working())

    def carry(
        self, transfer: Transfer, event: gr.EventData, payload: dict[str, Any] | None
    ) -> Updates:
        """The same for a picture from another tab."""
        updates = {self.picture: upload_path(payload), transfer.tabs: transfer.selection}
        return updates | self.cleared(views.working())

    def run_given(
        self, token: CancellationToken, payload: dict[str, Any] | None, *settings: Any
    ) -> Iterator[Updates]:
        """Purifies a new picture as it was given."""
        yield self.cleared(views.working(total=2))
        yield from self._run(token, payload, self._named(settings), attacked=False)

    def run_example(self, token: CancellationToken, chosen: int) -> Iterator[Updates]:
        """Shows a prepared one as a whole: it was attacked and purified beforehand."""
        yield self.cleared(views.working())
        self.models.wait()
        shown = examples.stored(examples.PREPARED[chosen])
        token.check()
        yield self._result_of(shown)

    def ask(
        self, kept: Kept | None, asked: tuple[answers.FollowUp, ...] | None, question: str
    ) -> tuple[Any, Any, Any]:
        """Put another question to each of the pictures that are there.

        Returns:
            What status, history and asked show then.
        """
        asked = asked or ()
        if kept is None:
            missing = failure(_("No picture yet"), _("Add a picture first, then ask."))
            return missing, gr.skip(), gr.skip()
        run, files = kept
        if not run.model.asks:
            only = _("{name} only captions.", name=run.model.name)
            failed = failure(_("The question was not asked"), only)
            return gr.skip(), answers.history(asked, failed), asked
        try:
            from purifier.scenario import ask_again

            with PURIFY_QUEUE.enter(Priority.ATTACK):
                with PICTURES.enter(Priority.ATTACK):
                    found = {name: upload_path({"path": file}) for name, file in files.items()}
                    pictures = {
                        name: load_image(path).pixels for name, path in found.items() if path
                    }
                with MODEL.enter(Priority.ATTACK):
                    said = ask_again(
                        self.models, run.model_copy(update={"pictures": pictures}), question
                    )
            asked = (*asked, answers.FollowUp(question.strip(), said))
        except Exception as error:
            return gr.skip(), answers.history(asked, failure(*reason(error))), asked
        return gr.skip(), answers.history(asked), asked

    def run_again(
        self,
        token: CancellationToken,
        payload: dict[str, Any] | None,
        *settings: Any,
        attacked: bool = False,
    ) -> Iterator[Updates]:
        """Purifies the picture that is there, or attacks it first."""
        named = self._named(settings)
        yield {self.status: views.working(total=int(named["attack_steps"]) + 3 if attacked else 2)}
        yield from self._run(token, payload, named, attacked=attacked)

    def _named(self, settings: Sequence[Any]) -> Settings:
        """As the page sends them, by name."""
        return dict(zip(self.settings, settings, strict=True))

    def _run(
        self,
        token: CancellationToken,
        payload: dict[str, Any] | None,
        settings: Settings,
        *,
        attacked: bool,
    ) -> Iterator[Updates]:
        path = upload_path(payload)
        if path is None:
            yield self.cleared()
            return
        yield from token.guard(self._read(token, path, settings, attacked=attacked), self._failed)

    def _read(
        self, token: CancellationToken, path: str, settings: Settings, *, attacked: bool
    ) -> Iterator[Updates]:
        yield from self._heard(token, settings["vlm"])
        with PURIFY_QUEUE.ask(Priority.ATTACK) as place:
            for before in token.waits(place):
                yield {self.status: queued(before)}
            with PICTURES.ask(Priority.ATTACK) as turn:
                for before in token.waits(turn):
                    yield {self.status: queued(before)}
                pixels = load_image(path).pixels
                # here, as others hold no large picture while they wait for the model
                check_size(pixels)
            yield from self._stages(token, pixels, settings, attacked=attacked)

    def _failed(self, error: Exception) -> Updates:
        """Its sentence; what is no picture leaves the field."""
        said = {self.status: failure(*reason(error))}
        return (
            self.cleared() | said | {self.picture: None} if isinstance(error, ImageError) else said
        )

    def _heard(self, token: CancellationToken, vlm: str) -> Iterator[Updates]:
        """Waits for the other model, if it is the one that is asked; nobody else has to wait for
        that."""
        self.models.wait()
        if vlm == OTHER and not self.models.other_tried:
            yield {self.status: views.loading(self.models.other)}
            self.models.info(OTHER)
            token.check()

    def _stages(
        self, token: CancellationToken, pixels: np.ndarray, settings: Settings, *, attacked: bool
    ) -> Iterator[Updates]:
        from purifier.scenario import run

        stages = run(_request(settings, attacked=attacked), pixels, self.models)
        last: Scenario | None = None
        while True:
            token.check()
            with MODEL.ask(Priority.ATTACK) as ticket:  # anybody's verdict goes first
                for before in token.waits(ticket):
                    yield {self.status: views.working(last, before=before)}
                with pausing(partial(_give_way, token, ticket)):
                    shown = next(stages, None)
            if shown is None:
                break
            last = shown
            if not shown.complete:
                yield {self.status: views.working(shown)}
        assert last is not None
        yield self._result_of(last)

    def _result_of(self, shown: Scenario) -> Updates:
        """All of it at once, so that nothing of an older result stands beside it."""
        from purifier.scenario import difference

        moved, purified, clean = (
            shown.pictures.get(n) for n in ("adversarial", "purified", "clean")
        )
        assert moved is not None
        assert purified is not None
        changes = {"purifier-change": difference(purified, moved)}
        if clean is not None:
            changes["attack-change"] = difference(moved, clean)
        drawn = {name: save_png(Image.fromarray(pixels), name) for name, pixels in changes.items()}
        files = {
            name: save_png(Image.fromarray(pixels), name) for name, pixels in shown.pictures.items()
        }
        asked_about = files.copy()
        if shown.unchanged:  # there is no purified picture
            del asked_about["purified"]
        labels = {name: _(label) for name, label in parts.FRAMES.items()}
        labels |= {} if clean is not None else {"adversarial": _("As given")}
        return {
            self.status: "",
            self.kept: (shown.model_copy(update={"pictures": {}}), asked_about),
            self.history: "",
            self.asked: (),
            self.headline: views.result(shown),
            self.question: answers.question(shown.question),
            self.notes: facts.notes(shown),
            self.slider: gr.update(
                value=(files["adversarial"], files["purified"]), label=SIDES.format(**labels)
            ),
            **{image: drawn.get(name) for name, image in self.changes.items()},
            **{said: answers.as_html(shown, name) for name, said in self.said.items()},
            **{
                image: self._frame(shown, name, labels[name], files.get(name))
                for name, image in self.pictures.items()
            },
        }

    @staticmethod
    def _frame(shown: Scenario, name: Which, label: str, file: str | None) -> Any:
        if file is None:
            return None
        says = _(
            "{picture}. The model says: {caption}", picture=label, caption=shown.said[name].caption
        )
        return gr.update(value=file, label=label, alt_text=says)

    def cleared(self, status: str | None = None) -> Updates:
        """No result: nothing of an older picture may stay beside a newer one."""
        return {
            self.status: status or views.waiting(),
            **dict.fromkeys([self.headline, self.question, *self.said.values()], ""),
            **dict.fromkeys([self.notes, self.history], ""),
            **dict.fromkeys(
                [*self.pictures.values(), *self.changes.values(), self.slider, self.kept]
            ),
            self.asked: (),
        }

    def stopped(self) -> Updates:
        """After the stop button: the run ends at its next step. An older result stays."""
        return {self.status: views.stopped()}

    def offered(self) -> Updates:
        """Who can speak, when a page is opened."""
        problem = self.models.other_problem
        if not problem:
            return {self.vlm: gr.skip(), self.offer: gr.skip()}
        said = f"<p class='cc-small'>{escape(problem)}</p>"
        return {
            self.vlm: gr.update(visible=False, value=EMBEDDED),
            self.offer: gr.update(visible=True, value=said),
        }


def _give_way(token: CancellationToken, place: Turn) -> None:
    """Between two tiles: ends a run that nobody waits for any more, and lets others in."""
    token.check()
    place.give_way()


def _request(settings: Settings, *, attacked: bool) -> Request:
    from purifier.request import Request
    from purifier.scenario import make_attack

    attack = None
    if attacked:
        attack = make_attack(settings["attack"], settings["eps"], settings["attack_steps"])
    chosen = {
        "question": settings["question"] or "",
        "steps": settings["steps"],
        "always": settings["always"],
        "without": [part for part in views.PARTS if not settings[part]],
        "attack": attack,
        "objective": settings["objective"],
        "target": settings["target"],
        "vlm": settings["vlm"] or EMBEDDED,
    }
    return Request.model_validate(chosen)


def build_tab(
    models: Models,
    transfer: Transfer | None = None,
    *,
    prepared: Sequence[Path] = (),
    opens: gr.Tab | None = None,
) -> PurifyTab:
    """Builds the tab inside the current Blocks and wires it. transfer: where a picture may come
    from. prepared: the files of the examples (see examples.write). opens: the tab itself, which
    then opens with the first of them."""
    with gr.Row(elem_classes="cc-columns cc-purify"):
        with gr.Column(scale=4, min_width=300):
            label, alt = _("Picture, clean or already attacked"), _("The picture to be purified")
            picture = picture_field("purify-picture", label, alt_text=alt, height=190)
            gr.HTML(f"<p class='cc-small'>{_(PROMISE)}</p>", elem_id="purify-promise")
            shelf = gr.HTML(
                examples.shelf(prepared) if prepared else "",
                js_on_load=PICK,
                visible=bool(prepared),
                elem_id="purify-examples",
            )
            asked, buttons = parts.asking(models)
            settings = parts.settings()
        with gr.Column(scale=9, min_width=300):
            status = gr.HTML(views.waiting(), elem_id="purify-status")
            outputs = parts.outputs()
    tab = PurifyTab(
        models=models,
        picture=picture,
        settings={"question": asked.pop("question"), **settings, "vlm": asked.pop("vlm")},
        status=status,
        kept=gr.State(time_to_live=LIFETIME),
        asked=gr.State((), time_to_live=LIFETIME),
        chosen=gr.State(0),
        prepared=prepared,
        **outputs,
        **asked,
    )
    _wire(tab, buttons, shelf, transfer)
    if opens and prepared:
        opens.select(None, js=OPEN, **PRIVATE)
    return tab


def _wire(
    tab: PurifyTab, buttons: dict[str, gr.Button], shelf: gr.HTML, transfer: Transfer | None
) -> None:
    part, question = Panel("purify"), tab.settings["question"]
    settings: dict[str, Any] = {"inputs": [tab.picture, *tab.settings.values()], **RUNS}
    outputs = [tab.picture, *tab.shown]
    run: dict[str, Any] = {"begin_inputs": [tab.picture], "outputs": outputs, **settings}
    part.on([tab.picture.upload], tab.begin, tab.run_given, **run)
    part.on([buttons["purify"].click], tab.again, tab.run_again, **run)
    part.on([buttons["both"].click], tab.again, partial(tab.run_again, attacked=True), **run)
    on_example: dict[str, Any] = {
        "begin_inputs": [],
        "outputs": [*outputs, *tab.settings.values(), tab.chosen],
    }
    part.on([shelf.click], tab.example, tab.run_example, inputs=[tab.chosen], **on_example, **RUNS)
    opener = gr.Button(elem_id="purify-open", elem_classes="cc-hidden")
    part.on([opener.click], tab.opened, tab.run_example, inputs=[tab.chosen], **on_example, **RUNS)
    part.beside(
        [buttons["ask"].click, question.submit],
        tab.ask,
        [tab.kept, tab.asked, question],
        [tab.status, tab.history, tab.asked],
        api_visibility="private",
        show_progress="minimal",
        **RUNS,
    )
    part.off([buttons["stop"].click], tab.stopped, outputs=tab.shown)
    part.off([tab.picture.clear], tab.cleared, outputs=tab.shown)
    if transfer:
        part.on(
            [transfer.button.click],
            partial(tab.carry, transfer),
            tab.run_given,
            begin_inputs=[transfer.picture],
            outputs=[*outputs, transfer.tabs],
            **settings,
        )
    add_endpoints(tab.models, tab.picture)
