"""The verdict on the test pictures: by set, source, generator and kind of hard photograph, and on
clear licences.

Generators are named in hundreds of ways in the data set; here they are joined by maker and model.
"""

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.common import TABLE, Options, test_records
from benchmarks.views import score
from causalclip.detector import Detector
from training.dataset.rules import can_be_sampled, read_originals
from training.dataset.table import Picture, read_table
from training.detector.data import Record
from training.detector.evaluation import LIKE_CONTENT, Scores, tabulate

MIN_ROW = 4  # pictures a row
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
    scores = score(detector, test_records(options), options.forensics, cache=options.cache)
    calibration = detector.config.calibration
    report: dict[str, Any] = {
        "model": detector.name,
        "revision": detector.config.revision,
        "data": "forensics, test split",
    }
    report |= tabulate(scores, threshold=calibration.threshold, bands=calibration.borders)
    report["groups"] = by_note(scores, table)
    if options.originals.is_dir():
        root = options.originals.resolve()
        originals = read_originals(TABLE, root, split="test", each=sys.maxsize, broad=sys.maxsize)
        records = [replace(r, path=str(root / r.path)) for r in originals if r.kind == "photo"]
        clear = score(detector, with_clear_licence(table, records), root, cache=options.cache)
        row = by_licence(clear, threshold=calibration.threshold, bands=calibration.borders)
        report["clear_licence"] = {"revision": detector.config.revision} | row
    return report


def family_of(generator: str) -> str:
    """The family of a generator by its name in the data set; "not stated" where it says none."""
    family = (
        name for name, pattern in FAMILIES.items() if re.search(pattern, generator, re.IGNORECASE)
    )
    return next(
        family, "not stated" if not generator or "unknown" in generator.lower() else generator
    )


def with_clear_licence(table: Iterable[Picture], originals: Sequence[Record]) -> list[Record]:
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


def by_licence(scores: Scores, *, threshold: float, bands: Sequence[float]) -> dict[str, Any]:
    """The row of these: number, owners, how many of each set, AUC with its interval, the share of
    each band."""
    sets = Counter(r.set for r in scores.records)
    table_of_all = tabulate(scores, threshold=threshold, bands=bands)["all"]
    about = {"owners": len({r.owner for r in scores.records}), "sets": dict(sorted(sets.items()))}
    return about | {
        name: table_of_all[name] for name in ("pictures", "auc", "auc_interval", "bands")
    }


def threshold_at(scores: Scores) -> float:
    """The score that 5 % of the real pictures of like content exceed."""
    like = np.any([scores.of(name) for name in LIKE_CONTENT], axis=0)
    return float(np.quantile(scores.probability[like & (scores.labels == 0)], 0.95))


def by_note(scores: Scores, table: Iterable[Picture]) -> dict[str, Any]:
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
    threshold, bands = threshold_at(scores), np.array(scores.bands)
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
