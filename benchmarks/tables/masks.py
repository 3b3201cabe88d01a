"""What a mask can be asked to hold back: every idea beside no mask at all."""

from benchmarks.tables.aims import Aim, at_most
from benchmarks.tables.markdown import Report, table

UNMASKED, LOST, BLIND, OPEN = "all channels", 0.002, 0.65, 0.5
PROBES = "held_label", "held_label_neighbours", "held_label_fresh"


def rows_of(report: Report) -> dict[str, Report]:
    """Every row of every idea, by its name."""
    return {name: row for idea in report["ideas"].values() for name, row in idea.items()}


def masks(report: Report) -> str:
    found = rows_of(report)
    base = found[UNMASKED]
    head = ["what passes", "share", "AUC", "TPR at 5 % FPR", *("label held back: ridge", "neighbours", "other owners")]
    head += ["owner: passed", "held back", "content: passed", "held back"]
    rows = [[name, *_cells(row, whole=name == UNMASKED)] for name, row in found.items()]
    words = (
        f"{report['pictures']} pictures of {report['owners']} owners, each delivered once; mean over five folds of "
        "owners (of drawn or learned masks: three seeds, ± half the range of their AUC). *Label held back*: the AUC of "
        "what is held back, by a ridge regression and by 25 nearest neighbours that learned from the owners that the "
        "mask learned from, and by a ridge regression that learned from a few other owners. In the row without a mask "
        "it is the AUC of everything, by the same probes. *Owner*: whose picture it is, among the held-out owners "
        f"(guessing the commonest: {report['chance']['owner']:.2f}). *Content*: which of 20 clusters of CLIP's "
        f"embedding (guessing: {report['chance']['content']:.2f}). Asked for: at most {OPEN:g} passes, the AUC not "
        f"more than {LOST:g} below {base['auc']:.3f}, and at most {BLIND:g} in each of the three columns. {_who(found)}"
    )
    return f"{table(head, rows)}\n\n{words}"


def _cells(row: Report, *, whole: bool) -> list[str]:
    spread = f" ± {row['auc_spread']:.3f}" if row["seeds"] > 1 else ""
    density = f"{row['density']:.2f}" if row["density"] >= 0.1 else f"{row['density']:.4f}"
    owner, content = ("", "") if whole else (f"{row['held_owner']:.2f}", f"{row['held_content']:.2f}")
    return [
        density,
        f"{row['auc']:.3f}{spread}",
        f"{row['tpr_at_5_fpr']:.2f}",
        *(f"{row[probe]:.2f}" for probe in PROBES),
        f"{row['passed_owner']:.2f}",
        owner,
        f"{row['passed_content']:.2f}",
        content,
    ]


def holds(row: Report, base: Report) -> bool:
    """Whether a mask keeps all that is asked of it."""
    return row["density"] <= OPEN and row["auc"] >= base["auc"] - LOST and max(row[probe] for probe in PROBES) <= BLIND


def _who(found: dict[str, Report]) -> str:
    kept = [name for name, row in found.items() if holds(row, found[UNMASKED])]
    return f"All of it is kept by: {'; '.join(kept)}." if kept else "No idea keeps all of it."


def masks_aims(report: Report) -> list[Aim]:
    """The most label-blind rest among the masks that pass at most half and cost no more AUC than is allowed."""
    found = rows_of(report)
    base = found[UNMASKED]
    able = [r for r in found.values() if r["density"] <= OPEN and r["auc"] >= base["auc"] - LOST]
    if not able:
        return []
    best = min(max(row[probe] for probe in PROBES) for row in able)
    what = "AUC of the label in what the best mask that costs nothing holds back"
    why = "Linear probes can be made blind to it; nearest neighbours still find it in what is left."
    return [at_most(what, best, BLIND, why, short="a mask whose rest does not know the label")]
