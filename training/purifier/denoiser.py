"""Trains the purifier's network on adversarial pairs: the bridge's squared error, guided by the
frozen CLIP encoder.

train_purifier(training_sources(vlm_data, forensics), Path("assets/models/purifier"))

`refine_purifier` goes on with a trained network, on attacks made as it learns, guided by what the
language model sees and says. A denoiser that learns from pixels alone leaves what misleads CLIP,
small as it is; one that learns from what the attacked model makes of its result takes it out (HGD,
Liao et al., CVPR 2018, arXiv 1712.02976). No attack is seen twice, so there is nothing to learn by
heart.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from causalclip.clip.backbones import load_tower
from causalclip.clip.tower import Tower
from causalclip.detector import Detector
from purifier.attacks.budget import LEVELS
from purifier.denoiser.filters import quantise
from purifier.denoiser.latent import LatentPurifier
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.vlm.features import LAYERS, clip_features
from purifier.vlm.model import EmbeddedVLM
from training.purifier.adapter import FeatureDistance, divergence
from training.purifier.attack_detector import fit_attack_detector
from training.purifier.bridge import Ends, bridge_loss, draw_times
from training.purifier.cards import write_card, write_detector_section, write_refined_section
from training.purifier.guidance import Features, Guidance
from training.purifier.loop import Loss, learn, trapezoid
from training.purifier.pairs import (
    PairMaker,
    Pairs,
    PairsConfig,
    Source,
    if_there,
    load_pairs,
    make_missing,
    pair_files,
)
from training.purifier.untrained import new_latent, new_pipeline

CACHE, CPU = Path(".cache/purifier"), torch.device("cpu")
Settings = Mapping[str, Any]
ROOT_OFFSET = 0.02  # of a shift, added to what is left: where that is 0, a root has no slope
# time on the bridge, and qualities at which a result is quantised
EARLIEST, QUALITIES = 0.05, (30, 50)


@dataclass(frozen=True, slots=True)
class DenoiserConfig:
    """Settings of a run.

    kind: "bridge" is ours; "regression" and "noise" are what it is compared with, on the same
        network: one step from the adversarial picture to the clean one by squared error alone, and
        the removal of Gaussian noise without ever seeing an attack (DiffPure's recipe).
    steps: of the optimiser. batch: pictures a step. crop: px, where CLIP does not guide.
    guided: the share of steps that CLIP guides, of any kind (they cost ten times as much), after
        the first `guide_from` of the run; guidance: its weight.
    clean: the share of pictures that come in clean. noisy: the share with Gaussian noise, up to
    `noise` (1/255).
    decay: the last share of the run, over which the learning rate falls to 0. average: of the
    weights.
    check: every how many steps it is measured on held-out pairs, the first `held` files, and saved.
    stop_after: end after so many steps, with the learning rate where it is then.
    layers: of CLIP, that guide beside its embedding.
    """

    kind: Literal["bridge", "regression", "noise"] = "bridge"
    steps: int = 3000
    batch: int = 6
    crop: int = 160
    lr: float = 1e-3
    guided: float = 0.3
    guide_from: float = 0.1
    guidance: float = 0.5
    clean: float = 0.15
    noisy: float = 0.25
    noise: float = 16.0
    decay: float = 0.3
    average: float = 0.995
    check: int = 100
    held: int = 2
    stop_after: int | None = None
    layers: tuple[int, ...] = LAYERS
    seed: int = 0


def train_purifier(
    sources: Sequence[Source],
    out: Path,
    *,
    settings: Settings | None = None,
    batches: int = 300,
    cache: Path = CACHE,
    device: torch.device = CPU,
    base: str = "",
) -> PurifierPipeline:
    """Make the pairs that are missing, train, and write the pipeline with its card to `out`.

    Args:
        base: a pretrained latent diffusion network, which learns by a low-rank update, instead of
            a new network on pixels.
        settings: "pairs": of PairsConfig, "train": of DenoiserConfig, "network": of new_pipeline,
            or, where there is a base, "lora": of new_latent,
            "attack_detector": a list, each of PairsConfig and `batches`, of its own pairs; an empty
            one fits no attack detector.
        batches: of pairs, where the detector's do not say it. cache: of pairs, and in a folder
            named as `out` of the checkpoint and the log.
        device: where all of it runs; on a graphics card, products are made in bfloat16.
    """
    sections = {
        name: dict((settings or {}).get(name, {})) for name in ("pairs", "train", "network", "lora")
    }
    pipeline: Any = (
        new_latent(base, **sections["lora"]) if base else new_pipeline(**sections["network"])
    )
    tower, config = load_tower().to(device), DenoiserConfig(**sections["train"])
    pairs_config = PairsConfig(**sections["pairs"])
    _, pairs = make_missing(sources, pairs_config, cache, tower=tower, batches=batches)
    pipeline.to(device)
    fit(pipeline, pairs, cache / out.name, config, tower=tower)
    pipeline.save_pretrained(out)
    write_card(out, pipeline, pairs, asdict(config))
    if config.kind != "bridge" or (settings or {}).get("attack_detector") == []:
        return pipeline
    return refit_attack_detector(
        sources, out, settings=settings, batches=batches, cache=cache, tower=tower, device=device
    )


def refit_attack_detector(
    sources: Sequence[Source],
    folder: Path,
    *,
    settings: Settings | None = None,
    batches: int = 100,
    cache: Path = CACHE,
    tower: Tower | None = None,
    device: torch.device = CPU,
) -> PurifierPipeline:
    """Fit the attack detector of the trained network in `folder` anew, and write it and its part
    of the card there.

    Args:
        settings, batches, cache: as of train_purifier.
    """
    pipeline: Any = PurifierPipeline.from_pretrained(folder)
    pipeline.to(device)
    tower, folders = tower or load_tower().to(device), []
    for section in (settings or {}).get("attack_detector", [{}]):
        config = PairsConfig(**{k: v for k, v in section.items() if k != "batches"})
        count = section.get("batches", batches)
        folders.append(make_missing(sources, config, cache, tower=tower, batches=count)[1])
    detector, shares, unseen = fit_attack_detector(pipeline, folders, sources)
    pipeline.register_to_config(attack_detector=asdict(detector))  # type: ignore[attr-defined]
    pipeline.save_pretrained(folder)
    write_detector_section(folder, shares, unseen, folders)
    return pipeline


def fit(
    pipeline: PurifierPipeline, folder: Path, out: Path, config: DenoiserConfig, *, tower: Tower
) -> None:
    """Train on the pairs in `folder`, also those added meanwhile; leave the averaged weights in
    `pipeline`.

    Args:
        out: of checkpoint.pt and train.jsonl; a run that was stopped goes on from there. tower: of
            Guidance.

    Raises:
        FileNotFoundError: there are no pairs beside the held-out ones.
    """
    # 1. What learns, and what guides it
    learner = _learning_part(pipeline)
    guidance = Guidance(tower, layers=config.layers)

    # 2. The loss of a step
    def loss_at(step: int) -> Loss:
        files, rng = pair_files(folder)[config.held :], random.Random(f"{config.seed}:{step}")
        if not files:
            raise FileNotFoundError(
                "There are no pairs to train on. `python -m training purifier train` makes them."
            )
        pairs = load_pairs(rng.choice(files)).to(tower.mean.device)
        able = config.guided and step >= config.guide_from * config.steps
        if not able or rng.random() >= config.guided:
            loss, _ = bridge_loss(pipeline, _cropped_ends(pairs, rng, config))
            return loss, {"loss": loss.item()}
        ends, clean_seen, start_seen = (
            noisy_ends(pairs, rng, config, tower=tower)
            if config.kind == "noise"
            else _whole_ends(pairs, rng, config)
        )
        loss, estimate = bridge_loss(pipeline, ends)
        pull = guidance(estimate.clamp(0, 1), clean_seen, start_seen)
        return loss + config.guidance * pull, {"loss": loss.item(), "guidance": pull.item()}

    # 3. The steps
    learn(
        out,
        learner,
        torch.optim.AdamW(learner.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=1e-4),
        loss_at,
        steps=config.stop_after or config.steps,
        rate=lambda step: config.lr * trapezoid(step, config.steps, warm=50, decay=config.decay),
        decay=config.average,
        check=config.check,
        measure=lambda: validate(
            lambda x: pipeline(x).images, pair_files(folder)[: config.held], tower=tower
        ),
    )
    pipeline.unet.eval().requires_grad_(False)


def _learning_part(pipeline: PurifierPipeline) -> nn.Module:
    """Return what learns of a purifier: its network, or the low-rank update of a base, which stays
    frozen and without dropout."""
    if isinstance(pipeline, LatentPurifier):
        return nn.ParameterList(pipeline.update().values()).requires_grad_(True)
    unet: nn.Module = pipeline.unet
    return unet.train().requires_grad_(True)


def _cropped_ends(pairs: Pairs, rng: random.Random, config: DenoiserConfig) -> Ends:
    """Cut random crops, turned and mirrored, of random states of the attack, the perturbation
    scaled by 0.5 to 1.25."""
    generator = torch.Generator().manual_seed(rng.randrange(1 << 40))

    def uniform() -> Tensor:
        return torch.rand(config.batch, 1, 1, 1, generator=generator).to(pairs.clean.device)

    rows = [rng.randrange(len(pairs.clean)) for _ in range(config.batch)]
    crops = [_crop(pairs, row, rng.randrange(len(pairs.adversarial)), rng, config) for row in rows]
    clean, adversarial = torch.stack(crops, 1)  # (N, 3, h, w) each
    scale = 0.5 + 0.75 * uniform()
    scale = scale * (uniform() >= config.clean)
    normal = torch.randn(clean.shape, generator=generator).to(clean)
    noise = normal * config.noise / LEVELS * uniform()
    noise = noise * (uniform() < config.noisy)
    t = draw_times(config.batch, generator).to(clean)
    if config.kind == "regression":
        noise, t = torch.zeros_like(noise), torch.ones_like(t)
    if config.kind == "noise":
        spread = config.noise / LEVELS * uniform()
        scale, noise = (
            torch.zeros_like(scale),
            torch.randn(clean.shape, generator=generator).to(clean) * spread,
        )
    return Ends(clean, (clean + scale * (adversarial - clean)).clamp(0, 1), t, noise)


def _whole_ends(
    pairs: Pairs, rng: random.Random, config: DenoiserConfig
) -> tuple[Ends, Features, Features]:
    """Whole attacked pictures, some of them clean, at t = 1; and CLIP's features of both ends."""
    count = min(config.batch, len(pairs.clean))
    rows = torch.tensor(rng.sample(range(len(pairs.clean)), count))
    is_clean = torch.tensor([rng.random() < config.clean for _ in range(count)])
    is_clean = is_clean.to(pairs.clean.device)
    clean, adversarial = (
        pairs.clean[rows].float() / LEVELS,
        pairs.adversarial[-1][rows].float() / LEVELS,
    )
    adversarial = torch.where(is_clean.view(-1, 1, 1, 1), clean, adversarial)
    clean_seen = pairs.clean_seen[0][rows], pairs.clean_seen[1][rows]
    patches, embedding = (
        torch.where(is_clean.view(-1, *[1] * (own.dim() - 1)), own, theirs[rows])
        for own, theirs in zip(clean_seen, pairs.adversarial_seen, strict=True)
    )
    return (
        Ends(clean, adversarial, clean.new_ones(count), torch.zeros_like(clean)),
        clean_seen,
        (patches, embedding),
    )


def noisy_ends(
    pairs: Pairs, rng: random.Random, config: DenoiserConfig, *, tower: Tower
) -> tuple[Ends, Features, Features]:
    """Whole clean pictures under Gaussian noise, some of them without, at t = 1; and CLIP's
    features of both ends. No attack is seen."""
    # 1. The pictures, and noise of a strength of its own for each
    generator = torch.Generator().manual_seed(rng.randrange(1 << 40))
    count = min(config.batch, len(pairs.clean))
    rows = torch.tensor(rng.sample(range(len(pairs.clean)), count))
    clean = pairs.clean[rows].float() / LEVELS
    strength = config.noise / LEVELS * torch.rand(count, 1, 1, 1, generator=generator)
    strength = strength * (torch.rand(count, 1, 1, 1, generator=generator) >= config.clean)
    noise = torch.randn(clean.shape, generator=generator).to(clean) * strength.to(clean)

    # 2. What CLIP sees of them
    with torch.no_grad():
        noisy_seen = clip_features(tower, (clean + noise).clamp(0, 1), layers=config.layers)
    clean_seen = pairs.clean_seen[0][rows], pairs.clean_seen[1][rows]
    return Ends(clean, clean, clean.new_ones(count), noise), clean_seen, noisy_seen


def _crop(pairs: Pairs, row: int, state: int, rng: random.Random, config: DenoiserConfig) -> Tensor:
    """Return one crop of both ends of a pair, [2, 3, side, side]."""
    clean, adversarial = (
        pairs.clean[row].float() / LEVELS,
        pairs.adversarial[state, row].float() / LEVELS,
    )
    side = min(config.crop, *clean.shape[-2:])
    top, left = (rng.randrange(size - side + 1) for size in clean.shape[-2:])
    turns, flip = rng.randrange(4), rng.random() < 0.5
    both = torch.stack([clean, adversarial])[..., top : top + side, left : left + side]
    both = torch.rot90(both, turns, (-2, -1))
    return both.flip(-1) if flip else both


@torch.no_grad()
def validate(
    purify: Callable[[Tensor], Tensor], files: Sequence[Path], *, tower: Tower
) -> dict[str, float]:
    """Return means over the pictures of held-out files.

    Args:
        purify: float [N, 3, H, W] in [0, 1] -> the same.

    Returns:
        psnr_attacked, psnr: of the attacked pictures to the clean ones, before and after, in dB;
        psnr_clean: of clean pictures that were purified; shift: what is left of the attack's shift
        of CLIP's embedding, as a share of its length; shift_clean: the same, of clean pictures.
    """
    rows: list[dict[str, Tensor]] = []
    for path in files:
        pairs = load_pairs(path).to(tower.mean.device)
        clean, adversarial = pairs.clean.float() / LEVELS, pairs.adversarial[-1].float() / LEVELS
        of_attacked, of_clean = (purify(x) for x in (adversarial, clean))
        want = (pairs.adversarial_seen[1] - pairs.clean_seen[1]).norm(dim=1).mean()
        shift, shift_clean = (
            (clip_features(tower, x, layers=[1])[1] - pairs.clean_seen[1]).norm(dim=1) / want
            for x in (of_attacked, of_clean)
        )
        values = {
            "psnr_attacked": psnr(adversarial, clean),
            "psnr": psnr(of_attacked, clean),
            "psnr_clean": psnr(of_clean, clean),
        }
        rows.append(values | {"shift": shift, "shift_clean": shift_clean})
    return {name: torch.cat([row[name] for row in rows]).mean().item() for name in rows[0]}


def psnr(ours: Tensor, theirs: Tensor) -> Tensor:
    """Peak signal to noise ratio of each picture [N, 3, H, W] in [0, 1], [N] in dB; at most 60, for
    equal pictures."""
    error = (ours - theirs).square().flatten(1).mean(1)
    return -10 * error.clamp_min(1e-6).log10()


@dataclass(frozen=True, slots=True)
class RefiningConfig:
    """steps, rate: of the optimiser; a step is one batch of attacks. decay: the last share of the
    run, over which the rate falls nearly to 0. pixels, left, said: weights of the squared error, of
    what is left of an attack's shift, and of the divergence. clean: the share of pictures that come
    in clean. between: of steps at another time of the bridge than its start. quantised: of steps
    after which the result is looked at quantised, as it is at use. units: batches by which an
    attack's shift is measured. average: of the weights. check: every how many steps it is saved."""

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
    device: torch.device = CPU,
) -> PurifierPipeline:
    """Go on with the trained network in `folder` (see `refine`), fit its attack detector anew, and
    write both.

    Args:
        pool: questions to ask beside the sources' own. settings: "pairs": of PairsConfig, "refine":
            of RefiningConfig, "attack_detector": as of train_purifier. batches: of the detector's
            pairs. cache: as of train_purifier.

    Raises:
        WeightsMissing: the purifier, or what guides it, is not here.
    """
    sections = {name: dict((settings or {}).get(name, {})) for name in ("pairs", "refine")}
    config, model = RefiningConfig(**sections["refine"]), EmbeddedVLM.from_pretrained().to(device)
    pairs_config = replace(PairsConfig(**sections["pairs"]), layers=model.config.layers)
    pipeline: Any = PurifierPipeline.from_pretrained(folder)
    pipeline.to(device)
    maker = PairMaker(
        sources,
        pairs_config,
        tower=model.tower,
        vlm=model,
        detector=if_there(Detector.from_pretrained),
    )
    refine(pipeline, model, maker, pool, cache / f"{folder.name}-refined", config)
    pipeline.save_pretrained(folder)
    write_refined_section(
        folder,
        pictures=config.steps * pairs_config.batch,
        clean=config.clean,
        steps=pairs_config.steps,
    )
    if (settings or {}).get("attack_detector") == []:
        return pipeline
    return refit_attack_detector(
        sources,
        folder,
        settings=settings,
        batches=batches,
        cache=cache,
        tower=model.tower,
        device=device,
    )


def refine(
    pipeline: PurifierPipeline,
    model: EmbeddedVLM,
    maker: PairMaker,
    pool: Sequence[str],
    out: Path,
    config: RefiningConfig,
) -> None:
    """Learn from `config.steps` batches of attacks, and leave the averaged weights in the
    pipeline.

    The loss: the squared error of the network's velocity; the root of how far what the model sees
    behind it is from what it sees of the clean picture, as a share of how far attacks move it; and
    the divergence of the first words that the model would say.

    Args:
        pool: questions to ask beside the pictures' own. out: of checkpoint.pt and train.jsonl; a
            run that was stopped goes on from there.
    """
    # 1. What learns, and the unit of the loss: how far attacks move what the model sees
    learner = _learning_part(pipeline)
    first = [maker.make(-1 - number)[0] for number in range(config.units)]
    distance = FeatureDistance(
        model,
        [p.clean.float() / 255 for p in first],
        [p.adversarial[-1].float() / 255 for p in first],
    )

    # 2. The steps
    def loss_at(step: int) -> Loss:
        rng = random.Random(f"{config.seed}:{step}")
        pairs, _ = maker.make(step)
        clean, adversarial = pairs.clean.float() / 255, pairs.adversarial[-1].float() / 255
        is_clean = torch.tensor([rng.random() < config.clean for _ in clean]).view(-1, 1, 1, 1)
        is_clean = is_clean.to(clean.device)
        between = rng.random() < config.between
        t = clean.new_full((len(clean),), rng.uniform(EARLIEST, 1) if between else 1.0)
        ends = Ends(clean, torch.where(is_clean, clean, adversarial), t, torch.zeros_like(clean))
        error, estimate = bridge_loss(pipeline, ends)
        estimate = estimate.clamp(0, 1)
        if rng.random() < config.quantised:
            estimate = quantise(estimate, rng.choice(QUALITIES))
        with torch.no_grad():
            targets = distance.of(*pairs.clean_seen)
        features = distance(estimate)
        rest = distance.left(features, targets)
        kl = divergence(model, features[0], targets[0], pairs.asked, pool, rng)
        loss = (
            config.pixels * error
            + config.left * (rest + ROOT_OFFSET).sqrt().sum()
            + config.said * kl
        )
        return loss, {
            "error": error.item(),
            "shift left": rest[0].item(),
            "divergence": kl.item(),
        }

    learn(
        out,
        learner,
        torch.optim.AdamW(
            learner.parameters(), lr=config.rate, betas=(0.9, 0.99), weight_decay=1e-4
        ),
        loss_at,
        steps=config.steps,
        rate=lambda step: (
            config.rate * trapezoid(step, config.steps, warm=40, decay=config.decay, end=0.02)
        ),
        decay=config.average,
        check=config.check,
    )
    pipeline.unet.eval().requires_grad_(False)
