"""The pictures, questions and captions that defences are measured on: of the test splits alone."""

import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from purifier.vlm.features import read_pixels
from purifier.vlm.training.data import class_frequency, fixed_questions, load_pictures, normalise_caption


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
