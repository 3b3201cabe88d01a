"""Is a profile's promise kept?

    python -m benchmarks.yardstick                                                    # by the kept scores
    python -m benchmarks.yardstick --data FOLDER --originals ORIGINALS --cache CACHE  # judged again

The real pictures of the test set are judged once (kept in yardstick.json, without names) and split in two, 1,000 times:
an archive makes a threshold, and the share of the others that reach it is compared with the promise. Every owner's
pictures are split at random, so that both parts are alike; and owners are split, so that they are not. What chance
alone would give in the first case is exact: the number above the k-th highest of n follows the beta-binomial law.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import betabinom

from causalclip.promise import PROMISES, allowed, threshold

KEPT = Path(__file__).parent / "yardstick.json"
DRAWS, ARCHIVE = 1000, 200
Split = Callable[[np.random.Generator, np.ndarray], np.ndarray]  # owners [N] -> bool [N], which are the archive


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="judge again: the folder with manifest.csv")
    parser.add_argument("--originals", type=Path, help="of the test set's pictures that are there by reference")
    parser.add_argument("--cache", type=Path, default=Path(".cache/features"))
    given = parser.parse_args()
    kept = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    if given.data:
        kept = judged(given.data, given.originals, cache=given.cache)
    kept["draws"] = list(tables(np.array(kept["owners"]), np.array(kept["scores"]), own=kept["high"]))
    KEPT.write_text(json.dumps(kept) + "\n")
    for row in kept["draws"]:
        print(json.dumps(row))


def judged(data: Path, originals: Path | None, *, cache: Path) -> dict[str, Any]:
    """Scores of the test set's real pictures, as the page gives them, and a number for the owner of each."""
    from benchmarks.detection.__main__ import test_records
    from benchmarks.detection.views import score
    from causalclip.detector import Detector

    detector, records = Detector.from_pretrained(), [r for r in test_records(data, originals) if not r.label]
    names = [r.owner or r.group for r in records]
    numbers = {name: i for i, name in enumerate(sorted(set(names)))}
    return {
        "date": date.today().isoformat(),
        "model": detector.name,
        "revision": detector.config.revision,
        "high": detector.config.calibration.high,
        "owners": [numbers[name] for name in names],
        "scores": [round(float(p), 6) for p in score(detector, records, data, cache=cache).probability],
    }


def within_owners(rng: np.random.Generator, owners: np.ndarray) -> np.ndarray:
    """An archive of ARCHIVE pictures, whoever owns them."""
    chosen = np.zeros(len(owners), bool)
    chosen[rng.permutation(len(owners))[:ARCHIVE]] = True
    return chosen


def between_owners(rng: np.random.Generator, owners: np.ndarray) -> np.ndarray:
    """An archive of half of the owners, with all that they have."""
    everyone = np.unique(owners)
    return np.isin(owners, rng.permutation(everyone)[: len(everyone) // 2])


def tables(owners: np.ndarray, scores: np.ndarray, *, own: float) -> Iterator[dict[str, Any]]:
    """A row for each way of splitting and each promise."""
    for name, split in (("pictures of every owner", within_owners), ("owners", between_owners)):
        for at_most in PROMISES:
            yield {"split": name, "at_most": at_most} | draw(owners, scores, split, at_most, own=own)


def draw(owners: np.ndarray, scores: np.ndarray, split: Split, at_most: float, *, own: float) -> dict[str, Any]:
    """In how many draws the share of the others that is accused is within the promise, and what chance would give.

    own: the detector's own threshold. In use, the higher of the two counts (causalclip.profile).
    """
    rng, rates, in_use, raised, expected, none = np.random.default_rng(0), [], [], [], [], 0
    for _ in range(DRAWS):
        archive = split(rng, owners)
        high = threshold(scores[archive].tolist(), at_most)
        n, m = int(archive.sum()), int((~archive).sum())
        if high is None:
            none += 1
            continue
        rates.append(float((scores[~archive] >= high).mean()))
        in_use.append(float((scores[~archive] >= max(high, own)).mean()))
        raised.append(high > own)
        k = allowed(n, at_most)
        expected.append(float(betabinom.cdf(int(at_most * m + 1e-9), m, k, n + 1 - k)))
    found = {"draws": len(rates), "too_few": none}
    if not rates:
        return found
    return found | {
        "within_promise": _share(rate <= at_most for rate in rates),
        "within_promise_in_use": _share(rate <= at_most for rate in in_use),
        "raises_own": _share(raised),
        "expected_beta_binomial": round(float(np.mean(expected)), 4),
        "mean_rate": round(float(np.mean(rates)), 4),
        "highest_rate": round(max(rates), 4),
    }


def _share(found: Iterable[bool]) -> float:
    return round(float(np.mean(list(found))), 4)


if __name__ == "__main__":
    main()
