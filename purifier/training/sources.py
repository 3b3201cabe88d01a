"""Which pictures the purifier learns from: those of the training splits, with nothing of which is in a test split."""

import csv
import random
from collections.abc import Iterator
from pathlib import Path

from purifier.training.pairs import Source
from purifier.vlm import CAPTION_PROMPT
from purifier.vlm.training.data import Picture, class_frequency, load_pictures, train_texts


def training_sources(vlm_data: Path | None, forensics: Path | None) -> list[Source]:
    """Pictures from either folder, or both.

    Args:
        vlm_data: with flickr8k.jsonl, coco.jsonl, daquar.jsonl (see vlm.data); their questions come along.
        forensics: with manifest.csv; whole pictures of its training split, real and generated.

    Raises:
        FileNotFoundError: a folder is not what it should be, or both are missing.
    """
    sources = [] if vlm_data is None else list(_with_questions(vlm_data))
    if forensics is not None:
        manifest = forensics / "manifest.csv"
        if not manifest.is_file():
            raise FileNotFoundError(
                f"There is no manifest.csv in {forensics.name!r}. Give the forensics data's folder."
            )
        with manifest.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == "train" and row["view"] == "whole"]
        sources += [Source(forensics / row["path"]) for row in rows]
    if not sources:
        raise FileNotFoundError(
            "There are no pictures to learn from. Give the folder of the vlm data, or forensics, or both."
        )
    return sources


def _for_training(picture: Picture) -> bool:
    return picture.split == "train" and all(q.split == "train" for q in picture.questions)


def _with_questions(root: Path) -> Iterator[Source]:
    """Each training picture with the questions that the language model learned from, people's and made ones."""
    pictures, rng = load_pictures(root), random.Random(0)
    frequency = class_frequency(pictures)
    for picture in filter(_for_training, pictures):
        texts = train_texts(picture, 0, frequency, rng)
        yield Source(root / picture.name, tuple(t.prompt for t in texts if t.prompt != CAPTION_PROMPT))


def question_pool(root: Path, *, pictures: int = 300, seed: int = 0) -> list[str]:
    """Questions to learn on: those that the model itself learned from, on some of its training pictures."""
    known = load_pictures(root)
    frequency, rng = class_frequency(known), random.Random(seed)
    able = [p for p in known if p.split == "train"]
    chosen = rng.sample(able, min(pictures, len(able)))
    asked = {t.prompt for picture in chosen for t in train_texts(picture, 0, frequency, rng)}
    return sorted(asked - {CAPTION_PROMPT})
