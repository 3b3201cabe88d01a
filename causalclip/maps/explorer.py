"""What the mask explorer computes: channels and what each adds, removal curves, other maps of the same picture.

A channel is a dimension of the embedding. All views share it, so its contribution is the sum over them; all
contributions, plus the offset, are the logit; so are all patches' contributions, plus what is tied to no place
(causalclip.maps.heatmap). No drawing here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from causalclip.calibration import sigmoid
from causalclip.languages import _
from causalclip.maps.heatmap import picture_map, unplaced
from causalclip.maps.masks import PASSES, mean_mask, part_name

if TYPE_CHECKING:
    from causalclip.detector import Detection

Shown = Literal["causal", "non_causal", "difference"]
Order = Literal["push", "mask"]
DRAWS = 20  # of channels removed at random
CHANNEL_SCALE = 0.0005  # log-odds per patch at the ends of one channel's map, for every picture and channel


@dataclass(frozen=True, slots=True)
class Channel:
    """index: in the whole embedding. part, place: its part of the embedding in words, and its number within that.
    contribution: to the logit. mask: how much of it is let through, mean over the views, in [0, 1]."""

    index: int
    part: str
    place: int
    contribution: float
    mask: float

    @property
    def name(self) -> str:
        return _("{part}, no. {place}", part=self.part, place=self.place)


@dataclass(frozen=True, slots=True, eq=False)
class Removal:
    """The probability with channels removed. counts: int [K], from 0 to all. ordered: [K], the first ones of the order.
    drawn: [DRAWS, K], as many at random."""

    counts: np.ndarray
    ordered: np.ndarray
    drawn: np.ndarray


def contributions(detection: Detection) -> np.ndarray:
    """What each channel adds to the logit, against the average training picture: float64 [D]."""
    return np.array([view.channels for view in detection.views], np.float64).sum(0)


def offset(detection: Detection) -> float:
    """What belongs to no channel: with all `contributions` it is the logit."""
    return detection.rest + float(sum(view.bias for view in detection.views))


def top_channels(detection: Detection, *, count: int = 12) -> list[Channel]:
    """The channels that push most, either way, the strongest first."""
    added, mask = contributions(detection), mean_mask(detection)
    ends = np.cumsum([width for _, width in detection.parts])
    found = []
    for index in np.argsort(-np.abs(added), kind="stable")[:count]:
        part = int(np.searchsorted(ends, index, side="right"))
        name, width = detection.parts[part]
        place = int(index - (ends[part] - width))
        found.append(Channel(int(index), part_name(name), place, float(added[index]), float(mask[index])))
    return found


def removal_order(detection: Detection, order: Order) -> np.ndarray:
    """Indices [D] of the channels in the order in which they are removed.

    "push": the ones first that push hardest towards the side on which the score is. "mask": the ones that the mask lets
    through most.
    """
    if order == "mask":
        return np.argsort(-mean_mask(detection), kind="stable")
    side = 1.0 if detection.logit > 0 else -1.0
    return np.argsort(-side * contributions(detection), kind="stable")


def remove(detection: Detection, order: Order, *, points: int = 60, seed: int = 0) -> Removal:
    """The curves of removal. Removed means: as in the average training picture, with the mask as it is."""
    added = contributions(detection)
    most = len(added)
    counts = np.unique(np.append(0, np.geomspace(1, most, points).round()).astype(int))
    rng = np.random.default_rng(seed)
    drawn = np.array([_probabilities(detection, added[rng.permutation(most)])[counts] for _ in range(DRAWS)])
    return Removal(counts, _probabilities(detection, added[removal_order(detection, order)])[counts], drawn)


def without(detection: Detection, order: Order, count: int, *, seed: int = 0) -> tuple[float, float]:
    """The probability without the first `count` channels of an order, and its mean without as many random ones."""
    added = contributions(detection)
    rng = np.random.default_rng(seed)
    drawn = [_probabilities(detection, added[rng.permutation(len(added))])[count] for _ in range(DRAWS)]
    return float(_probabilities(detection, added[removal_order(detection, order)])[count]), float(np.mean(drawn))


def without_strongest(detection: Detection, count: int, *, seed: int = 0) -> tuple[float, float]:
    """The probability without the `count` passing channels that push hardest for the answer, and its mean without as
    many others that pass, drawn at random."""
    order, added = removal_order(detection, "push"), contributions(detection)
    passing = order[mean_mask(detection)[order] >= PASSES]
    strongest, others = passing[:count], passing[count:]
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(others, min(count, len(others)), replace=False) for _ in range(DRAWS)]
    left = [sigmoid(detection.logit - float(added[gone].sum())) for gone in (strongest, *drawn)]
    return left[0], float(np.mean(left[1:]))


def shown(detection: Detection, which: Shown) -> Detection:
    """The detection with the map to be drawn in the place of the causal one."""
    if which == "causal":
        return detection
    less = 0 if which == "non_causal" else 1
    maps = (less * view.causal + (1 - 2 * less) * view.non_causal for view in detection.views)
    return replace(detection, views=tuple(replace(v, causal=m) for v, m in zip(detection.views, maps, strict=True)))


def arrays(detection: Detection) -> dict[str, np.ndarray]:
    """All that an npz holds: maps over the picture, every view as it is, channels, and a `readme` of them."""
    maps = {w: picture_map(shown(detection, w), unit="patch") for w in ("causal", "non_causal", "difference")}
    views = detection.views
    return {f"map_{name}": levels for name, levels in maps.items()} | {
        "readme": np.array(README),
        "view_kind": np.array([v.kind for v in views]),
        "view_box": np.array([v.box for v in views], np.float64),
        "view_causal": np.array([v.causal for v in views]),
        "view_non_causal": np.array([v.non_causal for v in views]),
        "view_rest": np.array([v.rest for v in views], np.float64),
        "view_mask": np.array([v.mask for v in views]),
        "view_channels": np.array([v.channels for v in views]),
        "view_bias": np.array([v.bias for v in views], np.float64),
        "part_name": np.array([name for name, _ in detection.parts]),
        "part_width": np.array([width for _, width in detection.parts]),
        "rest": np.array(detection.rest),
        "tied_to_no_place": np.array(unplaced(detection)),
        "offset": np.array(offset(detection)),
        "logit": np.array(detection.logit),
        "probability": np.array(detection.probability),
        "bands": np.array([detection.low, detection.high]),
        "model": np.array([detection.model, detection.revision]),
    }


README = """What CausalCLIP found in one picture. Log-odds above 0 push towards generated.

map_causal, map_non_causal, map_difference [rows, columns]: log-odds per patch that covers the spot; row 0 is the top of
    the picture, column 0 its left. Not smoothed. difference is causal minus non_causal.
view_kind [V], view_box [V, 4]: every view (V of them): the whole picture or a window, and its left, top, right, bottom
    in pixels of the picture.
view_causal [V, g, g]: log-odds that each of g x g patches adds, rows from the top, columns from the left.
view_non_causal [V, g, g]: what the patches would add with 1 - mask in place of the mask; no part of the logit.
view_rest [V]: log-odds that the view adds without a patch.
view_mask [V, D]: the share of each of D channels that is let through, 0 (closed) to 1 (open).
view_channels [V, D], view_bias [V]: log-odds that each channel adds, and that the view adds without a channel.
part_name [P], part_width [P]: the parts of the embedding in the order of the D channels; the widths add up to D.
rest: log-odds that the calibration adds, without a view.
tied_to_no_place: view_rest.sum() + rest. offset: view_bias.sum() + rest. They go by these names on the page, too.
logit: the score as log-odds. probability: the score, 1 / (1 + exp(-logit)), from 0 to 1, before the stability check.
bands: the thresholds: likely not generated at or below bands[0], likely generated at or above bands[1].
model: name and revision.

Two sums are the logit, but for rounding:
    view_causal.sum() + view_rest.sum() + rest
    view_channels.sum() + view_bias.sum() + rest
"""


def _probabilities(detection: Detection, added: np.ndarray) -> np.ndarray:
    """[D + 1]: the probability after each of `added` is taken away in turn, from none of them to all."""
    logits = detection.logit - np.append(0, np.cumsum(added))
    return np.array([sigmoid(float(logit)) for logit in logits])
