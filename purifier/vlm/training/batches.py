"""What one step of training sees: several texts packed behind each picture, the loss, and the validation.

Kept apart from the loop (purifier.vlm.training.fitting) that repeats it.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from purifier.vlm.features import LAYERS
from purifier.vlm.model import EmbeddedVLM
from purifier.vlm.training.boxes import Text
from purifier.vlm.training.cache import FeatureCache
from purifier.vlm.training.data import CAPTION, Picture, class_frequency, train_texts
from purifier.vlm.training.packing import pack


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Chosen on the validation part of `train`.

    blind: the same model without the picture, for the baseline. lr: of the language model; lr_new: of the connector.
    answer_weight: of an answer's tokens beside a caption's, of which there are many more. texts: at most so many of a
    picture at a time. average: decay of the moving average of the weights, which is what is kept. stop_after: end after
    so many epochs, to be gone on with later. layers: of the language model; language: its other settings. vision: the
    layers of the tower that are seen.
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
    config: TrainConfig,
    rng: random.Random,
) -> Tensor:
    """The weighted cross-entropy of one batch of pictures, each in a random view, with a random part of its texts."""
    views = [rng.randrange(config.views) for _ in rows]
    texts = [train_texts(p, v, frequency, rng, splits=config.splits) for p, v in zip(rows, views, strict=True)]
    if config.blind:  # a caption without its picture teaches nothing about answers
        texts = [[text for text in group if text.kind != CAPTION] for group in texts]
    texts = [rng.sample(t, min(config.texts, len(t))) for t in texts]
    full = [(p, v, t) for p, v, t in zip(rows, views, texts, strict=True) if t]
    if not full:  # crops that leave every box in doubt, and nothing else to ask
        return model.language.get_input_embeddings().weight.sum() * 0
    logits, labels, weights = packed_logits(model, full, features, config)
    losses = F.cross_entropy(logits.float(), labels, reduction="none", label_smoothing=config.smoothing)
    return (losses * weights).sum() / weights.sum()


def packed_logits(
    model: EmbeddedVLM, rows: Sequence[tuple[Picture, int, list[Text]]], features: FeatureCache, config: TrainConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits [K, vocabulary], labels [K] and weights [K] of the K tokens to be said, in order of pictures and texts."""
    words = model.vocabulary
    ids = [[(words.prompt(t.prompt), words.answer(t.answer)) for t in texts] for _, _, texts in rows]
    packed = pack(ids, pad=words.pad)
    weights = [
        1.0 if text.kind == CAPTION else config.answer_weight
        for (_, _, texts), pairs in zip(rows, ids, strict=True)
        for text, (_, answer) in zip(texts, pairs, strict=True)
        for _ in answer
    ]
    picks = [(p.name, v) for p, v, _ in rows]
    visual = model.unseen(len(rows)) if config.blind else model.connector(*features.take(picks))
    V = visual.shape[1]
    embeds = torch.cat([visual, model.language.get_input_embeddings()(packed.ids)], 1)
    hidden = model.language.base_model(
        inputs_embeds=embeds,
        attention_mask=torch.zeros(()).where(packed.mask(V), torch.finfo(torch.bfloat16).min).to(visual.dtype),
        position_ids=torch.cat([torch.arange(V).expand(len(rows), V), packed.positions + V], 1),
        use_cache=False,
    ).last_hidden_state
    said = packed.labels != -100
    return model.head(hidden[:, V:][said]), packed.labels[said], torch.tensor(weights)


@torch.no_grad()
def validate(
    model: EmbeddedVLM, pictures: Sequence[Picture], features: FeatureCache, config: TrainConfig
) -> dict[str, float]:
    """On the validation part: caption loss in nats a token, and how many answers greedy decoding would get right."""
    model.eval()
    frequency, rng = class_frequency(pictures), random.Random(0)
    known = [(p, 0, train_texts(p, 0, frequency, rng, splits=("val",))) for p in pictures]
    known = [row for row in known if row[2]]
    hits: dict[str, list[float]] = {}
    for start in range(0, len(known), config.batch):
        rows = known[start : start + config.batch]
        logits, labels, _ = packed_logits(model, rows, features, config)
        losses = F.cross_entropy(logits.float(), labels, reduction="none").tolist()
        right = (logits.argmax(-1) == labels).tolist()
        at = 0
        for text in (text for _, _, texts in rows for text in texts):
            here = slice(at, at + len(model.vocabulary.answer(text.answer)))
            at = here.stop
            if text.kind == CAPTION:
                hits.setdefault("caption loss", []).extend(losses[here])
            else:
                group = "human" if text.kind == "human" else "boxes"
                hits.setdefault(group, []).append(float(all(right[here])))
                hits.setdefault(group + " loss", []).append(sum(losses[here]))
    return {key: sum(values) / len(values) for key, values in sorted(hits.items())}


def has_texts(picture: Picture, splits: Sequence[str], *, blind: bool = False) -> bool:
    """Whether there is something to learn from the picture in these splits; for a blind model, a question."""
    own = bool(picture.boxes or (picture.captions and not blind)) and picture.split in splits
    return own or any(q.split in splits for q in picture.questions)


def batches(pictures: Sequence[Picture], size: int, rng: random.Random) -> Iterator[list[Picture]]:
    """In random order, but with pictures of like many texts together: less padding."""
    order = rng.sample(list(pictures), len(pictures))
    groups = []
    for start in range(0, len(order), 8 * size):
        part = sorted(order[start : start + 8 * size], key=_words)
        groups += [part[i : i + size] for i in range(0, len(part), size)]
    yield from rng.sample(groups, len(groups))


def _words(picture: Picture) -> float:
    """About how many words there are to learn from a picture at a time."""
    asked = sum(len(q.question.split()) + 3 for q in picture.questions)
    return 15 * len(picture.captions) + asked + 80 * bool(picture.boxes)
