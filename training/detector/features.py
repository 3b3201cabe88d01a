"""Frozen features of augmented pictures: the parts that a recipe names, computed once and kept.
Offline."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from causalclip.clip.backbones import load_tower
from causalclip.clip.embedding import embed, needs, part_widths, patch_total
from causalclip.clip.tower import Tower
from causalclip.clip.views import MAX_SQUARES
from training.detector.augmentation import (
    Augmentation,
    augment_to_square,
    augment_to_windows,
    augmentation_number,
)
from training.detector.data import Record
from training.mixed_precision import mixed_precision

BATCH = 32  # pictures
MIN_PARALLEL = 4 * BATCH  # that are not worth the start of other processes
QUALITY = 2  # columns after a row's features: the compression of the augmented picture
# of the augmentations: change it when training.detector.augmentation or what it calls changes
VERSION = 4


@dataclass(frozen=True, slots=True)
class SquareFeatures:
    """Of K augmentations of N pictures, one square each.

    values: half [K, N, D], the parts side by side. compression: [K, N, 2].
    """

    values: Tensor
    compression: np.ndarray


@dataclass(frozen=True, slots=True)
class WindowFeatures:
    """Of M windows.

    values: half [M, D], the parts side by side. picture: [M], whose they are.
    """

    values: Tensor
    picture: np.ndarray

    def together(self, squares: np.ndarray, windows: np.ndarray, *, share: float) -> np.ndarray:
        """Return the raw logits of the verdict, [N], as Detector.view_weights weighs its views.

        squares: [N]. windows: [M]. share: of the windows, where a picture has any.
        """
        count = np.bincount(self.picture, minlength=len(squares))
        mean = np.bincount(self.picture, windows, len(squares)) / np.maximum(count, 1)
        return np.where(count > 0, (1 - share) * squares + share * mean, squares)


class FeatureFile:
    """Rows of features in one file in half precision, which grows as pictures are computed.

    `values.f16` holds the rows one after the other, `keys.txt` a line for each picture: its key and
    how many rows are its own. Rows are written before their key, so that a killed run leaves none
    that count; `open` cuts them off.
    """

    def __init__(self, folder: Path, width: int) -> None:
        """Open the file as it is, for reading. width: columns of a row."""
        self._values, self._names, self._width = folder / "values.f16", folder / "keys.txt", width
        self._place: dict[str, tuple[int, int]] = {}  # key -> first row, how many
        self._rows = 0
        text = self._names.read_text() if self._names.exists() else ""
        for line in text[: text.rfind("\n") + 1].splitlines():
            key, count = line.split()
            self._place[key] = (self._rows, int(count))
            self._rows += int(count)

    @classmethod
    @contextmanager
    def open(cls, folder: Path, width: int) -> Iterator["FeatureFile"]:
        """Open the file to add to it: no other process does until it is closed. Cuts off what a
        killed run left."""
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            file = cls(folder, width)
            index = "".join(f"{key} {count}\n" for key, (_, count) in file._place.items())
            for path, size in ((file._values, 2 * width * file._rows), (file._names, len(index))):
                path.touch()
                os.truncate(path, size)
            yield file

    def __contains__(self, key: str) -> bool:
        return key in self._place

    def append(self, keys: Sequence[str], rows: Sequence[np.ndarray]) -> None:
        """Add the rows of each picture, half [W, width]."""
        with self._values.open("ab") as file:
            for own in rows:
                file.write(np.ascontiguousarray(own, np.float16).tobytes())
        with self._names.open("a") as file:
            for key, own in zip(keys, rows, strict=True):
                file.write(f"{key} {len(own)}\n")
                self._place[key] = (self._rows, len(own))
                self._rows += len(own)

    def read(self, keys: Sequence[str]) -> tuple[Tensor, np.ndarray]:
        """Return the rows of the keys, half [M, width], and how many each key has.

        Where they lie in the file in this order, they stay there: the system brings into memory
        what is used. Else they are copied.
        """
        counts = np.array([self._place[key][1] for key in keys], int)
        if not counts.sum():
            return torch.zeros(0, self._width, dtype=torch.half), counts
        # Copy on write: PyTorch wants what it may change, and the file stays as it is.
        values = np.memmap(self._values, np.float16, "c", shape=(self._rows, self._width))
        rows = np.concatenate(
            [np.arange(first, first + count) for first, count in (self._place[key] for key in keys)]
        )
        in_order = (np.diff(rows) == 1).all()
        return torch.from_numpy(
            values[rows[0] : rows[-1] + 1] if in_order else values[rows]
        ), counts


class AugmentedViews(Dataset[tuple[Tensor, np.ndarray]]):
    """What of each picture's augmentation is looked at: [V, 3, size, size], and its compression
    [2]."""

    def __init__(
        self,
        pictures: Sequence[tuple[Record, int]],
        root: str | Path,
        *,
        size: int,
        windows: int,
        squares: int,
    ) -> None:
        """Take pictures, each with the number of its augmentation. windows: 0 for one square of
        each, out of at most `squares`."""
        self._pictures, self._root, self._size = pictures, root, size
        self._windows, self._squares = windows, squares

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, np.ndarray]:
        record, number = self._pictures[index]
        return _augmented_views(
            record,
            self._root,
            number,
            size=self._size,
            windows=self._windows,
            squares=self._squares,
        )


def _augmented_views(
    record: Record, root: str | Path, number: int, *, size: int, windows: int, squares: int
) -> tuple[Tensor, np.ndarray]:
    """One square of an augmentation, or its windows, [V, 3, size, size], and its compression
    [2]."""
    if windows:
        return augment_to_windows(record, root, number, size=size, windows=windows)
    view, quality = augment_to_square(record, root, number, size=size, squares=squares)
    return view[None], quality


def compute_features(
    records: Sequence[Record],
    root: str | Path,
    *,
    backbone: str,
    parts: Sequence[str],
    augmentations: Sequence[Augmentation],
    cache: str | Path,
    squares: int = MAX_SQUARES,
    device: torch.device | None = None,
) -> SquareFeatures:
    """Return the features of those augmentations of every record: read where they are kept, else
    computed and kept.

    Args:
        records: N pictures; root: of their paths.
        parts: of the embedding (causalclip.clip.embedding); each choice of them has a file of its
            own in `cache`.
        squares: one is drawn of so many of each picture, at most; 1 is the centre.
        device: that computes; None for the processor.
    """
    file = _compute(
        records,
        root,
        backbone,
        parts,
        augmentations,
        cache,
        windows=0,
        squares=squares,
        device=device or torch.device("cpu"),
    )
    values, _ = file.read(
        [_key(r, augmentation_number(r, name)) for name in augmentations for r in records]
    )
    values = values.view(len(augmentations), len(records), values.shape[1])
    return SquareFeatures(values[..., :-QUALITY], values[..., -QUALITY:].double().numpy())


def compute_windows(
    records: Sequence[Record],
    root: str | Path,
    *,
    backbone: str,
    parts: Sequence[str],
    windows: int,
    cache: str | Path,
    device: torch.device | None = None,
) -> WindowFeatures:
    """Return the features of the windows of each record's drawn augmentation, kept as those of
    squares are.

    windows: at native scale, at most (causalclip.clip.views.plan_views).
    """
    file = _compute(
        records,
        root,
        backbone,
        parts,
        ("drawn",),
        cache,
        windows=windows,
        squares=MAX_SQUARES,
        device=device or torch.device("cpu"),
    )
    values, counts = file.read([_key(r, augmentation_number(r, "drawn")) for r in records])
    return WindowFeatures(values[:, :-QUALITY], np.repeat(np.arange(len(records)), counts))


def _compute(
    records: Sequence[Record],
    root: str | Path,
    backbone: str,
    parts: Sequence[str],
    augmentations: Sequence[Augmentation],
    cache: str | Path,
    *,
    windows: int,
    squares: int,
    device: torch.device,
) -> FeatureFile:
    """The file of these parts, with every record's augmentations in it."""
    name = re.sub("[^A-Za-z0-9@._-]+", "+", backbone)
    own = hashlib.sha256(repr((backbone, tuple(parts), windows)).encode()).hexdigest()[:8]
    kind = f"windows{windows}" if windows else "squares"
    if squares < MAX_SQUARES:
        kind += f"{squares}"
    folder = Path(cache) / f"{name}-{VERSION}" / f"{kind}-{own}"
    tower = load_tower(backbone)
    width = sum(part_widths(parts, tower)) + QUALITY
    with FeatureFile.open(folder, width) as file:
        pairs = [(r, augmentation_number(r, name)) for name in augmentations for r in records]
        missing = list({_key(*each): each for each in pairs if _key(*each) not in file}.values())
        if missing:
            views = AugmentedViews(
                missing, root, size=tower.image_size, windows=windows, squares=squares
            )
            _fill(file, missing, views, tower.to(device), parts, device=device)
    return file


def _fill(
    file: FeatureFile,
    pictures: Sequence[tuple[Record, int]],
    views: AugmentedViews,
    tower: Tower,
    parts: Sequence[str],
    *,
    device: torch.device,
) -> None:
    """Compute the rows of the pictures' views and add them, a batch at a time: other processes
    augment, this one embeds."""
    loader = DataLoader(
        views,
        batch_size=BATCH,
        collate_fn=list,  # pictures differ in their number of windows
        num_workers=(os.cpu_count() or 1) if len(pictures) > MIN_PARALLEL else 0,
        # Started afresh: a forked child would inherit the threads of the parent's torch, and hang.
        multiprocessing_context="spawn" if len(pictures) > MIN_PARALLEL else None,
    )
    with tqdm(total=len(pictures), desc="features", unit="picture", smoothing=0.05) as bar:
        first = 0
        for batch in loader:
            counts = [len(shots) for shots, _ in batch]
            embedding = _embed(torch.cat([shots for shots, _ in batch]), tower, parts, device)
            quality = np.repeat(np.stack([quality for _, quality in batch]), counts, axis=0)
            rows = np.concatenate([embedding, quality.astype(np.float16)], 1)
            keys = [_key(*each) for each in pictures[first : first + len(batch)]]
            file.append(keys, np.split(rows, np.cumsum(counts)[:-1]))
            first += len(batch)
            bar.update(len(batch))


@torch.inference_mode()
def _embed(shots: Tensor, tower: Tower, parts: Sequence[str], device: torch.device) -> np.ndarray:
    """Embed shots [B, 3, size, size]: half [B, D], the parts side by side."""
    if not len(shots):
        return np.zeros((0, sum(part_widths(parts, tower))), np.float16)
    with mixed_precision(device):
        embedding = embed(tower(shots.to(device), **needs(parts, tower)), parts, tower)
    return np.asarray(embedding.half().cpu().numpy())


def _key(record: Record, number: int) -> str:
    """Return what a picture's augmentation is kept under: its hash where it has one, and what is
    used of it."""
    part = f"{record.crop}{record.grid}"
    has_hash = len(record.picture) == 64 and not part
    name = (
        record.picture if has_hash else hashlib.sha256(f"{record.path} {part}".encode()).hexdigest()
    )
    return f"{number}-{name}"


@torch.inference_mode()
def neutral_patches(
    records: Sequence[Record],
    root: str | Path,
    tower: Tower,
    parts: Sequence[str],
    *,
    windows: int,
    squares: int = MAX_SQUARES,
    count: int = 200,
) -> Tensor:
    """The patches' total share of the embedding on `count` of the pictures, half of each class: [at
    most count, D].

    windows: 0 looks at one of the `squares` of each; else at one of its windows, which one of them
    must have.
    """
    totals = []
    for label in (0, 1):
        rows = [i for i, r in enumerate(records) if r.label == label]
        for i in np.linspace(0, len(rows) - 1, min(count // 2, len(rows))).astype(int):
            record = records[rows[i]]
            number = augmentation_number(record, "drawn") if windows else 0
            shots, _ = _augmented_views(
                record,
                root,
                number,
                size=tower.image_size,
                windows=windows,
                squares=squares,
            )
            if len(shots):
                trace = tower(shots[:1], attributions=True, **needs(parts, tower))
                totals.append(patch_total(trace, parts, tower))
    return torch.cat(totals)
