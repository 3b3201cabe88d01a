"""Tones and sharpness of one copy laid on the other's: what a filter, a site or a screen changes
everywhere.

Colours by a polynomial of second degree (gamma, exposure, white balance, saturation), fitted by
iteratively reweighted least squares with Cauchy's weights, so that what differs anyway has little
say; then what it leaves, a curve a channel, by medians; then a vignette.
"""

from itertools import pairwise

import cv2
import numpy as np

SAMPLE = 6000  # pixels that teach the colours
ROUNDS = 8
LOOSE = 4.0  # in 1/255: where Cauchy's weight is a half
CURVE_BINS = 12  # of a channel's curve
MIN_SAMPLE = 40  # pixels of the sample that a bin needs
BLURS = 0.0, 0.6, 0.9, 1.3, 1.8, 2.5  # px, tried on either copy


def match_tones(source: np.ndarray, target: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return one copy with the other's tones, float32 [h, w, 3], 0 to 255.

    Args:
        source: the copy whose tones are changed, float32 [h, w, 3], 0 to 255.
        target: the other copy.
        inside: bool [h, w], where both show something.
    """
    # 1. A sample of both, blurred, as pixels of edges say nothing of tones
    y, x = _sample(inside)
    source_sample, target_sample = (cv2.blur(pixels, (5, 5))[y, x] for pixels in (source, target))

    # 2. The colours
    coefficients, weights = _fit_polynomial(source_sample, target_sample)
    matched_source = np.clip(_terms(source.reshape(-1, 3)) @ coefficients, 0, 255)
    matched_source = matched_source.reshape(source.shape).astype(np.float32)

    # 3. A curve for each channel, and a vignette
    levels = np.clip(_terms(source_sample) @ coefficients, 0, 255)
    channels = [
        _curve(matched_source[..., c], levels[:, c], target_sample[:, c], weights) for c in range(3)
    ]
    matched_source = np.stack(channels, 2)
    return np.clip(matched_source * _vignette(matched_source, target, inside)[..., None], 0, 255)


def match_sharpness(
    a: np.ndarray, b: np.ndarray, inside: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return both copies, the sharper one blurred as the other is: by the blur, of either, that
    leaves the least difference."""
    greys = [
        cv2.cvtColor(pixels.astype(np.uint8), cv2.COLOR_RGB2GRAY).astype(np.float32)
        for pixels in (a, b)
    ]
    trials = [(sigma, side) for sigma in BLURS for side in (0, 1) if sigma or not side]
    differences = []
    for sigma, side in trials:
        copies = [_blur(grey, sigma) if side == i else grey for i, grey in enumerate(greys)]
        difference = np.minimum(np.abs(copies[0] - copies[1]), 12)
        differences.append(float(difference[inside].mean()))
    sigma, side = trials[int(np.argmin(differences))]
    return (_blur(a, sigma), b) if side == 0 else (a, _blur(b, sigma))


def _sample(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of pixels all over, the same for the same picture."""
    places = np.flatnonzero(inside)
    picks = np.random.default_rng(0).integers(0, len(places), min(SAMPLE, len(places)))
    return np.unravel_index(places[picks], inside.shape)  # type: ignore[return-value]


def _terms(colours: np.ndarray) -> np.ndarray:
    """Return the ten terms of a polynomial of second degree: [N, 3] to [N, 10]."""
    r, g, b = (colours / 255).T
    terms = [np.ones_like(r), r, g, b, r * r, g * g, b * b, r * g, g * b, r * b]
    return np.stack(terms, 1).astype(np.float32)


def _fit_polynomial(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit the colours of a sample, [N, 3] each; return coefficients [10, 3], and the weight of
    every pixel in the end, [N]."""
    terms = _terms(source).astype(np.float64)
    ridge = 1e-4 * len(source) * np.eye(10)
    weights = np.ones(len(source))
    coefficients = np.zeros((10, 3))
    for _ in range(ROUNDS):
        weighted = terms * weights[:, None]
        coefficients = np.linalg.solve(terms.T @ weighted + ridge, weighted.T @ target)
        weights = _cauchy_weights(np.abs(terms @ coefficients - target).mean(1))
    return coefficients.astype(np.float32), weights


def _cauchy_weights(errors: np.ndarray) -> np.ndarray:
    """Return a weight for each error: a half at LOOSE, or at twice their median if that is more."""
    scale = max(LOOSE, 2 * float(np.median(errors)))
    return np.asarray(1 / (1 + (errors / scale) ** 2))


def _curve(
    channel: np.ndarray, levels: np.ndarray, target: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return a channel without what its colours' fit leaves at each level: medians of bins of
    levels, and straight lines between them.

    Args:
        channel: [h, w], 0 to 255.
        levels: of the sample in this channel, [N].
        target: of the other copy's sample, [N].
        weights: of the sample, [N].
    """
    middles, offsets = [], []
    for low, high in pairwise(np.linspace(0, 255, CURVE_BINS + 1)):
        members = (levels >= low) & (levels <= high) & (weights > 0.1)
        if members.sum() >= MIN_SAMPLE:
            middles.append(float(levels[members].mean()))
            offsets.append(float(np.median(target[members] - levels[members])))
    if not middles:
        return channel
    return channel + np.interp(channel, middles, offsets).astype(np.float32)


def _vignette(source: np.ndarray, target: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return a smooth gain, quadratic in the place, float32 [h, w], from where the two copies are
    near each other already."""
    # 1. Where they are
    h, w = inside.shape
    light, target_light = source.mean(2), target.mean(2)
    near = inside & (light > 16) & (light < 245) & (np.abs(target_light - light) < 0.3 * light)
    sample = np.flatnonzero(near.ravel())[::37]
    if len(sample) < 60:
        return np.ones((h, w), np.float32)

    # 2. The gain, by iteratively reweighted least squares
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j].astype(np.float32)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 2)
    rows = terms.reshape(-1, 6)[sample]
    levels, aims = light.ravel()[sample], target_light.ravel()[sample]
    weights = np.ones(len(sample))
    for _ in range(4):
        weighted = rows * (levels * weights)[:, None]
        coefficients, *_others = np.linalg.lstsq(weighted, aims * weights, rcond=None)
        weights = _cauchy_weights(np.abs(rows @ coefficients * levels - aims))
    return np.clip(terms @ coefficients.astype(np.float32), 0.7, 1.4)


def _blur(plane: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(plane, (0, 0), sigma) if sigma else plane
