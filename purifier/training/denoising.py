"""Trains a feature denoiser on adversarial pairs: through it the model shall see in purified pictures what it sees in
clean ones, and say the same. Offline.

CLIP, the connector and the language model are frozen. Features of a pair's pictures are computed once and kept; a step
then costs the denoiser and the language model alone.
"""

import copy
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from causalclip.clip.runtime import fast_dtype
from purifier.attacks.budget import to_levels
from purifier.denoiser.pipeline import PurifierPipeline
from purifier.prompts.card import write_card
from purifier.prompts.denoiser import FeatureDenoiser, new_denoiser
from purifier.running import blend, log_row, resume, save_checkpoint
from purifier.training import make_missing
from purifier.training.loop import pair_files
from purifier.training.pairs import PairMaker, PairsConfig, load_pairs
from purifier.training.sources import training_sources
from purifier.vlm import CAPTION_PROMPT, EmbeddedVLM
from purifier.vlm.features import clip_features
from purifier.vlm.training.data import class_frequency, load_pictures, train_texts

Purify = Callable[[Tensor], Tensor]  # float [N, 3, H, W] in [0, 1] -> the same, always purified
Asked = Sequence[Sequence[str]]  # questions on each picture
# clean pictures, attacked ones, questions on them, a seed -> what is seen
Look = Callable[[Tensor, Sequence[Tensor], Asked, str], "Views"]


@dataclass(frozen=True, slots=True)
class DenoisingConfig:
    """inner, depth, drop: of the denoiser. steps, batch, rate: of the optimiser. plain: how many batches of pictures
    that nobody attacked there are beside the pairs; they are cheap. clean: the share of views that were never attacked.
    questions: on each picture, at most half of them its own, the others of the pool. held: the first so many files of
    pairs are not learned from. average: of the weights, a step. check: every how many steps the state is kept and a
    line is logged."""

    inner: int = 384
    depth: int = 2
    drop: float = 0.2
    steps: int = 1200
    batch: int = 24
    rate: float = 6e-4
    plain: int = 400
    clean: float = 0.4
    questions: int = 4
    held: int = 10
    average: float = 0.995
    check: int = 100
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Views:
    """One batch of pictures as the model sees it: N, each clean, and K times purified. The first of the K was never
    attacked; the others were, each further than the one before.

    clean: patch tokens [N, P, W] and embedding [N, E] of the clean pictures. purified: the same, [K, N, ..]. prompts,
    texts: [N][Q], questions and what the model says of the clean picture.
    """

    clean: tuple[Tensor, Tensor]
    purified: tuple[Tensor, Tensor]
    prompts: list[list[str]]
    texts: list[list[str]]


def learn_denoiser(
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
    """Makes the pairs and views that are missing, trains, and writes the denoiser and its facts to `out`.

    Args:
        data, forensics: as of training_sources; questions are taken from `data`.
        settings: "pairs": of PairsConfig; "denoiser": of DenoisingConfig.
        batches: of pairs. cache: of pairs and views, and in a folder named as `out` of checkpoint and log: a run that
            was stopped goes on, one that was finished is not made again.
        model, purifier: the shipped ones if None.

    Raises:
        FileNotFoundError: the data is not there. WeightsMissing: a model is not. ValueError: there are too few pairs.
    """
    chosen = dict(settings or {})
    config = DenoisingConfig(**chosen.get("denoiser", {}))
    pairs = PairsConfig(**chosen.get("pairs", {}))
    model, purifier = model or EmbeddedVLM.from_pretrained(), purifier or PurifierPipeline.from_pretrained()
    pool = question_pool(data, seed=config.seed)
    sources, kept = training_sources(data, forensics), cache / "denoiser-pairs"
    maker = make_missing(sources, pairs, kept, tower=model.tower, batches=batches)
    shipped = purifier

    def purify(pixels: Tensor) -> Tensor:
        return to_levels(shipped.forced(pixels))

    def look(clean: Tensor, moved: Sequence[Tensor], asked: Asked, seed: str) -> Views:
        rng = random.Random(f"{config.seed}:{seed}")
        return _look(model, purify, clean, moved, _prompts(asked, pool, config.questions, rng))

    views = seen_views(maker, kept, cache / "denoiser-pairs-seen", look, config)
    denoiser, measured = train_feature_denoiser(model, list(views), config, cache / out.name)
    denoiser.save_pretrained(out, measured)
    write_card(out, measured, parameters=sum(p.numel() for p in denoiser.parameters()))
    return measured


def question_pool(data: Path, *, pictures: int = 300, seed: int = 0) -> list[str]:
    """Questions to learn on: those that the model itself learned from, on some of its training pictures."""
    known = load_pictures(data)
    frequency, rng = class_frequency(known), random.Random(seed)
    able = [p for p in known if p.split == "train"]
    chosen = rng.sample(able, min(pictures, len(able)))
    asked = {t.prompt for picture in chosen for t in train_texts(picture, 0, frequency, rng)}
    return sorted(asked - {CAPTION_PROMPT})


def seen_views(maker: PairMaker, pairs: Path, kept: Path, look: Look, config: DenoisingConfig) -> Iterator[Views]:
    """The views of every file of pairs, and then of pictures that nobody attacked; made by `look` where they are not
    kept.

    What is kept is not told apart by purifier, model or questions: another one needs another folder.
    """
    kept.mkdir(parents=True, exist_ok=True)
    for file in pair_files(pairs):
        target = kept / file.name.replace("pairs", "views")
        if not target.is_file():
            found = load_pairs(file)
            _save(look(found.clean.float() / 255, list(found.moved.float() / 255), found.asked, file.name), target)
        yield _load(target)
    for number in range(config.plain):
        target = kept / f"plain-{number:05d}.safetensors"
        if not target.is_file():
            clean, asked = maker.plain(number)
            _save(look(clean, [], asked, target.name), target)
        yield _load(target)


def _prompts(asked: Asked, pool: Sequence[str], count: int, rng: random.Random) -> list[list[str]]:
    """Questions on each picture, `count` or what there are: at most half from `asked`, the others from the pool."""
    own = [rng.sample(sorted(set(known)), min(count // 2, len(set(known)))) for known in asked]
    rest = [[question for question in pool if question not in known] for known in own]
    return [[*a, *rng.sample(b, min(count - len(a), len(b)))] for a, b in zip(own, rest, strict=True)]


@torch.no_grad()
def _look(
    model: EmbeddedVLM,
    purify: Purify,
    clean: Tensor,
    moved: Sequence[Tensor],
    prompts: list[list[str]],
) -> Views:
    """clean, moved: float [N, 3, H, W], pictures and what attacks made of them. prompts: what each is asked."""
    seen = [clip_features(model.tower, purify(x), layers=model.config.layers) for x in (clean, *moved)]
    own = clip_features(model.tower, clean, layers=model.config.layers)
    visual = model.connector(*own)
    texts = [
        [a.text for a in model.answer_seen(v.expand(len(asked), -1, -1), asked)]
        for v, asked in zip(visual.split(1), prompts, strict=True)
    ]
    return Views(own, (torch.stack([p for p, _ in seen]), torch.stack([e for _, e in seen])), prompts, texts)


def _save(views: Views, path: Path) -> None:
    """The file appears whole."""
    tensors = {"clean_patches": views.clean[0], "clean_embedding": views.clean[1]}
    tensors |= {"purified_patches": views.purified[0], "purified_embedding": views.purified[1]}
    part = path.with_suffix(".part")
    said = {"said": json.dumps([views.prompts, views.texts])}
    save_file({k: v.half().contiguous() for k, v in tensors.items()}, part, metadata=said)
    part.replace(path)


def _load(path: Path) -> Views:
    with safe_open(path, "pt") as file:
        get = file.get_tensor
        clean, purified = ((get(f"{n}_patches"), get(f"{n}_embedding")) for n in ("clean", "purified"))
        return Views(clean, purified, *json.loads(file.metadata()["said"]))


def train_feature_denoiser(
    model: EmbeddedVLM, views: Sequence[Views], config: DenoisingConfig, folder: Path
) -> tuple[FeatureDenoiser, dict[str, Any]]:
    """Learns on all views but those of the first `held` batches of pairs, and measures on these.

    The loss: what is left of the shift of visual tokens, as a share, and -log p a token of what the model says of the
    clean picture.

    Args:
        folder: of checkpoint.pt and train.jsonl; a run that was stopped goes on from there.

    Raises:
        ValueError: there are no pairs beside the held-out ones.
    """
    attacked, plain = ([v for v in views if (len(v.purified[0]) > 1) is kind] for kind in (True, False))
    held, attacked = attacked[: config.held], attacked[config.held :]
    if not held or not attacked:
        raise ValueError(f"More than {max(1, config.held)} batches of pairs are needed. Make more of them.")
    known = attacked + plain
    folder.mkdir(parents=True, exist_ok=True)
    model.eval().requires_grad_(False)
    denoiser = new_denoiser(model, inner=config.inner, depth=config.depth, drop=config.drop, seed=config.seed).train()
    average = copy.deepcopy(denoiser).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(denoiser.parameters(), weight_decay=1e-2, betas=(0.9, 0.98))
    deviation = model.connector(*(x.float() for x in known[0].clean)).flatten(0, 1).std(0) + 1e-3
    lost = []
    for step in range(resume(folder, denoiser, average, optimizer), config.steps):
        clean, purified, prompts, texts = _batch(known, attacked, config, random.Random(f"{config.seed}:{step}"))
        wanted, seen = model.connector(*clean), model.connector(*purified)
        torch.manual_seed(config.seed * config.steps + step)  # of dropout
        with torch.autocast("cpu", torch.bfloat16, enabled=fast_dtype() == torch.bfloat16):
            better = denoiser(purified[0], seen)
        left, shift = (((x - wanted) / deviation).square().mean() for x in (better, seen))
        lengths = torch.tensor([len(model.vocabulary.answer(text)) for text in texts])
        said = -(model.score(better, prompts, texts) / lengths).mean()
        loss = left / shift.clamp_min(1e-6) + said
        optimizer.param_groups[0]["lr"] = config.rate * min(1.0, (step + 1) / 50, 1.02 - step / config.steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(denoiser.parameters(), 1.0)
        optimizer.step()
        blend(average, denoiser, config.average, step)
        lost.append((float(left.detach() / shift), float(said.detach())))
        if (step + 1) % config.check == 0 or step + 1 == config.steps:
            shares = [sum(values) / len(values) for values in zip(*lost, strict=True)]
            log_row(folder, {"step": step + 1, "shift left": shares[0], "-log p": shares[1]})
            save_checkpoint(folder, step + 1, denoiser, average, optimizer)
            lost = []
    return average, facts(model, average, held, config) | {"crops": _count(known), "attacked crops": _count(attacked)}


def _batch(
    views: Sequence[Views], attacked: Sequence[Views], config: DenoisingConfig, rng: random.Random
) -> tuple[list[Tensor], list[Tensor], list[str], list[str]]:
    """Features of clean pictures and of the same purified, with a question each and its answer."""
    rows: list[tuple[Tensor, ...]] = []
    prompts, texts = [], []
    for _ in range(config.batch):
        never = rng.random() < config.clean
        one = rng.choice(views if never else attacked)
        i, k = rng.randrange(len(one.prompts)), 0 if never else rng.randrange(1, len(one.purified[0]))
        j = rng.randrange(len(one.prompts[i]))
        rows.append((one.clean[0][i], one.clean[1][i], one.purified[0][k, i], one.purified[1][k, i]))
        prompts.append(one.prompts[i][j])
        texts.append(one.texts[i][j])
    columns = [torch.stack(column).float() for column in zip(*rows, strict=True)]
    return columns[:2], columns[2:], prompts, texts


@torch.no_grad()
def facts(
    model: EmbeddedVLM, denoiser: FeatureDenoiser, held: Sequence[Views], config: DenoisingConfig
) -> dict[str, Any]:
    """Of held-out batches, attacked and not, each purified: shares of answers that are those of the clean picture, and
    -log p a token of these, without the denoiser and behind it. Of the same pictures, other crops may have been learned
    from."""
    report: dict[str, Any] = {"config": asdict(config)}
    prompts = [text for views in held for asked in views.prompts for text in asked]
    texts = [text for views in held for said in views.texts for text in said]
    times = torch.tensor([len(asked) for views in held for asked in views.prompts])
    lengths = torch.tensor([len(model.vocabulary.answer(text)) for text in texts])
    for kind, which in (("attacked", -1), ("never attacked", 0)):
        shown = [tuple(x[which].float() for x in views.purified) for views in held]
        before = [model.connector(patches, embedding) for patches, embedding in shown]
        after = [denoiser(patches, visual) for (patches, _), visual in zip(shown, before, strict=True)]
        report[kind] = {"questions": len(texts)}
        for name, visual in (("before", before), ("after", after)):
            seen = torch.cat(visual).repeat_interleave(times, dim=0)
            given = model.answer_seen(seen, prompts)
            same = sum(answer.text == text for answer, text in zip(given, texts, strict=True))
            surprise = -(model.score(seen, prompts, texts) / lengths).mean()
            report[kind] |= {name: round(same / len(texts), 4), f"surprise {name}": round(float(surprise), 4)}
    return report


def _count(views: Sequence[Views]) -> int:
    return sum(len(batch.prompts) for batch in views)
