"""Empirical precision: how many of the test pictures with an answer were generated, and how often it was wrong.

One source for the page, the report, the command line and the tables: the benchmark's file, of one revision alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import sqrt
from typing import TYPE_CHECKING, Any

from causalclip.languages import N_, _, number
from causalclip.paths import shipped_folder

if TYPE_CHECKING:
    from causalclip.calibration import Band

BENCHMARK = shipped_folder("benchmarks") / "detection.json"
BANDS = "likely generated", "inconclusive", "likely not generated"


@dataclass(frozen=True, slots=True)
class EmpiricalPrecision:
    """pictures: of the test, with this answer. generated: how many of them were. base: the share of generated pictures
    in the whole test, in [0, 1]."""

    pictures: int
    generated: int
    base: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share, in [0, 1]."""
        return wilson(self.generated, self.pictures)

    @property
    def sentence(self) -> str:
        """For a person."""
        low, high = (round(100 * end) for end in self.interval)
        return _(
            "Of 100 test pictures with this answer, about {share} were generated (counted: {generated} of {pictures}; "
            "95 % interval {low} to {high}). Of all test pictures, {base} of 100 were; where generated pictures are "
            "rarer, fewer with this answer are generated.",
            share=round(100 * self.generated / self.pictures),
            generated=self.generated,
            pictures=self.pictures,
            low=low,
            high=high,
            base=round(100 * self.base),
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self) | {"interval": list(self.interval), "sentence": self.sentence}


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Shares of the test pictures, in [0, 1], and how many there were.

    recognised, accused: of the generated ones that are called likely generated, and of the real ones that are.
    missed: of the generated ones that are called likely not generated.
    undecided: of the generated and of the real ones for which the answer is inconclusive.
    """

    recognised: float
    accused: float
    missed: float
    undecided: tuple[float, float]
    generated: int
    real: int

    @property
    def sentence(self) -> str:
        """The numbers that matter, for a person: an error of either kind is as bad as the other."""
        return self._sentence(
            N_(
                "On {pictures} test pictures, it calls {found} of 100 generated ones likely generated and {missed} "
                "likely not generated; of 100 real ones, it wrongly calls {accused} likely generated."
            )
        )

    @property
    def quoted(self) -> str:
        """The same where the detector has to be named."""
        return self._sentence(
            N_(
                "On {pictures} test pictures, this detector calls {found} of 100 generated ones likely generated and "
                "{missed} likely not generated; of 100 real ones, it wrongly calls {accused} likely generated."
            )
        )

    def _sentence(self, message: str) -> str:
        accused, missed = (
            _("fewer than 1") if 100 * x < 0.5 else f"{round(100 * x)}" for x in (self.accused, self.missed)
        )
        found = round(100 * self.recognised)
        return _(message, pictures=number(self.generated + self.real), found=found, accused=accused, missed=missed)

    @property
    def unsure(self) -> str:
        """How often there is no answer, for a person."""
        generated, real = (round(100 * share) for share in self.undecided)
        return _(
            "It says “inconclusive” for {generated} of 100 generated and {real} of 100 real ones.",
            generated=generated,
            real=real,
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self) | {"undecided": list(self.undecided), "sentence": self.sentence}


def empirical_precision(band: Band, measured_as: str | None) -> EmpiricalPrecision | None:
    """Of an answer by the pixels; None where that has not been measured, and where there was no answer: how many
    drawings and screenshots of a test set were generated says nothing of another one.

    An answer, and not a score: the share then cannot contradict the word beside it.

    Args:
        measured_as: of the detection (causalclip.detector.Detection); the benchmark speaks of one revision alone.
    """
    report = _benchmark(measured_as)
    if band not in BANDS or report is None:
        return None
    classes, shares = _classes(report), report["bands"].get(band, {})
    generated, real = (round(shares.get(kind, 0.0) * count) for kind, count in classes.items())
    base = classes["generated"] / sum(classes.values())
    return EmpiricalPrecision(generated + real, generated, base) if generated + real else None


def error_rates(measured_as: str | None) -> ErrorRates | None:
    """How often it is right and wrong, from the same benchmark; None where there is none of this revision."""
    report = _benchmark(measured_as)
    if report is None:
        return None
    called, unsure, cleared = (report["bands"][band] for band in BANDS)
    undecided = unsure["generated"], unsure["real"]
    return ErrorRates(called["generated"], called["real"], cleared["generated"], undecided, **_classes(report))


def wilson(successes: float, count: int, *, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share by Wilson's score, in [0, 1]; honest for few pictures, where a normal one is not.

    As SciPy's binomtest, whose import takes a second.
    """
    share = successes / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _classes(report: dict[str, Any]) -> dict[str, int]:
    """How many test pictures are generated, and how many real."""
    generated = sum(row["generated"] for row in report["reliability"])
    return {"generated": generated, "real": report["pictures"] - generated}


def _benchmark(revision: str | None) -> dict[str, Any] | None:
    """What the benchmark found on all test pictures with that revision; None where there is none."""
    report = _read()
    return report.get("all") if revision is not None and revision == report.get("revision") else None


@lru_cache(maxsize=1)
def _read() -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(BENCHMARK.read_text(encoding="utf-8"))
    except FileNotFoundError:  # a copy of the packages alone
        return {}
    return found
