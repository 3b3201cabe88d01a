"""The paper's figure: what passes the mask and what is held back, each on its two principal axes.

Held-out owners of `train`, by a head that did not learn from them. Above coloured by label, below
by generator. The figure is assets/figures/parts.png, and parts-dark.png; the JSON says how much of
each part's variance the two axes hold.
"""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

from benchmarks.common import TABLE, Options
from benchmarks.curve import judge, training_problem
from benchmarks.detection import family_of
from benchmarks.figures import Theme, save
from training.dataset.table import read_table
from training.detector.recipe import Recipe, fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def measure(options: Options) -> dict[str, Any]:
    recipe = Recipe.read(options.recipe)
    data = training_problem(options, recipe)
    held_out = np.flatnonzero(data.fold == 0)
    out = judge(fit(data, recipe.head, leave_out=0), data.features[0, held_out])
    labels = np.array(["generated" if data.records[i].label else "real" for i in held_out])
    generators = {p.sha256: family_of(p.generator) for p in read_table(TABLE) if p.label == "fake"}
    names = np.array([generators.get(data.records[i].picture, "") for i in held_out])
    axes = {"passed": PCA(2, random_state=0), "held back": PCA(2, random_state=0)}
    parts = {"passed": out.causal.numpy(), "held back": out.non_causal.numpy()}
    plane = {name: axes[name].fit_transform(part) for name, part in parts.items()}
    save("parts", partial(draw, plane, labels, names))
    return {
        "pictures": len(held_out),
        "variance": {
            name: float(pca.explained_variance_ratio_.sum()) for name, pca in axes.items()
        },
        "silhouette_by_label": {
            name: float(silhouette_score(part, labels)) for name, part in parts.items()
        },
    }


def draw(
    plane: dict[str, np.ndarray], labels: np.ndarray, names: np.ndarray, theme: Theme
) -> "Figure":
    """Draw both parts, by label and by generator.

    Args:
        plane: part -> [N, 2].
        labels, names: [N]; the name of a real picture's generator is empty.
    """
    from matplotlib.figure import Figure

    families, counts = np.unique(names[(names != "") & (names != "not stated")], return_counts=True)
    generators = families[np.argsort(-counts)][: len(theme.named)]
    colours = dict(zip(generators, theme.named, strict=False))
    by_label = {"real": theme.real, "generated": theme.generated}
    figure = Figure(figsize=(9, 8), layout="constrained")
    panels = figure.subplots(2, 2)
    for column, (part, points) in enumerate(plane.items()):
        for row, (groups, palette) in enumerate(((labels, by_label), (names, colours))):
            panel = panels[row, column]
            for name, colour in palette.items():
                rows = groups == name
                panel.scatter(
                    *points[rows].T, s=7, color=colour, label=name, alpha=0.6, linewidths=0
                )
            panel.set(title=part if not row else "", xticks=[], yticks=[])
            if column:
                panel.legend(
                    fontsize=8,
                    frameon=False,
                    markerscale=2,
                    loc="upper left",
                    bbox_to_anchor=(1, 1),
                )
    return figure
