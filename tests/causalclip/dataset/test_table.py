"""The table is read strictly, and written the same way each time."""

import gzip
from pathlib import Path

import pytest

from causalclip.dataset.table import COLUMNS, BadTable, read_table, write_table
from tests.causalclip.dataset.making import picture


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
