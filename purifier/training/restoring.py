"""Trains a restorer on pictures and what quantisation leaves of them: such pairs cost no attack."""

import copy
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from purifier.denoiser.pipeline import PurifierPipeline
from purifier.running import blend, log_row, resume, save_checkpoint
from purifier.training.pairs import PairMaker
from purifier.training.sight import Sight
from purifier.training.validation import psnr
from purifier.vlm import EmbeddedVLM

ERROR = 0.05  # the unit of the absolute error


@dataclass(frozen=True, slots=True)
class RestoringConfig:
    """steps, rate: of the optimiser; a step is one batch of the maker. qualities: of the quantisation, one a step.
    guide_from: the share of the steps after which CLIP and the language model guide, which makes a step four times as
    long; guidance: their weight. decay: the last share of the run, over which the rate falls to 0. average: of the
    weights. check: every how many steps it is measured and saved. held: batches that it is measured on, of pictures
    that it does not learn from."""

    steps: int = 2000
    rate: float = 8e-4
    qualities: tuple[int, ...] = (10, 10, 12, 15, 15, 20)
    guide_from: float = 0.5
    guidance: float = 1.5
    decay: float = 0.6
    average: float = 0.99
    check: int = 200
    held: int = 4
    seed: int = 0


def fit_restorer(
    pipeline: PurifierPipeline,
    maker: PairMaker,
    held: PairMaker,
    out: Path,
    config: RestoringConfig,
    model: EmbeddedVLM,
) -> None:
    """Trains the pipeline's restorer on the maker's plain pictures; leaves the averaged weights in it.

    The loss: the mean absolute error, and how far CLIP's patch tokens, its embedding and the model's visual tokens are
    from those of the clean picture, as shares of how far quantisation moves them.

    Args:
        held: makes the pictures that it is measured on. out: of checkpoint.pt and train.jsonl; a run that was stopped
            goes on from there.
    """
    out.mkdir(parents=True, exist_ok=True)
    restorer = pipeline.restorer.train().requires_grad_(True)
    average = copy.deepcopy(restorer).eval()
    optimizer = torch.optim.AdamW(restorer.parameters(), lr=config.rate, betas=(0.9, 0.99), weight_decay=1e-4)
    pictures = [held.plain(number)[0] for number in range(config.held)]
    pipeline.restorer = None
    sight = Sight(model, pictures, [pipeline.forced(clean) for clean in pictures])
    quantised, _ = _measured(pipeline, pictures, sight)
    lost: list[tuple[float, float]] = []
    for step in range(resume(out, restorer, average, optimizer), config.steps):
        pipeline.restorer, clean = restorer, maker.plain(step)[0]
        quality = random.Random(f"{config.seed}:{step}").choice(config.qualities)
        given = pipeline.forced(clean, quality=quality)
        loss = error = (given - clean).abs().mean() / ERROR
        pull: Any = torch.zeros(())
        if step >= config.guide_from * config.steps:
            with torch.no_grad():
                wanted = sight(clean)
            pull = sight.left(sight(given), wanted).mean()
            loss = error + config.guidance * pull
        fall = (1.02 - step / config.steps) / config.decay
        optimizer.param_groups[0]["lr"] = config.rate * min(1.0, (step + 1) / 50, fall)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(restorer.parameters(), 1.0)
        optimizer.step()
        blend(average, restorer, config.average, step)
        lost.append((error.item(), pull.item()))
        if (step + 1) % config.check == 0 or step + 1 == config.steps:
            pipeline.restorer = average
            restored, left = _measured(pipeline, pictures, sight)
            error_mean, pull_mean = (sum(values) / len(values) for values in zip(*lost, strict=True))
            row = {"step": step + 1, "error": error_mean, "guidance": pull_mean}
            log_row(out, row | {"psnr quantised": quantised, "psnr": restored, "shift left": left})
            save_checkpoint(out, step + 1, restorer, average, optimizer)
            lost = []
    restorer.load_state_dict(average.state_dict())
    restorer.eval().requires_grad_(False)
    pipeline.register_modules(restorer=restorer)  # type: ignore[attr-defined]  # a plain one would not be saved after None


@torch.no_grad()
def _measured(pipeline: PurifierPipeline, pictures: Sequence[Tensor], sight: Sight) -> tuple[float, float]:
    """Of batches that nobody attacked, purified all the same: mean PSNR to what they were, in dB, and what is left of
    the shift of what is seen."""
    given = [pipeline.forced(clean) for clean in pictures]
    noise = [psnr(*pair).mean() for pair in zip(given, pictures, strict=True)]
    left = [sight.left(sight(x), sight(clean)).mean() for x, clean in zip(given, pictures, strict=True)]
    return torch.stack(noise).mean().item(), torch.stack(left).mean().item()
