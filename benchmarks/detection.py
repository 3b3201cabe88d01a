"""The verdict on the test pictures: by set, source, generator and kind of hard photograph, and on
clear licences.

heads.json has both heads side by side, set by set, and what the causal one costs. Generators are
named in hundreds of ways in the data set; here they are joined by maker and model.
"""

import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
import skimage.data

from benchmarks.common import TABLE, Options, test_records, write
from benchmarks.views import score
from causalclip.detector import Detector
from causalclip.paths import HEADS
from training.dataset.rules import can_be_sampled, read_originals
from training.dataset.table import Picture, read_table
from training.detector.data import Record
from training.detector.evaluation import LIKE_CONTENT, Scores, tabulate

MIN_ROW = 4  # pictures a row
VERDICTS_IN_TURN = 20  # by each head, for its cost
FAMILIES = {  # in this order: the first that is found in a name is its family
    "several at one site": r"Gemini.*GPT Image|GPT Image.*Gemini",
    "GPT Image 2": r"GPT Image 2",
    "GPT Image 1 and 1.5, GPT-4o": r"GPT[- ]?(4o|Image)|OpenAI|ChatGPT",
    "DALL-E 3": r"DALL|Designer",
    "Gemini, Nano Banana": r"Gemini|Nano Banana|Whisk|Google AI",
    "Imagen": r"Imagen|ImageFX",
    "FLUX.2": r"FLUX[. ]?2",
    "FLUX.1": r"FLUX",
    "Midjourney": r"Midjourney",
    "Seedream": r"Seedream",
    "Ideogram": r"Ideogram",
    "Grok": r"Grok|Aurora",
    "Firefly": r"Firefly",
    "Qwen-Image": r"Qwen",
    "Hunyuan": r"Hunyuan",
    "Recraft": r"Recraft",
    "Z-Image": r"Z-?Image",
    "Stable Diffusion": r"SDXL|Stable|SD ?[123]",
    "StyleGAN": r"StyleGAN|thispersondoesnotexist",
    "Replit's tool, model not stated": r"Replit",
    "Lovable's tool, model not stated": r"Lovable",
    "Manus, model not stated": r"Manus",
}


def measure(options: Options) -> dict[str, Any]:
    """AUC, answers and calibration by set and by source, and the rows that need the table's
    notes."""
    detector, table = Detector.from_pretrained(options.model), read_table(TABLE)
    write("heads", _measure_heads(options))
    scores = score(detector, test_records(options), options.forensics, cache=options.cache)
    calibration = detector.config.calibration
    report: dict[str, Any] = {
        "model": detector.name,
        "revision": detector.config.revision,
        "data": "forensics, test split",
    }
    report |= tabulate(scores, threshold=calibration.threshold, bands=calibration.borders)
    report["groups"] = _by_note(scores, table)
    if options.originals.is_dir():
        root = options.originals.resolve()
        originals = read_originals(TABLE, root, split="test", each=sys.maxsize, broad=sys.maxsize)
        records = [replace(r, path=str(root / r.path)) for r in originals if r.kind == "photo"]
        clear = score(detector, _with_clear_licence(table, records), root, cache=options.cache)
        row = _by_licence(clear, threshold=calibration.threshold, bands=calibration.borders)
        report["clear_licence"] = {"revision": detector.config.revision} | row
    return report


def _measure_heads(options: Options) -> dict[str, Any]:
    """Return AUC, answers and errors of each head, set by set, and what the causal one costs."""
    records, report = test_records(options), _cost_of_causal_head()
    for head, name in HEADS.items():
        detector = Detector.from_pretrained(name)
        calibration = detector.config.calibration
        scores = score(detector, records, options.forensics, cache=options.cache)
        table = tabulate(scores, threshold=calibration.threshold, bands=calibration.borders)
        rows = {s: table[s] for s in (*table["sets"], "all")}
        report[head] = {"revision": detector.config.revision, "sets": table["sets"]} | rows
    return report


def _cost_of_causal_head() -> dict[str, Any]:
    """Return what a verdict by the causal head takes: how many times the processor time of the
    linear one's (median of alternating ones), and the memory that it adds to it, in MB."""
    picture, process = skimage.data.rocket(), psutil.Process()
    linear = Detector.from_pretrained(HEADS["linear"])
    linear.predict(picture)
    before = process.memory_info().rss
    causal = Detector.from_pretrained(HEADS["causal"], beside=linear)
    causal.predict(picture)
    more = process.memory_info().rss - before
    ratios = [
        _seconds(causal, picture) / _seconds(linear, picture) for _ in range(VERDICTS_IN_TURN)
    ]
    return {"times": round(float(np.median(ratios)), 3), "more_mb": round(more / 1e6)}


def _seconds(detector: Detector, picture: np.ndarray) -> float:
    """Return the processor's seconds for a verdict."""
    start = time.process_time()
    detector.predict(picture)
    return time.process_time() - start


def family_of(generator: str) -> str:
    """The family of a generator by its name in the data set; "not stated" where it says none."""
    family = (
        name for name, pattern in FAMILIES.items() if re.search(pattern, generator, re.IGNORECASE)
    )
    return next(
        family, "not stated" if not generator or "unknown" in generator.lower() else generator
    )


def _with_clear_licence(table: Iterable[Picture], originals: Sequence[Record]) -> list[Record]:
    """All test photographs of which `data collect --sample` draws fifty, as they were found.

    originals: of the test split, not bounded by source (read_originals).

    Raises:
        FileNotFoundError: one is missing: a row of fewer pictures would be another row.
    """
    free, present = {p.sha256 for p in table if can_be_sampled(p)}, {r.picture for r in originals}
    if missing := free - present:
        raise FileNotFoundError(
            f"{len(missing)} of {len(free)} originals are not there: collect them first."
        )
    return [record for record in originals if record.picture in free]


def _by_licence(scores: Scores, *, threshold: float, bands: Sequence[float]) -> dict[str, Any]:
    """The row of these: number, owners, how many of each set, AUC with its interval, the share of
    each band."""
    sets = Counter(r.set for r in scores.records)
    table_of_all = tabulate(scores, threshold=threshold, bands=bands)["all"]
    about = {"owners": len({r.owner for r in scores.records}), "sets": dict(sorted(sets.items()))}
    return about | {
        name: table_of_all[name] for name in ("pictures", "auc", "auc_interval", "bands")
    }


def _threshold_at(scores: Scores) -> float:
    """The score that 5 % of the real pictures of like content exceed."""
    like = np.any([scores.of(name) for name in LIKE_CONTENT], axis=0)
    return float(np.quantile(scores.probability[like & (scores.labels == 0)], 0.95))


def _by_note(scores: Scores, table: Iterable[Picture]) -> dict[str, Any]:
    """Rows of the pictures of `sites`: recognised by generator, at one threshold for all, and
    accused by hard kind."""
    # 1. How many of each family training had
    pictures = list(table)
    by_hash = {p.sha256: p for p in pictures}
    train_counts = Counter(
        family_of(p.generator)
        for p in pictures
        if p.split == "train" and p.label == "fake" and p.kind == "photo"
    )

    # 2. The rows of each family and of each hard kind
    threshold, bands = _threshold_at(scores), np.array(scores.bands)
    of_family, hard = defaultdict(list), defaultdict(list)
    for row, record in enumerate(scores.records):
        picture = by_hash.get(record.picture)
        if record.set != "sites" or picture is None:
            continue
        if record.label:
            of_family[family_of(picture.generator)].append(row)
        elif picture.hard:
            hard[picture.hard].append(row)

    # 3. What they are called
    owners = [r.owner for r in scores.records]
    return {
        "threshold": threshold,
        "generators": {
            name: {
                "pictures": len(rows),
                "owners": len({owners[i] for i in rows}),
                "in_train": train_counts[name],
                "recognised": float((scores.probability[rows] > threshold).mean()),
                "called": float((bands[rows] == "likely generated").mean()),
            }
            for name, rows in sorted(of_family.items(), key=lambda item: -len(item[1]))
            if len(rows) >= MIN_ROW
        },
        "hard": {
            name: {
                "pictures": len(rows),
                "owners": len({owners[i] for i in rows}),
                "accused": float((bands[rows] == "likely generated").mean()),
                "inconclusive": float((bands[rows] == "inconclusive").mean()),
            }
            for name, rows in sorted(hard.items(), key=lambda item: -len(item[1]))
            if len(rows) >= MIN_ROW
        },
    }
