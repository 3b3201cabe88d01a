"""The ladder as a picture: what each piece adds, on three sets, with the spread between seeds."""

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

COLOURS = {"broad": "#0f766e", "alike": "#b45309", "sites": "#1d4ed8"}


def draw_ladder(report: dict[str, Any]) -> Image.Image:
    """AUC of every rung, a panel a protocol: dots for the mean of the seeds, lines for their range."""
    protocols = {name: rungs for name, rungs in report.items() if isinstance(rungs, list)}
    figure = Figure(figsize=(9.5, 0.9 + 2.9 * len(protocols)), dpi=120, layout="constrained")
    panels = figure.subplots(len(protocols), 1, squeeze=False)[:, 0]
    for panel, (protocol, rungs) in zip(panels, protocols.items(), strict=True):
        places = np.arange(len(rungs))
        for shift, (name, colour) in zip((-0.2, 0.0, 0.2), COLOURS.items(), strict=True):
            mean = np.array([r[name]["auc"]["mean"] for r in rungs])
            spread = np.array([r[name]["auc"]["spread"] for r in rungs])
            panel.errorbar(mean, places + shift, xerr=spread, fmt="o", color=colour, label=name, capsize=3)
        panel.set_yticks(places, [r["name"] for r in rungs], fontsize=8)
        panel.invert_yaxis()
        panel.set_xlim(0.5, 1)
        panel.grid(axis="x", color="#e7e5e4")
        panel.set_title(protocol, fontsize=10, loc="left")
        panel.set_xlabel("AUC (0.5 is a coin)", fontsize=8)
        panel.legend(loc="lower left", fontsize=8)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
