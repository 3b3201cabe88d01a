"""The Purify tab in words and one drawing, as HTML. Pure functions; everything that is not written here is escaped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from causalclip.languages import N_, _, any_of, decimal, ended, in_turn, ngettext, number, quoted
from causalclip.paths import shipped_folder
from causalclip.report.card import elapsed, failure
from purifier.names import EMBEDDED, OTHER
from ui import charts

if TYPE_CHECKING:
    from purifier.demo import DemoResponse, DemoRun, Which

PURPOSE = N_(
    "Somebody adds a change that nobody sees, so that a vision-language model describes another picture. Here you can "
    "see it, remove it, and measure what that costs. It is a demonstration with a small model, and no way to judge "
    "whether a picture was generated."
)
_CAT = (
    "<path d='M12 42c0-14 6-20 16-20s16 6 16 20z'/><path d='M18 26l-3-12 9 6zM38 26l3-12-9 6z'/>"
    "<circle cx='28' cy='22' r='10'/>"
)
_NOISE = "".join(f"<rect x='{6 + (i * 17) % 46}' y='{6 + (i * 29) % 38}' width='3' height='3'/>" for i in range(46))
_HIDDEN = (
    "<g opacity='0.45'>"
    + "".join(f"<circle cx='{6 + (i * 17) % 46}' cy='{6 + (i * 29) % 38}' r='0.9'/>" for i in range(46))
    + "</g>"
)
_STEPS = (
    (_CAT, N_("A picture"), N_("\u201ca cat\u201d")),
    (_NOISE, N_("+ a change nobody sees, here 10 times as strong"), ""),
    (_CAT + _HIDDEN, N_("looks the same; the model says"), N_("\u201ca dog\u201d")),
    (_CAT, N_("purified, a little coarser; the model says"), N_("\u201ca cat\u201d")),
)


def drawing() -> str:
    """The four steps in a row, as HTML; on a phone two by two."""
    items = "".join(
        f"<li><svg viewBox='0 0 56 48' aria-hidden='true'><rect x='1' y='1' width='54' height='46' rx='3' "
        f"class='cc-frame'/>{figure}</svg><span>{escape(_(words), quote=False)}"
        f"{f' <b>{_(said)}</b>' if said else ''}</span></li>"
        for figure, words, said in _STEPS
    )
    return f"<ol class='cc-story'>{items}</ol>"


NOTE = N_(
    "A purified picture is coarser: the faint detail that an attack lives in is thrown away. Where an attack was "
    "found, a faint pattern is added that steers the model back. So fine detail proves nothing, and a purified photo "
    "may read as generated to the detector. Judge the file that you were given, not the purified one. "
    "The attacks here do not know the purifier; one that does gets past it (docs/measured.md has the numbers). "
    "Answers are compared word for word."
)
SMALL = N_("The model is small and often wrong about clean pictures too: compare its answers, do not trust them.")
OTHERS = N_("{name} can be wrong about clean pictures, too: compare.")


def speaker(run: DemoRun) -> str:
    """Of who speaks."""
    return _(run.model.name)


def notes(run: DemoRun) -> str:
    """What was done, and what to make of it."""
    trust = _(SMALL) if run.model.key == EMBEDDED else _(OTHERS, name=speaker(run))
    meant = "" if all(said.alike is None for said in run.said.values()) else f" {_likeness_words()}"
    note = f"{escape(trust, quote=False)} {_(NOTE)}{meant}"
    return f"<p class='cc-small'>{escape(_facts(run), quote=False)}</p><p class='cc-small'>{note}</p>"


def _likeness_words() -> str:
    from purifier.demo import ALIKE

    found = json.loads((shipped_folder("benchmarks") / "meaning.json").read_text(encoding="utf-8"))
    return _(
        "Captions are compared by meaning, coarsely: the cosine of their mean word vectors, {alike} or more counts as "
        "the same. Two people's captions of one photograph reach that in {same} of 100 cases, captions of two "
        "photographs in {other} of 1,000.",
        alike=decimal(ALIKE, digits=2),
        same=number(round(100 * found["same"])),
        other=number(round(1000 * found["other"])),
    )


def _facts(run: DemoRun) -> str:
    parts = [_attack_facts(run), _purified_facts(run)]
    if run.model.key == EMBEDDED:
        parts.append(_eye(run))
    parts.append(_("Changes are drawn 10 times amplified; mid-grey is none."))
    return " ".join(part for part in parts if part)


def _purified_facts(run: DemoRun) -> str:
    took = decimal(run.seconds, digits=2)
    said = (
        ngettext("Purified in {took} s, {n} step.", "Purified in {took} s, {n} steps.", run.request.steps, took=took)
        if run.seconds
        else ngettext("Purified in {n} step.", "Purified in {n} steps.", run.request.steps)
    )
    return f"{said} {_('That was done whether an attack was found or not.')}" if run.request.always else said


def _eye(run: DemoRun) -> str:
    if run.request.eye and run.unchanged:
        return _("The adapter for purified pictures was not used, as the picture came back unchanged.")
    if run.request.eye:
        return _("The model looked at the purified picture through the adapter for purified pictures.")
    return _("The model looked at the purified picture without the adapter for purified pictures.")


def _attack_facts(run: DemoRun) -> str:
    attack = run.request.attack
    if attack is None:
        return ""
    said = ngettext("The attack made {n} step {by}", "The attack made {n} steps {by}", run.step, by=_by(run))
    took = _("in {took} s", took=decimal(run.attack_seconds, digits=1)) if run.attack_seconds else ""
    made = " ".join(filter(None, (said, took)))
    parts = [ended(in_turn([made, _("seed {seed}", seed=attack.seed)]))]
    if attack.name != "patch":
        most = decimal(run.change, digits=0)
        parts.append(_("It changed values by at most {most} of 255.", most=most))
    return " ".join(parts)


def _by(run: DemoRun) -> str:
    attack = run.request.attack
    if attack is not None and attack.name == "square":
        return _("without a gradient")
    whose = {"features": "CLIP", "detector": _("the detector")}.get(run.objective, speaker(run))
    return _("through the gradient of {whose}", whose=whose)


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


def working(run: DemoRun | None, *, before: int = 0) -> str:
    """The card while the models are at work: which part of how many, and a bar. before: how many others go in first."""
    waits = f"{ngettext('Waiting, {n} before you', 'Waiting, {n} before you', before)}. " if before else ""
    if run is None or not run.said:
        body = f"<p>{waits}{_('The first picture takes longer: the models are loaded.')} {elapsed()}</p>"
        return _card(_("Looking at the picture"), body, busy=True)
    parts = 4 if run.request.attack else 2
    part, title, done = _part(run)
    step = _("Step {step} of {steps}.", step=number(run.step), steps=number(run.steps))
    left = f"{step} {_left(run)} " if 0 < run.step < run.steps and part == 2 else ""
    at = f"{part - 1 + done:.2f}"
    named = _("Part {part} of {parts}", part=part, parts=parts)
    bar = f"<progress max='{parts}' value='{at}' aria-hidden='true'></progress>"
    return _card(title, f"<p>{waits}{named}. {left}{elapsed()}</p>{bar}", busy=True)


def _part(run: DemoRun) -> tuple[int, str, float]:
    """What is done now: the number of the part, its name, and how much of it is done, in [0, 1]."""
    if "adversarial" in run.said:
        return (4 if run.request.attack else 2), _("Purifying the picture, and asking about it"), 0.0
    if run.steps and run.step >= run.steps:
        return 3, _("Asking about the attacked picture"), 0.0
    return 2, _("Attacking the picture"), run.step / max(1, run.steps)


def _left(run: DemoRun) -> str:
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


def result(run: DemoRun) -> str:
    """What happened, by the captions first; then by the answers, where the model was sure of the clean one."""
    clean, moved, purified = (run.said.get(w) for w in ("clean", "adversarial", "purified"))
    assert moved is not None
    assert purified is not None
    if clean is None:
        title, more = _given(moved, purified, unchanged=run.unchanged)
    else:
        title, more = _attacked(clean, moved, purified)
    notes = [run.model.problem, more, _transfer(run), _unasked(run)]
    return _card(title, "".join(f"<p>{escape(note)}</p>" for note in notes if note))


def _given(moved: DemoResponse, purified: DemoResponse, *, unchanged: bool) -> tuple[str, str]:
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


def _attacked(clean: DemoResponse, moved: DemoResponse, purified: DemoResponse) -> tuple[str, str]:
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


def _answers(clean: DemoResponse, moved: DemoResponse, purified: DemoResponse) -> str:
    if not clean.answer:
        return ""
    if not clean.sure:
        return _(UNSURE)
    said = {"clean": _quoted(clean), "moved": _quoted(moved), "purified": _quoted(purified)}
    if moved.same_answer(clean):
        return _("The answer stayed {clean} under the attack, and is {purified} after purification.", **said)
    return _("The answer was {clean}, {moved} under the attack, and {purified} after purification.", **said)


def _quoted(said: DemoResponse) -> str:
    words = quoted(said.answer)
    return words if said.sure else _("unsure ({words})", words=words)


def _transfer(run: DemoRun) -> str:
    """Whose attack it is, where it is not one on the model that speaks."""
    if run.request.attack is None or run.model.key != OTHER or run.objective in ("answer", "caption"):
        return ""
    said = {
        "features": N_("The attack was made on CLIP alone: what it does to {name} is carried over."),
        "detector": N_("The attack was made on the detector alone: what it does to {name} is carried over."),
    }
    return _(said[run.objective], name=speaker(run))


def _unasked(run: DemoRun) -> str:
    if run.model.asks or not run.request.question.strip():
        return ""
    return _("{name} only captions, so the question was not asked.", name=speaker(run))


# What the model says ------------------------------------------------------------------------------


def answers(run: DemoRun) -> str:
    """What the model says of each picture, whether that agrees with the clean one, and the chart beneath."""
    attacked = "clean" in run.said
    names = [(which, _(name if attacked or which != "adversarial" else GIVEN)) for which, name in STAGES]
    parts = "".join(said(run, which, name) for which, name in names)
    title = _("What {name} says", name=speaker(run))
    return f"<h3>{escape(title, quote=False)}</h3>{parts}{_likelihoods(run)}"


def said(run: DemoRun, which: Which, name: str) -> str:
    """What the model says of one picture, and whether it agrees with the clean one."""
    words = run.said.get(which)
    if words is None:
        return ""
    answer = f"<dd class='cc-told'>{escape(spoken(words))}</dd>" if words.spoken else ""
    lines = f"<dt>{name}</dt><dd lang='en'><bdi>{escape(words.caption)}</bdi></dd>{answer}"
    return f"<dl class='cc-said' id='purify-{which}-said'>{lines}{_agreement(run, which)}</dl>"


def spoken(words: DemoResponse) -> str:
    """The model's answer as it gives it, in English, or that it is not sure, with its guess."""
    return words.spoken if words.sure else _("I am not sure (perhaps: {answer})", answer=words.answer)


def _agreement(run: DemoRun, which: Which) -> str:
    clean = run.said.get("clean")
    if clean is None or which == "clean":
        return ""
    now = run.said[which]
    parts = [_compared("caption", same=now.same_caption(clean), near=now.alike)]
    if clean.answer and clean.sure:
        parts.append(_compared("answer", same=now.same_answer(clean)))
    return f"<dd class='cc-agreement'>{' '.join(parts)}</dd>"


def _compared(what: str, *, same: bool, near: float | None = None) -> str:
    icon, tone = ("=", "cc-agrees") if same else ("\N{NOT EQUAL TO}", "cc-differs")
    how = "means the same" if same and near is not None else "as before" if same else "differs"
    near_by = "" if near is None else f" ({_('similarity {n}', n=decimal(near, digits=2))})"
    return f"<span class='{tone}'><span aria-hidden='true'>{icon}</span> {_(AGREE[what][how])}{near_by}</span>"


def _likelihoods(run: DemoRun) -> str:
    """A chart of how likely the clean picture's words are along the way."""
    clean = run.said.get("clean")
    if clean is None:
        return ""
    captioned = clean.told == clean.caption
    what = _("the first caption") if captioned else quoted(escape(clean.told))
    several = len(clean.told.split()) > 1
    caption = _(LIKELY_A_WORD if several else LIKELY, what=what)
    values = [(_(name), run.said[which].likelihood) for which, name in STAGES if which in run.said]
    rows = [[name, charts.bar(value), _percent(value)] for name, value in values if value is not None]
    return charts.table(caption, (_("Picture"), _("Likelihood"), _("Likelihood")), rows)


def _percent(share: float) -> str:
    """Never a certainty that no model has."""
    if round(100 * share) == 0:
        return _("under {least}", least="1 %")
    return _("over {most}", most="99 %") if round(100 * share) == 100 else f"{number(round(100 * share))} %"


# More questions -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A question to the pictures that are there, and what is answered of each."""

    question: str
    said: dict[Which, DemoResponse]


def history(asked: Sequence[FollowUp], failed: str = "") -> str:
    """All questions about the picture, the newest on top; failed: why the last one was not answered, as HTML."""
    items = "".join(f"<dt>{escape(one.question)}</dt>{_answered(one)}" for one in reversed(asked))
    if not items:
        return failed
    newest = ". ".join(f"{name}: {answer}" for name, answer in _told(asked[-1]))  # is spoken
    list_ = f"<dl class='cc-said' data-say='{escape(newest)}'>{items}</dl>"
    return f"{failed}<h3>{_('Asked about this picture')}</h3>{list_}"


def _told(one: FollowUp) -> list[tuple[str, str]]:
    """Of which picture, and what is answered of it."""
    given = "adversarial" if "clean" not in one.said else "clean"
    names = {"adversarial": _("attacked"), "purified": _("purified")} | {given: _("as given")}
    return [(names[which], spoken(said)) for which, said in one.said.items()]


def _answered(one: FollowUp) -> str:
    return "".join(f"<dd>{name}: <b>{escape(answer)}</b></dd>" for name, answer in _told(one))


def _card(title: str, body: str, *, busy: bool = False, says: bool = True) -> str:
    """says: whether a screen reader speaks the title when the card is there (assets/upload.js)."""
    style = "cc-card cc-waiting cc-busy" if busy else "cc-card cc-waiting"
    spoken = f" data-say='{escape(title)}'" if says else ""
    return f"<div class='{style}'{spoken}><h2>{escape(title)}</h2>{body}</div>"


__all__ = ["FollowUp", "answers", "failure", "history", "loading", "result", "stopped", "waiting", "working"]
