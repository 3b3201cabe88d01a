"""The mask of one or two pictures, drawn: a row a part of the embedding, every channel a cell in its true order.

The band shows what the mask lets through. A bar is what its channel pushes, up towards generated and down towards not
generated: in the accent colour what passes, in grey what the mask holds back. One scale for all pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from causalclip.languages import N_, _, decimal, number
from causalclip.maps.explorer import (
    PASSES,
    by_part,
    compare_masks,
    contributions,
    held_back,
    mean_mask,
    part_name,
    passing,
)
from causalclip.report.explain import difference_sentence
from ui.charts import signed

if TYPE_CHECKING:
    from causalclip.detector import Detection

PUSH = 0.04  # log-odds at the ends of a channel's bar; 99 of 100 channels push less
BAND, BAR = 6, 18  # px: the height of the band, and of a bar at most
HOW = N_(
    "Every channel of CLIP's embedding in its order. In the band, colour passes and grey is held back. A bar is what "
    "the channel pushes, up towards generated, down towards not generated; its ends are {push} log-odds, and grey is "
    "what the mask takes away from it."
)
HOW_DIFFERENT = N_(
    "Difference: up where the first mask is more open, down where the second is; coloured where a channel passes in "
    "one picture alone."
)


def mask_figure(first: Detection | None, second: Detection | None) -> str:
    """The masks of the pictures that are there as an HTML figure; empty where none is."""
    both = first is not None and second is not None
    rows = {_("first"): first, _("second"): second} if both else {"": first or second}
    there = {name: detection for name, detection in rows.items() if detection is not None}
    if not there:
        return ""
    drawn = {name: _drawn(detection) for name, detection in there.items()}
    says = _(HOW, push=signed(PUSH, 2).lstrip("+"))
    if first is not None and second is not None:
        drawn[_("difference")] = _differences(first, second)
        says = f"<b>{difference_sentence(compare_masks(first, second)[0])}</b> {says} {_(HOW_DIFFERENT)}"
    one = next(iter(there.values()))
    body = "".join(_rows(part, {name: cells[part] for name, cells in drawn.items()}) for part, _width in one.parts)
    top = "".join(f"<th scope='col'>{name}</th>" for name in (_("let through"), _("adds")))
    head = f"<tr><th scope='col' colspan='2'>{_('part of the embedding')}</th><td></td>{top}</tr>"
    return (
        f"<section class='cc-masks'><h3>{_('The mask, channel by channel')}</h3><p class='cc-small'>{says}</p>"
        f"<table class='cc-table'><thead>{head}</thead>{body}</table></section>"
    )


Cells = tuple[str, str, str]  # of a row: its drawing, how many channels pass, what they add


def _rows(part: str, drawn: dict[str, Cells]) -> str:
    lines = []
    for place, (name, (drawing, passed, adds)) in enumerate(drawn.items()):
        title = f"<th scope='rowgroup' rowspan='{len(drawn)}'>{escape(part_name(part))}</th>" if not place else ""
        cells = f"<td class='cc-drawn'>{drawing}</td><td>{passed}</td><td>{adds}</td>"
        which = f"<th scope='row'>{name}</th>" if name else "<td></td>"  # one picture alone needs no name
        lines.append(f"<tr>{title}{which}{cells}</tr>")
    return f"<tbody>{''.join(lines)}</tbody>"


def _drawn(detection: Detection) -> dict[str, Cells]:
    """A picture's rows, by part."""
    values = mean_mask(detection), contributions(detection), held_back(detection)
    mask, added, held = (by_part(detection, value) for value in values)
    found = {}
    for part, of_part in mask.items():
        whole = (added[part] + held[part]) / PUSH
        colour = _bars(added[part] / PUSH)
        grey = _bars(np.where(np.abs(held[part]) * BAR < PUSH / 2, 0, whole))  # where it is to be seen
        band = (
            f"<path class='cc-off' d='{_runs(of_part < PASSES)}'/><path class='cc-on' d='{_runs(of_part >= PASSES)}'/>"
        )
        passed = _("{n} of {all}", n=number(passing(of_part)), all=number(len(of_part)))
        drawing = f"<path class='cc-held-back' d='{grey}'/><path class='cc-passed' d='{colour}'/>{band}"
        found[part] = _svg(drawing, len(of_part)), passed, signed(float(added[part].sum()), 2)
    return found


def _differences(first: Detection, second: Detection) -> dict[str, Cells]:
    """The rows of the difference, by part."""
    found = {}
    pairs = zip(*(by_part(x, mean_mask(x)).items() for x in (first, second)), strict=True)
    for ((part, a), (_part, b)), one in zip(pairs, compare_masks(first, second)[1].values(), strict=True):
        apart = (a >= PASSES) != (b >= PASSES)
        less, more = _bars(np.where(apart, 0, a - b)), _bars(np.where(apart, a - b, 0))
        drawing = f"<path class='cc-held-back' d='{less}'/><path class='cc-passed' d='{more}'/>"
        counts = f"{number(one.only_first)} / {number(one.only_second)}"
        found[part] = _svg(drawing, len(a)), counts, decimal(one.mean, digits=2)
    return found


def _svg(drawing: str, width: int) -> str:
    high = BAND + 2 * BAR
    return f"<svg viewBox='0 0 {2 * width} {high}' preserveAspectRatio='none' aria-hidden='true'>{drawing}</svg>"


def _bars(heights: np.ndarray) -> str:
    """A path with a line for each cell, [D] in [-1, 1]: up from the band's upper edge, or down from its lower one."""
    lengths = np.clip(heights * BAR, -BAR, BAR).round().astype(int)
    edges = np.where(lengths > 0, BAR, BAR + BAND)
    return "".join(f"M{2 * i + 1} {edges[i]}v{-lengths[i]}" for i in np.flatnonzero(lengths))


def _runs(chosen: np.ndarray) -> str:
    """A path along the band over the cells that are chosen, bool [D]."""
    return "".join(f"M{2 * start} {BAR + BAND // 2}h{2 * (stop - start)}" for start, stop in _stretches(chosen))


def _stretches(chosen: np.ndarray) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]])))
    yield from (pair for pair in zip(edges[::2], edges[1::2], strict=True))
