"""Measured numbers that the product, the README and the model cards show, each under an id.

`python -m benchmarks pages` gathers them from the benchmarks' reports into assets/measured.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from causalclip.paths import shipped_folder

FILE = shipped_folder("assets") / "measured.json"
Units = Literal["share", "AUC", "AP", "ECE", "nHSIC", "s"]


class Measurement(BaseModel):
    """One measured number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    """Words between dots, from the benchmark to the measure: "detection.causal.all.auc"."""
    value: float
    units: Units
    n: int | None = None
    """How many pictures, pairs, questions or draws it rests on."""
    interval: tuple[float, float] | None = None
    """The ends of the 95 % interval."""
    date: str | None = None
    """The day of the measurement, as ISO 8601; None where it was not recorded."""
    revision: str | None = None
    """The detector's revision; None where no detector was measured."""
    label: str = ""
    """The proper name of what was measured, such as a generator's."""

    @property
    def count(self) -> int:
        """Return how many of `n` a share is."""
        return round(self.value * (self.n or 0))

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the interval, where one must be there."""
        if self.interval is None:
            raise ValueError(f"{self.id} has no interval.")
        return self.interval


MEASUREMENTS = TypeAdapter(list[Measurement])


class Measured:
    """Measurements by their ids.

    measured()["detection.causal.all.auc"].value
    """

    def __init__(self, measurements: Iterable[Measurement]) -> None:
        self._by_id: dict[str, Measurement] = {}
        for one in measurements:
            if one.id in self._by_id:
                raise ValueError(f"{one.id} was measured twice.")
            self._by_id[one.id] = one

    def __getitem__(self, id: str) -> Measurement:
        return self._by_id[id]

    def __contains__(self, id: str) -> bool:
        return id in self._by_id

    def __iter__(self) -> Iterator[Measurement]:
        return iter(self._by_id.values())

    def below(self, prefix: str) -> dict[str, Measurement]:
        """Return the measurements whose id is the prefix, a dot and one more word, by that word."""
        found = {}
        for id, one in self._by_id.items():
            start, _dot, word = id.rpartition(".")
            if start == prefix:
                found[word] = one
        return found


@cache
def measured() -> Measured:
    """Return the measurements of assets/measured.json."""
    return Measured(MEASUREMENTS.validate_json(FILE.read_bytes()))
