"""A chart as SVG, by matplotlib. Its numbers stand in a table beside it, so that nobody needs to see it."""

from __future__ import annotations

import io
import re
import textwrap
from html import escape

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ui.measured.tables import Chart

INK, QUIET = "#1c1917", "#57534e"
COLOURS = {"#0f766e": "--cc-a", "#b45309": "--cc-b", "#54308c": "--cc-not-generated", "#9f1239": "--cc-error"}
STYLES = {
    INK: "--body-text-color",
    QUIET: "--cc-quiet",
    "#d6d3d1": "--cc-line",
} | COLOURS  # colours of the page's style
STACKED = ("#54308c", "#d6d3d1", "#b45309", "#57534e")  # not generated, inconclusive, generated, no answer
SHAPES = "oDs^X"  # series differ in shape, too


def draw(chart: Chart, title: str, *, page: bool = True) -> str:
    """An <svg> with a name for who cannot see it. page: in the colours of the page's style, light or dark."""
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": title}
    ):  # of SVG alone: maps are drawn beside it
        most = max((len(points) for points in chart.series.values()), default=0)
        high = 0.9 + 0.2 * len(chart.series) + most * (0.22 if chart.stacked else 0.2 + 0.06 * len(chart.series))
        figure = Figure(figsize=(6, high), layout="constrained")
        axes = figure.add_subplot()
        (_stack if chart.stacked else _dots)(axes, chart)
        axes.set_yticks(range(len(chart.labels)), [textwrap.fill(label.replace("`", ""), 34) for label in chart.labels])
        axes.set_ylim(len(chart.labels) - 0.4, -0.6)
        axes.set_xlim(chart.low, 1)
        axes.set_xlabel(chart.axis, color=INK)
        axes.tick_params(colors=INK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(QUIET)
        if len(chart.series) > 1:
            figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=9, labelcolor=INK)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=page, metadata={"Date": None, "Creator": None})
    svg = file.getvalue().partition("<svg")[2]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)  # its rules are for all pages
    svg = re.sub(r"font: ?[^;\"]*?([\d.]+px)[^;\"]*", r"font-size: \1", svg)
    used = set(re.findall(r"#(\w+)[\")]", svg))
    svg = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", svg)  # ids of other charts
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    for colour, name in STYLES.items() if page else ():
        svg = svg.replace(colour, f"var({name}, {colour})")
    return f'<svg role="img" aria-label="{escape(_said(chart, title))}" {svg.strip()}'


def _dots(axes: Axes, chart: Chart) -> None:
    """A dot for each value, with its interval as a line; series beside each other in a label's row."""
    if chart.line is not None:
        axes.axvline(chart.line, color=QUIET, linestyle=":", linewidth=1)
    axes.grid(axis="x", color="#d6d3d1", linewidth=0.6)
    colours = [*COLOURS, INK]
    for number, (name, points) in enumerate(chart.series.items()):
        at = (number - (len(chart.series) - 1) / 2) * 0.8 / max(1, len(chart.series))
        colour, shape = colours[number % len(colours)], SHAPES[number % len(SHAPES)]
        there = [(row + at, point) for row, point in enumerate(points) if point is not None]
        axes.plot([p.value for _, p in there], [y for y, _ in there], shape, color=colour, label=name, markersize=4.5)
        for y, p in there:
            if p.low is not None and p.high is not None:
                axes.plot([p.low, p.high], [y, y], color=colour, linewidth=1.2)


def _stack(axes: Axes, chart: Chart) -> None:
    left = [0.0] * len(chart.labels)
    for colour, (name, points) in zip(STACKED, chart.series.items(), strict=False):
        values = [point.value if point else 0.0 for point in points]
        axes.barh(range(len(values)), values, left=left, color=colour, label=name, height=0.7)
        left = [a + b for a, b in zip(left, values, strict=True)]


def _said(chart: Chart, title: str) -> str:
    rows = []
    for row, label in enumerate(chart.labels):
        found = [f"{name} {p[row].value:.2f}" for name, p in chart.series.items() if p[row] is not None]  # type: ignore[union-attr]
        rows.append(f"{label}: {', '.join(found)}")
    return f"{title} {chart.axis}. {'; '.join(rows)}.".replace("`", "")
