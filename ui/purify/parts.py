"""What the Purify tab is made of, and its choices; tab.py says what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from causalclip.languages import ENGLISH, N_, _, current
from purifier.models import Models
from purifier.names import EMBEDDED, OTHER

if TYPE_CHECKING:
    from purifier.demo import Which

OBJECTIVES = [
    (N_("The answer to the question"), "answer"),
    (N_("The caption"), "caption"),
    (N_("What CLIP sees"), "features"),
    (N_("The detector's verdict"), "detector"),
]
ATTACKS = [
    ("PGD", "pgd"),
    ("APGD", "apgd"),
    ("MI-FGSM", "mi-fgsm"),
    (N_("FGSM, one step"), "fgsm"),
    (N_("Square, black box"), "square"),
    (N_("A patch"), "patch"),
]
COLUMNS: tuple[tuple[Which, str], ...] = (
    ("adversarial", N_("Attacked, or as given")),
    ("purified", N_("Purified")),
)
CHANGES: dict[Which, tuple[str, str]] = {
    "adversarial": ("attack-change", N_("What the attack changed, 10 times amplified")),
    "purified": ("purifier-change", N_("What purification changed, 10 times amplified")),
}
QUESTION = "how many people are there?"  # in English, which the model understands alone
ASKING = N_("{ask} puts it to each picture that is there, without a new attack.")
IN_ENGLISH = N_("The model understands English only: ask in English.")


def asking(models: Models) -> tuple[tuple[gr.Textbox, gr.Radio, gr.HTML, gr.HTML], tuple[gr.Button, ...]]:
    """The question, who answers, why nobody else does, what was asked; and the buttons: attack, purify, stop, ask."""
    with gr.Column(elem_id="purify-asking"):
        question = gr.Textbox(
            label=_("Question (optional)"),
            placeholder=QUESTION,
            info=_(ASKING, ask=_("Ask")) + ("" if current() == ENGLISH else f" {_(IN_ENGLISH)}"),
            max_length=200,
            elem_id="purify-question",
        )
        with gr.Row(elem_id="purify-buttons"):
            both = gr.Button(
                _("Attack, then purify"), variant="primary", elem_id="purify-attack", min_width=160, scale=2
            )
            purify = gr.Button(_("Purify"), elem_id="purify-run", min_width=80)
            ask = gr.Button(_("Ask"), elem_id="purify-ask", min_width=60)
            stop = gr.Button(_("Stop"), elem_id="purify-stop", min_width=60)
        history = gr.HTML(elem_id="purify-history")
        choices = [(models.other, OTHER), (_("The embedded model"), EMBEDDED)]
        vlm = gr.Radio(
            choices if models.other else choices[1:],
            value=OTHER if models.other else EMBEDDED,
            label=_("Who describes and answers"),
            info=_(
                "An attack on its words takes its own gradient: without a graphics card, seconds a step. An attack on "
                "what CLIP sees shows what carries over to it."
            ),
            visible=bool(models.other),
            elem_id="purify-vlm",
        )
        offer = gr.HTML(visible=False, elem_id="purify-offer")
    return (question, vlm, offer, history), (both, purify, stop, ask)


def settings() -> list[Any]:
    """steps, always, eye, attack, eps, attack steps, objective, target."""
    with gr.Column(elem_id="purify-settings"):
        with gr.Accordion(_("The attack"), open=False):
            aims = _choices(OBJECTIVES)
            objective = gr.Dropdown(aims, value="answer", label=_("What shall change"), elem_id="purify-objective")
            target = gr.Textbox(label=_("To exactly this (optional)"), placeholder="two", max_length=200)
            attack = gr.Dropdown(_choices(ATTACKS), value="pgd", label=_("Attack"))
            eps = gr.Slider(1, 16, 8, step=1, label=_("Largest change of a value, of 255"), buttons=[])
            attack_steps = gr.Slider(1, 100, 20, step=1, label=_("Steps of the attack"), buttons=[])
        with gr.Accordion(_("The purifier"), open=False):
            steps = gr.Slider(
                1,
                5,
                1,
                step=1,
                label=_("Steps of the purifier"),
                info=_("Measured without the adapter below: one brings back more answers than four, or as many."),
                buttons=[],
            )
            always = gr.Checkbox(
                label=_("Purify even if no attack is found"),
                info=_(
                    "Against small changes made to fool the purifier; measured without the adapter. Clean pictures "
                    "lose some answers, and all lose more detail."
                ),
                elem_id="purify-always",
            )
            eye = gr.Checkbox(
                label=_("Adapter for purified pictures"),
                info=_(
                    "The model looks at them through it: an addition to CLIP (LoRA) that learned to see in them what "
                    "was there before. Switched off, it still guides the purifier where an attack is found."
                ),
                value=True,
                elem_id="purify-eye",
            )
    return [steps, always, eye, attack, eps, attack_steps, objective, target]


def _choices(choices: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(_(words), value) for words, value in choices]


def outputs() -> tuple[gr.HTML, dict[Which, gr.Image], dict[str, gr.Image], gr.HTML, gr.HTML, gr.ImageSlider]:
    """headline, pictures, changes, answers, notes, slider."""
    pictures: dict[Which, gr.Image] = {}
    changes: dict[str, gr.Image] = {}
    # assets/purify.css shows it while there is a result: what is hidden and shown at once may stay hidden.
    with gr.Column(elem_id="purify-results"):
        headline = gr.HTML(elem_id="purify-headline")
        with gr.Row(elem_id="purify-row"):
            for name, label in COLUMNS:
                with gr.Column(scale=4, min_width=120):
                    pictures[name] = _output(_(label), f"purify-{name}")
                    change, words = CHANGES[name]
                    changes[change] = _output(_("Change × 10"), f"purify-{change}", _(words))
            with gr.Column(scale=5, min_width=160):
                answers = gr.HTML(elem_id="purify-answers")
        notes = gr.HTML(elem_id="purify-notes")
        slider = gr.ImageSlider(
            type="filepath",
            format="png",
            label=f"{_(COLUMNS[0][1])} | {_('purified')}",
            interactive=False,
            height=340,
            elem_id="purify-slider",
        )
    return headline, pictures, changes, answers, notes, slider


def _output(label: str, name: str, words: str = "") -> gr.Image:
    fixed: dict[str, Any] = {"format": "png", "type": "filepath", "interactive": False, "min_width": 100}
    return gr.Image(label=label, buttons=["download", "fullscreen"], elem_id=name, alt_text=words or label, **fixed)
