"""The record of an answer in the benchmark: how many of the test pictures with it were generated,
and how often it was wrong.

The numbers are of one revision of the detector alone.
"""

from pydantic import computed_field

from causalclip.calibration import SCORE_BANDS, Band
from causalclip.examination.answer import BY_BAND
from causalclip.intervals import wilson
from causalclip.languages import _, number
from causalclip.measured import measured
from causalclip.paths import HEADS
from causalclip.schema import Schema

# sets where real and generated pictures show the same things
LIKE_CONTENT = "alike", "fresh", "sites"
MIN_PICTURES = 100  # pictures of a set that an answer is judged by


class EmpiricalPrecision(Schema):
    """The record of an answer in the benchmark."""

    pictures: int
    """How many test pictures have this answer."""
    generated: int
    """How many of them were generated."""
    base: float
    """The share of generated pictures in the whole test, in [0, 1]."""
    hardest: float | None = None
    """The share of generated pictures among those with this answer, in the set of like content
    where it is worth least; null for an answer that leaves it open."""

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
    """Rates at which the detector is right and wrong, as shares of its test pictures, in [0, 1]."""

    recognised: float
    """The share of generated pictures that are called likely generated."""
    accused: float
    """The share of real pictures that are called likely generated."""
    missed: float
    """The share of generated pictures that are called likely not generated."""
    undecided: tuple[float, float]
    """The shares of generated and of real pictures whose answer is inconclusive."""
    generated: int
    """How many generated pictures there are."""
    real: int
    """How many real pictures there are."""

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
        """The rate of pictures without an answer, in words."""
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
    head = _measured_head(revision)
    if band not in SCORE_BANDS or head is None:
        return None
    generated, real = _with_answer(f"detection.{head}.all", band)
    if not generated + real:
        return None
    classes = _classes(f"detection.{head}.all")
    return EmpiricalPrecision(
        pictures=generated + real,
        generated=generated,
        base=classes["generated"] / sum(classes.values()),
        hardest=_hardest(head, band),
    )


def error_rates(revision: str | None) -> ErrorRates | None:
    """Return how often a revision of the detector is right and wrong; None where that has not been
    measured."""
    head = _measured_head(revision)
    if head is None:
        return None
    accusing, undecided, clearing = (_shares(f"detection.{head}.all", band) for band in SCORE_BANDS)
    return ErrorRates(
        recognised=accusing["generated"],
        accused=accusing["real"],
        missed=clearing["generated"],
        undecided=(undecided["generated"], undecided["real"]),
        **_classes(f"detection.{head}.all"),
    )


def _measured_head(revision: str | None) -> str | None:
    numbers = measured()
    for head in HEADS:
        id = f"detection.{head}.all.auc"
        if revision and id in numbers and numbers[id].revision == revision:
            return head
    return None


def _hardest(head: str, band: Band) -> float | None:
    """Return the share of generated pictures with an answer, in the set of like content where the
    answer is worth least; None where it leaves the question open, and without such sets."""
    worst = {"likely generated": min, "likely not generated": max}.get(band)
    sets = [f"detection.{head}.{name}" for name in LIKE_CONTENT]
    large = [id for id in sets if f"{id}.auc" in measured() and _pictures(id) >= MIN_PICTURES]
    counts = [_with_answer(id, band) for id in large]
    shares = [generated / (generated + real) for generated, real in counts if generated + real]
    return worst(shares) if worst and shares else None


def _shares(id: str, band: Band) -> dict[str, float]:
    """Return which share of each class of a set got an answer."""
    return {
        name: one.value for name, one in measured().below(f"{id}.{BY_BAND[band].value}").items()
    }


def _pictures(id: str) -> int:
    return measured()[f"{id}.auc"].n or 0


def _classes(id: str) -> dict[str, int]:
    """Return how many pictures of a set are generated, and how many real."""
    answer = f"{id}.{BY_BAND[SCORE_BANDS[0]].value}"
    return {name: measured()[f"{answer}.{name}"].n or 0 for name in ("generated", "real")}


def _with_answer(id: str, band: Band) -> tuple[int, int]:
    """Return how many generated and how many real pictures of a set got an answer."""
    answer = f"{id}.{BY_BAND[band].value}"
    generated, real = (measured()[f"{answer}.{name}"].count for name in ("generated", "real"))
    return generated, real
