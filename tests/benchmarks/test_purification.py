"""The table of defences rests on what was measured, with the models that are shipped."""

import json
from statistics import fmean

from benchmarks.tables.sections import BENCHMARKS
from purifier.evaluation.kept import Kept, fingerprint
from purifier.evaluation.rows import COMPARED
from purifier.models import MODELS

FOLDER = BENCHMARKS / "purification"


def test_the_table_is_of_the_shipped_models_picture_by_picture() -> None:
    shipped = fingerprint(MODELS / name for name in ("vlm", "vlm-eye", "purifier"))
    kept = Kept(FOLDER / "outcomes" / f"{shipped}.csv.gz")
    cells = json.loads((FOLDER / "defences.json").read_text())["cells"]
    ours = [cell for cell in cells if cell["row"] not in COMPARED]
    assert ours
    for cell in ours:
        found = [rows[cell["row"]] for rows in kept.all(cell["column"]).values() if cell["row"] in rows]
        assert len(found) == cell["n"], cell
        assert abs(fmean(o.agrees for o in found) - cell["agreement"]) < 1e-4
        assert abs(fmean(o.right for o in found) - cell["accuracy"]) < 1e-4
