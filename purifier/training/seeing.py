"""Trains an adapted encoder on adversarial pairs and on pictures that nobody attacked: through it the model shall see
in purified pictures what it sees in clean ones, and say the same. Offline.

Connector and language model are frozen, and so is CLIP but for the update. The model's own view of the clean picture is
the goal, so that no labels are needed.
"""

import copy
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

from causalclip.clip.tower import Tower
from purifier.attacks.budget import to_levels
from purifier.denoiser.filters import quantise_at
from purifier.denoiser.pipeline import PurifierPipeline, towards_twin
from purifier.running import Loss, learn
from purifier.training import make_missing
from purifier.training.card import write_eye_card
from purifier.training.loop import pair_files
from purifier.training.pairs import PairMaker, PairsConfig, load_pairs
from purifier.training.sight import Asked, Seen, Sight, divergence
from purifier.training.sources import question_pool, training_sources
from purifier.vlm import EmbeddedVLM
from purifier.vlm.eye import DOWN, MATRICES, UP, Eye

PARTS = (1.0, 0.3, 0.3)  # of the loss: visual tokens, patch tokens, embedding
MOVED = 0.3  # nats, from which on an answer was moved


@dataclass(frozen=True, slots=True)
class SeeingConfig:
    """rank: of the update of a matrix. steps, rate: of the optimiser; a step is one batch. norms: the share of the rate
    for LayerNorms. decay: the last share of the run, over which the rate falls nearly to 0. said: the weight of the
    divergence. attacked: the share of batches that are of pairs. strengths: of the quantisation, one a step, its
    quality and short side in px. chance: the share of steps in which pictures are purified by chance, as without the
    gate. guided: the share of the others in which what the network leaves is guided first, by what this encoder sees
        so far.
    held: the first so many files of pairs are not learned from. average: of the weights. check: every how many steps it
    is measured and saved."""

    rank: int = 32
    steps: int = 1000
    rate: float = 3e-4
    norms: float = 0.1
    decay: float = 0.7
    said: float = 4.0
    attacked: float = 0.5
    strengths: tuple[tuple[int, int], ...] = ((50, 224), (30, 224), (30, 224), (20, 224), (10, 176), (10, 176))
    guided: float = 0.5
    chance: float = 0.1
    held: int = 5
    average: float = 0.99
    check: int = 150
    seed: int = 0


def learn_eye(
    data: Path,
    forensics: Path | None,
    out: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    batches: int = 400,
    cache: Path = Path(".cache/purifier"),
    model: EmbeddedVLM | None = None,
    purifier: PurifierPipeline | None = None,
) -> dict[str, Any]:
    """Makes the pairs that are missing, trains, and writes the encoder and its card to `out`; returns its facts.

    Args:
        data, forensics: as of training_sources; questions are taken from `data`.
        settings: "pairs": of PairsConfig; "eye": of SeeingConfig.
        batches: of pairs. cache: of pairs, and in a folder named as `out` of checkpoint and log: a run that was stopped
            goes on.
        model, purifier: the shipped ones if None.

    Raises:
        FileNotFoundError: the data is not there. WeightsMissing: a model is not. ValueError: there are too few pairs.
    """
    chosen = dict(settings or {})
    config, pairs = SeeingConfig(**chosen.get("eye", {})), cache / "eye-pairs"
    model, purifier = model or EmbeddedVLM.from_pretrained(), purifier or PurifierPipeline.from_pretrained()
    sources, kinds = training_sources(data, forensics), PairsConfig(**chosen.get("pairs", {}))
    if batches <= config.held:
        raise ValueError(f"More than {config.held} batches of pairs are needed: so many are held out.")
    maker = make_missing(sources, kinds, pairs, tower=model.tower, batches=batches)
    eye = fit_eye(model, purifier, maker, pairs, question_pool(data), cache / out.name, config)
    eye.save_pretrained(out)
    write_eye_card(out, eye)
    return eye.facts


def fit_eye(
    model: EmbeddedVLM,
    purifier: PurifierPipeline,
    maker: PairMaker,
    pairs: Path,
    pool: Sequence[str],
    out: Path,
    config: SeeingConfig,
) -> Eye:
    """Learns from the pairs in `pairs`, also those added meanwhile, and from the maker's plain pictures.

    The loss: how far what is seen of purified pictures is from what the model's own tower sees of the clean ones, as a
    share of how far purification guided by CLIP alone moves it; and the divergence of the first words that the model
    would say.

    Args:
        pool: questions to ask beside the pictures' own. out: of checkpoint.pt and train.jsonl.

    Raises:
        ValueError: there are no pairs beside the held-out ones.
    """
    if len(pair_files(pairs)) <= config.held:
        raise ValueError(f"More than {config.held} batches of pairs are needed. Make more of them.")
    held = [_Held.of(file, model, pool) for file in pair_files(pairs)[: config.held]]
    sight = Sight(model, [h.clean for h in held], [to_levels(purifier.forced(h.clean, eye=model.tower)) for h in held])
    tower, learned = _learner(model.tower, config)
    average = copy.deepcopy(learned)

    def loss_at(step: int) -> Loss:
        rng = random.Random(f"{config.seed}:{step}")
        wanted, pixels, asked = _batch(maker, pair_files(pairs)[config.held :], step, sight, rng, config)
        seen = sight(_purified(purifier, pixels, tower, rng, config), tower=tower)
        left = sight.left(seen, wanted)
        said = divergence(model, seen[0], wanted[0], asked, pool, rng)
        loss = (left * left.new_tensor(PARTS)).sum() + config.said * said
        return loss, {"shift left": left[0].item(), "divergence": said.item()}

    learn(
        out,
        learned,
        average,
        _optimizer(tower, config),
        loss_at,
        steps=config.steps,
        rate=partial(_rate, config=config),
        decay=config.average,
        check=config.check,
    )
    eye = Eye(_tensors(tower, average), {"config": asdict(config)})
    learned_from = pair_files(pairs)[config.held :]
    counts = {"attacked pictures": sum(len(load_pairs(file).clean) for file in learned_from)}
    return replace(eye, facts=eye.facts | counts | measured(model, eye.applied_to(model), purifier, held))


@torch.no_grad()
def most_moved(model: EmbeddedVLM, clean: Tensor, moved: Tensor, asked: Asked) -> list[list[str]]:
    """Of the questions on each picture the one to which an attack moves the first word most, by KL divergence, where it
    is moved by more than MOVED: what the attack was after, or nearly. All of them where it is not.

    Args:
        clean, moved: visual tokens of the picture and of the attacked one, [N, V, D].
    """
    found = [list(own) for own in asked]
    for i, own in enumerate(found):
        if own:
            rows = [i] * len(own)
            p, q = (model.logits(x[rows], own, [""] * len(own))[0][:, -1].log_softmax(-1) for x in (clean, moved))
            most, which = (p.exp() * (p - q)).sum(-1).max(0)
            if most > MOVED:
                found[i] = [own[int(which)]]
    return found


def _batch(
    maker: PairMaker, files: Sequence[Path], step: int, sight: Sight, rng: random.Random, config: SeeingConfig
) -> tuple[Seen, Tensor, Asked]:
    """What is seen of clean pictures, the same attacked or not, and questions on them."""
    if rng.random() < config.attacked:
        pairs = load_pairs(rng.choice(files))
        with torch.no_grad():
            wanted, moved = sight.of(*pairs.clean_seen), sight.of(*pairs.moved_seen)
        asked = most_moved(sight.model, wanted[0], moved[0], pairs.asked)
        return wanted, pairs.moved[rng.randrange(len(pairs.moved))].float() / 255, asked
    pixels, asked = maker.plain(step)
    with torch.no_grad():
        return sight(pixels), pixels, asked


@torch.no_grad()
def _purified(
    purifier: PurifierPipeline,
    pixels: Tensor,
    tower: Tower,
    rng: random.Random,
    config: SeeingConfig,
) -> Tensor:
    """The pictures as the model may be shown them. tower: with the update so far."""
    if rng.random() < config.chance:
        return purifier.purify(pixels, always=True, generator=torch.Generator().manual_seed(rng.randrange(1 << 30)))
    walked = purifier.without_perturbation(pixels)
    if rng.random() < config.guided:
        walked, _ = towards_twin(walked, tower)
    quality, side = rng.choice(config.strengths)
    return quantise_at(walked, quality, side).clamp(0, 1)


def _learner(tower: Tower, config: SeeingConfig) -> tuple[Tower, nn.ParameterList]:
    """A copy of the tower with an untrained update, and what it learns."""
    torch.manual_seed(config.seed)
    other = copy.deepcopy(tower).requires_grad_(False)
    names = rf".*resblocks\.\d+\.({'|'.join(MATRICES)})"
    inject_adapter_in_model(LoraConfig(r=config.rank, lora_alpha=config.rank, target_modules=names), other)
    for name, parameter in other.named_parameters():
        if ".lora_" in name or ".ln_" in name:
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)
    return other, nn.ParameterList(p for _, p in _learned(other))


def _learned(tower: Tower) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in tower.named_parameters() if p.requires_grad]


def _optimizer(tower: Tower, config: SeeingConfig) -> torch.optim.Optimizer:
    norms, matrices = ([p for name, p in _learned(tower) if (".ln_" in name) is kind] for kind in (True, False))
    groups = [{"params": matrices, "share": 1.0}, {"params": norms, "share": config.norms, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.rate, betas=(0.9, 0.99), weight_decay=1e-2)


def _rate(step: int, config: SeeingConfig) -> float:
    """Warm-up over 60 steps, constant, then a straight fall."""
    return config.rate * min(1.0, (step + 1) / 60, (1.03 - step / config.steps) / config.decay)


def _tensors(tower: Tower, values: nn.ParameterList) -> dict[str, Tensor]:
    """The adapted encoder's tensors, by its names."""
    found = {}
    for (name, _), value in zip(_learned(tower), values, strict=True):
        own = name.replace(".lora_A.default.weight", DOWN).replace(".lora_B.default.weight", UP)
        found[own] = value.detach().half().float()  # as it will be written
    return found


@dataclass(frozen=True, slots=True)
class _Held:
    """A batch that is not learned from. clean, moved: as they are and attacked, [N, 3, H, W]. prompts, texts: N
    questions and what the model says of the clean picture."""

    clean: Tensor
    moved: Tensor
    prompts: list[str]
    texts: list[str]

    @classmethod
    @torch.no_grad()
    def of(cls, file: Path, model: EmbeddedVLM, pool: Sequence[str]) -> "_Held":
        pairs, rng = load_pairs(file), random.Random(file.name)
        clean, moved = (x.float() / 255 for x in (pairs.clean, pairs.moved[-1]))
        prompts = [rng.choice(own or pool) for own in pairs.asked]
        return cls(clean, moved, prompts, [answer.text for answer in model.answer(clean, prompts)])


@torch.no_grad()
def measured(
    model: EmbeddedVLM, adapted: EmbeddedVLM, purifier: PurifierPipeline, held: Sequence[_Held]
) -> dict[str, Any]:
    """Of held-out batches, attacked and not, each purified by force: shares of answers that are those of the clean
    picture, and -log p of these, without the adapted encoder and through it. Of the same pictures, other crops may
    have been learned from."""
    report: dict[str, Any] = {}
    for kind, which in (("attacked", "moved"), ("never attacked", "clean")):
        report[kind] = {"questions": sum(len(h.texts) for h in held)}
        for name, speaker in (("before", model), ("after", adapted)):
            same, surprise = [], []
            purified = [to_levels(purifier.forced(getattr(h, which), eye=speaker.tower)) for h in held]
            for h, pixels in zip(held, purified, strict=True):
                visual = speaker.see(pixels)
                given = speaker.answer_seen(visual, h.prompts)
                same += [float(answer.text == text) for answer, text in zip(given, h.texts, strict=True)]
                surprise += (-speaker.score(visual, h.prompts, h.texts)).tolist()
            report[kind] |= {name: round(sum(same) / len(same), 4)}
            report[kind] |= {f"surprise {name}": round(sum(surprise) / len(surprise), 4)}
    return report
