"""What was done in the Purify tab, in numbers, and what to make of it: the small print under a result."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

from causalclip.languages import N_, _, decimal, ended, in_turn, ngettext, number
from causalclip.paths import shipped_folder
from purifier.names import EMBEDDED

if TYPE_CHECKING:
    from purifier.exhibit import Exhibit

NOTE = N_(
    "A purified picture is coarser: the faint detail that an attack lives in is thrown away. Where an attack was "
    "found, a faint pattern is added that steers the model back. So fine detail proves nothing, and a purified photo "
    "may read as generated to the detector. Judge the file that you were given, not the purified one. "
    "The attacks here do not know the purifier; one that does gets past it (docs/measured.md has the numbers). "
    "Answers are compared word for word."
)
SMALL = N_("The model is small and often wrong about clean pictures too: compare its answers, do not trust them.")
OTHERS = N_("{name} can be wrong about clean pictures, too: compare.")


def speaker(shown: Exhibit) -> str:
    """Of who speaks."""
    return _(shown.voice.name)


def notes(shown: Exhibit) -> str:
    """What was done, and what to make of it."""
    trust = _(SMALL) if shown.voice.key == EMBEDDED else _(OTHERS, name=speaker(shown))
    meant = "" if all(said.alike is None for said in shown.said.values()) else f" {_meant()}"
    note = f"{escape(trust, quote=False)} {_(NOTE)}{meant}"
    return f"<p class='cc-small'>{escape(_facts(shown), quote=False)}</p><p class='cc-small'>{note}</p>"


def _meant() -> str:
    from purifier.meaning import ALIKE  # brings PyTorch

    found = json.loads((shipped_folder("benchmarks") / "meaning.json").read_text(encoding="utf-8"))
    return _(
        "Captions are compared by meaning, coarsely: the cosine of their mean word vectors, {alike} or more counts as "
        "the same. Two people's captions of one photograph reach that in {same} of 100 cases, captions of two "
        "photographs in {other} of 1,000.",
        alike=decimal(ALIKE, digits=2),
        same=number(round(100 * found["same"])),
        other=number(round(1000 * found["other"])),
    )


def _facts(shown: Exhibit) -> str:
    parts = [_attack_facts(shown), _purified_facts(shown)]
    if shown.voice.key == EMBEDDED:
        parts.append(_eye(shown))
    parts.append(_("Changes are drawn 10 times amplified; mid-grey is none."))
    return " ".join(part for part in parts if part)


def _purified_facts(shown: Exhibit) -> str:
    took = decimal(shown.seconds, digits=2)
    said = (
        ngettext("Purified in {took} s, {n} step.", "Purified in {took} s, {n} steps.", shown.wish.steps, took=took)
        if shown.seconds
        else ngettext("Purified in {n} step.", "Purified in {n} steps.", shown.wish.steps)
    )
    return f"{said} {_('That was done whether an attack was found or not.')}" if shown.wish.always else said


def _eye(shown: Exhibit) -> str:
    if shown.wish.eye and shown.unchanged:
        return _("The adapter for purified pictures was not used, as the picture came back unchanged.")
    if shown.wish.eye:
        return _("The model looked at the purified picture through the adapter for purified pictures.")
    return _("The model looked at the purified picture without the adapter for purified pictures.")


def _attack_facts(shown: Exhibit) -> str:
    attack = shown.wish.attack
    if attack is None:
        return ""
    said = ngettext("The attack made {n} step {by}", "The attack made {n} steps {by}", shown.step, by=_by(shown))
    took = _("in {took} s", took=decimal(shown.attack_seconds, digits=1)) if shown.attack_seconds else ""
    made = " ".join(filter(None, (said, took)))
    parts = [ended(in_turn([made, _("seed {seed}", seed=attack.seed)]))]
    if attack.name != "patch":
        most = decimal(shown.change, digits=0)
        parts.append(_("It changed values by at most {most} of 255.", most=most))
    if shown.cut:
        parts.append(
            _(
                "{wished} steps were asked for. This machine makes {made} in {seconds} seconds, by what was measured "
                "before its first attack, so no more were begun.",
                wished=number(attack.steps),
                made=number(shown.steps),
                seconds=decimal(shown.longest, digits=0),
            )
        )
    return " ".join(parts)


def _by(shown: Exhibit) -> str:
    attack = shown.wish.attack
    if attack is not None and attack.name == "square":
        return _("without a gradient")
    whose = {"features": "CLIP", "detector": _("the detector")}.get(shown.objective, speaker(shown))
    return _("through the gradient of {whose}", whose=whose)
