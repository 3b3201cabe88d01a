"""The tables are read strictly, written the same way each time, and obey their rules."""

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.conftest import ROOT
from tests.training.dataset.hosting import picture
from training.__main__ import app
from training.dataset.card import END, START, fill
from training.dataset.rules import describe, find_faults, is_reserved
from training.dataset.table import (
    COLUMNS,
    BadTable,
    read_sites,
    read_table,
    write_sites,
    write_table,
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    rows = [
        picture(path="a, b.jpg", notes='"so", he\nwrote'),
        picture("bert/site", label="fake", generator="FLUX.1"),
    ]
    write_table(rows, tmp_path / "t.csv.gz")
    assert read_table(tmp_path / "t.csv.gz") == rows


@pytest.mark.parametrize(
    "value",
    [
        {"path": "../../etc/passwd"},
        {"path": ".git/config"},
        {"path": "a\nb.jpg"},
        {"repo": "--upload-pack=x/y"},
        {"commit": "--output=x"},
        {"sha256": "../" + "0" * 61},
        {"label": "unsure"},
        {"crop": "all"},
    ],
)
def test_a_row_with_a_fault_is_neither_written_nor_read(
    tmp_path: Path, value: dict[str, str]
) -> None:
    bad = picture(**value)  # type: ignore[arg-type]
    with pytest.raises(BadTable, match=next(iter(value))):
        write_table([bad], tmp_path / "t.gz")
    line = ",".join('"' + str(getattr(bad, name)).replace('"', '""') + '"' for name in COLUMNS)
    (tmp_path / "t.csv").write_text(",".join(COLUMNS) + "\n" + line + "\n")
    with pytest.raises(BadTable, match="Line 2"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"set,split\n", "needs the columns"),
        (gzip.compress(b"x", mtime=0)[:-4], "not a CSV"),
        (
            (",".join(COLUMNS) + "\n" + ",".join("x" for _ in COLUMNS) + "\n").encode(),
            "whole numbers",
        ),
    ],
)
def test_what_is_no_table_is_told_in_a_sentence(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(BadTable, match=says):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([picture(), picture("bert/b", sha256=picture().sha256)], "2 times"),
        ([picture("Anna/a"), picture("anna/b", split="test")], "anna is in two splits"),
        (
            [picture(phash="0" * 16), picture("bert/b", split="test", phash="0" * 15 + "f")],
            "near-copy",
        ),
        ([picture(pair="x"), picture("bert/b", label="fake", pair="x")], "more than one owner"),
    ],
)
def test_each_rule_finds_what_breaks_it(rows: list[Any], says: str) -> None:
    faults = find_faults(rows, describe(rows))
    assert len(faults) == 1
    assert says in faults[0]


def test_a_reserved_repository_or_owner_is_found_in_whatever_case() -> None:
    for name in ("bert/b", "bert"):
        reserved = frozenset([hashlib.sha256(name.encode()).hexdigest()])
        assert is_reserved("Bert/B", reserved)
        assert not is_reserved("anna/b", reserved)
        rows = [picture(), picture("Bert/B")]
        assert find_faults(rows, describe(rows), reserved) == [
            "Bert/B is reserved: it must not be in the table."
        ]


def test_the_shipped_table_breaks_no_rule() -> None:
    pictures, sites = (
        read_table(ROOT / "training/tables/pictures.csv.gz"),
        read_sites(ROOT / "training/tables/sites.csv"),
    )
    assert find_faults(pictures, sites) == []


def test_an_owner_whose_row_counts_other_pictures_is_a_fault(tmp_path: Path) -> None:
    rows = [picture(), picture(path="b.jpg")]
    write_sites(describe(rows[:1]), tmp_path / "s.csv")
    sites = read_sites(tmp_path / "s.csv")
    assert find_faults(rows[:1], sites) == []
    assert find_faults(rows, sites) == ["The row of anna does not count its pictures."]
    assert find_faults(rows, [*sites, replace(sites[0], owner="bert")])[0].startswith("bert is in")


@pytest.mark.full
def test_the_command_says_what_it_could_not_compare_and_ends_by_what_it_found(
    tmp_path: Path,
) -> None:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["data", "check", *arguments])

    done = run()
    assert done.exit_code == 0, done.output
    assert "no faults" in done.stdout
    assert "No list of reserved owners was given" in done.stderr
    (tmp_path / "r.txt").write_text(hashlib.sha256(b"bids").hexdigest())
    done = run("--reserved", str(tmp_path / "r.txt"))
    assert done.exit_code == 2
    assert "BIDS/BSDS500 is reserved" in done.stdout
    done = run("--table", str(tmp_path / "none.csv"))
    assert done.exit_code == 1
    assert "There is no table" in done.stderr


def test_the_card_is_as_the_tables_are() -> None:
    text = (ROOT / "training/tables/README.md").read_text(encoding="utf-8")
    tables = (
        read_table(ROOT / "training/tables/pictures.csv.gz"),
        read_sites(ROOT / "training/tables/sites.csv"),
    )
    assert fill(text, *tables) == text, "Write the counts again: python -m training data card"


def test_a_card_without_its_place_for_counts_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        fill(f"{START} and no end", [picture()], describe([picture()]))
    assert fill(f"a {START} old {END} z", [picture()], describe([picture()])).startswith(
        f"a {START}\n\n1 pictures"
    )
