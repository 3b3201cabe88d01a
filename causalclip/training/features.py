"""Frozen features of a manifest's pictures, computed once and kept: every part of every layer. Offline."""

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

from causalclip.clip.attributions import EMBEDDING, embed, needs, part_widths, patch_total
from causalclip.clip.backbones import load_tower
from causalclip.clip.tower import Tower
from causalclip.training.augmentation import Copy, copy_number, copy_view, copy_windows
from causalclip.training.data import Record

CHUNK = 32  # pictures; what a worker is given at once
VERSION = 3  # of what a copy is: change it when causalclip.training.augmentation or what it calls changes


@dataclass(frozen=True, slots=True)
class Job:
    """One chunk of pictures: which copy of each, and the file that it goes to.

    windows: 0 for one square of each; else its windows, at most so many at native scale.
    """

    backbone: str
    root: str
    records: tuple[Record, ...]
    copies: tuple[int, ...]
    targets: tuple[Path, ...]
    windows: int = 0


def all_parts(layers: int) -> tuple[str, ...]:
    """Every part that a tower of so many layers has."""
    return (EMBEDDING, *(f"{kind}:{layer}" for kind in ("cls", "patch") for layer in range(1, layers + 1)))


def compute_features(
    records: Sequence[Record], root: str | Path, *, backbone: str, copies: Sequence[Copy], cache: str | Path
) -> "Features":
    """Features of those copies of every record, from the cache where they are there, computed and kept where not.

    A file a picture, so that a picture that is added costs no other one. Two processes of one thread each share the
    work: faster than one of two threads, and it can be stopped at any time.
    """
    files = [_compute(records, root, backbone=backbone, copy=copy, cache=cache) for copy in copies]
    return Features(files, load_tower(backbone))


def compute_windows(
    records: Sequence[Record], root: str | Path, *, backbone: str, windows: int, cache: str | Path
) -> "WindowFeatures":
    """Features of the windows of each record's drawn copy, kept as those of squares are.

    windows: at native scale, at most (causalclip.clip.views.plan_views).
    """
    files = _compute(records, root, backbone=backbone, copy="drawn", cache=cache, windows=windows)
    return WindowFeatures(files, load_tower(backbone))


def _compute(
    records: Sequence[Record], root: str | Path, *, backbone: str, copy: Copy, cache: str | Path, windows: int = 0
) -> list[Path]:
    """The file of every record's copy, written where it was not there."""
    folder = Path(cache) / f"{re.sub('[^A-Za-z0-9@._-]+', '+', backbone)}-{VERSION}"
    numbers = [copy_number(record, copy) for record in records]
    files = [_file(folder, r, n, windows) for r, n in zip(records, numbers, strict=True)]
    missing = [job for job in zip(records, numbers, files, strict=True) if not job[2].exists()]
    jobs = []
    for first in range(0, len(missing), CHUNK):
        chunk, wanted, places = zip(*missing[first : first + CHUNK], strict=True)
        jobs.append(Job(backbone, str(root), chunk, wanted, places, windows))
    in_processes(run_job, jobs, label=f"features, {copy}", unit=f"x{CHUNK}")
    return files


def _file(folder: Path, record: Record, copy: int, windows: int) -> Path:
    """Where a picture's copy is kept: by its hash where it has one, and by what is used of it."""
    part = f"{record.crop}{record.grid}"
    name = record.picture if len(record.picture) == 64 and not part else content_name(f"{record.path} {part}")
    kind = f"windows{windows}-copy{copy}" if windows else f"copy{copy}"
    return folder / kind / name[:2] / f"{name}.npy"


def content_name(text: str) -> str:
    """A file name for any text."""
    return hashlib.sha256(text.encode()).hexdigest()


def in_processes(work: Callable[[Any], None], jobs: Sequence[Any], *, label: str, unit: str) -> None:
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


def write_whole(target: str | Path, **arrays: Any) -> None:
    """np.savez under another name first, so that a killed run leaves no half file."""
    partial = Path(target).with_suffix(".partial.npz")
    np.savez(partial, **arrays)
    partial.rename(target)


def run_job(job: Job) -> None:
    """Computes one chunk and writes it: all parts of every view, then its compression, in half precision.

    A file holds [D + 2] of a square, or [W, D + 2] of W windows.
    """
    tower = process_tower(job.backbone)
    of = list(zip(job.records, job.copies, job.targets, strict=True))
    for some in (of[at : at + 8] for at in range(0, len(of), 8)):
        shots, qualities = zip(
            *[_shots(record, job.root, copy, size=tower.image_size, windows=job.windows) for record, copy, _ in some],
            strict=True,
        )
        ends = np.cumsum([len(s) for s in shots])[:-1]
        features = np.split(_embed(torch.cat(shots), tower), ends)
        for (_, _, target), rows, quality in zip(some, features, qualities, strict=True):
            whole = np.concatenate([rows, np.tile(quality.astype(np.float16), (len(rows), 1))], 1)
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_suffix(".partial.npy")  # a killed run leaves no half file under the name
            np.save(partial, whole if job.windows else whole[0])
            partial.rename(target)


def _shots(record: Record, root: str | Path, copy: int, *, size: int, windows: int) -> tuple[Tensor, np.ndarray]:
    """What of the record's copy is looked at, [V, 3, size, size], and its compression."""
    if windows:
        return copy_windows(record, root, copy, size=size, windows=windows)
    view, quality = copy_view(record, root, copy, size=size)
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
    windows: int = 0,
    count: int = 200,
) -> Tensor:
    """The patches' total share of the embedding on `count` of the pictures, half of each class: [at most count, D].

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


def columns(tower: Tower) -> dict[str, np.ndarray]:
    """Where each part stands in a row of all of them."""
    parts = all_parts(tower.layers)
    ends = np.cumsum(part_widths(parts, tower))
    return {p: np.arange(first, last) for p, first, last in zip(parts, [0, *ends[:-1]], ends, strict=True)}


class Features:
    """Cached features [copies, N, D] in half precision, read part by part, and compression [copies, N, 2]."""

    def __init__(self, files: Sequence[Sequence[Path]], tower: Tower) -> None:
        self.columns = columns(tower)
        rows = np.stack([np.stack([np.load(file) for file in copy]) for copy in files])
        self.values, self.compression = rows[..., :-2], rows[..., -2:].astype(float)

    def take(self, parts: Sequence[str]) -> Tensor:
        """The parts side by side, [copies, N, D]."""
        return torch.from_numpy(self.values[..., np.concatenate([self.columns[p] for p in parts])])


class WindowFeatures:
    """Cached features of windows, [M, D] in half precision; `picture`, [M], whose they are."""

    def __init__(self, files: Sequence[Path], tower: Tower) -> None:
        self.columns = columns(tower)
        rows = [np.load(file) for file in files]
        self.values = np.concatenate([row for row in rows if len(row)])
        self.picture = np.repeat(np.arange(len(rows)), [len(row) for row in rows])

    def take(self, parts: Sequence[str]) -> Tensor:
        """The parts side by side, [M, D]."""
        return torch.from_numpy(self.values[:, np.concatenate([self.columns[p] for p in parts])])

    def together(self, squares: np.ndarray, windows: np.ndarray, *, share: float) -> np.ndarray:
        """Raw logits of the verdict, [N], as Detector.view_weights weighs its views.

        squares: [N]. windows: [M]. share: of the windows, where a picture has any.
        """
        count = np.bincount(self.picture, minlength=len(squares))
        mean = np.bincount(self.picture, windows, len(squares)) / np.maximum(count, 1)
        return np.where(count > 0, (1 - share) * squares + share * mean, squares)
