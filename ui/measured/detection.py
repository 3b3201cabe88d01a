"""What was measured of the detector on its test, in words, charts and tables; every number is the report's."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from causalclip.report.card import TONE
from ui.charts import Axis, Mark, Series, bar, marks, plot, stack, table, wilson
from ui.measured.words import AUC, HALF, SETS_WORDS, Report, percent, set_name, sets_of, side_by_side, source_name

if TYPE_CHECKING:
    from causalclip.calibration import Band


def answers(test: Report) -> str:
    """Shares of each answer, real and generated apart."""
    words = "".join(f"<p>{_answered(kind, test['all'])}</p>" for kind in ("real", "generated"))
    rows = []
    for name in sets_of(test):
        for kind in ("real", "generated"):
            shares = [(band, test[name]["bands"][band][kind]) for band in TONE]
            chart = stack([(f"cc-band-{TONE[band]}", share) for band, share in shares])
            rows.append([f"{kind}, {set_name(name)}", chart, *(percent(share) for _, share in shares)])
    caption = "Answers from left to right: " + ", ".join(TONE)
    note = (
        f"<p class='cc-small'>{SETS_WORDS} The bands were set on other pictures than these. These are the answers "
        "before the stability check, which can turn an answer into inconclusive. What is left of a row got no answer: "
        "it was taken for a drawing, a screenshot or another kind of picture that is no photograph.</p>"
    )
    return words + table(caption, ["pictures", "shares", *TONE], rows) + note


def ranking(test: Report) -> str:
    """ROC curves, and the measures that come from the ranking."""
    pairs = " and ".join(
        f"{100 * test[name]['auc']:.0f} of 100 ({set_name(name)})" for name in sets_of(test) if name != "all"
    )
    words = (
        "<p>Take one real and one generated picture at random. In how many of 100 such pairs does the generated one "
        f"get the higher score? In {pairs or round(100 * test['all']['auc'])}. Tossing a coin gives 50.</p>"
    )
    series = [Series(set_name(name), test[name]["roc"]) for name in sets_of(test)]
    found = "; ".join(f"{set_name(n)}: {percent(test[n]['tpr_at_5_fpr'])}" for n in sets_of(test))
    alt = f"ROC curves. Generated pictures found while 5 of 100 real ones are flagged: {found}."
    figure = plot(
        alt,
        series,
        Axis("share of real pictures that are flagged"),
        Axis("share of generated ones found"),
        diagonal=True,
    )
    rows = [
        [
            set_name(n),
            marks([Mark(r["auc"], "a", tuple(r["auc_interval"]))], AUC),
            _interval(r["auc"], r["auc_interval"]),
            f"{r['ap']:.3f}",
            percent(r["tpr_at_5_fpr"]),
            percent(r["tpr_at_1_fpr"]),
        ]
        for n in sets_of(test)
        for r in [test[n]]
    ]
    head = ["pictures", "AUC from 0.5 to 1", "AUC", "AP", "found at 5 % false alarms", "found at 1 %"]
    return words + side_by_side(figure, table("Intervals hold 95 % of resampled test sets.", head, rows))


def calibration(test: Report) -> str:
    """Reliability diagrams, and what they do not say."""
    whole = test["all"]
    share = sum(r["generated"] for r in whole["reliability"]) / whole["pictures"]
    words = (
        f"<p>Does a score of 0.8 mean that 8 of 10 such pictures were generated? On average the score is off by "
        f"{whole['ece']:.2f} (expected calibration error, all pictures). Points above the diagonal: more were "
        f"generated than the score says. Below: fewer.</p><p>{percent(share)} of these pictures are generated. Where "
        "generated pictures are rarer than that, a high score is wrong more often than is shown here.</p>"
    )
    figures = []
    for name in sets_of(test):
        rows = test[name]["reliability"]
        points = [(r["mean_probability"], r["generated"] / r["pictures"]) for r in rows]
        intervals = [wilson(r["generated"], r["pictures"]) for r in rows]
        label = f"{set_name(name)}: error {test[name]['ece']:.2f}, {test[name]['pictures']:,} pictures"
        alt = f"Reliability diagram, {label}. " + "; ".join(f"score {x:.2f}: {percent(y)} generated" for x, y in points)
        x, y = Axis("score"), Axis("share that was generated")
        figures.append(plot(alt, [Series(label, points, intervals, dots=True)], x, y, diagonal=True))
    note = "<p class='cc-small'>Vertical lines: 95 % intervals (Wilson). Few pictures make them long.</p>"
    return words + side_by_side(*figures) + note


def sources(test: Report) -> str:
    """Every generator and every collection of real pictures, the worst first."""
    pieces = []
    for kind, generated in (("generated", True), ("real", False)):
        found = {n: r for n, r in test["sources"].items() if bool(r["generated"]) == generated}
        if not found:
            continue
        order = sorted(found, key=lambda n: (found[n]["accuracy"], n))
        words = [f"{source_name(n)} ({_right(found[n])} of {found[n]['pictures']})" for n in order[:3]]
        rows = [_source(name, found[name]) for name in order]
        pieces.append(
            f"<div><p>Sources of {kind} pictures: {len(found)}. Judged worst: {', '.join(words)}.</p>"
            + table(f"{kind.capitalize()} pictures judged rightly", ["source", "share", "right", "of"], rows)
            + "</div>"
        )
    note = (
        f"<p class='cc-small'>Judged rightly: on the right side of {test['threshold']:.2f}, with no inconclusive "
        "answers. Lines: 95 % intervals (Wilson). Most sources have few pictures, so that their order is partly "
        "chance.</p>"
    )
    return side_by_side(*pieces) + note


def sites(test: Report) -> str:
    """AUC inside each site of like content."""
    found = test["alike_sites"]
    if not found:
        return "<p>No site has enough pictures of both kinds.</p>"
    order = sorted(found, key=lambda n: found[n])
    worst, best = (f"{escape(_site(n))} ({found[n]:.2f})" for n in (order[0], order[-1]))
    words = (
        "<p>Inside one site, real and generated pictures show the same kinds of thing. How well the score ranks them "
        f"there: worst {worst}, best {best}.</p>"
    )
    rows = [[escape(_site(n)), marks([Mark(found[n])], Axis("AUC"), line=0.5), f"{found[n]:.3f}"] for n in order]
    return words + table(f"AUC from 0 to 1; {HALF}", ["site", "AUC", "AUC"], rows)


def _answered(kind: str, whole: dict[str, Any]) -> str:
    """The three shares, and how sure the wrong one is: none of a few hundred is not never."""
    shares = {band: whole["bands"][band][kind] for band in reversed(TONE)}
    generated = sum(row["generated"] for row in whole["reliability"])
    count = generated if kind == "generated" else whole["pictures"] - generated
    wrong: Band = "likely generated" if kind == "real" else "likely not generated"
    low, high = wilson(shares[wrong] * count, count)
    said = ", ".join(f"{percent(share)} <b>{band}</b>" for band, share in shares.items())
    return (
        f"Of the {count:,} {kind} pictures, {said}. Wrong are those called {wrong}: "
        f"{round(shares[wrong] * count)} of {count:,}, which fits a share of {100 * low:.1f} to {100 * high:.1f} %."
    )


def _source(name: str, row: dict[str, Any]) -> list[str]:
    right = _right(row)
    return [
        source_name(name),
        bar(row["accuracy"], wilson(right, row["pictures"])),
        percent(row["accuracy"]),
        str(row["pictures"]),
    ]


def _right(row: dict[str, Any]) -> int:
    return round(row["accuracy"] * row["pictures"])


def _interval(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.3f} <small>({interval[0]:.3f} to {interval[1]:.3f})</small>"


def _site(name: str) -> str:
    return name.removeprefix("site ")
