"""The card of an answer and the panels beneath it, as HTML for page, batch and report.

The headline from all evidence and what it does not mean come first, then the score. The HTML is in
assets/card.html, its colours are in assets/style.css and assets/evidence.css.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup
from PIL import Image

from causalclip.languages import N_, _, bracketed, ended, in_turn, ngettext
from causalclip.report.pictures import INLINE_SIDE, data_url
from causalclip.report.templates import SHOWN_FIELDS, render

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.examination.headline import Headline
    from causalclip.examination.result import Examination
    from causalclip.examination.stability import Stability
    from causalclip.maps.overlay import Drawing
    from causalclip.provenance.result import Provenance

MARK_ZOOM = 3
COMPARED = {"same picture": "=", "same scene, another moment": "≈", "no match": "≠"}


def waiting(title: str, words: str = "") -> str:
    """Render the card before there is a picture. words: HTML; what will appear here."""
    return render("waiting", words=Markup(words), title=title)


def brief(band: Band, sentence: str) -> str:
    """Render an answer with one sentence, where it is not what the page is about."""
    return render("brief", band=band, sentence=sentence)


def looking(name: str = "", *, headline: Headline | None = None) -> str:
    """Render the card while the model is at work.

    Args:
        name: what is known of the picture.
        headline: what the file says of itself, where that makes the headline already.
    """
    bold_name = Markup("<b>{}</b>").format(ended(name)) if name else ""
    return render(
        "pending", title=_("Looking at the picture"), sentence=bold_name, headline=headline
    )


def working(title: str) -> str:
    """The card while something else than an answer is made."""
    return render("pending", title=title, sentence="", headline=None)


def comparison(answer: str, title: str, sentence: str) -> str:
    """The answer of a comparison. answer: one of causalclip.compare.result.ANSWERS."""
    return render("compared", sign=COMPARED[answer], title=title, sentence=sentence)


def queued(before: int, *, headline: Headline | None = None) -> str:
    """Render the card while other pictures are in the model or go in first.

    before: how many of them are other people's.
    """
    if not before:
        return looking(headline=headline)
    sentence = _(
        "One picture is looked at after the other. Yours has its turn as soon as these are done."
    )
    title = ngettext("Waiting, {n} before you", "Waiting, {n} before you", before)
    return render("pending", title=title, sentence=sentence, headline=headline)


def elapsed() -> str:
    """Render how long somebody has waited; assets/upload.js counts the seconds there."""
    return render("elapsed")


def failure(title: str, sentence: str) -> str:
    """Render the card of a picture that got no answer."""
    return render("failure", title=title, sentence=sentence)


def not_judged(x: Examination, title: str) -> str:
    """The card for a picture whose pixels were refused, and what its file says.

    title: says why, where the file does not make a headline.
    """
    return render("not_judged", x=x, title=title, said=Markup(provenance_panel(x.provenance)))


def verdict(x: Examination, *, judged: tuple[int, int] | None = None) -> str:
    """Render the headline, a sentence on what it means, and the score among the bands.

    Args:
        x: perhaps without stability, which takes longer.
        judged: how many copies of how many are judged by now, while that goes on; the answer is
            then only probable.
    """
    mark = enlarge_mark(x) if x.headline.source == "mark" else ""
    return render("verdict", x=x, judged=judged, mark=mark)


def enlarge_mark(x: Examination, *, side: int = INLINE_SIDE) -> str:
    """Return a data URL of the picture's visible mark, or "" where there is none.

    It is MARK_ZOOM times as large, with half as much again on every side, and at most `side` px
    long.
    """
    if not x.mark_boxes:
        return ""
    picture = Image.fromarray(x.drawing.picture)
    left, top, right, bottom = x.mark_boxes[0]
    margin_x = (right - left) * picture.width / 2
    margin_y = (bottom - top) * picture.height / 2
    box = (
        max(0, round(left * picture.width - margin_x)),
        max(0, round(top * picture.height - margin_y)),
        min(picture.width, round(right * picture.width + margin_x)),
        min(picture.height, round(bottom * picture.height + margin_y)),
    )
    mark = picture.crop(box)
    size = MARK_ZOOM * mark.width, MARK_ZOOM * mark.height
    return data_url(mark.resize(size, Image.Resampling.LANCZOS), side=side)


def map_legend(drawing: Drawing) -> str:
    """Render what stands below a map: its scale, its numbered places, and how much of the score has
    a place."""
    return render("map_legend", drawing=drawing)


def chips(x: Examination, *, judged: tuple[int, int] | None = None, opens: bool = True) -> str:
    """Render the kinds of evidence with what each says in a word.

    Args:
        judged: as in `verdict`.
        opens: whether each is a button that opens its panel.
    """
    file = _file_chip(x.headline, x.provenance)
    return render("chips", x=x, file=file, judged=judged, opens=opens)


def pair(titles: Sequence[str], examinations: Sequence[Examination | None]) -> str:
    """Render what each of two pictures is; None for one that is still examined."""
    pictures = [
        (title, x, Markup(chips(x, judged=x.copies_judged, opens=False)) if x else "")
        for title, x in zip(titles, examinations, strict=True)
    ]
    return render("pair", pictures=pictures)


def _file_chip(headline: Headline, p: Provenance) -> tuple[str, str]:
    """Return the first chip's name and word: whose mark is on the picture, or what the file
    says."""
    if headline.source == "mark":
        return _("Mark"), headline.short_name or _("of a generator")
    word = _(_file_word(headline, p))
    has_name = headline.source == "file" and headline.name
    return _("File"), bracketed(word, headline.short_name) if has_name else word


def _file_word(headline: Headline, p: Provenance) -> str:
    if p.credentials.state == "trusted":
        return N_("signed")
    if p.credentials.state == "invalid":
        changed = p.credentials.is_changed
        return N_("changed after signing") if changed else N_("credentials do not hold")
    if headline.source == "file":
        return headline.origin.answer.file_word
    return N_("says nothing") if headline.silent else N_("details")


def evidence(headline: Headline) -> str:
    """Render what each kind of evidence says, as a list."""
    return render("evidence", headline=headline)


def pixels_panel(x: Examination) -> str:
    """Render what is behind the pixels' answer, but for the map."""
    return render("pixels", x=x)


def stability_panel(stability: Stability) -> str:
    """Render whether the answer survives, the chart behind it, and what it does not show."""
    return render("stability", s=stability)


def stability_waiting() -> str:
    """Render the panel while the copies are judged."""
    return render("stability", s=None)


def provenance_panel(p: Provenance) -> str:
    """Render the weightiest claim and the state of the credentials; the rest, and the place apart,
    after a click."""
    claims = len(p.credentials.source_types) + len(p.source_types) + len(p.marks)
    fields = len(p.fields)
    counts = [ngettext("{n} claim", "{n} claims", claims)] if claims else []
    counts += [ngettext("{n} field", "{n} fields", fields)] if fields else []
    field_count = bracketed("", in_turn(counts))
    hidden_count = fields - SHOWN_FIELDS
    more = ""
    if hidden_count > 0:
        more = ngettext("{n} more is in the report.", "{n} more are in the report.", hidden_count)
    return render("provenance", p=p, counted=field_count, more=more)
