"""The threshold of the search for parts, held against an independent implementation; what is counted, and how."""

from collections import defaultdict

import numpy as np
import pytest

from benchmarks.parts import summary
from benchmarks.parts_fit import Seen, judged, threshold


def seen(kind: str, owner: str) -> Seen:
    return Seen("one", kind, owner, np.zeros((1, 2, 2)), ("level",), np.zeros(5), None)


def calm(owners: int, each: int, rng: np.random.Generator) -> tuple[list[Seen], list[float]]:
    pictures = [seen("photograph", f"owner {i}") for i in range(owners) for _ in range(each)]
    return pictures, rng.normal(size=len(pictures)).tolist()


@pytest.mark.parametrize("owners", [20, 49, 50, 120, 345])
def test_the_threshold_is_the_least_that_few_owners_exceed(owners: int) -> None:
    """By trying every score: at most 2 % of n owners and one more may lie above, where the one more counts as above."""
    pictures, scores = calm(owners, 3, np.random.default_rng(owners))
    worst: dict[str, float] = defaultdict(lambda: -9.0)
    for one, score in zip(pictures, scores, strict=True):
        worst[one.owner] = max(worst[one.owner], score)
    fits = [s for s in worst.values() if (sum(w > s for w in worst.values()) + 1) / (owners + 1) <= 0.02]
    expected = min(fits, default=max(worst.values()))
    assert threshold(pictures, scores, false=0.02) == np.nextafter(expected, np.inf)


def test_new_owners_exceed_it_as_rarely_as_promised() -> None:
    rng, exceeded = np.random.default_rng(0), []
    for _ in range(300):
        least = threshold(*calm(150, 2, rng), false=0.05)
        exceeded.append((rng.normal(size=(200, 2)).max(1) >= least).mean())
    assert 0.04 < np.mean(exceeded) < 0.051


def test_only_unedited_pictures_set_it() -> None:
    pictures, scores = calm(60, 1, np.random.default_rng(1))
    edited = [seen("pasted back", "owner 1"), seen("made retouched", "owner 2")]
    assert threshold([*pictures, *edited], [*scores, 9.0, 9.0], false=0.02) == threshold(pictures, scores, false=0.02)


def test_an_owner_is_flagged_by_the_worst_picture() -> None:
    pictures = [seen("photograph", "a"), seen("original", "a"), seen("photograph", "b"), seen("pasted back", "c")]
    maps = [np.zeros((2, 2))] * 4
    found = judged(pictures, maps, [0.0, 2.0, 0.0, 2.0], 1.0)
    assert (found["owners"], found["owners_flagged"]) == (2, 1)
    assert found["found"]["pasted back"] == [1, 1]


def row(kind: str, owner: str, score: float, *, why: str = "", **rest: object) -> dict[str, object]:
    said = {"name": f"{kind} {owner}", "kind": kind, "owner": owner, "score": score, "why": why}
    return said | {"size": [1000, 1000], "cpu_seconds": 0.2} | rest


def test_what_cannot_be_known_is_counted_as_not_found() -> None:
    rows = [row("unedited", f"{i}", 0.0) for i in range(3)] + [row("unedited", "0", 2.0)]
    rows += [row("pasted back", "p", 2.0, iou=0.5, band="inconclusive")]
    rows += [row("pasted back", "q", 2.0, why="compressed", band="likely not generated")]
    config = {
        "revision": "r",
        "threshold": 1.0,
        "held_out": {"owners": 9, "owners_flagged": 1, "found": {"pasted back": [2, 8], "photograph": [0, 5]}},
    }
    report = summary(rows, config)
    assert report["owners"] == {"n": 3, "flagged": 1, "held_out": {"n": 9, "flagged": 1}}
    pasted = report["kinds"]["pasted back"]
    assert (pasted["flagged"], pasted["n"], pasted["cannot_know"], pasted["auc"]) == (1, 2, 1, 0.875)
    assert (pasted["found"], pasted["held_out"]) == (0.3, {"n": 8, "flagged": 2})
    assert report["edits"]["neither_share"] == 0.5
