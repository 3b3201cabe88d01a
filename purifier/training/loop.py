"""The training loop: pairs from files, an average of the weights, checkpoints, and going on after a stop."""

import copy
import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from causalclip.clip.tower import Tower
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.running import Loss, learn
from purifier.training.config import TrainConfig
from purifier.training.ends import cropped_ends, whole_ends
from purifier.training.loss import Guidance, bridge_loss
from purifier.training.pairs import load_pairs
from purifier.training.validation import validate


def fit(
    pipeline: PurifierPipeline,
    folder: Path,
    out: Path,
    config: TrainConfig,
    *,
    tower: Tower,
) -> None:
    """Trains on the pairs in `folder`, also those added meanwhile; leaves the averaged weights in `pipeline`.

    Args:
        out: of checkpoint.pt and train.jsonl; a run that was stopped goes on from there. tower: of Guidance.

    Raises:
        FileNotFoundError: there are no pairs beside the held-out ones.
    """
    unet = pipeline.unet.train().requires_grad_(True)
    average = copy.deepcopy(unet)
    guidance = Guidance(tower, layers=config.layers)

    def loss_at(step: int) -> Loss:
        return _loss(pipeline, pair_files(folder)[config.held :], step, guidance, config)

    def measure() -> dict[str, float]:
        pipeline.unet = average
        held = validate(lambda pixels: pipeline(pixels).images, pair_files(folder)[: config.held], tower=tower)
        pipeline.unet = unet
        return held

    learn(
        out,
        unet,
        average,
        torch.optim.AdamW(unet.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=1e-4),
        loss_at,
        steps=config.stop_after or config.steps,
        rate=partial(_rate, config=config),
        decay=config.average,
        check=config.check,
        measure=measure,
    )
    unet.load_state_dict(average.state_dict())
    unet.eval().requires_grad_(False)


def pair_files(folder: Path) -> list[Path]:
    """The files of pairs that are there now, in order."""
    return sorted(folder.glob("pairs-*.safetensors"))


def _loss(
    pipeline: PurifierPipeline, files: Sequence[Path], step: int, guidance: Guidance, config: TrainConfig
) -> Loss:
    if not files:
        raise FileNotFoundError("There are no pairs to train on. Make some first: python -m purifier train makes them.")
    rng = random.Random(f"{config.seed}:{step}")
    pairs = load_pairs(rng.choice(files))
    able = config.kind == "bridge" and step >= config.guide_from * config.steps
    if not able or rng.random() >= config.guided:
        loss, _ = bridge_loss(pipeline, cropped_ends(pairs, rng, config))
        return loss, {"loss": loss.item()}
    ends, clean_seen, moved_seen = whole_ends(pairs, rng, config)
    loss, estimate = bridge_loss(pipeline, ends)
    pull = guidance(estimate.clamp(0, 1), clean_seen, moved_seen)
    return loss + config.guidance * pull, {"loss": loss.item(), "guidance": pull.item()}


def _rate(step: int, config: TrainConfig) -> float:
    """Warm-up over 50 steps, constant, then a straight fall to 0."""
    fall = (config.steps - step) / max(1.0, config.decay * config.steps)
    return config.lr * min(1.0, (step + 1) / 50, fall)
