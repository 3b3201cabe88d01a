"""Measures against independent implementations and counts by hand; pictures are read as detection reads them."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchmetrics.functional.classification import binary_calibration_error

from causalclip.images.loading import load_image
from causalclip.training.data import Record, detection_fault, readable
from causalclip.training.evaluation import (
    calibration_error,
    empirical_precision,
    reliability,
    score_split,
    summarise,
    true_positive_rate,
)
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo


def scores(n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = (rng.random(n) < 0.4).astype(int)
    return labels, np.clip(rng.normal(0.35 + 0.3 * labels, 0.2), 0, 1)


def test_rates_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    p = np.array([0.1, 0.2, 0.3, 0.8, 0.15, 0.6, 0.7, 0.9])
    assert true_positive_rate(labels, p, false_positive_rate=0.0) == pytest.approx(1 / 4)
    assert true_positive_rate(labels, p, false_positive_rate=0.25) == pytest.approx(3 / 4)
    report = summarise(labels, p, threshold=0.65)
    assert report["real_accuracy"] == pytest.approx(3 / 4)
    assert report["generated_accuracy"] == pytest.approx(2 / 4)
    assert report["balanced_accuracy"] == pytest.approx(5 / 8)
    assert report["balanced_accuracy_at_0.5"] == pytest.approx(3 / 4)
    assert report["pictures"] == 8


def test_reliability_bins_are_those_of_the_calibration_error() -> None:
    """The bins by their sums, the error against torchmetrics'."""
    labels, p = scores()
    theirs = binary_calibration_error(torch.tensor(p), torch.tensor(labels), n_bins=15, norm="l1")
    assert calibration_error(labels, p) == pytest.approx(float(theirs), abs=1e-6)
    rows = reliability(labels, p)
    assert sum(row["pictures"] for row in rows) == len(labels)
    assert sum(row["generated"] for row in rows) == labels.sum()
    assert calibration_error(np.array([0, 1]), np.array([0.0, 1.0])) == 0
    assert calibration_error(np.array([1, 0]), np.array([0.0, 1.0])) == 1


def test_what_scores_have_meant_counts_every_picture_once() -> None:
    rng = np.random.default_rng(0)
    probability = np.round(rng.random(400), 2)  # with ties
    labels = (rng.random(400) < probability).astype(int)
    rows = empirical_precision(labels, probability, thresholds=(0.3, 0.75))
    assert (rows[0]["low"], rows[-1]["high"]) == (0, 1)
    assert {0.3, 0.75} <= {r["high"] for r in rows}  # no step reaches across a threshold
    assert all(a["high"] == b["low"] for a, b in pairwise(rows))
    assert sum(r["pictures"] for r in rows) == 400
    assert sum(r["generated"] for r in rows) == labels.sum()
    for low, high in ((0, 0.3), (0.3, 0.75), (0.75, 1)):
        shares = [r["generated"] / r["pictures"] for r in rows if low <= r["low"] and r["high"] <= high]
        assert shares == sorted(shares)  # isotonic between thresholds
    assert min(r["pictures"] for r in empirical_precision(labels, probability)) >= 25
    for row in rows:
        inside = (probability > row["low"]) & (probability <= row["high"])
        assert row["pictures"] == inside.sum() + (probability == 0).sum() * (row["low"] == 0)
    assert empirical_precision(np.array([0, 1, 1]), np.full(3, 0.5))[0]["pictures"] == 3


# Pictures -------------------------------------------------------------------------------------------------------------


def record(name: str) -> Record:
    return Record(name, 0, "camera", "test", "all", "picture", name, "camera")


@pytest.mark.parametrize("name", ["turned.jpg", "clear.png", "picture.heic"])
def test_a_picture_is_read_as_detection_reads_it(name: str, tmp_path: Path) -> None:
    """Turned as its EXIF says, what is transparent on white, and of every format that the app takes."""
    exif, detector = Image.Exif(), tiny_detector()
    exif[274] = 6
    clear = np.dstack([photo(), np.tile(np.arange(128, dtype=np.uint8), (96, 1))])
    files = {
        "turned.jpg": encode(photo(), "JPEG", exif=exif),
        "clear.png": encode(clear, "PNG"),
        "picture.heic": encode(photo(), "HEIC"),
    }
    (tmp_path / name).write_bytes(files[name])
    records = readable([record(name)], tmp_path, fault=detection_fault)
    found = score_split(detector, records, tmp_path)
    assert found.probability[0] == pytest.approx(detector.judge(load_image(tmp_path / name).pixels).probability)
