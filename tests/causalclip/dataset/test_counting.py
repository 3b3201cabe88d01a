"""The data card says what the tables say; hints are measured on owners that were not learned from."""

import pytest

from causalclip.dataset.counting import END, START, fill
from causalclip.dataset.rules import describe
from causalclip.dataset.table import read_sites, read_table
from tests.causalclip.dataset.making import picture
from tests.conftest import ROOT


def test_the_card_is_as_the_tables_are() -> None:
    text = (ROOT / "data/README.md").read_text(encoding="utf-8")
    tables = read_table(ROOT / "data/pictures.csv.gz"), read_sites(ROOT / "data/sites.csv")
    assert fill(text, *tables) == text, "Write the counts again: python -m causalclip data card"


def test_a_card_without_its_place_for_counts_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        fill(f"{START} and no end", [picture()], describe([picture()]))
    assert fill(f"a {START} old {END} z", [picture()], describe([picture()])).startswith(f"a {START}\n\n1 pictures")
