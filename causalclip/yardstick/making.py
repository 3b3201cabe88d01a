"""From judged photographs to a profile, and to what their maker should know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from causalclip.languages import N_, _, decimal, figure, number
from causalclip.profile import COUNT, Profile
from causalclip.promise import threshold, too_few
from causalclip.yardstick.looking import Looked

if TYPE_CHECKING:
    from causalclip.detector import Detector

LEFT_OUT = N_("Left out, as pictures of their kind get no answer: {n}.")
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
        low, high = (decimal(100 * edge, digits=1) for edge in self.interval)
        said = N_("{reached} of {count} ({share} %; 95 % interval {low} to {high} %)")
        share = decimal(100 * self.reached / self.count, digits=1)
        return _(said, reached=number(self.reached), count=number(self.count), share=share, low=low, high=high)


def make_profile(
    looked: Sequence[Looked], detector: Detector, *, at_most: float, generated: Sequence[Looked] = ()
) -> Profile:
    """The profile of photographs that are known to be real; all of them have an answer (`Looked.answered`).

    Args:
        at_most: the promise; where there are too few for it, the profile has none.
        generated: pictures that are known to be generated, of which the profile keeps the scores.
    """
    counted = highest_of_each(looked)
    sides = np.quantile([one.side for one in looked], (0.01, 0.99), method="inverted_cdf")  # sizes that there are
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


def findings(profile: Profile, *, shipped: float, at_most: float, left_out: int = 0) -> list[str]:
    """What the photographs say of the detector, in sentences.

    shipped: its own threshold. left_out: pictures without an answer, which are not in the profile.
    """
    rate = Rate(sum(score >= shipped for score in profile.counted), len(profile.counted))
    accused = sum(score >= shipped for score in profile.scores)
    said = [_("Photographs that were judged: {n}.", n=number(len(profile.scores)))]
    if left_out:
        said.append(_(LEFT_OUT, n=number(left_out)))
    high = N_(
        "Called likely generated at the detector's own threshold ({threshold}), before the check of stability: "
        "{accused}."
    )
    limit = decimal(shipped, digits=2)
    if rate.count < len(profile.scores):
        said.append(_(COUNT, counted=number(rate.count)))
        by = _("With such pictures counted as one: {rate}.", rate=rate.words)
        said.append(f"{_(high, threshold=limit, accused=number(accused))} {by}")
    else:
        said.append(_(high, threshold=limit, accused=rate.words))
    said.append(_promise(profile, shipped, at_most))
    cameras = [name for name in profile.cameras if name]
    if len(cameras) == 1 and not profile.cameras.get(""):
        said.append(_("All are by one camera ({camera}): they speak for that one alone.", camera=cameras[0]))
    return said + (_missed(profile, shipped) if profile.generated else [])


def _missed(profile: Profile, shipped: float) -> list[str]:
    """How many of the known generated pictures are called so, at either threshold."""
    thresholds = (
        (shipped, N_("Of the pictures known to be generated, {rate} reach the detector's threshold.")),
        (profile.high(shipped), N_("Of the pictures known to be generated, {rate} reach the profile's threshold.")),
    )
    count = len(profile.generated)
    rates = [Rate(sum(score >= high for score in profile.generated), count) for high, _said in thresholds]
    return [_(said, rate=rate.words) for rate, (_high, said) in zip(rates, thresholds, strict=True)]


def _promise(profile: Profile, shipped: float, at_most: float) -> str:
    percent = figure(100 * at_most)
    if few := too_few(len(profile.counted), at_most):
        stays = _("The threshold stays as it is; answers will say how many photographs scored as high.")
        return f"{few} {stays}"
    own = threshold(profile.counted, at_most)
    assert own is not None
    if own <= shipped:
        strict = N_(
            "The promise of {percent} % would hold from {own} on. The detector's own threshold is stricter, and stays."
        )
        return _(strict, percent=percent, own=decimal(own, digits=4))
    return _(
        "With the profile, the threshold is {own}: at most {percent} of 100 real photographs like these are expected "
        "to reach it; that holds for 95 of 100 archives of this size.",
        percent=percent,
        own=decimal(own, digits=4),
    )
