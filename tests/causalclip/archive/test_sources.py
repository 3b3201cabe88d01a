"""What an archive's pictures are: of a folder, a list, a table, a file system."""

import os
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="an archive needs requirements-archive.txt")

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from causalclip.archive.problems import ArchiveProblem
from causalclip.archive.sources import list_pictures, read_bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "sub/a.jpg", ".hidden/c.jpg", "sub/.d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 10)
    return tmp_path


def test_a_folder_is_walked_without_what_is_hidden(folder: Path) -> None:
    assert list_pictures(str(folder)) == [str(folder / "b.jpg"), str(folder / "sub/a.jpg")]


def test_links_out_of_the_folder_pipes_and_devices_are_no_pictures(folder: Path, tmp_path_factory: Any) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "secret.jpg").write_bytes(b"x")
    (folder / "link.jpg").symlink_to(other / "secret.jpg")
    (folder / "links").symlink_to(other)
    (folder / "zero.jpg").symlink_to("/dev/zero")
    (folder / "own.jpg").symlink_to(folder / "b.jpg")
    os.mkfifo(folder / "pipe.jpg")
    assert list_pictures(str(folder)) == [str(folder / name) for name in ("b.jpg", "own.jpg", "sub/a.jpg")]


def test_what_is_no_regular_file_is_not_read(folder: Path) -> None:
    """A pipe would be waited for, and a device read to the limit."""
    os.mkfifo(folder / "pipe.jpg")
    for path in (folder / "pipe.jpg", "/dev/zero", folder):
        with pytest.raises(OSError, match=r"."):
            read_bytes(str(path), limit=10)


def test_a_name_is_no_chain_of_addresses(folder: Path) -> None:
    (folder / "simplecache::b.jpg").write_bytes(b"mine")
    assert str(folder / "simplecache::b.jpg") in list_pictures(str(folder))
    assert read_bytes(str(folder / "simplecache::b.jpg"), limit=10) == b"mine"
    with pytest.raises(OSError, match="chain"):
        read_bytes("simplecache::memory://x.jpg", limit=10)


def test_lists_name_paths_from_their_folder(folder: Path) -> None:
    wanted = sorted([str(folder / "b.jpg"), "/elsewhere/x.jpg", "memory://m/y.jpg"])
    paths = ["b.jpg", "/elsewhere/x.jpg", "memory://m/y.jpg", "b.jpg"]
    (folder / "list.txt").write_text("\n".join([*paths, ""]))
    (folder / "list.csv").write_text("id,path\n" + "".join(f"1,{p}\n" for p in paths))
    pq.write_table(pa.table({"path": [*paths, None], "id": range(5)}), folder / "list.parquet")
    for name in ("list.txt", "list.csv", "list.parquet"):
        assert list_pictures(str(folder / name)) == wanted


def test_any_file_system_of_fsspec() -> None:
    with fsspec.open("memory://archive/sub/a.jpg", "wb") as file:
        file.write(b"0123456789")
    assert list_pictures("memory://archive") == ["memory:///archive/sub/a.jpg"]
    assert read_bytes("memory:///archive/sub/a.jpg", limit=4) == b"0123"


@pytest.mark.parametrize(
    ("name", "content", "words", "code"),
    [
        ("nowhere", None, "no folder and no list", 1),
        ("picture.jpg", b"x", "no folder and no list", 1),
        ("list.csv", b"name\na.jpg\n", "cannot be read: 'path'", 1),
        ("list.parquet", b"no parquet", "cannot be read", 1),
        ("list.txt", b"\n\n", "no picture", 2),
        ("nosuch://x/y", None, "cannot be read", 1),
    ],
)
def test_bad_sources_are_a_sentence(tmp_path: Path, name: str, content: bytes | None, words: str, code: int) -> None:
    source = name if "://" in name else str(tmp_path / name)
    if content is not None:
        Path(source).write_bytes(content)
    with pytest.raises(ArchiveProblem, match=words) as caught:
        list_pictures(source)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)
