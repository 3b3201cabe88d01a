"""The mask as a heatmap: layers as rows, channels as columns, every cell from 0 (held back) to 1
(let through).

A row is drawn by the browser in the page's own colour, through a picture of one pixel a channel
whose alpha is the mask: one fixed scale for all pictures, in light and dark. assets/mask.js says
what is under the pointer.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from causalclip.examination.messages import score_text
from causalclip.languages import N_, _, decimal, number, percent
from causalclip.maps.channels import (
    MIN_PASSING,
    by_part,
    compare_masks,
    contributions,
    mean_mask,
    part_name,
    passing,
    score_under,
)
from causalclip.report.masks import difference_sentence

if TYPE_CHECKING:
    from causalclip.detection import Detection

Order = Literal["index", "mask", "push"]
ORDERS: tuple[tuple[str, Order], ...] = (
    (N_("By number"), "index"),
    (N_("By mask"), "mask"),
    (N_("By push"), "push"),
)
PUSH_UNIT = 1e-4  # log-odds; the pushes of a row are sent as whole numbers of it
TITLE = N_("The mask: {n} channels, each from 0 to 1")
HINT = N_("Point at a cell, or use the arrow keys: a cell is one channel.")
SAYS = N_("{part}, channel {channel}: mask {mask}, adds {push}")
SAYS_BOTH = N_("{part}, channel {channel}: mask {first} in the first, {second} in the second")
OPEN = N_("open")
UNDER_OTHER = N_(
    "Under the second picture's mask, the first would score {score}; its own gives {own}."
)


def _channel_orders(detection: Detection, order: Order) -> dict[str, np.ndarray]:
    """Return the channels of each part in the order of their columns: int [D_part] each.

    order: "index" as they are, "mask" the most open first, "push" from generated to not generated.
    """
    keys = {
        "index": np.zeros(sum(width for _name, width in detection.parts)),
        "mask": -mean_mask(detection),
        "push": -contributions(detection),
    }
    return {
        part: np.argsort(values, kind="stable")
        for part, values in by_part(detection, keys[order]).items()
    }


def mask_heatmaps(
    first: Detection | None,
    second: Detection | None,
    *,
    order: Order = "index",
) -> str:
    """Return the heatmap of each picture's mask and, of two, of their difference, as HTML; ""
    without a picture.

    All of them have the columns of the first one's `order`, so that a column is one channel.
    """
    reference = first or second
    if reference is None:
        return ""
    orders = _channel_orders(reference, order)
    if first is None or second is None:
        title = _(TITLE, n=number(len(mean_mask(reference))))
        body = [_heatmap(title, reference, orders)]
    else:
        difference = difference_sentence(compare_masks(first, second)[0])
        body = [
            _under_other(first, second),
            _heatmap(_("First picture"), first, orders),
            _heatmap(_("Second picture"), second, orders),
            f"<p><b>{difference}</b></p>",
            _difference(first, second, orders),
        ]
    return f"<section class='cc-masks'>{''.join(body)}</section>"


def _under_other(first: Detection, second: Detection) -> str:
    """Return the first picture's score under the second one's mask, as HTML; "" where there is
    none."""
    score = score_under(first, second)
    if score is None:
        return ""
    sentence = _(
        UNDER_OTHER,
        score=score_text(score, first.low, first.high),
        own=score_text(first.probability, first.low, first.high),
    )
    return f"<p class='cc-first'>{sentence}</p>"


def _heatmap(name: str, detection: Detection, orders: Mapping[str, np.ndarray]) -> str:
    """Return one picture's mask, part by part, with its legend, as HTML."""
    masks = by_part(detection, mean_mask(detection))
    pushes = by_part(detection, contributions(detection))
    rows = []
    for part, columns in orders.items():
        mask = masks[part][columns]
        data = {
            "part": part_name(part),
            "mask": _base64(np.round(255 * mask).astype(np.uint8)),
            "push": _base64(np.round(pushes[part][columns] / PUSH_UNIT).astype("<i2")),
            "channel": _base64(columns.astype("<u2")),
        }
        cells = _cells([("cc-mask-first", mask)], data)
        rows.append(_row(part, cells, passing(masks[part]) / len(mask)))
    low, high = _("0: held back"), _("1: let through")
    legend = f"<p class='cc-mask-scale'><span>{low}</span><i></i><span>{high}</span></p>"
    return _figure(name, rows, legend, cell_text=_(SAYS))


def _difference(first: Detection, second: Detection, orders: Mapping[str, np.ndarray]) -> str:
    """Return the first mask minus the second one, part by part, with its legend, as HTML."""
    masks = [by_part(detection, mean_mask(detection)) for detection in (first, second)]
    rows = []
    for part, columns in orders.items():
        a, b = (mask[part][columns] for mask in masks)
        data = {
            "part": part_name(part),
            "mask": _base64(np.round(255 * a).astype(np.uint8)),
            "second": _base64(np.round(255 * b).astype(np.uint8)),
            "channel": _base64(columns.astype("<u2")),
        }
        layers = [
            ("cc-mask-first", np.clip(a - b, 0, 1)),
            ("cc-mask-second", np.clip(b - a, 0, 1)),
        ]
        apart = float(((a >= MIN_PASSING) != (b >= MIN_PASSING)).mean())
        rows.append(_row(part, _cells(layers, data), apart))
    low, high = _("more open in the second"), _("more open in the first")
    legend = (
        f"<p class='cc-mask-scale cc-diverging'><span>{low}</span><i></i><span>{high}</span></p>"
    )
    return _figure(_("First minus second"), rows, legend, cell_text=_(SAYS_BOTH), open_=_("differ"))


def _figure(name: str, rows: list[str], legend: str, *, cell_text: str, open_: str = "") -> str:
    """Return rows as a figure that says what is under the pointer.

    Args:
        cell_text: the sentence on one cell, which assets/mask.js fills in.
        open_: the heading of the column of shares, if it is not "open".
    """
    point = decimal(0.5, digits=1)[1]
    grid = (
        f"<div class='cc-mask' role='application' tabindex='0' aria-label='{escape(name)}' "
        f"data-says='{escape(cell_text)}' data-point='{point}'>{''.join(rows)}</div>"
    )
    head = f"<p class='cc-mask-head'><b>{name}</b><span>{open_ or _(OPEN)}</span></p>"
    readout = f"<p class='cc-mask-said' role='status' data-hint='{_(HINT)}'>{_(HINT)}</p>"
    caption = f"<figcaption>{legend}{readout}</figcaption>"
    return f"<figure class='cc-mask-figure'>{head}{grid}{caption}</figure>"


def _row(part: str, cells: str, share: float) -> str:
    """Return a part's row as HTML: its name, its cells, and a share as a bar and in percent."""
    bar = f"<rect width='{100 * share:.1f}%' height='100%'/>"
    return (
        f"<div class='cc-mask-row'><span dir='auto'>{part_name(part)}</span>{cells}"
        f"<svg class='cc-mask-open' aria-hidden='true'>{bar}</svg>"
        f"<span>{percent(share)}</span></div>"
    )


def _cells(layers: list[tuple[str, np.ndarray]], data: Mapping[str, str]) -> str:
    """Return a row's cells as HTML, its layers over each other; assets/mask.js reads `data`."""
    layer_tags = "".join(
        f"<i class='{name}' style='--cc-alpha:url({_alpha(values)})'></i>"
        for name, values in layers
    )
    row_data = escape(json.dumps(data))
    return f"<div class='cc-mask-cells' data-row='{row_data}'>{layer_tags}<b hidden></b></div>"


def _alpha(values: np.ndarray) -> str:
    """Return values in [0, 1], [D], as the alpha of a PNG of D x 1 pixels, a data address."""
    levels = np.round(255 * values).astype(np.uint8)[None]
    picture = Image.merge("LA", [Image.new("L", levels.shape[::-1]), Image.fromarray(levels)])
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=False)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()
