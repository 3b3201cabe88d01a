"""The loss of the embedded vision-language model on a batch, and what validation measures."""

import random
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from purifier.vlm.model import EmbeddedVLM
from training.vlm.config import VLMTrainConfig
from training.vlm.data import CAPTION, FeatureCache, Picture, class_frequency, train_texts
from training.vlm.packing import pack
from training.vlm.questions import Text


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
    visual = no_tokens(model, len(rows)) if config.blind else model.connector(*features.take(picks))
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
def no_tokens(model: EmbeddedVLM, count: int) -> Tensor:
    """Return the visual tokens of no picture, [count, 0, D]: what a blind baseline is given."""
    return model.language.get_input_embeddings().weight.new_zeros(count, 0, model.width)


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
