"""The tables of one run: everything that the page's "How good is it?" draws must be in them, and no file's name."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from causalclip.pictures.loading import load_image
from causalclip.training.data import Record, detection_fault, readable
from causalclip.training.evaluation import Scores, open_pictures, score_split, tabulate
from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo


def scores(count: int = 80) -> Scores:
    rng = np.random.default_rng(0)
    records, probability = [], []
    for i in range(count):
        label, name = i % 2, ("alike" if i % 4 < 2 else "broad")
        source = ("sdxl", "flux")[i % 3 == 0] if label else "camera"
        path = f"secret-{i}.jpg"
        records.append(Record(path, label, source, "test", name, "picture", path, f"site-{'ai' if label else 'real'}"))
        probability.append(np.clip(rng.normal(0.35 + 0.3 * label, 0.2), 0, 1))
    bands = ["likely generated" if p > 0.7 else "inconclusive" for p in probability]
    return Scores(tuple(records), np.array(probability), tuple(bands))


def test_tables_hold_curves_of_every_set_and_no_names() -> None:
    report = json.loads(json.dumps(tabulate(scores(), threshold=0.5)))
    assert report["sets"] == ["alike", "broad", "all"]
    for name in report["sets"]:
        table = report[name]
        assert table["roc"][0] == [0, 0]
        assert table["roc"][-1] == [1, 1]
        assert sum(row["pictures"] for row in table["reliability"]) == table["pictures"]
        assert table["auc_interval"][0] <= table["auc"] <= table["auc_interval"][1]
    assert set(report["sources"]) == {"camera", "flux", "sdxl"}
    assert len(report["date"]) == 10
    assert "secret" not in json.dumps(report)


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
    scores = score_split(detector, records, tmp_path)
    assert scores.probability[0] == pytest.approx(detector.judge(load_image(tmp_path / name).pixels).probability)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_plain_picture_is_what_it_was(kind: str, tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(encode(photo(), kind))
    [seen] = open_pictures([record("plain")], tmp_path, label="")
    assert np.array_equal(seen, Image.open(tmp_path / "plain").convert("RGB"))


def test_what_detection_refuses_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, size in (("small.png", 10), ("fine.png", 96)):
        (tmp_path / name).write_bytes(encode(photo(128, size), "PNG"))
    kept = readable([record(name) for name in ("small.png", "gone.png", "fine.png")], tmp_path, fault=detection_fault)
    assert [r.path for r in kept] == ["fine.png"]
    assert "small.png cannot be read, gone.png is missing" in capsys.readouterr().err
