"""The Purify tab in words, as HTML. Pure functions; everything that is not written here is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from causalclip.languages import N_, _, any_of, decimal, ngettext, number, quoted
from causalclip.report.card import elapsed, failure
from purifier.names import OTHER
from ui import charts
from ui.purify.facts import speaker
from ui.purify.story import drawing

if TYPE_CHECKING:
    from purifier.exhibit import Exhibit, Said, Which

STAGES: tuple[tuple[Which, str], ...] = (
    ("clean", N_("Before")),
    ("adversarial", N_("After the attack")),
    ("purified", N_("After purification")),
)
GIVEN = N_("As given")
UNSURE = N_(
    "The model was not sure of its answer on the clean picture, so nothing can be said about what the attack did to it."
)
NAMES = {"caption": N_("the caption"), "answer": N_("the answer")}
# What the attack changed, and what came back; the second of two where purification changed something else.
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
    "caption": {
        "as before": N_("caption as before"),
        "means the same": N_("caption means the same"),
        "differs": N_("caption differs"),
    },
    "answer": {"as before": N_("answer as before"), "differs": N_("answer differs")},
}
LIKELY = N_("How likely the model finds {what}")
LIKELY_A_WORD = N_("How likely the model finds {what}, a word")


def waiting() -> str:
    """The card before there is a picture; what the tab is for stands in the page's head."""
    begin = _(
        "Begin with one of the three, or add a picture and type a question. Then attack it here, and see whether "
        "purification brings the answer back."
    )
    return _card(_("No picture yet"), f"{drawing()}<p>{begin}</p>", says=False)


def loading(name: str) -> str:
    """The card while the other model is fetched and loaded."""
    first = _("The first time, its weights may have to be fetched, which can take minutes.")
    return _card(_("Loading {name}", name=name), f"<p>{first} {elapsed()}</p>", busy=True)


def working(shown: Exhibit | None, *, before: int = 0) -> str:
    """The card while the models are at work: which part of how many, and a bar. before: how many others go in first."""
    waits = f"{ngettext('Waiting, {n} before you', 'Waiting, {n} before you', before)}. " if before else ""
    if shown is None or not shown.said:
        body = f"<p>{waits}{_('The first picture takes longer: the models are loaded.')} {elapsed()}</p>"
        return _card(_("Looking at the picture"), body, busy=True)
    parts = 4 if shown.wish.attack else 2
    part, title, done = _part(shown)
    step = _("Step {step} of {steps}.", step=number(shown.step), steps=number(shown.steps))
    left = f"{step} {_left(shown)} " if 0 < shown.step < shown.steps and part == 2 else ""
    at = f"{part - 1 + done:.2f}"
    named = _("Part {part} of {parts}", part=part, parts=parts)
    bar = f"<progress max='{parts}' value='{at}' aria-hidden='true'></progress>"
    return _card(title, f"<p>{waits}{named}. {left}{elapsed()}</p>{bar}", busy=True)


def _part(shown: Exhibit) -> tuple[int, str, float]:
    """What is done now: the number of the part, its name, and how much of it is done, in [0, 1]."""
    if "adversarial" in shown.said:
        return (4 if shown.wish.attack else 2), _("Purifying the picture, and asking about it"), 0.0
    if shown.steps and shown.step >= shown.steps:
        return 3, _("Asking about the attacked picture"), 0.0
    return 2, _("Attacking the picture"), shown.step / max(1, shown.steps)


def _left(shown: Exhibit) -> str:
    a_step = shown.attack_seconds / max(1, shown.step)
    return _(
        "A step takes {step} s: about {left} s left for them.",
        step=decimal(a_step, digits=1),
        left=decimal(a_step * (shown.steps - shown.step), digits=0),
    )


def stopped() -> str:
    """The card after the stop button."""
    kept = _("Nothing of this run was kept. Change what you like and start again.")
    return _card(_("Stopped"), f"<p>{kept}</p>")


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
            _("Taken for clean: the picture comes back unchanged"),
            _(
                "The purifier found no attack. It misses some weak ones, some that were saved as a JPEG afterwards, "
                "and those that are made against it. To purify the picture all the same, tick “{always}” under "
                "“{purifier}”.",
                always=_("Purify even if no attack is found"),
                purifier=_("The purifier"),
            ),
        )
    if purified.same_caption(moved):
        return (
            _("Purified: the caption stayed the same"),
            _("If the picture was attacked, the attack either did not matter or is still there."),
        )
    return (
        _("Purified: the caption is another one now"),
        _("Something fragile decided it before: an attack, or fine detail that purification smooths away."),
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
    return any_of([_(NAMES[name]) for name in names], style="standard") if names else ""


def _answers(clean: Said, moved: Said, purified: Said) -> str:
    if not clean.answer:
        return ""
    if not clean.sure:
        return _(UNSURE)
    said = {"clean": _quoted(clean), "moved": _quoted(moved), "purified": _quoted(purified)}
    if moved.same_answer(clean):
        return _("The answer stayed {clean} under the attack, and is {purified} after purification.", **said)
    return _("The answer was {clean}, {moved} under the attack, and {purified} after purification.", **said)


def _quoted(said: Said) -> str:
    words = quoted(said.answer)
    return words if said.sure else _("unsure ({words})", words=words)


def _transfer(shown: Exhibit) -> str:
    """Whose attack it is, where it is not one on the model that speaks."""
    if shown.wish.attack is None or shown.voice.key != OTHER or shown.objective in ("answer", "caption"):
        return ""
    said = {
        "features": N_("The attack was made on CLIP alone: what it does to {name} is carried over."),
        "detector": N_("The attack was made on the detector alone: what it does to {name} is carried over."),
    }
    return _(said[shown.objective], name=speaker(shown))


def _unasked(shown: Exhibit) -> str:
    if shown.voice.asks or not shown.wish.question.strip():
        return ""
    return _("{name} only captions, so the question was not asked.", name=speaker(shown))


# What the model says ------------------------------------------------------------------------------


def answers(shown: Exhibit) -> str:
    """What the model says of each picture, whether that agrees with the clean one, and the chart beneath."""
    attacked = "clean" in shown.said
    names = [(which, _(name if attacked or which != "adversarial" else GIVEN)) for which, name in STAGES]
    parts = "".join(said(shown, which, name) for which, name in names)
    title = _("What {name} says", name=speaker(shown))
    return f"<h3>{escape(title, quote=False)}</h3>{parts}{_likelihoods(shown)}"


def said(shown: Exhibit, which: Which, name: str) -> str:
    """What the model says of one picture, and whether it agrees with the clean one."""
    words = shown.said.get(which)
    if words is None:
        return ""
    answer = f"<dd class='cc-told'>{escape(spoken(words))}</dd>" if words.spoken else ""
    lines = f"<dt>{name}</dt><dd lang='en'><bdi>{escape(words.caption)}</bdi></dd>{answer}"
    return f"<dl class='cc-said' id='purify-{which}-said'>{lines}{_agreement(shown, which)}</dl>"


def spoken(words: Said) -> str:
    """The model's answer as it gives it, in English, or that it is not sure, with its guess."""
    return words.spoken if words.sure else _("I am not sure (perhaps: {answer})", answer=words.answer)


def _agreement(shown: Exhibit, which: Which) -> str:
    clean = shown.said.get("clean")
    if clean is None or which == "clean":
        return ""
    now = shown.said[which]
    parts = [_compared("caption", same=now.same_caption(clean), near=now.alike)]
    if clean.answer and clean.sure:
        parts.append(_compared("answer", same=now.same_answer(clean)))
    return f"<dd class='cc-agreement'>{' '.join(parts)}</dd>"


def _compared(what: str, *, same: bool, near: float | None = None) -> str:
    icon, tone = ("=", "cc-agrees") if same else ("\N{NOT EQUAL TO}", "cc-differs")
    how = "means the same" if same and near is not None else "as before" if same else "differs"
    near_by = "" if near is None else f" ({_('similarity {n}', n=decimal(near, digits=2))})"
    return f"<span class='{tone}'><span aria-hidden='true'>{icon}</span> {_(AGREE[what][how])}{near_by}</span>"


def _likelihoods(shown: Exhibit) -> str:
    """A chart of how likely the clean picture's words are along the way."""
    clean = shown.said.get("clean")
    if clean is None:
        return ""
    captioned = clean.told == clean.caption
    what = _("the first caption") if captioned else quoted(escape(clean.told))
    several = len(clean.told.split()) > 1
    caption = _(LIKELY_A_WORD if several else LIKELY, what=what)
    values = [(_(name), shown.said[which].likelihood) for which, name in STAGES if which in shown.said]
    rows = [[name, charts.bar(value), _percent(value)] for name, value in values if value is not None]
    return charts.table(caption, (_("Picture"), _("Likelihood"), _("Likelihood")), rows)


def _percent(share: float) -> str:
    """Never a certainty that no model has."""
    if round(100 * share) == 0:
        return _("under {least}", least="1 %")
    return _("over {most}", most="99 %") if round(100 * share) == 100 else f"{number(round(100 * share))} %"


# More questions -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A question to the pictures that are there, and what is answered of each."""

    question: str
    said: dict[Which, Said]


def history(asked: Sequence[Asked], failed: str = "") -> str:
    """All questions about the picture, the newest on top; failed: why the last one was not answered, as HTML."""
    items = "".join(f"<dt>{escape(one.question)}</dt>{_answered(one)}" for one in reversed(asked))
    if not items:
        return failed
    newest = ". ".join(f"{name}: {answer}" for name, answer in _told(asked[-1]))  # is spoken
    list_ = f"<dl class='cc-said' data-say='{escape(newest)}'>{items}</dl>"
    return f"{failed}<h3>{_('Asked about this picture')}</h3>{list_}"


def _told(one: Asked) -> list[tuple[str, str]]:
    """Of which picture, and what is answered of it."""
    given = "adversarial" if "clean" not in one.said else "clean"
    names = {"adversarial": _("attacked"), "purified": _("purified")} | {given: _("as given")}
    return [(names[which], spoken(said)) for which, said in one.said.items()]


def _answered(one: Asked) -> str:
    return "".join(f"<dd>{name}: <b>{escape(answer)}</b></dd>" for name, answer in _told(one))


def _card(title: str, body: str, *, busy: bool = False, says: bool = True) -> str:
    """says: whether a screen reader speaks the title when the card is there (assets/upload.js)."""
    style = "cc-card cc-waiting cc-busy" if busy else "cc-card cc-waiting"
    spoken = f" data-say='{escape(title)}'" if says else ""
    return f"<div class='{style}'{spoken}><h2>{escape(title)}</h2>{body}</div>"


__all__ = ["Asked", "answers", "failure", "history", "loading", "result", "stopped", "waiting", "working"]
