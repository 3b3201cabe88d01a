"""Judging on Ray Data: a pool of actors that read, decode and judge pictures, and their rows as a
stream.

An actor has one thread for the work and others that read ahead. Pixels never leave the process that
judges them: what is in flight are paths, bounded by Ray's back-pressure. The pictures are those of
a folder, a list, a table, or of any file system that fsspec opens.
"""

import csv
import errno
import io
import logging
import os
import pickle
import posixpath
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import pyarrow
import pyarrow as pa
import pyarrow.parquet
import ray
import ray.data
from fsspec.implementations.local import LocalFileSystem, make_path_posix

from causalclip.archive import ArchiveError
from causalclip.archive.output import Row, failed_row, judged_row, small_row
from causalclip.examination.stages import look_closer, read_claims, with_pixel_marks
from causalclip.images.formats import MAX_BYTES, ImageError
from causalclip.images.loading import load_image
from causalclip.reference import Profile

# before Ray is imported: nothing is reported to anyone
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")

if TYPE_CHECKING:
    from causalclip.detector import Detector

OURS = "Something went wrong here, and that is not the file's fault."
TASK_PATHS = 8  # paths that an actor is given at once; their files' bytes may be read ahead
# pixels of a JPEG: visible marks are seen at half the size of larger ones
ENOUGH_PIXELS = 1_500_000
READERS = 2  # files that an actor reads at once
# rows of files that an actor remembers, some 10 MB: a copy of one is not judged again
MAX_KNOWN = 4096
STORE_BYTES = 100 << 20  # bytes of shared memory, for paths and rows alone
NO_IDLE_WORKERS = {"enable_worker_prestart": False, "prestart_worker_first_driver": False}


def runtime_apart() -> str:
    """The runtime that this machine judges in, asked of another process: this one does without
    PyTorch's 500 MB.

    Raises:
        ArchiveError: CAUSALCLIP_RUNTIME names none that can run here.
    """
    command = [sys.executable, "-m", "causalclip.clip.weights"]
    asked = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        raise ArchiveError(asked.stderr.strip().rpartition("\n")[2])
    return asked.stdout.strip()


@contextmanager
def ray_session(address: str | None, *, workers: int = 1) -> Iterator[None]:
    """A Ray of this process's own with room for the workers, stopped at the end; or the cluster at
    `address`."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    local: dict[str, Any] = {
        "include_dashboard": False,
        "num_cpus": max(workers, os.cpu_count() or 1),
        "object_store_memory": STORE_BYTES,
        "_system_config": NO_IDLE_WORKERS,
    }
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            configure_logging=False,
            **({} if address else local),
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ArchiveError(
            f"There is no Ray at {address}: {' '.join(str(error).split())}"
        ) from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield
    finally:
        ray.shutdown()


def judge_paths(
    paths: list[str],
    *,
    model: str | None,
    workers: int,
    stability: bool,
    profile: Profile | None = None,
) -> Iterator[Row]:
    """Judges every picture and yields its row, in any order. workers: processes with a loaded
    detector each.

    A worker that dies is replaced and its pictures are judged again. profile: what they are held
    to.
    """
    tables = [
        pa.table({"path": paths[start : start + TASK_PATHS]})
        for start in range(0, len(paths), TASK_PATHS)
    ]
    judged = ray.data.from_arrow(tables).map_batches(
        Judge,
        fn_constructor_args=(model, stability, profile),
        batch_size=TASK_PATHS,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    for row in judged.iter_rows():
        yield pickle.loads(row["row"])


class Judge:
    """An actor: one loaded detector on one thread, and pictures by the path.

    model: None to read marks alone. remembered: rows of files, at most.
    """

    def __init__(
        self,
        model: str | None,
        stability: bool,
        profile: Profile | None,
        *,
        remembered: int = MAX_KNOWN,
    ) -> None:
        import cv2

        cv2.setNumThreads(1)  # there are as many workers as cores
        self.detector, self.stability = _detector(model, profile) if model else None, stability
        self.known: dict[str, Row] = {}  # by the SHA-256 of the file
        self.remembered = remembered

    def __call__(self, batch: Mapping[str, Iterable[Any]]) -> dict[str, list[bytes]]:
        paths = [str(path) for path in batch["path"]]
        with ThreadPoolExecutor(READERS) as readers:
            files = readers.map(_read, paths)
            rows = [self.row(path, found) for path, found in zip(paths, files, strict=True)]
        return {"row": [pickle.dumps(row) for row in rows]}

    def row(self, path: str, found: bytes | Exception) -> Row:
        """The row of a picture, whatever its file is. found: its bytes, or why they could not be
        read."""
        try:
            if isinstance(found, Exception):
                raise found
            return self._known(path, found)
        except ImageError as error:
            return failed_row(path, str(error))
        except OSError as error:
            return failed_row(
                path, f"The file cannot be read: {error.strerror or type(error).__name__}."
            )
        except Exception as error:  # ours, not the file's: it costs its row, not the run
            return failed_row(path, f"{OURS} ({type(error).__name__})")

    def _known(self, path: str, data: bytes) -> Row:
        """The row of the same bytes under another path, or a new one."""
        name = sha256(data).hexdigest()
        row = self.known.get(name) or self._examined(path, data)
        self.known[name] = row
        if len(self.known) > self.remembered:
            del self.known[next(iter(self.known))]  # the oldest
        return row | {"path": path}

    def _examined(self, path: str, data: bytes) -> Row:
        from causalclip.examination.messages import NO_ANSWER
        from causalclip.examination.stability import check_stability

        claims = read_claims(data)
        if self.detector is None:
            small = load_image(data, enough=ENOUGH_PIXELS)
            return small_row(path, small, with_pixel_marks(claims, small))
        loaded = load_image(data)
        claims, cautions = look_closer(loaded, claims)
        verdict = self.detector.judge(loaded.pixels)
        asked = self.stability and verdict.band != NO_ANSWER
        stability = check_stability(self.detector, loaded.pixels, verdict) if asked else None
        return judged_row(path, loaded, claims, cautions, verdict, self.detector, stability)


def _detector(model: str, profile: Profile | None) -> "Detector":
    import torch

    from causalclip.detector import Detector

    torch.set_num_threads(1)
    detector = Detector.from_pretrained(model)
    return detector.with_profile(profile) if profile else detector


def _read(path: str) -> bytes | Exception:
    try:
        return read_bytes(path, limit=MAX_BYTES + 1)
    except Exception as error:  # said in the picture's row
        return error


LISTS = ".txt", ".csv", ".parquet"


def list_pictures(source: str) -> list[str]:
    """The paths of all pictures, sorted, each once.

    source: a folder, whose files are walked, hidden ones and links out of it left out; or a list: a
    text file with a path a line, or CSV or Parquet with a column `path`; paths in a list are
    relative to its folder. Either may be a URL of fsspec's.

    Raises:
        ArchiveError: it cannot be read, or holds no path.
    """
    try:
        fs, root = (
            fsspec.core.url_to_fs(source)
            if _remote(source)
            else (LocalFileSystem(), make_path_posix(source))
        )
        if fs.isdir(root):
            # none that is hidden
            found = [p for p in fs.find(root) if "/." not in f"/{p.removeprefix(root)}"]
            found = (
                list(map(fs.unstrip_protocol, found))
                if _remote(source)
                else [p for p in found if _within(p, root)]
            )
        elif fs.isfile(root) and root.lower().endswith(LISTS):
            folder = posixpath.dirname(source)
            found = [p if _remote(p) else posixpath.join(folder, p) for p in _listed(fs, root)]
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


def _remote(path: str) -> bool:
    return "://" in path


def _within(path: str, root: str) -> bool:
    """Whether it is a regular file in the folder: a link that leads out of it is none of the
    archive's pictures."""
    place = os.path.realpath(path)
    return os.path.isfile(place) and place.startswith(os.path.join(os.path.realpath(root), ""))
