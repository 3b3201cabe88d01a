"""Linear heads in closed form, and what is measured of any head."""

import numpy as np
import torch
from sklearn.metrics import roc_auc_score, roc_curve
from torch import Tensor, nn

RIDGE = 1.0


def balance(labels: np.ndarray) -> np.ndarray:
    """A weight a picture, [n], that adds up to 1; both classes count as much."""
    share = labels.mean()
    weight: np.ndarray = np.where(labels == 1, 0.5 / share, 0.5 / (1 - share)) / len(labels)
    return weight


def ridge(features: Tensor, labels: np.ndarray, strength: float = RIDGE) -> nn.Linear:
    """The ridge of -1 and 1 on standardised features [n, D]."""
    target, weight = torch.from_numpy(2.0 * labels - 1).float(), torch.from_numpy(balance(labels)).float()
    shift, scale = features.mean(0), features.std(0)
    x = torch.cat([(features - shift) / scale, torch.ones(len(features), 1)], 1)
    penalty = torch.full((x.shape[1],), strength)
    penalty[-1] = 0
    solved = torch.linalg.solve(x.T @ (x * weight[:, None]) + torch.diag(penalty), x.T @ (weight * target))
    head = nn.Linear(features.shape[1], 1)
    with torch.no_grad():
        head.weight.copy_((solved[:-1] / scale)[None])
        head.bias.copy_(solved[-1:] - (solved[:-1] * shift / scale).sum())
    return head


def gram(features: Tensor, rows: np.ndarray) -> np.ndarray:
    """Inner products of all pictures, [N, N], of features [N, D] standardised on the rows."""
    shift, scale = features[rows].mean(0), features[rows].std(0).clamp_min(1e-8)
    standard = (features - shift) / scale
    return (standard @ standard.T).double().numpy()


def kernel_ridge(products: np.ndarray, labels: np.ndarray, rows: np.ndarray, strength: float = RIDGE) -> np.ndarray:
    """Scores of all N pictures, [N], by the ridge of -1 and 1 on the rows, from inner products [N, N]."""
    free = products + 1e4 * strength  # of an intercept that is hardly penalised
    alpha = np.linalg.solve(
        free[np.ix_(rows, rows)] + np.diag(strength / balance(labels[rows])), 2.0 * labels[rows] - 1
    )
    return np.asarray(free[:, rows] @ alpha)


def measures(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """AUC, and TPR at 5 % and 1 % FPR."""
    fpr, tpr, _ = roc_curve(labels, scores)
    told = {"auc": roc_auc_score(labels, scores)} | {f"tpr_{at}": tpr[fpr <= at / 100][-1] for at in (5, 1)}
    return {name: round(float(value), 4) for name, value in told.items()}
