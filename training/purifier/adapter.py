"""Trains the LoRA encoder on adversarial pairs and on pictures that nobody attacked: through it the
model shall see in purified pictures what it sees in clean ones, and say the same. Offline.

Connector and language model are frozen, and so is CLIP but for the update. The model's own view of
the clean picture is the goal, so that no labels are needed.
"""

import copy
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

from causalclip.clip.backbones import load_tower
from causalclip.clip.tower import Tower
from purifier.attacks.budget import to_levels
from purifier.denoiser.filters import quantise_at
from purifier.denoiser.pipeline import PurifierPipeline, towards_reference
from purifier.vlm.features import clip_features
from purifier.vlm.interface import CAPTION_PROMPT
from purifier.vlm.lora import DOWN, MATRICES, UP, LoraEncoder
from purifier.vlm.model import EmbeddedVLM
from training.purifier.cards import write_encoder_card
from training.purifier.loop import Loss, learn, trapezoid
from training.purifier.pairs import (
    PairMaker,
    PairsConfig,
    load_pairs,
    make_missing,
    pair_files,
    question_pool,
    training_sources,
)

WEIGHTS = (1.0, 0.3, 0.3)  # in the loss, of visual tokens, patch tokens, embedding
MOVED = 0.3  # nats, from which on an answer was moved
Seen = list[Tensor]  # visual tokens [N, V, D], patch tokens [N, P, W], embedding [N, E]
Asked = Sequence[Sequence[str]]  # questions on each picture, may be none


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """Settings of a run.

    rank: of the update of a matrix. steps, rate: of the optimiser; a step is one batch. norms: the
    share of the rate for LayerNorms. decay: the last share of the run, over which the rate falls
    nearly to 0. said: the weight of the divergence. attacked: the share of batches that are of
    pairs.
    strengths: of the quantisation, one a step, its quality and short side in px. chance: the share
    of steps in which pictures are purified by chance, as without the attack detector. guided: the
    share of the others in which what the network leaves is guided first, by what this encoder sees
    so far. A network alone has none of these three.
    noise: 1/255, added before a network alone that learned from noise.
    held: the first so many files of pairs are not learned from. average: of the weights. check:
    every how many steps it is measured and saved.
    """

    rank: int = 32
    steps: int = 1000
    rate: float = 3e-4
    norms: float = 0.1
    decay: float = 0.7
    said: float = 4.0
    attacked: float = 0.5
    strengths: tuple[tuple[int, int], ...] = (
        (50, 224),
        (30, 224),
        (30, 224),
        (20, 224),
        (10, 176),
        (10, 176),
    )
    guided: float = 0.5
    chance: float = 0.1
    noise: float = 0.0
    held: int = 5
    average: float = 0.99
    check: int = 150
    seed: int = 0


class FeatureDistance:
    """How far what CLIP and the language model see of pictures is from what they see of others, in
    units of how far purification, or an attack, moves it.

    Args:
        clean, moved: batches by which that is measured, each dimension in deviations (a few
            dimensions of CLIP's tokens are a hundred times as large as the others).
    """

    def __init__(
        self, model: EmbeddedVLM, clean: Sequence[Tensor], moved: Sequence[Tensor]
    ) -> None:
        self.model = model
        with torch.no_grad():
            targets, others = (
                [torch.cat(layer) for layer in zip(*map(self, x), strict=True)]
                for x in (clean, moved)
            )
        self.deviations = [layer.flatten(0, -2).std(0) + 1e-3 for layer in targets]
        self.units = torch.stack(self._shifts(others, targets))

    def __call__(self, pixels: Tensor, *, tower: Tower | None = None) -> Seen:
        """Return what is seen of pictures, through the model's tower or another one."""
        return self.of(
            *clip_features(tower or self.model.tower, pixels, layers=self.model.config.layers)
        )

    def of(self, patches: Tensor, embedding: Tensor) -> Seen:
        """Return what is seen from CLIP's features: patches and embedding."""
        return [
            self.model.connector(patches.float(), embedding.float()),
            patches.float(),
            embedding.float(),
        ]

    def left(self, features: Seen, targets: Seen) -> Tensor:
        """Return how far apart they are, [3], in those units."""
        return torch.stack(self._shifts(features, targets)) / self.units

    def _shifts(self, features: Seen, targets: Seen) -> list[Tensor]:
        return [
            ((a - b) / deviation).square().mean()
            for a, b, deviation in zip(features, targets, self.deviations, strict=True)
        ]


def divergence(
    model: EmbeddedVLM,
    features: Tensor,
    targets: Tensor,
    questions: Asked,
    pool: Sequence[str],
    rng: random.Random,
) -> Tensor:
    """Return the mean KL divergence of the first word that the model would say with visual tokens
    `targets` [N, V, D] from that with `features`: of a caption, and to two questions on each
    picture, one of them its own if it has any."""
    rows, prompts = [], []
    for i, own in enumerate(questions):
        rows += [i, i, i]
        prompts += [rng.choice(own or pool), rng.choice(pool), CAPTION_PROMPT]
    with torch.no_grad():
        target_words = model.logits(targets[rows], prompts, [""] * len(rows))[0][:, -1].softmax(-1)
    log_odds = model.logits(features[rows], prompts, [""] * len(rows))[0][:, -1].log_softmax(-1)
    return nn.functional.kl_div(log_odds, target_words, reduction="batchmean")


def train_encoder(
    data: Path,
    forensics: Path | None,
    out: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    batches: int = 400,
    cache: Path = Path(".cache/purifier"),
    start: Path | None = None,
    model: EmbeddedVLM | None = None,
    purifier: PurifierPipeline | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, Any]:
    """Make the pairs that are missing, train, and write the encoder and its card to `out`;
    returns its facts.

    Args:
        data, forensics: as of training_sources; questions are taken from `data`.
        settings: "pairs": of PairsConfig; "lora_encoder": of AdapterConfig.
        batches: of pairs. cache: of pairs, and in a folder named as `out` of checkpoint and log: a
            run that was stopped goes on.
        start: a folder with the LoRA encoder to go on from; without, from none.
        model, purifier: the shipped ones if None. Of a purifier without an attack detector the
            network stands alone, with nothing behind it. device: where all of it runs.

    Raises:
        FileNotFoundError: the data is not there. WeightsMissing: a model is not. ValueError: there
            are too few pairs.
    """
    sections = dict(settings or {})
    config = AdapterConfig(**sections.get("lora_encoder", {}))
    model, denoiser = model or trainable_model(), purifier or PurifierPipeline.from_pretrained()
    model.to(device)
    denoiser.to(device)  # type: ignore[attr-defined]
    sources, pairs_config = (
        training_sources(data, forensics),
        PairsConfig(**sections.get("pairs", {})),
    )
    if batches <= config.held:
        raise ValueError(
            f"More than {config.held} batches of pairs are needed: so many are held out."
        )
    maker, pairs = make_missing(sources, pairs_config, cache, tower=model.tower, batches=batches)
    begin = LoraEncoder.from_pretrained(start) if start else None
    encoder = _fit_encoder(
        model, denoiser, maker, pairs, question_pool(data), cache / out.name, config, start=begin
    )
    encoder.save_pretrained(out)
    write_encoder_card(out, encoder)
    return encoder.facts


def _fit_encoder(
    model: EmbeddedVLM,
    purifier: PurifierPipeline,
    maker: PairMaker,
    pairs: Path,
    pool: Sequence[str],
    out: Path,
    config: AdapterConfig,
    *,
    start: LoraEncoder | None = None,
) -> LoraEncoder:
    """Learn from the pairs in `pairs`, also those added meanwhile, and from the maker's plain
    pictures.

    The loss: how far what is seen of purified pictures is from what the model's own tower sees of
    the clean ones, as a share of how far purification guided by CLIP alone moves it (of a network
    alone: of how far attacks do, which is the same for all networks); and the divergence of the
    first words that the model would say.

    Args:
        pool: questions to ask beside the pictures' own. out: of checkpoint.pt and train.jsonl.
        start: whose update is gone on with.
    """
    # 1. What the loss measures by, and the tower that learns
    held_out = [_HeldOut.of(file, model, pool) for file in pair_files(pairs)[: config.held]]
    moved = [
        batch.adversarial
        if _alone(purifier)
        else _forced(purifier, batch.clean, model.tower, config)
        for batch in held_out
    ]
    distance = FeatureDistance(model, [batch.clean for batch in held_out], moved)
    tower, parameters = _with_adapter(model.tower, config)
    if start:
        for name, parameter in _learned(tower):
            parameter.data.copy_(start.tensors[_kept_name(name)])

    # 2. The steps
    def loss_at(step: int) -> Loss:
        rng = random.Random(f"{config.seed}:{step}")
        targets, pixels, questions = _batch(
            maker, pair_files(pairs)[config.held :], step, distance, rng, config
        )
        features = distance(_purified(purifier, pixels, tower, rng, config), tower=tower)
        rest = distance.left(features, targets)
        kl = divergence(model, features[0], targets[0], questions, pool, rng)
        loss = (rest * rest.new_tensor(WEIGHTS)).sum() + config.said * kl
        return loss, {"shift left": rest[0].item(), "divergence": kl.item()}

    learn(
        out,
        parameters,
        _optimizer(tower, config),
        loss_at,
        steps=config.steps,
        rate=lambda step: (
            config.rate * trapezoid(step, config.steps, warm=60, decay=config.decay, end=0.03)
        ),
        decay=config.average,
        check=config.check,
    )

    # 3. The encoder, measured on the held-out pairs
    encoder = LoraEncoder(_tensors(tower), {"config": asdict(config)})
    counts = {
        "attacked pictures": sum(
            len(load_pairs(file).clean) for file in pair_files(pairs)[config.held :]
        )
    }
    measures = _measure(model, encoder.apply_to(model), purifier, held_out, config)
    return replace(encoder, facts=encoder.facts | counts | measures)


@torch.no_grad()
def _most_moved(
    model: EmbeddedVLM, clean: Tensor, adversarial: Tensor, pool: Asked
) -> list[list[str]]:
    """Return of the questions on each picture the one to which an attack moves the first word most,
    by KL divergence, where it is moved by more than MOVED: what the attack was after, or nearly.
    All of them elsewhere.

    Args:
        clean, adversarial: visual tokens of the picture and of the attacked one, [N, V, D].
    """
    questions = [list(own) for own in pool]
    for i, own in enumerate(questions):
        if own:
            rows = [i] * len(own)
            p, q = (
                model.logits(x[rows], own, [""] * len(own))[0][:, -1].log_softmax(-1)
                for x in (clean, adversarial)
            )
            most, which = (p.exp() * (p - q)).sum(-1).max(0)
            if most > MOVED:
                questions[i] = [own[int(which)]]
    return questions


@torch.no_grad()
def _batch(
    maker: PairMaker,
    files: Sequence[Path],
    step: int,
    distance: FeatureDistance,
    rng: random.Random,
    config: AdapterConfig,
) -> tuple[Seen, Tensor, Asked]:
    """Return what is seen of clean pictures, the same attacked or not, and questions on them."""
    if rng.random() < config.attacked:
        pairs = load_pairs(rng.choice(files)).to(maker.device)
        targets, adversarial = distance.of(*pairs.clean_seen), distance.of(*pairs.adversarial_seen)
        questions = _most_moved(distance.model, targets[0], adversarial[0], pairs.asked)
        return (
            targets,
            pairs.adversarial[rng.randrange(len(pairs.adversarial))].float() / 255,
            questions,
        )
    pixels, questions = maker.plain(step)
    return distance(pixels), pixels, questions


@torch.no_grad()
def _purified(
    purifier: PurifierPipeline,
    pixels: Tensor,
    tower: Tower,
    rng: random.Random,
    config: AdapterConfig,
) -> Tensor:
    """The pictures as the model may be shown them. tower: with the update so far."""
    if _alone(purifier):
        generator = torch.Generator().manual_seed(rng.randrange(1 << 30))
        return purifier.purify(pixels, noise=config.noise, generator=generator)
    if rng.random() < config.chance:
        return purifier.purify(
            pixels, always=True, generator=torch.Generator().manual_seed(rng.randrange(1 << 30))
        )
    denoised = purifier.denoise(pixels)
    if rng.random() < config.guided:
        denoised, _ = towards_reference(denoised, tower)
    quality, side = rng.choice(config.strengths)
    return quantise_at(denoised, quality, side).clamp(0, 1)


def trainable_model() -> EmbeddedVLM:
    """The shipped model on a tower of float matrices: LoRA does not take those that are kept as
    int8."""
    model = EmbeddedVLM.from_pretrained()
    return model.with_tower(load_tower(model.config.tower))


def _with_adapter(tower: Tower, config: AdapterConfig) -> tuple[Tower, nn.ParameterList]:
    """A copy of the tower with an untrained update, and what it learns."""
    torch.manual_seed(config.seed)
    other = copy.deepcopy(tower).requires_grad_(False)
    names = rf".*resblocks\.\d+\.({'|'.join(MATRICES)})"
    inject_adapter_in_model(
        LoraConfig(r=config.rank, lora_alpha=config.rank, target_modules=names), other
    )
    for name, parameter in other.named_parameters():
        if ".lora_" in name or ".ln_" in name:
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)
    return other, nn.ParameterList(p for _, p in _learned(other))


def _learned(tower: Tower) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in tower.named_parameters() if p.requires_grad]


def _optimizer(tower: Tower, config: AdapterConfig) -> torch.optim.Optimizer:
    norms, matrices = (
        [p for name, p in _learned(tower) if (".ln_" in name) is kind] for kind in (True, False)
    )
    groups = [
        {"params": matrices, "share": 1.0},
        {"params": norms, "share": config.norms, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.rate, betas=(0.9, 0.99), weight_decay=1e-2)


def _tensors(tower: Tower) -> dict[str, Tensor]:
    """The LoRA encoder's tensors, by its names."""
    tensors = {}
    for name, value in _learned(tower):
        tensors[_kept_name(name)] = value.detach().half().float()  # as it will be written
    return tensors


def _kept_name(name: str) -> str:
    return name.replace(".lora_A.default.weight", DOWN).replace(".lora_B.default.weight", UP)


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """A batch that is not learned from. clean, adversarial: as they are and attacked, [N, 3, H, W].
    prompts, texts: N questions and what the model says of the clean picture."""

    clean: Tensor
    adversarial: Tensor
    prompts: list[str]
    texts: list[str]

    @classmethod
    @torch.no_grad()
    def of(cls, file: Path, model: EmbeddedVLM, pool: Sequence[str]) -> "_HeldOut":
        pairs = load_pairs(file).to(model.tower.mean.device)
        rng = random.Random(file.name)
        clean, adversarial = (x.float() / 255 for x in (pairs.clean, pairs.adversarial[-1]))
        prompts = [rng.choice(own or pool) for own in pairs.asked]
        return cls(
            clean, adversarial, prompts, [answer.text for answer in model.answer(clean, prompts)]
        )


@torch.no_grad()
def _forced(
    purifier: PurifierPipeline, pixels: Tensor, lora_encoder: Tower, config: AdapterConfig
) -> Tensor:
    """The pictures as they are purified where the detector finds an attack, on 8-bit levels."""
    if _alone(purifier):
        generator = torch.Generator().manual_seed(config.seed)
        return purifier(pixels, noise=config.noise, generator=generator).images
    denoised = purifier.denoise(pixels)
    return to_levels(purifier.restore(denoised, lora_encoder=lora_encoder).clamp(0, 1))


def _alone(purifier: PurifierPipeline) -> bool:
    """Return whether nothing stands behind its network: it has no attack detector."""
    return purifier.config["attack_detector"] is None


@torch.no_grad()
def _measure(
    model: EmbeddedVLM,
    after: EmbeddedVLM,
    purifier: PurifierPipeline,
    held_out: Sequence[_HeldOut],
    config: AdapterConfig,
) -> dict[str, Any]:
    """Return of held-out batches, attacked and not, each purified by force: shares of answers that
    are those of the clean picture, and -log p of these, without the LoRA encoder and through it. Of
    the same pictures, other crops may have been learned from."""
    report: dict[str, Any] = {}
    for kind, which in (("attacked", "adversarial"), ("never attacked", "clean")):
        report[kind] = {"questions": sum(len(batch.texts) for batch in held_out)}
        for name, speaker in (("before", model), ("after", after)):
            same, surprise = [], []
            for batch in held_out:
                visual = speaker.see(
                    _forced(purifier, getattr(batch, which), speaker.tower, config)
                )
                answers = speaker.answer_seen(visual, batch.prompts)
                same += [
                    float(answer.text == text)
                    for answer, text in zip(answers, batch.texts, strict=True)
                ]
                surprise += (-speaker.score(visual, batch.prompts, batch.texts)).tolist()
            report[kind] |= {name: round(sum(same) / len(same), 4)}
            report[kind] |= {f"surprise {name}": round(sum(surprise) / len(surprise), 4)}
    return report
