"""Adversarial pairs for training, made once and kept: each picture with what several attacks made
of it.

An attack costs tens of passes through CLIP, a training step one or two, so that pairs are kept in
files and used many times; new files may be added while training runs.
"""

import csv
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import ImageOps
from PIL.Image import Resampling
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from causalclip.clip.tower import Tower
from causalclip.detector import Detector
from causalclip.paths import WeightsMissing
from purifier.attacks import Attack, Objective, State, attack_steps
from purifier.attacks.budget import LEVELS
from purifier.attacks.objectives import (
    FlipVerdict,
    MoveFeatures,
    See,
    change_answer,
    language_tokens,
)
from purifier.vlm.features import LAYERS, at_tower_size, clip_features
from purifier.vlm.interface import CAPTION_PROMPT
from purifier.vlm.model import EmbeddedVLM
from training.vlm.data import class_frequency, load_pictures, train_texts
from training.vlm.views import read_pixels

L2_SHARE = 0.6  # about what PGD at eps in linf changes a value by, root mean square


@dataclass(frozen=True, slots=True)
class Source:
    """A picture file to learn from; `asked`: questions on it."""

    path: Path
    asked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PairsConfig:
    """What is drawn for each batch of pairs.

    sizes: height, width and weight. attacks: name and weight ("l2": PGD in l2, whose budget is the
    length of a change of L2_SHARE eps of every value). eps: in 1/255, uniform between the two.
    area: of patches, as a share of the picture, uniform. objectives: name and weight ("layers":
    random layers of the tower). steps: of the iterated attacks. layers: of the tower, that the
    language model is given.
    """

    batch: int = 6
    sizes: tuple[tuple[int, int, float], ...] = (
        (224, 224, 0.35),
        (224, 304, 0.25),
        (304, 224, 0.10),
        (320, 320, 0.10),
        (448, 448, 0.10),
        (384, 512, 0.10),
    )
    attacks: tuple[tuple[str, float], ...] = (("pgd", 0.6), ("mi-fgsm", 0.2), ("fgsm", 0.2))
    objectives: tuple[tuple[str, float], ...] = (
        ("features", 0.4),
        ("layers", 0.3),
        ("towards", 0.1),
        ("answer", 0.3),
        ("detector", 0.2),
    )
    eps: tuple[float, float] = (2.0, 12.0)
    area: tuple[float, float] = (0.01, 0.04)
    steps: tuple[int, int] = (2, 5)
    layers: tuple[int, ...] = LAYERS
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Pairs:
    """One batch of clean pictures and what an attack made of them.

    Attributes:
        clean: uint8 [N, 3, H, W].
        adversarial: uint8 [K, N, 3, H, W], an attack's pictures midway and at its end.
        attack: its name. eps: its budget in 1/255.
        asked: questions on each picture, may be none.
        clean_seen, adversarial_seen: CLIP's features of the clean and the last adversarial
            pictures, patch tokens [N, 49, D] and embedding [N, E], float32.
    """

    clean: Tensor
    adversarial: Tensor
    attack: str
    eps: float
    asked: list[list[str]]
    clean_seen: tuple[Tensor, Tensor]
    adversarial_seen: tuple[Tensor, Tensor]

    def to(self, device: torch.device) -> "Pairs":
        """Return the batch with all tensors on a device."""
        features = [
            (patches.to(device), embedding.to(device))
            for patches, embedding in (self.clean_seen, self.adversarial_seen)
        ]
        clean, adversarial = self.clean.to(device), self.adversarial.to(device)
        return replace(
            self,
            clean=clean,
            adversarial=adversarial,
            clean_seen=features[0],
            adversarial_seen=features[1],
        )


class PairMaker:
    """Makes batches of pairs.

    Args:
        tower: CLIP, whose features are attacked and kept.
        detector, vlm: what is attacked beside them; without one, its objective is not drawn.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        config: PairsConfig,
        *,
        tower: Tower,
        vlm: EmbeddedVLM | None = None,
        detector: Detector | None = None,
    ) -> None:
        self.sources, self.config, self.vlm, self.detector, self.tower = (
            list(sources),
            config,
            vlm,
            detector,
            tower,
        )
        self.asked = [source for source in sources if source.asked]

    def make(self, number: int) -> tuple[Pairs, dict[str, object]]:
        """Make batch `number`, the same for the same seed; return it, and what was drawn for it."""
        rng = random.Random(f"{self.config.seed}:{number}")
        size = self._draw_size(rng)
        name = self.draw_objective(rng)
        sources = self._choose(self.asked if name == "answer" else self.sources, rng)
        clean = torch.stack([_load(s.path, *size, rng) for s in sources]).to(self.device)
        objective = self._objective(name, clean, sources, rng)
        eps = round(rng.uniform(*self.config.eps), 1)
        attack = self._attack(rng, eps, values=clean[0].numel())
        states = list(_halfway_and_last(attack_steps(attack, clean, objective)))
        with torch.no_grad():
            features = [
                clip_features(self.tower, x, layers=self.config.layers) for x in (clean, states[-1])
            ]
        adversarial = torch.stack([_bytes(x) for x in states])
        kind = "pgd, l2" if attack.norm == "l2" else attack.name
        facts = {"objective": name, "attack": kind, "eps": eps, "steps": attack.steps}
        return Pairs(
            _bytes(clean), adversarial, kind, eps, _questions(sources), features[0], features[1]
        ), facts

    @property
    def device(self) -> torch.device:
        """Where the pictures are attacked: where the tower is."""
        return self.tower.mean.device

    def plain(self, number: int) -> tuple[Tensor, list[list[str]]]:
        """Pictures that nobody attacks, float [N, 3, H, W], and questions on each: batch `number`,
        the same for the same seed."""
        rng = random.Random(f"{self.config.seed}:plain:{number}")
        size, sources = self._draw_size(rng), self._choose(self.sources, rng)
        pixels = torch.stack([_load(s.path, *size, rng) for s in sources]).to(self.device)
        return pixels, _questions(sources)

    def _draw_size(self, rng: random.Random) -> tuple[int, int]:
        height, width = _draw(rng, [((h, w), p) for h, w, p in self.config.sizes])
        return height, width

    def _choose(self, able: Sequence[Source], rng: random.Random) -> list[Source]:
        return rng.sample(able, min(self.config.batch, len(able)))

    def _attack(self, rng: random.Random, eps: float, *, values: int) -> Attack:
        name, steps, seed = (
            _draw(rng, self.config.attacks),
            rng.randint(*self.config.steps),
            rng.randrange(1 << 30),
        )
        if name == "l2":
            return Attack(
                "pgd", eps=L2_SHARE * eps / LEVELS * values**0.5, norm="l2", steps=steps, seed=seed
            )
        return Attack(name, eps=eps, steps=steps, area=rng.uniform(*self.config.area), seed=seed)

    def draw_objective(self, rng: random.Random) -> str:
        """The name of one for which there are a model and pictures."""
        able = {"answer": self.vlm and self.asked, "detector": self.detector}
        return str(_draw(rng, [(n, w) for n, w in self.config.objectives if able.get(n, True)]))

    def _objective(
        self, name: str, clean: Tensor, sources: Sequence[Source], rng: random.Random
    ) -> Objective:
        """Return the objective of an attack on `clean`, [N, 3, H, W], which shows `sources`."""
        if name == "answer" and self.vlm:
            questions = [rng.choice(s.asked) for s in sources]
            # not people's answers: of a crop, perhaps mirrored, they may be wrong
            with torch.no_grad():
                answers = self.vlm.answer_seen(self.vlm.see(clean), questions)
            return change_answer(self.vlm, questions, [answer.text for answer in answers])
        if name == "detector" and self.detector:
            return FlipVerdict(self.detector, clean)
        if name == "layers":
            layers = sorted(
                rng.sample(range(max(1, self.tower.layers // 4), self.tower.layers + 1), 2)
            )
            return MoveFeatures(layer_tokens(self.tower, layers), clean)
        towards = name == "towards"
        see = language_tokens(self.tower, layers=self.config.layers)
        return MoveFeatures(see, clean.roll(1, 0) if towards else clean, targeted=towards)


def save_pairs(pairs: Pairs, drawn: dict[str, object], path: Path) -> None:
    """Write one batch; the file appears whole."""
    # "moved" is what adversarial pictures are called in batches that are there already
    tensors = {"clean": pairs.clean, "moved": pairs.adversarial}
    for name, (patches, embedding) in (
        ("clean", pairs.clean_seen),
        ("moved", pairs.adversarial_seen),
    ):
        tensors |= {f"{name}_patches": patches.half(), f"{name}_embedding": embedding.half()}
    part, metadata = (
        path.with_suffix(".part"),
        {"drawn": json.dumps(drawn), "asked": json.dumps(pairs.asked)},
    )
    save_file({k: v.contiguous() for k, v in tensors.items()}, part, metadata=metadata)
    part.replace(path)


def load_pairs(path: Path) -> Pairs:
    """One batch that save_pairs wrote."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        facts, questions = json.loads(metadata["drawn"]), json.loads(metadata.get("asked", "[]"))
        get = file.get_tensor
        features = [
            (get(f"{n}_patches").float(), get(f"{n}_embedding").float()) for n in ("clean", "moved")
        ]
        return Pairs(
            get("clean"),
            get("moved"),
            facts["attack"],
            float(facts["eps"]),
            questions,
            features[0],
            features[1],
        )


def make_pairs(maker: PairMaker, folder: Path, *, batches: int) -> Iterator[Path]:
    """Add batches to the folder until it has `batches`; a stopped run goes on where it was."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(batches):
        path = folder / f"pairs-{number:05d}.safetensors"
        if not path.is_file():
            save_pairs(*maker.make(number), path)
        yield path


def pair_files(folder: Path) -> list[Path]:
    """The files of pairs that are there now, in order."""
    return sorted(folder.glob("pairs-*.safetensors"))


def make_missing(
    sources: Sequence[Source], config: PairsConfig, cache: Path, *, tower: Tower, batches: int
) -> tuple[PairMaker, Path]:
    """Make the pairs that are missing; return their maker and their folder.

    Each choice of pictures and settings has a folder of its own in `cache`, so that trainings with
    the same ones share their pairs, and no other training is given them.
    """
    vlm, detector = if_there(EmbeddedVLM.from_pretrained), if_there(Detector.from_pretrained)
    maker = PairMaker(sources, config, tower=tower, vlm=vlm, detector=detector)
    drawn_from = [(source.path.name, source.asked) for source in sources]
    key = sha256(json.dumps([asdict(config), drawn_from]).encode()).hexdigest()
    folder = cache / f"pairs-{key[:12]}"
    for _ in tqdm(make_pairs(maker, folder, batches=batches), total=batches, unit="batch of pairs"):
        pass
    return maker, folder


def if_there(load: Any) -> Any:
    """The model, or None where its weights are not here: its objective is then left out."""
    try:
        return load()
    except WeightsMissing:
        return None


def _questions(sources: Sequence[Source]) -> list[list[str]]:
    return [list(source.asked) for source in sources]


def _halfway_and_last(states: Iterator[State]) -> Iterator[Tensor]:
    for state in states:
        if state.step in {state.steps // 2, state.steps}:
            yield state.rounded()


def _load(path: Path, height: int, width: int, rng: random.Random) -> Tensor:
    """A random crop of at least 0.8 of each side, perhaps mirrored, on 8-bit levels."""
    picture = read_pixels(path)
    w, h = (side * rng.uniform(0.8, 1.0) for side in picture.size)
    left, top = rng.uniform(0, picture.width - w), rng.uniform(0, picture.height - h)
    box = (left, top, left + w, top + h)
    picture = picture.resize((width, height), Resampling.BICUBIC, box=box)
    if rng.random() < 0.5:
        picture = ImageOps.mirror(picture)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


def _bytes(pixels: Tensor) -> Tensor:
    return (pixels * 255).round().to(torch.uint8)


def _draw(rng: random.Random, choices: Sequence[tuple[Any, float]]) -> Any:
    return rng.choices([item for item, _ in choices], [weight for _, weight in choices])[0]


def training_sources(vlm_data: Path | None, forensics: Path | None) -> list[Source]:
    """Return pictures from either folder, or both.

    Args:
        vlm_data: with flickr8k.jsonl, coco.jsonl, daquar.jsonl (see training.vlm.data); their
            questions come along.
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
            rows = [
                row
                for row in csv.DictReader(file)
                if row["split"] == "train" and row["view"] == "whole"
            ]
        sources += [Source(forensics / row["path"]) for row in rows]
    if not sources:
        raise FileNotFoundError(
            "There are no pictures to learn from. Give the folder of the vlm data, or forensics, "
            "or both."
        )
    return sources


def _with_questions(root: Path) -> Iterator[Source]:
    """Each training picture with the questions that the language model learned from, people's and
    made ones."""
    pictures, rng = load_pictures(root), random.Random(0)
    frequency = class_frequency(pictures)
    for picture in pictures:
        if any(
            split != "train" for split in (picture.split, *(q.split for q in picture.questions))
        ):
            continue
        texts = train_texts(picture, 0, frequency, rng)
        yield Source(
            root / picture.name, tuple(t.prompt for t in texts if t.prompt != CAPTION_PROMPT)
        )


def question_pool(root: Path, *, pictures: int = 300, seed: int = 0) -> list[str]:
    """Return questions to learn on: those that the model itself learned from, on some of its
    training pictures."""
    every = load_pictures(root)
    frequency, rng = class_frequency(every), random.Random(seed)
    able = [p for p in every if p.split == "train"]
    sample = rng.sample(able, min(pictures, len(able)))
    questions = {t.prompt for picture in sample for t in train_texts(picture, 0, frequency, rng)}
    return sorted(questions - {CAPTION_PROMPT})


def layer_tokens(tower: Tower, layers: Sequence[int]) -> See:
    """Return all tokens after each of `layers`, the CLS token among them; later layers are not
    computed."""

    def see(pixels: Tensor) -> list[Tensor]:
        pixels = pixels.to(tower.mean.device)
        trace = tower(at_tower_size(tower, pixels), until=max(layers))
        return [torch.cat([trace.cls[i][:, None], trace.patches[i]], 1) for i in layers]

    return see
