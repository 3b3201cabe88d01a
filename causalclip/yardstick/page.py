"""What a calibration found, as one HTML file: sentences, a histogram, and the photographs that were accused."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from causalclip.languages import N_, _, current, decimal, is_rtl, number
from causalclip.yardstick.looking import Looked, Refused

BARS, WIDTH, HEIGHT = 20, 600, 160
MOST = 200  # photographs that are shown
LEGEND = N_("Each bar: photographs by score. Dashed: the detector's own threshold. Solid: the profile's.")
STYLE = (
    "body{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}svg{max-width:100%;height:auto}"
    "figure{display:inline-block;margin:.5rem;width:240px;vertical-align:top;overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){body{background:#1c1917;color:#f5f5f4}}"
)


def as_page(
    said: Sequence[str], looked: Sequence[Looked], refused: Sequence[Refused], *, shipped: float, high: float
) -> str:
    """The page; it needs nothing beside it, and holds small copies of the accused photographs.

    shipped, high: the detector's own threshold, and that of the profile.
    """
    title = _("Your archive as the yardstick")
    return (
        f'<!doctype html><html lang="{current()}" dir="{"rtl" if is_rtl() else "ltr"}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1>{as_section(said, looked, refused, shipped=shipped, high=high)}</html>\n"
    )


def as_section(
    said: Sequence[str], looked: Sequence[Looked], refused: Sequence[Refused], *, shipped: float, high: float
) -> str:
    """What as_page shows beneath its title."""
    accused = sorted((one for one in looked if one.score >= shipped), key=lambda one: -one.score)
    shown = "".join(
        f"<figure><img alt='' src='{one.small}'><figcaption dir='auto'>{escape(one.name)}: "
        f"{decimal(one.score, digits=3)}</figcaption></figure>"
        for one in accused[:MOST]
    )
    errors = "".join(f"<li dir='auto'>{escape(one.name)}: {escape(one.sentence)}</li>" for one in refused)
    unread = _("Not read: {n}", n=number(len(refused)))
    return (
        "".join(f"<p>{escape(sentence)}</p>" for sentence in said)
        + histogram([one.score for one in looked], shipped, high)
        + f"<h2>{_('Photographs that were called likely generated: {n}', n=number(len(accused)))}</h2>"
        + (shown or f"<p>{_('None.')}</p>")
        + (f"<h2>{unread}</h2><ul>{errors}</ul>" if refused else "")
    )


def histogram(scores: Sequence[float], shipped: float, high: float) -> str:
    """How many photographs have which score, as SVG, with both thresholds."""
    counts, edges = np.histogram(scores, bins=BARS, range=(0, 1))
    most, step = max(1, int(counts.max())), WIDTH / BARS
    bars = "".join(
        f"<rect x='{i * step + 1:.1f}' y='{HEIGHT * (1 - n / most):.1f}' width='{step - 2:.1f}' "
        f"height='{HEIGHT * n / most:.1f}' fill='#0d9488'><title>{a:.2f}\N{EN DASH}{b:.2f}: {n}</title></rect>"
        for i, (n, a, b) in enumerate(zip(counts, edges, edges[1:], strict=False))
    )
    lines = "".join(
        f"<line x1='{x * WIDTH:.1f}' x2='{x * WIDTH:.1f}' y1='0' y2='{HEIGHT}' stroke='#b45309' stroke-width='2' "
        f"stroke-dasharray='{dash}'/>"
        for x, dash in ((shipped, "4 4"), (min(1.0, high), "none"))
    )
    words = _(
        "Histogram of the scores. Photographs: {n}; in the highest bar: {most}. Thresholds: {shipped} and {high}.",
        n=number(len(scores)),
        most=number(most),
        shipped=decimal(shipped, digits=2),
        high=decimal(high, digits=2),
    )
    ticks = "".join(
        f"<text x='{x * WIDTH:.0f}' y='{HEIGHT + 20}' text-anchor='{at}' font-size='18' fill='currentColor'>"
        f"{x:g}</text>"
        for x, at in ((0, "start"), (0.5, "middle"), (1, "end"))
    )
    legend = _(LEGEND)
    return (
        f"<svg role='img' aria-label='{escape(words)}' viewBox='0 0 {WIDTH} {HEIGHT + 24}' width='{WIDTH}' "
        f"direction='ltr'>"
        f"{bars}{lines}{ticks}</svg><p>{legend}</p>"
    )
