"""Are the maps right? Photographs with a generated region pasted in by a seed, and the maps against the known mask.

Reported: the mean AUC of the causal map against the mask (and of the non-causal map, gradient x input, attention
rollout, and a detector with randomised weights), and deletion and insertion curves against random order.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from sklearn.metrics import roc_auc_score
from torch import Tensor
from tqdm import tqdm

from benchmarks.detection.saliency import attention_rollout, gradient_times_input, randomised
from causalclip.data import Record
from causalclip.detector import Detector
from causalclip.heatmap import picture_map, seen

SIDE = 128  # cells on the long side of the compared maps


@dataclass(frozen=True, slots=True)
class Splice:
    """pixels: uint8 [H, W, 3], re-encoded once after pasting. mask: bool [H, W], what was generated."""

    pixels: np.ndarray
    mask: np.ndarray


def region(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """A rectangle, an ellipse or a polygon of 10 to 40 % of the picture: bool [H, W]."""
    while True:
        canvas = Image.new("L", (width, height))
        draw = ImageDraw.Draw(canvas)
        w, h = rng.uniform(0.3, 0.75) * width, rng.uniform(0.3, 0.75) * height
        x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
        shape = rng.integers(3)
        if shape == 0:
            draw.rectangle((x, y, x + w, y + h), fill=255)
        elif shape == 1:
            draw.ellipse((x, y, x + w, y + h), fill=255)
        else:
            angles = np.sort(rng.uniform(0, 2 * np.pi, 8))
            radii = rng.uniform(0.6, 1, 8)
            corners = [
                (x + w / 2 * (1 + r * np.cos(a)), y + h / 2 * (1 + r * np.sin(a)))
                for a, r in zip(angles, radii, strict=True)
            ]
            draw.polygon(corners, fill=255)
        mask = np.asarray(canvas) > 127
        if 0.1 <= mask.mean() <= 0.4:
            return mask


def make_splice(real: Image.Image, generated: Image.Image, rng: np.random.Generator) -> Splice:
    """The region of `generated`, scaled to cover the photograph, pasted with a soft edge, then JPEG 85 to 95."""
    scale = max(real.width / generated.width, real.height / generated.height)
    size = (max(real.width, round(generated.width * scale)), max(real.height, round(generated.height * scale)))
    cover = generated.resize(size, Image.Resampling.LANCZOS).crop((0, 0, real.width, real.height))
    mask = region(real.width, real.height, rng)
    soft = Image.fromarray((mask * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    buffer = io.BytesIO()
    Image.composite(cover, real, soft).save(buffer, "JPEG", quality=int(rng.integers(85, 96)))
    return Splice(np.asarray(Image.open(buffer).convert("RGB")), mask)


def make_splices(records: list[Record], root: Path, *, count: int, seed: int = 0) -> list[Splice]:
    """`count` splices of the split's photographs (no art) and generated pictures, drawn by the seed."""
    rng = np.random.default_rng(seed)
    real = [r for r in records if not r.label and "art" not in r.source]
    generated = [r for r in records if r.label]
    opened: Callable[[Record], Image.Image] = lambda r: Image.open(root / r.path).convert("RGB")  # noqa: E731
    pick = lambda rows: rows[int(rng.integers(len(rows)))]  # noqa: E731
    return [make_splice(opened(pick(real)), opened(pick(generated)), rng) for _ in range(count)]


def map_auc(levels: np.ndarray, splice: Splice, visible: np.ndarray) -> float:
    """AUC of a map [rows, columns] against the mask, over the cells that were seen."""
    mask = Image.fromarray(splice.mask).resize(levels.shape[::-1], Image.Resampling.NEAREST)
    truth = np.asarray(mask)[visible]
    return float(roc_auc_score(truth, levels[visible])) if 0 < truth.sum() < truth.size else float("nan")


def curves(detector: Detector, pixels: np.ndarray, *, steps: int = 8, rng: np.random.Generator) -> dict[str, float]:
    """Deletion and insertion on the whole picture's view, against random order.

    Cells are blurred out (or shown) from the strongest evidence for the verdict down. Mean logit along the way, for the
    verdict's own side: larger is more of it.
    """
    detection = detector.predict(pixels)
    view = next(v for v in detection.views if v.kind == "whole")
    left, top, right, bottom = (round(v) for v in view.box)
    square = np.asarray(Image.fromarray(pixels[top:bottom, left:right]).resize((224, 224), Image.Resampling.BICUBIC))
    side = 1.0 if view.causal.sum() + view.rest > 0 else -1.0
    orders = {"map": np.argsort(-side * view.causal.ravel()), "random": rng.permutation(view.causal.size)}
    g = len(view.causal)
    grey = np.asarray(Image.fromarray(square).filter(ImageFilter.GaussianBlur(12)))
    batch = []
    for order in orders.values():
        for insert in (False, True):
            for step in range(1, steps):
                cells = np.zeros(g * g, bool)
                cells[order[: step * g * g // steps]] = True
                shown = np.kron(cells.reshape(g, g) == insert, np.ones((224 // g, 224 // g), bool))[..., None]
                batch.append(np.where(shown, square, grey))
    logits = side * whole_logits(detector, np.stack(batch)).reshape(2, 2, -1).mean(-1)
    return {
        "deletion": logits[0, 0],
        "insertion": logits[0, 1],
        "deletion_random": logits[1, 0],
        "insertion_random": logits[1, 1],
    }


@torch.inference_mode()
def whole_logits(detector: Detector, squares: np.ndarray) -> np.ndarray:
    """uint8 [B, 224, 224, 3] -> raw logits [B] of the head for whole pictures."""
    from causalclip.embedding import embed, needs

    pixels: Tensor = torch.from_numpy(squares).permute(0, 3, 1, 2).float() / 255
    parts = detector.config.parts
    trace = detector.tower(pixels, **needs(parts, detector.tower))
    return detector.heads["whole"](embed(trace, parts, detector.tower)).logit.numpy()


def run(detector: Detector, splices: list[Splice], *, compared: int = 60, curve_pictures: int = 40) -> dict[str, Any]:
    """Every measure; the slow comparisons and the curves on the first few splices."""
    random = randomised(detector)
    aucs: dict[str, list[float]] = {}
    for i, splice in enumerate(tqdm(splices, desc="splices")):
        detection = detector.predict(splice.pixels)
        maps = {w: picture_map(detection, w, side=SIDE) for w in ("causal", "non_causal")}
        visible = seen(detection, columns=maps["causal"].shape[1], rows=maps["causal"].shape[0])
        if i < compared:
            maps["randomised weights"] = picture_map(random.predict(splice.pixels), side=SIDE)
            maps["gradient x input"] = gradient_times_input(detector, splice.pixels, side=SIDE)
            maps["attention rollout"] = attention_rollout(detector, splice.pixels, side=SIDE)
        for name, levels in maps.items():
            aucs.setdefault(name, []).append(map_auc(levels, splice, visible))
    rng = np.random.default_rng(0)
    walked = [curves(detector, s.pixels, rng=rng) for s in tqdm(splices[:curve_pictures], desc="curves")]
    report: dict[str, Any] = {"splices": len(splices), "curve_pictures": len(walked)}
    report["auc"] = {
        n: {"mean": float(np.nanmean(v)), "n": len(v), "share_above_half": float(np.mean(np.array(v) > 0.5))}
        for n, v in aucs.items()
    }
    report["curves"] = {name: float(np.mean([w[name] for w in walked])) for name in walked[0]}
    return report
