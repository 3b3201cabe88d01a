"""The run itself, on Ray Data: reading and decoding as tasks, the detector as a pool of actors, rows as a stream.

What is in flight is bounded by Ray's back-pressure: a task that decodes waits while the actors have enough to do.
"""

import logging
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before Ray is imported: nothing is reported to anyone
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")

import pyarrow as pa
import ray
import ray.data

from causalclip.archive.problems import ArchiveProblem
from causalclip.archive.rows import Row, failed_row, found_row, judged_row
from causalclip.archive.sources import read_bytes
from causalclip.examine.examination import look_closer, read_claims
from causalclip.pictures.formats import MAX_BYTES
from causalclip.pictures.loading import ImageError, load_image
from causalclip.profile import Profile
from causalclip.provenance.reading import Provenance

OURS = "Something went wrong here, and that is not the file's fault."
TASK = 16  # paths that one decoding task is given
BATCH = 4  # pictures that an actor is given at once
BLOCK = 32 << 20  # bytes of decoded pictures that are sent together


@contextmanager
def ray_session(address: str | None) -> Iterator[None]:
    """A Ray of this process's own, stopped at the end; or the cluster at `address`, which goes on."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            ray.init(address="local", include_dashboard=False, **quiet)
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
    context.target_max_block_size = BLOCK
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    tables = [pa.table({"path": paths[start : start + TASK]}) for start in range(0, len(paths), TASK)]
    judged = (
        ray.data.from_arrow(tables)
        .map(decode, num_cpus=1)
        .map_batches(
            Judge,
            fn_constructor_args=(model, stability, profile),
            batch_size=BATCH,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=0.5,  # as Ray counts: half is left to decoding, which also keeps Ray from joining the two
            zero_copy_batch=True,
        )
    )
    for row in judged.iter_rows():
        yield pickle.loads(row["row"])


def decode(item: dict[str, Any]) -> dict[str, Any]:
    """A path -> its row so far, and its claims and pixels (none where it has an error), packed for an actor."""
    path = item["path"]
    claims: Provenance | None = None
    pixels: np.ndarray | None = None
    try:
        data = read_bytes(path, limit=MAX_BYTES + 1)
        claims = read_claims(data)
        loaded = load_image(data)
        pixels = loaded.pixels
        claims, cautions = look_closer(loaded, claims)
        row = found_row(path, loaded, claims, cautions)
    except ImageError as error:
        row = failed_row(path, str(error))
    except OSError as error:
        row = failed_row(path, f"The file cannot be read: {error.strerror or type(error).__name__}.")
    except Exception as error:  # ours, not the file's: it costs its row, not the run
        row = failed_row(path, f"{OURS} ({type(error).__name__})")
    return {"found": pickle.dumps((row, claims, pixels))}


class Judge:
    """An actor: one loaded detector, and pictures by the batch."""

    def __init__(self, model: str, stability: bool, profile: Profile | None) -> None:
        from causalclip.detector import Detector

        detector = Detector.from_pretrained(model)
        self.detector, self.stability = detector.with_profile(profile) if profile else detector, stability

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[bytes]]:
        found = [pickle.loads(packed) for packed in batch["found"]]
        return {"row": [pickle.dumps(row if "error" in row else self.judge(row, *rest)) for row, *rest in found]}

    def judge(self, row: Row, claims: Provenance, pixels: np.ndarray) -> Row:
        from causalclip.examine.kind import NO_ANSWER
        from causalclip.examine.stability import check_stability

        try:
            verdict = self.detector.judge(pixels)
            asked = self.stability and verdict.band != NO_ANSWER
            checked = check_stability(self.detector, pixels, verdict) if asked else None
            return judged_row(row, claims, verdict, self.detector, checked)
        except Exception as error:  # as above
            return failed_row(row["path"], f"{OURS} ({type(error).__name__})")
