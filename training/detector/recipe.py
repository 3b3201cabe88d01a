"""From pictures to a detector: features, held-out folds, calibration, the final head, model
card."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from sklearn.metrics import balanced_accuracy_score
from torch import Tensor
from tqdm import tqdm

from causalclip.calibration import Calibration
from causalclip.clip.backbones import load_tower
from causalclip.clip.embedding import needs, part_widths
from causalclip.clip.views import MAX_SQUARES, ViewType
from causalclip.clip.weights import save_weights
from causalclip.detector import Detector, DetectorConfig
from causalclip.method import CausalHead, LossWeights
from causalclip.paths import detector_folder
from training.detector.augmentation import SHARES, Augmentation, drawn_augmentation
from training.detector.bands import choose_bands, fit_logistic
from training.detector.data import (
    LIKE,
    Record,
    assign_environments,
    assign_folds,
    check_training,
    divide_lone_groups,
    say,
)
from training.detector.features import (
    SquareFeatures,
    compute_features,
    compute_windows,
    neutral_patches,
)
from training.detector.fitting import Problem, TrainConfig, fit_head
from training.detector.image_types import AUGMENTATIONS, fit_image_types
from training.detector.model_card import mask_report, model_card, validation_report
from training.detector.selection import SelectionConfig
from training.purifier.loop import LOG_NAME, log_row

# of held-out pictures of like content: real ones accused, generated ones let pass
FALSE_ALARMS, MISSES = 0.03, 0.08
MIN_WINDOWED = 8  # pictures of a class that have windows, beside each held-out fold
CONFIGS = Path(__file__).resolve().parents[1] / "configs"
DEFAULT_CONFIG = CONFIGS / "causal.json"  # what `train` makes by itself: the head that ships


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of a training run, as the files in training/configs/ hold them.

    parts: of the embedding (causalclip.clip.embedding). augmentations: of each picture
    (training.detector.augmentation).
    squares: of the whole picture that are looked at, at most; 1 is the centre alone.
    windows: at native scale that are looked at beside the squares, at most; share: of the verdict
    that is theirs.
    folds: of held-out groups. broad: how much each class of the set `broad` counts beside the
    pictures of like content.
    head: how it is fitted. start: a detector by name, whose verdicts the final heads start from in
    place of the ridge; those of held-out folds start from a ridge of their own, as it has seen
    every owner.
    revision: the detector's name in its card and answers; empty for the date and a hash of what it
    learned from.
    """

    parts: tuple[str, ...] = ("embedding",)
    augmentations: tuple[Augmentation, ...] = ("light", "much", "retouched")
    squares: int = MAX_SQUARES
    windows: int = 0
    share: float = 0.0
    folds: int = 5
    broad: float = 0.3
    head: TrainConfig = field(default_factory=TrainConfig)
    start: str = ""
    revision: str = ""

    def __post_init__(self) -> None:
        if self.windows and not (
            {"drawn"} & set(self.augmentations) or set(SHARES) <= set(self.augmentations)
        ):
            raise ValueError(
                f"Windows are of the drawn augmentation: name it, or all of {', '.join(SHARES)}."
            )

    @classmethod
    def read(cls, path: str | Path) -> "Recipe":
        """Read a recipe from a JSON file with any of the fields.

        Raises:
            TypeError: a field that does not exist.
            ValueError: windows without the augmentation that they are of.
        """
        raw = json.loads(Path(path).read_text())
        head = raw.pop("head", {})
        if "weights" in head:
            head["weights"] = LossWeights(**head["weights"])
        if "selection" in head:
            head["selection"] = SelectionConfig(**head["selection"])
        for name in {"parts", "augmentations"} & set(raw):
            raw[name] = tuple(raw[name])
        return cls(head=TrainConfig(**head), **raw)


def balance(records: Sequence[Record], *, broad: float) -> Tensor:
    """Weights [N], mean 1: both classes count as much; so do all sites together, and `broad` by its
    share."""
    cells = [(r.set in LIKE, r.label) for r in records]
    share = {cell: cells.count(cell) / (1.0 if cell[0] else broad) for cell in set(cells)}
    if not any(like for like, _ in share):
        share = {cell: float(cells.count(cell)) for cell in share}
    weight = torch.tensor([1.0 / share[c] for c in cells])
    return weight / weight.mean()


def problem(records: Sequence[Record], features: SquareFeatures, recipe: Recipe) -> Problem:
    """The records with their features, weights and folds."""
    fold_of = assign_folds(records, folds=recipe.folds)
    return Problem(
        records=tuple(records),
        features=features.values,
        labels=torch.tensor([float(r.label) for r in records]),
        weight=balance(records, broad=recipe.broad),
        fold=np.array([fold_of[r.group] for r in records]),
        environments=assign_environments(records),
    )


def fit(
    data: Problem,
    config: TrainConfig,
    *,
    leave_out: int | None = None,
    neutral: Tensor | None = None,
    head: CausalHead | None = None,
    start: CausalHead | None = None,
    device: torch.device | None = None,
    log: Callable[[dict[str, float]], Any] | None = None,
) -> CausalHead:
    """A head (a new causal one where none is given) on every fold but one, or on all; `log` as of
    `fit_head`."""
    rows = slice(None) if leave_out is None else np.flatnonzero(data.fold != leave_out)
    torch.manual_seed(config.seed)  # of its first weights, too
    head = head or config.new_head(data.features.shape[2])
    weight = data.weight[rows]
    return fit_head(
        head,
        data.features[:, rows],
        data.labels[rows],
        config=config,
        sample_weight=weight / weight.mean(),
        patch_total=neutral,
        environments=torch.from_numpy(data.environments[rows]),
        start=start,
        device=device,
        log=log,
    )


@torch.inference_mode()
def held_out_logits(
    data: Problem,
    config: TrainConfig,
    *,
    keep: Path | None = None,
    device: torch.device | None = None,
) -> np.ndarray:
    """Return the logits [K, N] of every augmentation, by a head that saw neither its family nor its
    site. Finished folds stay in `keep`."""
    logits = np.zeros(data.features.shape[:2])
    for fold in tqdm(sorted(set(data.fold)), desc="held-out folds"):
        rows = data.fold == fold
        file = keep / f"fold{fold}.safetensors" if keep else None
        if file and file.exists():
            head = config.new_head(data.features.shape[2])
            head.load_state_dict(load_file(file))
            head.eval()
        else:
            with torch.inference_mode(False):
                head = fit(data, config, leave_out=int(fold), device=device)
            if file:
                file.parent.mkdir(parents=True, exist_ok=True)
                # a killed run leaves no half file under the name
                partial = file.with_suffix(".partial")
                save_weights(head.state_dict(), partial, what=f"head of fold {fold}")
                partial.rename(file)
        for copy, features in enumerate(data.features):
            logits[copy, rows] = torch.cat(
                [head(batch.float()).logit for batch in features[rows].split(4096)]
            ).numpy()
    return logits


def calibrate(
    records: Sequence[Record], raw: np.ndarray, weight: np.ndarray, quality: np.ndarray
) -> tuple[Calibration, dict[str, float]]:
    """Fit to held-out logits the score, then the bands, their bounds, and the threshold.

    The bands hold over all augmentations, each by itself, owner by owner: together with a
    confidence, and in the mean in each kind of set by itself, so that none hides behind easier
    ones. But for what was made anew from a photograph: too little tells the two apart for any
    useful budget, and the card says how many are missed.

    Args:
        raw: logits [K, N] of K augmentations.
        weight: of the pictures, [N].
        quality: [K, N, Q], estimated compression of each.

    Returns:
        The calibration, and the bounds that its bands keep.
    """
    # 1. One row for each picture and augmentation
    labels = np.tile([r.label for r in records], len(raw))
    owners = np.tile([r.group for r in records], len(raw))
    # The originals of edits stand beside other sites' photographs.
    sets = np.tile(["sites" if r.set == "edits2" else r.set for r in records], len(raw))
    inside = np.tile([r.set != "edits2" or not r.label for r in records], len(raw))
    flat, weights = raw.ravel(), np.tile(weight, len(raw))
    q = quality.reshape(len(flat), -1)

    # 2. The score. Compression moves it only as far as it must: the raw logit's scale is kept.
    scale, offset = fit_logistic(flat[:, None], labels, weight=weights)
    usual = q.mean(0)
    shift = fit_logistic(
        q - usual, labels, weight=weights, ridge=0.02, given=scale * flat + offset
    )[:-1]
    offset -= float(shift @ usual)
    probability = 1 / (1 + np.exp(-(scale * flat + offset + q @ shift)))

    # 3. The bands
    low, high, bounds = choose_bands(
        labels[inside],
        probability[inside],
        owners[inside],
        sets=sets[inside],
        false_alarms=FALSE_ALARMS,
        misses=MISSES,
    )

    # 4. The threshold of the highest balanced accuracy, inside the middle band
    grid = np.quantile(probability, np.linspace(0.05, 0.95, 91))
    accuracies = [
        balanced_accuracy_score(labels, probability >= t, sample_weight=weights) for t in grid
    ]
    best = grid[int(np.argmax(accuracies))]
    calibration = Calibration(
        scale=float(scale),
        offset=float(offset),
        quality=tuple(float(s) for s in shift),
        low=low,
        high=high,
        threshold=float(np.clip(best, low, high)),
    )
    return calibration, bounds


def check_tower(backbone: str, recipe: Recipe) -> None:
    """Check, before any work, that the tower can be had and has the recipe's parts.

    Raises:
        WeightsMissing: the tower is out of reach.
        ValueError: it is unknown, cannot be decomposed, or has not the recipe's parts; or the
            recipe starts from a detector on another embedding.
    """
    needs(recipe.parts, load_tower(backbone))
    if recipe.start:
        about = json.loads((detector_folder(recipe.start) / "config.json").read_text())
        if (about["backbone"], tuple(about["parts"])) != (backbone, recipe.parts):
            raise ValueError(
                f"The heads cannot start from {recipe.start}: it reads other parts, or another "
                f"tower ({about['backbone']})."
            )


def _too_few_windows(windows: Problem, *, folds: set[int]) -> bool:
    """Return whether some fold leaves fewer than MIN_WINDOWED pictures of a class that have
    windows, too few to learn a head of windows from; say so in a sentence.

    Args:
        windows: a row a window (Problem.of_windows).
        folds: of all pictures, those without windows among them.
    """
    pictures = dict(zip(windows.records, windows.fold.tolist(), strict=True))
    counts = [
        sum(record.label == label and own != fold for record, own in pictures.items())
        for label in (0, 1)
        for fold in folds
    ]
    if min(counts) >= MIN_WINDOWED:
        return False
    real, generated = (sum(r.label == label for r in pictures) for label in (0, 1))
    say(
        f"Only {real} real and {generated} generated pictures are large enough for windows at "
        f"native scale: the detector has no head of windows. It takes {MIN_WINDOWED} of each class "
        "beside every held-out fold."
    )
    return True


def _new_log(folder: Path) -> Callable[[dict[str, float]], Any]:
    """Return what writes a row into `folder`/train.jsonl, which is begun anew: a head is fitted
    from its first step even after a kill."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LOG_NAME).unlink(missing_ok=True)
    return partial(log_row, folder)


def fingerprint(backbone: str, recipe: Recipe, records: Sequence[Record]) -> str:
    """Return a hash of all that a held-out head depends on: a checkpoint of other data or settings
    must not be taken for this one."""
    return hashlib.sha256(repr((backbone, recipe, records)).encode()).hexdigest()[:16]


def train_detector(
    records: Sequence[Record],
    root: str | Path,
    *,
    out: str | Path,
    backbone: str,
    recipe: Recipe,
    cache: str | Path,
    device: torch.device | None = None,
) -> Detector:
    """Train, calibrate and save a detector, with its card; a killed run goes on from where it was.

    Args:
        records: to learn from (training_records of a manifest, or read_originals of the data set).
        root: of their paths.
        out: the folder of the detector; what is finished of it is kept there.
        backbone: the tower.
        cache: the folder where features are kept.
        device: that computes; None for the processor.

    Raises:
        BadManifest: nothing can be learned from the data; said before anything is computed.
        NotFinite: a head diverged; it is not saved.
    """
    # 1. The photographs, and the others, which tell image types apart alone
    out = Path(out)
    others = [r for r in records if r.kind != "photo"]
    photographs = [r for r in records if r.kind == "photo"]
    records = divide_lone_groups(photographs, folds=recipe.folds)
    check_training(records, folds=recipe.folds)

    # 2. Features of squares, and the logits of held-out folds
    how: dict[str, Any] = {
        "backbone": backbone,
        "parts": recipe.parts,
        "cache": cache,
        "device": device,
    }
    features = compute_features(
        records, root, augmentations=recipe.augmentations, squares=recipe.squares, **how
    )
    data = problem(records, features, recipe)
    keep = out / "checkpoints" / fingerprint(backbone, recipe, records)
    raw = held_out_logits(data, recipe.head, keep=keep, device=device)
    logits_of_pictures, quality = raw, features.compression

    # 3. The same of windows, if the verdict looks at them and enough pictures have any
    problems: dict[ViewType, Problem] = {"whole": data}
    if recipe.windows:
        window_set = compute_windows(records, root, windows=recipe.windows, **how)
        of_windows = data.of_windows(window_set.values, window_set.picture)
        if _too_few_windows(of_windows, folds=set(data.fold.tolist())):
            recipe = replace(recipe, windows=0, share=0.0)
        else:
            problems["window"] = of_windows
    if recipe.windows:
        logits = held_out_logits(
            problems["window"], recipe.head, keep=keep / "window", device=device
        )[0]
        rows = drawn_augmentation(records, recipe.augmentations), np.arange(len(records))
        logits_of_pictures = window_set.together(raw[rows], logits, share=recipe.share)[None]
        quality = features.compression[rows][None]

    # 4. Calibration, and the heads, which learn from all
    calibration, bounds = calibrate(records, logits_of_pictures, data.weight.numpy(), quality)
    tower = load_tower(backbone)
    heads: dict[ViewType, CausalHead] = {}
    starts = Detector.from_pretrained(recipe.start).heads if recipe.start else {}
    for kind, its in problems.items():
        windows = recipe.windows if kind == "window" else 0
        pictures = list(dict.fromkeys(its.records))
        usual = neutral_patches(
            pictures, root, tower, recipe.parts, windows=windows, squares=recipe.squares
        )
        heads[kind] = fit(
            its,
            recipe.head,
            neutral=usual,
            start=starts.get(kind),
            device=device,
            log=_new_log(keep / f"{out.name}-{kind}"),
        )

    # 5. The detector
    share: dict[ViewType, float] = {"whole": 1.0}
    if recipe.windows:
        share = {"whole": 1 - recipe.share, "window": recipe.share}
    config = DetectorConfig(
        backbone=backbone,
        parts=recipe.parts,
        share=share,
        windows=recipe.windows,
        squares=recipe.squares,
        calibration=calibration,
        hidden=recipe.head.hidden,
        masked=recipe.head.masked,
        revision=recipe.revision or f"{date.today():%Y.%m.%d}-{keep.name[:8]}",
    )
    detector = Detector(tower, heads, config, name=out.name)

    # 6. Image types
    image_types: dict[str, Any] = {}
    if others:
        of_drawings = compute_features(
            others,
            root,
            augmentations=recipe.augmentations[:AUGMENTATIONS],
            squares=recipe.squares,
            **how,
        )
        all_features = torch.cat([data.features[:AUGMENTATIONS], of_drawings.values], 1)
        detector.image_types, image_types = fit_image_types([*records, *others], all_features)

    # 7. The files: the detector, what was measured, and the card
    detector.save_pretrained(out)
    widths = dict(zip(recipe.parts, part_widths(recipe.parts, tower), strict=True))
    validation = validation_report(records, raw, logits_of_pictures, quality, data.fold, config)
    report = {
        "validation": validation | {"bands": bounds},
        "masks": {
            kind: mask_report(heads[kind], its.features[0], its.labels, widths)
            for kind, its in problems.items()
        },
        "kinds": image_types,
        "recipe": asdict(recipe),
        "pictures": len({(r.label, r.source, r.picture) for r in photographs}),
    }
    (out / "training.json").write_text(json.dumps(report, indent=2) + "\n")
    (out / "README.md").write_text(model_card(report, photographs, config))
    return detector
