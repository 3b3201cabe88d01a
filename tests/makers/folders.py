"""A made data folder in the form of the real one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SETS = ("flickr8k", "coco", "daquar")
CAPTIONS = ["A dog runs on the grass .", "A brown dog is running ."]
BOXES = [
    {"name": "dog", "xywh": [2, 10, 20, 30], "iscrowd": 0},
    {"name": "cup", "xywh": [40, 10, 10, 10], "iscrowd": 0},
]


def vlm_folder(root: Path, *, pictures: int = 4) -> Path:
    """Writes the three sets, every second picture of `test`, with random pixels of 64 x 48."""
    rng = np.random.default_rng(0)
    for source in SETS:
        (root / source).mkdir(parents=True)
        rows: list[dict[str, Any]] = []
        for i in range(pictures):
            name = f"{source}/{i}.jpg"
            Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(root / name)
            split = "test" if i % 2 else "train"
            if source == "daquar":
                asked = {"question": "How many chairs are ?", "answer": "2", "split": split}
                rows.append({"file": name, "qa": [asked]})
            else:
                rows.append({"file": name, "split": split, "captions": CAPTIONS})
            if source == "coco":
                rows[-1]["boxes"] = BOXES
        (root / f"{source}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return root
