"""The card, as HTML: the headline from all evidence and what it does not mean first, then the score.

Pure functions; everything that is not written here is escaped. Colours are in assets/style.css.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from causalclip.evidence.precision import empirical_precision
from causalclip.evidence.regions import REGION_DIFFERS as DIFFERS
from causalclip.evidence.words import NO_ANSWER, NO_ANSWER_TITLE, WHAT_TO_DO, WHY_NO_ANSWER, score_texts
from causalclip.languages import N_, _, ended, ngettext

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.detector import Detection
    from causalclip.evidence.cautions import Caution
    from causalclip.evidence.headline import Headline, Tone
    from causalclip.evidence.regions import RegionFinding
    from causalclip.evidence.stability import Stability

TONE: dict[Band, str] = {
    "likely not generated": "not-generated",
    "inconclusive": "inconclusive",
    "likely generated": "generated",
}
ICON: dict[Band, str] = {
    "likely not generated": "\N{BLACK DOWN-POINTING TRIANGLE}",
    "inconclusive": "\N{BLACK DIAMOND}",
    "likely generated": "\N{BLACK UP-POINTING TRIANGLE}",
}
MEANING: dict[Band, str] = {
    "likely generated": N_(
        "It carries traces like those of pictures made by image generators. "
        "That says nothing about who made it, or whether what it shows happened."
    ),
    "inconclusive": N_(
        "The traces point neither way clearly enough. "
        "Count this neither for nor against the picture; look for other evidence."
    ),
    "likely not generated": N_(
        "Few traces like those of image generators were found. "
        "That does not make it authentic: it may be edited, staged, or from a generator that leaves other traces."
    ),
}
SIGN: dict[Tone, str] = {
    "generated": ICON["likely generated"],
    "inconclusive": ICON["inconclusive"],
    "not-generated": ICON["likely not generated"],
    "signed": "\N{BLACK SQUARE}",
}
UNSTABLE = N_(
    "The answer does not survive what happens to pictures on their way. "
    "Count this neither for nor against the picture; look for other evidence."
)
UNCHECKED = N_("Being checked now: whether this answer survives what happens to pictures on their way.")
LOOKING_FOR_PARTS = N_("Being looked for now: whether one part differs from the rest.")
CAUTION = N_(
    "The detector can be wrong, both ways, and it has not seen every generator. Treat this as one clue among others."
)
WAITING = N_(
    "Add a picture. The answer appears here as one of three: <b>likely generated</b>, <b>inconclusive</b> or "
    "<b>likely not generated</b>, with the places in the picture that it rests on."
)
RULE = N_(
    "The score runs from 0 to 1. At or above {high} the pixels' answer is likely generated, at or below {low} likely "
    "not generated; both were set on pictures that the detector had not learned from."
)
RAISED_RULE = N_(
    "The score runs from 0 to 1. At or above {high} the pixels' answer is likely generated, at or below {low} likely "
    "not generated; the second was set on pictures that the detector had not learned from."
)
UNLIKE = N_("It is unlike your archive, so that this may not hold for it.")
EMPTY = "\N{WHITE CIRCLE}"
SECONDS = N_("So far: {n} s.")


def waiting(words: str = "", *, beneath: str = "") -> str:
    """The card before there is a picture. words, beneath: HTML; what will appear here, by default WAITING, and more."""
    return _card("waiting cc-empty", EMPTY, _("No picture yet"), f"<p>{words or _(WAITING)}</p>{beneath}")


def brief(band: Band, sentence: str) -> str:
    """An answer as a card with one sentence, where it is not what the page is about."""
    if band == NO_ANSWER:
        return _card("inconclusive", ICON["inconclusive"], _(NO_ANSWER_TITLE), f"<p>{escape(sentence)}</p>")
    return _card(TONE[band], ICON[band], titled(band), f"<p>{escape(sentence)}</p>")


def titled(band: Band) -> str:
    """A band as it stands in large print."""
    return _(band.capitalize())


def sample(low: float, high: float) -> str:
    """What an answer looks like, as HTML that is not read out as one."""
    tones = "".join(
        f"<li><span class='cc-icon' aria-hidden='true'>{ICON[band]}</span> <b>{ended(titled(band))}</b> "
        f"{escape(_(MEANING[band]))}</li>"
        for band in TONE
    )
    title = _("What an answer looks like")
    return (
        f"<section class='cc-card cc-sample' aria-label='{escape(title)}'>"
        f"<h2>{title}</h2>{_scale((low + high) / 2, low, high, 'inconclusive')}"
        f"<ul>{tones}</ul></section>"
    )


def looking(name: str = "", *, headline: Headline | None = None) -> str:
    """The card while the model is at work.

    Args:
        name: what is known of the picture.
        headline: what the file says of itself, where that makes the headline already.
    """
    named = f"<b>{escape(ended(name))}</b> " if name else ""
    words = f"{named}{elapsed()}"
    return _pending(_("Looking at the picture"), words, headline)


def queued(before: int, *, headline: Headline | None = None) -> str:
    """The card while other pictures are in the model or go in first."""
    said = _("One picture is looked at after the other. Yours has its turn as soon as these are done.")
    title = ngettext("Waiting, {n} before you", "Waiting, {n} before you", before)
    return _pending(title, f"{said} {elapsed()}", headline)


def on_its_way() -> str:
    """What the page itself shows of a picture that was chosen until the server answers: assets/stale.js copies it."""
    title = _("The picture is on its way")
    card = _card("waiting", EMPTY, title, f"<p>{_('The server has not answered yet.')} {elapsed()}</p>")
    return card.replace("<div", f"<div data-late='{escape(title, quote=True)}'", 1)


def coming() -> str:
    """What the page itself shows of many files until the server has them: assets/stale.js has their numbers."""
    words = _("Arrived so far: {some} of {all}.", some="{some}", all="{all}")
    body = f"<p><span data-words='{escape(words, quote=True)}'></span> {elapsed()}</p>"
    return _card("waiting", EMPTY, _("Files are on their way: {n}", n="{n}"), body)


def elapsed() -> str:
    """How long somebody has waited, as HTML: assets/upload.js counts the seconds there."""
    return f"<span class='cc-elapsed' data-words='{escape(_(SECONDS))}'></span>"


def failure(title: str, sentence: str) -> str:
    """The card for a picture that got no answer."""
    return _card("error", "!", title, f"<p>{escape(sentence)}</p>", say=sentence)


def verdict(
    headline: Headline,
    detection: Detection,
    notes: Sequence[str] = (),
    *,
    cautions: Sequence[Caution] = (),
    stability: Stability | None = None,
    checking: bool = True,
    links: str = "",
    unlike: Sequence[str] = (),
    parts: RegionFinding | None = None,
) -> str:
    """The headline, what it means and does not mean, the score against the thresholds, and the loader's notes.

    Args:
        cautions: weak spots that were recognised in this picture.
        stability: None while that is being checked, or if it was not asked for.
        checking: whether it is being checked where there is none.
        links: HTML, to other parts of the page.
        unlike: how the picture differs from the archive that it is held to (causalclip.profile).
        parts: whether one part differs; None while that is being looked for, or if it was not asked for.
    """
    flipped = stability is not None and stability.final_band != detection.band
    band: Band = stability.final_band if stability else detection.band
    meant = None if flipped else empirical_precision(band, detection.measured_as)
    low, high = score_texts(detection.probability, detection.low, detection.high)[1:]
    standing = detection.standing
    rule = _(
        RAISED_RULE if standing and standing.raised else RULE,
        high=f"<b>{high}</b>",
        low=f"<b>{low}</b>",
    )
    said = "".join(f"<li>{escape(note)}</li>" for note in notes)
    by_pixels = headline.source == "pixels"
    if band == NO_ANSWER:
        return _unanswered(headline, detection, links, parts)
    body = [
        part(parts) if parts and parts.found else "",
        f"<p>{_(UNSTABLE if flipped else MEANING[band])}</p>" if by_pixels else evidence(headline),
        _scale(detection.probability, detection.low, detection.high, band),
        _survives(stability, flipped=flipped, checking=checking),
        "" if parts and parts.found else part(parts, checking=checking),
        f"<p>{escape(meant.sentence)}</p>" if meant and by_pixels else "",
        _archive(detection, unlike),
        evidence(headline) if by_pixels else "",
        links,
        _cautions(cautions),
        f"<p class='cc-small'>{rule} {_(CAUTION)}</p>",
        f"<ul class='cc-notes'>{said}</ul>" if said else "",
    ]
    spoken = _(UNSTABLE if flipped else MEANING[band]) if flipped or by_pixels else headline.pixels
    say = " ".join([ended(headline.answer), spoken, *([parts.sentence] if parts and parts.found else [])])
    return _card(headline.tone, SIGN[headline.tone], headline.answer, "".join(body), say=say)


def part(parts: RegionFinding | None, *, checking: bool = True) -> str:
    """Whether one part differs, as HTML: large only where one was found, since what is not found says little."""
    if parts is None:
        return f"<p class='cc-small'>{_(LOOKING_FOR_PARTS)}</p>" if checking else ""
    if not parts.found:
        return f"<p class='cc-small'>{escape(parts.sentence)}</p>"
    return f"<div class='cc-part-found'><h3>{_(DIFFERS)}</h3><p>{escape(parts.sentence)}</p></div>"


def _unanswered(headline: Headline, detection: Detection, links: str, parts: RegionFinding | None) -> str:
    """Why there is no answer, and what to do; no score, which would mean nothing, and no care with one."""
    why = f"<p>{escape(_(WHY_NO_ANSWER[detection.kind]))}</p><p><b>{escape(_(WHAT_TO_DO[detection.kind]))}</b></p>"
    said = f"{headline.answer}. {_(WHY_NO_ANSWER[detection.kind])}"
    body = why + evidence(headline) + part(parts, checking=False) + links
    return _card(f"{headline.tone} cc-unanswered", SIGN[headline.tone], headline.answer, body, say=said)


def evidence(headline: Headline) -> str:
    """What each kind of evidence says, as HTML; one line where signature and file say nothing."""
    if headline.silent:
        return f"<p class='cc-small'>{escape(headline.claimed)}</p>"
    rows = [
        (_("Proved by a signature"), headline.proved),
        (_("Claimed by the file"), headline.claimed),
        (_("Seen in the pixels"), headline.pixels),
        (_("Do they agree?"), headline.agreement),
    ]
    body = "".join(f"<div><dt>{name}</dt><dd>{escape(text)}</dd></div>" for name, text in rows if text)
    return f"<dl class='cc-evidence'>{body}</dl>"


def _survives(stability: Stability | None, *, flipped: bool, checking: bool) -> str:
    """Whether the answer survives, in a word; the whole sentence where that has cost an answer."""
    if stability is None:
        return f"<p><b>{_(UNCHECKED)}</b></p>" if checking else ""
    said = escape(stability.sentence if flipped else ended(stability.words))
    return f"<p>{_('Survives re-encoding?')} <b>{said}</b></p>"


def _pending(title: str, words: str, headline: Headline | None) -> str:
    if headline is None or headline.source == "pixels":
        return _card("waiting", EMPTY, title, f"<p>{words}</p>", say=title)
    body = f"{evidence(headline)}<p>{title}. {words}</p>"
    return _card(f"{headline.tone} cc-pending", SIGN[headline.tone], headline.answer, body, say=headline.answer)


def _archive(detection: Detection, unlike: Sequence[str]) -> str:
    """Where the score stands among the photographs of the reader's own archive."""
    standing = detection.standing
    if standing is None:
        return ""
    said = f"<p><b>{escape(standing.sentence)}</b> {escape(standing.rule)}</p>"
    if unlike:
        said += f"<p>{_(UNLIKE)} {escape(' '.join(unlike))}</p>"
    return f"<div class='cc-archive'>{said}</div>"


def _cautions(cautions: Sequence[Caution]) -> str:
    if not cautions:
        return ""
    said = "".join(f"<li>{escape(caution.sentence)}</li>" for caution in cautions)
    return f"<div class='cc-cautions'><h3>{_('Be careful with this one')}</h3><ul>{said}</ul></div>"


def _card(tone: str, icon: str, title: str, body: str, *, say: str = "") -> str:
    """say: what a screen reader speaks when the card is there; assets/upload.js has it spoken once."""
    head = f"<h2 tabindex='-1'><span class='cc-icon' aria-hidden='true'>{icon}</span>{escape(title)}</h2>"
    spoken = f" data-say='{escape(say, quote=True)}'" if say else ""
    return f"<div class='cc-card cc-{tone}'{spoken}>{head}{body}</div>"


def _scale(probability: float, low: float, high: float, here: Band) -> str:
    """The score's place between the thresholds, all in proportion."""
    score, *shown = score_texts(probability, low, high)
    at, first, last = (100 * x for x in (probability, low, high))
    words = _(
        "Score {score}: {answer}. Thresholds {low} and {high}, on a scale from 0 to 1.",
        score=score,
        answer=_(here),
        low=shown[0],
        high=shown[1],
    )
    widths = (first, last - first, 100 - last)
    zones = "".join(
        f"<span class='cc-zone cc-zone-{tone}{' cc-here' if band == here else ''}' "
        f"style='flex-basis:{width:.2f}%'></span>"
        for (band, tone), width in zip(TONE.items(), widths, strict=True)
    )
    # The narrowest zone would break its name letter by letter: the names stand in a row of their own.
    names = "".join(
        f"<span class='cc-{tone}{' cc-here' if band == here else ''}'>{_(band)}</span>" for band, tone in TONE.items()
    )
    ticks = "".join(
        f"<span style='left:{x:.2f}%'>{text}</span>"
        for x, text in ((0, "0"), (first, shown[0]), (last, shown[1]), (100, "1"))
    )
    side = "cc-flag-right" if at > 70 else "cc-flag-left" if at < 30 else ""
    return (
        f"<div class='cc-scale' dir='ltr' role='img' aria-label='{escape(words)}'>"
        f"<div class='cc-flag {side}' style='left:{at:.2f}%'>{_('score {score}', score=f'<b>{score}</b>')}</div>"
        f"<div class='cc-track'>{zones}<i style='left:{at:.2f}%'></i></div><div class='cc-ticks'>{ticks}</div>"
        f"<div class='cc-names'>{names}</div></div>"
    )
