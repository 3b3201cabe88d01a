"""CLIP's features of several augmented views of every picture, computed once and kept on disk for training."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from causalclip.clip.tower import Tower
from purifier.vlm.features import (
    GRID,
    LAYERS,
    VIEWS,
    clip_features,
    plan_views,
    read_pixels,
    render_view,
)


@dataclass(frozen=True, slots=True)
class FeatureCache:
    """Features of every view of every picture, float16 on disk.

    patches: [pictures, views, 49, layers * W]; embeddings: [pictures, views, E]; row: picture's name -> its row.
    """

    patches: np.ndarray
    embeddings: np.ndarray
    row: dict[str, int]

    @classmethod
    def build(
        cls,
        tower: Tower,
        root: Path,
        names: Sequence[str],
        folder: Path,
        *,
        views: int = VIEWS,
        layers: Sequence[int] = LAYERS,
        batch: int = 24,
    ) -> "FeatureCache":
        """Computes what is missing; a run that was stopped goes on where it was.

        Args:
            root: the folder that `names` (picture files) are relative to.
            folder: of the cache, made if needed; a folder in it is named by a key of names and layers.
            views: how many of the planned VIEWS are needed; more may be computed later.
        """
        key = hashlib.sha256(json.dumps([list(names), VIEWS, layers, GRID, str(tower.dtype)]).encode()).hexdigest()[:12]
        folder = folder / key
        folder.mkdir(parents=True, exist_ok=True)
        width, embedding = tower.width * len(layers), int(tower.visual.proj.shape[1])
        patches = _open(folder / "patches.npy", (len(names), VIEWS, GRID * GRID, width), np.float16)
        embeddings = _open(folder / "embeddings.npy", (len(names), VIEWS, embedding), np.float16)
        done = _open(folder / "done.npy", (len(names), VIEWS), np.bool_)
        for view in range(views):  # the whole pictures first
            todo = np.flatnonzero(~done[:, view])
            for start in range(0, len(todo), batch):
                rows = todo[start : start + batch]
                plans = [plan_views(names[i])[view] for i in rows]
                shots = [render_view(read_pixels(root / names[i]), p) for i, p in zip(rows, plans, strict=True)]
                with torch.inference_mode():
                    tokens, vectors = clip_features(tower, torch.stack(shots), layers=layers)
                patches[rows, view], embeddings[rows, view] = tokens.half().numpy(), vectors.half().numpy()
                done[rows, view] = True
        return cls(patches, embeddings, {name: i for i, name in enumerate(names)})

    def take(self, picks: Sequence[tuple[str, int]]) -> tuple[Tensor, Tensor]:
        """(picture's name, view) each -> patches [N, 49, layers * W] and embeddings [N, E], float32."""
        rows, views = [self.row[name] for name, _ in picks], [view for _, view in picks]
        patches, embeddings = self.patches[rows, views], self.embeddings[rows, views]
        return torch.from_numpy(patches).float(), torch.from_numpy(embeddings).float()


def _open(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    mode = "r+" if path.is_file() else "w+"
    return np.lib.format.open_memmap(path, mode=mode, dtype=dtype, shape=shape)  # type: ignore[no-untyped-call]
