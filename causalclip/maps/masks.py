"""The mask of a picture as numbers: which channels it lets through, and how two masks differ, whole and by part.

A channel is a dimension of the embedding; the embedding is made of parts, one a layer and kind of token. Every view has
its mask; what is said of a picture is said of the mean over its views.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalclip.languages import N_, _

if TYPE_CHECKING:
    from causalclip.detector import Detection

PASSES = 0.5  # a channel is let through from this value of the mask on
PARTS = {"cls": N_("CLS token"), "patch": N_("patch mean"), "embedding": N_("CLIP embedding")}


@dataclass(frozen=True, slots=True)
class MaskDifference:
    """How the masks of two pictures differ, over the whole embedding or one part of it.

    channels: how many there are. first, second: how many either mask lets through; only_first, only_second: how many
    one lets through and the other holds back. mean: of the absolute differences, in [0, 1]. correlation: Pearson's, in
    [-1, 1]; None where one of the masks has the same value everywhere.
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
        """Of two masks [D] in [0, 1]."""
        a, b = first >= PASSES, second >= PASSES
        varied = bool(np.ptp(first) and np.ptp(second))
        return cls(
            len(a),
            passing(first),
            passing(second),
            int((a & ~b).sum()),
            int((b & ~a).sum()),
            float(np.abs(first - second).mean()),
            float(np.corrcoef(first, second)[0, 1]) if varied else None,
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def mean_mask(detection: Detection) -> np.ndarray:
    """The mask's mean over the views, float64 [D] in [0, 1]."""
    return np.array([view.mask for view in detection.views], np.float64).mean(0)


def passing(mask: np.ndarray) -> int:
    """How many channels a mask [D] lets through."""
    return int((mask >= PASSES).sum())


def by_part(detection: Detection, values: np.ndarray) -> dict[str, np.ndarray]:
    """The values of each part's channels, by the part's name. values: [D]."""
    names, widths = zip(*detection.parts, strict=True)
    return dict(zip(names, np.split(values, np.cumsum(widths)[:-1]), strict=True))


def compare_masks(first: Detection, second: Detection) -> tuple[MaskDifference, dict[str, MaskDifference]]:
    """How two pictures' masks differ: over all channels, and in each part. Both are of one detector.

    Raises:
        ValueError: they are of different detectors.
    """
    if (first.model, first.revision, first.parts) != (second.model, second.revision, second.parts):
        raise ValueError("The two pictures were judged by different detectors.")
    masks = mean_mask(first), mean_mask(second)
    each = zip(*(by_part(first, mask).items() for mask in masks), strict=True)
    return MaskDifference.of(*masks), {name: MaskDifference.of(a, b) for (name, a), (_name, b) in each}


def part_name(part: str) -> str:
    """A part of the embedding (see causalclip.clip.attributions) in words: "cls:7" -> "CLS token, layer 7"."""
    kind, _colon, layer = part.partition(":")
    name = _(PARTS.get(kind, kind))
    return _("{name}, layer {layer}", name=name, layer=layer) if layer else name
