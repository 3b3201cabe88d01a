"""Goes on with a trained network, on attacks made as it learns, guided by what the language model sees and says.

A denoiser that learns from pixels alone leaves what misleads CLIP, small as it is; one that learns from what the
attacked model makes of its result takes it out (HGD, Liao et al., CVPR 2018, arXiv 1712.02976). No attack is seen
twice, so there is nothing to learn by heart.
"""

import copy
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from causalclip.detector import Detector
from purifier.denoiser.filters import quantise
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.running import Loss, learn
from purifier.training import if_there, refit_gate
from purifier.training.card import write_refined_section
from purifier.training.config import RefiningConfig
from purifier.training.loss import Ends, bridge_loss
from purifier.training.pairs import PairMaker, PairsConfig, Source
from purifier.training.sight import Sight, divergence
from purifier.vlm import EmbeddedVLM

LEAST = 0.02  # of a shift, added to what is left: where that is 0, a root has no slope
EARLIEST, QUALITIES = 0.05, (30, 50)  # time on the bridge, and qualities at which a result is quantised


def refine_purifier(
    sources: Sequence[Source],
    pool: Sequence[str],
    folder: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    batches: int = 100,
    cache: Path = Path(".cache/purifier"),
) -> PurifierPipeline:
    """Goes on with the trained network in `folder` (see `refine`), fits its gate anew, and writes both there.

    Args:
        pool: questions to ask beside the sources' own. settings: "pairs": of PairsConfig, "refine": of RefiningConfig,
            "gate": as of train_purifier. batches: of the gate's pairs. cache: as of train_purifier.

    Raises:
        WeightsMissing: the purifier, or what guides it, is not here.
    """
    chosen = {name: dict((settings or {}).get(name, {})) for name in ("pairs", "refine")}
    config, model = RefiningConfig(**chosen["refine"]), EmbeddedVLM.from_pretrained()
    kinds = replace(PairsConfig(**chosen["pairs"]), layers=model.config.layers)
    pipeline = PurifierPipeline.from_pretrained(folder)
    maker = PairMaker(sources, kinds, tower=model.tower, vlm=model, detector=if_there(Detector.from_pretrained))
    refine(pipeline, model, maker, pool, cache / f"{folder.name}-refined", config)
    pipeline.save_pretrained(folder)
    write_refined_section(folder, config, kinds)
    return refit_gate(sources, folder, settings=settings, batches=batches, cache=cache, tower=model.tower)


def refine(
    pipeline: PurifierPipeline,
    model: EmbeddedVLM,
    maker: PairMaker,
    pool: Sequence[str],
    out: Path,
    config: RefiningConfig,
) -> None:
    """Learns from `config.steps` batches of attacks, and leaves the averaged weights in the pipeline.

    The loss: the squared error of the network's velocity; the root of how far what the model sees behind it is from
    what it sees of the clean picture, as a share of how far attacks move it; and the divergence of the first words
    that the model would say.

    Args:
        pool: questions to ask beside the pictures' own. out: of checkpoint.pt and train.jsonl; a run that was stopped
            goes on from there.
    """
    unet = pipeline.unet.train().requires_grad_(True)
    average = copy.deepcopy(unet)
    first = [maker.make(-1 - number)[0] for number in range(config.units)]
    sight = Sight(model, [p.clean.float() / 255 for p in first], [p.moved[-1].float() / 255 for p in first])

    def loss_at(step: int) -> Loss:
        rng = random.Random(f"{config.seed}:{step}")
        pairs, _ = maker.make(step)
        clean, moved = pairs.clean.float() / 255, pairs.moved[-1].float() / 255
        untouched = torch.tensor([rng.random() < config.clean for _ in clean]).view(-1, 1, 1, 1)
        t = torch.full((len(clean),), rng.uniform(EARLIEST, 1) if rng.random() < config.between else 1.0)
        ends = Ends(clean, torch.where(untouched, clean, moved), t, torch.zeros_like(clean))
        error, estimate = bridge_loss(pipeline, ends)
        estimate = estimate.clamp(0, 1)
        if rng.random() < config.quantised:
            estimate = quantise(estimate, rng.choice(QUALITIES))
        with torch.no_grad():
            wanted = sight.of(*pairs.clean_seen)
        seen = sight(estimate)
        left = sight.left(seen, wanted)
        said = divergence(model, seen[0], wanted[0], pairs.asked, pool, rng)
        loss = config.pixels * error + config.left * (left + LEAST).sqrt().sum() + config.said * said
        return loss, {"error": error.item(), "shift left": left[0].item(), "divergence": said.item()}

    learn(
        out,
        unet,
        average,
        torch.optim.AdamW(unet.parameters(), lr=config.rate, betas=(0.9, 0.99), weight_decay=1e-4),
        loss_at,
        steps=config.steps,
        rate=partial(_rate, config=config),
        decay=config.average,
        check=config.check,
    )
    unet.load_state_dict(average.state_dict())
    unet.eval().requires_grad_(False)


def _rate(step: int, config: RefiningConfig) -> float:
    """Warm-up over 40 steps, constant, then a straight fall."""
    return config.rate * min(1.0, (step + 1) / 40, (1.02 - step / config.steps) / config.decay)
