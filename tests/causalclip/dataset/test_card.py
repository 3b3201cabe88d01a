"""The data card says what the tables say, and the tables alone."""

import pytest

from causalclip.dataset.card import END, START, count, fill
from causalclip.dataset.sites import describe, read_sites
from causalclip.dataset.table import read_table
from tests.causalclip.dataset.making import picture
from tests.conftest import ROOT


def test_the_card_is_as_the_tables_are() -> None:
    text = (ROOT / "data/README.md").read_text(encoding="utf-8")
    tables = read_table(ROOT / "data/pictures.csv.gz"), read_sites(ROOT / "data/sites.csv")
    assert fill(text, *tables) == text, "Write the counts again: python -m causalclip data card"


def test_counts_are_of_pictures_and_of_owners() -> None:
    rows = [
        picture(path="a"),
        picture(path="b", real_by="exif", hard="night"),
        picture("bert/b", split="test", label="fake", generator="FLUX.1", licence="none stated"),
        picture("emil/e", "1", set="edits2", pair="p"),
        picture("emil/e", "2", set="edits2", pair="p", label="fake", generator="FLUX.1", pasted="yes"),
    ]
    text = count(rows, describe(rows))
    for line in (
        "5 pictures of 3 owners, in 3 repositories.",
        "| `sites` | train | 1 | 2 | 0 |",
        "| `sites` | test | 1 | 0 | 1 |",
        "| `exif` | 1 | 1 |",
        "| `owner` | 2 | 2 |",
        "| `night` | 1 | 1 |",
        "| pictures and their edited versions | 1 | 0 |",
        "1 photographs of 1 owners stand beside",
        "kept its own pixels in 1,",
        "Generators are named in 1 ways. Those of most owners, with how many: FLUX.1 (2).",
        "4 pictures have a licence that lets anybody use them, of 1 no licence is stated",
    ):
        assert line in text


def test_a_card_without_its_place_for_counts_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        fill(f"{START} and no end", [picture()], describe([picture()]))
    assert fill(f"a {START} old {END} z", [picture()], describe([picture()])).startswith(f"a {START}\n\n1 pictures")
