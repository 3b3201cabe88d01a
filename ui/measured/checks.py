"""Checks on the detector: controls, changes on the way, maps, ladder, cautions; every number is the report's."""

from __future__ import annotations

from html import escape

from ui.charts import MARKS, Axis, Mark, Series, bar, legend, marks, plot, table, wilson
from ui.measured.words import AUC, HALF, SETS, Report, known, percent, set_name, side_by_side


def controls(report: Report) -> str:
    """Judges that never look for traces."""
    fixed = report["content held fixed, broad"]
    judges = {name: r for name, r in report.items() if isinstance(r, dict) and "alike" in r}
    sets = known(judges["this detector"])
    rows = []
    for name in sorted(judges, key=lambda n: n != "this detector"):
        chart = marks(_each(judges[name], sets), Axis("AUC"), line=0.5)
        rows.append([escape(name), chart, *_cells(judges[name], sets)])
    words = (
        "<p>A detector can seem good by knowing the wrong thing. These judges know only the file, only its shape, or "
        "only what the picture shows. Where one of them is far above 0.5, the test leaks that knowledge.</p>"
        "<p>Among pictures whose content scores alike (of many generators), the detector reaches "
        f"{fixed['this detector']:.3f}, content alone {fixed['content alone']:.3f}, a coin {fixed['a coin']:.3f}. "
        "Width, height and aspect are not given to the detector.</p>"
    )
    caption = f"AUC from 0 to 1; {HALF}. {legend([SETS[s] for s in sets])}"
    return words + table(caption, ["judge", "AUC", *(SETS[s] for s in sets)], rows)


def peer(report: Report) -> str:
    """Another detector on the same pictures."""
    rows = [[set_name(n), marks([Mark(v)], Axis("AUC"), line=0.5), f"{v:.3f}"] for n, v in report["auc"].items()]
    words = f"<p>{escape(report['name'])}, a detector that can be installed, on the same pictures.</p>"
    return words + table(f"AUC from 0 to 1; {HALF}", ["pictures", "AUC", "AUC"], rows)


def delivered(report: Report) -> str:
    """AUC after each change, as curves where the change has a strength, and all of them as a table."""
    auc = report["auc"]
    sets = known(auc["as it is"])
    base, falls = auc["as it is"]["all"], {n: v["all"] for n, v in auc.items()}
    worst = min(falls, key=lambda n: falls[n])
    words = (
        f"<p>The same pictures, changed as pictures are on their way. Most is lost by {escape(worst)}: the AUC of all "
        f"goes from {base:.3f} to {falls[worst]:.3f}.</p>"
    )
    figures = [
        _curve(
            auc, sets, "JPEG quality", ["as it is", "JPEG 90", "JPEG 70", "JPEG 50"], ("as it is", "90", "70", "50")
        ),
        _curve(auc, sets, "size", ["as it is", "0.75x", "0.5x"], ("as it is", "0.75", "0.5")),
    ]
    rows = [
        [
            escape(n),
            marks(_each(v, sets), AUC),
            *_cells(v, sets),
        ]
        for n, v in auc.items()
    ]
    caption = (
        f"AUC from 0.5 to 1, {report['drawn']['travel']['pictures']:,} pictures. {legend([set_name(s) for s in sets])}"
    )
    whole = table(caption, ["change", "AUC", *(set_name(s) for s in sets)], rows)
    return words + side_by_side(*(f for f in figures if f)) + whole


def shapes(report: Report) -> str:
    """AUC of the same pictures cut to other shapes: whether the verdict rests on aspect."""
    found = report["shapes"]
    sets = [s for s in known(next(iter(found.values()))) if s != "all"]
    rows = [[escape(name), marks(_each(v, sets), AUC), *_cells(v, sets)] for name, v in found.items()]
    words = (
        "<p>Generated pictures are often squares, so that a judge who only knows the shape does well on this test. "
        "This detector must not: the same pictures, cut to one shape or to the other kind's shape.</p>"
    )
    caption = (
        f"AUC from 0.5 to 1, {report['drawn']['shapes']['pictures']:,} pictures. {legend([SETS[s] for s in sets])}"
    )
    return words + table(caption, ["shape", "AUC", *(SETS[s] for s in sets)], rows)


def overturned(report: Report) -> str:
    """What the stability check does to the answers."""
    rows = [
        [f"{kind}: {band}", bar(s["after the check"]), percent(s["as it is"]), percent(s["after the check"])]
        for kind, shares in report["overturned"].items()
        for band, s in shares.items()
    ]
    words = (
        "<p>An answer that mild re-encoding puts on the threshold's other side is shown as inconclusive. This is how "
        "often each answer was given before and after that check.</p>"
    )
    return words + table("Share of the pictures", ["pictures: answer", "share after", "before", "after"], rows)


def maps(report: Report) -> str:
    """Whether maps find a pasted region."""
    auc, c = report["auc"], report["curves"]
    words = (
        f"<p>A generated region was pasted into {report['splices']:,} photographs. Take one spot inside the region and "
        f"one outside: the causal map ranks the inner one higher in {100 * auc['causal']['mean']:.0f} of 100 pairs. "
        "A coin gets 50. A map is a hint where to look, not an outline of what was changed. The last rows are for "
        "photographs that were pasted: in a photograph, 0.5 is right, as neither is generated; in a generated "
        "picture, 0 is. A map that is only bright in the centre does well here, because pasted regions "
        "rarely touch the edge.</p>"
    )
    rows = [
        [escape(n.replace("_", "-")), marks([Mark(v["mean"])], Axis("AUC"), line=0.5), f"{v['mean']:.3f}", str(v["n"])]
        for n, v in auc.items()
    ]
    rows += [
        [escape(f"causal, {n}"), marks([Mark(v["mean"])], Axis("AUC"), line=0.5), f"{v['mean']:.3f}", str(v["n"])]
        for n, v in report["controls"].items()
    ]
    note = (
        f"<p class='cc-small'>Mean log-odds for the verdict while the strongest patches are blurred out: "
        f"{c['deletion']:.2f}, in random order {c['deletion_random']:.2f} (lower is better). While they alone are "
        f"shown: {c['insertion']:.2f}, in random order {c['insertion_random']:.2f} (higher is better). "
        f"{report['curve_pictures']} pictures.</p>"
    )
    return (
        words
        + table(f"Mean AUC of each map against the region; {HALF}", ["map", "AUC", "AUC", "pictures"], rows)
        + note
    )


def ladder(report: Report) -> str:
    """Every rung under both protocols, with the spread between seeds."""
    words = (
        "<p>What each piece of the method adds, on the same data. Where the lines of two rungs overlap, this test "
        "cannot tell them apart.</p>"
    )
    pieces = []
    for protocol, rungs in report.items():
        if not isinstance(rungs, list):  # the date and the data
            continue
        names = known(rungs[0])
        rows = []
        for rung in rungs:
            values = [rung[n]["auc"] for n in names]
            dots = [
                Mark(v["mean"], m, (v["mean"] - v["spread"], v["mean"] + v["spread"]))
                for v, m in zip(values, MARKS, strict=False)
            ]
            cells = [f"{v['mean']:.3f} <small>± {v['spread']:.3f}</small>" for v in values]
            rows.append([escape(rung["name"]), marks(dots, AUC), *cells])
        caption = f"<b>{escape(protocol)}</b>: AUC from 0.5 to 1, mean of the seeds ± half their range. "
        head = ["rung", "AUC", *(set_name(n) for n in names)]
        pieces.append(table(caption + legend([set_name(n) for n in names]), head, rows))
    return words + "".join(pieces)


def cautions(report: Report) -> str:
    """How often weak spots are recognised, and how often they are named on photographs."""
    rows = [
        [
            escape(n),
            bar(r["recognised"], wilson(r["recognised"] * r["pictures"], r["pictures"])),
            percent(r["recognised"]),
        ]
        for n, r in report["recognised"].items()
    ]
    words = (
        f"<p>How often the page says that a picture is one of a kind that it judges badly. {escape(report['note'])}</p>"
    )
    return words + table("Drawings that were recognised as such", ["kind", "share", "recognised"], rows)


def _each(row: Report, sets: list[str]) -> list[Mark]:
    return [Mark(row[s], m) for s, m in zip(sets, MARKS, strict=False)]


def _cells(row: Report, sets: list[str]) -> list[str]:
    return [f"{row[s]:.3f}" for s in sets]


def _curve(auc: Report, sets: list[str], what: str, names: list[str], ticks: tuple[str, ...]) -> str:
    """A line a set over changes of growing strength; nothing where one of them was not measured."""
    if any(name not in auc for name in names):
        return ""
    series = [Series(set_name(s), [(i, auc[n][s]) for i, n in enumerate(names)], dots=True) for s in sets]
    low = min(0.5, *(y for s in series for _, y in s.points))
    x = Axis(what, 0, len(names) - 1, tuple(range(len(names))), ticks)
    y = Axis("AUC", low, 1.0, tuple(t / 10 for t in range(10, -1, -1) if t / 10 >= low))
    said = "; ".join(f"{s.name}: {s.points[0][1]:.3f} as it is, {s.points[-1][1]:.3f} at {ticks[-1]}" for s in series)
    return plot(f"AUC by {what}. {said}.", series, x, y)
