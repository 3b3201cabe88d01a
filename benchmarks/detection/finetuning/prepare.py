"""What the runs learn from: a square of a copy of some pictures of each owner's class, through the frozen tower."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from benchmarks.detection.finetuning.teach import Views
from benchmarks.detection.finetuning.upper import CLS, LAST, PATCHES
from causalclip.clip.backbones import load_tower
from causalclip.clip.embedding import embed
from causalclip.dataset.originals import read_originals
from causalclip.dataset.table import PICTURES
from causalclip.training.copies import copy_number, copy_view
from causalclip.training.data import Record, assign_folds

MOST, SETS = 5, ("alike", "sites")
CUTS = 5, 9  # the layers after which tokens are kept
CHUNK = 16
HELD_OUT = 0  # the fold
PARTS = [f"patch:{PATCHES[0]}", *(p for n in CLS for p in [f"cls:{n}"] + [f"patch:{n}"] * (n in PATCHES))]


class Shots(Dataset[tuple[int, Tensor]]):
    """One of the squares of each picture's drawn copy, and its place."""

    def __init__(self, records: Sequence[Record], originals: Path, size: int) -> None:
        self.records, self.originals, self.size = records, originals, size

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, at: int) -> tuple[int, Tensor]:
        record = self.records[at]
        return at, copy_view(record, self.originals, copy_number(record, "drawn"), size=self.size)[0]


def chosen(originals: Path) -> list[Record]:
    """Photographs and photorealistic pictures of like content, at most MOST of an owner's class."""
    found = read_originals(PICTURES, originals, each=MOST)
    return [record for record in found if record.kind == "photo" and record.set in SETS]


@torch.no_grad()
def prepare(originals: Path, kept: Path) -> None:
    """Writes to `kept`, a file a picture, what is not there yet: its parts, and its tokens after each of the CUTS."""
    tower = load_tower()
    for name in ["parts", *map(str, CUTS)]:
        (kept / name).mkdir(parents=True, exist_ok=True)
    missing = [record for record in chosen(originals) if not _file(kept, "parts", record).is_file()]
    shots = DataLoader(Shots(missing, originals, tower.image_size), batch_size=CHUNK, num_workers=1)
    for places, pixels in tqdm(shots):
        trace = tower(pixels, until=LAST, patches=False)
        for cut in CUTS:
            tokens = torch.cat([trace.cls[cut][:, None], trace.patches[cut]], 1)
            _write(kept, cut, [missing[at] for at in places], tokens)
        _write(kept, "parts", [missing[at] for at in places], embed(trace, PARTS, tower))


def load(originals: Path, kept: Path, cut: int, *, seed: int = 0) -> tuple[Views, np.ndarray]:
    """What was written, and the fold of each picture's owner; seed: of the folds."""
    records = [record for record in chosen(originals) if _file(kept, "parts", record).is_file()]
    fold_of = assign_folds(records, seed=seed)
    parts = np.stack([np.load(_file(kept, "parts", record)) for record in records])
    alike = parts[:, PARTS.index("cls:10") * (width := parts.shape[1] // len(PARTS)) :][:, :width].astype(np.float32)
    views = Views(
        tokens=np.stack([np.load(_file(kept, cut, record)) for record in records]),
        parts=parts,
        labels=np.array([record.label for record in records]),
        owners=np.array([record.group for record in records]),
        alike=alike / np.linalg.norm(alike, axis=1, keepdims=True),
    )
    return views, np.array([fold_of[record.group] for record in records])


def _file(kept: Path, of: str | int, record: Record) -> Path:
    return kept / str(of) / f"{record.picture}.npy"


def _write(kept: Path, of: str | int, records: Sequence[Record], values: Tensor) -> None:
    for record, own in zip(records, values.half().numpy(), strict=True):
        part = _file(kept, of, record).with_suffix(".part")
        with part.open("wb") as file:
            np.save(file, own)
        part.rename(part.with_suffix(".npy"))
