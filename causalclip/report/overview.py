"""A batch on one page, to mail and to print: counts, every picture with its answer and hash, limits, and method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from causalclip.evidence.headline import tone_of
from causalclip.evidence.words import error_rates, score_text
from causalclip.languages import _, current, day, ended, in_turn, is_rtl, ngettext
from causalclip.report.document import LIMITS, versions
from causalclip.report.templates import render_page

if TYPE_CHECKING:
    from causalclip.batch import BatchRow


def overview(
    rows: Sequence[BatchRow],
    thumbnails: Mapping[str, str],
    counts: str,
    edges: tuple[float, ...] = (),
    made: datetime | None = None,
) -> str:
    """One self-contained page in the reader's language.

    rows: what needs a look first on top. thumbnails: data addresses by SHA-256. counts: of the answers, in words.
    edges: what a score must not be rounded across. made: when, UTC; now by default.
    """
    made = made or datetime.now(UTC)
    when = in_turn((day(made), f"{made:%H:%M} UTC"))
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
        rows=[_shown(row, thumbnails, edges) for row in rows],
        limits=" ".join(map(_, LIMITS)),
    )


def rates(rows: Sequence[BatchRow]) -> str:
    """How often such answers are wrong; empty where that was not measured."""
    measured = {row.measured_as for row in rows if row.band}
    found = error_rates(measured.pop()) if len(measured) == 1 else None
    return f"{found.sentence} {found.unsure}" if found else ""


def _shown(row: BatchRow, thumbnails: Mapping[str, str], edges: tuple[float, ...]) -> dict[str, Any]:
    said = row.said()
    survives = f"{_('Survives re-encoding?')} {ended(said['survives'])}" if row.survives else ""
    return {
        "thumbnail": thumbnails.get(row.sha256),
        "name": row.name,
        "sha256": row.sha256,
        "tone": tone_of(row.answer),
        "answer": said["answer"],
        "score": "" if row.score is None else score_text(row.score, *edges),
        "know": " ".join(filter(None, (survives, row.careful, row.beside))),
    }
