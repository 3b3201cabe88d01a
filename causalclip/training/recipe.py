"""From a manifest to a detector: features, held-out folds, calibration, final heads, model card. Offline."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from torch import Tensor
from tqdm import tqdm

from causalclip.calibration import Calibration, choose_bands, fit_logistic
from causalclip.clip.backbones import load_tower
from causalclip.clip.embedding import needs
from causalclip.clip.views import Kind
from causalclip.detector import Detector, DetectorConfig
from causalclip.head.losses import LossWeights
from causalclip.head.model import CausalHead
from causalclip.quality import compression
from causalclip.training.data import Record, assign_environments, assign_folds, find_pairs, read_manifest
from causalclip.training.evaluation import LIKE_CONTENT
from causalclip.training.features import Features, compute_features, neutral_patches
from causalclip.training.fitting import TrainConfig, fit_head
from causalclip.training.guards import both_views, check_training, need_both, readable
from causalclip.training.model_card import mask_report, model_card, validation_report
from causalclip.training.splicing import Cells, Wanted, compute_cells

KINDS: tuple[Kind, ...] = ("whole", "window")
FALSE_ALARMS, MISSES = 0.03, 0.10  # of held-out pictures of like content: real ones accused, generated ones let pass
PARTS = ("cls:6", "cls:8", "cls:10", "cls:11", "patch:5", "patch:6")
CAUSAL = LossWeights(
    adversary=0.1, sparsity=0.1, independence=0.1, consistency=0.2, drop=0.2, places=0.3, smoothing=0.1
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of a training run; `--config` reads them from JSON.

    parts: of the embedding (causalclip.clip.embedding). copies: cached views a file. folds: of held-out groups.
    window_share: weight of the windows in the raw logit. windows: native windows at inference.
    splices: of training pictures, for each kind of view, that teach where the evidence is.
    """

    parts: tuple[str, ...] = PARTS
    copies: int = 4
    folds: int = 5
    window_share: float = 0.5
    windows: int = 4
    splices: int = 1500
    head: TrainConfig = field(default_factory=lambda: TrainConfig(rate=3e-4, mask_rate=3e-3, ridge=1.0, weights=CAUSAL))
    revision: str = "1"

    @classmethod
    def read(cls, path: str | Path) -> "Recipe":
        """From a JSON file with any of the fields.

        Raises:
            TypeError: a field that does not exist.
        """
        raw = json.loads(Path(path).read_text())
        head = raw.pop("head", {})
        weights = LossWeights(**{**asdict(CAUSAL), **head.pop("weights", {})})
        if "parts" in raw:
            raw["parts"] = tuple(raw["parts"])
        return cls(head=replace(cls().head, weights=weights, **head), **raw)


@dataclass(frozen=True, slots=True)
class Problem:
    """One view kind's training set: features [K, N, D] (half), labels, weights, folds, environments [N], pairs [P, 2],
    splices."""

    records: tuple[Record, ...]
    features: Tensor
    labels: Tensor
    weight: Tensor
    fold: np.ndarray
    pairs: np.ndarray
    environments: np.ndarray
    cells: Cells | None = None


def balance(records: Sequence[Record]) -> Tensor:
    """Weights [N], mean 1: every set counts as much as another, and in each both classes do."""
    cells = [(r.set, r.label) for r in records]
    share = {cell: cells.count(cell) for cell in set(cells)}
    weight = torch.tensor([1.0 / share[c] for c in cells])
    return weight / weight.mean()


def problem(records: Sequence[Record], features: Features, parts: Sequence[str], kind: Kind, *, folds: int) -> Problem:
    """The records of one view kind, with their features and folds."""
    rows = np.array([i for i, r in enumerate(records) if r.kind == kind])
    mine = tuple(records[i] for i in rows)
    fold_of = assign_folds(records, folds=folds)
    return Problem(
        records=mine,
        features=features.take(parts, rows),
        labels=torch.tensor([float(r.label) for r in mine]),
        weight=balance(mine),
        fold=np.array([fold_of[r.group] for r in mine]),
        pairs=find_pairs(mine),
        environments=assign_environments(mine),
    )


def with_splices(
    problems: dict[Kind, Problem],
    records: Sequence[Record],
    root: str | Path,
    recipe: Recipe,
    *,
    backbone: str,
    cache: str | Path,
) -> dict[Kind, Problem]:
    """The same problems with splices of their pictures (causalclip.training.splicing)."""
    fold_of = assign_folds(records, folds=recipe.folds)
    spliced = {}
    for kind, data in problems.items():
        what = Wanted(backbone, recipe.parts, kind, recipe.splices)
        spliced[kind] = replace(data, cells=compute_cells(records, fold_of, root, what, cache=cache))
    return spliced


def fit(
    data: Problem,
    config: TrainConfig,
    *,
    leave_out: int | None = None,
    neutral: Tensor | None = None,
    head: CausalHead | None = None,
) -> CausalHead:
    """A head (a new causal one where none is given) on every fold but one, or on all."""
    rows = np.flatnonzero(data.fold != leave_out) if leave_out is not None else np.arange(len(data.fold))
    place = np.full(len(data.fold), -1)
    place[rows] = np.arange(len(rows))
    pairs = place[data.pairs]
    pairs = torch.from_numpy(pairs[(pairs >= 0).all(1)])
    places = None
    if data.cells is not None and config.weights.places:
        known = torch.from_numpy(np.flatnonzero(data.cells.fold != leave_out))
        places = data.cells.features[known], data.cells.labels[known]
    torch.manual_seed(config.seed)  # of its first weights, too
    head = head or CausalHead(data.features.shape[2], hidden=config.hidden, masked=config.masked)
    weight = data.weight[rows]
    return fit_head(
        head,
        data.features[:, rows],
        data.labels[rows],
        config=config,
        sample_weight=weight / weight.mean(),
        pairs=pairs,
        places=places,
        patch_total=neutral,
        environments=torch.from_numpy(data.environments[rows]),
    )


@torch.inference_mode()
def held_out_logits(data: Problem, config: TrainConfig, *, keep: Path | None = None) -> np.ndarray:
    """[K, N]: every copy judged by a head that saw neither its family nor its site. Finished folds stay in `keep`."""
    logits = np.zeros(data.features.shape[:2])
    for fold in tqdm(sorted(set(data.fold)), desc="held-out folds"):
        rows = data.fold == fold
        file = keep / f"fold{fold}.safetensors" if keep else None
        if file and file.exists():
            head = CausalHead(data.features.shape[2], hidden=config.hidden, masked=config.masked)
            head.load_state_dict(load_file(file))
            head.eval()
        else:
            with torch.inference_mode(False):
                head = fit(data, config, leave_out=int(fold))
            if file:
                file.parent.mkdir(parents=True, exist_ok=True)
                partial = file.with_suffix(".partial")  # a killed run leaves no half file under the name
                save_file(head.state_dict(), partial)
                partial.rename(file)
        for copy, features in enumerate(data.features):
            logits[copy, rows] = head(features[rows].float()).logit.numpy()
    return logits


def fold_auc(labels: np.ndarray, scores: np.ndarray, fold: np.ndarray, inside: np.ndarray) -> float:
    """Mean over folds of the AUC inside the fold, of the pictures `inside`."""
    values = []
    for f in sorted(set(fold)):
        rows = (fold == f) & inside
        if 0 < labels[rows].sum() < rows.sum():
            values.append(roc_auc_score(labels[rows], scores[rows]))
    return float(np.mean(values))


def by_picture(problems: dict[Kind, Problem]) -> np.ndarray:
    """Rows of the "window" problem in the order of the "whole" one; -1 where a picture has no window."""
    key = lambda r: (r.label, r.source, r.picture)  # noqa: E731
    where = {key(r): i for i, r in enumerate(problems["window"].records)}
    return np.array([where.get(key(r), -1) for r in problems["whole"].records])


def fuse(whole: np.ndarray, window: np.ndarray, rows: np.ndarray, share: float) -> np.ndarray:
    """Raw logits [K, N] of the pictures: the two kinds' weighted mean, the whole alone where there is no window."""
    return np.where(rows >= 0, (1 - share) * whole + share * window[:, rows], whole)


def qualities(problems: dict[Kind, Problem], rows: np.ndarray, root: str | Path) -> np.ndarray:
    """Estimated compression [N, 2] of the pictures, from the file that is nearest to their native scale."""
    records = [
        problems["window"].records[i] if i >= 0 else r for i, r in zip(rows, problems["whole"].records, strict=True)
    ]
    values = []
    for record in records:
        with Image.open(Path(root) / record.path) as file:
            values.append(compression(np.asarray(file.convert("RGB"))))
    return np.stack(values)


def calibrate(
    labels: np.ndarray, raw: np.ndarray, weight: np.ndarray, quality: np.ndarray, *, like: np.ndarray
) -> Calibration:
    """From held-out logits: the score, then the bands and the threshold.

    The detector averages several views of a kind. So do the copies of a picture here for the score, or it would be
    timid. The bands keep their promise over all copies, as they are, delivered and retouched, each by itself.

    Args:
        labels, weight: [N]. raw: [K, N], K copies. quality: [N, Q], estimated compression. like: bool [N], pictures of
            like content, for which the bands are; all of them where none is.
    """
    mean = raw.mean(0)
    scale, offset = fit_logistic(mean[:, None], labels, weight=weight)
    usual = quality.mean(0)
    # Compression moves the score only as far as it must: the raw logit's scale is kept.
    shift = fit_logistic(quality - usual, labels, weight=weight, ridge=0.02, given=scale * mean + offset)[:-1]
    offset -= float(shift @ usual)
    each = 1 / (1 + np.exp(-(scale * raw + offset + quality @ shift)))
    probability = 1 / (1 + np.exp(-(scale * mean + offset + quality @ shift)))
    inside = like if like.any() else np.ones_like(like)
    alike = np.tile(labels[inside], len(raw)), each[:, inside].ravel()
    low, high = choose_bands(*alike, false_alarms=FALSE_ALARMS, misses=MISSES)
    grid = np.quantile(probability, np.linspace(0.05, 0.95, 91))
    best = grid[int(np.argmax([weighted_accuracy(labels, probability >= t, weight) for t in grid]))]
    return Calibration(
        scale=float(scale),
        offset=float(offset),
        quality=tuple(float(q) for q in shift),
        low=low,
        high=high,
        threshold=float(np.clip(best, low, high)),
    )


def weighted_accuracy(labels: np.ndarray, called: np.ndarray, weight: np.ndarray) -> float:
    """Balanced accuracy with weights [N]."""
    rates = [(weight * (labels == c) * (called == c)).sum() / (weight * (labels == c)).sum() for c in (0, 1)]
    return float(np.mean(rates))


def training_records(manifest: str | Path, root: str | Path, *, folds: int) -> list[Record]:
    """The train split's files that can be read, a record a view.

    Raises:
        BadManifest: nothing can be learned from them.
    """
    wanted = [r for r in read_manifest(manifest) if r.split == "train"]
    need_both(wanted, "The split 'train'")
    records = both_views(readable(wanted, root))
    check_training(records, folds=folds)
    return records


def check_tower(backbone: str, recipe: Recipe) -> None:
    """Raises, before any work:
    WeightsMissing: the tower is out of reach.
    ValueError: it is unknown, cannot be decomposed, or has not the recipe's parts.
    """
    needs(recipe.parts, load_tower(backbone))


def fingerprint(backbone: str, recipe: Recipe, records: Sequence[Record]) -> str:
    """Of all that a held-out head depends on: a checkpoint of other data or settings must not be taken for this one."""
    return hashlib.sha256(repr((backbone, recipe, records)).encode()).hexdigest()[:16]


def train_detector(
    manifest: str | Path, root: str | Path, *, out: str | Path, backbone: str, recipe: Recipe, cache: str | Path
) -> Detector:
    """Trains, calibrates and saves a detector, with its card. Runs again from where a killed run was.

    Raises:
        BadManifest: nothing can be learned from the data; said before anything is computed.
    """
    out = Path(out)
    records = training_records(manifest, root, folds=recipe.folds)
    features = compute_features(records, root, backbone=backbone, copies=recipe.copies, cache=cache)
    problems = {k: problem(records, features, recipe.parts, k, folds=recipe.folds) for k in KINDS}
    problems = with_splices(problems, records, root, recipe, backbone=backbone, cache=cache)
    kept = out / "checkpoints" / fingerprint(backbone, recipe, records)
    held_out = {k: held_out_logits(p, recipe.head, keep=kept / k) for k, p in problems.items()}
    rows = by_picture(problems)
    raw = fuse(held_out["whole"], held_out["window"], rows, recipe.window_share)
    labels, weight = problems["whole"].labels.numpy(), problems["whole"].weight.numpy()
    quality = qualities(problems, rows, root)
    like = np.array([r.set in LIKE_CONTENT for r in problems["whole"].records])
    calibration = calibrate(labels, raw, weight, quality, like=like)
    tower = load_tower(backbone)
    heads = {}
    for kind, data in problems.items():
        neutral = neutral_patches(data.records, root, tower, recipe.parts)
        heads[kind] = fit(data, recipe.head, neutral=neutral)
    share: dict[Kind, float] = {"whole": 1 - recipe.window_share, "window": recipe.window_share}
    config = DetectorConfig(
        backbone=backbone,
        parts=recipe.parts,
        share=share,
        windows=recipe.windows,
        calibration=calibration,
        hidden=recipe.head.hidden,
        masked=recipe.head.masked,
        revision=recipe.revision,
    )
    detector = Detector(tower, heads, config, name=out.name)
    detector.save_pretrained(out)
    report = {
        "validation": validation_report(problems["whole"].records, raw, problems["whole"].fold, config),
        "masks": {k: mask_report(heads[k], p.features[0], p.labels) for k, p in problems.items()},
        "recipe": asdict(recipe),
        "pictures": len({(r.label, r.source, r.picture) for r in records}),
    }
    (out / "training.json").write_text(json.dumps(report, indent=2) + "\n")
    (out / "README.md").write_text(model_card(report, records, config))
    return detector
