"""The panels beneath the card: stability, the edited region, what the file says; their HTML is in assets/card.html."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causalclip.languages import _, ngettext
from causalclip.report.drawing import data_url, draw_region
from causalclip.report.templates import CONSTANTS, render

if TYPE_CHECKING:
    import numpy as np

    from causalclip.evidence.regions import RegionFinding
    from causalclip.evidence.stability import Stability
    from causalclip.provenance.reading import Provenance


def stability_panel(stability: Stability) -> str:
    """The answer to the question, the chart with the bands behind it, and what it does not show."""
    return render("stability", s=stability)


def stability_waiting() -> str:
    """The panel while the copies are judged."""
    return render("stability", s=None)


def stability_progress(judged: int, copies: int, *, before: int = 0) -> str:
    """How far the check is, beneath the answer. before: how many others go in first."""
    said = _("{judged} of {copies} copies of the picture are judged.", judged=judged, copies=copies)
    if before:
        said = ngettext("Waiting, {n} before you", "Waiting, {n} before you", before) + f". {said}"
    return render("progress", sentence=said, judged=judged, copies=copies)


def region_panel(pixels: np.ndarray, found: RegionFinding) -> str:
    """The picture (uint8 RGB [H, W, 3]) with the region's outline; empty where none was found."""
    if found.region is None:
        return ""
    return render("region_panel", found=found.region, picture=data_url(draw_region(pixels, found.region)))


def provenance_panel(p: Provenance) -> str:
    """The weightiest claim and the state of the credentials; the rest, and the place apart, after a click."""
    claims, fields = len(p.credentials.source_types) + len(p.source_types) + len(p.marks), len(p.fields)
    counts = [ngettext("{n} claim", "{n} claims", claims)] if claims else []
    counts += [ngettext("{n} field", "{n} fields", fields)] if fields else []
    left = fields - CONSTANTS["SHOWN"]
    more = ngettext("{n} more is in the report.", "{n} more are in the report.", left) if left > 0 else ""
    return render("provenance", p=p, counted=f" ({', '.join(counts)})" if counts else "", more=more)
