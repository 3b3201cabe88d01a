"""The channel mask itself: every channel as a cell, the most open first, a block a layer, by kind of view."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from PIL import Image

from causalclip.languages import ENGLISH, N_, _, in_turn, number, speaking

if TYPE_CHECKING:
    from causalclip.clip.views import Kind
    from causalclip.detector import Detection

ACROSS = 64  # cells in a row of a block
BINS = 10  # of the histogram
CLOSED, OPEN = 0.1, 0.9  # a channel is closed at or below, and open at or above
TITLES: dict[Kind, str] = {"whole": N_("seen whole"), "window": N_("seen in windows at native scale")}


PARTS = {"cls": N_("CLS token"), "patch": N_("patch mean"), "embedding": N_("CLIP embedding")}


def mean_masks(detection: Detection) -> dict[Kind, np.ndarray]:
    """The mask of each kind of view that was seen, averaged over its views: float32 [D] in [0, 1]."""
    kinds: tuple[Kind, ...] = ("whole", "window")
    masks = {kind: [v.mask for v in detection.views if v.kind == kind] for kind in kinds}
    return {kind: np.mean(rows, 0) for kind, rows in masks.items() if rows}


@dataclass(frozen=True, slots=True)
class Openness:
    """Of one mask: the shares of channels that are open and closed, the mean, and the share in each of BINS bins of
    equal width from 0 to 1."""

    open: float
    closed: float
    mean: float
    bins: tuple[float, ...]


def openness(mask: np.ndarray) -> Openness:
    """Of a mask [D] in [0, 1]."""
    counts = np.histogram(mask, BINS, (0, 1))[0]
    shares = tuple(float(count) / len(mask) for count in counts)
    return Openness(float((mask >= OPEN).mean()), float((mask <= CLOSED).mean()), float(mask.mean()), shares)


def mask_words(detection: Detection) -> str:
    """The channel mask in one sentence, for who cannot see it."""
    means = in_turn(
        _("{percent}% {seen}", percent=number(round(100 * float(mask.mean()))), seen=_(TITLES[kind]))
        for kind, mask in mean_masks(detection).items()
    )
    return _(
        "The channel mask as a grid, in each layer the most open channels first. On average it lets through {means}.",
        means=means,
    )


def part_name(part: str) -> str:
    """A part of the embedding (see causalclip.clip.tower) in words: "cls:7" -> "CLS token, layer 7"."""
    kind, _colon, layer = part.partition(":")
    name = _(PARTS.get(kind, kind))
    return _("{name}, layer {layer}", name=name, layer=layer) if layer else name


@speaking(ENGLISH)
def draw_mask(detection: Detection, *, dpi: int = 110) -> Image.Image:
    """The mask as a labelled grid of 0 (held back) to 1 (let through): one column a kind of view, one block a part.

    Its labels are in English, as what draws it cannot shape every script; `mask_words` says it in the reader's.
    Uses matplotlib without pyplot, so that it may run in any thread.
    """
    masks = mean_masks(detection)
    heights = [-(-width // ACROSS) for _, width in detection.parts]
    size = 1.6 + 4.2 * len(masks), 1.2 + 0.085 * sum(heights) + 0.16 * len(heights)  # inches
    figure = Figure(figsize=size, dpi=dpi, layout="constrained")
    axes = figure.subplots(len(heights), len(masks), squeeze=False, height_ratios=heights)
    for column, (kind, mask) in enumerate(masks.items()):
        axes[0, column].set_title(TITLES[kind], fontsize=10)
        for row, (part, block) in enumerate(_blocks(detection, mask)):
            shown = _block(axes[row, column], block)
            if column == 0:
                axes[row, 0].set_ylabel(part_name(part), rotation=0, ha="right", va="center", fontsize=9)
    bar = figure.colorbar(shown, ax=axes, location="bottom", aspect=45, fraction=0.05, pad=0.02)
    bar.set_label("share of the dimension that reaches the verdict: 0 held back, 1 let through", fontsize=9)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _blocks(detection: Detection, mask: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Every part's name and its stretch of the mask, sorted, in rows of ACROSS; the last row is filled up with nan."""
    start = 0
    for part, width in detection.parts:
        block = np.full(-(-width // ACROSS) * ACROSS, np.nan, np.float32)
        block[:width] = np.sort(mask[start : start + width])[::-1]
        start += width
        yield part, block.reshape(-1, ACROSS)


def _block(axes: Axes, block: np.ndarray) -> AxesImage:
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(block, cmap="viridis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
