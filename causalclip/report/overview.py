"""A batch on one page, to mail: counts, every picture with its answer and hash, the limits, and how it was done.

As HTML here and as PDF in overview_pdf; both hold the same words and need nothing beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from causalclip.examine.headline import tone_of
from causalclip.examine.meant import error_rates
from causalclip.report.card import SIGN
from causalclip.report.document import LIMITS, versions
from causalclip.report.stability_panel import shown

if TYPE_CHECKING:
    from causalclip.examine.batch import Row

METHOD = (
    "Each file was read for what it says of itself (Content Credentials, metadata, marks of generators). A detector "
    "then scored its pixels from 0 to 1, by traces that image generators leave. Two thresholds make an answer of the "
    "score; an answer that does not survive mild re-encoding is inconclusive. What a file proves or says of itself "
    "stands before what its pixels say."
)
STYLE = (
    "body{font:14px/1.4 system-ui,Arial,sans-serif;margin:1.5rem auto;max-width:60rem;padding:0 1rem;color:#1c1917}"
    "h1{font-size:1.4rem;margin:0}p{margin:.4rem 0}table{border-collapse:collapse;width:100%;font-size:.85rem}"
    "td,th{text-align:left;vertical-align:top;padding:.2rem .5rem .2rem 0;border-bottom:1px solid #d6d3d1}"
    "img{width:3rem;height:3rem;object-fit:cover;display:block}code{font-size:.7rem;overflow-wrap:anywhere}"
    ".generated{color:#9a4a06}.not-generated{color:#54308c}.signed{color:#166534}b{white-space:nowrap}"
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
    made: str = field(default_factory=lambda: datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"))

    @property
    def title(self) -> str:
        return f"{len(self.rows)} pictures examined"

    @property
    def head(self) -> str:
        """When, and by what."""
        return f"CausalCLIP {versions()['causalclip']}, {self.made}. One clue among others, not a proof."

    @property
    def rates(self) -> str:
        """How often such answers are wrong; empty where that was not measured."""
        found = error_rates()
        return f"{found.sentence} {found.unsure}" if found else ""

    @property
    def limits(self) -> str:
        return " ".join(LIMITS)

    def cells(self, row: Row) -> tuple[str, str, str]:
        """Answer, score, and what to know of it."""
        score = "" if row.score is None else shown(row.score, *self.edges)
        survives = f"Survives re-encoding? {row.survives}." if row.survives else ""
        careful = f"Be careful: {row.cautions}." if row.cautions else ""
        return row.answer, score, " ".join(filter(None, (row.problem, survives, careful, row.claims)))


def as_html(overview: Overview) -> str:
    """One self-contained page; everything of the files is escaped."""
    body = "".join(_row(overview, row) for row in overview.rows)
    heads = "".join(f"<th scope='col'>{name}</th>" for name in ("Picture", "File", "Answer", "Score", "What to know"))
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{overview.title}</title>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{STYLE}</style></head><body>'
        f"<h1>{overview.title}</h1><p>{escape(overview.head)}</p><p><b>{escape(overview.counts)}</b></p>"
        f"<p>{escape(overview.rates)}</p><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
        f"<h2>How it was examined</h2><p>{METHOD}</p><h2>Limits</h2><p>{overview.limits}</p></body></html>\n"
    )


def _row(overview: Overview, row: Row) -> str:
    answer, score, know = overview.cells(row)
    tone = tone_of(answer)
    source = overview.thumbnails.get(row.sha256)
    image = f"<img alt='' src='{source}'>" if source else ""
    return (
        f"<tr><td>{image}</td><td>{escape(row.name)}<br><code>{row.sha256}</code></td>"
        f"<td class='{tone}'><b>{SIGN[tone]} {escape(answer)}</b></td><td>{score}</td><td>{escape(know)}</td></tr>"
    )
