"""Pictures, folds of owners and inner products, on which every idea of a mask is judged in the same way.

All that is measured of a part of the embedding (a ridge regression, nearest neighbours) needs its inner products alone,
so that a part is a matrix [N, N], whether channels passed, or directions, or a part that differs picture by picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from sklearn.cluster import KMeans

from causalclip.clip.backbones import DEFAULT
from causalclip.clip.embedding import EMBEDDING
from causalclip.dataset.originals import read_originals
from causalclip.training.data import LIKE, assign_environments, assign_folds
from causalclip.training.features import compute_features

STRENGTH = 3.0  # of every ridge regression, in units of the variance of a dimension
CLUSTERS = 20  # of content


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """x: [N, D] float32, standardised; its columns are grouped by `parts`. labels: [N], 1 generated. owners,
    environments, content: [N], numbers. fold: [N], of its owner."""

    x: np.ndarray
    labels: np.ndarray
    owners: np.ndarray
    environments: np.ndarray
    content: np.ndarray
    fold: np.ndarray
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Passed:
    """What an idea lets through and holds back, as inner products [N, N], and the share of channels, or of directions
    of the embedding, that passes. held None: nothing is."""

    through: np.ndarray
    held: np.ndarray | None
    density: float


@dataclass(frozen=True)
class Split:
    """Rows that are learned from, with weights of sum 1 (both classes count as much), and rows of other owners."""

    pictures: Pictures
    train: np.ndarray
    test: np.ndarray
    weight: np.ndarray

    @cached_property
    def x(self) -> np.ndarray:
        """[N, D], centred by what is learned from."""
        found: np.ndarray = self.pictures.x - self.weight @ self.pictures.x[self.train]
        return found

    @cached_property
    def gram(self) -> np.ndarray:
        """[N, N], of everything."""
        return gram(self.x)

    def among(self, rows: np.ndarray) -> "Split":
        """The same pictures, learned from these of the rows alone."""
        return Split(self.pictures, rows, self.test, balanced(self.pictures.labels[rows]))


def read_pictures(
    table: str, originals: Path, *, parts: tuple[str, ...], cache: Path, each: int, folds: int = 5
) -> Pictures:
    """The photographs of like content in the split `train`, each delivered once. each: of an owner's class, at most."""
    records = [r for r in read_originals(table, originals, each=each) if r.kind == "photo" and r.set in LIKE]
    features = compute_features(records, originals, backbone=DEFAULT, copies=("light",), cache=cache)
    x = features.take(parts)[0].float().numpy()
    x -= x.mean(0)
    x /= x.std(0) + 1e-6
    embedding = features.take((EMBEDDING,))[0].float().numpy()
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    fold_of = assign_folds(records, folds=folds)
    return Pictures(
        x=x,
        labels=np.array([r.label for r in records]),
        owners=np.unique([r.group for r in records], return_inverse=True)[1],
        environments=assign_environments(records),
        content=KMeans(CLUSTERS, n_init=3, random_state=0).fit_predict(embedding),
        fold=np.array([fold_of[r.group] for r in records]),
        parts=parts,
    )


def splits(pictures: Pictures) -> Iterator[Split]:
    for fold in range(pictures.fold.max() + 1):
        train, test = np.flatnonzero(pictures.fold != fold), np.flatnonzero(pictures.fold == fold)
        yield Split(pictures, train, test, balanced(pictures.labels[train]))


def balanced(labels: np.ndarray) -> np.ndarray:
    """Weights of sum 1 with which both classes count as much."""
    weight = 0.5 / np.bincount(labels, minlength=2)[labels]
    return np.asarray(weight, dtype=np.float32)


def gram(x: np.ndarray) -> np.ndarray:
    """[N, D] -> [N, N]."""
    found: np.ndarray = x @ x.T
    return found


def dual(K: np.ndarray, rows: np.ndarray, weight: np.ndarray, targets: np.ndarray, *, strength: float) -> np.ndarray:
    """Ridge regression: a [T, ...], so that K[:, rows] @ a predicts the targets [T, ...] but for their mean.

    Args:
        K: [N, N], of features whose mean over the rows, weighted by `weight` (sum 1), is 0.
    """
    A = K[np.ix_(rows, rows)] + np.diag(strength / weight)
    centred = (targets - np.tensordot(weight, targets, 1)).astype(K.dtype)  # else all is copied in double precision
    found: np.ndarray = cho_solve(cho_factor(A, overwrite_a=True, check_finite=False), centred, check_finite=False)
    return found


def centre(K: np.ndarray, rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The inner products after the weighted mean of these rows is taken off."""
    mean = K[:, rows] @ weight
    found: np.ndarray = K - mean[:, None] - mean[None] + weight @ mean[rows]
    return found
