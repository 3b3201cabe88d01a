"""How the ideas are fitted: least squares from moments that are kept a fold apart, and a small decoder."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.local.regions.made import FOLDS

RIDGE = 300.0


class Moments:
    """What least squares needs of standardised features, a fold apart: for any choice of columns."""

    def __init__(self, x: Tensor, y: Tensor, w: Tensor, folds: np.ndarray) -> None:
        w = w / w.sum() * len(w)
        sample = x[torch.randperm(len(x))[:6000]].float()
        self.mean, self.deviation = sample.mean(0), sample.std(0).clamp_min(1e-4)
        self.folds = []
        D = x.shape[1]
        for fold in range(FOLDS):
            rows = torch.from_numpy(np.nonzero(folds == fold)[0])
            gram, moment, total, label = torch.zeros(D, D), torch.zeros(D), torch.zeros(D), torch.zeros(2)
            for part in rows.split(8192):
                z = (x[part].float() - self.mean) / self.deviation
                zw = z * w[part, None]
                gram.addmm_(zw.T, z)
                moment += zw.T @ y[part]
                total += zw.sum(0)
                label += torch.stack([(w[part] * y[part]).sum(), w[part].sum()])
            self.folds.append((gram, moment, total, label))


class Ridge:
    """Least squares with a penalty on some columns of standardised features, one fit a fold that leaves it out.

    weights[FOLDS] is the fit on everything.
    """

    def __init__(self, of: Moments, columns: slice = slice(None), *, ridge: float = RIDGE) -> None:
        self.weights, self.offsets = [], []
        mean, deviation = of.mean[columns], of.deviation[columns]
        for out in [*range(FOLDS), None]:
            kept = [of.folds[f] for f in range(FOLDS) if f != out]
            gram = sum((k[0][columns, columns] for k in kept[1:]), kept[0][0][columns, columns])
            moment, total = (sum((k[i][columns] for k in kept[1:]), kept[0][i][columns]) for i in (1, 2))
            label, n = (sum(k[3] for k in kept)[i] for i in (0, 1))  # type: ignore[index]
            gram = gram - torch.outer(total, total) / n
            gram.diagonal().add_(ridge)
            solved = torch.cholesky_solve((moment - total * label / n)[:, None], torch.linalg.cholesky(gram))[:, 0]
            weight = solved / deviation
            self.weights.append(weight)
            self.offsets.append(label / n - (solved * total / n).sum() - (weight * mean).sum())

    def __call__(self, x: Tensor, fold: int) -> Tensor:
        return x @ self.weights[fold] + self.offsets[fold]


class Decoder(nn.Module):
    """Three convolutions over the cells."""

    def __init__(self, width: int, hidden: int = 48) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, hidden, 1),
            nn.GELU(),
            nn.Conv2d(hidden, hidden, 3, padding=1, padding_mode="replicate"),
            nn.GELU(),
            nn.Conv2d(hidden, hidden, 3, padding=1, padding_mode="replicate"),
            nn.GELU(),
            nn.Conv2d(hidden, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layers(x)
        return found[:, 0]
