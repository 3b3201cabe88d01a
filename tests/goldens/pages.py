"""What the product says of a picture: its JSON, its card and its report, and the pages of a batch.

What may differ between two runs or two machines is left out: dates, hashes, versions, seconds. A
picture inside a page is told by its size and its mean colour.
"""

import base64
import dataclasses
import io
import json
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from causalclip.batch import BatchRow, RowUpdate, claims_row, row_of
from causalclip.calibration import Calibration
from causalclip.detection import Head
from causalclip.detector import Detector
from causalclip.examination.answer import Origin
from causalclip.examination.messages import NOT_EXAMINED
from causalclip.examination.result import Examination, NotJudged, Stage
from causalclip.examination.schema import ExaminationSchema, UnjudgedSchema
from causalclip.examination.stages import examine
from causalclip.images.formats import ImageError
from causalclip.languages import _, day, number, speaking
from causalclip.paths import head_folder, revision_of
from causalclip.report import card
from causalclip.report.document import as_html, draw_maps, versions
from tests.goldens.corpus import IMAGE_TYPES, corpus
from tests.makers.detectors import refusing_detector, tiny_detector
from ui.tabs.batch.results import Batch
from ui.tabs.batch.table import draw_table

Pages = dict[str, list[str]]  # the lines of each page, by its name

EXAMINED = "2026-01-02T03:04:05+00:00"
# of scores that the small detectors give: far from both, and from what re-encoding makes of them
EDGES: dict[Head, tuple[float, float]] = {"causal": (0.1215, 0.255), "linear": (0.5035, 0.752)}
MARGIN = 0.001  # a score that is nearer to an edge may pass it on another processor
UNSTABLE = ("seconds", "sha256", "file_size", "perceptual_hash", "versions", "revision")
SHA256 = re.compile(r"\b[0-9a-f]{64}\b")
DATA_URL = re.compile(r"data:image/\w+;base64,([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True)
class Variant:
    """One head, in one language."""

    head: Head
    language: str

    def __str__(self) -> str:
        return f"{self.head}, {self.language}"


VARIANTS = Variant("causal", "en"), Variant("linear", "de"), Variant("causal", "ar")


def draw_pages(variant: Variant, names: Iterable[str] = ()) -> Pages:
    """The pages of these pictures; of all of them, and the batch, where none is named."""
    files, names = corpus(), list(names)
    pages: Pages = {}
    detector = small_detector(variant.head)
    with speaking(variant.language), tempfile.TemporaryDirectory() as folder, in_utc():
        batch = Batch(Path(folder), total=len(files), edges=(*EDGES[variant.head], 0.5))
        for place, name in enumerate(names or files, 1):
            update, drawn = _picture_pages(place, name, files[name](), detector)
            batch = batch.with_row(update)
            pages |= {f"{variant}: {name}, {kind}": lines for kind, lines in drawn.items()}
        if not names:
            drawn = _batch_pages(batch)
            pages |= {f"{variant}: {kind}": lines for kind, lines in drawn.items()}
    return pages


def small_detector(head: Head) -> Detector:
    """A small random one, with the revision of the shipped head, whose error rates are known."""
    detector = tiny_detector(hidden=8 if head == "causal" else 0)
    low, high = EDGES[head]
    calibration = Calibration(offset=0.1, low=low, high=high)
    config = dataclasses.replace(
        detector.config, calibration=calibration, revision=revision_of(head_folder(head))
    )
    return Detector(detector.tower, detector.heads, config, name=f"small-{head}")


@contextmanager
def in_utc() -> Iterator[None]:
    """The local time of this process is UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


def _picture_pages(
    place: int, name: str, data: bytes, detector: Detector
) -> tuple[RowUpdate, Pages]:
    """One picture's row, and its pages."""
    # 1. A file that is no picture, and one whose pixels are refused
    detector.image_types = None
    if name in IMAGE_TYPES:
        detector.image_types = refusing_detector(IMAGE_TYPES[name]).image_types
    try:
        stages = [replace(x, examined=EXAMINED) for x in examine(data, detector, name=name)]
    except NotJudged as error:
        x = replace(error.examination, examined=EXAMINED)
        refused = {
            "JSON": _json_lines(UnjudgedSchema.dump(x)),
            "card": _html_lines(card.not_judged(x, _(NOT_EXAMINED)), x),
        }
        return RowUpdate(claims_row(place, x), x), refused
    except ImageError as error:
        row = BatchRow(place, name, Origin.NOT_EXAMINED, problem=str(error))
        return RowUpdate(row), {"JSON": [type(error).__name__, str(error)]}

    # 2. One with an answer
    verdict = next(x for x in stages if x.stage == Stage.VERDICT)
    x = stages[-1]
    _keep_from_edges(name, x)
    panels = [
        card.verdict(verdict, judged=verdict.copies_judged),
        card.verdict(x),
        card.chips(x),
        card.evidence(x.headline),
        card.pixels_panel(x),
        *([card.stability_panel(x.stability)] if x.stability else []),
        card.provenance_panel(x.provenance),
    ]
    report = as_html(x, maps=draw_maps(x))
    return RowUpdate(row_of(place, x), x), {
        "JSON": _json_lines(ExaminationSchema.dump(x)),
        "card": _html_lines("\n".join(panels), x),
        "report": _html_lines(report, x),
    }


def _keep_from_edges(name: str, x: Examination) -> None:
    copies = [row.probability for row in x.stability.rows] if x.stability else []
    for score in (x.detection.probability, *copies):
        for edge in (x.detection.low, x.detection.high):
            assert abs(score - edge) > MARGIN, f"{name}: {score} is too near to {edge}"


def _batch_pages(batch: Batch) -> Pages:
    table = draw_table(batch.rows, batch.thumbnails, batch.edges, batch.crops)
    return {
        "table": _html_lines(table),
        "summary": _html_lines(batch.download("html").read_text()),
        "CSV": SHA256.sub("(SHA-256)", batch.download("csv").read_text()).splitlines(),
    }


def _json_lines(fields: dict[str, Any]) -> list[str]:
    text = json.dumps(_steady(fields), indent=0, ensure_ascii=False)
    return SHA256.sub("(SHA-256)", text).splitlines()


def _steady(value: Any) -> Any:
    """The same without what may differ, its numbers rounded; a list of plain things is one line."""
    if isinstance(value, dict):
        return {key: _steady(each) for key, each in value.items() if key not in UNSTABLE}
    if isinstance(value, list):
        each = [_steady(one) for one in value]
        return each if any(map(_is_long, each)) else json.dumps(each, ensure_ascii=False)
    return round(value, 3) if isinstance(value, float) else value


def _is_long(value: Any) -> bool:
    """Whether it takes a line of its own."""
    return isinstance(value, str) or (isinstance(value, dict) and len(value) > 6)


def _html_lines(html: str, x: Examination | None = None) -> list[str]:
    """The lines of a page; each tag that opens begins one."""
    html = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    html = DATA_URL.sub(lambda found: _describe(found[1]), html)
    if x is not None:
        html = re.sub(rf"{x.sha256[:12]}\b", "(SHA-256)", html)
        html = html.replace(number(x.file_size), "(bytes)") if x.file_size > 999 else html
        html = html.replace(x.perceptual_hash, "(phash)") if x.drawn else html
    html = SHA256.sub("(SHA-256)", html)
    for name, version in versions().items():
        html = re.sub(rf"(?i)\b{name} \W?{re.escape(version)}\W", f"{name} (version)", html)
    html = re.sub(r"\d\d:\d\d UTC", "(time) UTC", html.replace(day(datetime.now(UTC)), "(day)"))
    lines = (line.strip() for line in re.sub(r">\s*<(?!/)", ">\n<", html).splitlines())
    return [line for line in lines if line]


def _describe(base64_text: str) -> str:
    """A picture's size and mean colour, in words."""
    picture = Image.open(io.BytesIO(base64.b64decode(base64_text)))
    red, green, blue = np.asarray(picture.convert("RGB"), np.float64).mean((0, 1)) / 255
    size = f"{picture.width} x {picture.height}"
    return f"({picture.format}, {size}, mean {red:.2f} {green:.2f} {blue:.2f})"
