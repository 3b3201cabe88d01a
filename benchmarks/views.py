"""Features of a split's pictures in the detector's views (squares, and windows if it has any), computed once and kept.

With them every row of the ablation, and every detector on the same tower, is judged in seconds on the same views.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import cpu_count, get_context
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from tqdm import tqdm

from causalclip.calibration import Band, compression
from causalclip.clip.backbones import load_tower
from causalclip.clip.tower import Tower, embed, part_widths
from causalclip.clip.views import plan_views, render
from causalclip.detector import Detector
from causalclip.training.augmentation import on_white
from causalclip.training.data import Record
from causalclip.training.evaluation import Scores
from causalclip.training.features import VERSION, all_parts

_tower: Tower | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SplitFeatures:
    """features: half [V, D], every part of every view. picture: [V], its record. window: bool [V].
    quality: [N, Q], estimated compression of every picture."""

    features: np.ndarray
    picture: np.ndarray
    window: np.ndarray
    quality: np.ndarray
    columns: dict[str, np.ndarray]

    def take(self, parts: Sequence[str]) -> torch.Tensor:
        return torch.from_numpy(self.features[:, np.concatenate([self.columns[p] for p in parts])])

    def pool(self, whole: np.ndarray, window: np.ndarray, *, share: float) -> np.ndarray:
        """Logits of every view by each head, [V] and [V] -> [N]: squares and windows averaged, then weighted."""
        count = int(self.picture.max()) + 1
        means = []
        for kind, logits in ((False, whole), (True, window)):
            rows = self.window == kind
            total = np.bincount(self.picture[rows], logits[rows], count)
            means.append((total, np.bincount(self.picture[rows], minlength=count)))
        (w, nw), (n, nn) = means
        squares = w / nw
        return np.where(nn > 0, (1 - share) * squares + share * n / np.maximum(nn, 1), squares)


@torch.inference_mode()
def probabilities(detector: Detector, views: SplitFeatures) -> np.ndarray:
    """What the detector says of every picture, [N]: its own answer but for the features' half precision."""
    x = views.take(detector.config.parts)
    logits = {k: np.concatenate([h(rows.float()).logit for rows in x.split(512)]) for k, h in detector.heads.items()}
    windows = logits.get("window", logits["whole"])
    raw = views.pool(logits["whole"], windows, share=detector.config.share.get("window", 0.0))
    calibration = detector.config.calibration
    return 1 / (1 + np.exp(-(calibration.scale * raw + [calibration.shift(q) for q in views.quality])))


@torch.inference_mode()
def photographs(detector: Detector, views: SplitFeatures) -> np.ndarray:
    """Which of the pictures the detector takes for photographs, bool [N]."""
    assert detector.image_types is not None
    x, whole = views.take(detector.config.parts), ~views.window
    other = np.concatenate([detector.image_types(rows.float())[:, 0].numpy() for rows in x.split(512)])
    number = views.picture[whole]
    return np.asarray(np.bincount(number, other[whole]) / np.bincount(number) <= float(detector.image_types.threshold))


def _one(job: tuple[str, str, str, int]) -> None:
    """Features of one picture's views, written to their target."""
    global _tower
    backbone, source, target, windows = job
    if _tower is None:
        torch.set_num_threads(1)
        _tower = load_tower(backbone)
    with Image.open(source) as file:
        pixels = np.asarray(on_white(ImageOps.exif_transpose(file)))
    views = plan_views(pixels.shape[1], pixels.shape[0], size=_tower.image_size, windows=windows)
    parts = all_parts(_tower.layers)
    with torch.inference_mode():
        features = embed(_tower(render(pixels, views, size=_tower.image_size)), parts, _tower).half().numpy()
    partial = Path(target).with_suffix(".partial.npz")
    np.savez(
        partial,
        features=features,
        window=[v.kind == "window" for v in views],
        quality=compression(pixels),
        parts=parts,
        widths=part_widths(parts, _tower),
    )
    partial.rename(target)


def split_features(
    records: Sequence[Record], root: Path, *, backbone: str, cache: Path, windows: int = 0
) -> SplitFeatures:
    """Every record's views, from the cache where they are there."""
    key = repr((windows, VERSION, backbone, "as it is"))
    folder = cache / ("views-" + hashlib.sha256(key.encode()).hexdigest()[:8])
    folder.mkdir(parents=True, exist_ok=True)
    targets = [folder / (hashlib.sha256(r.path.encode()).hexdigest()[:20] + ".npz") for r in records]
    missing = [(r, t) for r, t in zip(records, targets, strict=True) if not t.exists()]
    jobs = [(backbone, str(root / r.path), str(t), windows) for r, t in missing]
    if jobs:
        with ProcessPoolExecutor(cpu_count(), mp_context=get_context("spawn")) as pool:
            list(tqdm(pool.map(_one, jobs, chunksize=4), total=len(jobs), desc="views", unit="picture"))
    files = [np.load(t) for t in targets]
    ends = np.cumsum(files[0]["widths"])
    columns = {str(p): np.arange(e - w, e) for p, e, w in zip(files[0]["parts"], ends, files[0]["widths"], strict=True)}
    return SplitFeatures(
        features=np.concatenate([f["features"] for f in files]),
        picture=np.repeat(np.arange(len(files)), [len(f["window"]) for f in files]),
        window=np.concatenate([f["window"] for f in files]),
        quality=np.stack([f["quality"] for f in files]),
        columns=columns,
    )


def score(detector: Detector, records: Sequence[Record], root: Path, *, cache: Path) -> Scores:
    """What the detector says of the records, by their cached views."""
    backbone, windows = detector.config.backbone, detector.config.windows
    views = split_features(records, root, backbone=backbone, cache=cache, windows=windows)
    probability = probabilities(detector, views)
    bands: list[Band] = [detector.config.calibration.band(p) for p in probability]
    if detector.image_types is not None:
        bands = [b if seen else "no answer" for b, seen in zip(bands, photographs(detector, views), strict=True)]
    return Scores(tuple(records), probability, tuple(bands))
