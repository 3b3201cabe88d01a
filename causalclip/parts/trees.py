"""Boosted trees as plain arrays: what scikit-learn's HistGradientBoostingClassifier has learned, without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Trees of at most N nodes each, the first being the root.

    feature: int32 [T, N], what a node asks about. threshold: float64 [T, N]; a value up to it goes left. left, right:
    int32 [T, N], the next node; a leaf's own. value: float64 [T, N], what a leaf adds. base: log-odds before any tree.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    base: float

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Features [n, F] -> log-odds, float64 [n]."""
        found = np.full(len(x), self.base)
        rows = np.arange(len(x))
        for feature, threshold, left, right, value in zip(*self.arrays().values(), strict=True):
            node = np.zeros(len(x), np.int32)
            while True:
                follows = np.where(x[rows, feature[node]] <= threshold[node], left[node], right[node])
                if (follows == node).all():
                    break
                node = follows
            found += value[node]
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """By name, without the base."""
        names = "feature", "threshold", "left", "right", "value"
        return {name: getattr(self, name) for name in names}


def exported(model: Any) -> Trees:
    """The trees of a fitted HistGradientBoostingClassifier of two classes, whose features have no missing values."""
    grown = [row[0].nodes for row in model._predictors]
    most = max(len(nodes) for nodes in grown)
    kinds = {"feature": np.int32, "threshold": np.float64, "left": np.int32, "right": np.int32, "value": np.float64}
    arrays = {name: np.zeros((len(grown), most), kind) for name, kind in kinds.items()}
    for tree, nodes in enumerate(grown):
        n, leaf, own = len(nodes), nodes["is_leaf"].astype(bool), np.arange(len(nodes))
        arrays["feature"][tree, :n] = np.where(leaf, 0, nodes["feature_idx"])
        arrays["threshold"][tree, :n] = np.where(leaf, 0, nodes["num_threshold"])
        arrays["left"][tree, :n] = np.where(leaf, own, nodes["left"])
        arrays["right"][tree, :n] = np.where(leaf, own, nodes["right"])
        arrays["value"][tree, :n] = np.where(leaf, nodes["value"], 0)
    return Trees(**arrays, base=float(np.ravel(model._baseline_prediction)[0]))
