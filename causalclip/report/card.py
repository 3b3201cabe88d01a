"""The card on the page, the panels beneath it, and the Jinja environment of all pages, which escapes what a file says.

The headline from all evidence and what it does not mean come first, then the score. The HTML is in assets/card.html,
its colours are in assets/style.css and assets/evidence.css.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from causalclip.evidence import words
from causalclip.evidence.cautions import SHORT, history_words
from causalclip.evidence.regions import REGION_DIFFERS
from causalclip.languages import N_, _, decimal, ended, in_turn, is_rtl, ngettext, number
from causalclip.maps import heatmap as map_words
from causalclip.paths import shipped_folder
from causalclip.provenance.reading import CAVEAT, OF_WHOLE
from causalclip.report.drawing import data_url, draw_region

if TYPE_CHECKING:
    import numpy as np
    from jinja2 import Environment

    from causalclip.calibration import Band
    from causalclip.evidence.examination import Examination
    from causalclip.evidence.headline import Headline
    from causalclip.evidence.regions import RegionFinding
    from causalclip.evidence.stability import Stability
    from causalclip.provenance.reading import Provenance

SAID = (_, decimal, ended, in_turn, is_rtl, number, history_words, words.score_text, words.score_texts, words.bar_place)
CONSTANTS: dict[str, Any] = {
    "words": words,
    "map_words": map_words,
    "CAVEAT": CAVEAT,
    "EMPTY": "\N{WHITE CIRCLE}",
    "OF_WHOLE": OF_WHOLE,
    "REGION_DIFFERS": REGION_DIFFERS,
    "SHORT": SHORT,
    "SHOWN": 24,  # fields of metadata on the page
}


def render(macro: str, /, *, template: str = "card.html", **values: Any) -> str:
    """A macro of a template in assets/, in the reader's language. values: escaped, unless they are Markup."""
    return str(getattr(environment().get_template(template).module, macro)(**values)).strip()


def render_page(name: str, /, **values: Any) -> str:
    """A whole template of assets/."""
    return environment().get_template(name).render(values)


@lru_cache(maxsize=1)
def environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(shipped_folder("assets")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {function.__name__: function for function in SAID} | CONSTANTS
    made.filters["_"] = _
    return made


def waiting(words: str = "") -> str:
    """The card before there is a picture. words: HTML; what will appear here."""
    return render("waiting", words=Markup(words))


def brief(band: Band, sentence: str) -> str:
    """An answer as a card with one sentence, where it is not what the page is about."""
    return render("brief", band=band, sentence=sentence)


def looking(name: str = "", *, headline: Headline | None = None) -> str:
    """The card while the model is at work.

    Args:
        name: what is known of the picture.
        headline: what the file says of itself, where that makes the headline already.
    """
    named = Markup("<b>{}</b>").format(ended(name)) if name else ""
    return render("pending", title=_("Looking at the picture"), sentence=named, headline=headline)


def queued(before: int, *, headline: Headline | None = None) -> str:
    """The card while other pictures are in the model or go in first; before: how many of them are other people's."""
    if not before:
        return looking(headline=headline)
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


def verdict(x: Examination, *, judged: tuple[int, int] | None = None) -> str:
    """The headline, a sentence on what it means, and the score among the bands.

    x: perhaps without what takes longer: stability, and whether one part differs. judged: how many copies of how many
    are judged by now, while that goes on; the answer is then only probable.
    """
    return render("verdict", x=x, judged=judged)


def chips(x: Examination, *, judged: tuple[int, int] | None = None) -> str:
    """The kinds of evidence with what each says in a word; judged: as in `verdict`."""
    return render("chips", x=x, file=_(_file_says(x.headline, x.provenance)), judged=judged)


def _file_says(headline: Headline, p: Provenance) -> str:
    if p.credentials.state == "trusted":
        return N_("signed")
    if p.credentials.state == "invalid":
        return N_("changed after signing")
    if headline.source == "file":
        return N_("says generated")
    return N_("says nothing") if headline.silent else N_("details")


def evidence(headline: Headline) -> str:
    """What each kind of evidence says, as a list."""
    return render("evidence", headline=headline)


def pixels_panel(x: Examination) -> str:
    """What is behind the pixels' answer, but for the map."""
    return render("pixels", x=x)


def stability_panel(stability: Stability) -> str:
    """The answer to the question, the chart with the bands behind it, and what it does not show."""
    return render("stability", s=stability)


def stability_waiting() -> str:
    """The panel while the copies are judged."""
    return render("stability", s=None)


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
