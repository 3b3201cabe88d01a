"""What a person adds to a report: a name, a note, and the time zone that its times are shown in, too.

A report that is written already is labelled by its text alone, so that nothing of the picture has to be kept for it.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from markupsafe import Markup

from causalclip.languages import _, moment
from causalclip.pictures.plaintext import clean

START, END = "<!--label-->", "<!--/label-->"
LONGEST = 2000  # characters of a note


@dataclass(frozen=True, slots=True)
class Label:
    """name, note: as typed; empty for none. zone: an IANA time zone; empty, or not known, for this machine's own."""

    name: str = ""
    note: str = ""
    zone: str = ""

    def cleaned(self) -> Label:
        """Without control characters, and not longer than a report can show."""
        return Label(clean(self.name, limit=120), clean(self.note, limit=LONGEST), clean(self.zone, limit=60))


def local_time(examined: str, zone: str = "") -> str:
    """A time, ISO 8601 with its offset, in another zone, with that zone's distance from UTC."""
    try:
        there = datetime.fromisoformat(examined).astimezone(ZoneInfo(zone) if zone else None)
    except (KeyError, ValueError, OSError):  # no such zone
        there = datetime.fromisoformat(examined).astimezone()
    offset = there.strftime("%z")
    return f"{moment(there)} (UTC{offset[:3]}:{offset[3:5]})"


def as_html(label: Label, examined: str) -> Markup:
    """The lines of a report that the label changes, between marks by which `write_label` finds them again."""
    rows = [
        (_("Examined by"), label.name),
        (_("Note"), label.note),
        (_("Local time"), local_time(examined, label.zone)),
    ]
    body = Markup("").join(Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(n, v) for n, v in rows if v)
    return Markup(f"{START}<dl>{body}</dl>{END}")


def write_label(html: Path, plain: Path, label: Label, folder: Path) -> tuple[Path, Path]:
    """Copies a report's two files into a folder, with another label; returns the copies' paths."""
    label = label.cleaned()
    said = json.loads(plain.read_text(encoding="utf-8"))
    drawn = as_html(label, said["examined"])
    text = re.sub(f"{START}.*?{END}", lambda _found: drawn, html.read_text(encoding="utf-8"), count=1, flags=re.DOTALL)
    copies = folder / html.name, folder / plain.name
    copies[0].write_text(text, encoding="utf-8")
    said["report"]["label"] = asdict(label)
    copies[1].write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return copies


def read_label(plain: Path) -> Label:
    """The label of a report, by its JSON."""
    return Label(**json.loads(plain.read_text(encoding="utf-8"))["report"]["label"])
