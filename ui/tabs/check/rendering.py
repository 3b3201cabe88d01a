"""The Check tab beside its card, as HTML: the map over the picture, in words and in numbers, the
facts, and what to do now.

The templates are in assets/check.html.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from PIL import Image

from causalclip.examination.messages import JUDGED_BY, NO_ANSWER
from causalclip.examination.owners import OWNERS
from causalclip.images.parts import in_file
from causalclip.languages import _, any_of, decimal, ngettext, number, paragraph, percent
from causalclip.maps.attribution import (
    PARTS,
    covered_cells,
    lay,
    localised_logit,
    unlocalised_logit,
)
from causalclip.maps.captions import PLACES, control, push
from causalclip.maps.overlay import draw_map
from causalclip.report import card
from causalclip.report.pictures import INLINE_SIDE, data_url
from causalclip.report.templates import render

if TYPE_CHECKING:
    from causalclip.detection import Detection, ViewAttribution
    from causalclip.examination.answer import Step
    from causalclip.examination.headline import Headline
    from causalclip.examination.result import Examination
    from causalclip.images.formats import Box
    from causalclip.maps.overlay import Drawing
    from causalclip.provenance.result import Provenance

SITES = {
    "Google Lens": "https://lens.google.com/",
    "TinEye": "https://tineye.com/",
    "Bing Visual Search": "https://www.bing.com/visualsearch",
    "Yandex Images": "https://yandex.com/images/",
    "Baidu Images": "https://image.baidu.com/",
    "Google Fact Check Explorer": "https://toolbox.google.com/factcheck/explorer",
}
MAX_INSIDE = 3  # pictures inside one that are offered
MAX_REGIONS = 5  # parts of the picture in the map's table
THUMBNAIL = 160  # px
MAP_SIDE = 1024  # px on the long side of the map that lies over the picture
MAX_MAP_BYTES = 160_000
SHOWCASE_SIDE = 480  # px
_render = partial(render, template="check.html")


def layer(drawing: Drawing) -> str:
    """Return what is laid over the picture, as HTML: its map, and boxes around visible marks.

    Where there is no answer, there is no map.
    """
    detection = drawing.detection
    has_map = detection.band != NO_ANSWER
    values = {
        "map": _map_address(drawing) if has_map else "",
        "colours": _map_address(drawing, texture=False) if has_map else "",
        "alt": _map_words(detection) if has_map else "",
        "parts": json.dumps(_parts(detection), ensure_ascii=False) if has_map else "",
    }
    boxes = [[round(100 * side, 2) for side in box] for box in drawing.boxes]
    return _render("layer", drawing=drawing, boxes=boxes, **values)


def showcase(examination: Examination | None) -> str:
    """Return the example that the page opens with: its map, headline and scale, as HTML; nothing
    where it got no answer."""
    if examination is None or examination.band == NO_ANSWER:
        return ""
    return _render("showcase", x=examination, map=_showcase_map(examination.drawing))


def showcase_waiting() -> str:
    """Return the place of the example while it is judged, as HTML."""
    return _render("showcase", x=None, map="")


@lru_cache(maxsize=1)
def _showcase_map(drawing: Drawing) -> str:
    """Return the data address of the example's map, drawn once for all visitors."""
    return data_url(draw_map(drawing), side=SHOWCASE_SIDE)


def _map_address(drawing: Drawing, *, texture: bool = True) -> str:
    """Return the data address of the numbered map, or of its colours alone."""
    side = MAP_SIDE if texture else INLINE_SIDE
    drawn = draw_map(drawing, texture=texture, numbered=True)
    return data_url(drawn, side=side, most=MAX_MAP_BYTES)


def _parts(detection: Detection) -> list[str]:
    """Return a sentence for each of PLACES: "top left: +0.4 towards generated"."""
    pushes = lay(detection, "causal", columns=PARTS, rows=PARTS)
    return [
        f"{_(name)}: {push(float(value))}" for name, value in zip(PLACES, pushes.flat, strict=True)
    ]


def inside_boxes(examination: Examination) -> tuple[Box, ...]:
    """Return the boxes of the pictures inside a whole one, in pixels of its file, the largest
    first."""
    if examination.part is not None:
        return ()
    boxes = next(
        (caution.boxes for caution in examination.cautions if caution.kind == "inside"), ()
    )
    return tuple(in_file(box, halved=examination.halved) for box in boxes[:MAX_INSIDE])


def inside(examination: Examination) -> str:
    """Return a button with its thumbnail for every picture inside this one, as HTML; of a part, the
    way back to the whole."""
    if examination.part is not None:
        left, top, right, bottom = examination.part.box
        width, height = number(right - left), number(bottom - top)
        return _render("part", size=f"{width} × {height}")
    picture = Image.fromarray(examination.drawing.picture)
    across, down = picture.width / examination.size[0], picture.height / examination.size[1]
    thumbnails = [
        data_url(
            picture.crop((left * across, top * down, right * across, bottom * down)), side=THUMBNAIL
        )
        for left, top, right, bottom in inside_boxes(examination)
    ]
    return _render("inside", thumbnails=thumbnails) if thumbnails else ""


def claims(provenance: Provenance, headline: Headline | None = None) -> str:
    """Return what the file says, as HTML.

    headline: says what is proved and claimed, once the pixels are judged.
    """
    evidence = card.evidence(headline) if headline and not headline.silent else ""
    return evidence + card.provenance_panel(provenance)


def facts(examination: Examination) -> str:
    """Return what was read, what was seen of it, and by which model, as HTML."""
    detection = examination.detection
    rows = {
        _("Picture"): _(
            "{width} × {height} pixels, {format}",
            width=number(examination.size[0]),
            height=number(examination.size[1]),
            format=examination.format,
        ),
        # names the map, which there is none of
        _("Seen"): "" if detection.band == NO_ANSWER else _coverage(detection),
        _("Model"): _(
            "{model}, revision {revision}", model=detection.model, revision=detection.revision
        ),
        _("Judged by"): _(JUDGED_BY[detection.head]),
        _("Time"): _("{n} seconds", n=decimal(detection.seconds, digits=2)),
        _("SHA-256 of the file"): Markup("<code>{}</code>").format(examination.sha256),
        _("Note"): paragraph(*examination.notes),
    }
    return _render("facts", rows=rows)


def regions(detection: Detection) -> str:
    """Return the map in words and numbers, as HTML: the MAX_REGIONS parts of the picture that push
    most, and how all adds up to the score."""
    parts = lay(detection, "causal", columns=PARTS, rows=PARTS)
    strongest = [
        (_place(i), float(parts.flat[i]))
        for i in np.argsort(-np.abs(parts), axis=None)[:MAX_REGIONS]
    ]
    others = float(parts.sum() - sum(value for _name, value in strongest))
    rows = [
        *strongest,
        (_("the other parts together"), others),
        (_("tied to no place in the picture"), unlocalised_logit(detection)),
        (_("sum: the score, as log-odds"), detection.logit),
    ]
    signed_rows = [_push(place, value) for place, value in rows]
    return _render("regions", balance=_balance(detection), rows=signed_rows, caveat=control())


def _map_words(detection: Detection) -> str:
    """Return the causal map in one sentence, for whoever cannot see it."""
    parts = lay(detection, "causal", columns=PARTS, rows=PARTS)
    strongest = int(np.abs(parts).argmax())
    return _(
        "Map over the picture, read by arrow keys. The strongest place is {where}, towards {side}.",
        where=_place(strongest),
        side=_side(float(parts.flat[strongest])),
    )


def _coverage(detection: Detection) -> str:
    """Return which squares and windows of the picture were seen, and how much was not."""
    squares = sum(view.view_type == "whole" for view in detection.views)
    windows = [view for view in detection.views if view.view_type == "window"]
    words = ngettext("the whole, in {n} square", "the whole, in {n} squares", squares)
    if windows:
        close = _("close up, in {windows}", windows=_windows(windows))
        words += f"; {close}"
    unseen_share = 1 - float(covered_cells(detection, columns=200, rows=200).mean())
    if unseen_share <= 0.005:
        return words
    unseen = _(
        "{percent} of the picture was not seen (pale on the map)", percent=percent(unseen_share)
    )
    return f"{words}. {unseen}"


def _windows(views: Sequence[ViewAttribution]) -> str:
    sides = Counter(round(view.box[2] - view.box[0]) for view in views)
    parts = [
        ngettext(
            "{n} window of {side} × {side} pixels",
            "{n} windows of {side} × {side} pixels",
            n,
            side=side,
        )
        for side, n in sorted(sides.items())
    ]
    return any_of(parts, style="standard")


def _place(part: int) -> str:
    return _(PLACES[part])


def _side(value: float) -> str:
    return _("generated") if value > 0 else _("not generated")


def _push(place: str, value: float) -> tuple[str, str, str]:
    """Return a place, the side that it pushes towards, and by how much."""
    side = _side(value) if abs(value) >= 0.005 else _("neither")
    sign = "\N{MINUS SIGN}" if value < 0 else "+"
    return place, side, f"{sign}{decimal(abs(value), digits=2)}"


def _balance(detection: Detection) -> str:
    """Return whether the places and the rest agree: a map may point one way and the score the
    other."""
    here, rest = localised_logit(detection.views), unlocalised_logit(detection)
    if abs(here) < 0.05:
        return _(
            "The marked places nearly cancel out; the score rests on what belongs to no single "
            "place."
        )
    if (here > 0) == (detection.logit > 0):
        return _(
            "The marked places together push towards {side}, as the score does.", side=_side(here)
        )
    return _(
        "The marked places together push towards {side}, but what belongs to no single place "
        "pushes harder towards {other}, so the map and the score point different ways. Be careful "
        "with both.",
        side=_side(here),
        other=_side(rest),
    )


def steps_panel(steps: Sequence[Step]) -> str:
    """Return what a person can do now, as HTML."""
    return _render("steps", steps=steps, sites=SITES, owners=OWNERS.values())


def left_out(faults: Sequence[str]) -> str:
    """Return why some of what was entered is not in the report, as HTML; empty where all is."""
    return _render("left_out", faults=faults) if faults else ""


def sentence(quote: str) -> str:
    """Return the sentence to paste, behind a button, as HTML."""
    return _render("quote", quote=quote)
