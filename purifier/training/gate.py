"""Fits the gate: what attacked pictures look like to the purifier's network, beside clean ones.

Its pairs are its own, of more kinds of attack than the network learns from, which learns what to take away, not when.
Clean are the pairs' clean ends, and many more files in all the ways in which clean pictures come (CAME), as a picture
that is wrongly taken for attacked loses its detail; attacked are the pairs' last states from LEAST on. The threshold is
set on pictures that the network behind it has not seen. So is that of what CLIP is asked where the gate is in doubt.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.special import logit
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from causalclip.pictures.delivery import KERNELS, random_delivery, rescale
from purifier.denoiser.doubt import SLOPE, Doubt
from purifier.denoiser.gate import Gate, statistics
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.pixels import to_tensor
from purifier.training.loop import pair_files
from purifier.training.pairs import Source, load_pairs

LEAST = 2.5  # budget in 1/255: weaker attacks are not asked of it
FILES = 2400  # clean ones
FALSE_ALARMS = 0.01
FOLDS = 8
UNITS = 16  # of the hidden layer
DECAY = 0.1  # L2 penalty
CLEAN = "clean"
LOW, HIGH = -3.0, 2.0  # log-odds of the gate, between which it asks CLIP


def _smaller(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Without compression, and sharp: as cameras and programs that scale pictures leave them."""
    return rescale(picture, float(rng.uniform(0.45, 0.95)), KERNELS[rng.integers(len(KERNELS))])


def _grainy(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """With a sensor's noise, stronger where it is bright, and a little blurred; more of it would hide an attack."""
    values = np.asarray(picture, dtype=np.float32)
    noise = rng.normal(size=values.shape).astype(np.float32) * rng.uniform(0.3, 1.5) * np.sqrt(values / 255 + 0.1)
    noise = gaussian_filter(noise, (*[rng.uniform(0, 0.7)] * 2, rng.uniform(0, 0.5)))
    return Image.fromarray((values + noise).round().clip(0, 255).astype(np.uint8))


CAME: tuple[Callable[[Image.Image, np.random.Generator], Image.Image], ...] = (
    lambda picture, _: picture,
    _smaller,
    random_delivery,
    lambda picture, rng: _grainy(_smaller(picture, rng), rng),
)


def fit_gate(
    pipeline: PurifierPipeline, pairs: Sequence[Path], sources: Sequence[Source], *, seed: int = 0
) -> tuple[Gate, dict[str, float]]:
    """The gate for a pipeline's network.

    Returns:
        The gate, and for how many held-out pictures it opens (at the threshold that was set on
        them): the shares of `clean` ones, of all `attacked` ones, and of those of each attack.
    """
    found, kinds, groups = _measure(pipeline, pairs, sources, seed)
    attacked = kinds != CLEAN
    model = make_pipeline(StandardScaler(), MLPClassifier((UNITS,), alpha=DECAY, max_iter=2000))
    model.set_params(mlpclassifier__random_state=seed)
    folds = GroupKFold(FOLDS)
    shares = cross_val_predict(model, found, attacked, groups=groups, cv=folds, method="predict_proba")[:, 1]
    held = logit(shares.astype(np.float64).clip(1e-9, 1 - 1e-9))
    threshold = float(np.quantile(held[~attacked], 1 - FALSE_ALARMS))
    scaler, network = (step for _, step in model.fit(found, attacked).steps)
    (first, last), (shift, (bias,)) = network.coefs_, network.intercepts_
    gate = Gate(
        mean=_plain(scaler.mean_),
        deviation=_plain(scaler.scale_),
        hidden=tuple(map(_plain, np.column_stack([first.T, shift]))),
        weight=_plain([*last[:, 0], bias - threshold]),
        false_alarms=FALSE_ALARMS,
    )
    opens = held > threshold
    shares = {CLEAN: float(opens[~attacked].mean()), "attacked": float(opens[attacked].mean())}
    return gate, shares | {str(kind): float(opens[kinds == kind].mean()) for kind in np.unique(kinds[attacked])}


@torch.no_grad()
def _measure(
    pipeline: PurifierPipeline, pairs: Sequence[Path], sources: Sequence[Source], seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Statistics [N, STATISTICS], the attack or CLEAN [N], and groups [N] that must not be split."""
    rows: list[Tensor] = []
    kinds: list[str] = []
    groups: list[str] = []

    def add(pixels: Tensor, *, kind: str, group: str) -> None:
        rows.append(statistics(*pipeline.look(pixels)))
        kinds.extend([kind] * len(pixels))
        groups.extend([group] * len(pixels))

    for path in (path for folder in pairs for path in pair_files(folder)):
        batch, group = load_pairs(path), f"{path.parent.name}/{path.name}"
        add(batch.clean.float() / 255, kind=CLEAN, group=group)
        if batch.eps >= LEAST:
            add(batch.moved[-1].float() / 255, kind=batch.attack, group=group)
    for source, pixels in _as_they_come(_shuffled(sources, seed)[:FILES], seed):
        add(pixels, kind=CLEAN, group=source.path.name)
    return torch.cat(rows).numpy(), np.array(kinds), np.array(groups)


def fit_doubt(
    pipeline: PurifierPipeline, sources: Sequence[Source], *, seed: int = 0
) -> tuple[Doubt, dict[str, float]]:
    """Where the gate of a pipeline leaves it to CLIP, and from which distance on: the least at which FALSE_ALARMS of
    the clean pictures are purified that the gate was not fitted to (all of them, where there are too few).

    Returns:
        The Doubt, and of the clean pictures: how many there were, `files`, and which shares of them were in `doubt`,
        purified by the gate `alone`, and by `both`.
    """
    doubt = Doubt(low=LOW, high=HIGH, distance=0.0)
    order = _shuffled(sources, seed)
    odds, moved = [], []
    for _, pixels in _as_they_come(order[FILES:] or order, seed):
        with torch.no_grad():
            found, purified = pipeline.doubts(pixels)
            odds.append(found.item())
            moved.append(doubt(found, pixels, purified).item() / SLOPE if LOW < odds[-1] < HIGH else 0.0)
    said, distance = np.array(odds), np.array(moved)
    asked = (said > LOW) & (said < HIGH)
    touched = lambda d: float(((said >= HIGH) | (asked & (distance > d))).mean())  # noqa: E731
    chosen = next((d for d in [0.0, *sorted(distance[asked])] if touched(d) <= FALSE_ALARMS), 1.0)
    shares = {"doubt": float(asked.mean()), "alone": float((said > 0).mean()), "both": touched(chosen)}
    return replace(doubt, distance=round(float(chosen) + 0.0005, 3)), {"files": len(said)} | shares


def _shuffled(sources: Sequence[Source], seed: int) -> list[Source]:
    return random.Random(seed).sample(list(sources), len(sources))


def _as_they_come(sources: Iterable[Source], seed: int) -> Iterator[tuple[Source, Tensor]]:
    """Clean pictures, [1, 3, H, W] each, in the ways of CAME by turns."""
    rng = np.random.default_rng(seed)
    for i, source in enumerate(sources):
        with Image.open(source.path) as file:
            picture = file.convert("RGB")
        yield source, to_tensor(np.array(CAME[i % len(CAME)](picture, rng)))


def _plain(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(v), 5) for v in values)
