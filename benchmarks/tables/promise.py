"""The section on an archive as the yardstick, from benchmarks/yardstick.json."""

from typing import Any

from benchmarks.tables.aims import Aim
from benchmarks.tables.markdown import table

ALIKE = "pictures of every owner"


def kept(report: dict[str, Any]) -> str:
    """In how many draws a profile's promise was kept."""
    rows = [
        [
            "alike: every owner's pictures in both halves" if row["split"] == ALIKE else "not alike: other owners",
            f"{100 * row['at_most']:g} %",
            f"{row['draws']:,}" if row["draws"] else "none: too few",
            *(_shares(row) if row["draws"] else ["", "", "", ""]),
        ]
        for row in report["draws"]
    ]
    head = ["archive and others", "promise", "draws", "kept", "by chance alone", "mean rate", "highest rate"]
    owners = len(set(report["owners"]))
    return (
        f"{table(head, rows)}\n\nThe {len(report['scores'])} real pictures of the test set, by {owners} owners, are "
        "split in two, 1,000 times. One part makes the profile; of the other, the share that reaches its threshold is "
        f"compared with the promise. The score is that of {report['views']}, without close-up windows. Where both are "
        "alike, the archive has 200 pictures. By chance alone: the beta-binomial law, exact for pictures that are "
        "alike; under 95 % where the other part is small, as its share then varies, too."
    )


def kept_aims(report: dict[str, Any]) -> list[Aim]:
    """A profile of 200 photographs keeps its promise."""
    [row] = [row for row in report["draws"] if row["split"] == ALIKE and row["at_most"] == 0.05]
    found, chance = row["within_promise"], row["expected_beta_binomial"]
    why = f"By chance alone it is {100 * chance:.1f} %; a share of 1,000 draws varies by 0.7 points."
    aim = "accusation within the promise of a profile of 200 photographs, in at least 95 % of draws"
    return [Aim(aim, found >= 0.95, f"{100 * found:.1f} %", why, "a profile's promise in 95 % of draws")]


def _shares(row: dict[str, Any]) -> list[str]:
    names = ("within_promise", "expected_beta_binomial", "mean_rate", "highest_rate")
    return [f"{100 * row[name]:.1f} %" for name in names]
