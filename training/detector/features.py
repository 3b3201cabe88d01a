"""Frozen features of augmented pictures, computed once and kept: every part of every layer.
Offline."""

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import cpu_count, get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from causalclip.clip.backbones import load_tower
from causalclip.clip.tower import EMBEDDING, Tower, embed, needs, part_widths, patch_total
from training.detector.augmentation import (
    Augmentation,
    augment_to_square,
    augment_to_windows,
    augmentation_number,
)
from training.detector.data import Record

CHUNK = 32  # pictures; what a worker is given at once
# of the augmentations: change it when training.detector.augmentation or what it calls changes
VERSION = 3


@dataclass(frozen=True, slots=True)
class FeatureJob:
    """One chunk of pictures: each with the number of its augmentation, and the file that its
    features go to.

    windows: 0 for one square of each; else its windows, at most so many at native scale.
    """

    backbone: str
    root: str
    pictures: tuple[tuple[Record, int, Path], ...]
    windows: int = 0


def all_parts(layers: int) -> tuple[str, ...]:
    """Every part that a tower of so many layers has."""
    return (
        EMBEDDING,
        *(f"{kind}:{layer}" for kind in ("cls", "patch") for layer in range(1, layers + 1)),
    )


class CachedFeatures:
    """Rows of features in half precision, [..., D] of all parts, and the columns where each part
    stands."""

    def __init__(self, values: np.ndarray, tower: Tower) -> None:
        parts = all_parts(tower.layers)
        ends = np.cumsum(part_widths(parts, tower))
        starts = [0, *ends[:-1]]
        self.values = values
        self.columns = {p: np.arange(a, b) for p, a, b in zip(parts, starts, ends, strict=True)}

    def take(self, parts: Sequence[str]) -> Tensor:
        """The parts side by side, [..., D]."""
        return torch.from_numpy(self.values[..., np.concatenate([self.columns[p] for p in parts])])


class SquareFeatures(CachedFeatures):
    """[K, N, D] of K augmentations of N pictures, one square each; `compression` [K, N, 2]."""

    def __init__(self, files: Sequence[Sequence[Path]], tower: Tower) -> None:
        rows = np.stack([np.stack([np.load(file) for file in each]) for each in files])
        super().__init__(rows[..., :-2], tower)
        self.compression = rows[..., -2:].astype(float)


class WindowFeatures(CachedFeatures):
    """[M, D] of M windows; `picture`, [M], whose they are."""

    def __init__(self, files: Sequence[Path], tower: Tower) -> None:
        rows = [np.load(file) for file in files]
        super().__init__(np.concatenate([row for row in rows if len(row)]), tower)
        self.picture = np.repeat(np.arange(len(rows)), [len(row) for row in rows])

    def together(self, squares: np.ndarray, windows: np.ndarray, *, share: float) -> np.ndarray:
        """Raw logits of the verdict, [N], as Detector.view_weights weighs its views.

        squares: [N]. windows: [M]. share: of the windows, where a picture has any.
        """
        count = np.bincount(self.picture, minlength=len(squares))
        mean = np.bincount(self.picture, windows, len(squares)) / np.maximum(count, 1)
        return np.where(count > 0, (1 - share) * squares + share * mean, squares)


def compute_features(
    records: Sequence[Record],
    root: str | Path,
    *,
    backbone: str,
    augmentations: Sequence[Augmentation],
    cache: str | Path,
) -> SquareFeatures:
    """Features of those augmentations of every record, from the cache where they are there,
    computed and kept where not.

    A file a picture, so that a picture that is added costs no other one. A process a processor,
    with one thread each: faster than one process of many threads, and it can be stopped at any
    time.
    """
    files = [
        _compute(records, root, backbone=backbone, name=name, cache=cache) for name in augmentations
    ]
    return SquareFeatures(files, load_tower(backbone))


def compute_windows(
    records: Sequence[Record], root: str | Path, *, backbone: str, windows: int, cache: str | Path
) -> WindowFeatures:
    """Features of the windows of each record's drawn augmentation, kept as those of squares are.

    windows: at native scale, at most (causalclip.clip.backbones.plan_views).
    """
    files = _compute(records, root, backbone=backbone, name="drawn", cache=cache, windows=windows)
    return WindowFeatures(files, load_tower(backbone))


def _compute(
    records: Sequence[Record],
    root: str | Path,
    *,
    backbone: str,
    name: Augmentation,
    cache: str | Path,
    windows: int = 0,
) -> list[Path]:
    """The file of every record's augmentation, written where it was not there."""
    folder = Path(cache) / f"{re.sub('[^A-Za-z0-9@._-]+', '+', backbone)}-{VERSION}"
    numbers = [augmentation_number(record, name) for record in records]
    files = [_file(folder, r, n, windows) for r, n in zip(records, numbers, strict=True)]
    missing = [each for each in zip(records, numbers, files, strict=True) if not each[2].exists()]
    chunks = (missing[first : first + CHUNK] for first in range(0, len(missing), CHUNK))
    jobs = [FeatureJob(backbone, str(root), tuple(chunk), windows) for chunk in chunks]
    in_processes(run_job, jobs, label=f"features, {name}", unit=f"x{CHUNK}")
    return files


def _file(folder: Path, record: Record, number: int, windows: int) -> Path:
    """Where a picture's features are kept: by its hash where it has one, and by what is used of
    it."""
    part = f"{record.crop}{record.grid}"
    hashed = len(record.picture) == 64 and not part
    name = (
        record.picture if hashed else hashlib.sha256(f"{record.path} {part}".encode()).hexdigest()
    )
    kind = f"windows{windows}-copy{number}" if windows else f"copy{number}"
    return folder / kind / name[:2] / f"{name}.npy"


def in_processes(
    work: Callable[[Any], None], jobs: Sequence[Any], *, label: str, unit: str
) -> None:
    """Does the jobs, a process a processor; each writes its own result."""
    if jobs:
        # Started afresh: a forked child would inherit the threads of the parent's torch, and hang.
        with ProcessPoolExecutor(cpu_count(), mp_context=get_context("spawn")) as pool:
            list(tqdm(pool.map(work, jobs), total=len(jobs), desc=label, unit=unit))


@cache
def process_tower(backbone: str) -> Tower:
    """The tower of a worker process, on one thread."""
    torch.set_num_threads(1)
    return load_tower(backbone)


def run_job(job: FeatureJob) -> None:
    """Computes one chunk and writes it: all parts of every view, then its compression, in half
    precision.

    A file holds [D + 2] of a square, or [W, D + 2] of W windows.
    """
    tower = process_tower(job.backbone)
    for some in (job.pictures[at : at + 8] for at in range(0, len(job.pictures), 8)):
        seen = [
            _shots(r, job.root, number, size=tower.image_size, windows=job.windows)
            for r, number, _ in some
        ]
        ends = np.cumsum([len(shots) for shots, _ in seen])[:-1]
        features = np.split(_embed(torch.cat([shots for shots, _ in seen]), tower), ends)
        for (_, _, target), rows, (_, quality) in zip(some, features, seen, strict=True):
            whole = np.concatenate([rows, np.tile(quality.astype(np.float16), (len(rows), 1))], 1)
            target.parent.mkdir(parents=True, exist_ok=True)
            # a killed run leaves no half file under the name
            partial = target.with_suffix(".partial.npy")
            np.save(partial, whole if job.windows else whole[0])
            partial.rename(target)


def _shots(
    record: Record, root: str | Path, number: int, *, size: int, windows: int
) -> tuple[Tensor, np.ndarray]:
    """What of the record's augmentation is looked at, [V, 3, size, size], and its compression."""
    if windows:
        return augment_to_windows(record, root, number, size=size, windows=windows)
    view, quality = augment_to_square(record, root, number, size=size)
    return view[None], quality


@torch.inference_mode()
def _embed(shots: Tensor, tower: Tower) -> np.ndarray:
    """[B, 3, size, size] -> half [B, D], all parts."""
    parts = all_parts(tower.layers)
    if not len(shots):
        return np.zeros((0, sum(part_widths(parts, tower))), np.float16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return np.asarray(embed(tower(shots), parts, tower).half().numpy())


@torch.inference_mode()
def neutral_patches(
    records: Sequence[Record],
    root: str | Path,
    tower: Tower,
    parts: Sequence[str],
    *,
    windows: int,
    count: int = 200,
) -> Tensor:
    """The patches' total share of the embedding on `count` of the pictures, half of each class: [at
    most count, D].

    windows: 0 looks at a square of each; else at one of its windows, if it has any.
    """
    totals = []
    for label in (0, 1):
        rows = [i for i, r in enumerate(records) if r.label == label]
        for i in np.linspace(0, len(rows) - 1, min(count // 2, len(rows))).astype(int):
            shots, _ = _shots(records[rows[i]], root, 0, size=tower.image_size, windows=windows)
            if len(shots):
                trace = tower(shots[:1], attributions=True, **needs(parts, tower))
                totals.append(patch_total(trace, parts, tower))
    return torch.cat(totals)
