"""What an answer has meant in the benchmark: how many of the test pictures with it were generated,
and how often it was wrong.

The numbers are of one revision of the detector alone, from the benchmark's file.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import computed_field

from causalclip.calibration import Band
from causalclip.intervals import wilson
from causalclip.languages import _, number
from causalclip.paths import shipped_folder
from causalclip.schema import Schema

# the detector's own benchmark, then that of both heads; a copy of the packages alone has neither
REPORTS = tuple(shipped_folder("benchmarks") / name for name in ("detection.json", "heads.json"))
# sets where real and generated pictures show the same things
LIKE_CONTENT = "alike", "fresh", "sites"
MIN_PICTURES = 100  # pictures of a set that an answer is judged by
BANDS = "likely generated", "inconclusive", "likely not generated"


class EmpiricalPrecision(Schema):
    """What an answer has meant in the benchmark."""

    pictures: int
    """Of the test, with this answer."""
    generated: int
    """How many of them were generated."""
    base: float
    """The share of generated pictures in the whole test, in [0, 1]."""
    hardest: float | None = None
    """The same in the set of like content where this answer is worth least; null for an answer that
    leaves it open."""

    @computed_field
    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the share, in [0, 1]."""
        return wilson(self.generated, self.pictures)

    @computed_field
    @property
    def sentence(self) -> str:
        """The share in words."""
        share = round(100 * self.generated / self.pictures)
        if self.hardest is None or (hardest := round(100 * self.hardest)) == share:
            return _(
                "In tests, {share} of 100 pictures with this answer were generated.", share=share
            )
        return _(
            "In tests, {share} of 100 pictures with this answer were generated; where real and "
            "generated ones show the same things, {hardest}.",
            share=share,
            hardest=hardest,
        )

    @property
    def counts_sentence(self) -> str:
        """The counts behind the share in words."""
        low, high = (round(100 * end) for end in self.interval)
        return _(
            "Counted: {generated} of {pictures} (95% interval {low} to {high} of 100). Of all "
            "test pictures, {base} of 100 were generated; where generated ones are rarer, fewer of "
            "those with this answer are generated.",
            generated=number(self.generated),
            pictures=number(self.pictures),
            low=low,
            high=high,
            base=round(100 * self.base),
        )


class ErrorRates(Schema):
    """How often the detector is right and wrong, as shares of its test pictures, in [0, 1]."""

    recognised: float
    """Of the generated ones, those that are called likely generated."""
    accused: float
    """Of the real ones, those that are called likely generated."""
    missed: float
    """Of the generated ones, those that are called likely not generated."""
    undecided: tuple[float, float]
    """Of the generated and of the real ones, those whose answer is inconclusive."""
    generated: int
    """How many generated pictures there are."""
    real: int
    """How many real ones."""

    @computed_field
    @property
    def sentence(self) -> str:
        """The errors of either kind in words."""
        accused, missed = (
            _("fewer than 1") if 100 * x < 0.5 else f"{round(100 * x)}"
            for x in (self.accused, self.missed)
        )
        return _(
            "On {pictures} test pictures, it calls {found} of 100 generated ones likely generated "
            "and {missed} likely not generated; of 100 real ones, it wrongly calls {accused} "
            "likely generated.",
            pictures=number(self.generated + self.real),
            found=round(100 * self.recognised),
            accused=accused,
            missed=missed,
        )

    @property
    def unsure(self) -> str:
        """How often there is no answer, in words."""
        generated, real = (round(100 * share) for share in self.undecided)
        return _(
            "It says “inconclusive” for {generated} of 100 generated and {real} of 100 real ones.",
            generated=generated,
            real=real,
        )


def empirical_precision(band: Band, revision: str | None) -> EmpiricalPrecision | None:
    """Return what an answer by the pixels has meant; None where that has not been measured.

    It is of an answer, and not of a score, so that the share cannot contradict the word beside it.
    "No answer" has none: how many drawings of a test set were generated says nothing of another.

    Args:
        band: the answer.
        revision: of the detector, as it was measured (Detection.measured_as).
    """
    report = _report(revision)
    if band not in BANDS or report is None:
        return None
    generated, real = _with_answer(report["all"], band)
    if not generated + real:
        return None
    classes = _classes(report["all"])
    return EmpiricalPrecision(
        pictures=generated + real,
        generated=generated,
        base=classes["generated"] / sum(classes.values()),
        hardest=_hardest(report, band),
    )


def error_rates(revision: str | None) -> ErrorRates | None:
    """Return how often a revision of the detector is right and wrong; None where that has not been
    measured."""
    report = _report(revision)
    if report is None:
        return None
    bands = report["all"]["bands"]
    accusing, undecided, clearing = (bands[band] for band in BANDS)
    return ErrorRates(
        recognised=accusing["generated"],
        accused=accusing["real"],
        missed=clearing["generated"],
        undecided=(undecided["generated"], undecided["real"]),
        **_classes(report["all"]),
    )


def _hardest(report: dict[str, Any], band: Band) -> float | None:
    """Return the share of generated pictures with an answer, in the set of like content where the
    answer is worth least; None where it leaves the question open, and without such sets."""
    worst = {"likely generated": min, "likely not generated": max}.get(band)
    sets = [report[name] for name in LIKE_CONTENT if name in report]
    counts = [_with_answer(row, band) for row in sets if row["pictures"] >= MIN_PICTURES]
    shares = [generated / (generated + real) for generated, real in counts if generated + real]
    return worst(shares) if worst and shares else None


def _classes(row: dict[str, Any]) -> dict[str, int]:
    """Return how many pictures of a set are generated, and how many real."""
    generated = sum(part["generated"] for part in row["reliability"])
    return {"generated": generated, "real": row["pictures"] - generated}


def _with_answer(row: dict[str, Any], band: Band) -> tuple[int, int]:
    """Return how many generated and how many real pictures of a set got an answer."""
    shares = row["bands"].get(band, {})
    classes = _classes(row)
    generated, real = (
        round(shares.get(name, 0.0) * classes[name]) for name in ("generated", "real")
    )
    return generated, real


def _report(revision: str | None) -> dict[str, Any] | None:
    """Return what the benchmark measured of a revision, a row a set; None without it."""
    return _read(REPORTS).get(revision) if revision else None


@lru_cache(maxsize=1)
def _read(files: tuple[Path, ...]) -> dict[str, dict[str, Any]]:
    """Return what was measured of each revision; the first of two reports of one counts."""
    reports: dict[str, dict[str, Any]] = {}
    for file in files:
        if not file.is_file():
            continue
        content = json.loads(file.read_text(encoding="utf-8"))
        rows = [content] if "revision" in content else content.values()
        for row in rows:
            if isinstance(row, dict):
                reports.setdefault(row["revision"], row)
    return reports
