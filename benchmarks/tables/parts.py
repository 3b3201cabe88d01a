"""Is one part of a picture generated or replaced? What was tried, on held-out owners, and on test pictures."""

from benchmarks.tables.aims import Aim, at_least
from benchmarks.tables.markdown import Report, percent, table

POOLED = "top"  # of the ways to make one number a picture, the one that did best
INSIDE = {
    "third": "only the edited part put in",
    "edit, pasted back": "pasted back",
    "edit, made anew": "made anew",
    "generated in photograph": "splices",
    "photograph in photograph": "photograph in photograph",
    "edited by hand": "by hand",
}
EDITS = ("edit, pasted back", "edit, made anew", "edit, not known which", "third")
WHY = (
    "what is learned from splices follows what is foreign in a picture, not what was generated, and hardly carries "
    "over to real edits, of which 96 with a known part were there to learn from"
)


def ideas(report: Report) -> str:
    """Every idea on the pictures of held-out owners."""
    rows = []
    for name, row in report["ideas"].items():
        aucs = [f"{row['inside'][kind][0]:.2f}" for kind in INSIDE]
        share = row["flagged"][POOLED]["share"]
        flagged = [_edits(share, report["pictures"]), share["generated in photograph"], share["retouched"]]
        rows.append([name, *aucs, *(percent(value) for value in flagged)])
    head = ["idea", *INSIDE.values(), "edits flagged", "splices flagged", "retouched flagged"]
    counts = report["pictures"]
    said = (
        f"{sum(counts.values())} pictures of {report['owners']} owners of `train`, each judged by a model that saw "
        "nothing of its owner. First columns: mean AUC of a map against the part that is to be found, inside each "
        "picture; for a photograph pasted into a photograph and for edits by hand 0.50 is right, as nothing is "
        "generated there. Last columns: pictures in which a part would be found, by a threshold that the worst "
        "photograph of 2 % of owners reaches. The convolutional decoder was judged on two of five folds, where the "
        f"others stand like this on pictures with only the edited part put in: {_same(report)}."
    )
    return f"{table(head, rows)}\n\n{said}"


def _same(report: Report) -> str:
    found = report["inside, where the decoder was judged"]
    return ", ".join(f"{name} {row['third'][0]:.2f}" for name, row in found.items())


def _edits(share: dict[str, float], counts: dict[str, int]) -> float:
    """Of all real edits and of the pictures with only the edited part put in."""
    return sum(share[kind] * counts[kind] for kind in EDITS) / sum(counts[kind] for kind in EDITS)


def regions(report: Report) -> str:
    """The two best ideas on test pictures, beside their controls."""
    inside, flagged = report["inside"], report["flagged"]
    unedited = ("photograph, ", "edits, unedited", "edits2, unedited")  # together in "all photographs"
    names = [n for n in next(iter(flagged.values())) if n not in inside and not n.startswith(unedited)]
    ideas = list(flagged)
    columns = list(dict.fromkeys(name for row in inside.values() for name in row if name != "n"))
    number = lambda value: "" if value is None or value != value else f"{value:.2f}"  # noqa: E731
    rows = [
        [kind, str(flagged[ideas[0]][kind]["n"]), str(row["n"]), *(number(row.get(name)) for name in columns)]
        + [percent(flagged[idea][kind]["share"]) for idea in ideas]
        for kind, row in inside.items()
    ]
    rows += [
        [kind, str(flagged[ideas[0]][kind]["n"]), "", *([""] * len(columns))]
        + [percent(flagged[idea][kind]["share"]) for idea in ideas]
        for kind in names
    ]
    head = ["pictures", "number", "with a known part", *columns, *(f"flagged: {idea}" for idea in ideas)]
    aucs = "; ".join(f"{idea}: {row['all edits']:.2f}" for idea, row in report["picture"].items())
    said = (
        "Mean AUC of each map against the known part, on cells of 32 px, and the pictures in which a part would be "
        "found at the threshold of the table above. For a photograph pasted into a photograph 0.50 is right, into a "
        f"generated picture 0. AUC of edited pictures against unedited photographs: {aucs}. Processor time of both "
        f"ideas together: {report['cpu_seconds']:.1f} s a picture. None of this is in the app."
    )
    return f"{table(head, rows)}\n\n{said}"


def regions_aims(report: Report) -> list[Aim]:
    edits = report["inside"]["all edits"]
    best = max((idea for idea in report["flagged"]), key=lambda idea: edits[idea])
    found = max(row["all edits"] for row in report["picture"].values())
    blob = edits["a blob in the middle"]
    return [
        at_least("AUC of *a part was generated or replaced* on real edits, the better of two ideas", found, 0.85, WHY),
        at_least("Mean AUC of a local map on real edits, the better of two ideas", edits[best], 0.82, WHY),
        at_least("The same, ahead of a blob in the middle", edits[best] - blob, 0.05, WHY),
    ]
