"""The embedded model's skill on `test`: captions, and answers by type of question beside what needs no picture.

    python -m purifier.vlm.training.evaluation DATA --blind FOLDER --out benchmarks/language.json

The blind baseline is the same model trained without the picture (`train_vlm` with `blind=True`); the majority answer is
the most frequent answer of the training split to that type of question. Answers match exactly after normalisation:
lower case, `_` as a space, the members of a comma list in any order.
"""

import argparse
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from causalclip.clip.weights import ASSETS
from purifier.vlm.calibration import fit_confidence
from purifier.vlm.features import View, read_pixels, render_view
from purifier.vlm.interface import Answer
from purifier.vlm.model import EmbeddedVLM
from purifier.vlm.training.boxes import KINDS
from purifier.vlm.training.cache import FeatureCache
from purifier.vlm.training.data import (
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
from purifier.vlm.training.metrics import bleu4, cider, interval

BATCH = 32
GROUPS = {"human": "daquar, all", "boxes": "boxes, all"}
UNSEEN = "daquar, pictures without training questions"


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
        cache: a folder of CLIP's features, as training makes it; without it the pictures are seen anew.

    Returns:
        `captions`: set -> CIDEr, its 95 % interval, BLEU-4, pictures; `answers`: type -> questions, accuracy, its
        interval, blind, majority; `sure`: the share of questions answered with confidence, and the accuracy there.
    """
    pictures = load_pictures(data_root)
    asked = fixed_questions(pictures, class_frequency(pictures), split=split)
    asked += [(p.name, Text(q.question, q.answer, UNSEEN)) for p in pictures for q in p.questions if q.unseen]
    captioned = [p for p in pictures if p.captions and p.split == split]
    names = sorted({name for name, _ in asked} | {p.name for p in captioned})
    seen = _see(model, data_root, names, pictures, cache)
    given = _answers(model, seen, asked)
    guesses = None if blind is None else _answers(blind, _nothing(blind, names), asked)
    return {
        "split": split,
        "captions": _captions(model, seen, captioned),
        "answers": _accuracy_table(asked, given, guesses, _majorities(pictures)),
        "sure": _sure(asked, given),
    }


def calibrate(model: EmbeddedVLM, data_root: Path, *, cache: Path | None = None) -> EmbeddedVLM:
    """Fits the model's confidence on the validation questions, in place."""
    pictures = load_pictures(data_root)
    asked = fixed_questions(pictures, class_frequency(pictures), split="val")
    seen = _see(model, data_root, sorted({name for name, _ in asked}), pictures, cache)
    plain = model.with_config(slope=1.0, offset=0.0)
    given = _answers(plain, seen, asked)
    scores = [math.log(a.confidence / (1 - a.confidence)) for a in given]  # the inverse of the sigmoid: log p
    fitted = fit_confidence(scores, [_same(a, t) for a, (_, t) in zip(given, asked, strict=True)])
    return model.with_config(slope=round(fitted.slope, 4), offset=round(fitted.offset, 4))


def _see(
    model: EmbeddedVLM, root: Path, names: Sequence[str], pictures: Sequence[Picture], cache: Path | None
) -> dict[str, Tensor]:
    """Visual tokens [V, D] of each picture."""
    kept = None
    if cache is not None:
        everything = [p.name for p in pictures]
        kept = FeatureCache.build(model.tower, root, everything, cache, views=1, layers=model.config.layers)
    seen: dict[str, Tensor] = {}
    with torch.inference_mode():
        for start in range(0, len(names), BATCH):
            part = names[start : start + BATCH]
            if kept is not None:
                visual = model.connector(*kept.take([(name, 0) for name in part]))
            else:
                visual = model.see(torch.stack([render_view(read_pixels(root / name), View()) for name in part]))
            seen.update(zip(part, visual, strict=True))
    return seen


def _nothing(model: EmbeddedVLM, names: Sequence[str]) -> dict[str, Tensor]:
    """What a blind model was trained on: no visual tokens at all."""
    with torch.inference_mode():
        return dict.fromkeys(names, model.unseen()[0])


def _answers(model: EmbeddedVLM, seen: dict[str, Tensor], asked: Sequence[tuple[str, Text]]) -> list[Answer]:
    order = sorted(range(len(asked)), key=lambda i: len(asked[i][1].prompt))  # like lengths together: less padding
    found: dict[int, Answer] = {}
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        visual = torch.stack([seen[asked[i][0]] for i in part])
        found.update(zip(part, model.answer_seen(visual, [asked[i][1].prompt for i in part]), strict=True))
    return [found[i] for i in range(len(asked))]


def _captions(model: EmbeddedVLM, seen: dict[str, Tensor], pictures: Sequence[Picture]) -> dict[str, Any]:
    table = {}
    for source in sorted({p.source for p in pictures}):
        group = [p for p in pictures if p.source == source]
        said: list[str] = []
        for start in range(0, len(group), BATCH):
            visual = torch.stack([seen[p.name] for p in group[start : start + BATCH]])
            said += [normalise_caption(c.text) for c in model.caption_seen(visual)]
        references = [[normalise_caption(c) for c in p.captions] for p in group]
        scores = cider(said, references)
        table[source] = {
            "pictures": len(group),
            "cider": round(sum(scores) / len(scores), 4),
            "cider_interval": [round(x, 4) for x in interval(scores)],
            "bleu4": round(bleu4(said, references), 4),
        }
    return table


def _majorities(pictures: Sequence[Picture]) -> dict[str, str]:
    """Type of question -> its most frequent answer in the training split; of people's questions also over all."""
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
    asked: Sequence[tuple[str, Text]],
    given: Sequence[Answer],
    guesses: Sequence[Answer] | None,
    majority: dict[str, str],
) -> dict[str, Any]:
    members: dict[str, list[int]] = defaultdict(list)
    for i, (_, text) in enumerate(asked):
        members[text.kind].append(i)
        if text.kind != UNSEEN:
            members[GROUPS["human" if text.kind.startswith("human") else "boxes"]].append(i)
    group_key = {title: key for key, title in GROUPS.items()} | {UNSEEN: "human"}
    table = {}
    for kind, rows in sorted(members.items()):
        right = [float(_same(given[i], asked[i][1])) for i in rows]
        row: dict[str, Any] = {"questions": len(rows), "accuracy": round(sum(right) / len(rows), 4)}
        row["interval"] = [round(x, 4) for x in interval(right)]
        if guesses is not None:
            row["blind"] = round(sum(_same(guesses[i], asked[i][1]) for i in rows) / len(rows), 4)
        common = majority.get(group_key.get(kind, kind))
        row["majority"] = round(sum(asked[i][1].answer == common for i in rows) / len(rows), 4)
        table[kind] = row
    return table


def _sure(asked: Sequence[tuple[str, Text]], given: Sequence[Answer]) -> dict[str, Any]:
    table = {}
    humans = {t.kind for _, t in asked if t.kind.startswith("human")}
    for title, kinds in (("daquar", humans), ("boxes", set(KINDS))):
        rows = [(a, t) for a, (_, t) in zip(given, asked, strict=True) if t.kind in kinds]
        sure = [_same(a, t) for a, t in rows if a.sure]
        if rows:
            accuracy = round(sum(sure) / len(sure), 4) if sure else None
            table[title] = {"share": round(len(sure) / len(rows), 4), "accuracy": accuracy}
    return table


def _same(answer: Answer, text: Text) -> bool:
    return normalise_answer(answer.text) == text.answer


def main(argv: Sequence[str] | None = None) -> None:
    """The command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Measure the embedded vision-language model on the test split.")
    parser.add_argument("data", type=Path, help="folder with flickr8k.jsonl, coco.jsonl, daquar.jsonl and the pictures")
    parser.add_argument("--model", type=Path, default=ASSETS / "vlm")
    parser.add_argument("--blind", type=Path, help="folder of the same model trained without pictures")
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--cache", type=Path, help="folder of CLIP's features, made if needed, such as .cache/vlm")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/language.json"))
    args = parser.parse_args(argv)
    model = EmbeddedVLM.from_pretrained(args.model)
    blind = EmbeddedVLM.from_pretrained(args.blind, tower=model.tower) if args.blind else None
    results = evaluate_vlm(model, args.data, blind=blind, split=args.split, cache=args.cache)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
