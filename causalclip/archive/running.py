"""The run itself, on Ray Data: a pool of actors that read, decode and judge, and their rows as a stream.

An actor has one thread for the work and others that read ahead: pixels never leave the process that judges them, so no
picture is packed, sent and held a second time. What is in flight are paths, bounded by Ray's back-pressure.
"""

import logging
import os
import pickle
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before Ray is imported: nothing is reported to anyone
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")

import pyarrow as pa
import ray
import ray.data

from causalclip.archive.problems import ArchiveProblem
from causalclip.archive.rows import Row, failed_row, found_row, judged_row
from causalclip.archive.sources import read_bytes
from causalclip.evidence.examination import look_closer, read_claims
from causalclip.pictures.formats import MAX_BYTES
from causalclip.pictures.loading import ImageError, load_image
from causalclip.profile import Profile

OURS = "Something went wrong here, and that is not the file's fault."
TASK = 8  # paths that an actor is given at once; their files' bytes may be read ahead
READERS = 2  # files that an actor reads at once
KNOWN = 4096  # rows of files that a worker remembers, some 10 MB: of a copy among them nothing is judged again
STORE = 100 << 20  # bytes of shared memory, for paths and rows alone
FEW = {"enable_worker_prestart": False, "prestart_worker_first_driver": False}  # of processes that nothing is given to


@contextmanager
def ray_session(address: str | None, *, workers: int = 1) -> Iterator[None]:
    """A Ray of this process's own, stopped at the end; or the cluster at `address`, which goes on.

    workers: that there shall be room for.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            quiet |= {"num_cpus": max(workers, os.cpu_count() or 1), "object_store_memory": STORE}
            ray.init(address="local", include_dashboard=False, _system_config=FEW, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ArchiveProblem(f"There is no Ray at {address}: {' '.join(str(error).split())}") from error
    try:
        yield
    finally:
        ray.shutdown()


def judge_paths(
    paths: list[str], *, model: str, workers: int, stability: bool, profile: Profile | None = None
) -> Iterator[Row]:
    """Judges every picture and yields its row, in any order. `workers`: processes with a loaded detector each.

    A worker that dies is replaced and its pictures are judged again. profile: what they are held to.
    """
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    tables = [pa.table({"path": paths[start : start + TASK]}) for start in range(0, len(paths), TASK)]
    judged = ray.data.from_arrow(tables).map_batches(
        Judge,
        fn_constructor_args=(model, stability, profile),
        batch_size=TASK,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    for row in judged.iter_rows():
        yield pickle.loads(row["row"])


class Judge:
    """An actor: one loaded detector on one thread, and pictures by the path. remembered: rows of files, at most."""

    def __init__(self, model: str, stability: bool, profile: Profile | None, *, remembered: int = KNOWN) -> None:
        import cv2
        import torch

        from causalclip.detector import Detector

        torch.set_num_threads(1)  # there are as many workers as cores
        cv2.setNumThreads(1)
        detector = Detector.from_pretrained(model)
        self.detector, self.stability = detector.with_profile(profile) if profile else detector, stability
        self.known: dict[str, Row] = {}  # by the SHA-256 of the file
        self.remembered = remembered

    def __call__(self, batch: Mapping[str, Iterable[Any]]) -> dict[str, list[bytes]]:
        paths = [str(path) for path in batch["path"]]
        with ThreadPoolExecutor(READERS) as readers:
            files = readers.map(_read, paths)
            rows = [self.row(path, found) for path, found in zip(paths, files, strict=True)]
        return {"row": [pickle.dumps(row) for row in rows]}

    def row(self, path: str, found: bytes | Exception) -> Row:
        """One picture's, whatever its file is. found: its bytes, or why they could not be read."""
        try:
            if isinstance(found, Exception):
                raise found
            return self._known(path, found)
        except ImageError as error:
            return failed_row(path, str(error))
        except OSError as error:
            return failed_row(path, f"The file cannot be read: {error.strerror or type(error).__name__}.")
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
        from causalclip.evidence.stability import check_stability
        from causalclip.evidence.words import NO_ANSWER

        claims = read_claims(data)
        loaded = load_image(data)
        claims, cautions = look_closer(loaded, claims)
        verdict = self.detector.judge(loaded.pixels)
        asked = self.stability and verdict.band != NO_ANSWER
        checked = check_stability(self.detector, loaded.pixels, verdict) if asked else None
        return judged_row(found_row(path, loaded, claims, cautions), claims, verdict, self.detector, checked)


def _read(path: str) -> bytes | Exception:
    try:
        return read_bytes(path, limit=MAX_BYTES + 1)
    except Exception as error:  # said in the picture's row
        return error
