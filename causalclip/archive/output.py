"""The output folder: one Parquet row a picture, in parts that are each written whole or not at all.

A row is an examination as flat columns, with the names and the schema number of
Examination.as_dict; pandas, DuckDB and Spark read them.
"""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from causalclip.archive import ArchiveError
from causalclip.examination.cautions import Caution
from causalclip.examination.headline import make_headline
from causalclip.examination.messages import NO_ANSWER
from causalclip.examination.result import SCHEMA as VERSION
from causalclip.examination.result import perceptual_hash
from causalclip.examination.stability import not_checked
from causalclip.images.loading import LoadedImage
from causalclip.provenance.reading import Provenance

if TYPE_CHECKING:
    from causalclip.detector import Detector, Verdict
    from causalclip.examination.stability import Stability

RUN = "run.json"
COLUMNS = (
    *("schema", "path", "sha256", "perceptual_hash", "format", "width", "height", "file_size"),
    *("notes", "provenance", "marks"),
    *(
        "answer",
        "agreement",
        "kind",
        "probability",
        "logit",
        "band",
        "band_as_it_is",
        "low",
        "high",
        "threshold",
    ),
    *(
        "archive",
        "stability",
        "flips",
        "cautions",
        "model",
        "revision",
        "runtime",
        "examined",
        "error",
    ),
)
TYPES = {  # of columns that are not text
    **dict.fromkeys(("schema", "width", "height"), pa.int32()),
    **dict.fromkeys(("probability", "logit", "low", "high", "threshold"), pa.float64()),
    **dict.fromkeys(("notes", "marks", "flips", "cautions"), pa.list_(pa.string())),
    "file_size": pa.int64(),
}
SCHEMA = pa.schema([(name, TYPES.get(name, pa.string())) for name in COLUMNS])
Row = dict[str, Any]


def marked_row(path: str, loaded: LoadedImage, provenance: Provenance) -> Row:
    """What is known of a picture without a detector; `answer` only where the marks or the file give
    one."""
    return {
        "schema": VERSION,
        "path": path,
        "sha256": loaded.sha256,
        "perceptual_hash": perceptual_hash(loaded.pixels),
        "format": loaded.format,
        "width": loaded.width,
        "height": loaded.height,
        "file_size": loaded.file_size,
        "notes": list(loaded.notes),
        "provenance": provenance.summary(),
        "marks": list(provenance.mark_names),
        "answer": make_headline(provenance, None).title or None,
        "examined": _now(),
    }


def small_row(path: str, loaded: LoadedImage, provenance: Provenance) -> Row:
    """As `marked_row`, of a picture that may have been read at a part of its size; with the size in
    its file."""
    row = marked_row(path, loaded, provenance)
    if loaded.halved and provenance.jpeg and all(provenance.jpeg.size):
        across, down = sorted(provenance.jpeg.size, reverse=loaded.width > loaded.height)
        row |= {"width": across, "height": down}
    return row


def judged_row(
    path: str,
    loaded: LoadedImage,
    provenance: Provenance,
    cautions: tuple[Caution, ...],
    verdict: "Verdict",
    detector: "Detector",
    stability: "Stability | None" = None,
) -> Row:
    """A picture's row. Without a stability check, `band` is that of the picture as it is, and
    `flips` null."""
    calibration = detector.config.calibration
    band = stability.final_band if stability else verdict.band
    headline = make_headline(provenance, band, stability)
    row: Row = marked_row(path, loaded, provenance) | {
        "cautions": [caution.kind for caution in cautions],
        "answer": headline.title,
        "agreement": headline.agreement,
        "kind": verdict.kind,
        "probability": None if verdict.band == NO_ANSWER else verdict.probability,
        "logit": None if verdict.band == NO_ANSWER else verdict.logit,
        "band": band,
        "band_as_it_is": verdict.band,
        "low": calibration.low,
        "high": calibration.high,
        "threshold": calibration.threshold,
        "stability": stability.words if stability else not_checked()["words"],
        "flips": list(stability.flips) if stability else None,
        "model": detector.name,
        "revision": detector.config.revision,
        "runtime": detector.runtime,
    }
    # where the score stands in the archive it is held to
    if detector.profile and verdict.band != NO_ANSWER:
        side = max(loaded.width, loaded.height)
        unlike = detector.profile.unlike(
            camera=provenance.camera, format=loaded.format, side=side, kinds=row["cautions"]
        )
        standing = detector.profile.standing(verdict.probability, high=calibration.high)
        row["archive"] = json.dumps(standing.as_dict() | {"unlike": list(unlike)})
    return row


def failed_row(path: str, sentence: str) -> Row:
    """The row of a picture that was not judged."""
    return {"schema": VERSION, "path": path, "error": sentence, "examined": _now()}


def _now() -> str:
    return datetime.now(UTC).replace(microsecond=0).isoformat()


class RunFolder:
    """The folder of one run: run.json, and the dataset pictures/part-*.parquet.

    run: what must stay the same for the run to go on (source, model, revision, runtime, stability).

    Raises:
        ArchiveError: the folder holds something else, another run, a broken part, or is in use.
    """

    def __init__(self, folder: Path, run: dict[str, Any]) -> None:
        self.folder, self.pictures = folder, folder / "pictures"
        try:
            if folder.is_dir() and any(folder.iterdir()) and not (folder / RUN).is_file():
                raise ArchiveError(f"{folder} holds something else: choose a new folder for --out.")
            self.pictures.mkdir(parents=True, exist_ok=True)
            self.lock = FileLock(folder / ".lock")
            self.lock.acquire(timeout=0)
        except Timeout:
            raise ArchiveError(f"Another run writes to {folder} now.") from None
        except OSError as error:
            raise ArchiveError(f"{folder} cannot be written: {error.strerror or error}.") from error
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
            raise ArchiveError(
                f"{self.folder} is of another run ({', '.join(other)}: {before.get(other[0])!r} "
                f"there, {run.get(other[0])!r} now): choose a new folder for --out."
            )

    def paths(self) -> list[Path]:
        return sorted(self.pictures.glob("part-*.parquet"))

    def rows(self, *columns: str) -> Iterator[Row]:
        """Some columns of every row, one part in memory at a time."""
        for path in self.paths():
            try:
                table = pq.read_table(path, columns=list(columns), schema=SCHEMA, partitioning=None)
            except (pa.ArrowException, OSError) as error:
                raise ArchiveError(
                    f"{path} is broken: delete it and run the same command again, which judges its "
                    "pictures anew."
                ) from error
            yield from table.to_pylist()

    def done(self) -> set[str]:
        """The paths of all pictures that have their row."""
        return {row["path"] for row in self.rows("path")}

    def add(self, rows: list[Row]) -> None:
        """Writes the next part; what a row lacks is null."""
        number = int(self.paths()[-1].stem.removeprefix("part-")) + 1 if self.paths() else 0
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), sink)
        write_whole(self.pictures / f"part-{number:06d}.parquet", sink.getvalue().to_pybytes())


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file so that it is there whole or not at all.

    Raises:
        ArchiveError: the disk is full, or cannot be written.
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
        raise ArchiveError(
            f"{path} cannot be written: {error.strerror or error}. What was done stays; "
            "make room and run the same command again."
        ) from error
