"""The pictures, questions and captions that defences are measured on: of the test splits alone."""

import csv
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from purifier.attacks import Attack, run_attack
from purifier.attacks.objectives import MoveFeatures, language_tokens
from purifier.models import Models
from purifier.pixels import to_array, to_tensor
from purifier.training.vlm_data import class_frequency, fixed_questions, load_pictures, normalise_caption
from purifier.vlm.features import read_pixels


@dataclass(frozen=True, slots=True)
class Sample:
    """pixels: float [1, 3, H, W] on 8-bit levels, the file's own size. question, answer: one on it, with the true
    answer. captions: people's, normalised; may be none."""

    name: str
    pixels: Tensor
    question: str
    answer: str
    captions: tuple[str, ...]


def load_samples(root: Path, *, count: int, seed: int) -> list[Sample]:
    """`count` pictures with one question each, drawn by the seed: as many of each collection as there are, in turns.

    Raises:
        FileNotFoundError: the data is not there, or has no questions in its test split.
    """
    pictures = {p.name: p for p in load_pictures(root)}
    asked = defaultdict(list)
    for name, text in fixed_questions(pictures.values(), class_frequency(pictures.values()), split="test"):
        asked[name].append(text)
    if not asked:
        raise FileNotFoundError("There are no questions in the test split of this data.")
    captions, rng = load_captions(root), random.Random(seed)
    samples = []
    for name in _in_turns(sorted(asked), rng)[:count]:
        text = rng.choice(asked[name])
        pixels = torch.from_numpy(np.array(read_pixels(root / name))).permute(2, 0, 1).float()[None] / 255
        samples.append(Sample(name, pixels, text.prompt, text.answer, captions[name]))
    return samples


def load_captions(root: Path) -> dict[str, tuple[str, ...]]:
    """People's captions of each picture by its name, normalised; none outside the test split."""
    return {
        p.name: tuple(normalise_caption(c) for c in p.captions) if p.split == "test" else ()
        for p in load_pictures(root)
    }


def _in_turns(names: list[str], rng: random.Random) -> list[str]:
    """Shuffled inside each collection (the first folder of the name), then one of each by turns."""
    groups = defaultdict(list)
    for name in names:
        groups[name.split("/")[0]].append(name)
    for group in groups.values():
        rng.shuffle(group)
    longest = max(map(len, groups.values()))
    return [group[i] for i in range(longest) for group in groups.values() if i < len(group)]


ATTACK = Attack("pgd", eps=8, steps=10)  # on what the language model sees: it moves whatever else looks through CLIP
WHEN = {
    "before": "before purification",
    "after": "after purification",
    "attacked": "attacked, before purification",
    "attacked, after": "attacked, after purification",
}


def detector_on_purified(models: Models, forensics: Path, count: int, attacked: int) -> dict[str, dict[str, Any]]:
    """ "real" and "fake" pictures of the test split, at most `count` of each, before and after one purification; and
    the first `attacked` of them by ATTACK, before and after it.

    Returns for each: `n`, `n attacked`, and for every key of WHEN the mean probability of being generated and the share
    in each band.
    """
    with (forensics / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    order = np.random.default_rng(0).permutation(len(rows))
    report: dict[str, dict[str, Any]] = {}
    for label in ("real", "fake"):
        chosen = [rows[i] for i in order if rows[i]["label"] == label][:count]
        found: defaultdict[str, list[Any]] = defaultdict(list)
        for i, row in enumerate(chosen):
            with Image.open(forensics / row["path"]) as file:
                pixels = np.array(file.convert("RGB"))
            given = to_tensor(pixels)
            _judge(models, given, found, "before", "after")
            if i < attacked:
                see = language_tokens(models.vlm.tower, layers=models.vlm.config.layers)
                moved = run_attack(ATTACK, given, MoveFeatures(see, given))
                _judge(models, moved, found, "attacked", "attacked, after")
        report[label] = {"n": len(chosen), "n attacked": min(attacked, len(chosen))}
        report[label] |= {when: _summary(verdicts) for when, verdicts in found.items()}
    return report


def _judge(models: Models, given: Tensor, found: dict[str, list[Any]], before: str, after: str) -> None:
    shown, purified = to_array(given), to_array(models.purifier(given).images)
    verdict = models.detector.judge(shown)
    found[before].append(verdict)
    found[after].append(verdict if (shown == purified).all() else models.detector.judge(purified))


def _summary(verdicts: list[Any]) -> dict[str, float]:
    bands = ("likely generated", "inconclusive", "likely not generated")
    shares = {band: round(fmean(v.band == band for v in verdicts), 4) for band in bands}
    return {"probability": round(fmean(v.probability for v in verdicts), 4)} | shares
