"""Are the maps right? Photographs with a generated region pasted in by a seed, and the maps against the known mask.

Reported: the mean AUC of the causal map against the mask (and of the non-causal map, gradient x input, attention
rollout, a detector with randomised weights, and a map that is bright in the middle), as the app draws them, smooth; the
same where a photograph was pasted; and deletion and insertion curves of single patches against random order.
"""

import copy
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter
from sklearn.metrics import roc_auc_score
from torch import Tensor
from tqdm import tqdm

from benchmarks.common import Options, test_records
from causalclip.clip.attributions import embed, needs
from causalclip.clip.tower import Tower, Trace
from causalclip.clip.views import View, plan_views, render
from causalclip.detector import Detection, Detector
from causalclip.maps.heatmap import blur, canvas_size, picture_map, seen
from causalclip.training.data import Record


@dataclass(frozen=True, slots=True)
class Splice:
    """pixels: uint8 [H, W, 3], re-encoded once after pasting. mask: bool [H, W], what was pasted."""

    pixels: np.ndarray
    mask: np.ndarray


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


def _lay(grids: Tensor, views: list[View], width: int, height: int, side: int) -> np.ndarray:
    """[V, g, g] of densities -> [rows, columns]: each view's grid at its box, overlaps added."""
    columns, rows = canvas_size(width, height, side=side)
    canvas = np.zeros((rows, columns), np.float32)
    for grid, view in zip(grids, views, strict=True):
        left, top, right, bottom = (round(v * columns / width) for v in view.box)
        if right > left and bottom > top:
            laid = F.interpolate(grid[None, None], (bottom - top, right - left), mode="nearest")[0, 0].numpy()
            canvas[top:bottom, left:right] += laid[: rows - top, : columns - left]
    return canvas


def _views(detector: Detector, pixels: np.ndarray) -> tuple[list[View], Tensor]:
    size = detector.differentiable.image_size
    views = plan_views(pixels.shape[1], pixels.shape[0], size=size, windows=detector.config.windows)
    return views, render(pixels, views, size=size)


def gradient_times_input(detector: Detector, pixels: np.ndarray, *, side: int) -> np.ndarray:
    """d logit / d pixel x pixel, summed over colours and patches."""
    views, x = _views(detector, pixels)
    x.requires_grad_()
    parts = detector.config.parts
    E = embed(detector.differentiable(x, **needs(parts, detector.differentiable)), parts, detector.differentiable)
    weight = detector.view_weights(views)
    logit = torch.stack(
        [w * detector.heads[v.kind](E[i : i + 1]).logit[0] for i, (v, w) in enumerate(zip(views, weight, strict=True))]
    ).sum()
    (gradient,) = torch.autograd.grad(logit, x)
    product = (gradient * x.detach()).sum(1, keepdim=True)
    patch = x.shape[-1] // detector.differentiable.grid
    return _lay(F.avg_pool2d(product, patch)[:, 0], views, pixels.shape[1], pixels.shape[0], side)


class _Recorder(Tower):
    """A tower that keeps each layer's attention, averaged over heads: [B, T, T]."""

    def _layer(self, block: Any, x: Tensor, trace: Trace | None, **options: Any) -> Tensor:
        B, T, D = x.shape
        H = block.attn.num_heads
        qkv = F.linear(block.ln_1(x).to(self.dtype), block.attn.in_proj_weight, block.attn.in_proj_bias)
        q, k, _ = qkv.view(B, T, 3, H, D // H).permute(2, 0, 3, 1, 4).float()
        self.__dict__["attention"].append((q @ k.transpose(-1, -2) / (D // H) ** 0.5).softmax(-1).mean(1))
        return super()._layer(block, x, trace, **options)


@torch.inference_mode()
def attention_rollout(detector: Detector, pixels: np.ndarray, *, side: int) -> np.ndarray:
    """Attention followed through the layers (Abnar and Zuidema, ACL 2020): what the CLS token sees of each patch."""
    views, x = _views(detector, pixels)
    tower: Any = copy.copy(detector.differentiable)
    tower.__class__ = _Recorder
    object.__setattr__(tower, "attention", [])
    tower(x, **needs(detector.config.parts, detector.differentiable))
    kept: list[Tensor] = tower.attention
    rolled = torch.eye(kept[0].shape[-1]).expand(len(views), -1, -1)
    for attention in kept:
        mixed = (attention + torch.eye(attention.shape[-1])) / 2
        rolled = mixed @ rolled
    g = detector.differentiable.grid
    return _lay(rolled[:, 0, 1:].reshape(-1, g, g), views, pixels.shape[1], pixels.shape[0], side)


def randomised(detector: Detector, *, seed: int = 0) -> Detector:
    """The same detector with its heads' weights shuffled: a map that says as much as ours says nothing."""
    g = torch.Generator().manual_seed(seed)
    heads = copy.deepcopy(detector.heads)
    for head in heads.values():
        weight = head.verdict.weight.data
        head.verdict.weight.data = weight[:, torch.randperm(weight.shape[1], generator=g)]
    return Detector(detector.differentiable, heads, detector.config, name="randomised")


COUNT, COMPARED = 200, 60
SIDE = 128  # cells on the long side of the compared maps


def make_splices(
    records: list[Record], root: Path, *, count: int, seed: int = 0, host: int = 0, guest: int = 1
) -> list[Splice]:
    """`count` splices of the split's photographs (no art) and generated pictures, drawn by the seed.

    host, guest: 1 for a generated picture, 0 for a photograph.
    """
    rng = np.random.default_rng(seed)
    pools = [r for r in records if is_photograph(r)], [r for r in records if r.label]
    opened: Callable[[Record], Image.Image] = lambda r: Image.open(root / r.path).convert("RGB")  # noqa: E731
    pick = lambda rows: rows[int(rng.integers(len(rows)))]  # noqa: E731
    return [make_splice(opened(pick(pools[host])), opened(pick(pools[guest])), rng) for _ in range(count)]


def map_auc(levels: np.ndarray, splice: Splice, inside: np.ndarray) -> float:
    """AUC of a map [rows, columns] against the mask, over the cells that were seen."""
    mask = Image.fromarray(splice.mask).resize(levels.shape[::-1], Image.Resampling.NEAREST)
    truth = np.asarray(mask)[inside]
    return float(roc_auc_score(truth, levels[inside])) if 0 < truth.sum() < truth.size else float("nan")


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
    from causalclip.clip.attributions import embed, needs

    pixels: Tensor = torch.from_numpy(squares).permute(0, 3, 1, 2).float() / 255
    parts = detector.config.parts
    trace = detector.tower(pixels, **needs(parts, detector.tower))
    return detector.heads["whole"](embed(trace, parts, detector.tower)).logit.numpy()


def measure(options: Options) -> dict[str, Any]:
    """Every measure on COUNT splices; the slow comparisons, the controls and the curves on fewer."""
    detector, records = Detector.from_pretrained(options.model), test_records(options)
    found = run(detector, records, options.forensics, count=options.pictures or COUNT, compared=COMPARED)
    return {"data": "forensics, test split"} | found


def run(detector: Detector, records: list[Record], root: Path, *, count: int, compared: int) -> dict[str, Any]:
    """The same on any records; `compared`: how many splices the slow comparisons see."""
    splices, random = make_splices(records, root, count=count), randomised(detector)
    aucs: dict[str, list[float]] = {}
    for i, splice in enumerate(tqdm(splices, desc="splices")):
        detection = detector.predict(splice.pixels)
        maps = fast_maps(detection)
        if i < compared:
            maps |= slow_maps(detector, random, splice.pixels)
        for name, levels in maps.items():
            aucs.setdefault(name, []).append(map_auc(levels, splice, visible(detection, levels)))
    rng = np.random.default_rng(0)
    walked = [curves(detector, s.pixels, rng=rng) for s in tqdm(splices[: compared * 2 // 3], desc="curves")]
    return {
        "splices": len(splices),
        "curve_pictures": len(walked),
        "auc": {n: summary(v) for n, v in aucs.items()},
        "controls": controls(detector, records, root, count=compared),
        "curves": {name: float(np.mean([w[name] for w in walked])) for name in walked[0]},
    }


def fast_maps(detection: Detection) -> dict[str, np.ndarray]:
    """The detection's own maps, and one that knows nothing of the picture: [rows, columns] each."""
    maps = {w: picture_map(detection, w, side=SIDE, smooth=True) for w in ("causal", "non_causal")}
    maps["causal, patch by patch"] = picture_map(detection, side=SIDE)
    return maps | {"bright in the middle, whatever is there": middle(*maps["causal"].shape)}


def slow_maps(detector: Detector, random: Detector, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Other maps of the same picture, and the causal one of a detector with randomised weights."""
    return {
        "randomised weights": picture_map(random.predict(pixels), side=SIDE, smooth=True),
        "gradient x input": blur(gradient_times_input(detector, pixels, side=SIDE)),
        "attention rollout": blur(attention_rollout(detector, pixels, side=SIDE)),
    }


def visible(detection: Detection, levels: np.ndarray) -> np.ndarray:
    """Which cells of a map the detector has seen: bool [rows, columns]."""
    return seen(detection, columns=levels.shape[1], rows=levels.shape[0])


def controls(detector: Detector, records: list[Record], root: Path, *, count: int) -> dict[str, Any]:
    """The causal map where something else was pasted: it is to show what was generated, not what was pasted."""
    report = {}
    for name, host in (("a photograph pasted into a photograph", 0), ("a photograph pasted into a generated one", 1)):
        values = []
        for splice in tqdm(make_splices(records, root, count=count, seed=1, host=host, guest=0), desc=name):
            detection = detector.predict(splice.pixels)
            levels = picture_map(detection, side=SIDE, smooth=True)
            values.append(map_auc(levels, splice, visible(detection, levels)))
        report[name] = summary(values)
    return report


def middle(rows: int, columns: int) -> np.ndarray:
    """A map that knows nothing but that pasted regions rarely touch the edge: [rows, columns]."""
    y, x = np.linspace(-1, 1, rows)[:, None], np.linspace(-1, 1, columns)
    return -(x**2 + y**2)


def summary(values: list[float]) -> dict[str, float]:
    return {
        "mean": float(np.nanmean(values)),
        "n": len(values),
        "share_above_half": float(np.mean(np.array(values) > 0.5)),
    }
