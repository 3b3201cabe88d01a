"""The Purify tab in words, as HTML. Pure functions; everything that is not written here is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from causalclip.report.card import failure
from ui import charts

if TYPE_CHECKING:
    from purifier.exhibit import Exhibit, Said, Which

NOTE = (
    "An attacked picture comes back coarser, as the faint detail that an attack lives in is thrown away. A picture "
    "that is taken for clean comes back unchanged. "
    "A purified photo may read as generated to the detector. Judge the file that you were given, not the purified one. "
    "The attacks here do not know the purifier; one that does gets past it (the README has the numbers)."
)
STAGES: tuple[tuple[Which, str], ...] = (("clean", "before"), ("adversarial", "attacked"), ("purified", "purified"))
SMALL = "The model is small and often wrong about clean pictures too: compare its answers, do not trust them."


def waiting() -> str:
    """The card before there is a picture."""
    return _card(
        "No picture yet",
        "<p>Add a picture, type a question, then purify it; or attack it here first and see whether purification "
        "brings the answer back.</p>",
    )


def carried() -> str:
    """The card for a picture that came from another tab."""
    return _card("The picture is here", "<p>Purify it; or attack it first and see whether purification helps.</p>")


def working(shown: Exhibit | None) -> str:
    """The card while the models are at work."""
    if shown is None or not shown.said:
        return _card("Asking about the picture", "<p>The first picture takes longer: the models are loaded.</p>")
    if shown.steps and "adversarial" not in shown.said:
        words = f"Step {shown.step} of {shown.steps}"
        bar = f"<progress max='{shown.steps}' value='{shown.step}' aria-label='Progress of the attack'></progress>"
        return _card("Attacking the picture", f"<p>{words}. It stops after 20 seconds at most.</p>{bar}")
    return _card("Working", "<p>A second or two more.</p>")


def result(shown: Exhibit) -> str:
    """What happened, by the captions first; then by the answers, where the model was sure of the clean one."""
    clean, moved, purified = (shown.said.get(w) for w in ("clean", "adversarial", "purified"))
    assert moved is not None
    assert purified is not None
    if clean is None and shown.unchanged:
        title = "Taken for clean: the picture comes back unchanged"
        more = "The purifier found no attack. It misses some weak ones, and those that are made against it."
    elif clean is None:
        same = moved.caption == purified.caption
        title = "Purified: the caption stayed the same" if same else "Purified: the caption is another one now"
        more = (
            "If the picture was attacked, the attack either did not matter or is still there."
            if same
            else "Something fragile decided it before: an attack, or fine detail that purification smooths away."
        )
    else:
        title, more = _ATTACKED[moved.caption != clean.caption, purified.caption == clean.caption]
        more = f"{more} {_answers(clean, moved, purified)}"
    return _card(title, f"<p>{escape(more)}</p>")


def _answers(clean: Said, moved: Said, purified: Said) -> str:
    if not clean.answer:
        return ""
    if not clean.sure:
        return (
            "The model was not sure of its answer on the clean picture, so nothing can be said about what the attack "
            "did to it."
        )
    if moved.answer == clean.answer:
        return f"The answer stayed \u201c{clean.answer}\u201d under the attack."
    back = "it came back" if purified.answer == clean.answer else "it did not come back"
    return f"The attack changed the answer from \u201c{clean.answer}\u201d; purified, {back}."


def notes(shown: Exhibit) -> str:
    """How likely the clean picture's words are along the way, what was done, and what to make of it."""
    facts = f"<p class='cc-small'>{_facts(shown)}</p>"
    return f"{_likelihoods(shown)}{facts}<p class='cc-small'>{SMALL} {NOTE}</p>"


def _likelihoods(shown: Exhibit) -> str:
    clean = shown.said.get("clean")
    if clean is None:
        return ""
    what = "answer" if clean.told != clean.caption else "caption, a word"
    values = [(name, shown.said[which].likelihood) for which, name in STAGES if which in shown.said]
    rows = [[name, charts.bar(value), f"{100 * value:.0f} %"] for name, value in values if value is not None]
    return charts.table(f"How likely the model finds the clean picture's {what}", ("", "", "Likelihood"), rows)


# (the attack changed the caption, the purified picture has the clean one's) -> title and sentence
_ATTACKED = {
    (True, True): (
        "The attack changed the caption, and purification changed it back",
        "The purified picture is read as the clean one is.",
    ),
    (True, False): (
        "The attack changed the caption, and purification did not bring it back",
        "What is left of the picture is read in another way, or the attack is still in it.",
    ),
    (False, True): (
        "The attack did not change the caption",
        "Try more steps, a larger budget, or another aim. Purification did not change it either.",
    ),
    (False, False): (
        "The attack did not change the caption, but purification did",
        "Purification is not free: it can change how a picture is read.",
    ),
}


def said(shown: Exhibit, which: Which) -> str:
    """What the model says under one picture, and whether it agrees with the clean one."""
    words = shown.said.get(which)
    if words is None:
        return ""
    rows = [("Caption", words.caption)] + ([("Answer", words.spoken)] if words.spoken else [])
    lines = "".join(f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>" for name, text in rows)
    return f"<dl class='cc-facts cc-said'>{lines}</dl>{_agreement(shown, which)}"


def _agreement(shown: Exhibit, which: Which) -> str:
    clean = shown.said.get("clean")
    if clean is None or which == "clean":
        return ""
    agrees = shown.said[which].agrees(clean)
    words = "Agrees with the clean picture" if agrees else "Differs from the clean picture"
    icon, tone = ("=", "cc-agrees") if agrees else ("\N{NOT EQUAL TO}", "cc-differs")
    return f"<p class='cc-agreement {tone}'><span aria-hidden='true'>{icon}</span> {words}</p>"


def _facts(shown: Exhibit) -> str:
    steps = shown.wish.steps
    parts = [f"Purified in {shown.seconds:.2f} s, {steps} step{'s' if steps > 1 else ''}."]
    used = "not used, as the picture came back unchanged" if shown.unchanged else "on for the purified picture"
    parts.append(f"Defence prompt {used if shown.wish.prompt else 'off'}.")
    if shown.wish.attack and shown.wish.attack.name != "patch":
        parts.append(f"The attack changed values by at most {shown.change:.0f} of 255.")
    if shown.cut:
        parts.append(f"The attack was stopped after 20 seconds, at step {shown.step} of {shown.steps}.")
    return " ".join(parts)


def stopped() -> str:
    """The card after the stop button."""
    return _card("Stopped", "<p>Nothing was kept. Change what you like and start again.</p>")


def _card(title: str, body: str) -> str:
    return f"<div class='cc-card cc-waiting' role='status' aria-live='polite'><h2>{escape(title)}</h2>{body}</div>"


__all__ = ["carried", "failure", "notes", "result", "said", "stopped", "waiting", "working"]
