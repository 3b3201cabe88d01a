"""Perceptual hashes of 64 bits: which of them are near, and the groups of pictures that near ones
make."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

ROWS_AT_ONCE = 512  # of the matrix of distances, computed at once


def near_pairs(first: np.ndarray, second: np.ndarray, *, bits: int) -> np.ndarray:
    """Return indices [P, 2] of those of `first` and of `second` (uint64 [N], [M]) that differ in at
    most `bits`, in order.

    All are compared with all: 30,000 with 30,000 in seconds.
    """
    blocks = [np.empty((0, 2), int)]
    for start in range(0, len(first), ROWS_AT_ONCE):
        pairs = np.argwhere(
            np.bitwise_count(first[start : start + ROWS_AT_ONCE, None] ^ second) <= bits
        )
        blocks.append(pairs + np.array([start, 0]))
    return np.concatenate(blocks)


def group_near(
    hashes: np.ndarray, *, bits: int, joined: Sequence[tuple[int, int]] = ()
) -> np.ndarray:
    """A group's number for each of the hashes, uint64 [N] -> [N]: near ones, and pairs that are
    `joined`, share one.

    Hashes that differ in `bits` agree in one of bits + 1 chunks: only those that do are compared.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    distinct, which = np.unique(hashes, return_inverse=True)
    pairs = [which[np.array(joined, int).reshape(-1, 2)]]
    for low, high in pairwise(np.linspace(0, 64, bits + 2).astype(int).tolist()):
        chunk = distinct >> np.uint64(low) & np.uint64((1 << high - low) - 1)
        order = np.argsort(chunk)
        for bucket in np.split(order, np.flatnonzero(np.diff(chunk[order])) + 1):
            pairs.append(bucket[near_pairs(distinct[bucket], distinct[bucket], bits=bits)])
    rows, columns = np.concatenate(pairs).T
    graph = coo_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(len(distinct),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1][which])
