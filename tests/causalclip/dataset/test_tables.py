"""The tables are read strictly and written the same way each time; their rules, splits and selections hold."""

import gzip
import hashlib
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from causalclip.dataset.rules import describe, draw, find_faults, is_reserved, kind_of, near_pairs, settle, split_new
from causalclip.dataset.selection import SAMPLE, choose, has_clear_licence, read_originals
from causalclip.dataset.table import COLUMNS, SITE_COLUMNS, BadTable, read_sites, read_table, write_sites, write_table
from causalclip.training.data import LIKE
from tests.causalclip.dataset.making import picture
from tests.conftest import ROOT

FREE = [
    picture(f"owner{site}/photos", f"{label}{i}.jpg", label=label, split="test")
    for site in range(6)
    for label in ("real", "fake")
    for i in range(20)
]


def test_sample_has_as_many_real_as_generated_and_few_of_an_owner() -> None:
    sample = choose(FREE, sample=True)
    assert len({p.sha256 for p in sample}) == SAMPLE
    assert Counter(p.label for p in sample) == {"real": SAMPLE // 2, "fake": SAMPLE // 2}
    assert max(Counter(p.owner for p in sample).values()) <= 15


def test_sample_is_the_same_whatever_the_order_of_the_table() -> None:
    assert choose(FREE, sample=True) == choose(FREE[::-1], sample=True)


@pytest.mark.parametrize(
    "other",
    [
        {"split": "train"},
        {"kind": "drawing"},
        {"licence": "none stated"},
        {"crop": "0,0,9,9"},
        {"pair": "a"},
        {"set": "edits"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_sample_leaves_out_what_is_not_a_free_test_photograph(other: dict[str, str]) -> None:
    assert choose([picture(**({"split": "test"} | other))], sample=True) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("licence", "clear"),
    [
        ("MIT", True),
        ("CC BY-SA 4.0", True),
        ("Unsplash", True),
        ("CC BY-NC 4.0", False),
        ("none stated", False),
        ("MIT for code, research only for pictures", False),
    ],
)
def test_which_licences_let_anybody_use_a_picture(licence: str, clear: bool) -> None:
    assert has_clear_licence(licence) is clear


def test_sites_are_drawn_whole() -> None:
    drawn = choose(FREE, sites=2)
    assert len({p.owner for p in drawn}) == 2
    assert len(drawn) == 80


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    rows = [picture(path="a, b.jpg", notes='"so", he\nwrote'), picture("bert/site", label="fake", generator="FLUX.1")]
    write_table(rows, tmp_path / "t.csv.gz")
    assert read_table(tmp_path / "t.csv.gz") == rows


def test_equal_rows_make_equal_bytes_whatever_their_order(tmp_path: Path) -> None:
    rows = [picture(path=f"{n}.jpg") for n in range(9)]
    write_table(rows, tmp_path / "one.gz")
    write_table(rows[::-1], tmp_path / "other.gz")
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "other.gz").read_bytes()
    assert (tmp_path / "one.gz").read_bytes()[4:8] == bytes(4)  # no time of writing


@pytest.mark.parametrize(
    "value",
    [
        {"path": "../../etc/passwd"},
        {"path": "/etc/passwd"},
        {"path": "a/../../b.jpg"},
        {"path": ".git/config"},
        {"path": "a\nb.jpg"},
        {"repo": "anna/photos/more"},
        {"repo": "--upload-pack=x/y"},
        {"commit": "HEAD"},
        {"commit": "--output=x"},
        {"sha256": "../" + "0" * 61},
        {"split": "validation"},
        {"label": "unsure"},
        {"kind": "painting"},
        {"evidence": " "},
        {"licence": ""},
        {"real_by": ""},
        {"generator": "FLUX.1"},
        {"phash": "12"},
        {"crop": "all"},
        {"pasted": "yes"},
        {"width": 0},
        {"site": "another"},
    ],
)
def test_a_row_with_a_fault_is_neither_written_nor_read(tmp_path: Path, value: dict[str, str]) -> None:
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
        (b"\xff\xfe\x00", "not a CSV"),
        ((",".join(COLUMNS) + "\nsites\n").encode(), "fields"),
        ((",".join(COLUMNS) + "\n" + ",".join("x" for _ in COLUMNS) + "\n").encode(), "whole numbers"),
    ],
)
def test_what_is_no_table_is_told_in_a_sentence(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(BadTable, match=says):
        read_table(tmp_path / "t.csv")


def test_a_table_that_is_not_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadTable, match="There is no table"):
        read_table(tmp_path / "t.csv")


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


@pytest.mark.parametrize(
    "text", ["owner,kind\n", ",".join(SITE_COLUMNS) + "\nanna\n", ",".join(SITE_COLUMNS) + "\n" + "x," * 9]
)
def test_what_is_no_table_of_owners_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(BadTable):
        read_sites(tmp_path / "s.csv")


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


def test_a_fifth_of_each_kind_tests_and_an_eighth_of_the_edits() -> None:
    kinds = {f"{kind}{n}": kind for kind in ("both", "real", "generated", "kinds") for n in range(50)}
    kinds |= {f"edits{n}": "edits" for n in range(48)}
    tested = draw(kinds)
    for kind, wanted in {"both": 10, "real": 10, "generated": 10, "kinds": 10, "edits": 6}.items():
        assert sum(kinds[owner] == kind for owner in tested) == wanted
    assert tested == draw(dict(reversed(kinds.items())))  # whatever their order
    assert tested != draw(kinds, salt="another")


def test_an_owner_that_is_known_keeps_its_split_and_a_test_set_does_not_grow() -> None:
    known = [picture("anna/a"), picture("anna/z", split="aside"), picture("bert/b", split="test")]
    new = [picture("anna/c", split=""), picture("bert/d", split=""), *(picture(f"o{n}/x", split="") for n in range(10))]
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
    assert settle(rows) == [test, replace(rows[1], split="aside"), replace(rows[2], split="aside"), *rows[3:]]


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
