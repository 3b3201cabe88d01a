"""The Purify tab: components and callbacks. The models come in lazily, the words from words.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from causalclip.pictures.loading import ImageError, load_image
from causalclip.report.card import queued
from purifier.models import Models, prompt_shipped
from ui.folding import folded
from ui.purify import words
from ui.server.files import picture_input, save_png, upload_path
from ui.server.gate import MODEL, PICTURES, Priority
from ui.server.problems import explain
from ui.server.turns import Part, Turn
from ui.settings import PLACEHOLDER, PROMISE, RUNS, Carried

if TYPE_CHECKING:
    from purifier.exhibit import Exhibit, Wish

OBJECTIVES = [
    ("The answer to the question", "answer"),
    ("The caption", "caption"),
    ("What CLIP sees", "features"),
    ("The detector's verdict", "detector"),
]
ATTACKS = [
    ("PGD", "pgd"),
    ("APGD", "apgd"),
    ("MI-FGSM", "mi-fgsm"),
    ("FGSM, one step", "fgsm"),
    ("Square, black box", "square"),
    ("A patch", "patch"),
]
COLUMNS = (("clean", "Clean"), ("adversarial", "Attacked, or as given"), ("purified", "Purified"))
ALT = {
    "clean": "The picture before the attack",
    "adversarial": "The picture as attacked or as given",
    "purified": "The picture after purification",
}
CHANGES = (
    ("attack-change", "What the attack changed, 10 times amplified"),
    ("purifier-change", "What purification changed, 10 times amplified"),
)

Updates = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class PurifyTab:
    """The tab's components and callbacks.

    wishes: question, steps, prompt, then attack, eps, attack steps, objective, target.
    pictures, said: by column. notes: what is to be known besides.
    """

    models: Models
    picture: gr.Image
    wishes: list[Any]
    status: gr.HTML
    pictures: dict[str, gr.Image]
    said: dict[str, gr.HTML]
    notes: gr.HTML
    slider: gr.ImageSlider
    changes: dict[str, gr.Image]

    @property
    def shown(self) -> list[Any]:
        """Everything that a run may change."""
        parts: list[dict[str, Any]] = [self.pictures, self.said, self.changes]
        return [self.status, self.notes, self.slider, *(c for part in parts for c in part.values())]

    def begin(self, event: gr.EventData, payload: dict[str, Any] | None) -> Updates:
        """What the page shows at once: nothing of an older run beside the new one."""
        return self.cleared(words.working(None) if upload_path(payload) else None)

    def run_given(self, turn: Turn, payload: dict[str, Any] | None, *settings: Any) -> Iterator[Updates]:
        """Purifies the picture as it was given."""
        yield from self._run(turn, payload, settings, attacked=False)

    def run_attacked(self, turn: Turn, payload: dict[str, Any] | None, *settings: Any) -> Iterator[Updates]:
        """Attacks the picture first."""
        yield from self._run(turn, payload, settings, attacked=True)

    def _run(self, turn: Turn, payload: dict[str, Any] | None, settings: Any, *, attacked: bool) -> Iterator[Updates]:
        path = upload_path(payload)
        if path is None:
            yield self.cleared()
            return
        yield self.cleared(words.working(None))
        try:
            with PICTURES.ask(Priority.ATTACK) as ticket:
                for before in ticket.waits():
                    yield {self.status: queued(before)}
                turn.check()
                yield from self._stages(turn, path, settings, attacked=attacked)
        except Exception as error:
            failed = self.cleared(words.failure(*reason(error)))
            yield failed | ({self.picture: None} if isinstance(error, ImageError) else {})

    def _stages(self, turn: Turn, path: str, settings: Any, *, attacked: bool) -> Iterator[Updates]:
        pixels = load_image(path).pixels
        self.models.wait()
        from purifier.exhibit import exhibit  # here, because it brings PyTorch, which the page need not wait for

        drawn: set[str] = set()
        stages = exhibit(self.models, pixels, _wish(settings, attacked=attacked))
        while (shown := _next(stages, turn)) is not None:
            updates: Updates = {self.status: words.result(shown) if shown.complete else words.working(shown)}
            for name in [n for n in shown.said if n not in drawn]:
                drawn.add(name)
                updates |= self._column(shown, name)
            yield updates
            last = shown
        yield self._compared(last)

    def _column(self, shown: Exhibit, name: Any) -> Updates:
        file = save_png(Image.fromarray(shown.pictures[name]), name)
        alt = f"{ALT[name]}. The model says: {shown.said[name].caption}"
        return {
            self.pictures[name]: gr.update(value=file, alt_text=alt),
            self.said[name]: words.said(shown, name),
        }

    def _compared(self, shown: Exhibit) -> Updates:
        from purifier.exhibit import difference

        moved, purified, clean = (shown.pictures.get(n) for n in ("adversarial", "purified", "clean"))
        assert moved is not None
        assert purified is not None
        both = tuple(save_png(Image.fromarray(x), n) for x, n in ((moved, "adversarial"), (purified, "purified")))
        by_purifier = save_png(Image.fromarray(difference(purified, moved)), "purifier-change")
        updates: Updates = {
            self.notes: words.notes(shown),
            self.slider: both,
            self.changes["purifier-change"]: by_purifier,
        }
        if clean is not None:
            by_attack = save_png(Image.fromarray(difference(moved, clean)), "attack-change")
            updates[self.changes["attack-change"]] = by_attack
        return updates

    def cleared(self, status: str | None = None) -> Updates:
        """No result: nothing of an older picture may stay beside a newer one."""
        return {
            self.status: status or words.waiting(),
            **dict.fromkeys([*self.said.values(), self.notes], ""),
            **dict.fromkeys([*self.pictures.values(), *self.changes.values(), self.slider]),
        }

    def carry(self, carried: Carried, event: gr.EventData, payload: dict[str, Any] | None) -> Updates:
        """A picture from another tab, to be purified when that is asked for."""
        return {self.picture: upload_path(payload), carried.tabs: carried.shown} | self.cleared(words.carried())

    def stopped(self) -> Updates:
        """After the stop button: the run ends at its next step."""
        return self.cleared(words.stopped())


def _next(stages: Iterator[Exhibit], turn: Turn) -> Exhibit | None:
    """The next stage, for which anybody's verdict goes first; None after the last."""
    turn.check()
    with MODEL.enter(Priority.ATTACK):
        turn.check()
        return next(stages, None)


def reason(error: Exception) -> tuple[str, str]:
    """A title and a sentence for the user."""
    from purifier.aims import AimError

    return ("This cannot be done", str(error)) if isinstance(error, AimError) else explain(error)


def _wish(settings: Any, *, attacked: bool) -> Wish:
    from purifier.exhibit import Wish, make_attack

    question, steps, prompt, attack, eps, attack_steps, objective, target = settings
    question = str(question or "").strip()
    if objective == "answer" and not question:
        objective = "caption"
    made = make_attack(attack, eps, attack_steps) if attacked else None
    return Wish(question, int(steps), bool(prompt), made, objective, str(target or "").strip() or None)


def build_tab(models: Models, carried: Carried | None = None) -> PurifyTab:
    """Builds the tab inside the current Blocks and wires it. carried: where a picture may come from."""
    with gr.Row(elem_classes="cc-columns"):
        with gr.Column(scale=4, min_width=300):
            picture = picture_input(
                buttons=["fullscreen"],
                label="Picture, clean or already attacked",
                placeholder=PLACEHOLDER,
                alt_text="The picture to be purified",
                height=260,
                elem_id="purify-picture",
            )
            gr.HTML(f"<p class='cc-small'>{PROMISE}</p>")
            wishes, buttons = _controls()
        with gr.Column(scale=7, min_width=300):
            tab = _outputs(models, picture, wishes)
    _wire(tab, *buttons, carried)
    return tab


def _controls() -> tuple[list[Any], tuple[gr.Button, gr.Button, gr.Button]]:
    question = gr.Textbox(
        label="Question (optional)", placeholder="how many people are there?", max_length=200, elem_id="purify-question"
    )
    purify = gr.Button("Purify", variant="primary", elem_id="purify-run")
    with gr.Row():
        both = gr.Button("Attack, then purify", elem_id="purify-attack", min_width=190)
        stop = gr.Button("Stop", elem_id="purify-stop", min_width=80)
    with gr.Accordion("The attack", open=False):
        objective = gr.Dropdown(OBJECTIVES, value="answer", label="What shall change", elem_id="purify-objective")
        target = gr.Textbox(label="To exactly this (optional)", placeholder="two", max_length=200)
        attack = gr.Dropdown(ATTACKS, value="pgd", label="Attack")
        eps = gr.Slider(1, 16, 8, step=1, label="Largest change of a value, of 255", buttons=[])
        attack_steps = gr.Slider(1, 100, 20, step=1, label="Steps of the attack", buttons=[])
    with gr.Accordion("The purifier", open=False):
        steps = gr.Slider(1, 5, 1, step=1, label="Steps of the purifier", buttons=[])
        prompt = gr.Checkbox(
            label="Defence prompt for the purified picture",
            info="Learned numbers that are added to what the model sees of it.",
            value=False,
            visible=prompt_shipped(),
            elem_id="purify-prompt",
        )
    return [question, steps, prompt, attack, eps, attack_steps, objective, target], (purify, both, stop)


def _outputs(models: Models, picture: gr.Image, wishes: list[Any]) -> PurifyTab:
    status = gr.HTML(words.waiting(), elem_id="purify-status")
    pictures, said = {}, {}
    # assets/purify.css shows each part while it has something to say: what is hidden and shown at once may stay hidden.
    with gr.Column(elem_id="purify-results"):
        with gr.Row():
            for name, label in COLUMNS:
                with gr.Column(min_width=200, elem_classes="cc-column"):
                    pictures[name] = _output(label, f"purify-{name}")
                    said[name] = gr.HTML(elem_id=f"purify-{name}-said")
        notes = gr.HTML(elem_id="purify-notes")
        slider = gr.ImageSlider(
            type="filepath",
            format="png",
            label="Attacked, or as given | purified",
            interactive=False,
            height=340,
            elem_id="purify-slider",
        )
        with folded("What was changed", "purify-changed"):
            gr.HTML("<p class='cc-small'>Mid-grey is no change. The scale is always the same.</p>")
            with gr.Row():
                changes = {name: _output(label, f"purify-{name}") for name, label in CHANGES}
    return PurifyTab(models, picture, wishes, status, pictures, said, notes, slider, changes)


def _output(label: str, name: str) -> gr.Image:
    fixed: dict[str, Any] = {"format": "png", "type": "filepath", "interactive": False, "min_width": 200}
    return gr.Image(label=label, buttons=["download", "fullscreen"], elem_id=name, alt_text=label, **fixed)


def _wire(tab: PurifyTab, purify: gr.Button, both: gr.Button, stop: gr.Button, carried: Carried | None) -> None:
    from ui.purify.endpoints import add_endpoints

    part = Part("purify")
    run: dict[str, Any] = {
        "given": [tab.picture],
        "inputs": [tab.picture, *tab.wishes],
        "outputs": [tab.picture, *tab.shown],
        **RUNS,
    }
    part.on([purify.click], tab.begin, tab.run_given, **run)
    part.on([both.click], tab.begin, tab.run_attacked, **run)
    part.off([stop.click], tab.stopped, outputs=tab.shown)
    part.off([tab.picture.clear, tab.picture.upload], tab.cleared, outputs=tab.shown)
    if carried:
        part.on(
            [carried.button.click],
            partial(tab.carry, carried),
            lambda turn: iter([tab.cleared(words.carried())]),
            given=[carried.picture],
            inputs=[],
            outputs=[tab.picture, carried.tabs, *tab.shown],
        )
    add_endpoints(tab)
