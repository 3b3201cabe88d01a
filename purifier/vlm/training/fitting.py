"""Trains the embedded vision-language model's connector and language model on cached CLIP features.

    train_vlm(Path("data/vlm"), Path("assets/models/vlm"), warm_start=Path("all-MiniLM-L6-v2"))

Several texts are packed behind each picture, so an epoch costs one pass over the visual tokens. The language model
starts from a BERT-like encoder's weights where one is given, turned causal (Rothe et al., TACL 2020, arXiv 1907.12461),
and its vocabulary is cut down to what the texts use. A stopped run goes on from its last whole epoch.
"""

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from causalclip.clip.backbones import load_tower
from causalclip.clip.runtime import fast_dtype
from causalclip.clip.tower import Tower
from purifier.running import blend, log_row, resume, save_checkpoint
from purifier.vlm.attention import PACKED
from purifier.vlm.model import EmbeddedVLM, VLMConfig
from purifier.vlm.training.batches import TrainConfig, batches, has_texts, step_loss, validate
from purifier.vlm.training.cache import FeatureCache
from purifier.vlm.training.data import CAPTION, Picture, class_frequency, load_pictures, train_texts
from purifier.vlm.vocabulary import Vocabulary, prune_tokenizer, train_tokenizer

CACHE = Path(".cache/vlm")


def train_vlm(
    data_root: Path,
    out: Path,
    *,
    config: TrainConfig | None = None,
    warm_start: Path | None = None,
    cache: Path = CACHE,
) -> EmbeddedVLM:
    """Trains from a data folder (see purifier.vlm.training.data) and writes the model to `out`.

    Args:
        warm_start: a folder with config.json, tokenizer.json and model.safetensors of a BERT-like encoder; without it
            the tokenizer is learned from the texts and the weights start at random.
        cache: of the features, the checkpoint and the log (train.jsonl).
    """
    config = config or TrainConfig()
    torch.manual_seed(config.seed)
    pictures = load_pictures(data_root)
    tower = load_tower()
    names = [p.name for p in pictures]
    features = FeatureCache.build(tower, data_root, names, cache, views=config.views, layers=config.vision)
    model = build_model(pictures, tower, config, warm_start=warm_start)
    fit(model, pictures, features, config, folder=cache / out.name)
    model.save_pretrained(out)
    return model


def build_model(
    pictures: Sequence[Picture], tower: Tower, config: TrainConfig, *, warm_start: Path | None
) -> EmbeddedVLM:
    """An untrained model: its vocabulary and its known answers are those of the training texts."""
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
        pruned, ids = prune_tokenizer(Tokenizer.from_file(str(warm_start / "tokenizer.json")), texts)
        vocabulary = Vocabulary(pruned)
        theirs = json.loads((warm_start / "config.json").read_text())
        kept = ("hidden_size", "intermediate_size", "num_attention_heads", "hidden_act")
        language = {"model_type": "bert", "is_decoder": True, **{k: theirs[k] for k in kept}}
        # no dropout on attention weights: with it PyTorch leaves its fused attention, at twice the cost here
        language |= {"hidden_dropout_prob": config.dropout, "attention_probs_dropout_prob": 0.0}
    language |= {"vocab_size": len(vocabulary), "pad_token_id": vocabulary.pad, "eos_token_id": vocabulary.stop}
    language |= {"bos_token_id": None, "num_hidden_layers": config.layers, **config.language}
    settings = VLMConfig(language=language, layers=config.vision, dropout=config.feature_dropout)
    model = EmbeddedVLM(settings, vocabulary, tower, answers=answers)
    if warm_start is not None:
        _warm(model, load_file(warm_start / "model.safetensors"), ids)
    return model


def _words(pictures: Sequence[Picture], config: TrainConfig) -> tuple[list[str], list[str]]:
    """Every text of the training split (questions on boxes: a sample of each picture), and every answer."""
    frequency, rng = class_frequency(pictures), random.Random(config.seed)
    texts = [t for p in pictures for _ in range(3) for t in train_texts(p, 0, frequency, rng)]
    answers = {t.answer for t in texts if t.kind != CAPTION} | {str(n) for n in range(11)} | set(frequency)
    return [x for t in texts for x in (t.prompt, t.answer)] + sorted(answers), sorted(answers)


def _warm(model: EmbeddedVLM, theirs: dict[str, Tensor], ids: list[int]) -> None:
    """Copies the encoder's weights into the causal model, the embeddings of the kept words alone."""
    own = model.language.state_dict()
    for name, tensor in theirs.items():
        target = "bert." + name.removeprefix("bert.")
        if target in own:
            value = tensor[ids] if "word_embeddings" in name else tensor
            own[target] = value.float()[: own[target].shape[0]] if value.dim() else value
    model.language.load_state_dict(own)
    model.language.tie_weights()


def fit(
    model: EmbeddedVLM, pictures: Sequence[Picture], features: FeatureCache, config: TrainConfig, *, folder: Path
) -> None:
    """The training loop; leaves the averaged weights in `model`.

    A copy in the processor's fast type runs forwards and backwards, and `model` keeps the weights in float32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frequency = class_frequency(pictures)
    chosen = [p for p in pictures if has_texts(p, config.splits, blind=config.blind)]
    steps = math.ceil(len(chosen) / config.batch)
    average, worker = model.twin(), model.twin(dtype=fast_dtype())
    worker.language.set_attn_implementation(PACKED)
    optimizer = _optimizer(model, config)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: _rate(s, steps * config.epochs))
    first = resume(folder, model, average, optimizer, scheduler)
    _copy(model, worker)
    for epoch in range(first, config.stop_after or config.epochs):
        rng = random.Random(f"{config.seed}:{epoch}")
        torch.manual_seed(config.seed * 1000 + epoch)
        worker.train()
        total = 0.0
        for rows in batches(chosen, config.batch, rng):
            loss = step_loss(worker, rows, features, frequency, config, rng)
            loss.backward()
            _take_gradients(model, worker)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            _copy(model, worker)
            blend(average, model, config.average, scheduler.last_epoch)
            total += loss.item()
        log_row(folder, {"epoch": epoch, "loss": total / steps} | validate(average, pictures, features, config))
        save_checkpoint(folder, epoch + 1, model, average, optimizer, scheduler)
    model.load_state_dict(average.state_dict())
    model.eval()


def _take_gradients(model: EmbeddedVLM, worker: EmbeddedVLM) -> None:
    """Moves the worker's gradients to the model, in the model's precision."""
    for own, theirs in zip(model.parameters(), worker.parameters(), strict=True):
        own.grad = None if theirs.grad is None else theirs.grad.float()
        theirs.grad = None


@torch.no_grad()
def _copy(model: EmbeddedVLM, worker: EmbeddedVLM) -> None:
    torch._foreach_copy_(list(worker.parameters()), list(model.parameters()))


def _rate(step: int, total: int) -> float:
    warm = min(1.0, (step + 1) / max(1, total // 20))
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, total)))))


def _optimizer(model: EmbeddedVLM, config: TrainConfig) -> torch.optim.Optimizer:
    groups = []
    for module, rate in ((model.language, config.lr), (model.connector, config.lr_new)):
        matrices = [p for p in module.parameters() if p.dim() > 1]
        vectors = [p for p in module.parameters() if p.dim() <= 1]
        groups += [
            {"params": matrices, "lr": rate, "weight_decay": config.decay},
            {"params": vectors, "lr": rate, "weight_decay": 0.0},
        ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
