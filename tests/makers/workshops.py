"""A folder to train in: pictures, their manifest, a tiny tower and a config; and the words of the command."""

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from tests.makers.towers import write_tower

CONFIG = {
    "parts": ["cls:2", "patch:1"],
    "augmentations": ["light", "much"],
    "folds": 2,
    "revision": "of a test",
    "head": {"epochs": 8, "batch": 32, "hidden": 8, "rate": 0.01},
}


class Inside(ThreadPoolExecutor):
    """A pool in this process, in place of one whose processes are slow to start."""

    def __init__(self, workers: int, mp_context: object) -> None:
        super().__init__(1)


def gridded(label: int, seed: int) -> Image.Image:
    """Smooth for a real one; a generated one carries a grid of 2 px."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:1:120j, 0:1:160j]
    smooth = sum(rng.uniform(30, 60) * np.sin(rng.uniform(1, 5) * x + rng.uniform(1, 5) * y + k) for k in range(3))
    grid = 50 * label * ((np.arange(160)[None] // 2 + np.arange(120)[:, None] // 2) % 2 - 0.5)
    return Image.fromarray((128 + smooth + grid).clip(0, 255).astype(np.uint8)).convert("RGB")


def workshop_folder(folder: Path) -> Path:
    """36 pictures to train on and 12 to test on, of four cameras and four generators."""
    (folder / "pictures").mkdir()
    rows = []
    for seed in range(48):
        label, split = seed % 2, "test" if seed >= 36 else "train"
        source = f"{('camera', 'generator')[label]}{seed // 2 % 4}"
        gridded(label, seed).save(folder / "pictures" / f"{seed}.png")
        rows.append(
            {"path": f"{seed}.png", "label": ("real", "fake")[label], "source": source, "split": split}
            | {"set": "broad", "picture": str(seed), "family": source}
        )
    write_rows(folder, rows)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    write_tower(folder / "tower")
    return folder


def read_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(folder: Path, rows: list[dict[str, str]]) -> None:
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def train_words(folder: Path) -> list[str]:
    """The arguments of `python -m causalclip` that train in the folder."""
    paths = {"manifest": "manifest.csv", "root": "pictures", "out": "model", "config": "config.json", "cache": "cache"}
    options = {name: str(folder / path) for name, path in paths.items()} | {"backbone": f"local-dir:{folder / 'tower'}"}
    return ["train", *(word for name, value in options.items() for word in (f"--{name}", value))]
