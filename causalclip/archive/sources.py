"""Which pictures an archive has: of a folder, a list, a table, or of any file system that fsspec opens."""

import csv
import errno
import io
import os
import posixpath
import stat
from collections.abc import Iterator
from typing import Any

import fsspec
import pyarrow
import pyarrow.parquet
from fsspec.implementations.local import LocalFileSystem, make_path_posix

from causalclip.archive import ArchiveError

LISTS = ".txt", ".csv", ".parquet"


def list_pictures(source: str) -> list[str]:
    """The paths of all pictures, sorted, each once.

    source: a folder, whose files are walked, hidden ones and links out of it left out; or a list: a text file with a
    path a line, or CSV or Parquet with a column `path`; paths in a list are relative to its folder. Either may be a URL
    of fsspec's.

    Raises:
        ArchiveError: it cannot be read, or holds no path.
    """
    try:
        fs, root = fsspec.core.url_to_fs(source) if _remote(source) else (LocalFileSystem(), make_path_posix(source))
        if fs.isdir(root):
            found = [p for p in fs.find(root) if not _hidden(p, root)]
            found = list(map(fs.unstrip_protocol, found)) if _remote(source) else [p for p in found if _within(p, root)]
        elif fs.isfile(root) and root.lower().endswith(LISTS):
            folder = posixpath.dirname(source)
            found = [_absolute(path, folder) for path in _listed(fs, root)]
        else:
            raise ArchiveError(f"{source} is no folder and no list of paths ({', '.join(LISTS)}).")
    except (OSError, ValueError, ImportError, KeyError, csv.Error, pyarrow.ArrowException) as error:
        raise ArchiveError(f"{source} cannot be read: {' '.join(str(error).split())}") from error
    if not found:
        raise ArchiveError(f"There is no picture in {source}.", code=2)
    return sorted(set(found))


def read_bytes(path: str, *, limit: int) -> bytes:
    """At most `limit` bytes of a file, local or remote.

    Raises:
        OSError: it cannot be read, or is no regular file: a pipe or a device has no end.
    """
    if _remote(path):
        if "::" in path:
            raise OSError(errno.EINVAL, "a chain of addresses is not opened")
        with fsspec.open(path, "rb") as file:
            data: bytes = file.read(limit)
        return data
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as local:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        return local.read(limit)


def _listed(fs: Any, path: str) -> Iterator[str]:
    with fs.open(path, "rb") as file:
        if path.lower().endswith(".parquet"):
            for batch in pyarrow.parquet.ParquetFile(file).iter_batches(columns=["path"]):
                yield from filter(None, batch["path"].to_pylist())
            return
        text = io.TextIOWrapper(file, "utf-8-sig", newline="")
        if path.lower().endswith(".csv"):
            yield from (row["path"] for row in csv.DictReader(text) if row["path"])
        else:
            yield from filter(None, (line.strip() for line in text))


def _absolute(path: str, folder: str) -> str:
    return path if _remote(path) else posixpath.join(folder, path)


def _remote(path: str) -> bool:
    return "://" in path


def _hidden(path: str, root: str) -> bool:
    return any(part.startswith(".") for part in path.removeprefix(root).split("/"))


def _within(path: str, root: str) -> bool:
    """Whether it is a regular file in the folder: a link that leads out of it is none of the archive's pictures."""
    place = os.path.realpath(path)
    return os.path.isfile(place) and place.startswith(os.path.join(os.path.realpath(root), ""))
