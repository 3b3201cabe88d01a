"""Near-equal hashes form groups; the index finds what comparing all with all finds."""

import numpy as np
import pytest

pytest.importorskip("faiss", reason="an archive needs requirements-archive.txt")

from causalclip.archive.duplicates import NEAR, group


def flipped(value: int, bits: list[int]) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


def test_near_hashes_are_grouped_and_far_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    hashes, wanted = [], []
    for i in range(200):
        value = int(rng.integers(0, 2**63))
        copies = [value] + [flipped(value, rng.choice(64, NEAR, replace=False).tolist()) for _ in range(i % 3)]
        hashes += copies
        wanted += [i] * len(copies)
    paths = [f"p{i}" for i in range(len(hashes))]
    table = group(paths, [f"{h:016x}" for h in hashes])
    found: dict[int, set[str]] = {}
    for row in table.to_pylist():
        found.setdefault(row["group"], set()).add(row["path"])
    expected = [{p for p, w in zip(paths, wanted, strict=True) if w == i} for i in range(200) if i % 3]
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, expected))


def test_equal_hashes_are_a_group_and_nothing_alone_is() -> None:
    table = group(["a", "b", "c"], ["00ff00ff00ff00ff"] * 2 + ["ffffffff00000000"])
    assert table.to_pydict() == {"group": [0, 0], "path": ["a", "b"], "perceptual_hash": ["00ff00ff00ff00ff"] * 2}
    assert len(group(["a"], ["00ff00ff00ff00ff"])) == 0
