"""The Purify tab in words, as HTML. Pure functions; everything that is not written here is escaped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from causalclip.languages import ngettext
from causalclip.places import shipped_folder
from causalclip.report.card import elapsed, failure
from purifier.names import EMBEDDED, OTHER
from ui import charts
from ui.purify.story import PURPOSE, drawing

if TYPE_CHECKING:
    from purifier.exhibit import Exhibit, Said, Which

NOTE = (
    "A purified picture is coarser: the faint detail that an attack lives in is thrown away. Where an attack was "
    "found, a faint pattern is added that steers the model back. So fine detail proves nothing, and a purified photo "
    "may read as generated to the detector. Judge the file that you were given, not the purified one. "
    "The attacks here do not know the purifier; one that does gets past it (the README has the numbers). "
    "Answers are compared word for word."
)
STAGES: tuple[tuple[Which, str], ...] = (
    ("clean", "Before"),
    ("adversarial", "After the attack"),
    ("purified", "After purification"),
)
GIVEN = "As given"
SMALL = "The model is small and often wrong about clean pictures too: compare its answers, do not trust them."
UNSURE = (
    "The model was not sure of its answer on the clean picture, so nothing can be said about what the attack did to it."
)


def waiting() -> str:
    """The card before there is a picture."""
    return _card(
        "No picture yet",
        f"<p>{PURPOSE}</p>{drawing()}<p>Begin with one of the three, or add a picture and type a question. Then attack "
        "it here, and see whether purification brings the answer back.</p>",
    )


def loading(name: str) -> str:
    """The card while the other model is fetched and loaded."""
    return _card(
        f"Loading {name}",
        f"<p>The first time, its weights may have to be fetched, which can take minutes. {elapsed()}</p>",
        busy=True,
    )


def working(shown: Exhibit | None, *, before: int = 0) -> str:
    """The card while the models are at work: which part of how many, and a bar. before: how many others go in first."""
    waits = f"{ngettext('Waiting, {n} before you', 'Waiting, {n} before you', before)}. " if before else ""
    if shown is None or not shown.said:
        body = f"<p>{waits}The first picture takes longer: the models are loaded. {elapsed()}</p>"
        return _card("Looking at the picture", body, busy=True)
    parts = 4 if shown.wish.attack else 2
    part, title, done = _part(shown)
    left = f"Step {shown.step} of {shown.steps}. {_left(shown)} " if 0 < shown.step < shown.steps and part == 2 else ""
    at = f"{part - 1 + done:.2f}"
    bar = f"<progress max='{parts}' value='{at}' aria-label='Part {part} of {parts}'></progress>"
    return _card(title, f"<p>{waits}Part {part} of {parts}. {left}{elapsed()}</p>{bar}", busy=True)


def _part(shown: Exhibit) -> tuple[int, str, float]:
    """What is done now: the number of the part, its name, and how much of it is done, in [0, 1]."""
    if "adversarial" in shown.said:
        return (4 if shown.wish.attack else 2), "Purifying the picture, and asking about it", 0.0
    if shown.steps and shown.step >= shown.steps:
        return 3, "Asking about the attacked picture", 0.0
    return 2, "Attacking the picture", shown.step / max(1, shown.steps)


def _left(shown: Exhibit) -> str:
    a_step = shown.attack_seconds / max(1, shown.step)
    return f"A step takes {a_step:.1f} s: about {a_step * (shown.steps - shown.step):.0f} s left for them."


def stopped() -> str:
    """The card after the stop button."""
    return _card("Stopped", "<p>Nothing of this run was kept. Change what you like and start again.</p>")


# What happened -----------------------------------------------------------------------------------


def result(shown: Exhibit) -> str:
    """What happened, by the captions first; then by the answers, where the model was sure of the clean one."""
    clean, moved, purified = (shown.said.get(w) for w in ("clean", "adversarial", "purified"))
    assert moved is not None
    assert purified is not None
    if clean is None:
        title, more = _given(moved, purified, unchanged=shown.unchanged)
    else:
        title, more = _attacked(clean, moved, purified)
    notes = [shown.voice.problem, more, _transfer(shown), _unasked(shown)]
    return _card(title, "".join(f"<p>{escape(note)}</p>" for note in notes if note))


def _given(moved: Said, purified: Said, *, unchanged: bool) -> tuple[str, str]:
    if unchanged:
        return (
            "Taken for clean: the picture comes back unchanged",
            "The purifier found no attack. It misses some weak ones, some that were saved as a JPEG afterwards, and "
            "those that are made against it. To purify the picture all the same, tick "
            "\u201cPurify even if no attack is found\u201d under \u201cThe purifier\u201d.",
        )
    if purified.same_caption(moved):
        return (
            "Purified: the caption stayed the same",
            "If the picture was attacked, the attack either did not matter or is still there.",
        )
    return (
        "Purified: the caption is another one now",
        "Something fragile decided it before: an attack, or fine detail that purification smooths away.",
    )


def _attacked(clean: Said, moved: Said, purified: Said) -> tuple[str, str]:
    """A title of what was changed and what came back, and the answers in a sentence."""
    changed = {"caption": not moved.same_caption(clean)}
    back = {"caption": purified.same_caption(clean)}
    if clean.answer and clean.sure:
        changed["answer"] = not moved.same_answer(clean)
        back["answer"] = purified.same_answer(clean)
    return _title(changed, back), _answers(clean, moved, purified)


def _title(changed: dict[str, bool], back: dict[str, bool]) -> str:
    """changed: whether the attack changed each. back: whether each is the clean picture's after purification."""
    turned = [what for what in changed if changed[what]]
    returned, gone = [w for w in turned if back[w]], [w for w in turned if not back[w]]
    new = [what for what in changed if not changed[what] and not back[what]]
    if not turned and len(changed) == 1:
        return f"The attack did not change the caption{', but purification did' if new else ''}"
    if not turned:
        by_purifier = f", but purification changed {_all(new)}" if new else ""
        return f"The attack changed neither the caption nor the answer{by_purifier}"
    if not returned:
        found = "brought neither back" if len(gone) == 2 else "did not bring it back"
    else:
        found = f"brought {_all(returned)} back{f', not {_all(gone)}' if gone else ''}"
    return f"The attack changed {_all(turned)}; purification {found}{f', but changed {_all(new)}' if new else ''}"


def _all(names: list[str]) -> str:
    return " and ".join(f"the {name}" for name in names)


def _answers(clean: Said, moved: Said, purified: Said) -> str:
    if not clean.answer:
        return ""
    if not clean.sure:
        return UNSURE
    if moved.same_answer(clean):
        return f"The answer stayed {_quoted(clean)} under the attack, and is {_quoted(purified)} after purification."
    said = f"{_quoted(moved)} under the attack, and {_quoted(purified)} after purification"
    return f"The answer was {_quoted(clean)}, {said}."


def _quoted(said: Said) -> str:
    words = f"\u201c{said.answer}\u201d"
    return words if said.sure else f"unsure ({words})"


def _transfer(shown: Exhibit) -> str:
    """Whose attack it is, where it is not one on the model that speaks."""
    if shown.wish.attack is None or shown.voice.key != OTHER or shown.objective in ("answer", "caption"):
        return ""
    made_on = {"features": "CLIP", "detector": "the detector"}[shown.objective]
    return f"The attack was made on {made_on} alone: what it does to {shown.voice.name} is carried over."


def _unasked(shown: Exhibit) -> str:
    if shown.voice.asks or not shown.wish.question.strip():
        return ""
    return f"{shown.voice.name} only captions, so the question was not asked."


# What the model says ------------------------------------------------------------------------------


def answers(shown: Exhibit) -> str:
    """What the model says of each picture, whether that agrees with the clean one, and the chart beneath."""
    attacked = "clean" in shown.said
    names = [(which, name if attacked or which != "adversarial" else GIVEN) for which, name in STAGES]
    parts = "".join(said(shown, which, name) for which, name in names)
    return f"<h3>What {escape(shown.voice.name)} says</h3>{parts}{_likelihoods(shown)}"


def said(shown: Exhibit, which: Which, name: str) -> str:
    """What the model says of one picture, and whether it agrees with the clean one."""
    words = shown.said.get(which)
    if words is None:
        return ""
    answer = f"<dd class='cc-told'>{escape(words.spoken)}</dd>" if words.spoken else ""
    lines = f"<dt>{name}</dt><dd>{escape(words.caption)}</dd>{answer}"
    return f"<dl class='cc-said' id='purify-{which}-said'>{lines}{_agreement(shown, which)}</dl>"


def _agreement(shown: Exhibit, which: Which) -> str:
    clean = shown.said.get("clean")
    if clean is None or which == "clean":
        return ""
    now = shown.said[which]
    near = "" if now.alike is None else f" ({now.alike:.2f})"
    parts = [("caption", now.same_caption(clean), near)]
    if clean.answer and clean.sure:
        parts.append(("answer", now.same_answer(clean), ""))
    return f"<dd class='cc-agreement'>{' '.join(_compared(*part) for part in parts)}</dd>"


def _compared(what: str, same: bool, near: str) -> str:
    icon, tone, verb = ("=", "cc-agrees", "as before") if same else ("\N{NOT EQUAL TO}", "cc-differs", "differs")
    verb = "means the same" if same and near else verb
    return f"<span class='{tone}'><span aria-hidden='true'>{icon}</span> {what} {verb}{near}</span>"


def _likelihoods(shown: Exhibit) -> str:
    """A chart of how likely the clean picture's words are along the way."""
    clean = shown.said.get("clean")
    if clean is None:
        return ""
    captioned = clean.told == clean.caption
    what = "the first caption" if captioned else f"\u201c{escape(clean.told)}\u201d"
    a_word = ", a word" if len(clean.told.split()) > 1 else ""
    values = [(name, shown.said[which].likelihood) for which, name in STAGES if which in shown.said]
    rows = [[name, charts.bar(value), f"{100 * value:.0f} %"] for name, value in values if value is not None]
    return charts.table(f"How likely the model finds {what}{a_word}", ("", "", "Likelihood"), rows)


# Besides ------------------------------------------------------------------------------------------


def notes(shown: Exhibit) -> str:
    """What was done, and what to make of it."""
    name = shown.voice.name
    trust = SMALL if shown.voice.key == EMBEDDED else f"{name} can be wrong about clean pictures, too: compare."
    meant = "" if all(said.alike is None for said in shown.said.values()) else f" {_meant()}"
    return f"<p class='cc-small'>{escape(_facts(shown))}</p><p class='cc-small'>{escape(trust)} {NOTE}{meant}</p>"


def _meant() -> str:
    from purifier.meaning import MEASURE  # brings PyTorch

    found = json.loads((shipped_folder("benchmarks") / "meaning.json").read_text(encoding="utf-8"))
    return (
        f"Captions are compared by meaning, coarsely: {MEASURE}. Two people's captions of one photograph reach that in "
        f"{100 * found['same']:.0f} of 100 cases, captions of two photographs in {1000 * found['other']:.0f} of 1,000."
    )


# More questions -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to the pictures that are there, and what is answered of each."""

    question: str
    said: dict[Which, Said]


def history(asked: Sequence[Asked], failed: str = "") -> str:
    """All questions about the picture, the newest on top; failed: why the last one was not answered, as HTML."""
    items = "".join(f"<dt>{escape(one.question)}</dt>{_told(one)}" for one in reversed(asked))
    return failed + (f"<h3>Asked about this picture</h3><dl class='cc-said'>{items}</dl>" if items else "")


def _told(one: Asked) -> str:
    given = "adversarial" if "clean" not in one.said else "clean"
    names = {given: "as given", "adversarial": "attacked", "purified": "purified"} | {given: "as given"}
    return "".join(f"<dd>{names[which]}: <b>{escape(said.spoken)}</b></dd>" for which, said in one.said.items())


def _facts(shown: Exhibit) -> str:
    steps = shown.wish.steps
    how = ", whether an attack was found or not" if shown.wish.always else ""
    took = f"{shown.seconds:.2f} s, " if shown.seconds else ""
    purified = f"Purified in {took}{steps} step{'s' if steps > 1 else ''}{how}."
    parts = [_attack_facts(shown), purified]
    if shown.voice.key == EMBEDDED:
        parts.append(_eye(shown))
    parts.append("Changes are drawn 10 times amplified; mid-grey is none.")
    return " ".join(part for part in parts if part)


def _eye(shown: Exhibit) -> str:
    if shown.wish.eye and shown.unchanged:
        return "The adapter for purified pictures was not used, as the picture came back unchanged."
    how = "through" if shown.wish.eye else "without"
    return f"The model looked at the purified picture {how} the adapter for purified pictures."


def _attack_facts(shown: Exhibit) -> str:
    attack = shown.wish.attack
    if attack is None:
        return ""
    by = "without a gradient" if attack.name == "square" else f"through the gradient of {_whose(shown)}"
    steps = f"{shown.step} step{'s' if shown.step != 1 else ''}"
    took = f" in {shown.attack_seconds:.1f} s" if shown.attack_seconds else ""
    parts = [f"The attack made {steps} {by}{took}, seed {attack.seed}."]
    if attack.name != "patch":
        parts.append(f"It changed values by at most {shown.change:.0f} of 255.")
    if shown.cut:
        parts.append(
            f"{attack.steps} steps were wished. This machine makes {shown.steps} in {shown.longest:.0f} seconds, by "
            "what was measured before its first attack, so no more were begun."
        )
    return " ".join(parts)


def _whose(shown: Exhibit) -> str:
    return {"features": "CLIP", "detector": "the detector"}.get(shown.objective, shown.voice.name)


def _card(title: str, body: str, *, busy: bool = False) -> str:
    style = "cc-card cc-waiting cc-busy" if busy else "cc-card cc-waiting"
    return f"<div class='{style}' role='status' aria-live='polite'><h2>{escape(title)}</h2>{body}</div>"


__all__ = ["Asked", "answers", "failure", "history", "loading", "notes", "result", "stopped", "waiting", "working"]
