"""What stands beside the verdict, as HTML: the map in words and numbers, the facts, and the examples."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from causalclip.maps import words
from causalclip.maps.heatmap import lay, picture_map, placed, seen, unplaced
from causalclip.maps.overlay import SCALE
from causalclip.places import shipped_folder
from ui.detect import searches

if TYPE_CHECKING:
    from causalclip.detector import Detection, SeenView
    from causalclip.pictures.loading import LoadedImage
    from ui.detect.examples import Example

SPLICES = shipped_folder("benchmarks") / "detection" / "splices.json"
UNPLACED = (
    "What is tied to no place is what the model takes from each view as a whole, its own offset, and the correction "
    "for compression: it counts for the score and cannot be drawn."
)
ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")


def facts(detection: Detection, loaded: LoadedImage) -> str:
    """What was read, what was seen of it, and by which model."""
    rows = {
        "Picture": f"{detection.width:,} × {detection.height:,} pixels, {loaded.format}",
        "Seen": _seen(detection),
        "Model": f"{escape(detection.model)}, revision {escape(detection.revision)}",
        "Time": f"{detection.seconds:.2f} seconds",
        "SHA-256 of the file": f"<code>{escape(loaded.sha256)}</code>",
    }
    table = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows.items())
    return f"<dl class='cc-facts'>{table}</dl>"


def regions(detection: Detection, *, shown: int = 5) -> str:
    """The map in words and numbers: the parts of the picture that push most, and how all adds up to the score."""
    parts = lay(detection, "causal", columns=3, rows=3)
    strongest = [(_place(i), float(parts.flat[i])) for i in np.argsort(-np.abs(parts), axis=None)[:shown]]
    others = float(parts.sum() - sum(value for _, value in strongest))
    rows = [
        *strongest,
        ("the other parts together", others),
        ("tied to no place in the picture", unplaced(detection)),
    ]
    body = "".join(_row(place, value) for place, value in rows)
    return (
        f"<p>{_balance(detection)}</p><p>{_peak(detection)}</p><table class='cc-table'>"
        "<caption>The strongest of 3 × 3 parts of the picture, and how all adds up (rounded)</caption><thead><tr>"
        "<th scope='col'>Where</th><th scope='col'>Pushes towards</th><th scope='col'>Log-odds</th></tr></thead>"
        f"<tbody>{body}{_row('sum: the score, as log-odds', detection.logit, 'cc-sum')}</tbody></table>"
        f"<p class='cc-small'>{UNPLACED}</p>"
    )


def map_says(detection: Detection) -> str:
    """What of the score the map cannot show, and that it does not answer for parts."""
    return f"<p><b>{words.no_place(detection)}</b> {words.PARTS}</p>"


def map_words(detection: Detection) -> str:
    """The causal map in one sentence, for who cannot see it."""
    parts = lay(detection, "causal", columns=3, rows=3)
    strongest = int(np.abs(parts).argmax())
    where, side = _place(strongest), _side(float(parts.flat[strongest]))
    return f"Causal map over the picture. The strongest part is {where}, which pushes towards {side}."


def shelf(examples: Sequence[Example]) -> str:
    """The examples as buttons with their captions; each carries its index."""
    buttons = "".join(
        f"<button type='button' data-index='{i}'><img alt='' src='{_inline(example.thumbnail)}'>"
        f"<span>{escape(example.caption)}{f'<small>expect: {escape(example.expect)}</small>' if example.expect else ''}"
        "</span></button>"
        for i, example in enumerate(examples)
    )
    return (
        "<h2>Or try one of these</h2><p class='cc-small'>Photographs carried by scikit-image, and pictures made by "
        "this project's code. None is by an image generator.</p>"
        f"<div class='cc-shelf'>{buttons}</div>{searches.generated()}"
    )


def legend() -> str:
    """What the map's colours mean, and how far to trust it."""
    ends = "<span>towards not generated</span><span>little evidence</span><span>towards generated</span>"
    scale = f"Ends of the scale: {SCALE:g} log-odds per patch, the same for every picture."
    return (
        f"<div class='cc-legend'><div class='cc-ramp' aria-hidden='true'></div><div class='cc-ends'>{ends}</div></div>"
        f"<p class='cc-small'>{scale} {caveat()}</p>"
    )


def caveat() -> str:
    """How well such maps find what was generated, from the benchmark; empty without it."""
    if not SPLICES.is_file():
        return ""
    found = json.loads(SPLICES.read_text(encoding="utf-8"))
    map_, blob = (found["auc"][name]["mean"] for name in ("causal", "bright in the middle, whatever is there"))
    control = found["controls"]["a photograph pasted into a photograph"]["mean"]
    return (
        f"Read it with care: on {found['splices']} photographs with a generated part pasted in, such maps told the "
        f"part from the rest with an AUC of {map_:.2f} (a blob in the centre: {blob:.2f}; a pasted photograph, where "
        f"nothing is generated: {control:.2f}; chance: 0.50)."
    )


def _peak(detection: Detection) -> str:
    """Where the smooth map is strongest, which need not be in the strongest part."""
    levels = picture_map(detection, "causal", unit="patch", smooth=True, side=128)
    row, column = np.unravel_index(np.abs(levels).argmax(), levels.shape)
    value = float(levels[row, column])
    across, down = (round(100 * (i + 0.5) / n) for i, n in ((column, levels.shape[1]), (row, levels.shape[0])))
    return (
        f"The strongest colour on the map is {across} % from the left and {down} % from the top; it pushes towards "
        f"{_side(value)}. A part may push harder with weaker colours, as it adds up all that is in it."
    )


def _seen(detection: Detection) -> str:
    squares = sum(v.kind == "whole" for v in detection.views)
    windows = [v for v in detection.views if v.kind == "window"]
    words = "the whole, in one square" if squares == 1 else f"the whole, in {squares} squares"
    if windows:
        words += f"; close up, in {_windows(windows)} (their corners can be marked on the map)"
    missed = 1 - float(seen(detection, columns=200, rows=200).mean())
    return words + (f". {missed:.0%} of the picture was not seen (hatched on the map)" if missed > 0.005 else "")


def _windows(views: Sequence[SeenView]) -> str:
    """How many windows of which size."""
    sides = Counter(round(view.box[2] - view.box[0]) for view in views)
    return " and ".join(f"{n} windows of {side} × {side} pixels" for side, n in sorted(sides.items()))


def _place(part: int) -> str:
    return "the centre" if part == 4 else f"{ROWS[part // 3]} {COLUMNS[part % 3]}"


def _side(value: float) -> str:
    return "generated" if value > 0 else "not generated"


def _row(place: str, value: float, style: str = "") -> str:
    number = f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")
    side = _side(value) if abs(value) >= 0.005 else "neither"
    return f"<tr class='{style}'><th scope='row'>{place}</th><td>{side}</td><td>{number}</td></tr>"


def _balance(detection: Detection) -> str:
    """Whether the places and the rest agree: a map may point one way and the score the other."""
    here, rest = placed(detection.views), unplaced(detection)
    if abs(here) < 0.05:
        return "The marked places nearly cancel out; the score rests on what belongs to no single place."
    if (here > 0) == (detection.logit > 0):
        return f"The marked places together push towards {_side(here)}, as the score does."
    return (
        f"The marked places together push towards {_side(here)}, but what belongs to no single place pushes harder "
        f"towards {_side(rest)}, so the map and the score point different ways. Be careful with both."
    )


def _inline(jpeg: Path) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.read_bytes()).decode()}"
