"""The fields of the Purify tab and what they say; what they do is in tab.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from causalclip.languages import ENGLISH, N_, _, current, number, paragraph, percent
from causalclip.measured import measured
from purifier.choices import ATTACK_CHOICES, OBJECTIVE_TITLES
from purifier.models import Models
from purifier.vlm.interface import EMBEDDED, OTHER
from ui.fields import map_output
from ui.tabs.purify.rendering import PARTS

if TYPE_CHECKING:
    from purifier.scenario import Which

FRAMES: dict[Which, str] = {
    "clean": N_("Original"),
    "adversarial": N_("Attacked"),
    "purified": N_("Purified"),
}
CHANGES = {
    "attack-change": N_("What the attack added, x10"),
    "purifier-change": N_("What purifying changed, x10"),
}
ATTACK = "pgd-8"  # the attack under which it was measured what each part is worth
WITH_ALL = N_(
    "With all parts, {kept} of {n} attacked answers are kept and {right} are correct; without "
    "an attack, {unattacked} are."
)
WITHOUT = N_("Without it: {kept} kept, {right} correct.")
ALONE = N_("Alone: {kept} kept, {right} correct.")
REPLACED = N_("Another in its place, trained without attacks: {kept} kept, {right} correct.")
ONE_STEP = N_("Measured without the LoRA encoder, one step keeps {kept} of {n} attacked answers.")
FOUR_STEPS = N_("Four steps keep {kept} of {n}.")
QUESTION = "how many people are there?"  # in English, which the model understands alone
ASKING = N_("{ask} puts it to each picture shown.")
NO_PROMPT = N_(
    "A learned prompt was tried and gained nothing: {after} of {n} answers kept, {before} "
    "without it."
)
# held-out questions, with and without it (docs/tried.md)
PROMPT = {"after": 0.84, "before": 0.84, "questions": 141}
IN_ENGLISH = N_("The model understands English only: ask in English.")


def build_question(models: Models) -> tuple[dict[str, Any], dict[str, gr.Button]]:
    """Build the place to ask in, and the buttons.

    Returns:
        By name: question, vlm (who answers) and offer (why nobody else does); and the buttons:
        both, purify, stop, ask.
    """
    # 1. The question.
    with gr.Column(elem_id="purify-asking"):
        question = gr.Textbox(
            label=_("Question (optional)"),
            placeholder=QUESTION,
            info=paragraph(_(ASKING, ask=_("Ask")), "" if current() == ENGLISH else _(IN_ENGLISH)),
            max_length=200,
            elem_id="purify-question",
        )
        # 2. The buttons.
        with gr.Row(elem_id="purify-buttons"):
            both = gr.Button(
                _("Attack, then purify"),
                variant="primary",
                elem_id="purify-attack",
                min_width=160,
                scale=2,
            )
            purify = gr.Button(_("Purify"), elem_id="purify-run", min_width=80)
            ask = gr.Button(_("Ask"), elem_id="purify-ask", min_width=60)
            stop = gr.Button(_("Stop"), elem_id="purify-stop", min_width=60)
        # 3. Who answers.
        choices = [(models.other, OTHER), (_("The embedded model"), EMBEDDED)]
        vlm = gr.Radio(
            choices if models.other else choices[1:],
            value=OTHER if models.other else EMBEDDED,
            label=_("Who describes and answers"),
            info=_(
                "An attack on its words takes its own gradient: without a graphics card, seconds a "
                "step. An attack on what CLIP sees shows what carries over to it."
            ),
            visible=bool(models.other),
            elem_id="purify-vlm",
        )
        offer = gr.HTML(visible=False, elem_id="purify-offer")
    buttons = {"both": both, "purify": purify, "stop": stop, "ask": ask}
    return {"question": question, "vlm": vlm, "offer": offer}, buttons


def build_settings() -> dict[str, Any]:
    """Build the settings of the attack and of the purifier.

    Returns:
        By name: steps, always, a switch for each of rendering.PARTS, attack, eps, attack_steps,
        objective, target, stop_early.
    """
    # 1. The attack.
    with gr.Column(elem_id="purify-settings"):
        with gr.Accordion(_("The attack"), open=False):
            aims = [(_(title), name) for name, title in OBJECTIVE_TITLES.items()]
            attacks = [(_(choice.title), name) for name, choice in ATTACK_CHOICES.items()]
            objective = gr.Dropdown(
                aims, value="answer", label=_("What shall change"), elem_id="purify-objective"
            )
            target = gr.Textbox(
                label=_("To exactly this (optional)"), placeholder="two", max_length=200
            )
            attack = gr.Dropdown(attacks, value="pgd", label=_("Attack"))
            eps = gr.Slider(
                1, 16, 8, step=1, label=_("Largest change of a value, of 255"), buttons=[]
            )
            attack_steps = gr.Slider(1, 100, 20, step=1, label=_("Steps of the attack"), buttons=[])
            stop_early = gr.Checkbox(
                label=_("Stop once the attack has worked"),
                info=_("When the model has left its first words for three steps in a row."),
                value=True,
                elem_id="purify-stop-early",
            )
        # 2. The purifier.
        with gr.Accordion(_("The purifier"), open=False):
            steps = gr.Slider(
                1,
                5,
                1,
                step=1,
                label=_("Steps of the purifier"),
                info=_kept_by_steps(),
                buttons=[],
            )
            always = gr.Checkbox(
                label=_("Purify even if no attack is found"),
                info=_(
                    "With noise, against attacks on the purifier itself; then only the network and "
                    "the encoder count. Clean pictures lose some answers."
                ),
                elem_id="purify-always",
            )
            gr.HTML(f"<p class='cc-small'>{worth()}</p>", elem_id="purify-worth")
            switches = {
                part: gr.Checkbox(
                    label=_(name), info=worth(part), value=True, elem_id=f"purify-{part}"
                )
                for part, name in PARTS.items()
            }
            gr.HTML(f"<p class='cc-small'>{_no_prompt()}</p>")
    # 3. All of them, in the order in which the page sends them.
    of_attack = {
        "attack": attack,
        "eps": eps,
        "attack_steps": attack_steps,
        "objective": objective,
        "target": target,
        "stop_early": stop_early,
    }
    return {"steps": steps, "always": always} | switches | of_attack


def worth(part: str = "") -> str:
    """Return how many attacked answers are kept, and how many are correct.

    part: one that is left out; of the network also what it is worth alone, and another in its
        place; "" for all parts together.
    """
    if not part:
        clean = measured()["purification.none.clean.accuracy"]
        return _shares(WITH_ALL, "full", unattacked=percent(clean.value))
    sentences = [_shares(WITHOUT, f"without-{part.replace('_', '-')}")]
    if part == "network":
        sentences.append(_shares(ALONE, "network-alone"))
        sentences.append(_shares(REPLACED, "other-network"))
    return paragraph(*sentences)


def _shares(sentence: str, defence: str, **values: str) -> str:
    """Return a sentence with the shares of answers that a defence keeps and that are correct."""
    kept, right = (
        measured()[f"purification.{defence}.{ATTACK}.{measure}"]
        for measure in ("agreement", "accuracy")
    )
    return _(
        sentence,
        kept=percent(kept.value),
        right=percent(right.value),
        n=number(kept.n or 0),
        **values,
    )


def _kept_by_steps() -> str:
    """Return how many attacked answers are kept by one step and by four; each was measured on
    questions of its own number."""
    return paragraph(_shares(ONE_STEP, "one-step"), _shares(FOUR_STEPS, "four-steps"))


def _no_prompt() -> str:
    """Return why there is no setting for a learned prompt."""
    after, before = percent(PROMPT["after"]), percent(PROMPT["before"])
    return _(NO_PROMPT, after=after, before=before, n=number(int(PROMPT["questions"])))


def build_outputs() -> dict[str, Any]:
    """Build the places of the result.

    Returns:
        By name: headline, question (that was asked), pictures, responses (to each), history (of
        further questions), changes, slider, save, notes.
    """
    # 1. The storyboard: three pictures, with what the model says of each.
    pictures: dict[Which, gr.Image] = {}
    responses: dict[Which, gr.HTML] = {}
    # assets/purify.css shows it while there is a result: what is hidden and shown at once may stay
    # hidden.
    with gr.Column(elem_id="purify-results"):
        headline = gr.HTML(elem_id="purify-headline")
        question = gr.HTML(elem_id="purify-asked")
        with gr.Row(elem_id="purify-row"):
            for name, label in FRAMES.items():
                with gr.Column(min_width=100, elem_id=f"purify-frame-{name}"):
                    pictures[name] = map_output(f"purify-{name}", label=_(label), min_width=100)
                    responses[name] = gr.HTML(elem_id=f"purify-{name}-answer")
        # 2. Further questions, what was changed, and both pictures on each other.
        history = gr.HTML(elem_id="purify-history")
        with gr.Row(elem_id="purify-changes"):
            changes = {
                n: map_output(f"purify-{n}", label=_(label), min_width=100)
                for n, label in CHANGES.items()
            }
        # A largest height, not a height: in a lower box, Gradio lays the two pictures over each
        # other askew.
        slider = gr.ImageSlider(
            type="filepath",
            format="png",
            interactive=False,
            max_height=340,
            elem_id="purify-slider",
            elem_classes="cc-output",
        )
        save = gr.DownloadButton(_("Save as one picture"), elem_id="purify-save")
        notes = gr.HTML(elem_id="purify-notes")
    images = {"pictures": pictures, "changes": changes, "slider": slider}
    texts = {"headline": headline, "responses": responses, "history": history, "notes": notes}
    return {"question": question, "save": save} | texts | images
