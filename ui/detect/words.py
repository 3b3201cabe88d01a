"""What Detect says, as HTML: the card with its links, the map in words and numbers, the facts, and what to do now.

The person opens the links and adds the picture there; nothing is sent from here. assets/upload.js wires the buttons.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from causalclip.evidence.examination import conclude
from causalclip.evidence.regions import NOT_LOOKED_FOR
from causalclip.evidence.words import NO_ANSWER
from causalclip.languages import N_, _, any_of, decimal, figure, ngettext, number
from causalclip.maps.heatmap import lay, picture_map, placed, seen, unplaced
from causalclip.maps.overlay import SCALE
from causalclip.maps.words import TITLE, hatched, no_place
from causalclip.paths import shipped_folder
from causalclip.report import card

if TYPE_CHECKING:
    from causalclip.detector import Detection, Detector, ViewAttribution
    from causalclip.evidence.cautions import Caution
    from causalclip.evidence.examination import Examination
    from causalclip.evidence.headline import Step, StepKind
    from causalclip.evidence.regions import RegionFinding
    from causalclip.maps.overlay import Drawing
    from causalclip.pictures.loading import LoadedImage
    from causalclip.provenance.reading import Provenance

SPLICES = shipped_folder("benchmarks") / "splices.json"
UNPLACED = N_(
    "What is tied to no place is what the model takes from each view as a whole, its own offset, and the correction "
    "for compression: it counts for the score and cannot be drawn."
)
PLACES = (  # of 3 x 3 parts, row by row
    N_("top left"),
    N_("top centre"),
    N_("top right"),
    N_("middle left"),
    N_("the centre"),
    N_("middle right"),
    N_("bottom left"),
    N_("bottom centre"),
    N_("bottom right"),
)

SENTENCE_WAITS = N_("The sentence is written when it is known whether the answer survives re-encoding.")
SITES = {
    "Google Lens": "https://lens.google.com/",
    "TinEye": "https://tineye.com/",
    "Bing Visual Search": "https://www.bing.com/visualsearch",
    "Yandex Images": "https://yandex.com/images/",
    "Baidu Images": "https://image.baidu.com/",
}
WARNING = N_(
    "These pages open in a new tab; you add or paste the picture there yourself. Whoever runs the page then has it, so "
    "think twice with material that could put somebody at risk."
)


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What is kept of a picture between its verdict and its conclusion."""

    provenance: Provenance
    cautions: tuple[Caution, ...]
    drawing: Drawing

    @property
    def detection(self) -> Detection:
        return self.drawing.detection


def verdict(detector: Detector, found: FirstLook, loaded: LoadedImage, parts: RegionFinding = NOT_LOOKED_FOR) -> str:
    """The card before it is known whether the answer survives. parts: not looked for while that goes on."""
    evidence = found.provenance, found.cautions, found.detection
    x = conclude(detector, loaded, *evidence, stability=False, parts=parts)
    return card.verdict(x, links=jump_links(x.detection, ready=False))


def conclusion(x: Examination) -> str:
    """The card of the answer that counts."""
    return card.verdict(x, links=jump_links(x.detection, ready=True))


def claims(provenance: Provenance) -> str:
    """What the file says; one line to be opened where it says nothing of how it was made."""
    panel = card.provenance_panel(provenance)
    if provenance.credentials.state != "none" or provenance.marks or provenance.all_source_types:
        return panel
    more = _("More of the file: compression, dates, names")
    return f"<details class='cc-nothing'><summary>{more}</summary>{panel}</details>"


def facts(detection: Detection, loaded: LoadedImage) -> str:
    """What was read, what was seen of it, and by which model."""
    rows = {
        _("Picture"): _(
            "{width} × {height} pixels, {format}",
            width=number(detection.width),
            height=number(detection.height),
            format=loaded.format,
        ),
        _("Seen"): "" if detection.band == NO_ANSWER else _seen(detection),  # names the map, which there is none of
        _("Model"): _(
            "{model}, revision {revision}", model=escape(detection.model), revision=escape(detection.revision)
        ),
        _("Time"): _("{n} seconds", n=decimal(detection.seconds, digits=2)),
        _("SHA-256 of the file"): f"<code>{escape(loaded.sha256)}</code>",
    }
    table = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows.items() if value)
    return f"<dl class='cc-facts'>{table}</dl>"


def regions(detection: Detection, *, shown: int = 5) -> str:
    """The map in words and numbers: the parts of the picture that push most, and how all adds up to the score."""
    parts = lay(detection, "causal", columns=3, rows=3)
    strongest = [(_place(i), float(parts.flat[i])) for i in np.argsort(-np.abs(parts), axis=None)[:shown]]
    others = float(parts.sum() - sum(value for _name, value in strongest))
    rows = [
        *strongest,
        (_("the other parts together"), others),
        (_("tied to no place in the picture"), unplaced(detection)),
    ]
    body = "".join(_row(place, value) for place, value in rows)
    columns = _("Where"), _("Pushes towards"), _("Log-odds")
    heads = "".join(f"<th scope='col'>{column}</th>" for column in columns)
    return (
        f"<p>{_balance(detection)}</p><p>{_peak(detection)}</p><table class='cc-table'>"
        f"<caption>{_('The strongest of 3 × 3 parts of the picture, and how all adds up (rounded)')}</caption>"
        f"<thead><tr>{heads}</tr></thead>"
        f"<tbody>{body}{_row(_('sum: the score, as log-odds'), detection.logit, 'cc-sum')}</tbody></table>"
        f"<p class='cc-small'>{_(UNPLACED)}</p>"
    )


def map_says(drawing: Drawing) -> str:
    """What of the score the map cannot show, and where it cannot know."""
    detection, grid = drawing.detection, drawing.unknowable
    unknown = hatched(detection, grid) if grid is not None else ""
    return f"<p><b>{no_place(detection)}</b> {unknown}</p>"


def map_words(detection: Detection) -> str:
    """The causal map in one sentence, for who cannot see it."""
    parts = lay(detection, "causal", columns=3, rows=3)
    strongest = int(np.abs(parts).argmax())
    return map_sentence(strongest, towards_generated=float(parts.flat[strongest]) > 0)


def map_sentence(strongest: int, *, towards_generated: bool) -> str:
    """strongest: which of PLACES pushes most."""
    return _(
        "Causal map over the picture. The strongest part is {where}, which pushes towards {side}.",
        where=_place(strongest),
        side=_side(1.0 if towards_generated else -1.0),
    )


def legend() -> str:
    """What the map's colours mean, and how far to trust it."""
    ends = _("towards not generated"), _("little evidence"), _("towards generated")
    shown = "".join(f"<span dir='auto'>{end}</span>" for end in ends)
    scale = _("Ends of the scale: {n} log-odds per patch, the same for every picture.", n=figure(SCALE))
    return (
        "<div class='cc-legend' dir='ltr'><div class='cc-ramp' aria-hidden='true'></div>"
        f"<div class='cc-ends'>{shown}</div></div>"
        f"<p class='cc-small'>{scale} {caveat()}</p>"
    )


def caveat() -> str:
    """How well such maps find what was generated, from the benchmark; empty without it."""
    if not SPLICES.is_file():
        return ""
    found = json.loads(SPLICES.read_text(encoding="utf-8"))
    map_, blob = (found["auc"][name]["mean"] for name in ("causal", "bright in the middle, whatever is there"))
    control = found["controls"]["a photograph pasted into a photograph"]["mean"]
    return _(
        "Read it with care: on {splices} photographs with a generated part pasted in, such maps told the part from the "
        "rest with an AUC of {auc} (a blob in the centre: {blob}; a pasted photograph, where nothing is generated: "
        "{control}; chance: {chance}).",
        splices=number(found["splices"]),
        auc=decimal(map_, digits=2),
        blob=decimal(blob, digits=2),
        control=decimal(control, digits=2),
        chance=decimal(0.5, digits=2),
    )


def _peak(detection: Detection) -> str:
    """Where the smooth map is strongest, which need not be in the strongest part."""
    levels = picture_map(detection, "causal", unit="patch", smooth=True, side=128)
    row, column = np.unravel_index(np.abs(levels).argmax(), levels.shape)
    value = float(levels[row, column])
    across, down = (round(100 * (i + 0.5) / n) for i, n in ((column, levels.shape[1]), (row, levels.shape[0])))
    return _(
        "The strongest colour on the map is {across} % from the left and {down} % from the top; it pushes towards "
        "{side}. A part may push harder with weaker colours, as it adds up all that is in it.",
        across=across,
        down=down,
        side=_side(value),
    )


def _seen(detection: Detection) -> str:
    squares = sum(v.kind == "whole" for v in detection.views)
    windows = [v for v in detection.views if v.kind == "window"]
    words = ngettext("the whole, in {n} square", "the whole, in {n} squares", squares)
    if windows:
        close = _("close up, in {windows} (their corners can be marked on the map)", windows=_windows(windows))
        words += f"; {close}"
    missed = 1 - float(seen(detection, columns=200, rows=200).mean())
    if missed <= 0.005:
        return words
    unseen = _("{percent} % of the picture was not seen (hatched on the map)", percent=round(100 * missed))
    return f"{words}. {unseen}"


def _windows(views: Sequence[ViewAttribution]) -> str:
    """How many windows of which size."""
    sides = Counter(round(view.box[2] - view.box[0]) for view in views)
    parts = [
        ngettext("{n} window of {side} × {side} pixels", "{n} windows of {side} × {side} pixels", n, side=side)
        for side, n in sorted(sides.items())
    ]
    return any_of(parts, style="standard")


def _place(part: int) -> str:
    return _(PLACES[part])


def _side(value: float) -> str:
    return _("generated") if value > 0 else _("not generated")


def _row(place: str, value: float, style: str = "") -> str:
    sign = "\N{MINUS SIGN}" if value < 0 else "+"
    side = _side(value) if abs(value) >= 0.005 else _("neither")
    odds = f"{sign}{decimal(abs(value), digits=2)}"
    return f"<tr class='{style}'><th scope='row'>{place}</th><td>{side}</td><td><bdi dir='ltr'>{odds}</bdi></td></tr>"


def _balance(detection: Detection) -> str:
    """Whether the places and the rest agree: a map may point one way and the score the other."""
    here, rest = placed(detection.views), unplaced(detection)
    if abs(here) < 0.05:
        return _("The marked places nearly cancel out; the score rests on what belongs to no single place.")
    if (here > 0) == (detection.logit > 0):
        return _("The marked places together push towards {side}, as the score does.", side=_side(here))
    return _(
        "The marked places together push towards {side}, but what belongs to no single place pushes harder towards "
        "{other}, so the map and the score point different ways. Be careful with both.",
        side=_side(here),
        other=_side(rest),
    )


def steps_panel(steps: Sequence[Step], quote: str = "") -> str:
    """quote: empty as long as there is none."""
    items = "".join(f"<li>{escape(step.sentence)} {_added(step.kind)}</li>" for step in steps)
    title, paste = _("What you can do now"), _("A sentence to paste into a story or a mail")
    return (
        f"<section class='cc-panel cc-steps' aria-label='{escape(title)}'><h2>{title}</h2>"
        f"<ol>{items}</ol><h3>{paste}</h3>{_quote(quote)}</section>"
    )


def jump_links(detection: Detection, *, ready: bool) -> str:
    """From the card to what stands below it. ready: whether there is a report."""
    report = f"<a href='#report-label'>{_('Download the report')}</a>" if ready else ""
    mapped = detection.band != NO_ANSWER
    shown = f"<a href='#causal-map'>{_(TITLE)}</a>" if mapped else _to_part()
    return f"<p class='cc-jump'>{report}{shown}</p>"


def _to_part() -> str:
    """assets/upload.js opens it, too."""
    return f"<a href='#part'>{_('Judge only a part of it')}</a>"


def _added(kind: StepKind) -> str:
    """What the page has for a step."""
    if kind == "copies":
        return searches()
    if kind == "report":
        return f"<a href='#report-label'>{_('To the report')}</a>"
    if kind == "crop":
        return _to_part()
    return _magnifier() if kind == "magnify" else ""


def _magnifier() -> str:
    """A button, with the words of what it opens."""
    said = {
        "name": _("The picture, magnified"),
        "larger": _("Larger"),
        "smaller": _("Smaller"),
        "close": _("Close"),
        "scroll": _("Scroll with the arrow keys"),
    }
    words = " ".join(f"data-{name}='{escape(text)}'" for name, text in said.items())
    return f"<button type='button' class='cc-do cc-magnify' {words}>{_('Magnify it')}</button>"


def _quote(quote: str) -> str:
    if not quote:
        return f"<p class='cc-small'>{_(SENTENCE_WAITS)}</p>"
    button = copier(
        "cc-copy-text",
        _("Copy the sentence"),
        done=_("Copied."),
        failed=_("This browser does not let a page copy text. Mark the sentence and copy it."),
    )
    return f"<blockquote>{escape(quote)}</blockquote><p>{button}</p>"


def searches() -> str:
    """The links as HTML, the same for every picture, with a button that copies it."""
    button = copier(
        "cc-copy-picture",
        _("Copy the picture"),
        done=_("Copied. Paste it on the page of your choice."),
        failed=_(
            "This browser does not let a page copy pictures. Drag it there from its field, or choose the file again."
        ),
    )
    return f"{button}{links_to(SITES)}<p class='cc-small'>{_(WARNING)}</p>"


def copier(name: str, words: str, *, done: str, failed: str) -> str:
    """A button that copies something, wired in assets/upload.js, with what is said when that is done or has failed."""
    return (
        f"<button type='button' class='cc-do {name}' data-done='{escape(done)}' data-failed='{escape(failed)}'>{words}"
        "</button> <span class='cc-done'></span>"
    )


def links_to(sites: dict[str, str]) -> str:
    """A list of links, each opened in a new tab without saying from where."""
    items = "".join(
        f"<li><a href='{escape(address)}' target='_blank' rel='noopener noreferrer'>{escape(name)}</a></li>"
        for name, address in sites.items()
    )
    return f"<ul class='cc-links'>{items}</ul>"
