"""A batch on one page, to mail: counts, every picture with its answer and hash, the limits, and how it was done.

In the reader's language; the page needs nothing beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from causalclip.evidence.headline import tone_of
from causalclip.evidence.precision import error_rates
from causalclip.evidence.words import SIGN, score_text
from causalclip.languages import N_, _, current, day, ended, in_turn, is_rtl, ngettext
from causalclip.report.document import LIMITS, versions

if TYPE_CHECKING:
    from causalclip.batch import Row

METHOD = N_(
    "Each file was read for what it says of itself (Content Credentials, metadata, marks of generators). A detector "
    "then scored its pixels from 0 to 1, by traces that image generators leave. Two thresholds make an answer of the "
    "score; an answer that does not survive mild re-encoding is inconclusive. What a file proves or says of itself "
    "stands before what its pixels say."
)
STYLE = (
    "body{font:14px/1.4 system-ui,Arial,sans-serif;margin:1.5rem auto;max-width:60rem;padding:0 1rem;color:#1c1917}"
    "h1{font-size:1.4rem;margin:0}p{margin:.4rem 0}table{border-collapse:collapse;width:100%;font-size:.85rem}"
    "td,th{text-align:start;vertical-align:top;padding:.2rem 0;padding-inline-end:.5rem;"
    "border-bottom:1px solid #d6d3d1}"
    "img{width:3rem;height:3rem;object-fit:cover;display:block}code{font-size:.7rem;overflow-wrap:anywhere}"
    "td:nth-child(2){overflow-wrap:anywhere;min-width:6rem}"
    "@media(max-width:40rem){body{padding:0 .5rem}table{font-size:.75rem}td,th{padding-inline-end:.3rem}}"
    ".generated{color:#9a4a06}.not-generated{color:#54308c}.signed{color:#166534}"
    "@page{size:A4;margin:12mm}tr{break-inside:avoid}"
)
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"


@dataclass(frozen=True, slots=True)
class Overview:
    """rows: what needs a look first on top. thumbnails: data addresses by SHA-256. counts: of the answers, in words.
    edges: what a score must not be rounded across. made: when, UTC."""

    rows: tuple[Row, ...]
    thumbnails: Mapping[str, str]
    counts: str
    edges: tuple[float, ...] = ()
    made: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def title(self) -> str:
        return ngettext("{n} picture examined", "{n} pictures examined", len(self.rows))

    @property
    def head(self) -> str:
        """When, and by what."""
        made = in_turn((day(self.made), f"{self.made:%H:%M} UTC"))
        return _(
            "CausalCLIP {version}, {made}. One clue among others, not a proof.",
            version=versions()["causalclip"],
            made=made,
        )

    @property
    def rates(self) -> str:
        """How often such answers are wrong; empty where that was not measured."""
        measured = {row.measured_as for row in self.rows if row.band}
        found = error_rates(measured.pop()) if len(measured) == 1 else None
        return f"{found.sentence} {found.unsure}" if found else ""

    @property
    def limits(self) -> str:
        return " ".join(map(_, LIMITS))

    def cells(self, row: Row) -> tuple[str, str, str]:
        """Answer, score, and what to know of it."""
        said = row.said()
        score = "" if row.score is None else score_text(row.score, *self.edges)
        survives = f"{_('Survives re-encoding?')} {ended(said['survives'])}" if row.survives else ""
        return said["answer"], score, " ".join(filter(None, (survives, row.careful, row.beside)))


def as_html(overview: Overview) -> str:
    """One self-contained page; everything of the files is escaped."""
    body = "".join(_row(overview, row) for row in overview.rows)
    names = (N_("Picture"), N_("File"), N_("Answer"), N_("Score"), N_("What to know"))
    heads = "".join(f"<th scope='col'>{_(name)}</th>" for name in names)
    direction = "rtl" if is_rtl() else "ltr"
    return (
        f"<!doctype html><html lang='{current()}' dir='{direction}'><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width'><title>{overview.title}</title>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{STYLE}</style></head><body>'
        f"<h1>{overview.title}</h1><p>{escape(overview.head)}</p><p><b>{escape(overview.counts)}</b></p>"
        f"<p>{escape(overview.rates)}</p><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
        f"<h2>{_('How it was examined')}</h2><p>{_(METHOD)}</p>"
        f"<h2>{_('Limits')}</h2><p>{overview.limits}</p></body></html>\n"
    )


def _row(overview: Overview, row: Row) -> str:
    answer, score, know = overview.cells(row)
    tone = tone_of(row.answer)
    source = overview.thumbnails.get(row.sha256)
    image = f"<img alt='' src='{source}'>" if source else ""
    return (
        f"<tr><td>{image}</td><td><bdi>{escape(row.name)}</bdi><br><code>{row.sha256}</code></td>"
        f"<td class='{tone}'><b>{SIGN[tone]} {escape(answer)}</b></td><td>{score}</td><td>{escape(know)}</td></tr>"
    )
