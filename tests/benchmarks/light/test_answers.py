"""Answers of two runtimes are compared picture by picture, and the table says of how many."""

import numpy as np
import pytest

from benchmarks.light import tables
from benchmarks.light.answers import compare
from causalclip.calibration import sigmoid
from causalclip.training.data import Record
from causalclip.training.evaluation import Scores

BANDS = "likely generated", "inconclusive", "likely not generated", "no answer"


def record(number: int, name: str) -> Record:
    return Record(
        f"{number}.jpg", number % 2, "site", "test", name, "picture", str(number), "", "", "", "", "", "photo"
    )


def test_an_answer_is_another_one_where_its_band_is() -> None:
    logits = [-2.0, 3.0, 0.5, 1.0]
    records = tuple(record(i, name) for i, name in enumerate(("alike", "alike", "alike", "sites")))
    base = Scores(records, np.array([sigmoid(x) for x in logits]), (BANDS[2], BANDS[0], BANDS[1], BANDS[1]))
    now = [(-2.1, BANDS[2]), (3.0, BANDS[0]), (0.2, BANDS[2]), (1.0, BANDS[3])]
    found = compare(base, [{"logit": logit, "band": band, "cpu": 0.25} for logit, band in now])
    assert {name: (row["pictures"], row["answers"], row["refused by one alone"]) for name, row in found.items()} == {
        "all": (4, 2, 1),
        "alike": (3, 1, 0),
        "sites": (1, 1, 1),
    }
    assert found["all"]["moved_most"] == pytest.approx(0.3, abs=1e-4)
    assert found["alike"]["auc"] == {"bfloat16": 1.0, "now": 1.0}
    assert found["sites"]["auc"] == {}  # one class alone
    said = tables.answers(
        {"runtimes": {"int8": {"sets": found, "of": 9, "cpu": 0.25, "date": "2026-11-29", "load": 1.6}}}
    )
    assert "| int8 | alike | 3 | 1.000 | 1.000 | 1 (33.3 %) | 0.10 | 0.30 |" in said
    assert "`int8`: 4 of the 9 pictures, 0.25 processor s each" in said
