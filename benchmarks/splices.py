"""Are the maps right? Photographs with a generated region pasted in by a seed, and the maps against
the known mask.

Reported: the mean AUC of the causal map against the mask (and of the non-causal map, of a detector
with randomised weights, and of a map that is bright in the middle), as the app draws them, smooth;
and the same where a photograph was pasted.
"""

import copy
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from benchmarks.common import Options, test_records
from causalclip.detection import Detection
from causalclip.detector import Detector
from causalclip.maps.attribution import covered_cells, picture_map
from training.detector.data import Record

COUNT, COMPARED = 200, 60  # splices, and how many of them the controls see
SIDE = 128  # cells on the long side of the compared maps


@dataclass(frozen=True, slots=True)
class Splice:
    """pixels: uint8 [H, W, 3], re-encoded once after pasting. mask: bool [H, W], what was
    pasted."""

    pixels: np.ndarray
    mask: np.ndarray


def measure(options: Options) -> dict[str, Any]:
    detector, records, root = (
        Detector.from_pretrained(options.model),
        test_records(options),
        options.forensics,
    )
    splices = _make_splices(records, root, count=options.pictures or COUNT)
    random, aucs = randomised(detector), dict[str, list[float]]()
    for i, splice in enumerate(tqdm(splices, desc="splices")):
        for name, value in _map_aucs(detector, random if i < COMPARED else None, splice).items():
            aucs.setdefault(name, []).append(value)
    return {
        "data": "forensics, test split",
        "splices": len(splices),
        "auc": {n: summary(v) for n, v in aucs.items()},
        "controls": controls(detector, records, root, count=COMPARED),
    }


def _map_aucs(detector: Detector, random: Detector | None, splice: Splice) -> dict[str, float]:
    """AUC of each map against the mask: the detection's own, one that knows nothing of the picture,
    and the causal one of a detector with randomised weights."""
    detection = detector.predict(splice.pixels)
    maps = {w: picture_map(detection, w, side=SIDE, smooth=True) for w in ("causal", "non_causal")}
    maps["causal, patch by patch"] = picture_map(detection, side=SIDE)
    maps["bright in the middle, whatever is there"] = middle(*maps["causal"].shape)
    if random is not None:
        maps["randomised weights"] = picture_map(
            random.predict(splice.pixels), side=SIDE, smooth=True
        )
    return {
        name: _map_auc(levels, splice, visible(detection, levels)) for name, levels in maps.items()
    }


def randomised(detector: Detector) -> Detector:
    """The same detector with its heads' weights shuffled: a map that says as much as ours says
    nothing."""
    g = torch.Generator().manual_seed(0)
    heads = copy.deepcopy(detector.heads)
    for head in heads.values():
        weight = head.verdict.weight.data
        head.verdict.weight.data = weight[:, torch.randperm(weight.shape[1], generator=g)]
    return Detector(detector.differentiable, heads, detector.config, name="randomised")


def region(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """A rectangle, an ellipse or a polygon of a tenth to four tenths of the picture: bool [H,
    W]."""
    while True:
        canvas = Image.new("L", (width, height))
        draw = ImageDraw.Draw(canvas)
        w, h = rng.uniform(0.3, 0.75) * width, rng.uniform(0.3, 0.75) * height
        x, y = rng.uniform(0, 1) * (width - w), rng.uniform(0, 1) * (height - h)
        shape = rng.integers(3)
        if shape == 0:
            draw.rectangle((x, y, x + w, y + h), fill=255)
        elif shape == 1:
            draw.ellipse((x, y, x + w, y + h), fill=255)
        else:
            angles, radii = np.sort(rng.uniform(0, 2 * np.pi, 8)), rng.uniform(0.6, 1, 8)
            corners = zip(angles, radii, strict=True)
            draw.polygon(
                [
                    (x + w / 2 * (1 + r * np.cos(a)), y + h / 2 * (1 + r * np.sin(a)))
                    for a, r in corners
                ],
                255,
            )
        mask = np.asarray(canvas) > 127
        if 0.1 <= mask.mean() <= 0.4:
            return mask


def _make_splice(host: Image.Image, guest: Image.Image, rng: np.random.Generator) -> Splice:
    """The region of `guest`, scaled to cover the host, pasted with a soft edge, then JPEG 85 to
    95."""
    scale = max(host.width / guest.width, host.height / guest.height)
    size = (
        max(host.width, round(guest.width * scale)),
        max(host.height, round(guest.height * scale)),
    )
    cover = guest.resize(size, Image.Resampling.LANCZOS).crop((0, 0, host.width, host.height))
    mask = region(host.width, host.height, rng)
    soft = Image.fromarray((mask * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    buffer = io.BytesIO()
    Image.composite(cover, host, soft).save(buffer, "JPEG", quality=int(rng.integers(85, 96)))
    return Splice(np.asarray(Image.open(buffer).convert("RGB")), mask)


def _make_splices(
    records: list[Record], root: Path, *, count: int, seed: int = 0, host: int = 0, guest: int = 1
) -> list[Splice]:
    """Yield `count` splices of the split's photographs (no art) and generated pictures, drawn by
    the seed.

    host, guest: 1 for a generated picture, 0 for a photograph.
    """
    rng = np.random.default_rng(seed)
    pools = (
        [r for r in records if not r.label and "art" not in r.source],
        [r for r in records if r.label],
    )
    read_image: Callable[[Record], Image.Image] = lambda r: Image.open(root / r.path).convert("RGB")  # noqa: E731
    pick = lambda rows: rows[int(rng.integers(len(rows)))]  # noqa: E731
    return [
        _make_splice(read_image(pick(pools[host])), read_image(pick(pools[guest])), rng)
        for _ in range(count)
    ]


def _map_auc(levels: np.ndarray, splice: Splice, inside: np.ndarray) -> float:
    """AUC of a map [rows, columns] against the mask, over the cells that were seen."""
    mask = Image.fromarray(splice.mask).resize(levels.shape[::-1], Image.Resampling.NEAREST)
    truth = np.asarray(mask)[inside]
    return (
        float(roc_auc_score(truth, levels[inside]))
        if 0 < truth.sum() < truth.size
        else float("nan")
    )


def visible(detection: Detection, levels: np.ndarray) -> np.ndarray:
    """Return which cells of a map the detector has seen: bool [rows, columns]."""
    return covered_cells(detection, columns=levels.shape[1], rows=levels.shape[0])


def controls(
    detector: Detector, records: list[Record], root: Path, *, count: int
) -> dict[str, Any]:
    """The causal map where something else was pasted: it is to show what was generated, not what
    was pasted."""
    report = {}
    for name, host in (
        ("a photograph pasted into a photograph", 0),
        ("a photograph pasted into a generated one", 1),
    ):
        values = []
        for splice in tqdm(
            _make_splices(records, root, count=count, seed=1, host=host, guest=0), desc=name
        ):
            detection = detector.predict(splice.pixels)
            levels = picture_map(detection, side=SIDE, smooth=True)
            values.append(_map_auc(levels, splice, visible(detection, levels)))
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
