"""What a score has meant: how many of the test pictures with a score near it were generated, from the benchmark."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import sqrt
from typing import Any

from causalclip.places import shipped_folder

BENCHMARK = shipped_folder("benchmarks") / "detection" / "test.json"
LIKE = ("alike", "fresh")  # sets in which real and generated pictures show like content
LEAST = 30  # pictures that a share rests on, where the benchmark has only narrow bins


@dataclass(frozen=True, slots=True)
class Meant:
    """pictures: of the test set, with a score near this one. generated: how many of them were."""

    pictures: int
    generated: int

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share, in [0, 1]."""
        return wilson(self.generated, self.pictures)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self) | {"interval": list(self.interval), "sentence": self.sentence}

    @property
    def sentence(self) -> str:
        """For a person."""
        share, (low, high) = round(100 * self.generated / self.pictures), (round(100 * e) for e in self.interval)
        return (
            f"Of 100 test pictures with a score near this one, about {share} were generated "
            f"(counted: {self.generated} of {self.pictures}; 95 % interval {low} to {high}). In that test, generated "
            "and real pictures are about equally many and show like content; elsewhere it may be otherwise."
        )


@dataclass(frozen=True, slots=True)
class Headline:
    """Shares of the benchmark's pictures of like content, in [0, 1].

    recognised, accused: of the generated ones that are called likely generated, and of the real ones that are.
    undecided: of the generated and of the real ones for which the answer is inconclusive.
    """

    recognised: float
    accused: float
    undecided: tuple[float, float]


def near(score: float, *, revision: str | None = None) -> Meant | None:
    """What a calibrated score in [0, 1] has meant; None where that has not been measured.

    Args:
        revision: of the detector; the benchmark speaks of one alone. None takes it for that.
    """
    report = _benchmark()
    if report is None or revision not in (None, report.get("revision")):
        return None
    rows = report.get("meant")
    found = _inside(rows, score) if rows else _nearest(report, score)
    return found if found and found.pictures else None


def headline() -> Headline | None:
    """The two numbers that matter, from the same benchmark; None where there is none."""
    report = _benchmark()
    if report is None:
        return None
    called, unsure = (report[LIKE[0]]["bands"][band] for band in ("likely generated", "inconclusive"))
    return Headline(called["generated"], called["real"], (unsure["generated"], unsure["real"]))


def wilson(successes: float, count: int, *, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share by Wilson's score, in [0, 1]; honest for few pictures, where a normal one is not."""
    share = successes / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _inside(rows: list[dict[str, Any]], score: float) -> Meant | None:
    for row in rows:
        if row["low"] <= score <= row["high"]:
            return Meant(row["pictures"], row["generated"])
    return None


def _nearest(report: dict[str, Any], score: float) -> Meant:
    """The bins of the reliability tables, the nearest first, until there are enough pictures."""
    bins = [row for name in LIKE if name in report for row in report[name]["reliability"]]
    pictures = generated = 0
    for row in sorted(bins, key=lambda row: abs(row["mean_probability"] - score)):
        pictures, generated = pictures + row["pictures"], generated + row["generated"]
        if pictures >= LEAST:
            break
    return Meant(pictures, generated)


@lru_cache(maxsize=1)
def _benchmark() -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(BENCHMARK.read_text(encoding="utf-8"))
    except FileNotFoundError:  # a copy of the packages alone
        return None
    return found
