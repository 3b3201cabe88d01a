"""What the verdict must not rest on, and what is left of it once a picture has travelled."""

from benchmarks.tables.aims import Aim, at_most
from benchmarks.tables.markdown import Report, named, ordered, percent, short, table

BASE = "as it is"
CONTROLS = {  # the name in the file -> the words of the row, and its name where content is held fixed
    "this detector": ("this detector", "this detector"),
    "content alone (64 px thumbnail)": ("content alone (64 px thumbnail)", "content alone"),
    "format, quality, bytes a pixel": ("format, quality, bytes a pixel", ""),
    "width, height, aspect": ("width, height, aspect: a leak of this data (fitted on `test` itself, crossed)", ""),
}


def controls(report: Report) -> str:
    fixed, sets = report["content held fixed, broad"], ordered(report["this detector"])
    rows = [
        [words, *(f"{report[name][s]:.3f}" for s in sets), f"{fixed[same]:.3f}" if same else ""]
        for name, (words, same) in CONTROLS.items()
    ]
    return table(["AUC", *map(short, sets), "`broad`, content held fixed"], rows)


def peer(report: Report) -> str:
    sets = ordered(report["auc"])
    rows = [[report["name"], *(f"{report['auc'][s]:.3f}" for s in sets)]]
    if "pictures" in report:  # of which some are drawn by lot
        rows.append(["pictures", *(str(report["pictures"][s]) for s in sets)])
    return table(["AUC", *map(short, sets)], rows)


def robustness(report: Report) -> str:
    """AUC after each delivery; what was lost by those that have an aim, with its interval; which pictures."""
    sets = ordered(next(iter(report["lost"].values())))
    lost = table(
        ["AUC lost (95 %)", *map(short, sets)],
        [[name, *("{:.3f} ({:.2f} to {:.2f})".format(*of[s]) for s in sets)] for name, of in report["lost"].items()],
    )
    return f"{_changed(report['auc'])}\n\n{lost}\n\n{drawn(report, 'travel')}"


def drawn(report: Report, name: str) -> str:
    """Which pictures a table of robustness.json stands on."""
    of = report["drawn"][name]
    counts: dict[str, list[str]] = {}
    for cell, n in of["cells"].items():
        name, _, kind = cell.rpartition(", ")
        counts.setdefault(short(name), []).append(f"{n} {kind}")
    cells = "; ".join(f"{name} {' and '.join(both)}" for name, both in counts.items())
    judged = ", ".join(f"{n} in {runtime}" for runtime, n in of["runtimes"].items())
    return (
        f"{of['pictures']} pictures of `test` by lot, of at most {report['megapixels_at_most']:g} megapixels: "
        f"{cells}. Over all of `test` they count by the shares of sets and classes there. Judged by "
        f"{report['revision']}: {judged}."
    )


def shapes(report: Report) -> str:
    note = "Cutting also takes away a part of the picture. Compare the crop to 75 % above, which keeps the shape."
    return f"{_changed(report['shapes'])}\n\n{drawn(report, 'shapes')} {note}"


def retouched(report: Report) -> str:
    """Pictures called likely generated, as they are and retouched; empty where that was not measured."""
    if "retouched" not in report:
        return ""
    found = report["retouched"]
    rows = [
        [named(name), kind, *(percent(share[kind]) for share in found[name].values())]
        for name in ordered(found)
        for kind in ("real", "generated")
    ]
    return f"{table(['set', 'pictures', *next(iter(found.values()))], rows)}\n\n{drawn(report, 'retouched')}"


def controls_aims(report: Report) -> list[Aim]:
    found = max(report["format, quality, bytes a pixel"].values())
    why = "`sites` holds files as they were found, and generated ones are PNG more often. No verdict sees the format."
    return [at_most("AUC of format, quality and bytes a pixel alone, on every set", found, 0.60, why)]


def robustness_aims(report: Report) -> list[Aim]:
    before = report["shapes"][BASE]
    found = {(name, s): interval for name, of in report["lost"].items() for s, interval in of.items()}
    (name, s), (most, low, high) = max(found.items(), key=lambda item: item[1][0])
    whole = max(interval[0] for (_, s), interval in found.items() if s == "all")
    moved = max(abs(v[s] - before[s]) for v in report["shapes"].values() for s in before)
    what = "AUC lost at JPEG 50, WebP 80, half the size and a social network's copy, at most 0.03"
    few = f"Measured on {report['drawn']['travel']['pictures']} pictures, which are few for a set."
    cut = "Cutting also takes away a part of the picture."
    return [
        Aim(f"{what}, on all of `test`", whole <= 0.03, f"{whole:.3f}", few),
        Aim(
            f"{what}, on every set",
            most <= 0.03,
            f"{most:.3f} ({short(s)}, {name}; 95 %: {low:.2f} to {high:.2f})",
            few,
            short="robustness on every set",
        ),
        at_most("AUC moved by another shape, on every set", moved, 0.02, cut, short="other shapes"),
        *_accusations(report),
    ]


def _accusations(report: Report) -> list[Aim]:
    shares = report.get("retouched", {}).values()
    worst = max((share["real"] for found in shares for share in found.values()), default=None)
    what = "real pictures called *likely generated*, as they are or retouched, at most 3 % of every set"
    short_words = "at most 3 % accused once retouched"
    few = "Measured on few pictures of each set."
    return [] if worst is None else [Aim(what, worst <= 0.03, f"{100 * worst:.1f} %", few, short=short_words)]


def _changed(aucs: dict[str, dict[str, float]]) -> str:
    """AUC after each change, with what it moved by."""
    base, sets = aucs[BASE], ordered(aucs[BASE])
    rows = [
        [name, *(f"{v[s]:.3f} ({v[s] - base[s]:+.3f})" if name != BASE else f"{v[s]:.3f}" for s in sets)]
        for name, v in aucs.items()
    ]
    return table(["AUC", *map(short, sets)], rows)


def overturned(report: Report) -> str:
    rows = [
        [name, band, percent(share[BASE]), percent(share["after the check"])]
        for name, shares in report["overturned"].items()
        for band, share in shares.items()
    ]
    text = table(["pictures", "answer", BASE, "after the stability check"], rows)
    if "turned" not in report:
        return text
    words = "; ".join(
        f"of {kind} pictures {', '.join(f'{percent(found)} on {name}' for name, found in of.items())}"
        for kind, of in report["turned"].items()
    )
    return f"{text}\n\nJudged by all views, the score crosses the middle after a mild change: {words}."


def stability(report: Report) -> str:
    fewer = report["fewer windows"]
    rows = [
        [kind, str(r["pictures"]), percent(r["flipped by a mild delivery"]), percent(r["bands after"]["inconclusive"])]
        for kind, r in report["pictures"].items()
    ]
    words = (
        f"Changes are judged by fewer windows than the verdict; by all of them, {percent(fewer['same band'])} of "
        f"{fewer['deliveries compared']} answers would be the same."
    )
    head = ["pictures of `test`", "count", "score crosses the middle after a mild change", "inconclusive in the end"]
    return f"{table(head, rows)}\n\n{words}"
