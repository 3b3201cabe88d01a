"""Which pictures an archive has: of a folder, a list, a table, or of any file system that fsspec opens."""

import csv
import io
import posixpath
from collections.abc import Iterator
from typing import Any

import fsspec
import pyarrow
import pyarrow.parquet

from causalclip.archive.problems import ArchiveProblem

LISTS = ".txt", ".csv", ".parquet"


def list_pictures(source: str) -> list[str]:
    """The paths of all pictures, sorted, each once.

    source: a folder, whose files are walked and hidden ones left out; or a list: a text file with a path a line, or CSV
    or Parquet with a column `path`; paths in a list are relative to its folder. Either may be a URL of fsspec's.

    Raises:
        ArchiveProblem: it cannot be read, or holds no path.
    """
    try:
        fs, root = fsspec.core.url_to_fs(source)
        if fs.isdir(root):
            found = [fs.unstrip_protocol(p) if _remote(source) else p for p in fs.find(root) if not _hidden(p, root)]
        elif fs.isfile(root) and root.lower().endswith(LISTS):
            folder = posixpath.dirname(source)
            found = [_absolute(path, folder) for path in _listed(fs, root)]
        else:
            raise ArchiveProblem(f"{source} is no folder and no list of paths ({', '.join(LISTS)}).")
    except (OSError, ValueError, ImportError, KeyError, csv.Error, pyarrow.ArrowException) as error:
        raise ArchiveProblem(f"{source} cannot be read: {' '.join(str(error).split())}") from error
    if not found:
        raise ArchiveProblem(f"There is no picture in {source}.", code=2)
    return sorted(set(found))


def read_bytes(path: str, *, limit: int) -> bytes:
    """At most `limit` bytes of a file, local or remote."""
    with fsspec.open(path, "rb") as file:
        data: bytes = file.read(limit)
    return data


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
