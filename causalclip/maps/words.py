"""What a map is and is not, in sentences that the page, the report and every other door share.

On pictures of known parts the map of a verdict does not beat a blob in the middle (benchmarks/detection/splices.json,
edits.json). So it is called what it is, where the score comes from, and not a finding of what was generated.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from causalclip.maps.heatmap import placed, unplaced
from causalclip.places import shipped_folder

if TYPE_CHECKING:
    from causalclip.detector import Detection

TITLE = "Where this score comes from"
NOT_ANSWERED = "Whether one part of the picture was generated or replaced is not answered."
PARTS = (
    f"{NOT_ANSWERED} What was tried for that missed nearly all edited parts once it was held to few false alarms, so a "
    "part may be edited whatever the score says."
)
MEASURED = shipped_folder("benchmarks") / "detection"
BLOB = "bright in the middle, whatever is there"


def tied_to_no_place(detection: Detection) -> float:
    """The share of the score that no map can show, in [0, 1]: what is tied to no place against what is tied to one.

    Both are sums of log-odds, whatever their signs (causalclip.maps.heatmap.placed and unplaced).
    """
    rest, here = abs(unplaced(detection)), abs(placed(detection.views))
    return rest / (rest + here) if rest + here else 0.0


def no_place(detection: Detection) -> str:
    """The same in a sentence."""
    share = 100 * tied_to_no_place(detection)
    return f"{share:.0f} % of what makes up this score is tied to no place in the picture, and no map can show it."


def face(detection: Detection) -> str:
    """The same for the map's own face, in a line."""
    return f"{100 * tied_to_no_place(detection):.0f} % of the score is tied to no place and not shown"


@cache
def control() -> str:
    """How well such maps find what was generated, beside a control that knows nothing; empty without the benchmark."""
    splices, edits = (_read(name) for name in ("splices.json", "edits.json"))
    if not (splices and edits):
        return ""
    real = edits["auc"]["a region"]
    return (
        "This is no outline of what was generated or edited. Asked to find a generated part in "
        f"{splices['splices']} photographs, such maps have an AUC of {splices['auc']['causal']['mean']:.2f}, and a "
        f"blob in the middle {splices['auc'][BLOB]['mean']:.2f}; on {real['causal']['n']} real edits, "
        f"{real['causal']['mean']:.2f} and {real[BLOB]['mean']:.2f}."
    )


def _read(name: str) -> dict[str, Any]:
    path = MEASURED / name
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found
