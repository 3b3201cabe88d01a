"""Makes the samples, keeps what a local head sees of them: `python -m benchmarks.local.regions.extract ORIGINALS KEPT`.

Goes on where it was stopped. OMP_NUM_THREADS sets how many threads it takes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.local.regions.cells import CELL, grid_of, token_cells, working
from benchmarks.local.regions.made import Made, make, plan
from benchmarks.local.regions.residuals import residual_cells
from causalclip.clip.backbones import load_judge
from causalclip.clip.tower import Tower
from causalclip.dataset.table import PICTURES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("originals", type=Path)
    parser.add_argument("kept", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    tower, samples = load_judge(), plan(PICTURES, options.originals)
    (options.kept / "train").mkdir(parents=True, exist_ok=True)
    print(len(samples), "samples", flush=True)
    started = time.process_time()
    for i, sample in enumerate(samples):
        target = options.kept / "train" / f"{sample.name}.npz"
        if target.exists():
            continue
        try:
            made = make(sample, options.originals, options.kept / "pairs")
        except (OSError, ValueError, cv2.error) as error:
            made = f"{type(error).__name__}: {error}"
        if isinstance(made, str):
            np.savez(target, why=made)
        else:
            write(target, tower, made)
        if i % 20 == 0:
            print(i, sample.name, f"{time.process_time() - started:.0f} s", flush=True)


def write(target: Path, tower: Tower, made: Made) -> None:
    """What a head sees of a picture, and what is true of its cells."""
    picture = working(made.pixels)
    partial = target.with_suffix(".partial.npz")
    np.savez(
        partial,
        tokens=token_cells(tower, picture).half().numpy(),
        residuals=residual_cells(picture),
        mask=_cells(made.mask, picture.shape[:2]),
        pasted=_cells(made.pasted, picture.shape[:2]),
        size=np.array(picture.shape[:2]),
    )
    partial.rename(target)


def _cells(plane: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """[H, W] -> its mean in every cell of the working picture."""
    rows, columns = grid_of(shape[0], shape[1])
    plane = plane.astype(np.float32)
    if plane.shape != tuple(shape):
        plane = cv2.resize(plane, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    whole = plane[: rows * CELL, : columns * CELL]
    return np.asarray(whole.reshape(rows, CELL, columns, CELL).mean((1, 3)))


if __name__ == "__main__":
    main()
