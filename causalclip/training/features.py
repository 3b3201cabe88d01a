"""Frozen features of a manifest's pictures, computed once and kept: every part of every layer. Offline."""

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice
from multiprocessing import cpu_count, get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from causalclip.clip.backbones import load_tower
from causalclip.clip.embedding import EMBEDDING, embed, needs, part_widths, patch_total
from causalclip.clip.tower import Tower
from causalclip.training.copies import Copy, copy_number, copy_view
from causalclip.training.data import Record

CHUNK = 32  # pictures; what a worker is given at once
VERSION = 3  # of what a copy is: change it when causalclip.training.copies or what it calls changes


@dataclass(frozen=True, slots=True)
class Job:
    """One chunk of pictures: which copy of each, and the file that it goes to."""

    backbone: str
    root: str
    records: tuple[Record, ...]
    copies: tuple[int, ...]
    targets: tuple[Path, ...]


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
    folder = Path(cache) / f"{re.sub('[^A-Za-z0-9@._-]+', '+', backbone)}-{VERSION}"
    numbers = [[copy_number(record, copy) for record in records] for copy in copies]
    files = [[_file(folder, r, n) for r, n in zip(records, row, strict=True)] for row in numbers]
    jobs = []
    for row, targets in zip(numbers, files, strict=True):
        missing = [job for job in zip(records, row, targets, strict=True) if not job[2].exists()]
        for first in range(0, len(missing), CHUNK):
            chunk, wanted, places = zip(*missing[first : first + CHUNK], strict=True)
            jobs.append(Job(backbone, str(root), chunk, wanted, places))
    in_processes(run_job, jobs, label="features", unit=f"x{CHUNK}")
    return Features(files, load_tower(backbone))


def _file(folder: Path, record: Record, copy: int) -> Path:
    """Where a picture's copy is kept: by its hash where it has one, and by what is used of it."""
    part = f"{record.crop}{record.grid}"
    name = record.picture if len(record.picture) == 64 and not part else content_name(f"{record.path} {part}")
    return folder / f"copy{copy}" / name[:2] / f"{name}.npy"


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


@torch.inference_mode()
def run_job(job: Job) -> None:
    """Computes one chunk and writes it: all parts of every picture, then its compression, in half precision."""
    tower = process_tower(job.backbone)
    parts = all_parts(tower.layers)
    for at in range(0, len(job.records), 8):
        of, targets = zip(job.records, job.copies, strict=True), job.targets[at : at + 8]
        chosen = [copy_view(r, job.root, n, size=tower.image_size) for r, n in islice(of, at, at + 8)]
        views, qualities = zip(*chosen, strict=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rows = embed(tower(torch.stack(views)), parts, tower).half().numpy()
        for target, row, quality in zip(targets, rows, qualities, strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_suffix(".partial.npy")  # a killed run leaves no half file under the name
            np.save(partial, np.concatenate([row, quality.astype(np.float16)]))
            partial.rename(target)


@torch.inference_mode()
def neutral_patches(
    records: Sequence[Record], root: str | Path, tower: Tower, parts: Sequence[str], *, count: int = 200
) -> Tensor:
    """The patches' total share of the embedding on `count` of the pictures, half of each class: [count, D]."""
    totals = []
    for label in (0, 1):
        rows = [i for i, r in enumerate(records) if r.label == label]
        for i in np.linspace(0, len(rows) - 1, min(count // 2, len(rows))).astype(int):
            view, _ = copy_view(records[rows[i]], root, 0, size=tower.image_size)
            totals.append(patch_total(tower(view[None], shares=True, **needs(parts, tower)), parts, tower))
    return torch.cat(totals)


class Features:
    """Cached features [copies, N, D] in half precision, read part by part, and compression [copies, N, 2]."""

    def __init__(self, files: Sequence[Sequence[Path]], tower: Tower) -> None:
        parts = all_parts(tower.layers)
        ends = np.cumsum(part_widths(parts, tower))
        starts = [0, *ends[:-1]]
        self.columns = {p: np.arange(first, last) for p, first, last in zip(parts, starts, ends, strict=True)}
        rows = np.stack([np.stack([np.load(file) for file in copy]) for copy in files])
        self.values, self.compression = rows[..., : ends[-1]], rows[..., ends[-1] :].astype(float)

    def take(self, parts: Sequence[str]) -> Tensor:
        """The parts side by side, [copies, N, D]."""
        return torch.from_numpy(self.values[..., np.concatenate([self.columns[p] for p in parts])])
