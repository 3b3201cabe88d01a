"""The tones and the sharpness of one copy laid on the other's: what a filter, a site or a screen changes everywhere.

Colours by a polynomial of second degree (gamma, exposure, white balance, saturation), fitted so that what differs
anyway has little say (iteratively reweighted least squares, Cauchy's weights); then what it leaves, a curve a channel,
by medians; then a vignette.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

SAMPLE = 6000  # pixels that teach the colours
ROUNDS = 8
LOOSE = 4.0  # in 1/255: where Cauchy's weight is a half
BINS = 12  # of a channel's curve
FEW = 40  # pixels of the sample that a bin needs
BLURS = 0.0, 0.6, 0.9, 1.3, 1.8, 2.5  # px, tried on either copy


def like(of: np.ndarray, to: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """One copy with the other's tones: float32 [h, w, 3], 0 to 255; inside: bool [h, w], where both show something."""
    y, x = _sample(inside)
    soft_of, soft_to = (cv2.blur(p, (5, 5)) for p in (of, to))  # pixels of edges say nothing of tones
    weights, rows = _polynomial(soft_of[y, x], soft_to[y, x])
    toned = _terms(of.reshape(-1, 3)) @ weights
    toned = np.clip(toned, 0, 255).reshape(of.shape).astype(np.float32)
    seen, target = np.clip(_terms(soft_of[y, x]) @ weights, 0, 255), soft_to[y, x]
    toned = np.stack([_curve(toned[..., c], seen[:, c], target[:, c], rows) for c in range(3)], 2)
    return np.clip(toned * _vignette(toned, to, inside)[..., None], 0, 255)


def same_sharpness(a: np.ndarray, b: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sharper copy blurred as the other is: the blur, of either, that leaves the least difference."""
    planes = [cv2.cvtColor(p.astype(np.uint8), cv2.COLOR_RGB2GRAY).astype(np.float32) for p in (a, b)]
    trials = [(sigma, side) for sigma in BLURS for side in (0, 1) if sigma or not side]
    left = []
    for sigma, side in trials:
        tried = [_blur(p, sigma) if side == i else p for i, p in enumerate(planes)]
        left.append(float(np.minimum(np.abs(tried[0] - tried[1]), 12)[inside].mean()))
    sigma, side = trials[int(np.argmin(left))]
    return (_blur(a, sigma), b) if side == 0 else (a, _blur(b, sigma))


def _sample(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of pixels all over, the same for the same picture."""
    found = np.flatnonzero(inside)
    chosen = found[np.random.default_rng(0).integers(0, len(found), min(SAMPLE, len(found)))]
    return np.unravel_index(chosen, inside.shape)  # type: ignore[return-value]


def _terms(colours: np.ndarray) -> np.ndarray:
    """[N, 3] -> [N, 10]."""
    r, g, b = (colours / 255).T
    return np.stack([np.ones_like(r), r, g, b, r * r, g * g, b * b, r * g, g * b, r * b], 1).astype(np.float32)


def _polynomial(of: np.ndarray, to: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients [10, 3], and the weight of every pixel of the sample in the end, [N]."""
    terms, weight = _terms(of).astype(np.float64), np.ones(len(of))
    ridge = 1e-4 * len(of) * np.eye(10)
    found = np.zeros((10, 3))
    for _ in range(ROUNDS):
        weighted = terms * weight[:, None]
        found = np.linalg.solve(terms.T @ weighted + ridge, weighted.T @ to)
        off = np.abs(terms @ found - to).mean(1)
        scale = max(LOOSE, 2 * float(np.median(off)))
        weight = 1 / (1 + (off / scale) ** 2)
    return found.astype(np.float32), weight


def _curve(channel: np.ndarray, seen: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A channel without what its colours' fit leaves at each level: medians of BINS levels, straight between."""
    levels = np.linspace(0, 255, BINS + 1)
    middles, offsets = [], []
    for low, high in pairwise(levels):
        mine = (seen >= low) & (seen <= high) & (weight > 0.1)
        if mine.sum() >= FEW:
            middles.append(float(seen[mine].mean()))
            offsets.append(float(np.median(target[mine] - seen[mine])))
    return channel + np.interp(channel, middles, offsets).astype(np.float32) if middles else channel


def _vignette(of: np.ndarray, to: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """A smooth gain, quadratic in the place, where the two are near each other already: float32 [h, w]."""
    h, w = inside.shape
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j].astype(np.float32)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 2)
    bright, wanted = of.mean(2), to.mean(2)
    near = inside & (bright > 16) & (bright < 245) & (np.abs(wanted - bright) < 0.3 * bright)
    use = np.flatnonzero(near.ravel())[::37]
    if len(use) < 60:
        return np.ones((h, w), np.float32)
    rows, level, aim = terms.reshape(-1, 6)[use], bright.ravel()[use], wanted.ravel()[use]
    weight = np.ones(len(use))
    for _ in range(4):
        found, *_ = np.linalg.lstsq(rows * (level * weight)[:, None], aim * weight, rcond=None)
        off = np.abs(rows @ found * level - aim)
        weight = 1 / (1 + (off / max(LOOSE, 2 * float(np.median(off)))) ** 2)
    return np.clip(terms @ found.astype(np.float32), 0.7, 1.4)


def _blur(plane: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(plane, (0, 0), sigma) if sigma else plane
