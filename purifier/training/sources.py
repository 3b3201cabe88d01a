"""Which pictures the purifier learns from: those of the training splits, with nothing of which is in a test split."""

import csv
from pathlib import Path

from purifier.training.pairs import Source
from purifier.vlm.training.data import Picture, load_pictures


def training_sources(vlm_data: Path | None, forensics: Path | None) -> list[Source]:
    """Pictures from either folder, or both.

    Args:
        vlm_data: with flickr8k.jsonl, coco.jsonl, daquar.jsonl (see vlm.data); their questions come along.
        forensics: with manifest.csv; whole pictures of its training split, real and generated.

    Raises:
        FileNotFoundError: a folder is not what it should be, or both are missing.
    """
    sources = [] if vlm_data is None else [_source(p, vlm_data) for p in load_pictures(vlm_data) if _for_training(p)]
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


def _source(picture: Picture, root: Path) -> Source:
    return Source(root / picture.name, tuple((q.question, q.answer) for q in picture.questions))
