"""What a session's archive has so far: numbers, and small copies of the photographs that were accused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from causalclip.yardstick.looking import Looked, Refused

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.profile import Profile

MOST = 1000  # pictures of a page; for more of them there is the command
SHOWN = 100  # small copies that are kept


@dataclass(frozen=True, slots=True)
class Archive:
    """Pictures that were judged.

    real, generated: as their owner knows them to be. judged: how many files came. portions: and in how many portions.
    unanswered: hash and score of those that get no answer, and are in neither.
    """

    real: tuple[Looked, ...] = ()
    generated: tuple[Looked, ...] = ()
    refused: tuple[Refused, ...] = ()
    judged: int = 0
    portions: int = 0
    unanswered: frozenset[tuple[int, float]] = frozenset()

    def plus(self, one: Looked | Refused, *, generated: bool, high: float) -> Archive:
        """With another picture; the same one counts once. high: the threshold from which one is accused."""
        counted = replace(self, judged=self.judged + 1)
        if isinstance(one, Refused):
            return replace(counted, refused=(*self.refused, one))
        if not one.answered:
            return replace(counted, unanswered=self.unanswered | {(one.hash, one.score)})
        before = self.generated if generated else self.real
        if any((other.hash, other.score) == (one.hash, one.score) for other in before):
            return counted
        seen = sum(bool(other.small) for other in self.real) < SHOWN and one.score >= high and not generated
        rows = (*before, one if seen else replace(one, small=""))
        return replace(counted, generated=rows) if generated else replace(counted, real=rows)

    def with_portion(self) -> Archive:
        """At a portion's end, so that the next one may come."""
        return replace(self, portions=self.portions + 1)

    def profile(self, detector: Detector, at_most: float) -> Profile:
        """Of at least one photograph."""
        from causalclip.yardstick.making import make_profile

        return make_profile(self.real, detector, at_most=at_most, generated=self.generated)
