"""The report on one picture: a self-contained HTML file of at most MAX_REPORT bytes that prints to
A4, and JSON.

The JSON is the one schema of causalclip.examination.schema with what only a report has, under
"report": no pictures.

Everything that comes from the picture's file is escaped by Jinja. Opening the report touches no
network: it has no scripts, links or outside references, and its Content-Security-Policy forbids
them.
"""

from __future__ import annotations

import json
import platform
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from causalclip.batch import NO_SENTENCE
from causalclip.examination.messages import score_text
from causalclip.examination.precision import error_rates
from causalclip.languages import (
    N_,
    _,
    current,
    day,
    ended,
    in_turn,
    is_rtl,
    moment,
    ngettext,
    paragraph,
)
from causalclip.report.card import enlarge_mark
from causalclip.report.inquiries import Inquiries
from causalclip.report.pictures import data_url, draw_thumbnail
from causalclip.report.templates import render, render_page
from causalclip.text import clean

if TYPE_CHECKING:
    from causalclip.batch import BatchRow
    from causalclip.examination.result import Examination

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = (
    "torch",
    "open_clip_torch",
    "numpy",
    "pillow",
    "pillow-heif",
    "c2pa-python",
    "scikit-image",
    "ImageHash",
)
MAX_REPORT = 250_000
# around what the label changes
START, END = "<!--label-->", "<!--/label-->"
QUOTE_START, QUOTE_END = "<!--quote-->", "<!--/quote-->"
MAX_NOTE = 2000  # characters of a note
LIMITS = (
    N_("A new generator may leave other traces; copying, shrinking and recompressing remove them."),
    N_("What the file says can be forged or stripped, and is no part of the score."),
)
NOT_CHECKED = (
    N_("editing by hand, staging, a false context"),
    N_("whether what it shows happened, and who made it"),
    N_("earlier publication (nothing was sent to a search engine)"),
    N_("revoked certificates, and credentials kept on the internet (nothing was fetched)"),
    N_("invisible watermarks such as SynthID, which only their owners can read"),
    N_("further pages or frames of the file"),
)


def as_json(examination: Examination) -> str:
    """The report as JSON."""
    return json.dumps(content(examination), indent=2, ensure_ascii=False) + "\n"


def as_html(examination: Examination, *, maps: dict[str, str], found_at: str = "") -> str:
    """The report as one HTML file, with the picture itself in small. maps: see draw_maps. found_at:
    an address."""
    x = examination
    return render_page(
        "report.html",
        **content(x),
        x=x,
        found_at=found_at,
        maps=maps,
        thumbnail=draw_thumbnail(x.drawing.picture),
        mark=enlarge_mark(x),
        label=_label_html(Label(), x.examined),
        quoted=_quote_html(x.quote),
    )


def content(examination: Examination) -> dict[str, Any]:
    """Return what both forms of the report hold, as plain JSON types."""
    from causalclip.examination.schema import ExaminationSchema  # a slow import: pydantic

    return ExaminationSchema.dump(examination) | {
        "report": {
            "title": _("CausalCLIP examination of one picture"),
            "label": asdict(Label()),
            "versions": versions(),
            "limits": [_(limit) for limit in LIMITS],
            "not_checked": [_(thing) for thing in NOT_CHECKED],
        }
    }


def save_reports(
    examination: Examination, folder: Path, stem: str, *, maps: dict[str, str] | None = None
) -> tuple[Path, Path]:
    """Write stem.html and stem.json into a folder; return their paths. maps: see draw_maps; drawn
    here by default."""
    maps = maps or draw_maps(examination)
    html, plain = folder / f"{stem}.html", folder / f"{stem}.json"
    html.write_text(as_html(examination, maps=maps), encoding="utf-8")
    plain.write_text(as_json(examination), encoding="utf-8")
    return html, plain


def draw_maps(examination: Examination) -> dict[str, str]:
    """Return {"causal": data URL of the map in small}."""
    from causalclip.maps.overlay import draw_map  # matplotlib is slow to import

    return {"causal": data_url(draw_map(examination.drawing, numbered=True))}


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Return the versions of this program and of what it ran on."""
    libraries = {name: _installed_version(name) or "not installed" for name in LIBRARIES}
    return {"causalclip": _own_version(), "python": platform.python_version()} | libraries


def _own_version() -> str:
    """A checkout's own; of an installed wheel, what was installed."""
    project = ROOT / "pyproject.toml"
    if project.is_file():
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    return _installed_version("causalclip") or "unknown"


def _installed_version(package: str) -> str:
    """Return a package's version; "" where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


@dataclass(frozen=True, slots=True)
class Label:
    """Notes that the writer of a report adds to it.

    Attributes:
        name, note: as typed; empty for none.
        zone: an IANA time zone; empty, or not known, for this machine's own.
        inquiries: what they found out elsewhere.
    """

    name: str = ""
    note: str = ""
    zone: str = ""
    inquiries: Inquiries = field(default_factory=Inquiries)

    def cleaned(self) -> Label:
        """Return a text without control characters, and not longer than a report can show."""
        return Label(
            clean(self.name, limit=120),
            clean(self.note, limit=MAX_NOTE),
            clean(self.zone, limit=60),
            self.inquiries.cleaned(),
        )


def _local_time(examined: str, zone: str = "") -> str:
    """A time, ISO 8601 with its offset, in another zone, with that zone's distance from UTC."""
    try:
        there = datetime.fromisoformat(examined).astimezone(ZoneInfo(zone) if zone else None)
    except (KeyError, ValueError, OSError):  # no such zone
        there = datetime.fromisoformat(examined).astimezone()
    offset = there.strftime("%z")
    return f"{moment(there)} (UTC{offset[:3]}:{offset[3:5]})"


def _label_html(label: Label, examined: str) -> Markup:
    """The lines of a report that the label changes, between marks by which `write_label` finds them
    again."""
    lines = render("label", label=label, time=_local_time(examined, label.zone))
    return Markup(f"{START}<dl>{lines}</dl>{END}")


def _quote_html(quote: str) -> Markup:
    """The sentence to paste, between marks by which `write_label` finds it again."""
    return Markup("{}{}{}").format(Markup(QUOTE_START), quote, Markup(QUOTE_END))


def write_label(html: Path, plain: Path, label: Label, folder: Path) -> tuple[Path, Path]:
    """Copy a report's two files into a folder, with another label; return the copies' paths."""
    label = label.cleaned()
    report = json.loads(plain.read_text(encoding="utf-8"))
    report["report"]["label"] = asdict(label)
    report["quote"] = _add_inquiries(report["quote"], label.inquiries)
    text = html.read_text(encoding="utf-8")
    text = _replace(START, END, _label_html(label, report["examined"]), text)
    text = _replace(QUOTE_START, QUOTE_END, _quote_html(report["quote"]), text)
    copies = folder / html.name, folder / plain.name
    copies[0].write_text(text, encoding="utf-8")
    copies[1].write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return copies


def _replace(start: str, end: str, markup: Markup, text: str) -> str:
    between = re.compile(f"{start}.*?{end}", re.DOTALL)
    return between.sub(lambda _found: markup, text, count=1)


def _add_inquiries(quote: str, inquiries: Inquiries) -> str:
    """Return a sentence to paste with what was found out elsewhere as its last line, in place of
    such a line."""
    own = quote.split("\n")[:2]  # the answer, and the file that it is about
    return "\n".join([*own, inquiries.sentence] if inquiries.sentence else own)


def read_label(plain: Path) -> Label:
    """The label of a report, by its JSON."""
    from pydantic import TypeAdapter  # slow to import

    label = json.loads(plain.read_text(encoding="utf-8"))["report"]["label"]
    return TypeAdapter(Label).validate_python(label)


def read_quote(plain: Path) -> str:
    """The sentence to paste of a report, by its JSON."""
    return str(json.loads(plain.read_text(encoding="utf-8"))["quote"])


def overview(
    rows: Sequence[BatchRow],
    thumbnails: Mapping[str, str],
    counts: str,
    edges: tuple[float, ...] = (),
    crops: Mapping[str, str] | None = None,
) -> str:
    """One self-contained page in the reader's language.

    rows: what needs a look first on top. thumbnails: data addresses by SHA-256; crops: those of
    visible marks. counts: of the answers, in words.
    edges: what a score must not be rounded across.
    """
    now = datetime.now(UTC)
    when = in_turn((day(now), f"{now:%H:%M} UTC"))
    return render_page(
        "overview.html",
        language=current(),
        direction="rtl" if is_rtl() else "ltr",
        title=ngettext("{n} picture examined", "{n} pictures examined", len(rows)),
        head=_(
            "CausalCLIP {version}, {made}. One clue among others, not a proof.",
            version=versions()["causalclip"],
            made=when,
        ),
        counts=counts,
        rates=rates(rows),
        rows=[_row_fields(row, thumbnails, edges, crops or {}) for row in rows],
        limits=paragraph(*map(_, LIMITS)),
    )


def rates(rows: Sequence[BatchRow]) -> str:
    """Return how often such answers are wrong; empty where that was not measured."""
    revisions = {row.measured_as for row in rows if row.band}
    errors = error_rates(revisions.pop()) if len(revisions) == 1 else None
    return paragraph(errors.sentence, errors.unsure) if errors else ""


def _row_fields(
    row: BatchRow,
    thumbnails: Mapping[str, str],
    edges: tuple[float, ...],
    crops: Mapping[str, str],
) -> dict[str, Any]:
    cells = row.cells()
    said = ended(cells["survives"]) if row.survives in NO_SENTENCE else cells["survives"]
    survives = paragraph(_("Survives re-encoding?"), said) if row.survives else ""
    return {
        "thumbnail": thumbnails.get(row.sha256),
        "crop": crops.get(row.sha256),
        "marks": row.marks,
        "name": row.name,
        "sha256": row.sha256,
        "tone": row.origin.answer.tone,
        "sign": row.origin.sign,
        "answer": cells["answer"],
        "score": "" if row.score is None else score_text(row.score, *edges),
        "know": paragraph(survives, row.careful, row.beside),
    }
