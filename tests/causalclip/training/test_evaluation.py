"""The tables of one run: everything that the page's "How good is it?" draws must be in them, and no file's name."""

import json

import numpy as np

from causalclip.training.data import Record
from causalclip.training.evaluation import Scores, tabulate


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
