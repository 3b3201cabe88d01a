"""Fits the gate: what attacked pictures look like to the first network, beside clean ones.

Clean are the pairs' clean ends, and files as they are (with their own compression, which the pairs' rescaling wipes
out); attacked are the pairs' last states from LEAST on. The threshold is set on pictures that the regression has not
seen.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from purifier.gate import Gate, statistics
from purifier.pipeline import PurifierPipeline
from purifier.train.loop import pair_files
from purifier.train.pairs import Source, load_pairs

LEAST = 2.5  # budget in 1/255: weaker attacks are not asked of it
FILES = 440  # clean ones, as they are
FALSE_ALARMS = 0.01
FOLDS = 8


def fit_gate(
    pipeline: PurifierPipeline, pairs: Path, sources: Sequence[Source], *, seed: int = 0
) -> tuple[Gate, dict[str, float]]:
    """The gate for a pipeline's first network.

    Returns:
        The gate, and how it does on pictures held out from the regression: `clean`, `attacked`: the shares that are
        purified (by the threshold that was set on them).
    """
    found, attacked, groups = _measure(pipeline, pairs, sources, seed)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = GroupKFold(FOLDS)
    held = cross_val_predict(model, found, attacked, groups=groups, cv=folds, method="decision_function")
    threshold = float(np.quantile(held[~attacked], 1 - FALSE_ALARMS))
    scaler, regression = (step for _, step in model.fit(found, attacked).steps)
    gate = Gate(
        mean=_plain(scaler.mean_),
        deviation=_plain(scaler.scale_),
        weight=_plain(regression.coef_[0]),
        bias=round(float(regression.intercept_[0]) - threshold, 5),
        false_alarms=FALSE_ALARMS,
    )
    shares = {
        "clean": float((held[~attacked] > threshold).mean()),
        "attacked": float((held[attacked] > threshold).mean()),
    }
    return gate, shares


@torch.no_grad()
def _measure(
    pipeline: PurifierPipeline, pairs: Path, sources: Sequence[Source], seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Statistics [N, STATISTICS], whether attacked [N], and groups [N] that must not be split."""
    rows: list[Tensor] = []
    attacked: list[bool] = []
    groups: list[str] = []

    def add(pixels: Tensor, *, is_attacked: bool, group: str) -> None:
        rows.append(statistics(pixels, pixels - pipeline.without_perturbation(pixels)))
        attacked.extend([is_attacked] * len(pixels))
        groups.extend([group] * len(pixels))

    for path in pair_files(pairs):
        batch = load_pairs(path)
        add(batch.clean.float() / 255, is_attacked=False, group=path.name)
        if batch.eps >= LEAST:
            add(batch.moved[-1].float() / 255, is_attacked=True, group=path.name)
    for source in random.Random(seed).sample(list(sources), min(FILES, len(sources))):
        with Image.open(source.path) as file:
            pixels = torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1)[None].float() / 255
        add(pixels, is_attacked=False, group=source.path.name)
    return torch.cat(rows).numpy(), np.array(attacked), np.array(groups)


def _plain(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(v), 5) for v in values)
