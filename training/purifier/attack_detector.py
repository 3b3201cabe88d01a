"""Fits the attack detector: what attacked pictures look like to the purifier's network and to CLIP,
beside clean ones.

Its pairs are its own, of more kinds of attack than the network learns from, which learns what to
take away, not when. Clean are the pairs' clean ends, and many more files in all the ways in which
clean pictures come (CAME), as a picture that is wrongly taken for attacked loses its detail;
attacked are the pairs' last states from MIN_BUDGET on. Both ends are
shown three times: as they are, as a JPEG, since most pictures are JPEGs and an attack survives
that, and without colour. The threshold is set on pictures that the fitted network has not seen.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
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

from causalclip.images.reencoding import encode, rescale
from purifier.denoiser.attack_detector import AttackDetector
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.pixels import to_tensor
from training.detector.augmentation import KERNELS, random_augmentation
from training.purifier.pairs import Source, load_pairs, pair_files

MIN_BUDGET = 2.5  # budget in 1/255: weaker attacks are not asked of it
FILES = 2500  # clean ones
SAVED = (65, 95)  # quality of JPEG, from and to
FALSE_ALARMS = 0.005
FOLDS = 10
UNITS = 16  # of the hidden layer
DECAY = 1.0  # L2 penalty
EPOCHS = 2000  # at most
CLEAN = "clean"
AS_JPEG, COLOURLESS = ", as JPEG", ", without colour"


def _smaller(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Without compression, and sharp: as cameras and programs that scale pictures leave them."""
    return rescale(picture, float(rng.uniform(0.45, 0.95)), KERNELS[rng.integers(len(KERNELS))])


def _grainy(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """With a sensor's noise, stronger where it is bright, and a little blurred; more of it would
    hide an attack."""
    values = np.asarray(picture, dtype=np.float32)
    noise = (
        rng.normal(size=values.shape).astype(np.float32)
        * rng.uniform(0.3, 1.5)
        * np.sqrt(values / 255 + 0.1)
    )
    noise = gaussian_filter(noise, (*[rng.uniform(0, 0.7)] * 2, rng.uniform(0, 0.5)))
    return Image.fromarray((values + noise).round().clip(0, 255).astype(np.uint8))


def _grey(picture: Image.Image, _: np.random.Generator | None = None) -> Image.Image:
    return picture.convert("L").convert("RGB")


CAME: tuple[Callable[[Image.Image, np.random.Generator], Image.Image], ...] = (
    lambda picture, _: picture,
    _smaller,
    random_augmentation,
    lambda picture, rng: _grainy(_smaller(picture, rng), rng),
    _grey,
)


def fit_attack_detector(
    pipeline: PurifierPipeline, pairs: Sequence[Path], sources: Sequence[Source], *, seed: int = 0
) -> tuple[AttackDetector, dict[str, float], dict[str, float]]:
    """The attack detector for a pipeline's network.

    Returns:
        The detector; the shares of held-out pictures in which it finds an attack (at the threshold
        that was set on them): of `clean` ones, of all `attacked` ones, and of those of each attack;
        and the shares that `find_unseen` returns.
    """
    evidence = _measure(pipeline, pairs, sources, seed)
    return *fit_to(*evidence, seed=seed), find_unseen(*evidence, seed=seed)


def fit_to(
    evidence: np.ndarray, kinds: np.ndarray, groups: np.ndarray, *, seed: int
) -> tuple[AttackDetector, dict[str, float]]:
    """Fits an attack detector to what is known of pictures.

    Args:
        evidence: [N, D], of PurifierPipeline.evidence. kinds: the attack on each picture, or CLEAN,
            [N]. groups: [N]; pictures of one group are never split between learning and judging.

    Returns:
        The detector and its shares, as of fit_attack_detector.
    """
    attacked = kinds != CLEAN
    model = make_pipeline(StandardScaler(), MLPClassifier((UNITS,), alpha=DECAY, max_iter=EPOCHS))
    model.set_params(mlpclassifier__random_state=seed)
    folds = GroupKFold(FOLDS, shuffle=True, random_state=seed)
    shares = cross_val_predict(
        model, evidence, attacked, groups=groups, cv=folds, method="predict_proba"
    )[:, 1]
    held_out_logits = logit(shares.astype(np.float64).clip(1e-9, 1 - 1e-9))
    threshold = float(np.quantile(held_out_logits[~attacked], 1 - FALSE_ALARMS))
    scaler, network = (step for _, step in model.fit(evidence, attacked).steps)
    (first, last), (shift, (bias,)) = network.coefs_, network.intercepts_
    detector = AttackDetector(
        mean=_plain(scaler.mean_),
        deviation=_plain(scaler.scale_),
        hidden=tuple(map(_plain, np.column_stack([first.T, shift]))),
        weight=_plain([*last[:, 0], bias - threshold]),
        false_alarms=FALSE_ALARMS,
    )
    opens = held_out_logits > threshold
    shares = {CLEAN: float(opens[~attacked].mean()), "attacked": float(opens[attacked].mean())}
    return detector, shares | {
        str(kind): float(opens[kinds == kind].mean()) for kind in np.unique(kinds[attacked])
    }


def find_unseen(
    evidence: np.ndarray, kinds: np.ndarray, groups: np.ndarray, *, seed: int
) -> dict[str, float]:
    """Of each kind of attack, the share of pictures in which a detector finds one that learned from
    no attack of its family, however it is saved. Arguments: as of fit_to."""
    families = np.array([kind.removesuffix(AS_JPEG).removesuffix(COLOURLESS) for kind in kinds])
    shares: dict[str, float] = {}
    for family in np.unique(families[families != CLEAN]):
        learned = families != family
        detector, _ = fit_to(evidence[learned], kinds[learned], groups[learned], seed=seed)
        opens = (detector(torch.from_numpy(evidence).float()) > 0).numpy()
        shares |= {
            str(kind): float(opens[kinds == kind].mean()) for kind in np.unique(kinds[~learned])
        }
    return shares


@torch.no_grad()
def _measure(
    pipeline: PurifierPipeline, pairs: Sequence[Path], sources: Sequence[Source], seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the detector decides by [N, D], the attack or CLEAN [N], and groups [N] that must not be
    split."""
    rng = np.random.default_rng(seed)
    rows: list[Tensor] = []
    kinds: list[str] = []
    groups: list[str] = []

    def add(pixels: Tensor, *, kind: str, group: str) -> None:
        rows.append(pipeline.evidence(pixels.to(pipeline.unet.device)).cpu())
        kinds.extend([kind] * len(pixels))
        groups.extend([group] * len(pixels))

    for path in (path for folder in pairs for path in pair_files(folder)):
        batch, group = load_pairs(path), f"{path.parent.name}/{path.name}"
        # Square may find nothing
        adversarial = batch.adversarial[-1][
            (batch.adversarial[-1] != batch.clean).flatten(1).any(1)
        ]
        ends = {CLEAN: batch.clean} | (
            {batch.attack: adversarial} if batch.eps >= MIN_BUDGET and len(adversarial) else {}
        )
        quality = int(rng.integers(SAVED[0], SAVED[1] + 1))
        for kind, levels in ends.items():
            for how, pixels in _arrived(levels, quality).items():
                add(pixels, kind=kind if kind == CLEAN else kind + how, group=group)
    for source, pixels in _as_they_come(
        random.Random(seed).sample(list(sources), len(sources))[:FILES], seed
    ):
        add(pixels, kind=CLEAN, group=source.path.name)
    return torch.cat(rows).numpy(), np.array(kinds), np.array(groups)


def _arrived(levels: Tensor, quality: int) -> dict[str, Tensor]:
    """Pictures uint8 [N, 3, H, W] as they are, and as they may have come: float [N, 3, H, W] in [0,
    1]."""
    pictures = [Image.fromarray(x) for x in levels.permute(0, 2, 3, 1).contiguous().numpy()]
    ways: dict[str, Callable[[Image.Image], Image.Image]] = {
        "": lambda picture: picture,
        AS_JPEG: lambda picture: encode(picture, "JPEG", quality),
        COLOURLESS: _grey,
    }
    return {
        how: torch.cat([to_tensor(np.array(way(p))) for p in pictures]) for how, way in ways.items()
    }


def _as_they_come(sources: Iterable[Source], seed: int) -> Iterator[tuple[Source, Tensor]]:
    """Clean pictures, [1, 3, H, W] each, in the ways of CAME by turns."""
    rng = np.random.default_rng(seed)
    for i, source in enumerate(sources):
        with Image.open(source.path) as file:
            picture = file.convert("RGB")
        yield source, to_tensor(np.array(CAME[i % len(CAME)](picture, rng)))


def _plain(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(v), 5) for v in values)
