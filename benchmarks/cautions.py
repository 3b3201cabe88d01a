"""How often a caution is right, and how often it is raised.

Recognised shares on drawings that are made here, and how often each caution is raised on the real and the generated
pictures of the train split (by far most are photographs, none is labelled as drawing, so that a raised caution there is
not always a false one). Also how often an earlier JPEG compression is found where there was one, and where none.
"""

import csv
import io
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common import Options
from causalclip.evidence.cautions import find_cautions
from causalclip.provenance.jpeg import find_history
from tests.makers.drawings import drawings

LAST = (None, 75, 85, 92, 97)  # None: kept without loss
EARLIER = (50, 70, 85)
NOTE = (
    "The thresholds were set on drawings of the same kinds, so that their recognised shares are upper bounds; painted "
    "and shaded drawings are mostly not recognised. A caution raised on a photograph is not always false: the splits "
    "hold a few drawings, and dark pictures and portraits are what they are called."
)


def measure(options: Options) -> dict[str, Any]:
    data = options.forensics
    with (data / "manifest.csv").open(newline="") as file:
        manifest = list(csv.DictReader(file))
    return {
        "data": "drawings made by tests/makers/drawings.py; forensics, train split",
        "note": NOTE,
        "recognised": recognised(),
        "raised on real, whole pictures": raised(data, manifest, "real", "whole"),
        "raised on generated, whole pictures": raised(data, manifest, "fake", "whole"),
        "earlier compression": histories(data, manifest),
    }


def saved(picture: Image.Image, quality: int | None) -> Image.Image:
    if quality is None:
        return picture
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


def recognised(count: int = 20) -> dict[str, Any]:
    """Share of the made drawings that are called text or graphic, by kind and by how they were saved."""
    rows: dict[str, list[bool]] = {}
    for kind, picture in drawings(count):
        for quality in (None, 90, 70, 50):
            found = {c.kind for c in find_cautions(np.asarray(saved(picture, quality)))}
            rows.setdefault(f"{kind}, {f'JPEG {quality}' if quality else 'PNG'}", []).append(
                bool(found & {"text", "graphic"})
            )
    return {name: {"pictures": len(hits), "recognised": round(float(np.mean(hits)), 3)} for name, hits in rows.items()}


def raised(data: Path, manifest: list[dict[str, str]], label: str, view: str) -> dict[str, Any]:
    """Share of the pictures of a label on which each caution is raised. Small ones are small by construction there."""
    rows = [r for r in manifest if r["label"] == label and r["view"] == view and r["split"] == "train"]
    counts: Counter[str] = Counter()
    for row in rows:
        pixels = np.asarray(Image.open(data / row["path"]).convert("RGB"))
        counts.update(c.kind for c in find_cautions(pixels) if c.kind != "small")
    return {"pictures": len(rows)} | {kind: round(n / len(rows), 4) for kind, n in sorted(counts.items())}


def histories(data: Path, manifest: list[dict[str, str]], *, count: int = 120) -> dict[str, Any]:
    """Earlier compressions found, on pictures whose own history was erased by scaling to 0.71."""
    rows = [r for r in manifest if r["split"] == "train" and r["view"] == "crop"]
    random.Random(0).shuffle(rows)
    hits: dict[str, list[bool]] = {}
    for row in rows[:count]:
        picture = Image.open(data / row["path"]).convert("RGB")
        clean = picture.resize((round(picture.width * 0.71), round(picture.height * 0.71)), Image.Resampling.LANCZOS)
        for last in LAST:
            for earlier in (None, *EARLIER):
                found = find_history(np.asarray(saved(saved(clean, earlier), last)), last=last)
                name = f"{f'JPEG {earlier}' if earlier else 'nothing'}, then {f'JPEG {last}' if last else 'PNG'}"
                hits.setdefault(name, []).append(found.quality is not None)
    return {name: {"pictures": len(v), "found": round(float(np.mean(v)), 3)} for name, v in hits.items()}
