"""The Purify tab in words, as HTML. Pure functions; everything that is not written here is
escaped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from causalclip.languages import (
    N_,
    _,
    bracketed,
    decimal,
    ended,
    in_turn,
    ngettext,
    number,
    paragraph,
    percent,
)
from causalclip.paths import shipped_folder
from causalclip.report.card import elapsed, failure
from purifier.vlm.interface import EMBEDDED, OTHER

if TYPE_CHECKING:
    from purifier.scenario import Response, Scenario, Which

PURPOSE = N_(
    "A faint change makes a vision-language model describe another picture. Here you see the "
    "change, remove it, and measure what that costs. It does not judge whether a picture was "
    "generated."
)
NOTE = N_(
    "A purified picture is coarser: the faint detail that an attack lives in is thrown away. Where "
    "an attack was found, a faint pattern is added that steers the model back. So fine detail "
    "proves nothing, and a purified photo may read as generated to the detector. Judge the file "
    "that you were given, not the purified one. The attacks here do not know the purifier; one "
    "that does gets past it. Answers are compared word for word."
)
SMALL = N_(
    "The model is small and often wrong about clean pictures too: compare its answers, do not "
    "trust them."
)
HOW = N_("How this was made, and what it does not prove")
OTHERS = N_("{name} can be wrong about clean pictures, too: compare.")


def speaker(run: Scenario) -> str:
    """Of who speaks."""
    return _(run.model.name)


def notes(run: Scenario) -> str:
    """What was done, and what to make of it."""
    trust = _(SMALL) if run.model.key == EMBEDDED else _(OTHERS, name=speaker(run))
    meant = "" if all(said.alike is None for said in run.said.values()) else _likeness_words()
    note = paragraph(escape(trust, quote=False), _(NOTE), meant)
    facts = (
        f"<p class='cc-small'>{escape(_facts(run), quote=False)}</p><p class='cc-small'>{note}</p>"
    )
    return f"<details class='cc-fold'><summary>{_(HOW)}</summary>{facts}</details>"


def _likeness_words() -> str:
    from purifier.likeness import ALIKE

    found = json.loads((shipped_folder("benchmarks") / "meaning.json").read_text(encoding="utf-8"))
    return _(
        "Captions are compared by meaning, coarsely: the cosine of their mean word vectors, "
        "{alike} or more counts as the same. Two people's captions of one photograph reach that in "
        "{same} of 100 cases, captions of two photographs in {other} of 1,000.",
        alike=decimal(ALIKE, digits=2),
        same=number(round(100 * found["same"])),
        other=number(round(1000 * found["other"])),
    )


def _facts(run: Scenario) -> str:
    parts = [_attack_facts(run), _purified_facts(run)]
    parts.append(_("Changes are drawn 10 times amplified; mid-grey is none."))
    return paragraph(*parts)


def _purified_facts(run: Scenario) -> str:
    took = decimal(run.seconds, digits=2)
    said = (
        ngettext(
            "Purified in {took} s, {n} step.",
            "Purified in {took} s, {n} steps.",
            run.request.steps,
            took=took,
        )
        if run.seconds
        else ngettext("Purified in {n} step.", "Purified in {n} steps.", run.request.steps)
    )
    always = _("That was done whether an attack was found or not.") if run.request.always else ""
    return paragraph(said, always)


def _attack_facts(run: Scenario) -> str:
    attack = run.request.attack
    if attack is None:
        return ""
    said = ngettext(
        "The attack made {n} step {by}", "The attack made {n} steps {by}", run.step, by=_by(run)
    )
    took = (
        _("in {took} s", took=decimal(run.attack_seconds, digits=1)) if run.attack_seconds else ""
    )
    made = " ".join(filter(None, (said, took)))
    parts = [ended(in_turn([made, _("seed {seed}", seed=attack.seed)]))]
    if attack.name != "patch":
        most = decimal(run.change, digits=0)
        parts.append(_("It changed values by at most {most} of 255.", most=most))
    return paragraph(*parts)


def _by(run: Scenario) -> str:
    attack = run.request.attack
    if attack is not None and attack.name == "square":
        return _("without a gradient")
    whose = {"features": "CLIP", "detector": _("the detector")}.get(run.objective, speaker(run))
    return _("through the gradient of {whose}", whose=whose)


PARTS = {  # of the purifier, by the names of its Stages
    "network": N_("Diffusion network"),
    "guided_step": N_("Guided step"),
    "quantisation": N_("Quantisation"),
    "lora_encoder": N_("LoRA encoder"),
}
UNSURE = N_(
    "The model was not sure of its answer on the clean picture, so nothing can be said about what "
    "the attack did to it."
)
SHORT = 14  # characters of an answer that is set in 28 px
NAMES = {"caption": N_("the caption"), "answer": N_("the answer")}
BOTH = N_("the caption and the answer")
# What the attack changed, and what came back; the second of two where purification changed
# something else.
ATTACKED = N_("The attack changed {turned}")
ONLY_CAPTION = (
    N_("The attack did not change the caption"),
    N_("The attack did not change the caption, but purification did"),
)
NEITHER = (
    N_("The attack changed neither the caption nor the answer"),
    N_("The attack changed neither the caption nor the answer, but purification changed {new}"),
)
NOT_BACK = (
    N_("The attack changed {turned}; purification did not bring it back"),
    N_("The attack changed {turned}; purification did not bring it back, but changed {new}"),
)
BACK = (
    N_("The attack changed {turned}; purification brought {returned} back"),
    N_("The attack changed {turned}; purification brought {returned} back, but changed {new}"),
)
BOTH_BACK = N_("The attack changed {turned}; purification brought both back")
NONE_BACK = N_("The attack changed {turned}; purification brought neither back")
PARTLY_BACK = N_("The attack changed {turned}; purification brought {returned} back, not {gone}")
AGREE = {
    "caption": {True: N_("caption as before"), False: N_("caption differs")},
    "answer": {True: N_("answer as before"), False: N_("answer differs")},
}


def waiting() -> str:
    """The card before there is a picture."""
    begin = _(
        "Take one of the three, or add a picture and type a question. Then attack it and see what "
        "purification does."
    )
    return _card(_("No picture yet"), f"<p>{begin}</p>", says=False, empty=True)


def loading(name: str) -> str:
    """The card while the other model is fetched and loaded."""
    first = _("The first time, its weights may have to be fetched, which can take minutes.")
    return _card(_("Loading {name}", name=name), f"<p>{first} {elapsed()}</p>", busy=True)


def working(run: Scenario | None = None, *, total: int = 0, before: int = 0) -> str:
    """The card while the models are at work: which step of how many, and a bar. total: of the
    steps, where there is no run yet. before: how many others go in first."""
    waits = (
        f"{ngettext('Waiting, {n} before you', 'Waiting, {n} before you', before)}. "
        if before
        else ""
    )
    step, title, left = _step(run) if run else (1, _("Looking at the picture"), "")
    total = (run.steps + 3 if run.request.attack else 2) if run else total
    at = f"{_('Step {step} of {steps}.', step=number(step), steps=number(total))} " if total else ""
    bar = (
        f"<progress max='{total}' value='{step - 1}' aria-hidden='true'></progress>"
        if total
        else ""
    )
    return _card(title, f"<p>{waits}{at}{left}{elapsed()}</p>{bar}", busy=True)


def _step(run: Scenario) -> tuple[int, str, str]:
    """What is done now: its number, its name, and how long the attack still takes."""
    if "adversarial" in run.said:
        return (
            (run.steps + 3 if run.request.attack else 2),
            _("Purifying the picture, and asking about it"),
            "",
        )
    if "clean" not in run.said:
        return 1, _("Looking at the picture"), ""
    if run.step >= run.steps:
        return run.steps + 2, _("Asking about the attacked picture"), ""
    return run.step + 2, _("Attacking the picture"), f"{_left(run)} " if run.step else ""


def _left(run: Scenario) -> str:
    a_step = run.attack_seconds / max(1, run.step)
    return _(
        "A step takes {step} s: about {left} s left for them.",
        step=decimal(a_step, digits=1),
        left=decimal(a_step * (run.steps - run.step), digits=0),
    )


def stopped() -> str:
    """The card after the stop button."""
    kept = _("Nothing of this run was kept. Change what you like and start again.")
    return _card(_("Stopped"), f"<p>{kept}</p>")


# What happened -----------------------------------------------------------------------------------


def result(run: Scenario) -> str:
    """What happened, by the captions first; then by the answers, where the model was sure of the
    clean one."""
    clean, moved, purified = (run.said.get(w) for w in ("clean", "adversarial", "purified"))
    assert moved is not None
    assert purified is not None
    if run.unchanged:
        title, more = _nothing_purified(run)
    elif clean is None:
        title, more = _given(moved, purified)
    else:
        title, more = _attacked(clean, moved, purified)
    notes = [run.model.problem, more, _switched_off(run), _transfer(run), _unasked(run)]
    card = _card(title, "".join(f"<p>{escape(note)}</p>" for note in notes if note))
    return f"<div class='cc-kept'>{card}</div>" if run.unchanged else card


def _switched_off(run: Scenario) -> str:
    off = [_(PARTS[name]) for name in run.request.without]
    return _("Switched off: {parts}.", parts=in_turn(off)) if off else ""


def _nothing_purified(run: Scenario) -> tuple[str, str]:
    """A title, and why the picture is as it was; with what the attack changed, if there was one."""
    off = {"network", "guided_step", "quantisation"} <= set(run.request.without)
    missed = _(
        "No attack was found; weak ones are missed. To purify it all the same, tick “{always}”.",
        always=_("Purify even if no attack is found"),
    )
    clean, moved = run.said.get("clean"), run.said["adversarial"]
    if clean is None and not off:
        return _("Taken for clean: the picture comes back unchanged"), missed

    reasons = [] if off else [missed]  # which parts are off is said beside it
    if clean is not None:
        changed = _changed(clean, moved)
        turned = [what for what in changed if changed[what]]
        found = ATTACKED if turned else (ONLY_CAPTION if len(changed) == 1 else NEITHER)[0]
        reasons = [ended(_(found, turned=_all(turned))), *reasons]
        reasons += [_(UNSURE)] if _unsure(clean) else []
    return _("Nothing was purified"), paragraph(*reasons)


def _given(moved: Response, purified: Response) -> tuple[str, str]:
    if purified.same_caption(moved):
        return (
            _("Purified: the caption stayed the same"),
            _("If the picture was attacked, the attack either did not matter or is still there."),
        )
    return (
        _("Purified: the caption is another one now"),
        _(
            "Something fragile decided it before: an attack, or fine detail that purification "
            "smooths away."
        ),
    )


def _attacked(clean: Response, moved: Response, purified: Response) -> tuple[str, str]:
    """A title of what was changed and what came back, and why nothing is said of the answers."""
    changed = _changed(clean, moved)
    back = {what: not differs for what, differs in _changed(clean, purified).items()}
    return _title(changed, back), _(UNSURE) if _unsure(clean) else ""


def _changed(clean: Response, other: Response) -> dict[str, bool]:
    """Whether another picture's caption differs from the clean one's; and its answer, where the
    model was sure of the clean one."""
    changed = {"caption": not other.same_caption(clean)}
    if clean.answer and clean.sure:
        changed["answer"] = not other.same_answer(clean)
    return changed


def _unsure(clean: Response) -> bool:
    return bool(clean.answer) and not clean.sure


def _title(changed: dict[str, bool], back: dict[str, bool]) -> str:
    """changed: whether the attack changed each. back: whether each is the clean picture's after
    purification."""
    turned = [what for what in changed if changed[what]]
    returned, gone = [w for w in turned if back[w]], [w for w in turned if not back[w]]
    new = [what for what in changed if not changed[what] and not back[what]]
    if not turned:
        found = (ONLY_CAPTION if len(changed) == 1 else NEITHER)[bool(new)]
    elif len(gone) == 2:
        found = NONE_BACK
    elif len(returned) == 2:
        found = BOTH_BACK
    elif returned and gone:
        found = PARTLY_BACK
    else:
        found = (BACK if returned else NOT_BACK)[bool(new)]
    return _(found, turned=_all(turned), returned=_all(returned), gone=_all(gone), new=_all(new))


def _all(names: list[str]) -> str:
    return _(BOTH) if len(names) == len(NAMES) else "".join(_(NAMES[name]) for name in names)


def _transfer(run: Scenario) -> str:
    """Whose attack it is, where it is not one on the model that speaks."""
    if (
        run.request.attack is None
        or run.model.key != OTHER
        or run.objective in ("answer", "caption")
    ):
        return ""
    said = {
        "features": N_(
            "The attack was made on CLIP alone: what it does to {name} is carried over."
        ),
        "detector": N_(
            "The attack was made on the detector alone: what it does to {name} is carried over."
        ),
    }
    return _(said[run.objective], name=speaker(run))


def _unasked(run: Scenario) -> str:
    if run.model.asks or not run.request.question:
        return ""
    return _("{name} only captions, so the question was not asked.", name=speaker(run))


# What the model says ------------------------------------------------------------------------------


def said(run: Scenario, which: Which) -> str:
    """What the model says of one picture: in large type its answer, or its caption where there is
    no question; with a sign whether that is what it says of the clean one, and how sure it is."""
    now, clean = run.said.get(which), run.said.get("clean")
    if now is None:
        return ""
    compared = clean if which != "clean" else None
    caption = _signed(now.caption, "caption", now.same_caption(compared) if compared else None)
    told = f"<p class='cc-told cc-long'>{caption}</p>"
    if now.answer:
        sure = "" if now.confidence is None else f" <small>{_confidence(now.confidence)}</small>"
        long = " cc-long" if len(spoken(now)) > SHORT else ""
        answer = _signed(spoken(now), "answer", _as_before(now, compared))
        told = f"<p class='cc-told{long}'>{answer}{sure}</p><p>{caption}</p>"
    return f"<div class='cc-model-answer' id='purify-{which}-said'>{told}</div>"


def _as_before(now: Response, clean: Response | None) -> bool | None:
    """Whether an answer is the clean picture's; None where that cannot be said."""
    return now.same_answer(clean) if clean and clean.sure else None


def _signed(text: str, what: str, same: bool | None) -> str:
    """The model's words, in English, after a sign whether they are as before; None where that
    cannot be said."""
    words = f"<bdi lang='en'>{escape(text)}</bdi>"
    if same is None:
        return words
    icon, tone = ("\N{CHECK MARK}", "cc-agrees") if same else ("\N{BALLOT X}", "cc-differs")
    aloud = f"<span class='cc-hidden'>{bracketed('', _(AGREE[what][same]))}</span>"
    return f"<span class='{tone}' aria-hidden='true'>{icon}</span> {words}{aloud}"


def spoken(words: Response) -> str:
    """The model's answer as it gives it, in English, or that it is not sure, with its guess."""
    return (
        words.spoken if words.sure else _("I am not sure (perhaps: {answer})", answer=words.answer)
    )


def _confidence(share: float) -> str:
    return _("{share} model's confidence", share=_percent(share))


def _percent(share: float) -> str:
    """Never a certainty that no model has."""
    if round(100 * share) == 0:
        return _("under {least}", least=percent(0.01))
    return _("over {most}", most=percent(0.99)) if round(100 * share) == 100 else percent(share)


# More questions -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A question to the pictures that are there, and what is answered of each."""

    question: str
    said: dict[Which, Response]


def question(text: str) -> str:
    """The question that was asked, as a line; "" where there was none."""
    asked = _("Asked: {question}", question=f"<bdi lang='en'>{escape(text)}</bdi>")
    return f"<p class='cc-question'>{asked}</p>" if text else ""


def history(asked: Sequence[FollowUp], failed: str = "") -> str:
    """Further questions, the newest on top, with the answer about each picture under its frame.

    failed: why the last one was not answered, as HTML.
    """
    if not asked:
        return failed
    items = "".join(f"<dt>{question(one.question)}</dt>{_answered(one)}" for one in reversed(asked))
    names = _names(asked[-1])
    newest = ". ".join(f"{names[which]}: {spoken(said)}" for which, said in asked[-1].said.items())
    columns = f"cc-asked cc-of-{len(names)}"
    return f"{failed}<dl class='{columns}' data-say='{escape(newest)}'>{items}</dl>"


def _names(one: FollowUp) -> dict[Which, str]:
    """What each picture is called that was asked about."""
    first: Which = "clean" if "clean" in one.said else "adversarial"
    names: dict[Which, str] = {"adversarial": _("attacked"), "purified": _("purified")}
    names[first] = _("as given")
    return {which: names[which] for which in one.said}


def _answered(one: FollowUp) -> str:
    """The answers, each after its picture's name, which the frame above shows to the eye."""
    clean, answers = one.said.get("clean"), ""
    for which, name in _names(one).items():
        same = _as_before(one.said[which], clean if which != "clean" else None)
        answer = _signed(spoken(one.said[which]), "answer", same)
        answers += f"<dd><span class='cc-hidden'>{name}: </span>{answer}</dd>"
    return answers


def _card(
    title: str, body: str, *, busy: bool = False, says: bool = True, empty: bool = False
) -> str:
    """says: whether a screen reader speaks the title when the card is there (assets/upload.js)."""
    style = f"cc-card cc-waiting{' cc-busy' if busy else ''}{' cc-empty' if empty else ''}"
    spoken = f" data-say='{escape(title)}'" if says else ""
    return f"<div class='{style}'{spoken}><h2>{escape(title)}</h2>{body}</div>"


__all__ = [
    "FollowUp",
    "failure",
    "history",
    "loading",
    "notes",
    "result",
    "said",
    "stopped",
    "waiting",
    "working",
]
