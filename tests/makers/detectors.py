"""A small random detector for tests: fast, meaningless, and exact."""

import csv
import dataclasses
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from causalclip.calibration import Calibration
from causalclip.clip.backbones import empty_visual
from causalclip.clip.embedding import part_widths
from causalclip.clip.tower import Tower
from causalclip.clip.views import ViewType
from causalclip.clip.weights import INT8, SCALE, quantize, save_shards
from causalclip.detector import Detector, DetectorConfig
from causalclip.image_type import ImageTypeClassifier
from causalclip.method import CausalHead
from causalclip.reference import Profile

PARTS = ("cls:1", "patch:2", "embedding")


def tiny_detector(*, seed: int = 0, hidden: int = 8) -> Detector:
    """Views of 32 px, 4 x 4 patches each; its masks lie well inside (0, 1). hidden: 0 gives all
    pictures one mask."""
    torch.manual_seed(seed)
    tower = tiny_tower()
    kinds: tuple[ViewType, ...] = ("whole", "window")
    heads = {kind: CausalHead(sum(part_widths(PARTS, tower)), hidden=hidden) for kind in kinds}
    for head in heads.values():
        torch.nn.init.normal_(head.verdict.weight, std=0.2)
        assert head.mask is not None
        for weight in head.mask.parameters():
            torch.nn.init.normal_(weight, std=0.3)
    calibration = Calibration(offset=0.1, low=0.3, high=0.7)
    config = DetectorConfig(
        "tiny", PARTS, {"whole": 0.5, "window": 0.5}, 4, calibration, hidden=hidden, revision="test"
    )
    return Detector(tower, heads, config, name="tiny")


def refusing_detector(kind: str = "page", *, threshold: float = 0.5) -> Detector:
    """One that takes every picture for that kind; for a photograph from a threshold of 1 on."""
    detector = tiny_detector()
    types = ImageTypeClassifier(detector.heads["whole"].shift.shape[0])
    with torch.no_grad():
        types.scores.weight.zero_()
        types.scores.bias.copy_(torch.tensor([1.0, 1.0 if kind == "page" else -1.0]))
    types.threshold.fill_(threshold)
    detector.image_types = types
    return detector


def saved_detector(folder: Path) -> Detector:
    """The same over a tower in folder / "tower", written to folder / "model"."""
    tiny = tiny_detector()
    config = dataclasses.replace(tiny.config, backbone=write_tower(folder / "tower"))
    detector = Detector(tiny.tower, tiny.heads, config, name="model")
    detector.save_pretrained(folder / "model")
    return detector


def saved_heads(folder: Path) -> dict[str, str]:
    """Two detectors over one tower, as causalclip.paths.HEADS names them: a mask for each picture,
    and one for all."""
    backbone, names = (
        write_tower(folder / "tower"),
        {"linear": "detector-linear", "causal": "detector-causal"},
    )
    for head, hidden in (("linear", 0), ("causal", 8)):
        tiny = tiny_detector(hidden=hidden)
        detector = Detector(
            tiny.tower, tiny.heads, dataclasses.replace(tiny.config, backbone=backbone)
        )
        detector.save_pretrained(folder / names[head])
    return {head: str(folder / name) for head, name in names.items()}


class BlockedDetector:
    """One that answers nothing before `let` is set, however slow the machine is.

    Its scores tell pictures of other widths apart: 0.10 for 310 px, 0.20 for 320 px.
    """

    def __init__(self) -> None:
        self._detector = tiny_detector()
        self.let, self.begun, self.ended = threading.Event(), threading.Event(), threading.Event()

    def predict(self, pixels: Any) -> Any:
        self.begun.set()
        self.let.wait(300)
        return self.judged(pixels)

    def judged(self, pixels: Any) -> Any:
        found = dataclasses.replace(
            self._detector.predict(pixels), probability=(pixels.shape[1] - 300) / 100
        )
        self.ended.set()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._detector, name)


def tiny_profile(scores: tuple[float, ...] = (), at_most: float | None = 0.05) -> Profile:
    """Of an archive that tiny_detector judged; by itself of 200 photographs whose scores go from
    0.9 to 0."""
    scores = scores or tuple(np.linspace(0.9, 0.0, 200))
    return Profile(
        model="tiny",
        revision="test",
        runtime="float32",
        made="2026-01-01T00:00:00+00:00",
        scores=scores,
        counted=scores,
        at_most=at_most,
        cameras={"Nikon Z 6": 198, "": 2},
        formats={"JPEG": 200},
        kinds={"dark": 3},
        sides=(900.0, 6000.0),
    )


MATRICES = "in_proj_weight", "out_proj.weight", "c_fc.weight", "c_proj.weight"
CONFIG: dict[str, Any] = {
    "embed_dim": 24,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 3, "width": 48, "head_width": 16, "patch_size": 8},
    "mean": [0.48, 0.46, 0.41],
    "std": [0.27, 0.26, 0.28],
}


def tiny_tower(
    *, dtype: torch.dtype = torch.float32, seed: int = 0, quick_gelu: bool = True, **options: Any
) -> Tower:
    """Random weights, 3 layers, 16 patches of 8 px; `options` change the vision config."""
    config = CONFIG | {"quick_gelu": quick_gelu, "vision_cfg": CONFIG["vision_cfg"] | options}
    visual = empty_visual(config)
    g = torch.Generator().manual_seed(seed)
    state = {
        name: torch.randn(t.shape, generator=g) * 0.15 for name, t in visual.state_dict().items()
    }
    for name in state:
        if name.endswith("weight") and "ln_" in name:
            state[name] += 1
    visual.load_state_dict(state, assign=True)
    return (
        Tower(visual, mean=config["mean"], std=config["std"], dtype=dtype)
        .eval()
        .requires_grad_(False)
    )


def write_tower(folder: Path, **options: Any) -> str:
    """Writes `tiny_tower` as a folder of config and shards, and returns the name that loads it;
    `options` change the vision config."""
    save_shards(tiny_tower(**options).visual.state_dict(), folder, metadata={"origin": "test"})
    config = CONFIG | {"vision_cfg": CONFIG["vision_cfg"] | options}
    (folder / "config.json").write_text(json.dumps(config))
    return f"local-dir:{folder}"


def views(count: int = 2, size: int = 32) -> torch.Tensor:
    """Random pixels for a tower: float [count, 3, size, size] in [0, 1]."""
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def write_int8_tower(folder: Path, **options: Any) -> str:
    """Writes `tiny_tower` as a folder with int8 matrices, and returns the name that loads it."""
    stored = {}
    for name, tensor in tiny_tower(**options).visual.state_dict().items():
        if name.endswith(MATRICES):
            stored[name + INT8], stored[name + SCALE] = quantize(tensor)
        else:
            stored[name] = tensor
    save_shards(stored, folder, metadata={"origin": "test"})
    own = {name: options.pop(name) for name in ("quick_gelu",) if name in options}
    config = CONFIG | own | {"vision_cfg": CONFIG["vision_cfg"] | options}
    (folder / "config.json").write_text(json.dumps(config))
    return f"local-dir:{folder}"


WORKSHOP_CONFIG = {
    "parts": ["cls:2", "patch:1"],
    "augmentations": ["light", "much"],
    "folds": 2,
    "revision": "of a test",
    "head": {"epochs": 8, "batch": 32, "hidden": 8, "rate": 0.01},
}


def gridded(label: int, seed: int, *, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Smooth for a real one; a generated one carries a grid of 2 px. size: width, height."""
    rng = np.random.default_rng(seed)
    width, height = size
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    smooth = sum(
        rng.uniform(30, 60) * np.sin(rng.uniform(1, 5) * x + rng.uniform(1, 5) * y + k)
        for k in range(3)
    )
    checks = np.arange(width)[None] // 2 + np.arange(height)[:, None] // 2
    grid = 50 * label * (checks % 2 - 0.5)
    return Image.fromarray((128 + smooth + grid).clip(0, 255).astype(np.uint8)).convert("RGB")


def workshop_folder(folder: Path) -> Path:
    """36 pictures to train on and 12 to test on, of four cameras and four generators."""
    (folder / "pictures").mkdir()
    rows = []
    for seed in range(48):
        label, split = seed % 2, "test" if seed >= 36 else "train"
        source = f"{('camera', 'generator')[label]}{seed // 2 % 4}"
        gridded(label, seed).save(folder / "pictures" / f"{seed}.png")
        rows.append(
            {
                "path": f"{seed}.png",
                "label": ("real", "fake")[label],
                "source": source,
                "split": split,
            }
            | {"set": "broad", "picture": str(seed), "family": source}
        )
    write_rows(folder, rows)
    (folder / "config.json").write_text(json.dumps(WORKSHOP_CONFIG))
    write_tower(folder / "tower")
    return folder


def read_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(folder: Path, rows: list[dict[str, str]]) -> Path:
    """Writes the folder's manifest.csv."""
    path = folder / "manifest.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def train_words(folder: Path) -> list[str]:
    """The arguments of `python -m causalclip` that train in the folder."""
    paths = {
        "manifest": "manifest.csv",
        "root": "pictures",
        "out": "model",
        "config": "config.json",
        "cache": "cache",
    }
    options = {name: str(folder / path) for name, path in paths.items()} | {
        "backbone": f"local-dir:{folder / 'tower'}"
    }
    return ["detector", *(word for name, value in options.items() for word in (f"--{name}", value))]
