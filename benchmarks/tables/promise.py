"""The section on an archive as the yardstick, from benchmarks/yardstick.json."""

from typing import Any

from benchmarks.tables.aims import Aim
from benchmarks.tables.markdown import table

ALIKE = "pictures of every owner"
OTHERS = "A profile promises nothing for pictures unlike its own."
SHARES = {  # heads of columns
    "kept by its threshold alone": "within_promise",
    "by chance alone": "expected_beta_binomial",
    "mean rate": "mean_rate",
    "highest rate": "highest_rate",
    "raises the detector's own": "raises_own",
    "kept in use": "within_promise_in_use",
}


def kept(report: dict[str, Any]) -> str:
    """In how many draws a profile's promise was kept."""
    rows = [
        [
            "alike: every owner's pictures in both halves" if row["split"] == ALIKE else "not alike: other owners",
            f"{100 * row['at_most']:g} %",
            f"{row['draws']:,}" if row["draws"] else "none: too few",
            *(_shares(row) if row["draws"] else [""] * len(SHARES)),
        ]
        for row in report["draws"]
    ]
    head = ["archive and others", "promise", "draws", *SHARES]
    owners = len(set(report["owners"]))
    return (
        f"{table(head, rows)}\n\nThe {len(report['scores']):,} real pictures of the test set, by {owners} owners, are "
        "split in two, 1,000 times. One part makes the profile; of the other, the share that reaches its threshold is "
        f"compared with the promise. The score is the page's, before the check of stability, by {report['revision']}. "
        "Where both are alike, the archive has 200 pictures; else it has those of half of the owners. By chance alone: "
        "the beta-binomial law, exact for pictures that are alike; it is not 95 % as a threshold leaves a whole number "
        "of pictures above it, and as the share of a small other part varies, too. In use, a profile only raises the "
        "detector's own threshold; how often it did, and how often the promise was kept so, is in the last two columns."
    )


def kept_aims(report: dict[str, Any]) -> list[Aim]:
    """A profile keeps its promise, on pictures like its own and on those of other owners."""
    alike, other = (
        next(row for row in report["draws"] if (row["split"] == ALIKE) == same and row["at_most"] == 0.05)
        for same in (True, False)
    )
    aims = (
        (alike, "a profile of 200 photographs", "a profile's promise in 95 % of draws", ""),
        (other, "a profile of half of the owners, on the other half", "the same on other owners", OTHERS),
    )
    return [
        Aim(
            f"accusation within the promise of {of}, in at least 95 % of draws",
            row["within_promise"] >= 0.95,
            f"{100 * row['within_promise']:.1f} %",
            f"By chance alone it is {100 * row['expected_beta_binomial']:.1f} %; with the detector's own threshold, "
            f"which stays where it is stricter, {100 * row['within_promise_in_use']:.1f} %. {why}".strip(),
            short,
        )
        for row, of, short, why in aims
    ]


def _shares(row: dict[str, Any]) -> list[str]:
    return [f"{100 * row[name]:.1f} %" for name in SHARES.values()]
