"""Groups of near-equal pictures, by their perceptual hashes, through faiss's index: not by comparing all with all."""

from itertools import pairwise

import numpy as np
import pyarrow as pa

NEAR = 6  # bits of 64 in which hashes of copies of one picture may differ
CHUNKS = 4  # of 16 bits: of hashes that differ in NEAR bits, one chunk at least differs in one bit or none


def group(paths: list[str], hashes: list[str]) -> pa.Table:
    """path, perceptual_hash and group of every picture that has a near-equal one; groups are numbered from 0.

    Pictures are in one group where a chain of near-equal hashes joins them.
    """
    import faiss
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    distinct, which = np.unique(np.array(hashes, dtype=object).astype("S16"), return_inverse=True)
    packed = np.frombuffer(bytes.fromhex(b"".join(distinct).decode()), np.uint8).reshape(-1, 8)
    index = faiss.IndexBinaryMultiHash(64, CHUNKS, 64 // CHUNKS)
    index.nflip = 1
    index.add(packed)
    limits, _, near = index.range_search(packed, NEAR + 1)
    start = np.repeat(np.arange(len(distinct)), [b - a for a, b in pairwise(limits.tolist())])
    graph = coo_matrix((np.ones(len(near), bool), (start, near)), shape=(len(distinct),) * 2)
    label = connected_components(graph, directed=False)[1][which]
    _, label, size = np.unique(label, return_inverse=True, return_counts=True)
    kept = np.flatnonzero(size[label] > 1)
    number = np.unique(label[kept], return_inverse=True)[1]
    order = np.argsort(number, kind="stable")
    return pa.table(
        {
            "group": pa.array(number[order], pa.int64()),
            "path": [paths[i] for i in kept[order]],
            "perceptual_hash": [hashes[i] for i in kept[order]],
        }
    )
