"""The output folder: what run it belongs to, and its finished parts, each written whole or not at all."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from causalclip.archive.problems import ArchiveProblem
from causalclip.archive.rows import SCHEMA, Row, as_table

RUN = "run.json"


class Parts:
    """The folder of one run: run.json, and the dataset pictures/part-*.parquet.

    run: what must stay the same for the run to go on (source, model, revision, runtime, stability).

    Raises:
        ArchiveProblem: the folder holds something else, another run, a broken part, or is in use.
    """

    def __init__(self, folder: Path, run: dict[str, Any]) -> None:
        self.folder, self.pictures = folder, folder / "pictures"
        try:
            if folder.is_dir() and any(folder.iterdir()) and not (folder / RUN).is_file():
                raise ArchiveProblem(f"{folder} holds something else: choose a new folder for --out.")
            self.pictures.mkdir(parents=True, exist_ok=True)
            self.lock = FileLock(folder / ".lock")
            self.lock.acquire(timeout=0)
        except Timeout:
            raise ArchiveProblem(f"Another run writes to {folder} now.") from None
        except OSError as error:
            raise ArchiveProblem(f"{folder} cannot be written: {error.strerror or error}.") from error
        self._claim(run)
        for left in self.pictures.glob(".*.unfinished"):
            left.unlink()

    def _claim(self, run: dict[str, Any]) -> None:
        path = self.folder / RUN
        if not path.is_file():
            write_whole(path, json.dumps(run, indent=2).encode() + b"\n")
            return
        before = json.loads(path.read_text())
        other = [name for name in {**before, **run} if before.get(name) != run.get(name)]
        if other:
            raise ArchiveProblem(
                f"{self.folder} is of another run ({', '.join(other)}: {before.get(other[0])!r} there, "
                f"{run.get(other[0])!r} now): choose a new folder for --out."
            )

    def paths(self) -> list[Path]:
        return sorted(self.pictures.glob("part-*.parquet"))

    def tables(self, columns: list[str]) -> Iterator[pa.Table]:
        """Some columns of every finished part, one part at a time."""
        for path in self.paths():
            try:
                yield pq.read_table(path, columns=columns, schema=SCHEMA, partitioning=None)
            except (pa.ArrowException, OSError) as error:
                raise ArchiveProblem(
                    f"{path} is broken: delete it and run the same command again, which judges its pictures anew."
                ) from error

    def done(self) -> set[str]:
        """The paths of all pictures that have their row."""
        return {path for table in self.tables(["path"]) for path in table["path"].to_pylist()}

    def add(self, rows: list[Row]) -> None:
        """Writes the next part."""
        number = int(self.paths()[-1].stem.removeprefix("part-")) + 1 if self.paths() else 0
        sink = pa.BufferOutputStream()
        pq.write_table(as_table(rows), sink)
        write_whole(self.pictures / f"part-{number:06d}.parquet", sink.getvalue().to_pybytes())


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file so that it is there whole or not at all.

    Raises:
        ArchiveProblem: the disk is full, or cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ArchiveProblem(
            f"{path} cannot be written: {error.strerror or error}. What was done stays; "
            "make room and run the same command again."
        ) from error
