"""Hilbert-Schmidt independence criterion (Gretton et al., 2005), and its scale-free form that trains the mask."""

import torch
from torch import Tensor


def squared_distances(x: Tensor) -> Tensor:
    """[N, D] -> [N, N] squared Euclidean distances, never below zero."""
    norms = x.square().sum(1)
    return (norms[:, None] + norms[None] - 2 * x @ x.T).clamp_min(0)


def median_bandwidth(distances: Tensor) -> Tensor:
    """The median heuristic: sigma^2 is the median squared distance of different samples. Detached; 1 if that is 0."""
    n = len(distances)
    off_diagonal = distances.detach()[~torch.eye(n, dtype=torch.bool, device=distances.device)]
    median = off_diagonal.median() if n > 1 else distances.new_tensor(0.0)
    return torch.where(median > 0, median, torch.ones_like(median))


def gaussian_kernel(x: Tensor, *, bandwidth: Tensor | float | None = None) -> Tensor:
    """[N, D] -> Gram matrix [N, N], k(a, b) = exp(-|a - b|^2 / (2 sigma^2)).

    Args:
        bandwidth: sigma^2; None takes the median heuristic.
    """
    distances = squared_distances(x.float())
    sigma2 = median_bandwidth(distances) if bandwidth is None else bandwidth
    return torch.exp(-distances / (2 * sigma2))


def centre(gram: Tensor) -> Tensor:
    """H K H with H = I - 1/N: the Gram matrix of the centred features."""
    return gram - gram.mean(0, keepdim=True) - gram.mean(1, keepdim=True) + gram.mean()


def hsic(
    x: Tensor, y: Tensor, *, bandwidth_x: Tensor | float | None = None, bandwidth_y: Tensor | float | None = None
) -> Tensor:
    """The biased estimator tr(K H L H) / (N - 1)^2 of two samples [N, Dx] and [N, Dy]; a scalar >= 0."""
    k, l = gaussian_kernel(x, bandwidth=bandwidth_x), gaussian_kernel(y, bandwidth=bandwidth_y)  # noqa: E741
    return (centre(k) * l).sum() / (len(x) - 1) ** 2


def normalised_hsic(x: Tensor, y: Tensor, *, eps: float = 1e-8) -> Tensor:
    """HSIC(x, y) / sqrt(HSIC(x, x) HSIC(y, y)), as centred kernel alignment: scale free, in [0, 1], 0 for a constant.

    Kornblith et al., ICML 2019 (arXiv 1905.00414), equation 4, with Gaussian kernels.
    """
    k, l = centre(gaussian_kernel(x)), centre(gaussian_kernel(y))  # noqa: E741
    return (k * l).sum() / (k.square().sum() * l.square().sum() + eps).sqrt()
