"""What breaks a rule is found, and the table that is shipped breaks none."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from causalclip.dataset.hashes import near_pairs
from causalclip.dataset.rules import find_faults, is_reserved
from causalclip.dataset.sites import describe, read_sites
from causalclip.dataset.table import read_table
from tests.causalclip.dataset.making import picture
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([picture(), picture("bert/b", sha256=picture().sha256)], "2 times"),
        ([picture("Anna/a"), picture("anna/b", split="test")], "anna is in two splits"),
        ([picture(phash="0" * 16), picture("bert/b", split="test", phash="0" * 15 + "f")], "near-copy"),
        ([picture(pair="x"), picture("bert/b", label="fake", pair="x")], "more than one owner"),
        ([picture(pair="x"), picture(path="b", pair="x")], "no edited picture"),
    ],
)
def test_each_rule_finds_what_breaks_it(rows: list[Any], says: str) -> None:
    faults = find_faults(rows, describe(rows))
    assert len(faults) == 1
    assert says in faults[0]


def test_what_is_far_apart_or_set_aside_breaks_no_rule() -> None:
    rows = [
        picture(phash="0" * 16),
        picture("bert/b", split="test", phash="0" * 14 + "1f"),
        picture("bert/c", split="aside", phash="0" * 16),
        picture("anna/d", pair="x"),
        picture("anna/e", pair="x", label="fake"),
    ]
    assert find_faults(rows, describe(rows)) == []


def test_a_reserved_repository_or_owner_is_found_in_whatever_case() -> None:
    for name in ("bert/b", "bert"):
        reserved = frozenset([hashlib.sha256(name.encode()).hexdigest()])
        assert is_reserved("Bert/B", reserved)
        assert not is_reserved("anna/b", reserved)
        rows = [picture(), picture("Bert/B")]
        assert find_faults(rows, describe(rows), reserved) == ["Bert/B is reserved: it must not be in the table."]


def test_an_owner_is_in_both_tables() -> None:
    assert find_faults([picture()], describe([picture("bert/b")])) == [
        "anna is in only one of the two tables.",
        "bert is in only one of the two tables.",
    ]


def test_near_copies_are_those_that_comparing_one_by_one_finds() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2**64, 700, np.uint64)
    second = first[:600] ^ (np.uint64(1) << rng.integers(0, 64, 600).astype(np.uint64))
    second ^= np.where(rng.random(600) < 0.5, np.uint64(0xF0), np.uint64(0))
    texts = [[f"{int(v):016x}" for v in values] for values in (first, second)]
    slow = [
        (i, k) for i, a in enumerate(first.tolist()) for k, b in enumerate(second.tolist()) if (a ^ b).bit_count() <= 4
    ]
    assert 200 < len(slow) < 600
    assert near_pairs(*texts) == slow


def test_the_shipped_table_breaks_no_rule() -> None:
    pictures, sites = read_table(ROOT / "data/pictures.csv.gz"), read_sites(ROOT / "data/sites.csv")
    assert find_faults(pictures, sites) == []
    assert sites == describe(pictures, sites), "data/sites.csv does not count what is in data/pictures.csv.gz"


def test_the_command_says_what_it_could_not_compare_and_ends_by_what_it_found(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "causalclip", "data", "check", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    done = run()
    assert done.returncode == 0, done.stderr
    assert "no faults" in done.stdout
    assert "No list of reserved owners was given" in done.stderr
    (tmp_path / "r.txt").write_text(hashlib.sha256(b"bids").hexdigest())
    done = run("--reserved", str(tmp_path / "r.txt"))
    assert done.returncode == 2
    assert "BIDS/BSDS500 is reserved" in done.stdout
    done = run("--table", str(tmp_path / "none.csv"))
    assert done.returncode == 1
    assert "There is no table" in done.stderr
