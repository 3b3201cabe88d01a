"""One figure of a picture's mask, to be printed: the heatmap of the mask, and both maps with the
score that each gives.

English, as matplotlib cannot shape every script.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from causalclip.languages import ENGLISH, speaking
from causalclip.maps.channels import by_part, mean_mask, part_name, suppressed_score
from causalclip.maps.overlay import SCALE, draw_map

if TYPE_CHECKING:
    from causalclip.detection import Detection
    from causalclip.maps.attribution import Which
    from causalclip.maps.overlay import Drawing

SIZE = (11.0, 4.2)  # inches
TEAL = ("#f5f5f4", "#0f766e", "#042f2e")  # from 0 to 1


def save_mask_figure(drawing: Drawing, file: Path) -> None:
    """Write the figure of a picture's mask and maps, in the format that the file's ending names
    (PNG, SVG, PDF)."""
    # The object interface: pyplot keeps state that threads share.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with speaking(ENGLISH):  # Matplotlib's own font has no Japanese, Chinese or Hindi letters
        figure = Figure(figsize=SIZE, layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(5, 4))[0]
        _draw_mask(left, drawing.detection)
        _draw_maps(right, drawing)
        metadata = {"Date": None} if file.suffix == ".svg" else None
        figure.savefig(file, dpi=150, metadata=metadata)


def _draw_mask(figure: Any, detection: Detection) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    parts = by_part(detection, mean_mask(detection))
    widest = max(map(len, parts.values()))
    rows = np.full((len(parts), widest), np.nan)
    for row, mask in zip(rows, parts.values(), strict=True):
        row[: len(mask)] = mask
    axes = figure.subplots()
    colours = LinearSegmentedColormap.from_list("mask", TEAL)
    image = axes.imshow(rows, cmap=colours, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_yticks(range(len(parts)), [part_name(part) for part in parts], fontsize=8)
    axes.set_xlabel("channel", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.set_title("The mask of this picture", fontsize=10, loc="left")
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02)
    bar.set_label("0 suppressed, 1 passed", fontsize=8)
    bar.ax.tick_params(labelsize=8)


def _draw_maps(figure: Any, drawing: Drawing) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    from causalclip.maps.overlay import COLOURS

    detection = drawing.detection
    halves: tuple[tuple[Which, str, float], ...] = (
        ("causal", "Passed", detection.probability),
        ("non_causal", "Suppressed", suppressed_score(detection)),
    )
    panels = figure.subplots(1, 2)
    for axes, (which, name, score) in zip(panels, halves, strict=True):
        axes.imshow(np.asarray(draw_map(drawing, which)))
        axes.set_title(f"{name}: score {score:.2f}", fontsize=10, loc="left")
        axes.set_axis_off()
    scale = ScalarMappable(Normalize(-SCALE, SCALE), COLOURS)
    bar = figure.colorbar(scale, ax=list(panels), orientation="horizontal", fraction=0.05, pad=0.03)
    bar.set_label("log-odds per patch: purple not generated, orange generated", fontsize=8)
    bar.ax.tick_params(labelsize=8)
