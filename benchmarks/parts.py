"""What the app finds of edited parts, on test pictures.

A part is searched as the app does it, from the file's bytes; photographs are taken for photographs, edits are judged by
the detector as well. From the JSON the app takes how far its finding can be relied on.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from benchmarks.common import Options
from benchmarks.parts_tested import Tested, tested
from causalclip.detector import Detector
from causalclip.evidence.examination import read_claims
from causalclip.evidence.precision import wilson
from causalclip.evidence.region_finder import FOLDER, shipped_finder
from causalclip.evidence.regions import upright_table, why_unknown
from causalclip.images.loading import ImageError, load_image
from causalclip.provenance.reading import with_history

EDITED = "pasted back", "made anew", "edited, not known how"


class Photograph:
    """What stands for a verdict where the kind of picture is known."""

    band = "likely not generated"


def measure(options: Options) -> dict[str, Any]:
    """What is found in every test picture; rows that an earlier run kept are not judged again."""
    path = options.cache / f"parts-{shipped_finder().revision}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {row["name"]: row for row in map(json.loads, path.read_text().splitlines())} if path.exists() else {}
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    detector = Detector.from_pretrained(options.model)
    with path.open("a") as file:
        for one in tested(options.forensics, options.originals, options.cache / "pairs"):
            if one.name not in rows:
                rows[one.name] = look(one, detector)
                file.write(json.dumps(rows[one.name]) + "\n")
                file.flush()
    return summary(list(rows.values()), json.loads((FOLDER / "config.json").read_text()))


def look(one: Tested, detector: Detector) -> dict[str, Any]:
    """What is found in one picture, how long that took and how far the outline overlaps the part."""
    row: dict[str, Any] = {"name": one.name, "kind": one.kind, "owner": one.owner}
    try:
        loaded = load_image(one.data)
    except ImageError as error:
        return row | {"refused": str(error)}
    provenance = with_history(read_claims(one.data), loaded.pixels)
    verdict: Any = detector.judge(loaded.pixels) if one.kind in EDITED else Photograph()
    row |= {"band": verdict.band} if one.kind in EDITED else {}
    row |= {"size": [loaded.width, loaded.height], "why": why_unknown(loaded, provenance, verdict)}
    started = time.process_time()
    search = shipped_finder().search(loaded.pixels, upright_table(provenance.jpeg, loaded.width, loaded.height))
    row["cpu_seconds"] = round(time.process_time() - started, 3)
    if search is None:
        return row | {"why": "small"}
    row["score"] = search.score
    if search.region and one.mask is not None:
        mask = cv2.resize(one.mask.astype(np.uint8), (loaded.width, loaded.height), interpolation=cv2.INTER_NEAREST) > 0
        outlined = np.zeros(mask.shape, np.uint8)
        cv2.fillPoly(outlined, [np.array(ring, np.int32) for ring in search.region.outline], 1)
        row["iou"] = float((mask & (outlined > 0)).sum() / (mask | (outlined > 0)).sum())
    return row


def summary(rows: Sequence[dict[str, Any]], config: dict[str, Any]) -> dict[str, Any]:
    """By kind: pictures, in how many a part is found, for how many that cannot be known, AUC and overlap.

    Of edits that were pasted back and made anew, test pictures are few: those of train, each judged by trees that saw
    nothing of its owner, are counted with them.
    """
    kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if "refused" not in row:
            found = row.get("score", -np.inf) >= config["threshold"] and not row["why"]
            kinds[row["kind"]].append(row | {"found": found})
    calm = [row["score"] for row in kinds["unedited"] if not row["why"]]
    report: dict[str, Any] = {"revision": config["revision"], "kinds": {}}
    for kind, some in sorted(kinds.items()):
        report["kinds"][kind] = _kind(some, calm if kind != "unedited" else [])
        others = config["held_out"]["found"].get(kind)
        if others and kind in EDITED:
            report["kinds"][kind] |= _pooled(report["kinds"][kind], *others)
    owners: dict[str, bool] = defaultdict(bool)
    for row in kinds["unedited"]:
        owners[row["owner"]] |= row["found"]
    held_out = {"n": config["held_out"]["owners"], "flagged": config["held_out"]["owners_flagged"]}
    report["owners"] = {"n": len(owners), "flagged": sum(owners.values()), "held_out": held_out}
    edited = [row for kind in EDITED for row in kinds[kind]]
    report["edits"] = _kind(edited, calm) | _silent(edited)
    report["cpu_seconds"] = _seconds([row for some in kinds.values() for row in some if "cpu_seconds" in row])
    return report


def _kind(rows: Sequence[dict[str, Any]], calm: list[float]) -> dict[str, Any]:
    flags = [row["found"] for row in rows]
    known = [row["score"] for row in rows if not row["why"]]
    ious = [row["iou"] for row in rows if row["found"] and "iou" in row]
    found: dict[str, Any] = {"n": len(rows), "flagged": sum(flags), "found": sum(flags) / max(1, len(rows))}
    found["counted"] = {"n": len(rows), "flagged": sum(flags)}
    found |= {"interval": wilson(sum(flags), max(1, len(rows))), "cannot_know": sum(bool(row["why"]) for row in rows)}
    if calm and known:
        found["auc"] = float(roc_auc_score([0] * len(calm) + [1] * len(known), calm + known))
    return found | ({"iou": float(np.mean(ious)), "outlined": len(ious)} if ious else {})


def _pooled(test: dict[str, Any], flagged: int, n: int) -> dict[str, Any]:
    """With the edits of train that were judged by trees that saw nothing of their owners."""
    both, count = test["flagged"] + flagged, test["n"] + n
    return {
        "counted": {"n": count, "flagged": both},
        "held_out": {"n": n, "flagged": flagged},
        "found": both / count,
        "interval": wilson(both, count),
    }


def _silent(edited: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many edited pictures are called likely not generated, and how many of them have no part found either."""
    cleared = [row for row in edited if row["band"] == "likely not generated"]
    silent = [row for row in cleared if not row["found"]]
    return {"cleared": len(cleared), "neither": len(silent), "neither_share": len(silent) / max(1, len(edited))}


def _seconds(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Processor time by size: the median up to 1 megapixel, and of the largest."""
    sizes = np.array([row["size"][0] * row["size"][1] for row in rows])
    times = np.array([row["cpu_seconds"] for row in rows])
    bounds = {"to_1_megapixel": sizes <= 1.05e6, "1_to_4": (sizes > 1.05e6) & (sizes <= 4e6)}
    bounds |= {"4_to_12": (sizes > 4e6) & (sizes <= 12e6), "more": sizes > 12e6}
    return {name: [round(float(np.median(times[b])), 2), int(b.sum())] for name, b in bounds.items() if b.any()}
