"""Pictures with captions, human questions and boxes: reading them, splitting them, and the texts to
learn from.

A folder with `NAME.jsonl` files, one line a picture. `split` is train, val or test: of the picture
where it has captions or boxes, of each question where people asked (as their source splits them: a
picture may have questions in both). Hyperparameters are chosen on `val` alone.
"""

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from causalclip.clip.tower import Tower
from purifier.vlm.features import GRID, LAYERS, clip_features
from purifier.vlm.interface import CAPTION_PROMPT, normalise_question
from training.vlm.questions import Box, Text, box_questions, view_boxes
from training.vlm.views import VIEWS, View, plan_views, read_pixels, read_size, render_view

Split = Literal["train", "val", "test"]
SETS = ("flickr8k", "coco", "daquar")
CAPTION = "caption"
HELD_PICTURES, HELD_QUESTIONS = 0.06, 0.04
SIDES = {"left": "right", "right": "left"}


@dataclass(frozen=True, slots=True)
class Question:
    """What a person asked and answered; `unseen`: held out with all other questions on its
    picture."""

    question: str
    answer: str
    split: Split
    unseen: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture file (relative to the data folder) and what is said of it; `boxes` None means not
    annotated."""

    name: str
    source: str
    split: Split
    captions: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()
    boxes: tuple[Box, ...] | None = None


def normalise_answer(text: str) -> str:
    """Lower case, `_` as a space, one space between words, the members of a comma list in
    alphabetical order."""
    parts = (" ".join(part.replace("_", " ").lower().split()) for part in text.split(","))
    return ", ".join(sorted(part for part in parts if part))


def normalise_caption(text: str) -> str:
    """Lower case words with single spaces, without punctuation."""
    return " ".join(re.findall(r"[a-z0-9]+(?:['-][a-z0-9]+)*", text.lower()))


def load_pictures(root: Path) -> list[Picture]:
    """Every picture of every set that `root` has.

    Raises:
        FileNotFoundError: none of the sets is there.
    """
    sets = [name for name in SETS if (root / f"{name}.jsonl").is_file()]
    if not sets:
        raise FileNotFoundError(
            f"No data here: the folder needs one or more of {', '.join(SETS)} as NAME.jsonl."
        )
    return [
        _picture(json.loads(line), source, root)
        for source in sets
        for line in (root / f"{source}.jsonl").open()
    ]


def _picture(row: dict, source: str, root: Path) -> Picture:
    rng = random.Random(f"held:{row['file']}")
    unseen = rng.random() < HELD_PICTURES
    questions = []
    for item in row.get("qa", ()):
        held_out = unseen or rng.random() < HELD_QUESTIONS
        split: Split = "val" if held_out and item["split"] == "train" else item["split"]
        questions.append(
            Question(
                normalise_question(item["question"]),
                normalise_answer(item["answer"]),
                split,
                unseen,
            )
        )
    boxes = None
    if row.get("boxes"):
        width, height = read_size(root / row["file"])
        boxes = tuple(_box(item, width, height) for item in row["boxes"])
    own: Split = row.get("split") or "train"
    return Picture(
        row["file"], source, own, tuple(row.get("captions", ())), tuple(questions), boxes
    )


def _box(item: dict, width: int, height: int) -> Box:
    x, y, w, h = item["xywh"]
    return Box(
        item["name"],
        x / width,
        y / height,
        (x + w) / width,
        (y + h) / height,
        bool(item["iscrowd"]),
    )


def class_frequency(pictures: Iterable[Picture]) -> dict[str, int]:
    """Return of each class in how many annotated training pictures it is."""
    counts = Counter(
        n for p in pictures if p.split == "train" and p.boxes for n in {b.name for b in p.boxes}
    )
    return dict(sorted(counts.items()))


def _mirror_text(text: str) -> str:
    """Exchange the words left and right, for a mirrored picture."""
    return " ".join(SIDES.get(word, word) for word in text.split())


def train_texts(
    picture: Picture,
    view: int,
    frequency: Mapping[str, int],
    rng: random.Random,
    *,
    splits: Sequence[str] = ("train",),
) -> list[Text]:
    """Return what is learned from one view of a picture this time: its captions, its questions, new
    questions on its boxes."""
    plan = plan_views(picture.name)[view]
    texts = [
        Text(CAPTION_PROMPT, normalise_caption(c), CAPTION)
        for c in picture.captions
        if picture.split in splits
    ]
    texts += [Text(q.question, q.answer, "human") for q in picture.questions if q.split in splits]
    if plan.flip:
        texts = [Text(_mirror_text(t.prompt), _mirror_text(t.answer), t.kind) for t in texts]
    if picture.boxes and picture.split in splits:
        texts += _view_questions(picture.boxes, plan, frequency, rng)
    return [t for t in texts if t.answer]


def _view_questions(
    boxes: Sequence[Box], plan: View, frequency: Mapping[str, int], rng: random.Random
) -> list[Text]:
    visible = view_boxes(boxes, plan.box, flip=plan.flip)
    return box_questions(visible, frequency, rng) if visible else []


def fixed_questions(
    pictures: Iterable[Picture],
    frequency: Mapping[str, int],
    *,
    split: Split,
    rounds: int = 2,
    seed: int = 0,
) -> list[tuple[str, Text]]:
    """The fixed questions of a split, (picture's name, text): people's, and made ones without
    repeats."""
    questions = []
    for picture in pictures:
        by_prompt: dict[str, Text] = {}
        if picture.boxes and picture.split == split:
            rng = random.Random(f"{seed}:{picture.name}")
            for _ in range(rounds):
                for text in box_questions(picture.boxes, frequency, rng):
                    by_prompt.setdefault(text.prompt, text)
        questions += [(picture.name, text) for text in by_prompt.values()]
        for q in picture.questions:
            if q.split == split:
                questions.append((picture.name, Text(q.question, q.answer, human_kind(q.question))))
    return questions


def human_kind(question: str) -> str:
    """The type of a person's question, by its words."""
    if question.startswith(("how many", "how any", "how manu", "count")):
        return "human: how many"
    if "colo" in question:
        return "human: colour"
    return "human: what, where"


@dataclass(frozen=True, slots=True)
class FeatureCache:
    """Features of every view of every picture, float16 on disk.

    patches: [pictures, views, 49, layers * W]; embeddings: [pictures, views, E]; row: picture's
    name -> its row.
    """

    patches: np.ndarray
    embeddings: np.ndarray
    row: dict[str, int]

    @classmethod
    def build(
        cls,
        tower: Tower,
        root: Path,
        names: Sequence[str],
        folder: Path,
        *,
        views: int = VIEWS,
        layers: Sequence[int] = LAYERS,
        batch: int = 24,
    ) -> "FeatureCache":
        """Compute what is missing; a run that was stopped goes on where it was.

        Args:
            root: the folder that `names` (picture files) are relative to.
            folder: of the cache, made if needed; a folder in it is named by a key of names and
                layers.
            views: how many of the planned VIEWS are needed; more may be computed later.
        """
        key = hashlib.sha256(
            json.dumps([list(names), VIEWS, layers, GRID, str(tower.dtype)]).encode()
        ).hexdigest()[:12]
        folder = folder / key
        folder.mkdir(parents=True, exist_ok=True)
        width, embedding = tower.width * len(layers), int(tower.visual.proj.shape[1])
        patches = _open(folder / "patches.npy", (len(names), VIEWS, GRID * GRID, width), np.float16)
        embeddings = _open(folder / "embeddings.npy", (len(names), VIEWS, embedding), np.float16)
        finished_views = _open(folder / "done.npy", (len(names), VIEWS), np.bool_)
        for view in range(views):  # the whole pictures first
            todo = np.flatnonzero(~finished_views[:, view])
            for start in range(0, len(todo), batch):
                rows = todo[start : start + batch]
                plans = [plan_views(names[i])[view] for i in rows]
                shots = [
                    render_view(read_pixels(root / names[i]), p)
                    for i, p in zip(rows, plans, strict=True)
                ]
                with torch.inference_mode():
                    tokens, vectors = clip_features(tower, torch.stack(shots), layers=layers)
                patches[rows, view] = tokens.half().cpu().numpy()
                embeddings[rows, view] = vectors.half().cpu().numpy()
                finished_views[rows, view] = True
        return cls(patches, embeddings, {name: i for i, name in enumerate(names)})

    def take(self, picks: Sequence[tuple[str, int]]) -> tuple[Tensor, Tensor]:
        """Return patches [N, 49, layers * W] and embeddings [N, E], float32, of (picture's name,
        view) each."""
        rows, views = [self.row[name] for name, _ in picks], [view for _, view in picks]
        patches, embeddings = self.patches[rows, views], self.embeddings[rows, views]
        return torch.from_numpy(patches).float(), torch.from_numpy(embeddings).float()


def _open(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    mode = "r+" if path.is_file() else "w+"
    return np.lib.format.open_memmap(path, mode=mode, dtype=dtype, shape=shape)  # type: ignore[no-untyped-call]
