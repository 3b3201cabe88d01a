"""Ideas of a mask in closed form: channels, groups of channels, and directions of the embedding.

A mask in [0, 1] a channel can say all of them but those on directions. These need a fixed rotation of the embedding
first; they are linear, so that the map stays exact.
"""

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import roc_auc_score

from benchmarks.detection.masking.gates import learned_gates
from benchmarks.detection.masking.pictures import STRENGTH, Passed, Split, dual, gram

Ideas = Iterator[tuple[str, Passed]]
DENSITIES = 0.5, 0.1
HALVES = 20  # of the owners, drawn for stability selection
REMOVED = 5, 20, 80, 320  # directions of owners
ERASED = 1, 4, 16, 64  # directions of the label
BLOCKS = 8  # of like channels, in each part


def channels(split: Split, passing: np.ndarray) -> Passed:
    """These channels [D] pass, the others are held back."""
    few, density = passing if passing.mean() <= 0.5 else ~passing, float(passing.mean())
    part = gram(np.ascontiguousarray(split.x[:, few]))
    rest = split.gram - part
    return Passed(part, rest, density) if few is passing else Passed(rest, part, density)


def best(score: np.ndarray, density: float) -> np.ndarray:
    """The channels with the highest scores, as bool [D]."""
    found = np.zeros(len(score), dtype=bool)
    found[np.argsort(-score)[: round(density * len(score))]] = True
    return found


def unmasked(split: Split, seed: int) -> Ideas:
    yield "all channels", Passed(split.gram, split.gram, 1.0)


def at_random(split: Split, seed: int) -> Ideas:
    """The control: channels drawn by lot."""
    score = np.random.default_rng(seed).random((split.x.shape[1],))
    for density in DENSITIES:
        yield f"channels by lot, {density:.0%}", channels(split, best(score, density))


def weights(split: Split) -> np.ndarray:
    """[D], the verdict's by ridge regression."""
    y = 2.0 * split.pictures.labels[split.train] - 1
    found: np.ndarray = split.x[split.train].T @ dual(split.gram, split.train, split.weight, y, strength=STRENGTH)
    return found


def stability(split: Split, seed: int) -> Ideas:
    """Stability selection (Meinshausen and Buehlmann, 2010) over halves of owners: the mean weight of a channel over
    its deviation, which asks for its sign and for its size."""
    rng, owners = np.random.default_rng(seed), split.pictures.owners[split.train]
    names, found = np.unique(owners), []
    for _ in range(HALVES):
        half = rng.permutation(names)[: len(names) // 2]
        found.append(weights(split.among(split.train[np.isin(owners, half)])))
    score = np.abs(np.mean(found, 0)) / np.std(found, 0)
    for density in DENSITIES:
        yield f"weights that halves of the owners agree on, {density:.0%}", channels(split, best(score, density))


def between_owners(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Means of owners within a class less that class's mean, times the root of their pictures: [M, D]; and the variance
    within a class, [D], as a sum over pictures."""
    p, rows = split.pictures, split.train
    means, total = [], np.zeros(split.x.shape[1])
    for label in (0, 1):
        of_class = rows[p.labels[rows] == label]
        x = split.x[of_class] - split.x[of_class].mean(0)
        total += np.square(x).sum(0)
        for owner in np.unique(p.owners[of_class]):
            mine = x[p.owners[of_class] == owner]
            means.append(mine.mean(0) * np.sqrt(len(mine)))
    return np.array(means), total


def site_blind(split: Split, seed: int) -> Ideas:
    """HSIC to the owner inside a class, with linear kernels: a channel's share of variance between owners."""
    means, total = between_owners(split)
    score = -np.square(means).sum(0) / total
    for density in DENSITIES:
        yield f"channels that tell owners apart least, {density:.0%}", channels(split, best(score, density))


def without_owners(split: Split, seed: int) -> Ideas:
    """Invariant-feature subspace recovery (Wang et al., 2022) or nuisance attribute projection: the top directions of
    the covariance of owners' means are held back. Directions, not channels."""
    means, _ = between_owners(split)
    _, vectors = np.linalg.eigh(means @ means.T)
    for count in REMOVED:
        V = np.linalg.qr(means.T @ vectors[:, -count:])[0].astype(np.float32)
        held = gram(split.x @ V)
        yield f"{count} directions of owners held back", Passed(split.gram - held, held, 1 - count / V.shape[0])


def parts(split: Split, seed: int) -> Ideas:
    """Gates a part: the three of six that judge a fold of the training owners best."""
    grams = [gram(np.ascontiguousarray(x)) for x in np.split(split.x, len(split.pictures.parts), axis=1)]
    chosen = max(combinations(range(len(grams)), 3), key=lambda c: inner_auc(split, np.sum([grams[i] for i in c], 0)))
    through = np.sum([grams[i] for i in chosen], 0)
    yield "three of the six parts", Passed(through, split.gram - through, 0.5)


def inside(split: Split) -> tuple[Split, np.ndarray]:
    """The rows learned from, less those of one fold, and these."""
    fold = split.pictures.fold[split.train]
    judged = fold == fold.min()
    return split.among(split.train[~judged]), split.train[judged]


def inner_auc(split: Split, K: np.ndarray) -> float:
    inner, judged = inside(split)
    y = split.pictures.labels
    a = dual(K, inner.train, inner.weight, 2.0 * y[inner.train] - 1, strength=STRENGTH)
    return float(roc_auc_score(y[judged], K[np.ix_(judged, inner.train)] @ a))


def elimination(split: Split, seed: int) -> Ideas:
    """Backward elimination of blocks of channels that vary together: each time the one goes without which the verdict
    on a fold of the training owners is best."""
    block = blocks(split, seed)
    inner, judged = inside(split)
    y, x = split.pictures.labels, split.x
    alive = list(range(block.max() + 1))
    kernels = {b: gram(np.ascontiguousarray(x[:, block == b])) for b in alive}
    K = split.gram.copy()
    for share in (0.5, 0.25):
        while np.isin(block, alive).mean() > share:
            a = dual(K, inner.train, inner.weight, 2.0 * y[inner.train] - 1, strength=STRENGTH)
            each = {b: kernels[b][np.ix_(judged, inner.train)] @ a for b in alive}
            total = sum(each.values())
            worst = max(alive, key=lambda b: roc_auc_score(y[judged], total - each[b]))
            alive.remove(worst)
            K -= kernels[worst]
        density = float(np.isin(block, alive).mean())
        yield f"backward elimination of blocks, {share:.0%}", Passed(K.copy(), split.gram - K, density)


def blocks(split: Split, seed: int) -> np.ndarray:
    """[D], the number of each channel's block: in every part, those whose correlations are alike."""
    found = []
    for i, x in enumerate(np.split(split.x[split.train], len(split.pictures.parts), axis=1)):
        like = np.abs(np.corrcoef(x.T))
        found.append(i * BLOCKS + KMeans(BLOCKS, n_init=1, random_state=seed).fit_predict(like))
    return np.concatenate(found)


def null_space(split: Split, seed: int) -> Ideas:
    """Iterative null-space projection (Ravfogel et al., 2020): one ridge regression's direction after another is taken
    out; they pass, and what is left is held back. Directions, not channels."""
    rows, D = split.train, split.x.shape[1]
    y = 2.0 * split.pictures.labels[rows] - 1
    held, V = split.gram.copy(), np.zeros((D, 0), dtype=np.float32)
    for count in range(1, max(ERASED) + 1):
        strength = STRENGTH * float(split.weight @ np.diag(held)[rows]) / D
        w = split.x[rows].T @ dual_by_gradients(held, rows, split.weight, y, strength=strength)
        for _ in range(2):  # the second time takes off what rounding left
            w -= V @ (V.T @ w)
            w /= np.linalg.norm(w)
        V = np.column_stack([V, w])
        along = split.x @ w
        held -= np.outer(along, along)
        if count in ERASED:
            through = gram(split.x @ V)
            yield f"{count} directions of the label pass", Passed(through, split.gram - through, count / D)


def dual_by_gradients(
    K: np.ndarray, rows: np.ndarray, weight: np.ndarray, y: np.ndarray, *, strength: float, steps: int = 40
) -> np.ndarray:
    """`dual` by conjugate gradients, for one target: much cheaper, and exact enough for a direction."""
    A, ridge = K[np.ix_(rows, rows)], (strength / weight).astype(np.float32)
    a = np.zeros(len(rows), dtype=np.float32)
    rest = (y - weight @ y).astype(np.float32)
    step, left = rest.copy(), float(rest @ rest)
    enough = 1e-10 * left
    for _ in range(steps):
        if left <= enough:
            break
        moved = A @ step + ridge * step
        size = left / float(step @ moved)
        a += size * step
        rest -= size * moved
        left, before = float(rest @ rest), left
        step = rest + (left / before) * step
    return a


def least_squares_erasure(split: Split, seed: int) -> Ideas:
    """LEACE (Belrose et al., 2023) with the ridge's covariance: what the verdict reads is taken out along the
    difference of the classes' means, so that no linear probe of the same owners finds the label. One direction, and an
    oblique one."""
    rows, K = split.train, split.gram
    y = 2.0 * split.pictures.labels[rows] - 1
    mean = (split.weight * y).astype(np.float32)
    read = K[:, rows] @ dual(K, rows, split.weight, y, strength=STRENGTH).astype(np.float32)
    read /= mean @ read[rows]
    along, length = K[:, rows] @ mean, float(mean @ K[np.ix_(rows, rows)] @ mean)
    passed = length * np.outer(read, read)
    held = K - np.outer(along, read) - np.outer(read, along) + passed
    yield "the label erased by least squares", Passed(passed, held, 1 / split.x.shape[1])


IDEAS: dict[str, tuple[Callable[[Split, int], Ideas], int]] = {  # and with how many seeds each is run
    "unmasked": (unmasked, 1),
    "label's directions": (null_space, 1),
    "erasure": (least_squares_erasure, 1),
    "owners' directions": (without_owners, 1),
    "parts": (parts, 1),
    "site": (site_blind, 1),
    "stability": (stability, 3),
    "by lot": (at_random, 3),
    **{name: (make, 3) for name, make in learned_gates().items()},
    "blocks": (elimination, 3),
}
