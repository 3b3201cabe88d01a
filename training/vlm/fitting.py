"""Training of the embedded vision-language model: its loss, its loop, and an untrained model."""

import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.training_utils import EMAModel
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from causalclip.clip.backbones import load_tower
from causalclip.clip.runtime import fast_dtype
from causalclip.clip.tower import Tower
from purifier.vlm.features import LAYERS
from purifier.vlm.model import EmbeddedVLM, VLMConfig
from purifier.vlm.vocabulary import Vocabulary
from training.purifier.loop import averaged, log_row, precision, resume, save_checkpoint
from training.vlm.data import (
    CAPTION,
    FeatureCache,
    Picture,
    class_frequency,
    load_pictures,
    train_texts,
)
from training.vlm.packing import PACKED, pack
from training.vlm.questions import Text
from training.vlm.tokenizer import prune_tokenizer, train_tokenizer

CACHE, CPU = Path(".cache/vlm"), torch.device("cpu")


@dataclass(frozen=True, slots=True)
class VLMTrainConfig:
    """Chosen on the validation part of `train`.

    blind: the same model without the picture, for the baseline. lr: of the language model; lr_new:
    of the connector.
    answer_weight: of an answer's tokens beside a caption's, of which there are many more. texts: at
    most so many of a picture at a time. average: decay of the moving average of the weights, which
    is what is kept. stop_after: end after so many epochs, to be gone on with later. layers: of the
    language model; language: its other settings. vision: the layers of the tower that are seen.
    """

    seed: int = 0
    epochs: int = 7
    batch: int = 16
    texts: int = 12
    lr: float = 3e-4
    lr_new: float = 1e-3
    decay: float = 0.05
    smoothing: float = 0.1
    dropout: float = 0.1
    feature_dropout: float = 0.2
    answer_weight: float = 2.0
    average: float = 0.998
    views: int = 1
    blind: bool = False
    splits: tuple[str, ...] = ("train",)
    stop_after: int | None = None
    layers: int = 4
    vision: tuple[int, ...] = LAYERS
    language: dict[str, Any] = field(default_factory=dict)


def step_loss(
    model: EmbeddedVLM,
    rows: Sequence[Picture],
    features: FeatureCache,
    frequency: dict[str, int],
    config: VLMTrainConfig,
    rng: random.Random,
) -> Tensor:
    """The weighted cross-entropy of one batch of pictures, each in a random view, with a random
    part of its texts."""
    views = [rng.randrange(config.views) for _ in rows]
    texts = [
        train_texts(p, v, frequency, rng, splits=config.splits)
        for p, v in zip(rows, views, strict=True)
    ]
    if config.blind:  # a caption without its picture teaches nothing about answers
        texts = [[text for text in group if text.kind != CAPTION] for group in texts]
    texts = [rng.sample(t, min(config.texts, len(t))) for t in texts]
    examples = [(p, v, t) for p, v, t in zip(rows, views, texts, strict=True) if t]
    if not examples:  # crops that leave every box in doubt, and nothing else to ask
        return model.language.get_input_embeddings().weight.sum() * 0
    logits, labels, weights = packed_logits(model, examples, features, config)
    losses = F.cross_entropy(
        logits.float(), labels, reduction="none", label_smoothing=config.smoothing
    )
    return (losses * weights).sum() / weights.sum()


def packed_logits(
    model: EmbeddedVLM,
    rows: Sequence[tuple[Picture, int, list[Text]]],
    features: FeatureCache,
    config: VLMTrainConfig,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits [K, vocabulary], labels [K] and weights [K] of the K tokens to be said, in
    order of pictures and texts, on the model's device."""
    words, device = model.vocabulary, model.connector.row.device
    ids = [
        [(words.prompt(t.prompt), words.answer(t.answer)) for t in texts] for _, _, texts in rows
    ]
    row_batch = pack(ids, pad=words.pad)
    weights = [
        1.0 if text.kind == CAPTION else config.answer_weight
        for (_, _, texts), pairs in zip(rows, ids, strict=True)
        for text, (_, answer) in zip(texts, pairs, strict=True)
        for _ in answer
    ]
    picks = [(p.name, v) for p, v, _ in rows]
    visual = model.unseen(len(rows)) if config.blind else model.connector(*features.take(picks))
    V = visual.shape[1]
    embeds = torch.cat([visual, model.language.get_input_embeddings()(row_batch.ids.to(device))], 1)
    mask = torch.zeros(()).where(row_batch.mask(V), torch.finfo(torch.bfloat16).min)
    positions = torch.cat([torch.arange(V).expand(len(rows), V), row_batch.positions + V], 1)
    hidden = model.language.base_model(
        inputs_embeds=embeds,
        attention_mask=mask.to(visual),
        position_ids=positions.to(device),
        use_cache=False,
    ).last_hidden_state
    places = (row_batch.labels != -100).nonzero(as_tuple=True)
    labels = row_batch.labels[places].to(device)
    row, token = (index.to(device) for index in places)
    return model.head(hidden[row, token + V]), labels, torch.tensor(weights, device=device)


@torch.no_grad()
def validate_vlm(
    model: EmbeddedVLM, pictures: Sequence[Picture], features: FeatureCache, config: VLMTrainConfig
) -> dict[str, float]:
    """Return the caption loss on the validation part in nats a token, and how many answers greedy
    decoding would get right."""
    model.eval()
    frequency, rng = class_frequency(pictures), random.Random(0)
    examples = [(p, 0, train_texts(p, 0, frequency, rng, splits=("val",))) for p in pictures]
    examples = [row for row in examples if row[2]]
    hits: dict[str, list[float]] = {}
    for start in range(0, len(examples), config.batch):
        rows = examples[start : start + config.batch]
        logits, labels, _ = packed_logits(model, rows, features, config)
        losses = F.cross_entropy(logits.float(), labels, reduction="none").tolist()
        right = (logits.argmax(-1) == labels).tolist()
        offset = 0
        for text in (text for _, _, texts in rows for text in texts):
            span = slice(offset, offset + len(model.vocabulary.answer(text.answer)))
            offset = span.stop
            if text.kind == CAPTION:
                hits.setdefault("caption loss", []).extend(losses[span])
            else:
                group = "human" if text.kind == "human" else "boxes"
                hits.setdefault(group, []).append(float(all(right[span])))
                hits.setdefault(group + " loss", []).append(sum(losses[span]))
    return {key: sum(values) / len(values) for key, values in sorted(hits.items())}


def has_texts(picture: Picture, splits: Sequence[str], *, blind: bool = False) -> bool:
    """Return whether there is something to learn from the picture in these splits; for a blind
    model, a question."""
    own = bool(picture.boxes or (picture.captions and not blind)) and picture.split in splits
    return own or any(q.split in splits for q in picture.questions)


def batches(pictures: Sequence[Picture], size: int, rng: random.Random) -> Iterator[list[Picture]]:
    """Yield pictures in random order, but with pictures of like many texts together: less
    padding."""
    order = rng.sample(list(pictures), len(pictures))
    groups = []
    for start in range(0, len(order), 8 * size):
        part = sorted(order[start : start + 8 * size], key=_count_words)
        groups += [part[i : i + size] for i in range(0, len(part), size)]
    yield from rng.sample(groups, len(groups))


def _count_words(picture: Picture) -> float:
    """Return about how many words there are to learn from a picture at a time."""
    words_of_questions = sum(len(q.question.split()) + 3 for q in picture.questions)
    return 15 * len(picture.captions) + words_of_questions + 80 * bool(picture.boxes)


def train_vlm(
    data_root: Path,
    out: Path,
    *,
    config: VLMTrainConfig | None = None,
    warm_start: Path | None = None,
    cache: Path = CACHE,
    device: torch.device = CPU,
) -> EmbeddedVLM:
    """Train from a data folder (see training.vlm.data) and write the model to `out`.

    Args:
        warm_start: a folder with config.json, tokenizer.json and model.safetensors of a BERT-like
            encoder; without it the tokenizer is learned from the texts and the weights start at
            random.
        cache: of the features, the checkpoint and the log (train.jsonl).
        device: where all of it runs; on a graphics card, products are made in bfloat16.
    """
    config = config or VLMTrainConfig()
    torch.manual_seed(config.seed)
    pictures = load_pictures(data_root)
    tower = load_tower().to(device)
    names = [p.name for p in pictures]
    features = FeatureCache.build(
        tower, data_root, names, cache, views=config.views, layers=config.vision
    )
    model = build_model(pictures, tower, config, warm_start=warm_start).to(device)
    fit_vlm(model, pictures, features, config, folder=cache / out.name)
    model.save_pretrained(out)
    return model


def build_model(
    pictures: Sequence[Picture], tower: Tower, config: VLMTrainConfig, *, warm_start: Path | None
) -> EmbeddedVLM:
    """Make an untrained model, whose vocabulary and known answers are those of the training
    texts."""
    # 1. The words, and a language model: a new one, or the encoder that training starts from
    texts, answers = _words(pictures, config)
    if warm_start is None:
        ids: list[int] = []
        vocabulary = Vocabulary(train_tokenizer(texts))
        language: dict[str, Any] = {
            "model_type": "llama",
            "hidden_size": 320,
            "intermediate_size": 1024,
            "num_attention_heads": 5,
            "max_position_embeddings": 512,
            "tie_word_embeddings": True,
        }
    else:
        tokenizer, ids = prune_tokenizer(
            Tokenizer.from_file(str(warm_start / "tokenizer.json")), texts
        )
        vocabulary = Vocabulary(tokenizer)
        theirs = json.loads((warm_start / "config.json").read_text())
        names = ("hidden_size", "intermediate_size", "num_attention_heads", "hidden_act")
        language = {
            "model_type": "bert",
            "is_decoder": True,
            **{name: theirs[name] for name in names},
            "hidden_dropout_prob": config.dropout,
            # none on attention weights: with it PyTorch leaves its fused attention, at twice the
            # cost here
            "attention_probs_dropout_prob": 0.0,
        }
    language |= {
        "vocab_size": len(vocabulary),
        "pad_token_id": vocabulary.pad,
        "eos_token_id": vocabulary.stop,
        "bos_token_id": None,
        "num_hidden_layers": config.layers,
        **config.language,
    }

    # 2. The model
    settings = VLMConfig(language=language, layers=config.vision, dropout=config.feature_dropout)
    model = EmbeddedVLM(settings, vocabulary, tower, answers=answers)
    if warm_start is not None:
        _warm(model, load_file(warm_start / "model.safetensors"), ids)
    return model


def _words(pictures: Sequence[Picture], config: VLMTrainConfig) -> tuple[list[str], list[str]]:
    """Every text of the training split (questions on boxes: a sample of each picture), and every
    answer."""
    frequency, rng = class_frequency(pictures), random.Random(config.seed)
    texts = [t for p in pictures for _ in range(3) for t in train_texts(p, 0, frequency, rng)]
    answers = (
        {t.answer for t in texts if t.kind != CAPTION}
        | {str(n) for n in range(11)}
        | set(frequency)
    )
    return [x for t in texts for x in (t.prompt, t.answer)] + sorted(answers), sorted(answers)


def _warm(model: EmbeddedVLM, theirs: dict[str, Tensor], ids: list[int]) -> None:
    """Copy the encoder's weights into the causal model, the embeddings of the kept words alone."""
    own = model.language.state_dict()
    for name, tensor in theirs.items():
        target = "bert." + name.removeprefix("bert.")
        if target in own:
            value = tensor[ids] if "word_embeddings" in name else tensor
            own[target] = value.float()[: own[target].shape[0]] if value.dim() else value
    model.language.load_state_dict(own)
    model.language.tie_weights()


def fit_vlm(
    model: EmbeddedVLM,
    pictures: Sequence[Picture],
    features: FeatureCache,
    config: VLMTrainConfig,
    *,
    folder: Path,
) -> None:
    """Train, and leave the averaged weights in `model`.

    A copy runs forwards and backwards, on a processor in its fast type, and `model` keeps the
    weights in float32.
    """
    # 1. What is learned from, and the copy that computes
    device = model.connector.row.device
    folder.mkdir(parents=True, exist_ok=True)
    frequency = class_frequency(pictures)
    lesson = [p for p in pictures if has_texts(p, config.splits, blind=config.blind)]
    steps = math.ceil(len(lesson) / config.batch)
    average = EMAModel(model.parameters(), decay=config.average)
    worker = model.twin(dtype=fast_dtype() if device.type == "cpu" else None)
    worker.language.set_attn_implementation(PACKED)

    # 2. Where a stopped run goes on
    optimizer = _optimizer(model, config)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: _rate(s, steps * config.epochs)
    )
    first = resume(folder, model, average, optimizer, scheduler, device=device)
    _copy(model, worker)

    # 3. The epochs; each is kept
    for epoch in range(first, config.stop_after or config.epochs):
        rng = random.Random(f"{config.seed}:{epoch}")
        torch.manual_seed(config.seed * 1000 + epoch)
        worker.train()
        total = 0.0
        for rows in batches(lesson, config.batch, rng):
            with precision(device):
                loss = step_loss(worker, rows, features, frequency, config, rng)
            loss.backward()
            _take_gradients(model, worker)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            _copy(model, worker)
            average.step(model.parameters())
            total += loss.item()
        with averaged(model, average):
            measures = validate_vlm(model, pictures, features, config)
        log_row(folder, {"epoch": epoch, "loss": total / steps} | measures)
        save_checkpoint(folder, epoch + 1, model, average, optimizer, scheduler)

    # 4. The averaged weights
    average.copy_to(model.parameters())
    model.eval()


def _take_gradients(model: EmbeddedVLM, worker: EmbeddedVLM) -> None:
    """Move the worker's gradients to the model, in the model's precision."""
    for own, theirs in zip(model.parameters(), worker.parameters(), strict=True):
        own.grad = None if theirs.grad is None else theirs.grad.float()
        theirs.grad = None


@torch.no_grad()
def _copy(model: EmbeddedVLM, worker: EmbeddedVLM) -> None:
    """Copy the model's weights into the worker, in the worker's precision."""
    torch._foreach_copy_(list(worker.parameters()), list(model.parameters()))


def _rate(step: int, total: int) -> float:
    """Return the share of the learning rate at a step: it rises over a twentieth of all steps, and
    falls by a cosine to 0.02."""
    warm = min(1.0, (step + 1) / max(1, total // 20))
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, total)))))


def _optimizer(model: EmbeddedVLM, config: VLMTrainConfig) -> torch.optim.Optimizer:
    """Return AdamW over the language model and the connector; matrices alone decay."""
    groups = []
    for module, rate in ((model.language, config.lr), (model.connector, config.lr_new)):
        matrices = [p for p in module.parameters() if p.dim() > 1]
        vectors = [p for p in module.parameters() if p.dim() <= 1]
        groups += [
            {"params": matrices, "lr": rate, "weight_decay": config.decay},
            {"params": vectors, "lr": rate, "weight_decay": 0.0},
        ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
