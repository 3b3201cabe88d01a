"""The model's words on each picture, as HTML: captions, answers, and answers to further
questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal

from causalclip.languages import N_, _, bracketed, percent

if TYPE_CHECKING:
    from purifier.scenario import Response, Scenario, Which

MAX_SHORT = 14  # characters of an answer that is set in 28 px
Agreement = Literal["same", "differs"]
AGREE: dict[str, dict[Agreement, str]] = {
    "caption": {"same": N_("caption as before"), "differs": N_("caption differs")},
    "answer": {"same": N_("answer as before"), "differs": N_("answer differs")},
}
SIGNS: dict[Agreement, tuple[str, str]] = {  # and the class of each
    "same": ("\N{CHECK MARK}", "cc-agrees"),
    "differs": ("\N{BALLOT X}", "cc-differs"),
}


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A further question to the pictures that are there, and the answer about each."""

    question: str
    responses: dict[Which, Response]


def as_html(run: Scenario, which: Which) -> str:
    """Return what the model says of one picture, with a sign whether it says that of the clean one,
    too, and how sure it is.

    In large type is its answer, with the caption folded, or the caption where there is no question.
    """
    now = run.responses.get(which)
    if now is None:
        return ""
    clean = run.responses.get("clean") if which != "clean" else None
    caption = _with_sign(now.caption, "caption", _compare_captions(now, clean))
    text = f"<p class='cc-told cc-long'>{caption}</p>"
    if now.answer:
        sure = "" if now.confidence is None else f" <small>{_confidence(now.confidence)}</small>"
        long = " cc-long" if len(spoken(now)) > MAX_SHORT else ""
        answer = _with_sign(spoken(now), "answer", _compare_answers(now, clean))
        folded = f"<summary>{_('Caption')}</summary><p>{caption}</p>"
        text = f"<p class='cc-told{long}'>{answer}{sure}</p>"
        text += f"<details class='cc-fold'>{folded}</details>"
    return f"<div class='cc-model-answer' id='purify-{which}-said'>{text}</div>"


def question(text: str) -> str:
    """Return the question that was asked, as a line; "" where there was none."""
    line = _("Asked: {question}", question=f"<bdi lang='en'>{escape(text)}</bdi>")
    return f"<p class='cc-question'>{line}</p>" if text else ""


def history(follow_ups: Sequence[FollowUp], failure: str = "") -> str:
    """Return further questions, the newest on top, with the answer about each picture under its
    frame.

    failure: why the last one was not answered, as HTML.
    """
    if not follow_ups:
        return failure
    items = "".join(
        f"<dt>{question(one.question)}</dt>{_answers(one)}" for one in reversed(follow_ups)
    )
    names = _names(follow_ups[-1])
    newest = ". ".join(
        f"{names[which]}: {spoken(response)}"
        for which, response in follow_ups[-1].responses.items()
    )
    columns = f"cc-asked cc-of-{len(names)}"
    return f"{failure}<dl class='{columns}' data-say='{escape(newest)}'>{items}</dl>"


def spoken(response: Response) -> str:
    """Return the model's answer as it gives it, in English, or that it is not sure, with its
    guess."""
    if response.sure:
        return response.spoken
    return _("I am not sure (perhaps: {answer})", answer=response.answer)


def _compare_captions(now: Response, clean: Response | None) -> Agreement | None:
    """Return how a caption agrees with the clean picture's; None without one."""
    if clean is None:
        return None
    return "same" if now.same_caption(clean) else "differs"


def _compare_answers(now: Response, clean: Response | None) -> Agreement | None:
    """Return how an answer agrees with the clean picture's; None where that cannot be said."""
    if clean is None or not clean.sure:
        return None
    return "same" if now.same_answer(clean) else "differs"


def _with_sign(text: str, what: str, agreement: Agreement | None) -> str:
    """Return the model's words, in English, after a sign how they agree with those before.

    agreement: None where that cannot be said; then there is no sign.
    """
    words = f"<bdi lang='en'>{escape(text)}</bdi>"
    if agreement is None:
        return words
    icon, tone = SIGNS[agreement]
    aloud = f"<span class='cc-hidden'>{bracketed('', _(AGREE[what][agreement]))}</span>"
    return f"<span class='{tone}' aria-hidden='true'>{icon}</span> {words}{aloud}"


def _confidence(share: float) -> str:
    return _("model is {share} sure", share=as_percent(share))


def as_percent(share: float) -> str:
    """Return a share in words; never as a certainty, which no model has."""
    if round(100 * share) == 0:
        return _("under {least}", least=percent(0.01))
    return _("over {most}", most=percent(0.99)) if round(100 * share) == 100 else percent(share)


def _names(follow_up: FollowUp) -> dict[Which, str]:
    """Return what each picture is called that was asked about."""
    first: Which = "clean" if "clean" in follow_up.responses else "adversarial"
    names: dict[Which, str] = {"adversarial": _("attacked"), "purified": _("purified")}
    names[first] = _("as given")
    return {which: names[which] for which in follow_up.responses}


def _answers(follow_up: FollowUp) -> str:
    """Return the answers, each after its picture's name, which the frame above shows to the eye."""
    clean = follow_up.responses.get("clean")
    answers = ""
    for which, name in _names(follow_up).items():
        now = follow_up.responses[which]
        agreement = _compare_answers(now, clean if which != "clean" else None)
        answer = _with_sign(spoken(now), "answer", agreement)
        answers += f"<dd><span class='cc-hidden'>{name}: </span>{answer}</dd>"
    return answers
