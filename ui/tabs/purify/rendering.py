"""The Purify tab's cards, as HTML: what is being done, and what happened.

Everything that is not written here is escaped.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from causalclip.languages import N_, _, decimal, ended, in_turn, ngettext, number, paragraph
from causalclip.report.card import elapsed
from causalclip.report.pictures import draw_thumbnail
from purifier.vlm.interface import OTHER
from ui.tabs.purify import answers
from ui.tabs.purify.facts import attack_facts, speaker

if TYPE_CHECKING:
    from purifier.scenario import Response, Scenario

PURPOSE = N_(
    "A faint change makes a vision-language model describe another picture. Here you see the "
    "change, remove it, and measure what that costs. It does not judge whether a picture was "
    "generated."
)
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
NAMES = {"caption": N_("the caption"), "answer": N_("the answer")}
BOTH = N_("the caption and the answer")
NOISE_SIDE = 320  # px of what an attack adds, while it goes on
# (attacked model, attack) -> seconds of a step in the last run on this machine
_paces: dict[tuple[str, str], float] = {}
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


def waiting_card() -> str:
    """Return the card before there is a picture."""
    begin = _(
        "Choose one of the three examples, or add a picture and type a question. Then attack the "
        "picture, and see what purification does."
    )
    return _card(_("Fool a model, and undo it"), f"<p>{begin}</p>", is_spoken=False, empty=True)


def loading_card(name: str) -> str:
    """Return the card while the other model is fetched and loaded."""
    first = _("The first time, its weights may have to be fetched, which can take minutes.")
    return _card(_("Loading {name}", name=name), f"<p>{first} {elapsed()}</p>", busy=True)


def progress_card(run: Scenario | None = None, *, total: int = 0, before: int = 0) -> str:
    """Return the card while the models are at work: which step of how many, and a bar.

    Args:
        run: what is known so far.
        total: of the steps, where there is no run yet.
        before: how many others go in first.
    """
    waits = (
        f"{ngettext('Waiting, {n} before you', 'Waiting, {n} before you', before)}. "
        if before
        else ""
    )
    step, title, note = _step(run) if run else (1, _("Looking at the picture"), "")
    total = _total(run) if run else total
    at = f"{_('Step {step} of {steps}.', step=number(step), steps=number(total))} " if total else ""
    bar = (
        f"<progress max='{total}' value='{step - 1}' aria-hidden='true'></progress>"
        if total
        else ""
    )
    return _card(title, f"<p>{waits}{at}{note}{elapsed()}</p>{bar}{_so_far(run)}", busy=True)


def _so_far(run: Scenario | None) -> str:
    """Return what the model says of the clean picture, and during an attack what is added to it and
    how much the model still believes that, as HTML."""
    from purifier.scenario import difference

    clean = run.responses.get("clean") if run else None
    if run is None or clean is None:
        return ""
    text = answers.spoken(clean) if clean.answer else clean.caption
    words = f"<bdi lang='en'>{escape(text)}</bdi>"
    said = _("The picture as given: {answer}", answer=words)
    if run.likelihood is not None:
        said = _(
            "The picture as given: {answer}. Still believed: {share}",
            answer=words,
            share=answers.as_percent(run.likelihood),
        )
    noise = ""
    if run.step and "adversarial" not in run.responses:
        change = difference(run.pictures["adversarial"], run.pictures["clean"])
        alt = escape(_("What the attack adds so far, amplified"))
        noise = f"<img alt='{alt}' src='{draw_thumbnail(change, side=NOISE_SIDE)}'>"
    return f"<div class='cc-so-far'>{noise}<p class='cc-told cc-long'>{said}</p></div>"


def _total(run: Scenario) -> int:
    """Return how many steps the run has; steps that an attack did not need are left out."""
    if not run.request.attack:
        return 2
    return (run.step if run.stopped_early else run.steps) + 3


def _step(run: Scenario) -> tuple[int, str, str]:
    """Return what is done now: its number, its name, and how long the attack still takes, or that
    it stopped early."""
    if "adversarial" in run.responses:
        note = f"{escape(attack_facts(run))} " if run.stopped_early else ""
        return _total(run), _("Purifying the picture, and asking about it"), note
    if "clean" not in run.responses:
        return 1, _("Looking at the picture"), ""
    if run.step >= run.steps:
        return run.steps + 2, _("Asking about the attacked picture"), ""
    return run.step + 2, _("Attacking the picture"), _time_left(run)


def remember_pace(run: Scenario) -> None:
    """Keep how long a step of an attack takes on this machine, so that the next run knows how long
    it will take from its start."""
    if run.step and run.request.attack:
        _paces[run.attacked, run.request.attack.name] = run.attack_seconds / run.step


def _time_left(run: Scenario) -> str:
    """Return how long the attack still takes; "" before the first step of the first such attack on
    this machine."""
    assert run.request.attack is not None
    last = _paces.get((run.attacked, run.request.attack.name))
    a_step = run.attack_seconds / run.step if run.step else last
    if a_step is None:
        return ""
    return f"{_pace(run, a_step)} "


def _pace(run: Scenario, a_step: float) -> str:
    return _(
        "Each step takes {step} s. The attack takes about {left} s more at most.",
        step=decimal(a_step, digits=1),
        left=decimal(a_step * (run.steps - run.step), digits=0),
    )


def stopped_card() -> str:
    """Return the card after the stop button."""
    sentence = _("Nothing of this run was kept. Change what you like and start again.")
    return _card(_("Stopped"), f"<p>{sentence}</p>")


def result_card(run: Scenario) -> str:
    """Return what happened, by the captions first; then by the answers, where the model was sure of
    the clean one."""
    clean = run.responses.get("clean")
    adversarial = run.responses.get("adversarial")
    purified = run.responses.get("purified")
    assert adversarial is not None
    assert purified is not None
    if run.unchanged:
        title, more = _nothing_purified(run)
    elif clean is None:
        title, more = _purified_title(adversarial, purified)
    else:
        title, more = _attack_title(clean, adversarial, purified)
    notes = [run.model.problem, more, _switched_off(run), _transfer(run), _why_unasked(run)]
    card = _card(title, "".join(f"<p>{escape(note)}</p>" for note in notes if note))
    return f"<div class='cc-kept'>{card}</div>" if run.unchanged else card


def _switched_off(run: Scenario) -> str:
    """Return which parts of the purifier were off; "" for none."""
    off = [_(PARTS[name]) for name in run.request.without]
    return _("Switched off: {parts}.", parts=in_turn(off)) if off else ""


def _nothing_purified(run: Scenario) -> tuple[str, str]:
    """Return a title, and why the picture is as it was; with what the attack changed, if there was
    one."""
    off = {"network", "guided_step", "quantisation"} <= set(run.request.without)
    not_found = _(
        "No attack was found; weak ones are missed. To purify it all the same, tick “{always}”.",
        always=_("Purify even if no attack is found"),
    )
    clean = run.responses.get("clean")
    adversarial = run.responses["adversarial"]
    if clean is None and not off:
        return _("Taken for clean: the picture comes back unchanged"), not_found

    reasons = [] if off else [not_found]  # which parts are off is said beside it
    if clean is not None:
        changes = _changes(clean, adversarial)
        turned = [what for what in changes if changes[what]]
        title = ATTACKED if turned else _nothing_turned(changes)[0]
        reasons.insert(0, ended(_(title, turned=_all(turned))))
        if _unsure(clean):
            reasons.append(_(UNSURE))
    return _("Nothing was purified"), paragraph(*reasons)


def _purified_title(adversarial: Response, purified: Response) -> tuple[str, str]:
    """Return a title of what purification changed in a picture that was not attacked here, and what
    that may mean."""
    if purified.same_caption(adversarial):
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


def _attack_title(clean: Response, adversarial: Response, purified: Response) -> tuple[str, str]:
    """Return a title of what was changed and what came back, and why nothing is said of the
    answers."""
    changes = _changes(clean, adversarial)
    back = {what: not differs for what, differs in _changes(clean, purified).items()}
    return _title(changes, back), _(UNSURE) if _unsure(clean) else ""


def _changes(clean: Response, other: Response) -> dict[str, bool]:
    """Return whether another picture's caption differs from the clean one's; and its answer, where
    the model was sure of the clean one."""
    changes = {"caption": not other.same_caption(clean)}
    if clean.answer and clean.sure:
        changes["answer"] = not other.same_answer(clean)
    return changes


def _unsure(clean: Response) -> bool:
    return bool(clean.answer) and not clean.sure


def _title(changes: dict[str, bool], back: dict[str, bool]) -> str:
    """Return what the attack changed, and what came back.

    Args:
        changes: whether the attack changed each of caption and answer.
        back: whether each is the clean picture's after purification.
    """
    turned = [what for what in changes if changes[what]]
    returned = [what for what in turned if back[what]]
    gone = [what for what in turned if not back[what]]
    new = [what for what in changes if not changes[what] and not back[what]]
    if not turned:
        title = _nothing_turned(changes)[bool(new)]
    elif len(gone) == 2:
        title = NONE_BACK
    elif len(returned) == 2:
        title = BOTH_BACK
    elif returned and gone:
        title = PARTLY_BACK
    else:
        title = (BACK if returned else NOT_BACK)[bool(new)]
    return _(title, turned=_all(turned), returned=_all(returned), gone=_all(gone), new=_all(new))


def _nothing_turned(changes: dict[str, bool]) -> tuple[str, str]:
    """Return both titles for an attack that changed nothing: the second where purification did."""
    return ONLY_CAPTION if len(changes) == 1 else NEITHER


def _all(names: list[str]) -> str:
    """Return one or both of caption and answer in words; "" for none."""
    return _(BOTH) if len(names) == len(NAMES) else "".join(_(NAMES[name]) for name in names)


def _transfer(run: Scenario) -> str:
    """Return which model the attack was made on, where that is not the one that speaks; else ""."""
    if (
        run.request.attack is None
        or run.model.key != OTHER
        or run.objective in ("answer", "caption")
    ):
        return ""
    if run.objective == "features":
        form = N_("The attack was made on CLIP alone: what it does to {name} is carried over.")
    else:
        form = N_(
            "The attack was made on the detector alone: what it does to {name} is carried over."
        )
    return _(form, name=speaker(run))


def _why_unasked(run: Scenario) -> str:
    """Return why the question was not asked; "" where it was."""
    if run.model.asks or not run.request.question:
        return ""
    return _("{name} only captions, so the question was not asked.", name=speaker(run))


def _card(
    title: str, body: str, *, busy: bool = False, is_spoken: bool = True, empty: bool = False
) -> str:
    """Return a card, whose title a screen reader speaks if `is_spoken` (assets/upload.js)."""
    style = f"cc-card cc-waiting{' cc-busy' if busy else ''}{' cc-empty' if empty else ''}"
    attribute = f" data-say='{escape(title)}'" if is_spoken else ""
    return f"<div class='{style}'{attribute}><h2>{escape(title)}</h2>{body}</div>"
