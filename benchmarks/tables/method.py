"""Whether the maps are right, and what each piece of the method adds."""

from benchmarks.tables.aims import Aim, at_least
from benchmarks.tables.markdown import Report, ordered, percent, short, table

REGION = "a region"  # the kind of edit that a map is to find
LEFT_OUT = "owner", "generator"
BEFORE_2024 = "StyleGAN", "Stable Diffusion", "DALL-E 3"
PLAIN = "linear probe", "MLP"  # how the names of rungs without a mask begin


def maps(report: Report) -> str:
    rows = [[name, f"{v['mean']:.3f}", str(v["n"])] for name, v in report["auc"].items()]
    c = report["curves"]
    words = (
        "Where a photograph was pasted into a photograph, 0.5 is right; into a generated picture, 0 is. Pasted regions "
        "rarely touch the edge, so a map that is only bright in the middle does well. "
        f"Deletion (smaller is better): {c['deletion']:.2f} against {c['deletion_random']:.2f} in random order; "
        f"insertion (larger is better): {c['insertion']:.2f} against {c['insertion_random']:.2f} (mean logit, "
        f"{report['curve_pictures']} pictures)."
    )
    rows += [[f"causal, {name}", f"{v['mean']:.3f}", str(v["n"])] for name, v in report["controls"].items()]
    return f"{table(['map against the pasted region', 'mean AUC', 'splices'], rows)}\n\n{words}"


def maps_aims(report: Report) -> list[Aim]:
    what, found = "AUC of the causal map against a pasted region", report["auc"]["causal"]["mean"]
    why = "A map that was trained to reach more showed what was pasted, not what was generated."
    return [at_least(what, found, 0.80, why, short="maps")]


def edits(report: Report) -> str:
    """Maps against what was really edited, a column for each kind of edit."""
    kinds = {kind: found for kind, found in report["auc"].items() if found}
    names = dict.fromkeys(name for found in kinds.values() for name in found)
    rows = [[name, *(_with_interval(found.get(name)) for found in kinds.values())] for name in names]
    used = report["pairs"] - len(report["left_out"])
    note = f"{used} of {report['pairs']} pairs of a picture and its edit; of the others no mask could be made."
    return f"{table(['mean AUC of a map against what was edited', *kinds], rows)}\n\n{note}"


def edits_aims(report: Report) -> list[Aim]:
    found = report["auc"][REGION].get("causal")
    what = "AUC of the causal map against an edited region"
    return (
        []
        if found is None
        else [
            at_least(
                what, found["mean"], 0.70, "It learned from pasted regions, not from edits.", short="maps on real edits"
            )
        ]
    )


def protocols(report: Report) -> dict[str, list[Report]]:
    """The rungs of each protocol, without the file's date and data."""
    return {name: rungs for name, rungs in report.items() if isinstance(rungs, list)}


def owners(report: Report) -> str:
    """How AUC grows with owners, inside the training set; and what each part is worth alone."""
    names = {"auc": "AUC", "tpr_at_5_fpr": "TPR at 5 % FPR"}
    rows = [[str(row["owners"]), *(_spread(row[key]) for key in names)] for row in report["curve"]]
    most = f", {report['each']} at most of a class" if "each" in report else ""
    laws = report["another_doubling"]
    law, last = laws["all points"], laws["the last three"]
    note = (
        "A linear probe on squares of lightly delivered copies, learned from so many of the other owners and judged on "
        "held-out owners of like content, with originals and edits made anew among them "
        f"({report['pictures']} pictures of {report['owners']} owners{most}); mean of three draws ± half their "
        "range, but that the last row has no draw. "
        f"Another doubling, to {law['owners']:.0f} owners, would give an AUC of {last['auc']:.3f} by a power law "
        f"through the last three points (1 - AUC falls with owners to the power {last['exponent']:.2f}), "
        f"{law['auc']:.3f} by one through all ({law['exponent']:.2f})."
    )
    parts = table(
        ["one part alone", "AUC", "TPR at 5 % FPR"],
        [[part, f"{v['auc']:.3f}", f"{v['tpr_at_5_fpr']:.2f}"] for part, v in report["single_parts"].items()],
    )
    return f"{table(['owners', *names.values()], rows)}\n\n{note}\n\n{parts}"


def left_out(report: Report) -> str:
    """Generators that were not learned from; empty where that was not measured."""
    rows = [
        [g["generator"], *(str(g[k]) for k in ("owners", "pictures")), *(percent(g[f"{k}_left_out"]) for k in LEFT_OUT)]
        for g in report.get("generators", ())
    ]
    note = (
        "Of the training set: the share of a generator's pictures that a linear probe puts above 5 % of the real "
        "pictures of like content, if it learned from other owners of this generator, and if from no picture of it and "
        "from no owner of one. Pictures by tools whose model is not stated are still learned from, and may be its."
    )
    head = ["generator", "owners", "pictures", "its owner left out", "all of the generator left out"]
    return f"{table(head, rows)}\n\n{note}" if rows else ""


def left_out_aims(report: Report) -> list[Aim]:
    """Of generators since 2024; the worst older one is said beside it."""
    found = sorted((g["generator_left_out"], g["generator"]) for g in report.get("generators", ()))
    newer, older = ([g for g in found if (g[1] in BEFORE_2024) == old] for old in (False, True))
    if not newer:
        return []
    what = "TPR at 5 % FPR on every generator since 2024 of which nothing was learned"
    words = [f"{share:.2f} ({name})" for share, name in newer[:1]]
    words += [f"of older ones {share:.2f} ({name})" for share, name in older[:1]]
    why = "Some generators leave other traces than all the others."
    short_words = "every generator that was not learned from"
    return [Aim(f"{what}, at least 0.6", newer[0][0] >= 0.6, "; ".join(words), why, short_words)]


def _spread(found: Report) -> str:
    return f"{found['mean']:.3f} ± {found['spread']:.3f}"


def ladder(report: Report) -> str:
    pieces = []
    for protocol, rungs in protocols(report).items():
        sets = ordered(name for name, found in rungs[0].items() if isinstance(found, dict))
        rows = [
            [
                r["name"],
                *(_cell(r, s, "auc") for s in sets),
                _cell(r, "all", "ap"),
                _cell(r, "all", "balanced_accuracy"),
            ]
            for r in rungs
        ]
        head = ["rung", *(f"AUC {short(s)}" for s in sets), "AP all", "balanced accuracy all"]
        learned = f"{report['pictures'][protocol]} pictures; " if "pictures" in report else ""
        pieces.append(f"{protocol}; {learned}mean of the seeds ± half their range.\n\n{table(head, rows)}")
    if "each" in report:
        pieces.append(
            f"Learned from {report['each']} pictures of a source and class at most, squares alone. Three seeds where "
            "something is learned step by step (MLP, the paper's head), one where the solution is closed."
        )
    return "\n\n".join(pieces)


def ladder_aims(report: Report) -> list[Aim]:
    """How far the shipped rung is ahead of the best rung without a mask, trained on everything, on all of `test`."""
    rungs = next(found for name, found in protocols(report).items() if name.startswith("P2"))
    shipped = next(r["all"] for r in rungs if "shipped" in r["name"])
    others = [r["all"] for r in rungs if r["name"].startswith(PLAIN)]
    accuracy, ap = (100 * (shipped[m]["mean"] - max(o[m]["mean"] for o in others)) for m in ("balanced_accuracy", "ap"))
    return [
        Aim(
            "ahead of the best head without a mask by the paper's margin: 6.8 points of balanced accuracy, 4.1 of AP",
            accuracy >= 6.8 and ap >= 4.1,
            f"{accuracy:+z.1f} and {ap:+z.1f} points",
            "The several layers of the tower carry the skill: a linear probe or an MLP on them is level.",
            short="the paper's margin over other heads",
        )
    ]


def _cell(rung: Report, name: str, measure: str) -> str:
    found = rung[name][measure]
    return f"{found['mean']:.3f} ± {found['spread']:.3f}"


def _with_interval(found: Report | None) -> str:
    if found is None:
        return ""
    low, high = found["interval"]
    return f"{found['mean']:.3f} ({low:.2f} to {high:.2f}), n = {found['n']}"
