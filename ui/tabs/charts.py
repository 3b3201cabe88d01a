"""Charts of measured numbers as SVG inside HTML tables.

The numbers stand beside every mark, so that nobody needs to see it. Colours are in
assets/reviewer.css; series differ in shape and dash, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from causalclip.languages import decimal, figure, is_rtl, percent

HEIGHT = 20  # px of a row's chart
WIDE, HIGH, LEFT, BOTTOM, TOP = 360, 320, 54, 44, 10  # px of a plot, and its margins
FALL_WIDE, FALL_LEFT = 720, 90  # px of `fall`: its width, its axis' left end
FALL_ROW, FALL_NAMES = 114, 24  # px of a group's row, and of a line of the names of the bands
FALL_FITS = 20  # characters of such a name that a phone has room for on one line
MARKS = {  # one a series, in this order; all centred on 0, 0
    "a": "<circle r='5'/>",
    "b": "<path d='M0 -6.5 6.5 0 0 6.5 -6.5 0Z'/>",
    "c": "<rect x='-4.5' y='-4.5' width='9' height='9'/>",
    "d": "<path d='M0 -7 6.5 5 -6.5 5Z'/>",
    "e": "<path d='M-5 0H5M0 -5V5' stroke-width='3'/>",
}
BEYOND = {True: "<path d='M-4 -6 6 0 -4 6Z'/>", False: "<path d='M4 -6 -6 0 4 6Z'/>"}  # right, left
DASHES = {"a": "", "b": "7 3", "c": "2 3", "d": "", "e": "1 3"}

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mark:
    """A value in a row of a table.

    Attributes:
        series: a key of MARKS.
        interval: drawn as a line through the mark.
    """

    value: float
    series: str = "a"
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a plot.

    Attributes:
        points: (x, y) each.
        intervals: of y, one for each point, where there are any.
        dots: whether each point has the series' mark.
    """

    name: str
    points: Sequence[tuple[float, float]]
    intervals: Sequence[Interval] = ()
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a chart, from `low` to `high`.

    Attributes:
        name: with the unit.
        words: that stand at the ticks, where that are not their numbers.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    ticks: tuple[float, ...] = (0, 0.25, 0.5, 0.75, 1)
    words: tuple[str, ...] = field(default=())

    def share(self, value: float) -> float:
        """Return where a value lies: 0 at `low`, 1 at `high`; the nearer one for what lies
        outside."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def labels(self) -> tuple[str, ...]:
        """Return what stands at each tick."""
        return self.words or tuple(map(figure, self.ticks))


def signed(value: float, digits: int = 2) -> str:
    """Return a number with its sign, which stays before it in every script."""
    sign = "\N{MINUS SIGN}" if f"{value:+.{digits}f}".startswith("-") else "+"
    mark = "\N{LEFT-TO-RIGHT MARK}" if is_rtl() else ""
    return f"{mark}{sign}{decimal(abs(value), digits=digits)}"


def bar(value: float, interval: Interval | None = None) -> str:
    """Return a bar from 0 to `value` in [0, 1], with its interval as a line, as SVG."""
    whisker = _whisker(Mark(value, "a", interval), Axis("")) if interval else ""
    return _cell(
        f"<rect class='cc-bar' y='4' width='{100 * value:.2f}%' height='{HEIGHT - 8}'/>{whisker}"
    )


def marks(values: Sequence[Mark], axis: Axis, *, line: float | None = None) -> str:
    """Return marks on one axis, as SVG.

    line: a value to compare with, such as a coin's 0.5.
    """
    rule = "" if line is None else f"<line class='cc-rule' {_upright(axis.share(line))}/>"
    body = "".join(_whisker(m, axis) + _mark(m, axis) for m in values)
    return _cell(
        f"<line class='cc-base' x1='0' x2='100%' y1='{HEIGHT / 2}' y2='{HEIGHT / 2}'/>{rule}{body}"
    )


def stack(shares: Sequence[float]) -> str:
    """Return shares that add up to 1 side by side in one bar, as SVG."""
    start = 0.0
    body = ""
    for place, share in enumerate(shares):
        across = f"x='{100 * start:.2f}%' width='{100 * share:.2f}%'"
        body += f"<rect class='cc-share-{place}' {across} y='4' height='{HEIGHT - 8}'/>"
        start += share
    return _cell(body)


def stack_legend(names: Sequence[str]) -> str:
    """Return what each share of a stack is, in a line, as HTML."""
    return " ".join(
        "<span class='cc-key'><svg width='14' height='14' aria-hidden='true'>"
        f"<rect class='cc-share-{place}' width='14' height='14'/></svg> {escape(name)}</span>"
        for place, name in enumerate(names)
    )


def fall(
    words: str,
    counts: Mapping[str, Sequence[int]],
    x: Axis,
    lines: Sequence[float] = (),
    bands: Sequence[str] = (),
) -> str:
    """Return where groups fall on an axis, as SVG: a row of columns for each group, every column
    over its own stretch of the axis.

    Args:
        words: what the chart shows, for whoever cannot see it.
        counts: by the group's name, of equally wide stretches from x.low to x.high.
        lines: values that are marked.
        bands: names of what lies before, between and after the lines.
    """
    # 1. How large it is.
    shares = {
        name: [count / max(1, sum(group)) for count in group] for name, group in counts.items()
    }
    most = max(max(group) for group in shares.values()) or 1
    titles = _on_lines(bands) if lines else []
    top = FALL_NAMES * max(map(len, titles), default=0)
    bottom = top + len(shares) * FALL_ROW
    body = ""
    # 2. The lines, and the names of what lies between them.
    for line in lines:
        place = _along(x.share(line))
        body += (
            f"<line class='cc-rule' x1='{place:.1f}' x2='{place:.1f}' y1='{top}' y2='{bottom}'/>"
        )
    if top:
        edges = [x.low, *lines, x.high]
        places = [
            (edges[0], "start"),
            *((sum(e) / 2, "middle") for e in pairwise(edges[1:-1])),
            (edges[-1], "end"),
        ]
        for title, (value, anchor) in zip(titles, places, strict=True):
            at = _along(x.share(value))
            for i, part in enumerate(title):
                body += (
                    f"<text x='{at:.1f}' y='{18 + i * FALL_NAMES}' "
                    f"text-anchor='{anchor}'>{escape(part)}</text>"
                )
    # 3. The columns of each group.
    for row, (name, group) in enumerate(shares.items()):
        body += _columns(row, top + (row + 1) * FALL_ROW, name, group, most)
    # 4. The axis.
    for tick, label in zip(x.ticks, x.labels(), strict=True):
        at = _along(x.share(tick))
        body += f"<text x='{at:.1f}' y='{bottom + 16}' text-anchor='middle'>{escape(label)}</text>"
    body += f"<text x='0' y='{bottom + 16}'>{escape(x.name)}</text>"
    view = f"viewBox='0 0 {FALL_WIDE} {bottom + 24}'"
    return (
        f"<figure class='cc-plot cc-fall'><svg {view} role='img' "
        f"aria-label='{escape(words)}'>{body}</svg></figure>"
    )


def _on_lines(names: Sequence[str]) -> list[list[str]]:
    """Return each name as its lines: one, or two for all where one of them is too long."""
    if max(map(len, names), default=0) <= FALL_FITS:
        return [[name] for name in names]
    halves = []
    for name in names:
        words = name.split(" ")
        ways = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
        halves.append(list(min(ways, key=lambda way: max(map(len, way)), default=(name,))))
    return halves


def _along(share: float) -> float:
    """Return where a share of the axis of `fall` lies, in px."""
    return FALL_LEFT + (FALL_WIDE - FALL_LEFT - 20) * share


def _columns(row: int, floor: float, name: str, shares: Sequence[float], most: float) -> str:
    """Return one group of `fall`, as SVG: its name, its columns with the share above those that are
    a tenth or more, and its floor."""
    body = f"<text x='0' y='{floor - 8}'>{escape(name)}</text>"
    for i, share in enumerate(shares):
        start, end = _along(i / len(shares)), _along((i + 1) / len(shares))
        top = floor - (FALL_ROW - 24) * share / most
        body += (
            f"<rect class='cc-fall-{row}' x='{start:.1f}' y='{top:.1f}' width='{end - start:.1f}' "
            f"height='{floor - top:.1f}'/>"
        )
        if share >= 0.1:
            label = percent(share)
            body += (
                f"<text x='{(start + end) / 2:.1f}' y='{top - 4:.1f}' "
                f"text-anchor='middle'>{label}</text>"
            )
    return (
        f"{body}<line class='cc-base' x1='{_along(0):.1f}' x2='{_along(1):.1f}' y1='{floor}' "
        f"y2='{floor}'/>"
    )


def key(series: str, name: str) -> str:
    """Return a series' mark with its name, as HTML. series: a key of MARKS."""
    icon = (
        f"<svg width='14' height='14' viewBox='-7 -7 14 14' aria-hidden='true' class='cc-{series}'>"
    )
    return f"<span class='cc-key'>{icon}{MARKS[series]}</svg> {escape(name)}</span>"


def legend(names: Sequence[str]) -> str:
    """Return each series' mark with its name, in a line, as HTML."""
    return " ".join(key(series, name) for series, name in zip(MARKS, names, strict=False))


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an HTML table whose first column is a row's header, and whose second one is of charts,
    which are not read out. rows: their cells are HTML."""
    tops = "".join(_top(name, _kind(i)) for i, name in enumerate(head))
    body = "".join(
        f"<tr><th scope='row'>{row[0]}</th>"
        + "".join(f"<td{_kind(i)}>{cell}</td>" for i, cell in enumerate(row[1:], 1))
        + "</tr>"
        for row in rows
    )
    top = f"<caption>{caption}</caption><thead><tr>{tops}</tr></thead>"
    return f"<table class='cc-table cc-measures'>{top}<tbody>{body}</tbody></table>"


def plot(words: str, series: Sequence[Series], x: Axis, y: Axis) -> str:
    """Return a plot of lines with axes and names, as HTML.

    words: what it shows, for whoever cannot see it.
    """
    ticks = "".join(_tick_x(x, i) for i in range(len(x.ticks)))
    ticks += "".join(_tick_y(y, i) for i in range(len(y.ticks)))
    lines = "".join(_line(s, name, x, y) for name, s in zip(MARKS, series, strict=False))
    names = (
        f"<text x='{(LEFT + WIDE) / 2}' y='{HIGH - 6}' "
        f"text-anchor='middle'>{escape(x.name)}</text><text transform='translate(12 "
        f"{(HIGH - BOTTOM + TOP) / 2}) rotate(-90)' text-anchor='middle'>{escape(y.name)}</text>"
    )
    caption = f"<figcaption>{legend([s.name for s in series])}</figcaption>"
    return (
        f"<figure class='cc-plot'><svg viewBox='0 0 {WIDE} {HIGH}' role='img' "
        f"aria-label='{escape(words)}'>"
        f"{ticks}{lines}{names}</svg>{caption}</figure>"
    )


def _top(name: str, kind: str) -> str:
    """Return a column's header; that of a chart is not shown, and a column without a name has
    none."""
    if not name:
        return f"<td{kind}></td>"
    return f"<th scope='col'{kind}>{f'<span class=cc-hidden>{name}</span>' if kind else name}</th>"


def _kind(column: int) -> str:
    """Return the class of a column's cells, for the one of charts alone."""
    return " class='cc-chart'" if column == 1 else ""


def _cell(body: str) -> str:
    return f"<svg width='100%' height='{HEIGHT}' aria-hidden='true' focusable='false'>{body}</svg>"


def _upright(share: float) -> str:
    """Return the attributes of an upright line at a share of a cell's width."""
    return f"x1='{100 * share:.2f}%' x2='{100 * share:.2f}%' y1='0' y2='{HEIGHT}'"


def _whisker(mark: Mark, axis: Axis) -> str:
    """Return a mark's interval as a line; "" without one."""
    if mark.interval is None:
        return ""
    low, high = (100 * axis.share(v) for v in mark.interval)
    middle = HEIGHT / 2
    return (
        f"<line class='cc-whisker' x1='{low:.2f}%' x2='{high:.2f}%' y1='{middle}' y2='{middle}'/>"
    )


def _mark(mark: Mark, axis: Axis) -> str:
    """Return a mark at its place in a cell; at the ends it stays inside, and an arrow stands for
    what lies beyond them."""
    at = min(98.0, max(2.0, 100 * axis.share(mark.value)))
    is_beyond = not axis.low <= mark.value <= axis.high
    shape = BEYOND[mark.value > axis.high] if is_beyond else MARKS[mark.series]
    shape = f"<g transform='translate(0 {HEIGHT / 2})' class='cc-{mark.series}'>{shape}</g>"
    return f"<svg x='{at:.2f}%' overflow='visible'>{shape}</svg>"


def _at(point: tuple[float, float], x: Axis, y: Axis) -> tuple[float, float]:
    """Return where a point of a plot lies, in px from the top left."""
    width, height = WIDE - LEFT - 12, HIGH - BOTTOM - TOP
    return LEFT + width * x.share(point[0]), HIGH - BOTTOM - height * y.share(point[1])


def _path(points: Sequence[tuple[float, float]], x: Axis, y: Axis, attributes: str) -> str:
    """Return a line through points of a plot."""
    places = " ".join("{:.1f},{:.1f}".format(*_at(p, x, y)) for p in points)
    return f"<polyline points='{places}' fill='none' {attributes}/>"


def _line(series: Series, name: str, x: Axis, y: Axis) -> str:
    """Return a series of a plot: its line, its intervals and its dots. name: a key of MARKS."""
    body = _path(
        series.points, x, y, f"class='cc-line cc-{name}' stroke-dasharray='{DASHES[name]}'"
    )
    for (px, _), (low, high) in zip(series.points, series.intervals, strict=False):
        body += _path([(px, low), (px, high)], x, y, "class='cc-whisker'")
    if series.dots:
        for point in series.points:
            x_place, top = _at(point, x, y)
            body += (
                f"<g transform='translate({x_place:.1f} {top:.1f})' "
                f"class='cc-{name}'>{MARKS[name]}</g>"
            )
    return body


def _tick_x(axis: Axis, i: int) -> str:
    """Return the tick with the index `i` on a plot's horizontal axis, with its line and words."""
    x_place, bottom = _at((axis.ticks[i], 0), axis, Axis("", 0, 1))
    across = f"x1='{x_place:.1f}' x2='{x_place:.1f}'"
    line = f"<line class='cc-grid' {across} y1='{TOP}' y2='{bottom:.1f}'/>"
    return (
        f"{line}<text x='{x_place:.1f}' y='{bottom + 16:.1f}' "
        f"text-anchor='middle'>{escape(axis.labels()[i])}</text>"
    )


def _tick_y(axis: Axis, i: int) -> str:
    """Return the tick with the index `i` on a plot's vertical axis, with its line and words."""
    x_place, top = _at((0, axis.ticks[i]), Axis("", 0, 1), axis)
    line = f"<line class='cc-grid' x1='{x_place}' x2='{WIDE - 12}' y1='{top:.1f}' y2='{top:.1f}'/>"
    return (
        f"{line}<text x='{x_place - 6}' y='{top + 4:.1f}' "
        f"text-anchor='end'>{escape(axis.labels()[i])}</text>"
    )
