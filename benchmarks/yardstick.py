"""python -m benchmarks.yardstick --data FOLDER: is a profile's promise kept?

The real pictures of the test set are judged once (kept in yardstick.json, without names) and split in two, 1,000 times:
an archive makes a threshold, and the share of the others that reach it is compared with the promise. Every owner's
pictures are split at random, so that both parts are alike; and owners are split, so that they are not. What chance
alone would give in the first case is exact: the number above the k-th highest of n follows the beta-binomial law.

A score is that of the whole picture in one square, without close-up windows, which takes an eighth of the time. The
promise is one on ranks: it does not depend on what the score is.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import betabinom

from causalclip.promise import PROMISES, allowed, threshold

KEPT = Path(__file__).parent / "yardstick.json"
DRAWS, ARCHIVE = 1000, 200
Split = Callable[[np.random.Generator, np.ndarray], np.ndarray]  # owners [N] -> bool [N], which are the archive


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="judge again: the folder with manifest.csv")
    given = parser.parse_args()
    kept = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    if given.data:
        kept = judged(given.data)
    kept["draws"] = list(tables(np.array(kept["owners"]), np.array(kept["scores"])))
    KEPT.write_text(json.dumps(kept) + "\n")
    for row in kept["draws"]:
        print(json.dumps(row))


def judged(folder: Path) -> dict[str, Any]:
    """Scores of the test set's real pictures, and a number for the owner of each."""
    from causalclip.detector import Detector
    from causalclip.pictures.loading import load_image

    with open(folder / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test" and row["label"] == "real"]
    detector, owners, scores = Detector.from_pretrained(), [row["repo"].partition("/")[0] for row in rows], []
    for row in rows:
        [verdict] = detector.judge_all([load_image(folder / row["path"]).pixels], windows=0, squares=1)
        scores.append(round(verdict.probability, 6))
    numbers = {name: i for i, name in enumerate(sorted(set(owners)))}
    about = {
        "views": "the whole picture in one square",
        "model": detector.name,
        "revision": detector.config.revision,
        "runtime": detector.runtime,
    }
    about["views"] = "the whole picture in one square"
    return about | {"owners": [numbers[name] for name in owners], "scores": scores}


def within_owners(rng: np.random.Generator, owners: np.ndarray) -> np.ndarray:
    """An archive of ARCHIVE pictures, whoever owns them."""
    chosen = np.zeros(len(owners), bool)
    chosen[rng.permutation(len(owners))[:ARCHIVE]] = True
    return chosen


def between_owners(rng: np.random.Generator, owners: np.ndarray) -> np.ndarray:
    """An archive of half of the owners, with all that they have."""
    everyone = np.unique(owners)
    return np.isin(owners, rng.permutation(everyone)[: len(everyone) // 2])


def tables(owners: np.ndarray, scores: np.ndarray) -> Iterator[dict[str, Any]]:
    """A row for each way of splitting and each promise."""
    for name, split in (("pictures of every owner", within_owners), ("owners", between_owners)):
        for at_most in PROMISES:
            yield {"split": name, "at_most": at_most} | draw(owners, scores, split, at_most)


def draw(owners: np.ndarray, scores: np.ndarray, split: Split, at_most: float) -> dict[str, Any]:
    """In how many draws the share of the others that is accused is within the promise, and what chance would give."""
    rng, rates, kept, expected, none = np.random.default_rng(0), [], [], [], 0
    for _ in range(DRAWS):
        archive = split(rng, owners)
        high = threshold(scores[archive].tolist(), at_most)
        n, m = int(archive.sum()), int((~archive).sum())
        if high is None:
            none += 1
            continue
        rates.append(float((scores[~archive] >= high).mean()))
        kept.append(rates[-1] <= at_most)
        k = allowed(n, at_most)
        expected.append(float(betabinom.cdf(int(at_most * m + 1e-9), m, k, n + 1 - k)))
    found = {"draws": len(rates), "too_few": none}
    if not rates:
        return found
    return found | {
        "within_promise": round(float(np.mean(kept)), 4),
        "expected_beta_binomial": round(float(np.mean(expected)), 4),
        "mean_rate": round(float(np.mean(rates)), 4),
        "highest_rate": round(max(rates), 4),
    }


if __name__ == "__main__":
    main()
