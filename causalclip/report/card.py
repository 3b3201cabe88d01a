"""The card on the page, panels and pictures beneath it, and the Jinja environment, which escapes
what a file says.

The headline from all evidence and what it does not mean come first, then the score. The HTML is in
assets/card.html, its colours are in assets/style.css and assets/evidence.css.
"""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from PIL import Image, ImageDraw, ImageFont

from causalclip.examination import messages as words
from causalclip.examination.cautions import SHORT, history_words
from causalclip.examination.headline import CLAIMED
from causalclip.languages import N_, _, decimal, ended, in_turn, is_rtl, ngettext, number
from causalclip.maps import attribution as map_words
from causalclip.maps.overlay import carried_font, shrink
from causalclip.paths import shipped_folder
from causalclip.provenance.reading import OF_WHOLE

if TYPE_CHECKING:
    import numpy as np
    from jinja2 import Environment

    from causalclip.calibration import Band
    from causalclip.examination.headline import Headline
    from causalclip.examination.result import Examination
    from causalclip.examination.stability import Stability
    from causalclip.provenance.reading import Provenance

MARK_ZOOM = 3
CHIPS = {  # what the file says, in a word, where it does not say that the picture was generated
    CLAIMED["edited"]: N_("says edited with AI"),
    CLAIMED["may be"]: N_("says perhaps generated"),
    CLAIMED["is suspected"]: N_("says perhaps generated"),
}
SAID = (
    _,
    decimal,
    ended,
    in_turn,
    is_rtl,
    number,
    history_words,
    words.score_text,
    words.score_texts,
    words.bar_place,
)
CONSTANTS: dict[str, Any] = {
    "words": words,
    "map_words": map_words,
    "EMPTY": "\N{WHITE CIRCLE}",
    "OF_WHOLE": OF_WHOLE,
    "SHORT": SHORT,
    "SHOWN": 24,  # fields of metadata on the page
}


def render(macro: str, /, *, template: str = "card.html", **values: Any) -> str:
    """A macro of a template in assets/, in the reader's language. values: escaped, unless they are
    Markup."""
    return str(getattr(environment().get_template(template).module, macro)(**values)).strip()


def render_page(name: str, /, **values: Any) -> str:
    """A whole template of assets/."""
    return environment().get_template(name).render(values)


@lru_cache(maxsize=1)
def environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(shipped_folder("assets")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {function.__name__: function for function in SAID} | CONSTANTS
    made.filters["_"] = _
    return made


def waiting(words: str = "") -> str:
    """The card before there is a picture. words: HTML; what will appear here."""
    return render("waiting", words=Markup(words))


def brief(band: Band, sentence: str) -> str:
    """An answer as a card with one sentence, where it is not what the page is about."""
    return render("brief", band=band, sentence=sentence)


def looking(name: str = "", *, headline: Headline | None = None) -> str:
    """The card while the model is at work.

    Args:
        name: what is known of the picture.
        headline: what the file says of itself, where that makes the headline already.
    """
    named = Markup("<b>{}</b>").format(ended(name)) if name else ""
    return render("pending", title=_("Looking at the picture"), sentence=named, headline=headline)


def queued(before: int, *, headline: Headline | None = None) -> str:
    """The card while other pictures are in the model or go in first; before: how many of them are
    other people's."""
    if not before:
        return looking(headline=headline)
    said = _(
        "One picture is looked at after the other. Yours has its turn as soon as these are done."
    )
    title = ngettext("Waiting, {n} before you", "Waiting, {n} before you", before)
    return render("pending", title=title, sentence=said, headline=headline)


def on_its_way() -> str:
    """What the page itself shows of a picture that was chosen until the server answers:
    assets/stale.js copies it."""
    return render("on_its_way")


def coming() -> str:
    """What the page itself shows of many files until the server has them: assets/stale.js has their
    numbers."""
    return render("coming")


def elapsed() -> str:
    """How long somebody has waited, as HTML: assets/upload.js counts the seconds there."""
    return render("elapsed")


def failure(title: str, sentence: str) -> str:
    """The card for a picture that got no answer."""
    return render("failure", title=title, sentence=sentence)


def not_judged(x: Examination, title: str) -> str:
    """The card for a picture whose pixels were refused, and what its file says.

    title: says why, where the file does not make a headline.
    """
    return render("not_judged", x=x, title=title, said=Markup(provenance_panel(x.provenance)))


def verdict(x: Examination, *, judged: tuple[int, int] | None = None) -> str:
    """The headline, a sentence on what it means, and the score among the bands.

    x: perhaps without stability, which takes longer. judged: how many copies of how many
    are judged by now, while that goes on; the answer is then only probable.
    """
    return render("verdict", x=x, judged=judged, mark=enlarge_mark(x))


def enlarge_mark(x: Examination) -> str:
    """A data URL of the visible mark that the headline rests on, MARK_ZOOM times its size and with
    as much again around it; "" where there is none."""
    if x.headline.source != "mark" or not x.mark_boxes:
        return ""
    picture = Image.fromarray(x.drawing.picture)
    left, top, right, bottom = x.mark_boxes[0]
    around = (right - left) * picture.width / 2, (bottom - top) * picture.height / 2
    box = (
        max(0, round(left * picture.width - around[0])),
        max(0, round(top * picture.height - around[1])),
        min(picture.width, round(right * picture.width + around[0])),
        min(picture.height, round(bottom * picture.height + around[1])),
    )
    cut = picture.crop(box)
    size = MARK_ZOOM * cut.width, MARK_ZOOM * cut.height
    return data_url(cut.resize(size, Image.Resampling.LANCZOS))


def chips(x: Examination, *, judged: tuple[int, int] | None = None) -> str:
    """The kinds of evidence with what each says in a word; judged: as in `verdict`."""
    return render("chips", x=x, file=_file_chip(x.headline, x.provenance), judged=judged)


def _file_chip(headline: Headline, p: Provenance) -> tuple[str, str]:
    """The first chip's name and word: whose mark is on the picture, or what the file says of it."""
    if headline.source == "mark":
        return _("Mark"), headline.short_name or _("of a generator")
    said = _(_file_says(headline, p))
    named = headline.source == "file" and headline.name
    return _("File"), f"{said} ({headline.short_name})" if named else said


def _file_says(headline: Headline, p: Provenance) -> str:
    if p.credentials.state == "trusted":
        return N_("signed")
    if p.credentials.state == "invalid":
        return N_("changed after signing")
    if headline.source == "file":
        return CHIPS.get(headline.title, N_("says generated"))
    return N_("says nothing") if headline.silent else N_("details")


def evidence(headline: Headline) -> str:
    """What each kind of evidence says, as a list."""
    return render("evidence", headline=headline)


def pixels_panel(x: Examination) -> str:
    """What is behind the pixels' answer, but for the map."""
    return render("pixels", x=x)


def stability_panel(stability: Stability) -> str:
    """The answer to the question, the chart with the bands behind it, and what it does not show."""
    return render("stability", s=stability)


def stability_waiting() -> str:
    """The panel while the copies are judged."""
    return render("stability", s=None)


def provenance_panel(p: Provenance) -> str:
    """The weightiest claim and the state of the credentials; the rest, and the place apart, after a
    click."""
    claims, fields = (
        len(p.credentials.source_types) + len(p.source_types) + len(p.marks),
        len(p.fields),
    )
    counts = [ngettext("{n} claim", "{n} claims", claims)] if claims else []
    counts += [ngettext("{n} field", "{n} fields", fields)] if fields else []
    left = fields - CONSTANTS["SHOWN"]
    more = (
        ngettext("{n} more is in the report.", "{n} more are in the report.", left)
        if left > 0
        else ""
    )
    return render("provenance", p=p, counted=f" ({', '.join(counts)})" if counts else "", more=more)


if TYPE_CHECKING:
    from causalclip.examination.compare import Comparison
    from causalclip.images.formats import Box

DRAWN_SIDE = 1024  # px on the long side of what is drawn, at most
# a line that shows on anything: white within a dark pink
INNER, OUTER = (255, 255, 255), (190, 24, 93)
INLINE_SIDE = 640  # px on the long side of a picture inside a page
MAX_PICTURE = 52_000  # bytes: a third more as text
QUALITIES = 85, 70, 50, 30, 10  # of WebP, the best that is small enough


def draw_boxes(pixels: np.ndarray, boxes: list[Box]) -> Image.Image:
    """A picture (uint8 RGB [H, W, 3]) with a numbered frame around every box, in pixels of it;
    shrunk to DRAWN_SIDE."""
    height, width = pixels.shape[:2]
    zoom = min(1.0, DRAWN_SIDE / max(height, width))
    drawn = Image.fromarray(shrink(pixels, side=DRAWN_SIDE))
    pen = max(2, max(drawn.size) // 250)
    draw, font = (
        ImageDraw.Draw(drawn),
        carried_font(max(12, max(drawn.size) // 40), "DejaVuSans-Bold"),
    )
    for place, box in enumerate(boxes, 1):
        left, top, right, bottom = (round(v * zoom) for v in box)
        draw.rectangle((left - pen, top - pen, right + pen, bottom + pen), outline=OUTER, width=pen)
        draw.rectangle((left, top, right, bottom), outline=INNER, width=max(1, pen // 2))
        _label(draw, (left, top), str(place), font)
    return drawn


def overlaid(found: Comparison) -> tuple[Image.Image, Image.Image] | None:
    """Both pictures as the comparison saw them, on one grid: for a slider. None without a match."""
    if found.aligned is None:
        return None
    aligned = found.aligned
    boxes = [_on_grid(change.box_a, np.linalg.inv(aligned.to_a)) for change in found.changes]
    pair = [
        np.where(aligned.inside[..., None], np.clip(p, 0, 255), 235).astype(np.uint8)
        for p in (aligned.a, aligned.b)
    ]
    return draw_boxes(pair[0], boxes), draw_boxes(pair[1], boxes)


def _on_grid(box: Box, to_grid: np.ndarray) -> Box:
    left, top, right, bottom = box
    import cv2

    corners = np.array([[[left, top], [right, top], [right, bottom], [left, bottom]]], np.float64)
    to = cv2.perspectiveTransform(corners, to_grid)[0]
    (x0, y0), (x1, y1) = to.min(0).round().astype(int), to.max(0).round().astype(int)
    return int(x0), int(y0), int(x1), int(y1)


def _label(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str, font: ImageFont.FreeTypeFont
) -> None:
    x, y = max(0, corner[0]), max(0, corner[1] - font.size - 6)
    left, top, right, bottom = draw.textbbox((x + 3, y), text, font)
    draw.rectangle((left - 4, top - 3, right + 4, bottom + 3), fill=OUTER)
    draw.text((x + 3, y), text, INNER, font)


def draw_thumbnail(pixels: np.ndarray, *, side: int = INLINE_SIDE) -> str:
    """A data URL of the picture (uint8 RGB [H, W, 3]), `side` px at most, without its metadata."""
    return data_url(Image.fromarray(shrink(pixels, side=side)), side=side)


def data_url(image: Image.Image, *, side: int = INLINE_SIDE) -> str:
    """A picture inside a page, at most `side` px long and MAX_PICTURE bytes large; it is shrunk in
    place."""
    image.thumbnail((side, side))
    for quality in QUALITIES:
        file = io.BytesIO()
        # in a third of the time, a sixth larger
        image.save(file, "WEBP", quality=quality, method=2)
        if file.tell() <= MAX_PICTURE:
            break
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
