"""python -m causalclip archive SOURCE --out FOLDER: a whole archive on Ray Data, into Parquet.

Every picture of a folder goes through `examine` up to its verdict, in a pool of processes that hold
a detector each, on this machine or on a cluster. A picture's row holds the fields that tables are
made of, and the whole examination as JSON. Rows are written a part at a time; the same command goes
on with the pictures that have none.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer
from tqdm import tqdm

from causalclip.commands.shared import (
    DONE,
    REFUSED,
    STOPPED,
    Head,
    Lang,
    Model,
    ProfileFile,
    chosen_model,
    exit_with_sentence,
    named_profile,
)
from causalclip.images.formats import MAX_BYTES, ImageError, too_many_bytes
from causalclip.languages import ENGLISH, N_, _, ngettext, number, speaking
from causalclip.paths import WeightsMissing, revision_of
from causalclip.reference import BadProfile, Profile, hold

if TYPE_CHECKING:
    from pyarrow import Schema, Table
    from pyarrow.fs import FileSystem

NEEDS = N_("An archive needs Ray: {command}.")
NOT_JUDGED = N_("Not judged")
OUR_FAULT = "Something went wrong here, and that is not the file's fault."
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif", ".tif", ".tiff", ".gif"}
PART_ROWS = 200  # rows of a part: so many pictures at most are judged again after a kill
TASK_PICTURES = 8  # that a process is given at once
STORE_BYTES = 100 << 20  # of shared memory, for paths and rows alone: pixels stay in their process
COLUMNS = {  # of a row, by their Arrow types; all but path and error as in ExaminationSchema
    "path": "string",
    "error": "string",
    **dict.fromkeys(("answer", "band", "kind"), "string"),
    **dict.fromkeys(("probability", "logit", "low", "high"), "float64"),
    **dict.fromkeys(("sha256", "perceptual_hash", "format"), "string"),
    **dict.fromkeys(("width", "height", "file_size"), "int64"),
    **dict.fromkeys(("head", "model", "revision", "runtime", "examined"), "string"),
    "examination": "string",  # all fields, as JSON
}
Row = dict[str, Any]


class ArchiveError(Exception):
    """A sentence that says what is wrong and what to do."""


def archive(
    source: Annotated[str, typer.Argument(help="A folder of pictures, or its URL (s3://, gs://).")],
    out: Annotated[Path, typer.Option(help="The output's folder. A stopped run goes on in it.")],
    model: Model = "",
    head: Head = "",
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that judge; as many as cores by default.")
    ] = (os.cpu_count() or 1),
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; without, Ray runs here.")
    ] = None,
    profile: ProfileFile = None,
    lang: Lang = ENGLISH,
) -> None:
    """Examine a whole archive into Parquet. Exit code 0 if all were read, 2 if any was refused."""
    with speaking(lang):
        try:
            import ray.data  # noqa: F401
        except ModuleNotFoundError:
            typer.echo(_(NEEDS, command="pip install -r requirements-archive.txt"), err=True)
            raise typer.Exit(STOPPED) from None
        with exit_with_sentence(ArchiveError, WeightsMissing, BadProfile):
            answers, errors = run(
                source,
                out,
                Path(chosen_model(model, head)).resolve(),
                workers=workers,
                address=address,
                profile=named_profile(profile),
            )
        typer.echo(ngettext("{n} picture", "{n} pictures", answers.total()))
        for answer, count in answers.most_common():
            typer.echo(f"  {number(count)} {_(answer)}")
        for error, count in errors.most_common(5):
            typer.echo(f"  {number(count)} x {error}")
    raise typer.Exit(REFUSED if errors or not answers else DONE)


def run(
    source: str,
    out: Path,
    model: Path,
    *,
    workers: int,
    address: str | None,
    profile: Profile | None,
) -> tuple[Counter[str], Counter[str]]:
    """Examine every picture of a source that has no row in `out`.

    Args:
        source: a folder, or its URL.
        out: the folder of the parts; it is made where there is none.
        model: the detector's folder, which every machine of a cluster has.
        workers: processes, with a detector each.
        address: of a Ray cluster; None to run Ray here.
        profile: a reference set that the pictures are held to, if any.

    Returns:
        How many pictures have each answer, and each error, of all rows in `out`.

    Raises:
        ArchiveError: the source or the output cannot be used, or there is no cluster.
        BadProfile: the reference set is another detector's.
    """
    # 1. The pictures that have no row yet
    revision = revision_of(model)
    if profile:
        profile.check(model.name, revision)
    filesystem, sizes = list_pictures(source)
    finished = {row["path"] for row in _rows(out, judged_by=(model.name, revision))}
    missing = sorted(sizes.keys() - finished)

    # 2. Their rows, a part at a time
    if missing:
        with (
            _ray(address, workers),
            tqdm(total=len(sizes), initial=len(sizes) - len(missing)) as bar,
        ):
            for rows in _examine_parts(missing, sizes, filesystem, model, profile, workers):
                _write(rows, out)
                bar.update(rows.num_rows)

    # 3. What all parts say
    answers, errors = Counter[str](), Counter[str]()
    for row in _rows(out):
        answers[row["answer"] or NOT_JUDGED] += 1
        errors.update(filter(None, [row["error"]]))
    return answers, errors


def list_pictures(source: str) -> tuple[FileSystem, dict[str, int]]:
    """Return a source's file system, and the pictures in it: their sizes in bytes, by path.

    Hidden files and folders are left out, and so is what is no regular file or lies, by a link,
    outside of the folder.

    Raises:
        ArchiveError: it is no folder, or cannot be read.
    """
    from pyarrow import ArrowException
    from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem

    try:
        if "://" in source:
            filesystem, root = FileSystem.from_uri(source)
        else:
            filesystem, root = LocalFileSystem(), Path(source).resolve().as_posix()
        infos = filesystem.get_file_info(FileSelector(root, recursive=True))
    except (OSError, ValueError, ArrowException) as error:
        raise ArchiveError(f"{source} is no folder that can be read: {error}") from error

    def is_picture(info: Any) -> bool:
        inside = info.path.removeprefix(root)
        has_suffix = info.type == FileType.File and f".{info.extension.lower()}" in SUFFIXES
        if not has_suffix or "/." in f"/{inside.removeprefix('/')}":
            return False
        return "://" in source or Path(info.path).resolve().is_relative_to(root)

    return filesystem, {info.path: info.size for info in infos if is_picture(info)}


class Examiner:
    """Reads and examines pictures by their paths; Ray makes one in each process."""

    def __init__(self, filesystem: FileSystem, model: str, profile: Profile | None) -> None:
        import cv2
        import torch

        from causalclip.detector import Detector

        # There are as many processes as cores.
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        self.detector = hold(Detector.from_pretrained(model), profile)
        self.filesystem = filesystem

    def __call__(self, batch: Mapping[str, Any]) -> Table:
        """Return the rows of a batch of `path` and `size`; what a row lacks is null."""
        from pyarrow import Table

        pictures = zip(batch["path"], batch["size"], strict=True)
        rows = [self.row(str(path), int(size)) for path, size in pictures]
        return Table.from_pylist(rows, _schema())

    def row(self, path: str, size: int) -> Row:
        """Return a picture's row; what goes wrong costs no other picture its row."""
        from causalclip.examination.result import Stage
        from causalclip.examination.schema import ExaminationSchema
        from causalclip.examination.stages import examine_file

        try:
            if size > MAX_BYTES:
                raise too_many_bytes()
            with self.filesystem.open_input_stream(path) as file:
                data = file.read()
            name = path.rpartition("/")[2]
            examination = examine_file(data, self.detector, until=Stage.VERDICT, name=name)
            fields = ExaminationSchema.dump(examination)
        except ImageError as error:
            return {"path": path, "error": str(error)}
        except OSError as error:
            return {"path": path, "error": f"The file cannot be read: {error.strerror or error}."}
        except Exception as error:  # ours, not the file's
            return {"path": path, "error": f"{OUR_FAULT} ({type(error).__name__})"}
        return fields | {"path": path, "examination": json.dumps(fields)}


def _examine_parts(
    paths: list[str],
    sizes: Mapping[str, int],
    filesystem: FileSystem,
    model: Path,
    profile: Profile | None,
    workers: int,
) -> Iterator[Table]:
    """Yield parts of at most PART_ROWS rows, in any order.

    A process that dies is replaced, and its pictures are examined again.
    """
    import pyarrow as pa
    import ray.data

    tasks = [
        pa.table({"path": few, "size": [sizes[path] for path in few]})
        for few in (paths[i : i + TASK_PICTURES] for i in range(0, len(paths), TASK_PICTURES))
    ]
    rows = ray.data.from_arrow(tasks).map_batches(
        Examiner,
        fn_constructor_args=(filesystem, str(model), profile),
        batch_size=TASK_PICTURES,
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=1,
    )
    yield from rows.iter_batches(batch_size=PART_ROWS, batch_format="pyarrow")


def _write(rows: Table, out: Path) -> None:
    """Write a part, which is there whole or not at all."""
    import pyarrow.parquet as pq

    part = out / f"{uuid4().hex}.parquet"
    # hidden from whoever reads the folder, where a killed run leaves it behind
    temporary = part.with_name(f".{part.stem}.unfinished")
    try:
        out.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, temporary, compression="zstd")
        temporary.replace(part)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ArchiveError(
            f"{out} cannot be written: {error.strerror or error}. What was done stays; make room "
            "and run the same command again."
        ) from error


def _rows(out: Path, *, judged_by: tuple[str, str] | None = None) -> Iterator[Row]:
    """Yield path, answer and error of every row that is written.

    judged_by: the model and revision that every row has to be of, if that matters.
    """
    import pyarrow.parquet as pq

    for part in sorted(out.glob("*.parquet")):
        names = ["path", "answer", "error", "model", "revision"]
        for row in pq.read_table(part, columns=names, partitioning=None).to_pylist():
            if judged_by and not row["error"] and (row["model"], row["revision"]) != judged_by:
                raise ArchiveError(
                    f"{out} holds answers of another detector ({row['model']}, revision "
                    f"{row['revision']}): choose a new folder for --out."
                )
            yield row


def _schema() -> Schema:
    import pyarrow as pa

    return pa.schema([(name, getattr(pa, kind)()) for name, kind in COLUMNS.items()])


@contextmanager
def _ray(address: str | None, workers: int) -> Iterator[None]:
    """Ray of this process's own, stopped at the end; or the cluster at an address."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is reported to anyone
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    local: dict[str, Any] = {
        "include_dashboard": False,
        "num_cpus": max(workers, os.cpu_count() or 1),
        "object_store_memory": STORE_BYTES,
    }
    try:
        ray.init(address=address or "local", log_to_driver=False, **({} if address else local))
    except (ConnectionError, ValueError, RuntimeError) as error:
        words = " ".join(str(error).split())
        raise ArchiveError(f"There is no Ray at {address}: {words}") from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield
    finally:
        ray.shutdown()
