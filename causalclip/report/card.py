"""The card on the page, and the panels beneath it: stability, the edited region, what the file says.

The headline from all evidence and what it does not mean come first, then the score. The HTML is in assets/card.html,
its colours are in assets/style.css and assets/evidence.css.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from causalclip.languages import _, ended, ngettext
from causalclip.report.drawing import data_url, draw_region
from causalclip.report.templates import CONSTANTS, render

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.evidence.examination import Examination
    from causalclip.evidence.headline import Headline


def waiting(words: str = "", *, beneath: str = "") -> str:
    """The card before there is a picture. words, beneath: HTML; what will appear here, and more."""
    return render("waiting", words=Markup(words), beneath=Markup(beneath))


def brief(band: Band, sentence: str) -> str:
    """An answer as a card with one sentence, where it is not what the page is about."""
    return render("brief", band=band, sentence=sentence)


def sample(low: float, high: float) -> str:
    """What an answer looks like, as HTML that is not read out as one."""
    return render("sample", low=low, high=high)


def looking(name: str = "", *, headline: Headline | None = None) -> str:
    """The card while the model is at work.

    Args:
        name: what is known of the picture.
        headline: what the file says of itself, where that makes the headline already.
    """
    named = Markup("<b>{}</b>").format(ended(name)) if name else ""
    return render("pending", title=_("Looking at the picture"), sentence=named, headline=headline)


def queued(before: int, *, headline: Headline | None = None) -> str:
    """The card while other pictures are in the model or go in first."""
    said = _("One picture is looked at after the other. Yours has its turn as soon as these are done.")
    title = ngettext("Waiting, {n} before you", "Waiting, {n} before you", before)
    return render("pending", title=title, sentence=said, headline=headline)


def on_its_way() -> str:
    """What the page itself shows of a picture that was chosen until the server answers: assets/stale.js copies it."""
    return render("on_its_way")


def coming() -> str:
    """What the page itself shows of many files until the server has them: assets/stale.js has their numbers."""
    return render("coming")


def elapsed() -> str:
    """How long somebody has waited, as HTML: assets/upload.js counts the seconds there."""
    return render("elapsed")


def failure(title: str, sentence: str) -> str:
    """The card for a picture that got no answer."""
    return render("failure", title=title, sentence=sentence)


def verdict(x: Examination, *, checking: bool = True, links: str = "") -> str:
    """The headline, what it means and does not mean, the score against the thresholds, and the loader's notes.

    Args:
        x: perhaps without what takes longer: stability, and whether one part differs.
        checking: whether that is being looked for where it is missing.
        links: HTML, to other parts of the page.
    """
    return render("verdict", x=x, checking=checking, links=Markup(links))


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
