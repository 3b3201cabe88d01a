"""The verdict on `test`: by set, by answer, by site and by source."""

from benchmarks.tables.aims import Aim, at_least, at_most
from benchmarks.tables.markdown import Report, named, ordered, percent, short, table

LIKE = "alike", "fresh"  # sets of like content
AUC = {"broad": 0.980, "alike": 0.90, "fresh": 0.97}  # aims
TPR = {"broad": 0.90, "alike": 0.65, "fresh": 0.85}  # at 5 % FPR; aims


def headline(test: Report) -> str:
    rows = []
    for name in ordered(test["sets"]):
        r = test[name]
        low, high = r["auc_interval"]
        cells = [f"{r[k]:.3f}" for k in ("ap", "balanced_accuracy", "tpr_at_5_fpr", "tpr_at_1_fpr", "ece")]
        rows.append([named(name), str(r["pictures"]), f"{r['auc']:.3f} ({low:.3f} to {high:.3f})", *cells])
    head = ["set", "pictures", "AUC (95 %)", "AP", "balanced accuracy", "TPR at 5 % FPR", "TPR at 1 % FPR", "ECE"]
    return table(head, rows)


def headline_aims(test: Report) -> list[Aim]:
    whole = test["all"]
    tried = "`benchmarks/detection` says what was tried without gain."
    timid = "The score is too timid: the held-out pictures that it was calibrated on were harder than those of `test`."
    sets = [name for name in ordered(test["sets"]) if name in AUC]
    error = max(test[name]["ece"] for name in sets)
    wrong = max(test[name]["bands"]["likely generated"]["real"] for name in test["sets"])
    unsure = [_inconclusive(test, LIKE)] if set(LIKE) <= set(test["sets"]) else []
    return [
        *(at_least(f"AUC on `{name}`", test[name]["auc"], AUC[name], tried) for name in sets),
        at_least(
            "balanced accuracy on all of `test`", whole["balanced_accuracy"], 0.88, tried, short="balanced accuracy"
        ),
        *(at_least(f"TPR at 5 % FPR on `{name}`", test[name]["tpr_at_5_fpr"], TPR[name], tried) for name in sets),
        at_most("ECE on every one of these sets", error, 0.05, timid, short="calibration"),
        Aim(
            "real pictures called *likely generated*, at most 3 % of every set",
            wrong <= 0.03,
            f"{100 * wrong:.1f} %",
            "The bands allow 3 % of held-out pictures; on these sites it is a little more.",
            short="at most 3 % accused",
        ),
        *unsure,
    ]


def _inconclusive(test: Report, sets: tuple[str, ...]) -> Aim:
    pictures = unsure = 0.0
    for name in sets:
        count, shares = test[name]["pictures"], test[name]["bands"]["inconclusive"]
        generated = sum(row["generated"] for row in test[name]["reliability"])
        pictures += count
        unsure += generated * shares["generated"] + (count - generated) * shares["real"]
    share = unsure / pictures
    what = f"*inconclusive* on {' and '.join(map(short, sets))} together"
    why = "Bands that accuse 3 % and let 10 % pass leave so much at this AUC."
    return Aim(f"{what}, at most 30 %", share <= 0.30, percent(share), why, what)


def answers(test: Report) -> str:
    sets = ordered(test["sets"])
    rows = [
        [kind, band, *(percent(test[name]["bands"][band][kind]) for name in sets)]
        for kind in ("real", "generated")
        for band in test["all"]["bands"]
    ]
    note = "These are the answers before the stability check, which can turn an answer into *inconclusive*."
    return f"{table(['pictures', 'answer', *map(short, sets)], rows)}\n\n{note}"


def meant(test: Report) -> str:
    """What scores near one another have meant; empty where the report does not say it."""
    rows = [
        [f"{r['low']:.2f} to {r['high']:.2f}", str(r["pictures"]), percent(r["generated"] / r["pictures"])]
        for r in test.get("meant", ())
    ]
    sets = " and ".join(short(name) for name in LIKE if name in test["sets"])
    return table([f"score, on {sets}", "pictures", "of them generated"], rows) if rows else ""


def sites(test: Report) -> str:
    rows = [[name.removeprefix("site "), f"{auc:.3f}"] for name, auc in test["alike_sites"].items()]
    return table(["site of `alike`; the owner of each keeps its content alike", "AUC"], rows)


def sources(test: Report) -> str:
    rows = [
        [name, "generated" if s["generated"] else "real", str(s["pictures"]), percent(s["accuracy"])]
        for name, s in sorted(test["sources"].items(), key=lambda item: item[1]["accuracy"])
    ]
    head = ["source, hardest first", "class", "pictures", "right at the calibrated threshold"]
    return f"<details><summary>All {len(rows)} sources</summary>\n\n{table(head, rows)}\n\n</details>"
