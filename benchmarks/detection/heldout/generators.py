"""How well a generator's pictures are told by a probe that learned from none of it.

Left out are all pictures of the generator and all owners who have any, so that nothing of them is known. A tool whose
model is not stated may use the same one, so that its pictures may still be learned from.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks.detection.groups import family_of
from benchmarks.detection.heldout.kernel import LeftOut
from causalclip.dataset.table import Picture
from causalclip.training.data import LIKE, Record

LEAST = 10  # pictures of a row
BUDGET = 0.05  # of real pictures whose score is above the threshold
UNKNOWN = "not stated", "several at one site"


def without_generators(records: Sequence[Record], table: Iterable[Picture], probe: LeftOut) -> list[dict[str, Any]]:
    """A row a generator of the pictures of like content, the most pictures first: the share above the threshold with
    its owners left out one by one, and with all of the generator left out.

    The threshold is what 5 % of the real pictures of like content exceed, each with its owner left out.
    """
    generators = {p.sha256: p.generator for p in table if p.label == "fake"}
    owners: dict[str, list[int]] = defaultdict(list)
    made: dict[str, list[int]] = defaultdict(list)
    for row, record in enumerate(records):
        if record.set in LIKE:
            owners[record.group].append(row)
        if record.label:
            made[family_of(generators.get(record.picture, ""))].append(row)
    score = np.full(len(records), np.nan)
    for rows in owners.values():
        score[rows] = probe.scores(np.array(rows))
    real = np.array([r.set in LIKE and not r.label for r in records])
    threshold = float(np.quantile(score[real], 1 - BUDGET))
    found = []
    for name, rows in sorted(made.items(), key=lambda item: -len(item[1])):
        of = [i for i in rows if records[i].set in LIKE]
        if name in UNKNOWN or len(of) < LEAST:
            continue
        theirs = {records[i].group for i in of}
        out = np.array(sorted({*rows, *(i for owner in theirs for i in owners[owner])}))
        alone = dict(zip(out, probe.scores(out), strict=True))
        found.append(
            {
                "generator": name,
                "pictures": len(of),
                "owners": len(theirs),
                "owner_left_out": float((score[of] > threshold).mean()),
                "generator_left_out": float(np.mean([alone[i] > threshold for i in of])),
            }
        )
    return found
