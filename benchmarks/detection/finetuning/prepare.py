"""What the runs learn from: a square of the drawn copy of up to ten pictures of an owner's class, run to the cut."""

import pickle
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.detection.finetuning.teach import Views
from benchmarks.detection.finetuning.upper import CUT
from causalclip.clip.backbones import load_tower
from causalclip.dataset.originals import read_originals
from causalclip.dataset.table import PICTURES
from causalclip.training.copies import copy_number, copy_view
from causalclip.training.data import Record, assign_folds

MOST, SEED, SETS = 10, 33, ("alike", "sites")
ALIKE = 10  # the layer whose CLS token compares content
CHUNK = 16


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
    """Writes records, tokens after layer CUT and the vectors that compare content to `kept`."""
    kept.mkdir(parents=True, exist_ok=True)
    tower = load_tower(dtype=torch.bfloat16)
    records = chosen(originals)
    shape = len(records), 1 + tower.grid**2, tower.width
    alike = np.zeros((len(records), tower.width), np.float32)
    tokens = np.lib.format.open_memmap(kept / "tokens.npy", "w+", np.int16, shape)
    for at in tqdm(range(0, len(records), CHUNK), desc="views"):
        some = records[at : at + CHUNK]
        shots = [copy_view(r, originals, copy_number(r, "drawn"), size=tower.image_size)[0] for r in some]
        trace = tower(torch.stack(shots), until=ALIKE)
        stream = torch.cat([trace.cls[CUT][:, None], trace.patches[CUT]], 1)
        tokens[at : at + CHUNK] = stream.bfloat16().view(torch.int16).numpy()
        alike[at : at + CHUNK] = torch.nn.functional.normalize(trace.cls[ALIKE], dim=1).numpy()
    tokens.flush()
    np.save(kept / "alike.npy", alike)
    (kept / "records.pkl").write_bytes(pickle.dumps(records))


def load(kept: Path) -> tuple[Views, np.ndarray]:
    """What `prepare` wrote, and the fold of each picture's owner."""
    records: list[Record] = pickle.loads((kept / "records.pkl").read_bytes())
    fold_of = assign_folds(records)
    views = Views(
        tokens=np.load(kept / "tokens.npy", mmap_mode="r"),
        labels=np.array([record.label for record in records]),
        owners=np.array([record.group for record in records]),
        alike=np.load(kept / "alike.npy"),
    )
    return views, np.array([fold_of[record.group] for record in records])
