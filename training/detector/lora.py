"""Teaches the tower itself, in the minutes that a graphics card is at hand. Offline.

By a low-rank update (LoRA, arXiv 2106.09685) of every layer, with the causal head on top:

    python -m training lora pack --originals ../originals --out RUN/packed
    python -m training lora fit --packed RUN/packed --out RUN --minutes 45 --device cuda
    python -m training detector --originals ../originals --backbone local-dir:RUN/tower --out RUN/it

`pack` runs where the originals lie, and makes one file that is read without them. `fit` judges the
update three times by owners that it does not learn from, and writes the best as a tower; killed and
started again with the same settings, it goes on. The last command fits heads and thresholds on that
tower, as on any other.
"""

import csv
import io
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler, Subset
from tqdm import tqdm

from causalclip.clip.backbones import ASSETS, LOCAL, load_tower
from causalclip.clip.embedding import embed, needs, part_widths
from causalclip.clip.tower import Tower
from causalclip.clip.weights import save_shards
from causalclip.method import CausalHead, causal_loss
from training.detector.augmentation import lossy, open_original, seed_of
from training.detector.data import LIKE, Record, assign_folds, need_both
from training.detector.fitting import standardise, temperature
from training.detector.recipe import Recipe, balance
from training.mixed_precision import mixed_precision
from training.purifier.loop import log_row, resume, save_checkpoint

SIDE = 448  # px, of a packed picture's shorter side at most
QUALITY = 92  # of its JPEG, in both classes
MATRICES = ["attn.out_proj", "mlp.c_fc", "mlp.c_proj"]  # of every layer
CHECKPOINTS = 3  # that are judged
KEPT = 60  # seconds after which the state is kept, so that a killed run loses no more
DRAWN = 4096  # rows at once
MIN_PARALLEL = 128  # pictures that are not worth the start of other processes
PICTURES, INDEX = "pictures.bin", "index.csv"
REPORT = "lora.json"


@dataclass(frozen=True, slots=True)
class LoraRun:
    """Settings of a run.

    minutes: that it takes; steps: that it takes in place of them, where it is not 0.
    batch: pictures a step. rank: of each matrix's update. rate: of the update; the head's is
    `head_rate`. Both rise over the first twentieth of the run and fall to 0 as a cosine.
    held: how many of the folds of owners there are, one of which is not learned from.
    """

    minutes: float = 45
    steps: int = 0
    batch: int = 256
    rank: int = 16
    rate: float = 2e-4
    head_rate: float = 1e-3
    held: int = 8
    seed: int = 0


class _Shrunk(Dataset[bytes]):
    """Each record's picture as the JPEG that is packed."""

    def __init__(self, records: Sequence[Record], root: str | Path) -> None:
        self._records, self._root = records, root

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> bytes:
        record = self._records[index]
        rng = np.random.default_rng(seed_of(record))
        picture, _ = open_original(record, self._root, most=4 * SIDE, rng=rng)
        factor = SIDE / min(picture.size)
        if factor < 1:
            size = round(picture.width * factor), round(picture.height * factor)
            picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=QUALITY)
        return buffer.getvalue()


def pack(records: Sequence[Record], root: str | Path, out: Path) -> None:
    """Write every picture, shrunk and encoded alike, one after the other into one file, and the
    records with the place of each into an index."""
    out.mkdir(parents=True, exist_ok=True)
    workers = (os.cpu_count() or 1) if len(records) > MIN_PARALLEL else 0
    context = "spawn" if workers else None
    loader = DataLoader(
        _Shrunk(records, root),
        batch_size=None,
        num_workers=workers,
        multiprocessing_context=context,
    )
    partial = out / (INDEX + ".partial")
    with (out / PICTURES).open("wb") as file, partial.open("w", newline="") as table:
        writer = csv.DictWriter(table, ["start", "length", *asdict(records[0])])
        writer.writeheader()
        start = 0
        for record, data in zip(records, tqdm(loader, desc="pack", unit="picture"), strict=True):
            file.write(data)
            writer.writerow({"start": start, "length": len(data), **asdict(record)})
            start += len(data)
    partial.rename(out / INDEX)  # only a whole one has this name


class PackedPictures(Dataset[tuple[Tensor, float]]):
    """Views of packed pictures, float [V, 3, size, size] in [0, 1], and their labels.

    Args:
        folder: that `pack` wrote.
        size: of a view, in px.
        augmented: one view, cropped, mirrored and re-encoded by chance; else two, the middle at
            the packed scale and the middle of the whole.
    """

    def __init__(self, folder: Path, *, size: int, augmented: bool) -> None:
        with (folder / INDEX).open(newline="") as file:
            rows = list(csv.DictReader(file))
        self._places = [(int(row.pop("start")), int(row.pop("length"))) for row in rows]
        self.records = [Record(**{**row, "label": int(row["label"])}) for row in rows]  # type: ignore[arg-type]
        self._path, self._size, self._augmented = folder / PICTURES, size, augmented

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[Tensor, float]:
        start, length = self._places[index]
        with self._path.open("rb") as file:
            file.seek(start)
            picture = Image.open(io.BytesIO(file.read(length))).convert("RGB")
        views = self._by_chance(picture) if self._augmented else self._middles(picture)
        pixels = torch.stack([torch.from_numpy(np.array(view)) for view in views])
        return pixels.permute(0, 3, 1, 2).float() / 255, float(self.records[index].label)

    def _by_chance(self, picture: Image.Image) -> list[Image.Image]:
        rng = np.random.default_rng(int(torch.randint(2**31, ())))  # another one in each worker
        shorter = int(rng.integers(self._size, max(self._size, min(picture.size)) + 1))
        picture = _scaled(picture, shorter)
        left, top = (int(rng.integers(side - self._size + 1)) for side in picture.size)
        picture = picture.crop((left, top, left + self._size, top + self._size))
        if rng.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return [lossy(picture, 60, 95, rng) if rng.random() < 0.5 else picture]

    def _middles(self, picture: Image.Image) -> list[Image.Image]:
        native = _scaled(picture, max(self._size, min(picture.size)))
        return [_middle(scaled, self._size) for scaled in (native, _scaled(picture, self._size))]


def _scaled(picture: Image.Image, shorter: int) -> Image.Image:
    factor = shorter / min(picture.size)
    size = (max(shorter, round(side * factor)) for side in picture.size)
    return picture if factor == 1 else picture.resize((next(size), next(size)))


def _middle(picture: Image.Image, size: int) -> Image.Image:
    left, top = (picture.width - size) // 2, (picture.height - size) // 2
    return picture.crop((left, top, left + size, top + size))


def fit(
    packed: Path, out: Path, *, backbone: str, recipe: Recipe, run: LoraRun, device: torch.device
) -> dict[str, Any]:
    """Teach the update and the head, and write the best of three checkpoints to out / "tower".

    The state is kept in `out` every KEPT seconds, from where the same call goes on.

    Args:
        packed: the folder that `pack` wrote.
        backbone: the tower to begin with.
        recipe: whose parts the head reads, and whose losses it learns by.
        device: that computes; products are in bfloat16.

    Returns:
        What out / "lora.json" holds: the settings, and each checkpoint's AUC on held-out owners.

    Raises:
        BadManifest: learned or held-out pictures lack a class.
    """
    torch.manual_seed(run.seed)
    # 1. Pictures: one fold of owners is held out
    tower = load_tower(backbone, dtype=torch.float32)
    augmented = PackedPictures(packed, size=tower.image_size, augmented=True)
    plain = PackedPictures(packed, size=tower.image_size, augmented=False)
    fold_of = assign_folds(augmented.records, folds=run.held)
    is_held_out = np.array([fold_of[record.group] == 0 for record in augmented.records])
    rows, held_rows = np.flatnonzero(~is_held_out).tolist(), np.flatnonzero(is_held_out).tolist()
    need_both([augmented.records[i] for i in rows], "What is learned from")
    need_both([augmented.records[i] for i in held_rows], "The held-out owners")
    batches = _endless(augmented, rows, recipe, run)

    # 2. Tower with its update, and the head
    inject_adapter_in_model(
        LoraConfig(r=run.rank, lora_alpha=run.rank, target_modules=MATRICES), tower
    )
    for name, parameter in tower.named_parameters():
        parameter.requires_grad_(".lora_" in name)
    tower.to(device)
    head = replace(recipe.head, hidden=recipe.head.hidden or 64).new_head(
        sum(part_widths(recipe.parts, tower))
    )
    with torch.no_grad():
        embeddings = [_embedded(next(batches)[0], tower, recipe, device) for _ in range(4)]
    standardise(head, torch.cat(embeddings).cpu())
    head.to(device).train()
    update = [p for p in tower.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [{"params": update, "lr": run.rate}, {"params": head.parameters(), "lr": run.head_rate}],
        weight_decay=1e-2,
    )
    schedule = [group["lr"] for group in optimiser.param_groups]
    state = nn.ParameterList(update), head, optimiser

    # 3. What an earlier run with the same settings has done
    settings: dict[str, object] = {
        "backbone": backbone,
        "run": asdict(run),
        "parts": list(recipe.parts),
    }
    settings |= {"learned": len(rows), "held out": len(held_rows)}
    report = _read_report(out, settings)
    checkpoints: list[dict[str, float]] = report["checkpoints"]
    step = resume(out, *state, device=device) if report["minutes"] else 0
    progress = _progress(run, step, report["minutes"])
    best = max((checkpoint["like"] for checkpoint in checkpoints), default=-1.0)

    # 4. Steps, until the time is over
    began = saved_at = time.monotonic() - 60 * report["minutes"]
    with tqdm(total=100, desc="lora", unit="%") as bar:
        while progress < 1:
            for group, rate in zip(optimiser.param_groups, schedule, strict=True):
                group["lr"] = rate * _rise_and_fall(progress)
            pixels, labels = next(batches)
            embedding = _embedded(pixels, tower, recipe, device)
            tau = temperature(recipe.head, progress)
            loss = causal_loss(
                head, embedding, labels.to(device), weights=recipe.head.weights, tau=tau
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step += 1
            minutes = (time.monotonic() - began) / 60
            progress = _progress(run, step, minutes)
            bar.update(int(100 * min(progress, 1)) - bar.n)
            due = progress * CHECKPOINTS >= len(checkpoints) + 1
            if due:
                head.tau.fill_(tau)
                auc = judge(plain, held_rows, tower, head, recipe, device)
                checkpoints.append({"step": step, "loss": float(loss.detach()), **auc})
                log_row(out, checkpoints[-1])
                if auc["like"] > best:
                    best = auc["like"]
                    _save_tower(tower, backbone, out / "tower")
                head.train()
            if due or time.monotonic() - saved_at > KEPT:
                saved_at = time.monotonic()
                save_checkpoint(out, step, *state)
                report = settings | {"minutes": minutes, "checkpoints": checkpoints}
                (out / REPORT).write_text(json.dumps(report, indent=2) + "\n")
    return report


def _progress(run: LoraRun, step: int, minutes: float) -> float:
    return step / run.steps if run.steps else minutes / run.minutes


def _read_report(out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what an earlier run has written of itself; an empty report where there is none, or one
    with other settings."""
    empty = settings | {"minutes": 0.0, "checkpoints": []}
    if not (out / REPORT).is_file():
        return empty
    report: dict[str, Any] = json.loads((out / REPORT).read_text())
    return report if settings.items() <= report.items() else empty


class _Drawn(Sampler[int]):
    """Rows without end, each drawn by its weight."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight

    def __iter__(self) -> Iterator[int]:
        while True:
            yield from torch.multinomial(self._weight, DRAWN, replacement=True).tolist()


def _endless(
    pictures: PackedPictures, rows: list[int], recipe: Recipe, run: LoraRun
) -> Iterator[list[Tensor]]:
    """Yield batches without end, in which classes and sets count as `balance` weighs them."""
    weight = torch.zeros(len(pictures))
    weight[rows] = balance([pictures.records[i] for i in rows], broad=recipe.broad)
    workers = (os.cpu_count() or 1) if len(pictures) > MIN_PARALLEL else 0
    loader = DataLoader(
        pictures,
        batch_size=run.batch,
        sampler=_Drawn(weight),
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        pin_memory=torch.cuda.is_available(),
    )
    return iter(loader)


def _embedded(pixels: Tensor, tower: Tower, recipe: Recipe, device: torch.device) -> Tensor:
    """Embed views: [B, V, 3, S, S] -> float32 [B * V, D]."""
    with mixed_precision(device):
        trace = tower(pixels.flatten(0, 1).to(device), **needs(recipe.parts, tower))
        return embed(trace, recipe.parts, tower).float()


def _rise_and_fall(progress: float) -> float:
    return min(1.0, progress * 20 + 0.01) * float(0.5 + 0.5 * np.cos(np.pi * min(progress, 1)))


@torch.inference_mode()
def judge(
    pictures: PackedPictures,
    rows: list[int],
    tower: Tower,
    head: CausalHead,
    recipe: Recipe,
    device: torch.device,
) -> dict[str, float]:
    """AUC on the rows: of all, and of the sets of like content (of all where there are none)."""
    head.eval()
    loader = DataLoader(Subset(pictures, rows), batch_size=64)
    logits = torch.cat(
        [
            head(_embedded(pixels, tower, recipe, device)).logit.view(len(pixels), -1).mean(1).cpu()
            for pixels, _ in loader
        ]
    ).numpy()
    records = [pictures.records[i] for i in rows]
    labels = np.array([record.label for record in records])
    like = np.array([record.set in LIKE for record in records])
    if len(set(labels[like])) < 2:
        like[:] = True
    return {
        "all": float(roc_auc_score(labels, logits)),
        "like": float(roc_auc_score(labels[like], logits[like])),
    }


def _save_tower(tower: Tower, backbone: str, folder: Path) -> None:
    """Write the tower with its update added to the matrices, as `load_tower("local-dir:FOLDER")`
    reads it."""
    layers = [module for module in tower.modules() if isinstance(module, LoraLayer)]
    for layer in layers:
        layer.merge()  # type: ignore[operator]
    state = {
        name.removeprefix("visual.").replace(".base_layer", ""): value.cpu().clone()
        for name, value in tower.state_dict().items()
        if ".lora_" not in name
    }
    for layer in layers:
        layer.unmerge()  # type: ignore[operator]
    for old in folder.glob("*.safetensors"):
        old.unlink()
    save_shards(state, folder, metadata={"origin": f"{backbone} with a low-rank update"})
    (folder / "config.json").write_text(json.dumps(_config(tower, backbone), indent=2) + "\n")


def _config(tower: Tower, backbone: str) -> dict[str, Any]:
    local = Path(backbone.removeprefix(LOCAL)) if backbone.startswith(LOCAL) else ASSETS / backbone
    if (local / "config.json").is_file():
        config = json.loads((local / "config.json").read_text())
    else:
        from open_clip import get_model_config

        config = get_model_config(backbone.partition("/")[0])
    shape = {
        name: config[name] for name in ("embed_dim", "quick_gelu", "vision_cfg") if name in config
    }
    return shape | {"mean": tower.mean.flatten().tolist(), "std": tower.std.flatten().tolist()}
