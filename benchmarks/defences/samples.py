"""The pictures, questions and captions that defences are measured on.

A folder is one of two kinds: the project's own (`coco.jsonl`, `daquar.jsonl`, see
`training.vlm.data`), or one with files in the form of VQAv2 and COCO captions:

    *questions*.json     {"questions": [{"question_id", "image_id", "question"}, ...]}
    *annotations*.json   {"annotations": [{"question_id", "answers": [{"answer"}, ...]}, ...]}
    *captions*.json      {"images": [{"id", "file_name"}, ...],
                          "annotations": [{"image_id", "caption"}, ...]}

with the pictures anywhere in it, by COCO's file names. Either part may be missing: without
questions, a model is asked for captions alone.
"""

import json
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.defences.vqa import vqa_accuracy
from training.vlm.data import (
    SETS,
    class_frequency,
    fixed_questions,
    load_pictures,
    normalise_answer,
    normalise_caption,
)
from training.vlm.views import read_pixels

NUMBER = re.compile(r"(\d+)\.\w+$")  # a picture's id, at the end of COCO's file names


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture and what it is asked.

    Attributes:
        pixels: float [1, 3, H, W] on 8-bit levels, the file's own size.
        question: "" where only captions are known.
        answers: people's; one, or ten as in VQAv2.
        captions: people's, normalised; may be none.
    """

    name: str
    pixels: Tensor
    question: str
    answers: tuple[str, ...]
    captions: tuple[str, ...]

    def accuracy(self, answer: str) -> float:
        """How right an answer is, in [0, 1]: as one person's or not, of ten as VQAv2 counts."""
        if not self.answers:
            return 0.0
        if len(self.answers) > 1:
            return vqa_accuracy(answer, self.answers)
        return float(normalise_answer(answer) == normalise_answer(self.answers[0]))


def load_samples(root: Path, *, count: int, seed: int, with_questions: bool = True) -> list[Sample]:
    """`count` pictures, drawn by the seed, with one question each.

    Args:
        with_questions: False draws pictures that people captioned, without a question.

    Raises:
        FileNotFoundError: the folder has neither form, or nothing to ask.
    """
    if any((root / f"{name}.jsonl").is_file() for name in SETS):
        return _own(root, count, seed) if with_questions else _captioned(root, count, seed)
    return _public(root, count, seed, with_questions=with_questions)


def load_captions(root: Path) -> dict[str, tuple[str, ...]]:
    """People's captions of each picture by its name, normalised; none outside the test split."""
    if any((root / f"{name}.jsonl").is_file() for name in SETS):
        return {
            picture.name: _normalised(picture.captions) if picture.split == "test" else ()
            for picture in load_pictures(root)
        }
    captions = _captions_by_id(root)
    return {
        path.relative_to(root).as_posix(): captions.get(number, ())
        for number, path in _pictures_by_id(root).items()
    }


def _own(root: Path, count: int, seed: int) -> list[Sample]:
    """Of the project's own form: as many of each collection as there are, in turns."""
    pictures = {picture.name: picture for picture in load_pictures(root)}
    frequency = class_frequency(pictures.values())
    texts = defaultdict(list)
    for name, text in fixed_questions(pictures.values(), frequency, split="test"):
        texts[name].append(text)
    if not texts:
        raise FileNotFoundError("There are no questions in the test split of this data.")

    captions, rng = load_captions(root), random.Random(seed)
    samples = []
    for name in _in_turns(sorted(texts), rng)[:count]:
        text = rng.choice(texts[name])
        pixels = _pixels(root / name)
        samples.append(Sample(name, pixels, text.prompt, (text.answer,), captions[name]))
    return samples


def _captioned(root: Path, count: int, seed: int) -> list[Sample]:
    """Of the project's own form, pictures with captions, which are asked nothing."""
    captions = {name: texts for name, texts in load_captions(root).items() if texts}
    if not captions:
        raise FileNotFoundError("There are no captions in the test split of this data.")
    drawn = _in_turns(sorted(captions), random.Random(seed))[:count]
    return [Sample(name, _pixels(root / name), "", (), captions[name]) for name in drawn]


def _public(root: Path, count: int, seed: int, *, with_questions: bool) -> list[Sample]:
    """Of VQAv2's and COCO's form."""
    # 1. What was asked and said of each picture
    questions: defaultdict[int, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
    answers = {
        entry["question_id"]: tuple(answer["answer"] for answer in entry["answers"])
        for entry in _entries(root, "*annotations*.json", "annotations")
        if "question_id" in entry
    }
    for entry in _entries(root, "*questions*.json", "questions") if with_questions else ():
        if entry["question_id"] in answers:
            answer = answers[entry["question_id"]]
            questions[entry["image_id"]].append((entry["question"], answer))
    captions = _captions_by_id(root)
    numbers = set(questions) or set(captions)

    # 2. Pictures that are here
    files = {number: path for number, path in _pictures_by_id(root).items() if number in numbers}
    if not files:
        raise FileNotFoundError(
            f"There is nothing to measure on in '{root.name}': it needs coco.jsonl and "
            "daquar.jsonl, or *questions*.json with *annotations*.json, or *captions*.json, and "
            "their pictures."
        )

    # 3. Draw
    rng = random.Random(seed)
    samples = []
    for number in rng.sample(sorted(files), min(count, len(files))):
        name = files[number].relative_to(root).as_posix()
        question, people = rng.choice(questions[number]) if questions[number] else ("", ())
        pixels = _pixels(files[number])
        samples.append(Sample(name, pixels, question, people, captions.get(number, ())))
    return samples


def _entries(root: Path, pattern: str, key: str) -> list[dict[str, Any]]:
    """All entries under a key of the JSON files of a pattern."""
    files = sorted(root.rglob(pattern))
    return [entry for path in files for entry in json.loads(path.read_text()).get(key, ())]


def _captions_by_id(root: Path) -> dict[int, tuple[str, ...]]:
    captions: defaultdict[int, list[str]] = defaultdict(list)
    for entry in _entries(root, "*captions*.json", "annotations"):
        captions[entry["image_id"]].append(entry["caption"])
    return {number: _normalised(texts) for number, texts in captions.items()}


def _pictures_by_id(root: Path) -> dict[int, Path]:
    """Picture files by their id: as *captions*.json names them, else by the digits of the name."""
    images = _entries(root, "*captions*.json", "images")
    named = {image["file_name"]: image["id"] for image in images}
    files = {}
    for path in sorted(root.rglob("*.jpg")) + sorted(root.rglob("*.png")):
        digits = NUMBER.search(path.name)
        if path.name in named:
            files[named[path.name]] = path
        elif digits:
            files[int(digits[1])] = path
    return files


def _normalised(captions: Sequence[str]) -> tuple[str, ...]:
    return tuple(normalise_caption(text) for text in captions)


def _pixels(path: Path) -> Tensor:
    levels = torch.from_numpy(np.array(read_pixels(path)))
    return levels.permute(2, 0, 1).float()[None] / 255


def _in_turns(names: list[str], rng: random.Random) -> list[str]:
    """Shuffled inside each collection (the first folder of the name), then one of each by turns."""
    groups = defaultdict(list)
    for name in names:
        groups[name.split("/")[0]].append(name)
    for group in groups.values():
        rng.shuffle(group)
    longest = max(map(len, groups.values()))
    return [group[i] for i in range(longest) for group in groups.values() if i < len(group)]
