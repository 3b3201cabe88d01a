"""Pictures in which it is known where the generated part is: a region of one pasted into another. Offline.

They teach heads to find evidence where it is (`Cells`), and they test maps (benchmarks/splices.py). For
teaching, photographs are also pasted into photographs and into generated pictures: a map is to show what was
generated, and not whatever was pasted.
"""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from causalclip.clip.embedding import cell_embeddings, needs
from causalclip.clip.views import plan_views, render
from causalclip.pictures.delivery import random_delivery
from causalclip.training.copies import open_original, shrink
from causalclip.training.data import Record
from causalclip.training.features import in_processes, process_tower

# (host, guest) is generated, and how often that is drawn: the first is what there is most of in the world.
MIXTURE = {(False, True): 0.4, (False, False): 0.3, (True, False): 0.2, (True, True): 0.1}
LONG_SIDE = 1024  # px of the host, at most
CHUNK = 50  # splices; the unit that is lost when a run is killed
VERSION = 2  # change it when what a splice is changes


@dataclass(frozen=True, slots=True)
class Splice:
    """pixels: uint8 [H, W, 3], re-encoded once after pasting. mask: bool [H, W], what was pasted."""

    pixels: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True, slots=True)
class Cells:
    """Splices of training pictures as a head sees them.

    features: half [S, C, D], the embedding as it would be if the view were like one of its C cells alone
        (causalclip.clip.embedding.cell_embeddings). labels: float [S, C], how much of the cell is generated.
    pasted: float [S, C], how much of it was pasted. mixture: [S], which of MIXTURE it is. fold: [S], where both
        pictures come from.
    """

    features: Tensor
    labels: Tensor
    pasted: Tensor
    mixture: np.ndarray
    fold: np.ndarray


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to make: `count` splices, and which parts of which tower's embedding of them."""

    backbone: str
    parts: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Job:
    """One chunk: `count` splices by a seed of the pictures of one fold, by class."""

    what: Wanted
    root: str
    pools: dict[bool, tuple[Record, ...]]
    seed: tuple[int, ...]
    count: int
    target: str


@dataclass(frozen=True, slots=True)
class Outline:
    """How a region is drawn.

    sides: shares of the picture's width and height. beyond: how far it may reach over an edge, as a share of what is
    left free. corners, radius: of a polygon; the smallest distance of a corner from the middle, 1 being the outline's.
    area: shares of the picture.
    """

    sides: tuple[float, float] = (0.3, 0.75)
    beyond: float = 0.0
    corners: int = 8
    radius: float = 0.6
    area: tuple[float, float] = (0.1, 0.4)


PLAIN = Outline()


def region(width: int, height: int, rng: np.random.Generator, outline: Outline = PLAIN) -> np.ndarray:
    """A rectangle, an ellipse or a polygon inside the outline's bounds: bool [H, W]."""
    low, high = outline.area
    while True:
        canvas = Image.new("L", (width, height))
        draw = ImageDraw.Draw(canvas)
        w, h = rng.uniform(*outline.sides) * width, rng.uniform(*outline.sides) * height
        x, y = (rng.uniform(-outline.beyond, 1 + outline.beyond) * free for free in (width - w, height - h))
        shape = rng.integers(3)
        if shape == 0:
            draw.rectangle((x, y, x + w, y + h), fill=255)
        elif shape == 1:
            draw.ellipse((x, y, x + w, y + h), fill=255)
        else:
            angles = np.sort(rng.uniform(0, 2 * np.pi, outline.corners))
            radii = rng.uniform(outline.radius, 1, outline.corners)
            corners = [
                (x + w / 2 * (1 + r * np.cos(a)), y + h / 2 * (1 + r * np.sin(a)))
                for a, r in zip(angles, radii, strict=True)
            ]
            draw.polygon(corners, fill=255)
        mask = np.asarray(canvas) > 127
        if low <= mask.mean() <= high:
            return mask


def make_splice(host: Image.Image, guest: Image.Image, rng: np.random.Generator) -> Splice:
    """The region of `guest`, scaled to cover the host, pasted with a soft edge, then JPEG 85 to 95."""
    scale = max(host.width / guest.width, host.height / guest.height)
    size = (max(host.width, round(guest.width * scale)), max(host.height, round(guest.height * scale)))
    cover = guest.resize(size, Image.Resampling.LANCZOS).crop((0, 0, host.width, host.height))
    mask = region(host.width, host.height, rng)
    soft = Image.fromarray((mask * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    buffer = io.BytesIO()
    Image.composite(cover, host, soft).save(buffer, "JPEG", quality=int(rng.integers(85, 96)))
    return Splice(np.asarray(Image.open(buffer).convert("RGB")), mask)


def is_photograph(record: Record) -> bool:
    """Real, and no art."""
    return not record.label and "art" not in record.source


def compute_cells(
    records: Sequence[Record], fold_of: np.ndarray, root: str | Path, what: Wanted, *, cache: str | Path
) -> Cells | None:
    """Splices of the records, both pictures of each from one fold; from the cache where it is there.

    fold_of: [N], of every record. None where no fold has both a photograph and a generated picture, or none are wanted.
    """
    key = VERSION, what.backbone, what.parts, [(r.path, int(f)) for r, f in zip(records, fold_of, strict=True)]
    folder = Path(cache) / ("splices-" + hashlib.sha256(repr(key).encode()).hexdigest()[:16])
    folder.mkdir(parents=True, exist_ok=True)
    folds = sorted({int(f) for f in fold_of})
    jobs, files, fold = [], [], []
    for f in folds:
        inside = [r for r, of in zip(records, fold_of, strict=True) if of == f]
        pools = {False: tuple(filter(is_photograph, inside)), True: tuple(r for r in inside if r.label)}
        each = what.count // len(folds)
        for first in range(0, each if all(pools.values()) else 0, CHUNK):
            n = min(CHUNK, each - first)
            target = folder / f"{f}-{first:05d}-{n}.npz"
            files.append(target)
            fold += [f] * n
            if not target.exists():
                jobs.append(Job(what, str(root), pools, (f, first), n, str(target)))
    in_processes(run_job, jobs, label="splices", unit="chunk")
    if not files:
        return None
    chunks = [np.load(f) for f in files]
    features, labels, pasted = (
        torch.from_numpy(np.concatenate([c[name] for c in chunks])) for name in ("features", "labels", "pasted")
    )
    return Cells(features, labels, pasted, np.concatenate([c["mixture"] for c in chunks]), np.array(fold))


@torch.inference_mode()
def run_job(job: Job) -> None:
    """Makes and embeds one chunk and writes it."""
    tower = process_tower(job.what.backbone)
    cells = max(1, tower.grid // 2)
    rng = np.random.default_rng(job.seed)
    rows: dict[str, list[np.ndarray]] = {"features": [], "labels": [], "pasted": []}
    mixture = rng.choice(len(MIXTURE), job.count, p=list(MIXTURE.values()))
    for which in mixture:
        generated = list(MIXTURE)[which]
        host, guest = (_open(job, job.pools[g], rng) for g in generated)
        view, pasted = _view(make_splice(host, guest, rng), tower.image_size, rng)
        trace = tower(view[None], shares=True, **needs(job.what.parts, tower))
        rows["features"].append(cell_embeddings(trace, job.what.parts, tower, cells=cells)[0].half().numpy())
        share = torch.nn.functional.adaptive_avg_pool2d(pasted[None], cells).flatten().numpy()
        rows["pasted"].append(share)
        rows["labels"].append(generated[0] + (float(generated[1]) - generated[0]) * share)
    write_whole(job.target, mixture=mixture, **{name: np.stack(r).astype(r[0].dtype) for name, r in rows.items()})


def write_whole(target: str | Path, **arrays: np.ndarray) -> None:
    """np.savez under another name first, so that a killed run leaves no half file."""
    partial = Path(target).with_suffix(".partial.npz")
    np.savez(partial, **arrays)  # type: ignore[arg-type]
    partial.rename(target)


def _open(job: Job, pool: Sequence[Record], rng: np.random.Generator) -> Image.Image:
    picture, _ = open_original(pool[int(rng.integers(len(pool)))], job.root, most=LONG_SIDE, rng=rng)
    return shrink(picture, LONG_SIDE, rng)


def _view(splice: Splice, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A square after a light random delivery, [3, size, size] in [0, 1], and what was pasted, [size, size]."""
    picture = random_delivery(Image.fromarray(splice.pixels), rng, strength=0.3)
    mask = Image.fromarray((splice.mask * 255).astype(np.uint8)).convert("RGB").resize(picture.size)
    squares = plan_views(picture.width, picture.height, size=size, windows=0)
    square = [squares[int(rng.integers(len(squares)))]]
    return render(np.asarray(picture), square, size=size)[0], render(np.asarray(mask), square, size=size)[0, 0]
