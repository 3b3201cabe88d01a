"""The tables are read strictly and written the same way each time; rules, splits, counts and
confirmed drafts hold."""

import csv
import gzip
import hashlib
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.conftest import ROOT
from tests.training.dataset.hosting import picture
from training.__main__ import app
from training.dataset.counting import END, START, fill
from training.dataset.gathering import add, read_draft, read_words
from training.dataset.rules import describe, find_faults, is_reserved, settle, split_new
from training.dataset.table import (
    COLUMNS,
    BadTable,
    Picture,
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
    assert sites == describe(pictures, sites), (
        "training/tables/sites.csv does not count what is in training/tables/pictures.csv.gz"
    )


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


def test_an_owner_that_is_known_keeps_its_split_and_a_test_set_does_not_grow() -> None:
    known = [picture("anna/a"), picture("anna/z", split="aside"), picture("bert/b", split="test")]
    new = [
        picture("anna/c", split=""),
        picture("bert/d", split=""),
        *(picture(f"o{n}/x", split="") for n in range(10)),
    ]
    splits = {p.owner: p.split for p in split_new(new, known)}
    assert splits["anna"] == "train"
    assert splits["bert"] == "aside"
    assert sorted(splits[f"o{n}"] for n in range(10)) == ["test"] * 2 + ["train"] * 8


def test_what_shares_an_owner_or_a_look_with_a_test_set_goes_aside() -> None:
    test = picture("bert/b", split="test", phash="0" * 16)
    rows = [
        test,
        picture("bert/c"),
        picture("anna/near", phash="0" * 15 + "f"),
        picture("anna/far", phash="0" * 14 + "1f"),
        picture("anna/unseen"),
    ]
    assert settle(rows) == [
        test,
        replace(rows[1], split="aside"),
        replace(rows[2], split="aside"),
        *rows[3:],
    ]


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


FAR = [f"{0x1F << n:016x}" for n in (0, 20, 40)]


def write_draft(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, sorted({name for row in rows for name in row}), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def draft(row: Picture, **values: Any) -> dict[str, Any]:
    return {k: v for k, v in (asdict(row) | values | {"who": "me"}).items() if v != ""}


def test_a_draft_needs_no_more_than_is_told_and_no_label_is_guessed(tmp_path: Path) -> None:
    row = picture("Anna/photos")
    short = {k: v for k, v in draft(row).items() if k not in ("split", "site", "kind", "licence")}
    assert read_draft(write_draft(tmp_path / "d.csv", [short])) == [
        replace(row, licence="none stated", family="anna", site="anna")
    ]
    edit = draft(picture("Bert/b", label="fake", pair="p"), set="edits", pasted="unknown")
    # what was measured on stays as it is
    assert read_draft(write_draft(tmp_path / "d.csv", [edit]))[0].set == "edits2"
    for wrong, says in (
        ({"label": ""}, "label"),
        ({"label": "real?"}, "label"),
        ({"evidence": " "}, "evidence"),
    ):
        with pytest.raises(BadTable, match=f"d.csv: Line 2 .*{says}"):
            read_draft(write_draft(tmp_path / "d.csv", [draft(row) | wrong]))
    with pytest.raises(BadTable, match="lacks the columns"):
        read_draft(write_draft(tmp_path / "d.csv", [{"repo": "a/b"}]))


def test_what_is_known_stays_out_and_a_pair_may_look_alike() -> None:
    known = [picture("old/site", phash=FAR[0], split="test")]
    new = [
        picture("anna/a", "same file", sha256=known[0].sha256),
        picture("anna/a", "near an old one", phash=f"{int(FAR[0], 16) ^ 0xF00:016x}"),
        picture("anna/a", "new", phash=FAR[1]),
        picture("bert/b", "near a new one", phash=f"{int(FAR[1], 16) ^ 0xF00:016x}"),
        picture("bert/b", "before", phash=FAR[2], pair="p"),
        picture("bert/b", "after", phash=FAR[2], pair="p", label="fake"),
        picture("bert/b", "alone", pair="q", label="fake"),
    ]
    added = add(new, known, describe(known))
    assert added.left_out == Counter({"near-copy": 2, "known": 1, "reserved": 0})
    pairs = {p.path: p.pair for p in added.pictures[1:]}
    assert pairs == {"new": "", "before": "p", "after": "p", "alone": ""}
    assert added.new == 4
    assert find_faults(added.pictures, added.sites) == []


def test_the_command_adds_and_keeps_what_was_seen(tmp_path: Path) -> None:
    rows = [picture("old/site")]
    write_table(rows, tmp_path / "t.csv.gz")
    write_sites(describe(rows), tmp_path / "s.csv")
    write_draft(tmp_path / "d.csv", [draft(picture("anna/photos", f"{n}.jpg")) for n in range(3)])
    (tmp_path / "w.csv").write_text("owner,shown,remarks\nAnna,mountains,one camera\n")
    paths = {"words": "w.csv", "table": "t.csv.gz", "sites": "s.csv"}
    options = [word for name, path in paths.items() for word in (f"--{name}", str(tmp_path / path))]
    command = ["data", "add", str(tmp_path / "d.csv"), *options]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "3 pictures were added" in done.stdout
    assert len(read_table(tmp_path / "t.csv.gz")) == 4
    anna = read_sites(tmp_path / "s.csv")[0]
    assert (anna.owner, anna.shown, anna.remarks, anna.classes) == (
        "anna",
        "mountains",
        "one camera",
        "3 real",
    )
    assert read_words(tmp_path / "w.csv")[0].shown == "mountains"
    assert "0 pictures were added" in CliRunner().invoke(app, command).stdout
