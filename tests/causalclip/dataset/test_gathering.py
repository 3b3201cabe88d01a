"""Pictures of a repository are found, their evidence is read, and confirmed drafts become rows with drawn splits."""

import csv
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from causalclip.dataset.gathering import add, read_draft, read_words
from causalclip.dataset.rules import describe, find_faults
from causalclip.dataset.table import BadTable, Picture, read_sites, read_table, write_sites, write_table
from tests.causalclip.dataset.making import picture
from tests.conftest import ROOT

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
    assert read_draft(write_draft(tmp_path / "d.csv", [edit]))[0].set == "edits2"  # what was measured on stays as it is
    for wrong, says in (({"label": ""}, "label"), ({"label": "real?"}, "label"), ({"evidence": " "}, "evidence")):
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
    assert {(p.path, p.pair) for p in added.pictures[1:]} == {
        ("new", ""),
        ("before", "p"),
        ("after", "p"),
        ("alone", ""),
    }
    assert added.new == 4
    assert find_faults(added.pictures, added.sites) == []


def test_the_command_adds_and_keeps_what_was_seen(tmp_path: Path) -> None:
    rows = [picture("old/site")]
    write_table(rows, tmp_path / "t.csv.gz")
    write_sites(describe(rows), tmp_path / "s.csv")
    write_draft(tmp_path / "d.csv", [draft(picture("anna/photos", f"{n}.jpg")) for n in range(3)])
    (tmp_path / "w.csv").write_text("owner,shown,remarks\nAnna,mountains,one camera\n")
    command = [sys.executable, "-m", "causalclip", "data", "add", str(tmp_path / "d.csv"), "--words"]
    command += [str(tmp_path / "w.csv"), "--table", str(tmp_path / "t.csv.gz"), "--sites", str(tmp_path / "s.csv")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "3 pictures were added" in done.stdout
    assert len(read_table(tmp_path / "t.csv.gz")) == 4
    anna = read_sites(tmp_path / "s.csv")[0]
    assert (anna.owner, anna.shown, anna.remarks, anna.classes) == ("anna", "mountains", "one camera", "3 real")
    assert read_words(tmp_path / "w.csv")[0].shown == "mountains"
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "0 pictures were added" in again.stdout
