"""A correction of the shipped score for one source, learned from a reader's own pictures of it.

It takes ten pictures or more that are known to be real and as many that are known to be generated,
of the kind that the reader faces. Weighted ridge regression on what the shipped log-odds leave of
the label:

    f(x) = u . x + c        minimises  sum_i w_i (A y_i - s_i - f(x_i))^2 + RIDGE P |u|^2

    x    float [P]          what Detector.represent returns of a picture, P = K D: the standardised
                            embedding of its K kinds of view, D channels each, as the verdict
                            weighs them
    y    -1 or 1            real or generated
    s    log-odds           the shipped score
    A    log-odds           AMPLITUDE: where a picture of either class is drawn to
    w    N / (2 N_class)    both classes count as much, whatever their numbers of pictures
    u, c float [P], float   what is learned; c is free

There are fewer pictures than channels, so it is solved in the dual, with X [N, P]:

    [ X X^T / P + RIDGE diag(1 / w)   1 ] [ a ]   [ A y - s ]
    [ 1^T                             0 ] [ c ] = [ 0       ]        u = X^T a / P

The corrected log-odds are s + f(x): they stay linear in the embedding, so that every patch's share
of them is exact. The inverse of this system, [N + 1, N + 1], also gives each score as if its
picture, or its pair of pictures, had been left out.

A free c puts both classes at the same distance from 0. Where all of a source's pictures score high,
generated ones would fall with the real ones. So c is raised by what generated pictures, left out,
lose on average, but no real one may then score above the highest shipped score of one (lift).

It is used where it surely helps (MIN_BETTER_SHARE). Every pair of a generated and a real picture is
judged by a correction that was learned without both; l(m) = log(1 + exp(-m)) is the loss of a pair
whose generated picture scores m above the real one. The gain is the mean of l(shipped) -
l(corrected) over all pairs, and its sureness the share of a bootstrap's draws, over the pictures of
each class, in which it is above 0. AUC itself is too coarse for that: among ten pictures of each
class it often is 1 already. On owners of the training split the rule keeps nearly all of the gain;
where there is nothing to learn it costs an AUC of 0.001 to 0.008. AMPLITUDE, RIDGE and the rule
were chosen there: docs/tried.md.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

MIN_PICTURES_PER_CLASS = 10  # pictures of each class, below which a correction can harm
AMPLITUDE = 4.0  # A above: log-odds that a picture of either class is drawn to
RIDGE = 0.3
MIN_BETTER_SHARE = 0.9  # share of the bootstrap's draws in which it must be better, at least
DRAWS = 1000  # of the bootstrap
SEED = 0
SIDE, QUALITY = 1024, 90  # px of the longer side at most, and JPEG, of what is learned from


def re_encode(pixels: np.ndarray) -> np.ndarray:
    """Bring a picture, uint8 RGB [H, W, 3], to the size and JPEG quality that every picture has
    which is learned from, so that neither is learned."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(file).convert("RGB"))


@dataclass(frozen=True, slots=True, eq=False)
class LearnedCorrection:
    """A correction in log-odds, f(x) = direction . x + offset, with direction float64 [P]."""

    direction: np.ndarray
    offset: float


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """The result of a correction on pictures that it was not learned from.

    Attributes:
        scores: corrected log-odds [N], each picture left out once; the lift is in them.
        lift: what the offset is raised by, in log-odds.
        shipped, corrected: AUC of either score, over pairs that are left out.
        gain: 5th, 50th and 95th percentile of the difference of both AUCs over the bootstrap.
        sure: share of its draws in which the pairs' loss is lower, from 0 to 1.
    """

    scores: np.ndarray
    lift: float
    shipped: float
    corrected: float
    gain: tuple[float, float, float]
    sure: float

    @property
    def helps(self) -> bool:
        """Return whether the gain is sure, so that the correction is used."""
        return self.sure >= MIN_BETTER_SHARE


def fit(x: np.ndarray, shipped: np.ndarray, labels: np.ndarray) -> LearnedCorrection:
    """Learn a correction.

    Args:
        x: float [N, P].
        shipped: log-odds [N].
        labels: [N], 1 generated, 0 real; both occur.
    """
    *dual, offset = _inverse(x, labels) @ np.append(_residual(shipped, labels), 0.0)
    return LearnedCorrection(x.T @ np.array(dual) / x.shape[1], float(offset))


def leave_one_out(x: np.ndarray, shipped: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the corrected log-odds [N] of each picture, by a correction that was learned without
    it: its error is its dual coefficient over its element of the inverse's diagonal.

    The weights w stay those of all pictures. Arguments as of `fit`.
    """
    inverse = _inverse(x, labels)
    target = _residual(shipped, labels)
    dual = (inverse @ np.append(target, 0.0))[:-1]
    errors = dual / np.diag(inverse)[:-1]
    return shipped + target - errors


def leave_pairs_out(x: np.ndarray, shipped: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return by how much each generated picture scores above each real one, in corrected log-odds
    [generated, real], by a correction that was learned without both. Arguments as of `fit`."""
    inverse = _inverse(x, labels)
    target = _residual(shipped, labels)
    dual = (inverse @ np.append(target, 0.0))[:-1]
    generated, real = (np.flatnonzero(labels == label) for label in (1, 0))

    # Errors of both left out: their block of the inverse, inverted, times their coefficients
    own = np.diag(inverse)
    own_generated, own_real = own[generated][:, None], own[real][None]
    dual_generated, dual_real = dual[generated][:, None], dual[real][None]
    cross = inverse[np.ix_(generated, real)]
    determinant = own_generated * own_real - cross**2
    error_generated = (own_real * dual_generated - cross * dual_real) / determinant
    error_real = (own_generated * dual_real - cross * dual_generated) / determinant

    corrected = shipped + target
    return _margins(corrected, labels) - error_generated + error_real


def try_correction(x: np.ndarray, shipped: np.ndarray, labels: np.ndarray) -> Trial:
    """Compare the correction with the shipped score on the same pictures. Arguments as of
    `fit`."""
    # 1. How far each pair is apart, and what that gains
    before = _margins(shipped, labels)
    after = leave_pairs_out(x, shipped, labels)
    loss_gain = np.logaddexp(0, -before) - np.logaddexp(0, -after)
    auc_gain = _in_order(after) - _in_order(before)

    # 2. The same over other draws of these pictures: how often each occurs, [DRAWS, n] of a class
    rng = np.random.default_rng(SEED)
    times = [rng.multinomial(n, np.full(n, 1 / n), size=DRAWS) for n in before.shape]

    def mean_gains(pairs: np.ndarray) -> np.ndarray:
        return np.asarray(((times[0] @ pairs) * times[1]).sum(1) / pairs.size)

    low, middle, high = (float(q) for q in np.quantile(mean_gains(auc_gain), (0.05, 0.5, 0.95)))

    # 3. Every picture's own score, and by how much all of them are raised
    scores = leave_one_out(x, shipped, labels)
    raised_by = lift(shipped, scores, labels)
    return Trial(
        scores=scores + raised_by,
        lift=raised_by,
        shipped=float(_in_order(before).mean()),
        corrected=float(_in_order(after).mean()),
        gain=(low, middle, high),
        sure=float((mean_gains(loss_gain) > 0).mean()),
    )


def lift(shipped: np.ndarray, corrected: np.ndarray, labels: np.ndarray) -> float:
    """Return by how much the offset is raised so that a source's generated pictures do not fall.

    By what they lose on average, as far as no real picture scores above the highest shipped score
    of one.

    Args:
        shipped: log-odds [N].
        corrected: log-odds [N], each picture left out once.
        labels: [N], 1 generated, 0 real; both occur.

    Returns:
        Log-odds, 0 or more.
    """
    real, generated = labels == 0, labels == 1
    lost = (shipped - corrected)[generated].mean()
    room = shipped[real].max() - corrected[real].max()
    return float(max(0.0, min(lost, room)))


def enough(labels: Sequence[int] | np.ndarray) -> bool:
    """Return whether there are MIN_PICTURES_PER_CLASS pictures of each class."""
    counts = np.bincount(np.asarray(labels, int), minlength=2)
    return bool(counts.min() >= MIN_PICTURES_PER_CLASS)


def _residual(shipped: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the target of the regression, A y - s: [N]."""
    return AMPLITUDE * (2.0 * labels - 1) - shipped


def _inverse(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the inverse [N + 1, N + 1] of the dual system; times the target and a 0, it gives the
    dual coefficients and the offset."""
    count = len(labels)
    weight = count / 2 / np.where(labels == 1, labels.sum(), count - labels.sum())
    system = np.ones((count + 1, count + 1))
    system[:-1, :-1] = x @ x.T / x.shape[1] + RIDGE * np.diag(1 / weight)
    system[-1, -1] = 0
    return np.linalg.inv(system)


def _margins(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return by how much each generated picture scores above each real one: [generated, real]."""
    return np.asarray(scores[labels == 1][:, None] - scores[labels == 0])


def _in_order(margins: np.ndarray) -> np.ndarray:
    """Return 1 where the generated picture of a pair scores higher, 1/2 where both score the same,
    else 0: the mean is AUC."""
    return (margins > 0) + 0.5 * (margins == 0)
