"""Few pictures of each set and class stand for all of them, and what AUC lost has an interval."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks import robustness
from benchmarks.robustness import TRAVELS
from causalclip.training.data import Record
from causalclip.training.evaluation import Scores


def record(name: str, label: int, kind: str = "sites") -> Record:
    return Record(name, label, "", "test", kind, "picture", name, "")


def pictures(folder: Path) -> list[Record]:
    """Nine of one set, of which the first is large, and four of another; every third is generated."""
    rows = [record(f"{i}.png", int(i % 3 == 0), "sites" if i < 9 else "alike") for i in range(13)]
    for i, row in enumerate(rows):
        Image.new("L", (60, 40) if i == 0 else (6, 4)).save(folder / row.path)
    return rows


def test_every_set_and_class_is_drawn_but_no_huge_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robustness, "MAX_PIXELS", 24)
    rows = pictures(tmp_path)
    drawn = robustness.sample(rows, tmp_path, 3, kept=())
    assert robustness.cells(drawn) == {("sites", 0): 3, ("sites", 1): 2, ("alike", 0): 2, ("alike", 1): 2}
    assert "0.png" not in {r.path for r in drawn}
    assert robustness.weights(drawn, rows).sum() == len(rows)


def test_what_was_lost_is_counted_by_the_shares_of_all() -> None:
    rows = [record(f"{s}{label}{i}", label, s) for s in ("alike", "sites") for label in (0, 1) for i in range(4)]
    labels = np.array([r.label for r in rows])
    before, mixed = 0.2 + 0.6 * labels, np.where([r.set == "alike" for r in rows], 0.5, 0.2 + 0.6 * labels)
    weight = np.array([1.0 if r.set == "alike" else 3.0 for r in rows])
    bands = ("inconclusive",) * len(rows)
    found = robustness.lost(Scores(tuple(rows), before, bands), Scores(tuple(rows), mixed, bands), weight)
    assert found["sites"] == [0.0, 0.0, 0.0]
    assert found["alike"] == [0.5, 0.5, 0.5]
    # A quarter of each class is level with its like alone: a sixteenth of the pairs.
    assert found["all"] == pytest.approx([1 / 32] * 3)


def test_an_answer_that_a_mild_change_turns_becomes_inconclusive() -> None:
    rows = tuple(record(f"{s}{i}", i % 2, s) for s in ("alike", "sites") for i in range(4))
    scores = {name: Scores(rows, np.full(8, 0.2), ("likely not generated",) * 8) for name in TRAVELS}
    scores["WebP 80"].probability[[0, 4]] = 0.8
    scores["JPEG 50"].probability[1] = 0.8  # a strong one
    detector: Any = SimpleNamespace(config=SimpleNamespace(calibration=SimpleNamespace(threshold=0.5)))
    found = robustness.overturned(detector, scores, np.array([1.0] * 4 + [3.0] * 4))
    assert found["real"]["inconclusive"] == {"as it is": 0.0, "after the check": 0.5}
    assert found["generated"]["likely not generated"] == {"as it is": 1.0, "after the check": 1.0}
