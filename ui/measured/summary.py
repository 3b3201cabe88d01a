"""The first lines of "How good is it?": what matters most, in five sentences; every number is a report's."""

from __future__ import annotations

from typing import Any

from ui.charts import wilson
from ui.measured.words import AIMS, MAP_AIM, Report, percent, set_name, sets_of

PROBE, WHOLE = "linear probe, several layers", "shipped"


def answers(test: Report) -> str:
    """What it finds and whom it accuses."""
    found, accused = (test["all"]["bands"]["likely generated"][kind] for kind in ("generated", "real"))
    generated = sum(row["generated"] for row in test["all"]["reliability"])
    real = test["all"]["pictures"] - generated
    low, high = wilson(accused * real, real)
    return (
        f"It calls {percent(found)} of the {generated:,} generated pictures likely generated, and wrongly "
        f"{percent(accused)} of the {real:,} real ones, which fits a share of {100 * low:.1f} to {100 * high:.1f} %."
    )


def ranking(test: Report) -> str:
    """AUC of every set, against its aim where there is one."""
    said = [f"{set_name(n)} {test[n]['auc']:.3f}{_aim(test[n]['auc'], AIMS.get(n))}" for n in sets_of(test)]
    return f"How well the score tells them apart (AUC; a coin has 0.5): {', '.join(said)}."


def calibration(test: Report) -> str:
    """How far a score is off."""
    worst = max((n for n in sets_of(test)), key=lambda n: test[n]["ece"])
    return (
        f"On average a score is off by {test['all']['ece']:.2f}, most for {set_name(worst)}: {test[worst]['ece']:.2f}. "
        f"At most 5 of 100 real pictures flagged, it finds {percent(test['all']['tpr_at_5_fpr'])} of the generated."
    )


def method(ladder: Report) -> str:
    """What the whole method adds to a linear probe, in the first protocol that has both."""
    for rungs in (r for r in ladder.values() if isinstance(r, list)):
        rows: dict[str, Any] = {r["name"]: r for r in rungs}
        whole, probe = (next((n for n in reversed(rows) if words in n), "") for words in (WHOLE, PROBE))
        if not (whole and probe):
            continue
        a, b = (rows[name]["all"]["auc"] for name in (probe, whole))
        equal = abs(a["mean"] - b["mean"]) <= a["spread"] + b["spread"]
        verdict = "equal, within the spread of repetitions" if equal else "more than that spread apart"
        return (
            f"A linear probe on several layers reaches an AUC of {a['mean']:.3f}, the full method {b['mean']:.3f}: "
            f"{verdict} (measured on {ladder['date']}, with the data of that day)."
        )
    raise LookupError("no protocol has both")


def maps(splices: Report) -> str:
    """Whether the causal map finds what was pasted."""
    auc = splices["auc"]["causal"]["mean"]
    return (
        f"The causal map finds a pasted region in {100 * auc:.0f} of 100 pairs of spots{_aim(auc, MAP_AIM)}; a coin "
        "in 50. It is a hint where to look."
    )


def _aim(value: float, aim: float | None) -> str:
    if aim is None:
        return ""
    return f" (aim {aim:g}: {'reached' if value >= aim else 'missed'})"
