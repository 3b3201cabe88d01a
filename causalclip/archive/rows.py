"""One row a picture: an examination as flat columns, which pandas, DuckDB and Spark read.

Columns have the names, and the schema number, of causalclip.evidence.examination.Examination.as_dict.
"""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from causalclip.evidence.cautions import Caution
from causalclip.evidence.examination import SCHEMA as VERSION
from causalclip.evidence.examination import perceptual_hash
from causalclip.evidence.headline import conclude_all
from causalclip.evidence.regions import NOT_LOOKED_FOR
from causalclip.evidence.stability import not_checked
from causalclip.evidence.words import NO_ANSWER
from causalclip.pictures.loading import LoadedImage
from causalclip.provenance.reading import Provenance

if TYPE_CHECKING:
    from causalclip.detector import Detector, Verdict
    from causalclip.evidence.stability import Stability

TEXTS = pa.list_(pa.string())
SCHEMA = pa.schema(
    [
        ("schema", pa.int32()),
        ("path", pa.string()),
        ("sha256", pa.string()),
        ("perceptual_hash", pa.string()),
        ("format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("file_size", pa.int64()),
        ("notes", TEXTS),
        ("provenance", pa.string()),
        ("answer", pa.string()),
        ("agreement", pa.string()),
        ("kind", pa.string()),
        ("probability", pa.float64()),
        ("logit", pa.float64()),
        ("band", pa.string()),
        ("band_as_it_is", pa.string()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("threshold", pa.float64()),
        ("archive", pa.string()),
        ("stability", pa.string()),
        ("flips", TEXTS),
        ("cautions", TEXTS),
        ("parts", pa.string()),
        ("model", pa.string()),
        ("revision", pa.string()),
        ("runtime", pa.string()),
        ("examined", pa.string()),
        ("error", pa.string()),
    ]
)
Row = dict[str, Any]


def found_row(path: str, loaded: LoadedImage, provenance: Provenance, cautions: tuple[Caution, ...]) -> Row:
    """What is known of a picture before it is judged."""
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
        "cautions": [caution.kind for caution in cautions],
    }


def judged_row(
    row: Row, provenance: Provenance, verdict: "Verdict", detector: "Detector", stability: "Stability | None"
) -> Row:
    """The row with its answer. Without a stability check, `band` is that of the picture as it is, and `flips` null."""
    calibration = detector.config.calibration
    band = stability.final_band if stability else verdict.band
    headline = conclude_all(provenance, band, stability)
    return row | {
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
        "archive": _standing(row, provenance, verdict, detector),
        "stability": stability.words if stability else not_checked()["words"],
        "flips": list(stability.flips) if stability else None,
        "parts": NOT_LOOKED_FOR.state,
        "model": detector.name,
        "revision": detector.config.revision,
        "runtime": detector.runtime,
        "examined": datetime.now(UTC).replace(microsecond=0).isoformat(),
    }


def _standing(row: Row, provenance: Provenance, verdict: "Verdict", detector: "Detector") -> str | None:
    """Examination.archive as JSON; null without a profile, and where there is no answer."""
    profile = detector.profile
    if profile is None or verdict.band == NO_ANSWER:
        return None
    side = max(row["width"], row["height"])
    other = profile.unlike(camera=provenance.camera, format=row["format"], side=side, kinds=row["cautions"])
    standing = profile.standing(verdict.probability, high=detector.config.calibration.high)
    return json.dumps(standing.as_dict() | {"unlike": list(other)})


def failed_row(path: str, sentence: str) -> Row:
    """The row of a picture that was not judged."""
    now = datetime.now(UTC).replace(microsecond=0).isoformat()
    return {"schema": VERSION, "path": path, "error": sentence, "examined": now}


def as_table(rows: list[Row]) -> pa.Table:
    """Rows in the one schema; what a row lacks is null."""
    return pa.Table.from_pylist([{name: row.get(name) for name in SCHEMA.names} for row in rows], SCHEMA)
