"""The notes beneath the pictures, as HTML: how a scenario was made, and what it does not prove."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from causalclip.languages import N_, _, decimal, ended, in_turn, ngettext, number, paragraph
from purifier.vlm.interface import EMBEDDED

if TYPE_CHECKING:
    from purifier.scenario import Scenario

NOTE = N_(
    "A purified picture is coarser: the faint detail that an attack lives in is thrown away. Where "
    "an attack was found, a faint pattern is added that steers the model back. So fine detail "
    "proves nothing, and a purified photo may read as generated to the detector. Judge the file "
    "that you were given, not the purified one. The attacks here do not know the purifier; one "
    "that does gets past it. Captions and answers are compared word for word: the same said in "
    "other words counts as different."
)
SMALL_MODEL = N_(
    "The model is small and often wrong about clean pictures too: compare its answers, do not "
    "trust them."
)
HOW = N_("How this was made, and what it does not prove")
OTHER_MODEL = N_("{name} can be wrong about clean pictures, too: compare.")


def notes(run: Scenario) -> str:
    """Return what was done, and what to make of it."""
    trust = _(SMALL_MODEL) if run.model.key == EMBEDDED else _(OTHER_MODEL, name=speaker(run))
    note = paragraph(escape(trust, quote=False), _(NOTE))
    facts = (
        f"<p class='cc-small'>{escape(_facts(run), quote=False)}</p><p class='cc-small'>{note}</p>"
    )
    return f"<details class='cc-fold'><summary>{_(HOW)}</summary>{facts}</details>"


def speaker(run: Scenario) -> str:
    """Return the name of the model that answers, as a person reads it."""
    return _(run.model.name)


def _facts(run: Scenario) -> str:
    scale_note = _("Changes are drawn 10 times amplified; mid-grey is none.")
    return paragraph(attack_facts(run), _purified_facts(run), scale_note)


def _purified_facts(run: Scenario) -> str:
    """Return in how many steps the picture was purified, and how long that took."""
    steps = run.request.steps
    if run.seconds:
        sentence = ngettext(
            "Purified in {took} s, {n} step.",
            "Purified in {took} s, {n} steps.",
            steps,
            took=decimal(run.seconds, digits=2),
        )
    else:
        sentence = ngettext("Purified in {n} step.", "Purified in {n} steps.", steps)
    always = _("That was done whether an attack was found or not.") if run.request.always else ""
    return paragraph(sentence, always)


def attack_facts(run: Scenario) -> str:
    """Return how the attack was made, and how much it changed; "" without one."""
    attack = run.request.attack
    if attack is None:
        return ""
    sentence = ngettext(
        "The attack made {n} step {by}", "The attack made {n} steps {by}", run.step, by=_by(run)
    )
    if run.attack_seconds:
        sentence = f"{sentence} {_('in {took} s', took=decimal(run.attack_seconds, digits=1))}"
    parts = [ended(in_turn([sentence, _("seed {seed}", seed=attack.seed)]))]
    if run.stopped_early:
        parts.append(_("It stopped early, as it had worked: {n} were set.", n=number(run.steps)))
    if attack.name != "patch":
        most = decimal(run.change, digits=0)
        parts.append(_("It changed values by at most {most} of 255.", most=most))
    return paragraph(*parts)


def _by(run: Scenario) -> str:
    """Return what the attack followed, for the end of a sentence."""
    attack = run.request.attack
    if attack is not None and attack.name == "square":
        return _("without a gradient")
    whose = {"features": "CLIP", "detector": _("the detector")}.get(run.objective, speaker(run))
    return _("through the gradient of {whose}", whose=whose)
