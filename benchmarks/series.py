"""CausalCLIP's experiment on this project's pictures: learned from Stable Diffusion alone, judged
on every other series.

Learned from the generators of Stable Diffusion's line (`sd1`, `sd2`, `sdxl`) and photographs of
`train`, judged on pictures of other series and photographs of `test`, whose owners are others. All
are re-encoded alike, and a method sees one square of each. Accuracy at 0.5, accuracy at the best
threshold and AP, as `python -m training evaluate --table` gives them. What is learned step by step
has three seeds; the residual network, which learns from the pixels, has one.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

import benchmarks.fewshot
from benchmarks.ablation import SERIES, MlpHead
from benchmarks.common import TABLE, Options
from causalclip.clip.embedding import EMBEDDING, embed, needs
from causalclip.clip.views import plan_views, render
from causalclip.detector import Detector
from causalclip.images.loading import load_image
from causalclip.method import LossWeights
from causalclip.private_head import re_encode
from training.dataset.rules import read_originals
from training.dataset.table import Picture, read_table
from training.detector.data import Record
from training.detector.evaluation import Scores
from training.detector.features import SquareFeatures
from training.detector.fitting import TrainConfig
from training.detector.generator_table import generator_table
from training.detector.recipe import CONFIGS, Recipe, fit, problem

SEEDS = 3
PICTURES_EACH = 25  # pictures of a generator that are learned from, of a series that are judged
AN_OWNER = 5, 25  # photographs of an owner, learned from and judged
EMBEDDED = 512  # channels of the one embedding
FEWEST = 10  # pictures of a series that is judged
SIZE = 224  # px, the square that the residual network is shown
CROP, EPOCHS, RATE = 112, 12, 2e-3  # px of its random crops, passes over the pictures, step
LEARNED = "Stable Diffusion"
# series -> what the table's generator or family says of it; a picture that none or two fit is not
# judged
NAMES = {
    "Google": r"gemini|imagen\b|nano.?banana|google|whisk",
    "OpenAI": r"\bgpt|dall.?e.?[23]|dalle2|openai",
    "Midjourney": r"midjourney|niji",
    "FLUX": r"flux|kontext|chroma",
    LEARNED: r"stable.?diff|sdxl|\bsd[123]|realvis|juggernaut|simulacra|stabai|sd3",
    "latent diffusion": r"latent-diff|\bldm\b|ldm-",
    "StyleGAN": r"stylegan|thisperson",
    "GigaGAN": r"gigagan",
    "ADM": r"\badm\b|adm-",
    "Firefly": r"firefly|adobe",
}
CAUSAL = Recipe.read(CONFIGS / "causal.json")


@dataclass(frozen=True, slots=True)
class Method:
    """A way to judge: a head on the tower's layers or on its one embedding, or a network on
    pixels."""

    name: str
    on: str = "layers"
    config: TrainConfig | None = None
    seeds: int = SEEDS
    mlp: bool = False


def methods() -> list[Method]:
    """The shipped recipe, and what it is compared with."""
    # So few pictures would be one step a pass: smaller steps, and more passes.
    causal = replace(CAUSAL.head, batch=64, epochs=50)
    nothing = LossWeights(smoothing=causal.weights.smoothing)
    ridge = replace(causal, epochs=0, average=0.0, masked=False)
    probe = replace(causal, ridge=0.0, masked=False, rate=1e-3, weights=nothing)
    return [
        Method("the shipped recipe", config=causal),
        Method("ridge", config=ridge, seeds=1),
        Method("linear probe, layers", config=probe),
        Method("linear probe, embedding", on="embedding", config=probe),
        Method("MLP", config=probe, mlp=True),
        Method("residual network", on="pixels", seeds=1),
    ]


def series_of(picture: Picture) -> str:
    """The series that made a picture, as its source states it; "" where that is not clear."""
    text = f"{picture.generator} {picture.family}".lower()
    names = [name for name, pattern in NAMES.items() if re.search(pattern, text)]
    return names[0] if len(names) == 1 else ""


def choose(originals: Path, *, each: int) -> tuple[list[Record], list[Record]]:
    """Return what is learned from, and what is judged: there a set is a series, and each has all
    the real pictures.

    Photographs are of owners who show both kinds, so that they show what generated ones do.

    each: of a generator, and of a series, at most; which ones is settled by their hashes.
    """
    pictures = {p.sha256: p for p in read_table(TABLE)}
    train, test = (
        [
            r
            for r in read_originals(TABLE, originals, split=split)
            if r.kind == "photo" and not r.crop and not r.grid
        ]
        for split in ("train", "test")
    )
    lesson = first(
        [r for r in train if r.label and r.set == "broad" and r.family in SERIES],
        by=lambda r: r.source,
        most=each,
    ) + _real_of_both(train, most=AN_OWNER[0])

    by_series = defaultdict(list)
    for record in (r for r in (*train, *test) if r.label):
        by_series[series_of(pictures[record.picture])].append(record)
    test_set = []
    for name, records in sorted(by_series.items()):
        if name in ("", LEARNED) or len(records) < FEWEST:
            continue
        own = first(records, by=lambda _: "", most=each)
        test_set += [replace(r, set=name) for r in (*own, *_real_of_both(test, most=AN_OWNER[1]))]
    return lesson, test_set


def _real_of_both(records: Sequence[Record], *, most: int) -> list[Record]:
    """The photographs of owners who show both kinds."""
    owners = benchmarks.fewshot.choose(records).values()
    return [r for own in owners for r in [r for r in own if not r.label][:most]]


def first(records: Sequence[Record], *, by: Any, most: int) -> list[Record]:
    """Return at most so many records of each group, those with the smallest hashes."""
    groups = defaultdict(list)
    for record in sorted(records, key=lambda r: r.picture):
        groups[by(record)].append(record)
    return [r for _, group in sorted(groups.items()) for r in group[:most]]


def measure(options: Options) -> dict[str, Any]:
    """Every method on every series; features that are computed are kept."""
    torch.set_num_threads(1)
    lesson, test_set = choose(options.originals, each=options.pictures or PICTURES_EACH)
    pictures = list({r.picture: r for r in test_set}.values())
    place = {r.picture: i for i, r in enumerate(pictures)}
    rows = np.array([place[r.picture] for r in test_set])

    # 1. Features of both
    detector = Detector.from_pretrained(options.model)
    values = features(detector, [*lesson, *pictures], options)
    columns = {"layers": slice(0, -EMBEDDED), "embedding": slice(-EMBEDDED, None)}

    # 2. Each method learns from the first rows, and judges the others
    report: dict[str, Any] = {
        "learned": count(lesson),
        "judged": count(pictures),
        "seeds": SEEDS,
        "methods": {},
    }
    for method in tqdm(methods(), desc="methods"):
        tables = []
        for seed in range(method.seeds):
            if method.config is None:
                raw = _judge_pixels(lesson, pictures, options)
            else:
                raw = judge_features(method, values[:, columns[method.on]], lesson, seed)
            probability = 1 / (1 + np.exp(-raw[rows]))
            table = generator_table(Scores(tuple(test_set), probability, ("",) * len(test_set)))
            tables.append(table)
        report["methods"][method.name] = {
            runs[0].generator: {
                "generated": runs[0].generated,
                "accuracy": float(np.mean([run.accuracy for run in runs])),
                "best_accuracy": float(np.mean([run.best_accuracy for run in runs])),
                "ap": float(np.mean([run.average_precision for run in runs])),
                "ap_spread": float(np.ptp([run.average_precision for run in runs]) / 2),
            }
            for runs in zip(*tables, strict=True)
        }
    return report


def count(records: Sequence[Record]) -> dict[str, int]:
    """Return how many pictures of each class, of how many owners and generators."""
    labels = Counter(r.label for r in records)
    return {
        "generated": labels[1],
        "real": labels[0],
        "generators": len({r.source for r in records if r.label}),
        "owners": len({r.owner for r in records if not r.label}),
    }


def judge_features(
    method: Method, values: Tensor, lesson: Sequence[Record], seed: int
) -> np.ndarray:
    """Raw logits of what stands behind the lesson, [N - len(lesson)].

    values: half [N, D], those of the lesson first.
    """
    assert method.config is not None
    n = len(lesson)
    config = replace(method.config, seed=seed)
    lesson_features = SquareFeatures(values[None, :n], np.zeros((1, n, 2)))
    # Both classes count alike: here every generated picture is of `broad`, and no real one.
    data = problem(lesson, lesson_features, replace(CAUSAL, broad=1.0))
    torch.manual_seed(seed)
    head = fit(
        data, config, head=MlpHead(values.shape[1], hidden=config.hidden) if method.mlp else None
    )
    with torch.inference_mode():
        return torch.cat([head(batch.float()).logit for batch in values[n:].split(512)]).numpy()


class Residual(nn.Module):
    """Convolutions of 3 x 3 beside a shortcut, halving the picture. [B, C, H, W] -> [B, 2 C, H/2,
    W/2]"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.body = nn.Sequential(
            nn.Conv2d(channels, wide, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
            nn.Conv2d(wide, wide, 3, padding=1, bias=False),
            nn.BatchNorm2d(wide),
        )
        self.shortcut = nn.Conv2d(channels, wide, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def _residual_network() -> nn.Sequential:
    """Four residual blocks on pixels in [0, 1], 0.3 million parameters: [B, 3, H, W] -> [B, 1]."""
    return nn.Sequential(
        nn.BatchNorm2d(3),
        nn.Conv2d(3, 8, 3, padding=1),
        *(Residual(8 * 2**i) for i in range(4)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(128, 1),
    )


def _judge_pixels(
    lesson: Sequence[Record], pictures: Sequence[Record], options: Options
) -> np.ndarray:
    """Return the raw logits [len(pictures)] of a residual network that learned from the pixels of
    the lesson alone."""
    torch.manual_seed(0)
    x, other = (
        torch.stack([(square(r, options) * 255).round().byte() for r in records])
        for records in (lesson, pictures)
    )
    y = torch.tensor([float(r.label) for r in lesson])
    weight = torch.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    network = _residual_network()
    steps = EPOCHS * -(-len(x) // 32)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for _ in tqdm(range(EPOCHS), desc="residual network"):
        for rows in torch.randperm(len(x)).split(32):
            loss = nn.functional.binary_cross_entropy_with_logits(
                network(_random_crop(x[rows])).squeeze(1), y[rows], weight=weight[rows]
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    network.eval()
    with torch.inference_mode():
        logits = [network(batch.float() / 255).squeeze(1) for batch in other.split(32)]
    return torch.cat(logits).numpy()


def _random_crop(x: Tensor) -> Tensor:
    """A window of CROP px at one random place, mirrored half of the time: uint8 [B, 3, H, W] ->
    float."""
    top, left = torch.randint(SIZE - CROP + 1, (2,)).tolist()
    cut = x[..., top : top + CROP, left : left + CROP].float() / 255
    return cut.flip(3) if torch.rand(()) < 0.5 else cut


@torch.inference_mode()
def features(detector: Detector, records: Sequence[Record], options: Options) -> Tensor:
    """The recipe's layers and the embedding of each record's square, half [N, D]; what is computed
    is kept."""
    parts = (*CAUSAL.parts, EMBEDDING)
    folder = options.cache / "series" / detector.name
    folder.mkdir(parents=True, exist_ok=True)
    copies = []
    for record in tqdm(records, desc="features", unit="picture"):
        file = folder / f"{record.picture}.npy"
        if not file.exists():
            trace = detector.tower(square(record, options)[None], **needs(parts, detector.tower))
            np.save(file, embed(trace, parts, detector.tower)[0].half().numpy())
        copies.append(torch.from_numpy(np.load(file)))
    return torch.stack(copies)


def square(record: Record, options: Options) -> Tensor:
    """The first square that detection looks at, of the re-encoded picture, [3, SIZE, SIZE] in
    [0, 1]."""
    pixels = re_encode(load_image(options.originals / record.path).pixels)
    views = plan_views(pixels.shape[1], pixels.shape[0], size=SIZE, windows=0, squares=1)
    return render(pixels, views, size=SIZE)[0]
