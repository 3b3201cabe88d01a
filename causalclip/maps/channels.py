"""Computations of the Mask tab: channels and what each adds, masks and how two differ, what is left
without the strongest channels.

A channel is a dimension of the embedding; the embedding is made of parts, one a layer and kind of
token. All views share it, so a channel's contribution is the sum over them; all contributions, plus
the offset, are the logit; so are all patches' contributions, plus what is tied to no place
(causalclip.maps.attribution). Every view has its mask; what is said of a picture is said of the
mean over its views. No drawing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from causalclip.calibration import sigmoid
from causalclip.languages import N_, _
from causalclip.maps.attribution import Which, picture_map, unlocalised_logit
from causalclip.paths import shipped_folder

if TYPE_CHECKING:
    from causalclip.detection import Detection, ViewAttribution

MIN_PASSING = 0.5  # a channel is let through from this value of the mask on
DRAWS = 20  # of channels removed at random
MAX_POINTS = 60  # of a curve of removal, at most
REMOVED = 10, 30, 100, 300, 1000  # channels that are taken away, step by step
# log-odds per patch at the ends of one channel's map, for every picture and channel
CHANNEL_SCALE = 0.0005
PARTS = {"cls": N_("CLS token"), "patch": N_("patch mean"), "embedding": N_("CLIP embedding")}


@dataclass(frozen=True, slots=True)
class MaskDifference:
    """The difference of two pictures' masks, over the whole embedding or one part of it.

    channels: how many there are. first, second: how many either mask lets through; only_first,
    only_second: how many one lets through and the other holds back. mean: of the absolute
    differences, in [0, 1]. correlation: Pearson's, in [-1, 1]; None where one of the masks has the
    same value everywhere.
    """

    channels: int
    first: int
    second: int
    only_first: int
    only_second: int
    mean: float
    correlation: float | None

    @classmethod
    def of(cls, first: np.ndarray, second: np.ndarray) -> MaskDifference:
        """Compare two masks [D] in [0, 1]."""
        a, b = first >= MIN_PASSING, second >= MIN_PASSING
        varies = bool(np.ptp(first) and np.ptp(second))
        return cls(
            len(a),
            passing(first),
            passing(second),
            int((a & ~b).sum()),
            int((b & ~a).sum()),
            float(np.abs(first - second).mean()),
            float(np.corrcoef(first, second)[0, 1]) if varies else None,
        )


def mean_mask(detection: Detection) -> np.ndarray:
    """Return the mask's mean over the views, float64 [D] in [0, 1]."""
    return np.array([view.mask for view in detection.views], np.float64).mean(0)


def passing(mask: np.ndarray) -> int:
    """Return how many channels a mask [D] lets through."""
    return int((mask >= MIN_PASSING).sum())


def by_part(detection: Detection, values: np.ndarray) -> dict[str, np.ndarray]:
    """Return the values [D] of each part's channels, by the part's name."""
    names, widths = zip(*detection.parts, strict=True)
    return dict(zip(names, np.split(values, np.cumsum(widths)[:-1]), strict=True))


def compare_masks(
    first: Detection, second: Detection
) -> tuple[MaskDifference, dict[str, MaskDifference]]:
    """Return how two pictures' masks differ: over all channels, and in each part.

    Raises:
        ValueError: they are of different detectors.
    """
    _check_alike(first, second)
    masks = mean_mask(first), mean_mask(second)
    each = zip(*(by_part(first, mask).items() for mask in masks), strict=True)
    return MaskDifference.of(*masks), {
        name: MaskDifference.of(a, b) for (name, a), (_name, b) in each
    }


def part_name(part: str) -> str:
    """Return a part of the embedding in words: "cls:7" is "CLS token, layer 7".

    causalclip.clip.embedding says what there is.
    """
    kind, _colon, layer = part.partition(":")
    name = _(PARTS.get(kind, kind))
    return _("{name}, layer {layer}", name=name, layer=layer) if layer else name


@dataclass(frozen=True, slots=True)
class Channel:
    """A dimension of the embedding.

    index: in the whole embedding. part, place: its part of the embedding in words, and its number
    within that. contribution: to the logit.
    """

    index: int
    part: str
    place: int
    contribution: float

    @property
    def name(self) -> str:
        """The part and the number of the channel, in words."""
        return _("{part}, no. {place}", part=self.part, place=self.place)


@dataclass(frozen=True, slots=True, eq=False)
class DeletionCurve:
    """The probability with channels removed.

    counts: int [K], how many, from 0 to all. ordered: [K], without the first ones of the order.
    drawn: [DRAWS, K], without as many at random.
    """

    counts: np.ndarray
    ordered: np.ndarray
    drawn: np.ndarray


def contributions(detection: Detection) -> np.ndarray:
    """Return what each channel adds to the logit, against the average training picture, float64
    [D]."""
    return np.array([view.channels for view in detection.views], np.float64).sum(0)


def offset(detection: Detection) -> float:
    """Return what belongs to no channel: with all `contributions` it is the logit."""
    return detection.rest + float(sum(view.bias for view in detection.views))


def top_channels(detection: Detection, *, count: int = 12) -> list[Channel]:
    """Return the channels that push most, either way, the strongest first."""
    pushes = contributions(detection)
    ends = np.cumsum([width for _, width in detection.parts])
    channels = []
    for index in np.argsort(-np.abs(pushes), kind="stable")[:count]:
        part = int(np.searchsorted(ends, index, side="right"))
        name, width = detection.parts[part]
        place = int(index - (ends[part] - width))
        channels.append(Channel(int(index), part_name(name), place, float(pushes[index])))
    return channels


def suppressed(detection: Detection) -> np.ndarray:
    """Return what each channel would have added with 1 - mask in place of the mask, float64 [D]."""
    return np.array([view.suppressed for view in detection.views], np.float64).sum(0)


def suppressed_score(detection: Detection) -> float:
    """Return the probability that the suppressed half gives alone, with 1 - mask in place of the
    mask."""
    return float(sigmoid(offset(detection) + float(suppressed(detection).sum())))


def unmasked_score(detection: Detection) -> float:
    """Return the probability with the mask open everywhere, and the weights as they are."""
    pushes = contributions(detection) + suppressed(detection)
    return float(sigmoid(offset(detection) + float(pushes.sum())))


def score_under(detection: Detection, other: Detection) -> float | None:
    """Return the probability of a picture under another picture's mask.

    Each view takes the mean mask of the other's views of its type, or of all where it has none. It
    is None where a private head corrects the verdict, which knows no mask.

    Raises:
        ValueError: they are of different detectors.
    """
    _check_alike(detection, other)
    if detection.corrected:
        return None
    logit = offset(detection)
    for view in detection.views:
        of_type = [v.mask for v in other.views if v.view_type == view.view_type]
        mask = np.mean(of_type, 0) if of_type else mean_mask(other)
        logit += float((mask * (view.channels + view.suppressed)).sum(dtype=np.float64))
    return float(sigmoid(logit))


def deletion_order(detection: Detection) -> np.ndarray:
    """Return the channels' indices [D] in the order in which they are removed.

    Those that the mask lets through come before the others, and of each the ones first that push
    hardest towards the side on which the score is.
    """
    side = 1.0 if detection.logit > 0 else -1.0
    return np.lexsort((-side * contributions(detection), mean_mask(detection) < MIN_PASSING))


def deletion_curve(detection: Detection) -> DeletionCurve:
    """Return the probability while channels are removed, in their order and at random.

    Removed means: as in the average training picture, with the mask as it is.
    """
    pushes = contributions(detection)
    total = len(pushes)
    counts = np.unique(np.append(0, np.geomspace(1, total, MAX_POINTS).round()).astype(int))
    rng = np.random.default_rng(0)
    curves = [_probabilities(detection, pushes[rng.permutation(total)]) for _ in range(DRAWS)]
    probabilities = _probabilities(detection, pushes[deletion_order(detection)])
    return DeletionCurve(counts, probabilities[counts], np.array(curves)[:, counts])


def without_strongest(detection: Detection, count: int) -> tuple[float, float]:
    """Return the probability without the first `count` channels of the order, and its mean without
    as many drawn at random: of those that pass, or of all where fewer pass."""
    pushes = contributions(detection)
    order = deletion_order(detection)
    passes = passing(mean_mask(detection))
    candidates = order[:passes] if passes >= count else order
    rng = np.random.default_rng(0)
    samples = [rng.choice(candidates, count, replace=False) for _ in range(DRAWS)]
    strongest, *others = (
        sigmoid(detection.logit - float(pushes[channels].sum()))
        for channels in (order[:count], *samples)
    )
    return strongest, float(np.mean(others))


def removal_counts(detection: Detection) -> list[int]:
    """Return how many channels are removed step by step: none, then REMOVED, as far as so many
    pass and push towards the side on which the score is, and in the end all of those."""
    side = 1.0 if detection.logit > 0 else -1.0
    pushing = (side * contributions(detection) > 0) & (mean_mask(detection) >= MIN_PASSING)
    total = int(pushing.sum())
    return [0, *(count for count in REMOVED if count < total), *([total] if total else [])]


def kept_channels(detection: Detection, counts: Sequence[int]) -> np.ndarray:
    """Return which channels are left without the first ones of the order, bool [K, D]: a row for
    each of the K counts."""
    order = deletion_order(detection)
    kept = np.ones((len(counts), len(order)), bool)
    for row, count in zip(kept, counts, strict=True):
        row[order[:count]] = False
    return kept


def remaining(
    detection: Detection, kept: np.ndarray, views: tuple[ViewAttribution, ...]
) -> Detection:
    """Return the detection with some channels alone, for a map of what is left.

    Args:
        kept: bool [D], the channels that are left.
        views: with those channels alone (`Detector.explain_channels`).
    """
    logit = offset(detection) + float(contributions(detection)[kept].sum())
    return replace(detection, views=views, logit=logit, probability=float(sigmoid(logit)))


def arrays(detection: Detection) -> dict[str, np.ndarray]:
    """Return all that an npz holds: maps over the picture, every view as it is, channels, and a
    `readme` of them."""
    which: tuple[Which, Which] = ("causal", "non_causal")
    maps = {name: picture_map(detection, name, unit="patch") for name in which}
    views = detection.views
    return {f"map_{name}": levels for name, levels in maps.items()} | {
        "readme": np.array((shipped_folder("assets") / "arrays.txt").read_text(encoding="utf-8")),
        "view_kind": np.array([view.view_type for view in views]),
        "view_box": np.array([v.box for v in views], np.float64),
        "view_causal": np.array([v.causal for v in views]),
        "view_non_causal": np.array([v.non_causal for v in views]),
        "view_rest": np.array([v.rest for v in views], np.float64),
        "view_mask": np.array([v.mask for v in views]),
        "view_held": np.array([v.suppressed for v in views]),
        "view_channels": np.array([v.channels for v in views]),
        "view_bias": np.array([v.bias for v in views], np.float64),
        "part_name": np.array([name for name, _ in detection.parts]),
        "part_width": np.array([width for _, width in detection.parts]),
        "rest": np.array(detection.rest),
        "tied_to_no_place": np.array(unlocalised_logit(detection)),
        "offset": np.array(offset(detection)),
        "logit": np.array(detection.logit),
        "probability": np.array(detection.probability),
        "bands": np.array([detection.low, detection.high]),
        "model": np.array([detection.model, detection.revision]),
    }


def _probabilities(detection: Detection, pushes: np.ndarray) -> np.ndarray:
    """Return the probability after each of the pushes is taken away in turn, from none of them to
    all: [D + 1]."""
    logits = detection.logit - np.append(0, np.cumsum(pushes))
    return np.array([sigmoid(float(logit)) for logit in logits])


def _check_alike(first: Detection, second: Detection) -> None:
    if (first.model, first.revision, first.parts) != (second.model, second.revision, second.parts):
        raise ValueError("The two pictures were judged by different detectors.")
