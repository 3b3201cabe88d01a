"""An owner's row counts its pictures and keeps the words of who looked at them."""

from dataclasses import replace
from pathlib import Path

import pytest

from causalclip.dataset.sites import COLUMNS, describe, kind_of, read_sites, write_sites
from causalclip.dataset.table import BadTable
from tests.causalclip.dataset.making import picture


def test_a_kind_is_of_all_of_an_owners_pictures() -> None:
    real, fake = picture(), picture(path="b", label="fake")
    assert kind_of([real, fake]) == "both"
    assert kind_of([real]) == "real"
    assert kind_of([fake]) == "generated"
    assert kind_of([replace(real, pair="x"), replace(fake, pair="x")]) == "edits"
    assert kind_of([replace(real, kind="chart"), replace(fake, kind="meme"), real]) == "kinds"


def test_counts_come_from_the_pictures_and_words_stay(tmp_path: Path) -> None:
    rows = [picture(path=f"{n}.jpg") for n in range(3)]
    site = describe(rows)[0]
    assert (site.owner, site.classes, site.kind, site.split) == ("anna", "3 real", "real", "train")
    known = [replace(site, shown="mountains, with snow", remarks="one camera", classes="9 real")]
    fakes = [picture(path=f"f{n}", label="fake", generator=f"G{n}") for n in range(10)]
    found = describe(rows + fakes, known)
    assert found[0].shown == "mountains, with snow"
    assert found[0].remarks == "one camera"
    assert found[0].classes == "3 real, 10 fake"
    assert found[0].generators.endswith("; and 2 more")
    write_sites(found, tmp_path / "s.csv")
    assert read_sites(tmp_path / "s.csv") == found


@pytest.mark.parametrize("text", ["owner,kind\n", ",".join(COLUMNS) + "\nanna\n", ",".join(COLUMNS) + "\n" + "x," * 9])
def test_what_is_no_table_of_owners_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(BadTable):
        read_sites(tmp_path / "s.csv")
