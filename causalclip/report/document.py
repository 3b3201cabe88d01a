"""The report on one picture: a self-contained HTML file that prints to A4, and JSON with the same content.

Everything that comes from the picture's file is escaped by Jinja. Opening the report touches no network: it has no
scripts, links or outside references, and its Content-Security-Policy forbids them.
"""

from __future__ import annotations

import base64
import io
import json
import platform
import tomllib
from dataclasses import asdict
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from causalclip.examine.cautions import NOT_RECOGNISED
from causalclip.places import shipped_folder
from causalclip.provenance.reading import CAVEAT, history_words
from causalclip.report import label, provenance_panel, stability_panel
from causalclip.report.card import ICON, MEANING, TONE, scores

if TYPE_CHECKING:
    from jinja2 import Template

    from causalclip.examine.examination import Examination

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = shipped_folder("assets") / "report.html"
LIBRARIES = ("torch", "open_clip_torch", "numpy", "pillow", "pillow-heif", "c2pa-python", "scikit-image", "ImageHash")
THUMBNAIL = 640  # px on the long side
LIMITS = (
    "The verdict rests on traces that image generators leave in pixels. A new generator may leave others, and copying, "
    "shrinking and recompressing wipe them away. A score is not a proof.",
    "The score is calibrated on pictures that the detector had not learned from; on other kinds it can be off.",
    "What the file says about itself can be forged or stripped, and is no part of the score.",
)
NOT_CHECKED = (
    "whether the picture was edited by hand, staged, or taken out of its context",
    "whether what it shows happened, where and when",
    "who made it",
    "whether it has been published before (no picture was sent to a search engine)",
    "whether a signing certificate was revoked, and credentials that are kept on the internet (nothing was fetched)",
    "invisible watermarks such as SynthID, which only their owners can read",
    "further pages or frames of the file",
)


def as_json(examination: Examination, *, maps: dict[str, str] | None = None) -> str:
    """The report as JSON. maps: see draw_maps; without, it holds no pictures."""
    return json.dumps(content(examination, maps=maps), indent=2, ensure_ascii=False) + "\n"


def as_html(examination: Examination, *, maps: dict[str, str], found_at: str = "") -> str:
    """The report as one HTML file, with the picture itself in small. found_at: a page's address, as given."""
    return _template().render(
        content(examination, maps=maps),
        x=examination,
        found_at=found_at,
        thumbnail=draw_thumbnail(examination.pixels),
        tone=TONE[examination.band],
        icon=ICON[examination.band],
        meaning=MEANING[examination.band],
        chip=provenance_panel.CHIP[examination.provenance.credentials.state][0],
        signer=provenance_panel.SIGNER.get(examination.provenance.credentials.state, "Signer"),
        history=history_words(examination.provenance),
        caveat=CAVEAT,
        not_recognised=NOT_RECOGNISED,
        icons=ICON,
        label=label.as_html(label.Label(), examination.examined),
        chart=stability_panel.chart,
        shown=stability_panel.shown,
        edges=stability_panel.edges(examination.stability),
        scores=scores(examination.detection.probability, examination.detection.low, examination.detection.high),
        remark=stability_panel.remark,
    )


def content(examination: Examination, *, maps: dict[str, str] | None) -> dict[str, Any]:
    """What both forms of the report hold, as plain JSON types."""
    return {
        "report": "CausalCLIP examination of one picture",
        "schema": 1,
        "label": asdict(label.Label()),
        "examination": examination.as_dict(),
        **({"maps": maps} if maps else {}),
        "versions": versions(),
        "limits": list(LIMITS),
        "not_checked": list(NOT_CHECKED),
    }


def save_reports(
    examination: Examination,
    folder: Path,
    stem: str,
    *,
    maps: dict[str, str] | None = None,
    plain_maps: bool = True,
) -> tuple[Path, Path]:
    """Writes stem.html and stem.json into a folder; returns their paths.

    maps: see draw_maps; drawn here by default. plain_maps: whether the JSON holds them, too.
    """
    maps = maps or draw_maps(examination)
    html, plain = folder / f"{stem}.html", folder / f"{stem}.json"
    html.write_text(as_html(examination, maps=maps), encoding="utf-8")
    plain.write_text(as_json(examination, maps=maps if plain_maps else None), encoding="utf-8")
    return html, plain


def draw_maps(examination: Examination) -> dict[str, str]:
    """{"causal": data address of a PNG, "non_causal": ...}, over the picture."""
    from causalclip.maps.overlay import draw_map, prepare  # matplotlib is slow to import

    drawing = prepare(examination.pixels, examination.detection)
    return {
        "causal": _address(draw_map(drawing, "causal"), "PNG"),
        "non_causal": _address(draw_map(drawing, "non_causal"), "PNG"),
    }


def draw_thumbnail(pixels: np.ndarray, *, side: int = THUMBNAIL) -> str:
    """A data address of the picture (uint8 RGB [H, W, 3]), `side` px at most, without its metadata."""
    from causalclip.maps.overlay import shrink

    return _address(Image.fromarray(shrink(pixels, side=side)), "JPEG")


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Of this program and of what it ran on."""
    found = {"causalclip": _own_version(), "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _own_version() -> str:
    """A checkout's own; of an installed wheel, what was installed."""
    project = ROOT / "pyproject.toml"
    if project.is_file():
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    try:
        return version("causalclip")
    except PackageNotFoundError:
        return "unknown"


def _address(image: Image.Image, kind: str) -> str:
    file = io.BytesIO()
    image.save(file, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


@lru_cache(maxsize=1)
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["drawn"] = Markup  # only for the chart, which holds nothing of the file
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
