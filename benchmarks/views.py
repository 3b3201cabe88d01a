"""Features of a split's pictures in the detector's views (squares, and windows if it has any),
computed once and kept.

With them every row of the ablation, and every detector on the same tower, is judged in seconds on
the same views.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import cpu_count, get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm

from causalclip.calibration import Band
from causalclip.clip.backbones import load_for_inference, load_tower
from causalclip.clip.embedding import EMBEDDING, embed, part_widths
from causalclip.clip.runtime import Runtime
from causalclip.clip.tower import Tower
from causalclip.clip.views import plan_views, render
from causalclip.detector import Detector
from causalclip.images.jpeg import compression
from training.detector.augmentation import on_white
from training.detector.data import Record
from training.detector.evaluation import Scores
from training.detector.features import VERSION


class SplitFeatures:
    """Half [V, D] of every view, all parts.

    picture: [V], its record. window: bool [V]. quality: [N, Q], of every picture.
    """

    def __init__(self, files: Sequence[Path], tower: Tower) -> None:
        pictures = [np.load(file) for file in files]
        parts = _all_parts(tower.layers)
        ends = np.cumsum(part_widths(parts, tower))
        self.columns = {
            p: np.arange(a, b) for p, a, b in zip(parts, [0, *ends[:-1]], ends, strict=True)
        }
        self.values = np.concatenate([picture["features"] for picture in pictures])
        self.picture = np.repeat(
            np.arange(len(pictures)), [len(picture["window"]) for picture in pictures]
        )
        self.window = np.concatenate([picture["window"] for picture in pictures])
        self.quality = np.stack([picture["quality"] for picture in pictures])

    def take(self, parts: Sequence[str]) -> Tensor:
        """The parts side by side, [V, D]."""
        return torch.from_numpy(self.values[..., np.concatenate([self.columns[p] for p in parts])])

    def pool(self, whole: np.ndarray, window: np.ndarray, *, share: float) -> np.ndarray:
        """Logits of every view by each head, [V] and [V] -> [N]: squares and windows averaged, then
        weighted."""
        count = int(self.picture.max()) + 1
        means = []
        for kind, logits in ((False, whole), (True, window)):
            rows = self.window == kind
            total = np.bincount(self.picture[rows], logits[rows], count)
            means.append((total, np.bincount(self.picture[rows], minlength=count)))
        (w, nw), (n, nn) = means
        squares = w / nw
        return np.where(nn > 0, (1 - share) * squares + share * n / np.maximum(nn, 1), squares)


def _all_parts(layers: int) -> tuple[str, ...]:
    """Every part that a tower of so many layers has."""
    return (
        EMBEDDING,
        *(f"{kind}:{layer}" for kind in ("cls", "patch") for layer in range(1, layers + 1)),
    )


@torch.inference_mode()
def probabilities(detector: Detector, views: SplitFeatures) -> np.ndarray:
    """Return what the detector says of every picture, [N]: its own answer but for the features'
    half precision."""
    x = views.take(detector.config.parts)
    logits = {
        k: np.concatenate([h(rows.float()).logit for rows in x.split(512)])
        for k, h in detector.heads.items()
    }
    windows = logits.get("window", logits["whole"])
    raw = views.pool(logits["whole"], windows, share=detector.config.share.get("window", 0.0))
    calibration = detector.config.calibration
    return 1 / (
        1 + np.exp(-(calibration.scale * raw + [calibration.shift(q) for q in views.quality]))
    )


@torch.inference_mode()
def photographs(detector: Detector, views: SplitFeatures) -> np.ndarray:
    """Return which of the pictures the detector takes for photographs, bool [N]."""
    assert detector.image_types is not None
    x, whole = views.take(detector.config.parts), ~views.window
    other = np.concatenate(
        [detector.image_types(rows.float())[:, 0].numpy() for rows in x.split(512)]
    )
    number = views.picture[whole]
    return np.asarray(
        np.bincount(number, other[whole]) / np.bincount(number)
        <= float(detector.image_types.threshold)
    )


@cache
def _process_tower(backbone: str, runtime: Runtime | None = None) -> Tower:
    """The tower of a worker process, on one thread; in PyTorch where no runtime is named."""
    torch.set_num_threads(1)
    return load_for_inference(backbone, runtime=runtime) if runtime else load_tower(backbone)


class Job(NamedTuple):
    """A picture whose views are to be embedded, and the file that their features go to."""

    backbone: str
    source: Path
    target: Path
    windows: int
    runtime: Runtime | None = None


def _one(job: Job) -> None:
    """Write the features of one picture's views to their target."""
    backbone, source, target, windows, runtime = Job(*job)
    tower = _process_tower(backbone, runtime)
    with Image.open(source) as file:
        pixels = np.asarray(on_white(ImageOps.exif_transpose(file)))
    views = plan_views(pixels.shape[1], pixels.shape[0], size=tower.image_size, windows=windows)
    with torch.inference_mode():
        features = embed(
            tower(render(pixels, views, size=tower.image_size)), _all_parts(tower.layers), tower
        )
    partial = target.with_suffix(".partial.npz")
    window = [view.view_type == "window" for view in views]
    np.savez(partial, features=features.half().numpy(), window=window, quality=compression(pixels))
    partial.rename(target)


def split_features(
    records: Sequence[Record],
    root: Path,
    *,
    backbone: str,
    cache: Path,
    windows: int = 0,
    runtime: Runtime | None = None,
) -> SplitFeatures:
    """Every record's views, from the cache where they are there.

    runtime: that the tower runs in; None for PyTorch's float products.
    """
    key = repr((windows, VERSION, backbone, "as it is", *([runtime] if runtime else [])))
    folder = cache / ("views-" + hashlib.sha256(key.encode()).hexdigest()[:8])
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / (hashlib.sha256(r.path.encode()).hexdigest()[:20] + ".npz") for r in records]
    missing = [(r, file) for r, file in zip(records, files, strict=True) if not file.exists()]
    jobs = [Job(backbone, root / r.path, file, windows, runtime) for r, file in missing]
    if jobs:
        # Started afresh: a forked child would inherit the threads of the parent's torch, and hang.
        with ProcessPoolExecutor(cpu_count(), mp_context=get_context("spawn")) as pool:
            list(tqdm(pool.map(_one, jobs), total=len(jobs), desc="views", unit="picture"))
    return SplitFeatures(files, load_tower(backbone))


def score(detector: Detector, records: Sequence[Record], root: Path, *, cache: Path) -> Scores:
    """Return what the detector says of the records, by their cached views."""
    backbone, windows = detector.config.backbone, detector.config.windows
    views = split_features(records, root, backbone=backbone, cache=cache, windows=windows)
    probability = probabilities(detector, views)
    bands: list[Band] = [detector.config.calibration.band(p) for p in probability]
    if detector.image_types is not None:
        bands = [
            b if is_photograph else "no answer"
            for b, is_photograph in zip(bands, photographs(detector, views), strict=True)
        ]
    return Scores(tuple(records), probability, tuple(bands))
