"""Frozen features of a manifest's pictures, computed once and kept: every part of every layer. Offline."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import cpu_count, get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from causalclip.clip.backbones import load_tower
from causalclip.clip.embedding import EMBEDDING, embed, needs, part_widths, patch_total
from causalclip.clip.tower import Tower
from causalclip.training.data import Record, training_view
from causalclip.training.retouching import random_retouch

STRENGTHS = 0.3, 1.0  # of the delivery, of even and odd copies: a detector must know both clean and worn pictures
RETOUCHED = 3  # the copy that is also retouched
CHUNK = 64  # records; the unit that is lost when a run is killed
VERSION = 1  # of what a copy is: change it when training_view, random_delivery or random_retouch changes


@dataclass(frozen=True, slots=True)
class Job:
    """One chunk of one copy. Copy 0: the middle of every file as it is; later ones: random views after deliveries."""

    backbone: str
    root: str
    records: tuple[Record, ...]
    first: int
    copy: int
    target: str


def all_parts(layers: int) -> tuple[str, ...]:
    """Every part that a tower of so many layers has."""
    return (EMBEDDING, *(f"{kind}:{layer}" for kind in ("cls", "patch") for layer in range(1, layers + 1)))


def compute_features(
    records: Sequence[Record], root: str | Path, *, backbone: str, copies: int, cache: str | Path
) -> "Features":
    """Features of `copies` views of every record, from the cache where they are there, computed and kept where not.

    Two processes of one thread each share the work: faster than one of two threads, and it can be stopped at any time.
    """
    key = hashlib.sha256(repr((VERSION, backbone, [r.path for r in records])).encode()).hexdigest()[:16]
    folder = Path(cache) / key
    folder.mkdir(parents=True, exist_ok=True)
    jobs, files = [], []
    for copy in range(copies):
        for first in range(0, len(records), CHUNK):
            target = folder / f"copy{copy}-{first:06d}.npz"
            files.append(target)
            if not target.exists():
                jobs.append(Job(backbone, str(root), tuple(records[first : first + CHUNK]), first, copy, str(target)))
    in_processes(run_job, jobs, label="features", unit=f"x{CHUNK}")
    return Features(files, copies=copies, count=len(records))


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


def copy_view(record: Record, root: str | Path, copy: int, *, seed: int, size: int) -> Tensor:
    """The view of a record that a copy shows (see Job), float [3, size, size] in [0, 1]. seed: of its delivery."""
    rng = np.random.default_rng([copy, seed]) if copy else None
    with Image.open(Path(root) / record.path) as file:
        picture = file.convert("RGB")
    if copy == RETOUCHED and rng is not None:
        picture = random_retouch(picture, rng)
    view = training_view(picture, record.kind, size=size, rng=rng, strength=STRENGTHS[copy % 2])
    return torch.from_numpy(np.array(view)).permute(2, 0, 1).float() / 255


def run_job(job: Job) -> None:
    """Computes one chunk and writes it."""
    tower = process_tower(job.backbone)
    parts = all_parts(tower.layers)
    columns = []
    for at in range(0, len(job.records), 8):
        pixels = torch.stack(
            [
                copy_view(record, job.root, job.copy, seed=job.first + at + i, size=tower.image_size)
                for i, record in enumerate(job.records[at : at + 8])
            ]
        )
        with torch.inference_mode():
            columns.append(embed(tower(pixels), parts, tower).half().numpy())
    write_whole(job.target, features=np.concatenate(columns), parts=parts, widths=part_widths(parts, tower))


@torch.inference_mode()
def neutral_patches(
    records: Sequence[Record], root: str | Path, tower: Tower, parts: Sequence[str], *, count: int = 200
) -> Tensor:
    """The patches' total share of the embedding on `count` of the pictures, half of each class: [count, D]."""
    totals = []
    for label in (0, 1):
        rows = [i for i, r in enumerate(records) if r.label == label]
        for i in np.linspace(0, len(rows) - 1, min(count // 2, len(rows))).astype(int):
            record = records[rows[i]]
            with Image.open(Path(root) / record.path) as file:
                view = training_view(file.convert("RGB"), record.kind, size=tower.image_size, rng=None)
            pixels = torch.from_numpy(np.array(view)).permute(2, 0, 1)[None].float() / 255
            totals.append(patch_total(tower(pixels, shares=True, **needs(parts, tower)), parts, tower))
    return torch.cat(totals)


class Features:
    """Cached features, read part by part: [copies, N, D] in half precision."""

    def __init__(self, files: Sequence[Path], *, copies: int, count: int) -> None:
        chunks = [np.load(f) for f in files]
        ends = np.cumsum(chunks[0]["widths"])
        widths = zip(ends - chunks[0]["widths"], ends, strict=True)
        self.columns = {str(p): np.arange(*w) for p, w in zip(chunks[0]["parts"], widths, strict=True)}
        self.values = np.concatenate([c["features"] for c in chunks]).reshape(copies, count, -1)

    def take(self, parts: Sequence[str], rows: np.ndarray | None = None) -> Tensor:
        """The parts side by side, of all records or of those at `rows`."""
        values = self.values if rows is None else self.values[:, rows]
        return torch.from_numpy(values[..., np.concatenate([self.columns[p] for p in parts])])
