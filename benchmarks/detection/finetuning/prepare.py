"""What the runs learn from: squares of copies of up to ten pictures of an owner's class, run to the cut."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.detection.finetuning.teach import Views
from benchmarks.detection.finetuning.upper import CUT
from causalclip.clip.backbones import load_tower
from causalclip.clip.tower import Tower
from causalclip.dataset.originals import read_originals
from causalclip.dataset.table import PICTURES
from causalclip.training.copies import SHARES, copy_number, copy_view
from causalclip.training.data import Record, assign_folds

MOST, SEED, SETS = 10, 33, ("alike", "sites")
ALIKE = 10  # the layer whose CLS token compares content
CHUNK = 16
HELD_OUT = 0  # the fold
OTHERS, FEW = len(SHARES) - 1, 64  # further copies of a picture to learn from, and the patches that are kept of each


def chosen(originals: Path) -> list[Record]:
    """Photographs and photorealistic pictures of like content, at most MOST of an owner's class, in random order."""
    rng = np.random.default_rng(SEED)
    of: dict[tuple[str, int], list[Record]] = {}
    for record in read_originals(PICTURES, originals):
        if record.kind == "photo" and record.set in SETS:
            of.setdefault((record.group, record.label), []).append(record)
    some = [of[key][i] for key in sorted(of) for i in rng.permutation(len(of[key]))[:MOST]]
    return [some[i] for i in rng.permutation(len(some))]


@torch.no_grad()
def prepare(originals: Path, kept: Path) -> None:
    """Writes records, tokens of the drawn copy after layer CUT, and the vectors that compare content to `kept`."""
    kept.mkdir(parents=True, exist_ok=True)
    tower = load_tower(dtype=torch.bfloat16)
    records = chosen(originals)
    alike = np.zeros((len(records), tower.width), np.float32)
    tokens = _tokens(kept / "tokens.npy", len(records), tower.grid**2, tower)
    for at in tqdm(range(0, len(records), CHUNK), desc="drawn copies"):
        some = records[at : at + CHUNK]
        shots = [copy_view(r, originals, copy_number(r, "drawn"), size=tower.image_size)[0] for r in some]
        trace = tower(torch.stack(shots), until=ALIKE)
        tokens[at : at + CHUNK] = _stream(trace.cls[CUT], trace.patches[CUT])
        alike[at : at + CHUNK] = torch.nn.functional.normalize(trace.cls[ALIKE], dim=1).numpy()
    tokens.flush()
    np.save(kept / "alike.npy", alike)
    (kept / "records.pkl").write_bytes(pickle.dumps(records))


@torch.no_grad()
def prepare_others(originals: Path, kept: Path) -> None:
    """Writes FEW tokens, by lot, of the other copies of each picture that is not held out: each of another square."""
    tower, rng = load_tower(dtype=torch.bfloat16), np.random.default_rng(SEED)
    records: list[Record] = pickle.loads((kept / "records.pkl").read_bytes())
    fold_of = assign_folds(records)
    learned = np.flatnonzero([fold_of[record.group] != HELD_OUT for record in records])
    for other in range(1, OTHERS + 1):
        file = kept / f"tokens-{other}.npy"
        if file.is_file():
            continue
        tokens = _tokens(file.with_suffix(".part"), len(records), FEW, tower)
        for at in tqdm(range(0, len(learned), CHUNK), desc=f"copies, {other} of {OTHERS}"):
            rows = learned[at : at + CHUNK]
            some = [(records[i], (copy_number(records[i], "drawn") + other) % len(SHARES)) for i in rows]
            shots = [copy_view(r, originals, copy, size=tower.image_size)[0] for r, copy in some]
            trace = tower(torch.stack(shots), until=CUT)
            seen = np.sort(rng.permutation(tower.grid**2)[:FEW])
            tokens[rows] = _stream(trace.cls[CUT], trace.patches[CUT][:, seen])
        tokens.flush()
        file.with_suffix(".part").rename(file)


def load(kept: Path) -> tuple[Views, np.ndarray]:
    """What was written, and the fold of each picture's owner."""
    records: list[Record] = pickle.loads((kept / "records.pkl").read_bytes())
    fold_of = assign_folds(records)
    views = Views(
        tokens=np.load(kept / "tokens.npy", mmap_mode="r"),
        others=[np.load(file, mmap_mode="r") for file in sorted(kept.glob("tokens-*.npy"))],
        labels=np.array([record.label for record in records]),
        owners=np.array([record.group for record in records]),
        alike=np.load(kept / "alike.npy"),
    )
    return views, np.array([fold_of[record.group] for record in records])


def _tokens(file: Path, pictures: int, patches: int, tower: Tower) -> np.memmap[Any, Any]:
    return np.lib.format.open_memmap(file, "w+", np.int16, (pictures, 1 + patches, tower.width))


def _stream(cls: Tensor, patches: Tensor) -> np.ndarray:
    return torch.cat([cls[:, None], patches], 1).bfloat16().view(torch.int16).numpy()
