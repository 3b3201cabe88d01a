"""What of the table whole pictures are learned from: those whose label holds for every pixel."""

from pathlib import Path

from causalclip.dataset.originals import read_originals
from causalclip.dataset.table import write_table
from causalclip.training.data import LIKE
from tests.causalclip.dataset.making import picture


def test_of_edits_the_originals_are_learned_from_and_what_was_made_anew(tmp_path: Path) -> None:
    edit = {"set": "edits2", "pair": "p"}
    rows = [
        picture("emil/e", "original", **edit),
        picture("emil/e", "anew", label="fake", pasted="no", generator="FLUX.1", **edit),
        picture("emil/e", "part", label="fake", pasted="yes", generator="FLUX.1", **edit),
        picture("emil/e", "unknown", label="fake", generator="FLUX.1", **edit),
        picture("anna/a", "held out", split="test"),
    ]
    write_table(rows, tmp_path / "pictures.csv.gz")
    for row in rows:
        (tmp_path / row.sha256[:2]).mkdir(exist_ok=True)
        (tmp_path / row.sha256[:2] / f"{row.sha256}.png").touch()
    records = read_originals(tmp_path / "pictures.csv.gz", tmp_path)
    assert {r.original: r.label for r in records} == {"original": 0, "anew": 1}
    assert {r.group for r in records} == {"site emil"}  # so that both are held out together
    assert all(r.set in LIKE for r in records)
