"""Goes on with a trained network, on attacks made as it learns, guided by what the language model sees and says.

A denoiser that learns from pixels alone leaves what misleads CLIP, small as it is; one that learns from what the
attacked model makes of its result takes it out (HGD, Liao et al., CVPR 2018, arXiv 1712.02976). No attack is seen
twice, so there is nothing to learn by heart.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from causalclip.detector import Detector
from purifier.denoiser.bridge import Ends, bridge_loss
from purifier.denoiser.filters import quantise
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.training.adapter import FeatureDistance, divergence
from purifier.training.cards import write_refined_section
from purifier.training.denoiser import CACHE, Settings, refit_attack_detector
from purifier.training.loop import Loss, learn, trapezoid
from purifier.training.pairs import PairMaker, PairsConfig, Source, if_there
from purifier.vlm import EmbeddedVLM

LEAST = 0.02  # of a shift, added to what is left: where that is 0, a root has no slope
EARLIEST, QUALITIES = 0.05, (30, 50)  # time on the bridge, and qualities at which a result is quantised


@dataclass(frozen=True, slots=True)
class RefiningConfig:
    """steps, rate: of the optimiser; a step is one batch of attacks. decay: the last share of the run, over which the
    rate falls nearly to 0. pixels, left, said: weights of the squared error, of what is left of an attack's shift, and
    of the divergence. clean: the share of pictures that come in clean. between: of steps at another time of the bridge
    than its start. quantised: of steps after which the result is looked at quantised, as it is at use. units: batches
    by which an attack's shift is measured. average: of the weights. check: every how many steps it is saved."""

    steps: int = 1700
    rate: float = 4e-4
    decay: float = 0.5
    pixels: float = 1.5
    left: float = 0.6
    said: float = 0.6
    clean: float = 0.1
    between: float = 0.2
    quantised: float = 0.5
    units: int = 6
    average: float = 0.995
    check: int = 100
    seed: int = 0


def refine_purifier(
    sources: Sequence[Source],
    pool: Sequence[str],
    folder: Path,
    *,
    settings: Settings | None = None,
    batches: int = 100,
    cache: Path = CACHE,
) -> PurifierPipeline:
    """Goes on with the trained network in `folder` (see `refine`), fits its attack detector anew, and writes both.

    Args:
        pool: questions to ask beside the sources' own. settings: "pairs": of PairsConfig, "refine": of RefiningConfig,
            "gate": as of train_purifier. batches: of the detector's pairs. cache: as of train_purifier.

    Raises:
        WeightsMissing: the purifier, or what guides it, is not here.
    """
    chosen = {name: dict((settings or {}).get(name, {})) for name in ("pairs", "refine")}
    config, model = RefiningConfig(**chosen["refine"]), EmbeddedVLM.from_pretrained()
    drawn = replace(PairsConfig(**chosen["pairs"]), layers=model.config.layers)
    pipeline = PurifierPipeline.from_pretrained(folder)
    maker = PairMaker(sources, drawn, tower=model.tower, vlm=model, detector=if_there(Detector.from_pretrained))
    refine(pipeline, model, maker, pool, cache / f"{folder.name}-refined", config)
    pipeline.save_pretrained(folder)
    write_refined_section(folder, pictures=config.steps * drawn.batch, clean=config.clean, steps=drawn.steps)
    return refit_attack_detector(sources, folder, settings=settings, batches=batches, cache=cache, tower=model.tower)


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
    first = [maker.make(-1 - number)[0] for number in range(config.units)]
    distance = FeatureDistance(
        model, [p.clean.float() / 255 for p in first], [p.moved[-1].float() / 255 for p in first]
    )

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
            wanted = distance.of(*pairs.clean_seen)
        seen = distance(estimate)
        left = distance.left(seen, wanted)
        said = divergence(model, seen[0], wanted[0], pairs.asked, pool, rng)
        loss = config.pixels * error + config.left * (left + LEAST).sqrt().sum() + config.said * said
        return loss, {"error": error.item(), "shift left": left[0].item(), "divergence": said.item()}

    learn(
        out,
        unet,
        torch.optim.AdamW(unet.parameters(), lr=config.rate, betas=(0.9, 0.99), weight_decay=1e-4),
        loss_at,
        steps=config.steps,
        rate=lambda step: config.rate * trapezoid(step, config.steps, warm=40, decay=config.decay, end=0.02),
        decay=config.average,
        check=config.check,
    )
    unet.eval().requires_grad_(False)
