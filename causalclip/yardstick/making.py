"""From judged photographs to a profile, and to what their maker should know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from causalclip.profile import Profile
from causalclip.promise import threshold, too_few
from causalclip.yardstick.looking import Looked

if TYPE_CHECKING:
    from causalclip.detector import Detector

NEAR = 10  # bits of 64 in which the hashes of a burst's pictures may differ


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of `count` reached the threshold, and the exact 95 % interval of that share (Clopper and Pearson)."""

    reached: int
    count: int

    @property
    def interval(self) -> tuple[float, float]:
        """In [0, 1]."""
        from scipy.stats import binomtest

        found = binomtest(self.reached, self.count).proportion_ci(0.95, method="exact")
        return float(found.low), float(found.high)

    @property
    def words(self) -> str:
        """For a person."""
        low, high = (100 * edge for edge in self.interval)
        share = 100 * self.reached / self.count
        return f"{self.reached:,} of {self.count:,} ({share:.1f} %; 95 % interval {low:.1f} to {high:.1f} %)"


def make_profile(
    looked: Sequence[Looked], detector: Detector, *, at_most: float, generated: Sequence[Looked] = ()
) -> Profile:
    """The profile of photographs that are known to be real.

    Args:
        at_most: the promise; where there are too few for it, the profile has none.
        generated: pictures that are known to be generated, of which the profile keeps the scores.
    """
    counted = highest_of_each(looked)
    sides = np.quantile([one.side for one in looked], (0.01, 0.99))
    return Profile(
        model=detector.name,
        revision=detector.config.revision,
        runtime=detector.runtime,
        made=datetime.now(UTC).replace(microsecond=0).isoformat(),
        scores=tuple(sorted((one.score for one in looked), reverse=True)),
        counted=counted,
        at_most=None if too_few(len(counted), at_most) else at_most,
        cameras=dict(Counter(one.camera for one in looked)),
        formats=dict(Counter(one.format for one in looked)),
        kinds=dict(Counter(kind for one in looked for kind in one.kinds)),
        sides=(float(sides[0]), float(sides[1])),
        generated=tuple(sorted((one.score for one in generated), reverse=True)),
    )


def highest_of_each(looked: Sequence[Looked]) -> tuple[float, ...]:
    """One score for each group that counts as one, its highest: pictures of one camera and day, and near-equal ones."""
    best: dict[int, float] = {}
    for group, one in zip(groups(looked), looked, strict=True):
        best[group] = max(best.get(group, 0.0), one.score)
    return tuple(sorted(best.values(), reverse=True))


def groups(looked: Sequence[Looked]) -> list[int]:
    """A number for each photograph, equal for those that count as one."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    pairs: list[tuple[int, int]] = []
    first: dict[tuple[str, str], int] = {}
    hashes = np.array([one.hash for one in looked], np.uint64)
    for i, one in enumerate(looked):
        if one.day:
            pairs.append((first.setdefault((one.camera, one.day), i), i))
        near = np.bitwise_count(hashes[:i] ^ hashes[i]) <= NEAR
        pairs += [(int(j), i) for j in np.flatnonzero(near)]
    rows, columns = np.array(pairs, int).reshape(-1, 2).T
    graph = coo_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(len(looked),) * 2)
    return [int(label) for label in connected_components(graph, directed=False)[1]]


def findings(profile: Profile, *, shipped: float, at_most: float) -> list[str]:
    """What the photographs say of the detector, in sentences. shipped: its own threshold."""
    rate = Rate(sum(score >= shipped for score in profile.counted), len(profile.counted))
    accused = sum(score >= shipped for score in profile.scores)
    said = [f"{len(profile.scores):,} photographs were judged as they are; they count as {rate.count:,}."]
    said.append(
        f"At the detector's own threshold ({shipped:.2f}), {accused:,} of them are called likely generated before the "
        f"check of stability. By what counts as one: {rate.words}."
    )
    said.append(_promise(profile, shipped, at_most))
    cameras = [name for name in profile.cameras if name]
    if len(cameras) == 1 and not profile.cameras.get(""):
        said.append(f"All are by one camera ({cameras[0]}): they speak for that one alone.")
    if profile.generated:
        for name, high in (("the detector's", shipped), ("the profile's", profile.high(shipped))):
            found = Rate(sum(score >= high for score in profile.generated), len(profile.generated))
            said.append(f"Of the pictures known to be generated, {found.words} reach {name} threshold.")
    return said


def _promise(profile: Profile, shipped: float, at_most: float) -> str:
    if few := too_few(len(profile.counted), at_most):
        return f"{few} The threshold stays as it is; answers will say how many photographs scored as high."
    own = threshold(profile.counted, at_most)
    assert own is not None
    if own <= shipped:
        return (
            f"{100 * at_most:g} % would be kept from {own:.4f} on. The detector's own threshold is stricter, and stays."
        )
    return (
        f"With the profile, the threshold is {own:.4f}: at most {100 * at_most:g} of 100 real photographs like these "
        "are expected to reach it; that holds for 95 of 100 archives of this size."
    )
