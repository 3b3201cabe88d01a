"""The training loop of the embedded vision-language model."""

import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from diffusers.training_utils import EMAModel

from causalclip.clip.backbones import load_tower
from causalclip.clip.runtime import fast_dtype
from purifier.vlm.model import EmbeddedVLM
from training.purifier.loop import averaged, log_row, precision, resume, save_checkpoint
from training.vlm.config import VLMTrainConfig
from training.vlm.data import FeatureCache, Picture, class_frequency, load_pictures
from training.vlm.loss import step_loss, validate_vlm
from training.vlm.packing import PACKED
from training.vlm.untrained import build_model

CACHE, CPU = Path(".cache/vlm"), torch.device("cpu")


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
    lesson = [p for p in pictures if _has_texts(p, config.splits, blind=config.blind)]
    steps = math.ceil(len(lesson) / config.batch)
    average = EMAModel(model.parameters(), decay=config.average)
    worker = EmbeddedVLM(model.config, model.vocabulary, model.tower, answers=model.answers)
    worker.load_state_dict(model.state_dict())
    worker.to(device=device, dtype=fast_dtype() if device.type == "cpu" else None)
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


def _has_texts(picture: Picture, splits: Sequence[str], *, blind: bool = False) -> bool:
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
