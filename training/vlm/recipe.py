"""Makes the embedded model with all that is said of it, or measures one that is there.

A stopped run goes on where it was, if its options are the same.

Measured is the skill on `test`: the numbers of the card. The blind baseline is the same model
trained without the picture; the majority answer is the most frequent answer of the training split
to that type of question. Answers match
exactly after normalisation: lower case, `_` as a space, the members of a list in any order.
Captions are measured by the COCO caption challenge's own code (pycocoevalcap): CIDEr-D (Vedantam et
al., CVPR 2015, arXiv 1411.5726) and BLEU-4 (Papineni et al., ACL 2002, over the corpus), which take
captions as strings of words with single spaces.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from purifier.vlm.interface import Answer
from purifier.vlm.model import EmbeddedVLM
from training.intervals import bootstrap
from training.purifier.cards import write_vlm_card
from training.vlm.config import VLMTrainConfig
from training.vlm.data import (
    FeatureCache,
    Picture,
    Split,
    Text,
    class_frequency,
    fixed_questions,
    human_kind,
    load_pictures,
    normalise_answer,
    normalise_caption,
    train_texts,
)
from training.vlm.fitting import CACHE, CPU, train_vlm
from training.vlm.loss import no_tokens
from training.vlm.questions import QUESTION_TYPES
from training.vlm.views import View, read_pixels, render_view

WARM_WORDS = (
    "It started from the first layers of all-MiniLM-L6-v2 (Apache-2.0), a sentence encoder, turned "
    "causal, with the word pieces that the texts use."
)
BATCH = 32
GROUPS = {"human": "daquar, all", "boxes": "boxes, all"}
UNSEEN = "daquar, pictures without training questions"
Keyed = dict[int, list[str]]  # captions by the number of their picture


def make_vlm(
    data_root: Path,
    out: Path,
    *,
    config: VLMTrainConfig,
    warm_start: Path | None = None,
    cache: Path = CACHE,
    settings: str = "",
    device: torch.device = CPU,
) -> dict[str, Any]:
    """All of it: trains the model and its blind baseline, fits the confidence, measures on `test`,
    writes the card.

    Args:
        out: the model's folder. The blind baseline stays in the cache.
        settings: a sentence for the card on how the settings were chosen.
        device: where all of it runs.
    """
    options: dict[str, Any] = {"warm_start": warm_start, "cache": cache, "device": device}
    model = train_vlm(data_root, out, config=config, **options)
    calibrate(model, data_root, cache=cache).save_pretrained(out)
    blind_folder = cache / f"{out.name}-blind"
    blind = train_vlm(data_root, blind_folder, config=replace(config, blind=True), **options)
    model_on_disk = EmbeddedVLM.from_pretrained(out, tower=model.tower).to(device)
    report = evaluate_vlm(model_on_disk, data_root, blind=blind, cache=cache)
    write_vlm_card(
        out, report, model=model_on_disk, warm=WARM_WORDS if warm_start else "", settings=settings
    )
    return report


def cider(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each candidate against its references, from 0 to 10.

    Raises:
        ValueError: the two do not match in number, or a candidate has no reference.
    """
    _, scores = Cider().compute_score(*_keyed(candidates, references))
    return [float(score) for score in scores]


def bleu4(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU-4, from 0 to 1; raises as `cider` does."""
    scores, _ = Bleu(4).compute_score(*_keyed(candidates, references), verbose=0)
    return float(scores[3])


def _keyed(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[Keyed, Keyed]:
    """Return (references, candidates) by number, as the library takes them."""
    if len(candidates) != len(references) or not all(references):
        raise ValueError(
            "Every caption needs at least one reference: give as many lists of references as "
            "captions."
        )
    return {i: list(refs) for i, refs in enumerate(references)}, {
        i: [text] for i, text in enumerate(candidates)
    }


def fit_confidence(scores: Sequence[float], right: Sequence[bool]) -> tuple[float, float]:
    """Fit how sure the model may say that it is to how often answers of such likelihood were right
    (Platt scaling): confidence = sigmoid(slope * log p + offset).

    Args:
        scores: log p of each answer.
        right: whether it was the answer expected.

    Returns:
        Slope and offset.

    Raises:
        ValueError: all are right or all are wrong, which fits no curve.
    """
    if not any(right) or all(right):
        raise ValueError("Calibration needs right and wrong answers; give more held-out questions.")
    regression = LogisticRegression(C=np.inf).fit(np.array(scores)[:, None], right)
    return float(regression.coef_[0, 0]), float(regression.intercept_[0])


def evaluate_vlm(
    model: EmbeddedVLM,
    data_root: Path,
    *,
    blind: EmbeddedVLM | None = None,
    split: Split = "test",
    cache: Path | None = None,
) -> dict[str, Any]:
    """Every number of the model card.

    Args:
        blind: the baseline; without it its columns are missing from the table.
        cache: a folder of CLIP's features, as training makes it; without it the pictures are seen
            anew.

    Returns:
        `captions`: set -> CIDEr, its 95 % interval, BLEU-4, pictures; `answers`: type -> questions,
        accuracy, its interval, blind, majority; `sure`: the share of questions answered with
        confidence, and the accuracy there.
    """
    pictures = load_pictures(data_root)
    questions = fixed_questions(pictures, class_frequency(pictures), split=split)
    questions += [
        (p.name, Text(q.question, q.answer, UNSEEN))
        for p in pictures
        for q in p.questions
        if q.unseen
    ]
    with_captions = [p for p in pictures if p.captions and p.split == split]
    names = sorted({name for name, _ in questions} | {p.name for p in with_captions})
    visual = _see(model, data_root, names, pictures, cache)
    answers = _answers(model, visual, questions)
    guesses = None if blind is None else _answers(blind, _nothing(blind, names), questions)
    return {
        "split": split,
        "captions": _captions(model, visual, with_captions),
        "answers": _accuracy_table(questions, answers, guesses, _majorities(pictures)),
        "sure": _sure(questions, answers),
    }


def calibrate(model: EmbeddedVLM, data_root: Path, *, cache: Path | None = None) -> EmbeddedVLM:
    """Fit the model's confidence on the validation questions, in place."""
    pictures = load_pictures(data_root)
    questions = fixed_questions(pictures, class_frequency(pictures), split="val")
    visual = _see(model, data_root, sorted({name for name, _ in questions}), pictures, cache)
    model.config = replace(model.config, slope=1.0, offset=0.0)
    answers = _answers(model, visual, questions)
    # the inverse of the sigmoid: log p
    scores = [math.log(a.confidence / (1 - a.confidence)) for a in answers]
    slope, offset = fit_confidence(
        scores, [_same(a, t) for a, (_, t) in zip(answers, questions, strict=True)]
    )
    model.config = replace(model.config, slope=round(slope, 4), offset=round(offset, 4))
    return model


def _see(
    model: EmbeddedVLM,
    root: Path,
    names: Sequence[str],
    pictures: Sequence[Picture],
    cache: Path | None,
) -> dict[str, Tensor]:
    """Return the visual tokens [V, D] of each picture."""
    features = None
    if cache is not None:
        everything = [p.name for p in pictures]
        features = FeatureCache.build(
            model.tower, root, everything, cache, views=1, layers=model.config.layers
        )
    by_name: dict[str, Tensor] = {}
    with torch.inference_mode():
        for start in range(0, len(names), BATCH):
            part = names[start : start + BATCH]
            if features is not None:
                visual = model.connector(*features.take([(name, 0) for name in part]))
            else:
                visual = model.see(
                    torch.stack([render_view(read_pixels(root / name), View()) for name in part])
                )
            by_name.update(zip(part, visual, strict=True))
    return by_name


def _nothing(model: EmbeddedVLM, names: Sequence[str]) -> dict[str, Tensor]:
    """Return what a blind model was trained on: no visual tokens at all."""
    with torch.inference_mode():
        return dict.fromkeys(names, no_tokens(model, 1)[0])


def _answers(
    model: EmbeddedVLM, visual_of: dict[str, Tensor], questions: Sequence[tuple[str, Text]]
) -> list[Answer]:
    # like lengths together: less padding
    order = sorted(range(len(questions)), key=lambda i: len(questions[i][1].prompt))
    answers: dict[int, Answer] = {}
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        visual = torch.stack([visual_of[questions[i][0]] for i in part])
        answers.update(
            zip(
                part, model.answer_seen(visual, [questions[i][1].prompt for i in part]), strict=True
            )
        )
    return [answers[i] for i in range(len(questions))]


def _captions(
    model: EmbeddedVLM, visual_of: dict[str, Tensor], pictures: Sequence[Picture]
) -> dict[str, Any]:
    table = {}
    for source in sorted({p.source for p in pictures}):
        group = [p for p in pictures if p.source == source]
        captions: list[str] = []
        for start in range(0, len(group), BATCH):
            visual = torch.stack([visual_of[p.name] for p in group[start : start + BATCH]])
            captions += [normalise_caption(c.text) for c in model.caption_seen(visual)]
        references = [[normalise_caption(c) for c in p.captions] for p in group]
        scores = cider(captions, references)
        table[source] = {
            "pictures": len(group),
            "cider": round(sum(scores) / len(scores), 4),
            "cider_interval": [round(x, 4) for x in bootstrap(np.mean, np.array(scores))],
            "bleu4": round(bleu4(captions, references), 4),
        }
    return table


def _majorities(pictures: Sequence[Picture]) -> dict[str, str]:
    """Return by type of question its most frequent answer in the training split; of people's
    questions also over all."""
    frequency, rng = class_frequency(pictures), random.Random(0)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for picture in pictures:
        for text in train_texts(picture, 0, frequency, rng):
            if text.kind == "human":
                counts[human_kind(text.prompt)][text.answer] += 1
            for group in (text.kind, "human" if text.kind == "human" else "boxes"):
                counts[group][text.answer] += 1
    return {kind: count.most_common(1)[0][0] for kind, count in counts.items()}


def _accuracy_table(
    questions: Sequence[tuple[str, Text]],
    answers: Sequence[Answer],
    guesses: Sequence[Answer] | None,
    majority: dict[str, str],
) -> dict[str, Any]:
    members: dict[str, list[int]] = defaultdict(list)
    for i, (_, text) in enumerate(questions):
        members[text.kind].append(i)
        if text.kind != UNSEEN:
            members[GROUPS["human" if text.kind.startswith("human") else "boxes"]].append(i)
    group_key = {title: key for key, title in GROUPS.items()} | {UNSEEN: "human"}
    table = {}
    for kind, rows in sorted(members.items()):
        right = [float(_same(answers[i], questions[i][1])) for i in rows]
        row: dict[str, Any] = {"questions": len(rows), "accuracy": round(sum(right) / len(rows), 4)}
        row["interval"] = [round(x, 4) for x in bootstrap(np.mean, np.array(right))]
        if guesses is not None:
            row["blind"] = round(
                sum(_same(guesses[i], questions[i][1]) for i in rows) / len(rows), 4
            )
        common = majority.get(group_key.get(kind, kind))
        row["majority"] = round(sum(questions[i][1].answer == common for i in rows) / len(rows), 4)
        table[kind] = row
    return table


def _sure(questions: Sequence[tuple[str, Text]], answers: Sequence[Answer]) -> dict[str, Any]:
    table = {}
    humans = {t.kind for _, t in questions if t.kind.startswith("human")}
    for title, kinds in (("daquar", humans), ("boxes", set(QUESTION_TYPES))):
        rows = [(a, t) for a, (_, t) in zip(answers, questions, strict=True) if t.kind in kinds]
        sure = [_same(a, t) for a, t in rows if a.sure]
        if rows:
            accuracy = round(sum(sure) / len(sure), 4) if sure else None
            table[title] = {"share": round(len(sure) / len(rows), 4), "accuracy": accuracy}
    return table


def _same(answer: Answer, text: Text) -> bool:
    return normalise_answer(answer.text) == text.answer
