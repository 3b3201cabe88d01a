"""What a map is and is not, in sentences that the page, the report and the command line share.

On pictures of known parts the map of a verdict does not beat a blob in the centre (benchmarks/splices.json,
edits.json). So it is called what it is, where the score comes from, and not a finding of what was generated.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from causalclip.languages import ENGLISH, N_, _, decimal, number, speaking
from causalclip.maps.heatmap import tied_to_no_place
from causalclip.maps.reliability import unknown_share
from causalclip.paths import shipped_folder

if TYPE_CHECKING:
    import numpy as np

    from causalclip.detector import Detection
    from causalclip.maps.overlay import Drawing

TITLE = N_("Where this score comes from")
MEASURED = shipped_folder("benchmarks")
SHARES_THE_LABEL = 0.6  # accuracy from which an adversary that sees what is held back does better than by chance
MASK_MEANING = N_(
    "The mask shows what the verdict reads, but it does not separate what caused a picture to look generated: what it "
    "holds back tells generated pictures from photographs, too, a verdict without a mask is as good, and “causal” is "
    "the paper's name for what passes, not a proof."
)
SHARED_MASK_MEANING = N_(
    "The mask is the same for every picture: those channels pass whose weight in the verdict kept its sign and its "
    "size, whichever half of the sites it was learned from."
)
BLOB = "bright in the middle, whatever is there"


def explains(detection: Detection) -> str:
    """How much of the score the map can show, in a sentence."""
    return _("The map explains {percent} % of the score.", percent=round(100 * (1 - tied_to_no_place(detection))))


def hatched(detection: Detection, unknowable: np.ndarray | None) -> str:
    """What the hatching means, and how much of the picture has it; empty where there is none.

    unknowable: the picture's grid of causalclip.maps.reliability.
    """
    percent = 0 if unknowable is None else round(100 * unknown_share(detection, unknowable))
    return _("Hatched ({percent} %): too flat or dark to judge.", percent=percent) if percent else ""


def face(drawing: Drawing) -> str:
    """Both for the face of a map that stands alone, in two lines; in English, as what draws it cannot shape every
    script."""
    with speaking(ENGLISH):
        return "\n".join(filter(None, (explains(drawing.detection), hatched(drawing.detection, drawing.unknowable))))


def control() -> str:
    """How well such maps find what was generated, beside a control that knows nothing; empty without the benchmark."""
    splices, edits = (_read(name) for name in ("splices.json", "edits.json"))
    if not (splices and edits):
        return ""
    real = edits["auc"]["a region"]
    auc = splices["auc"]["causal"]["mean"], splices["auc"][BLOB]["mean"], real["causal"]["mean"], real[BLOB]["mean"]
    made, blob, edited, edited_blob = (decimal(value, digits=2) for value in auc)
    return _(
        "This is no outline of what was generated or edited. Asked to find a generated part in {splices} photographs, "
        "such maps have an AUC of {made}, and a blob in the centre {blob}; on {edits} real edits, {edited} and "
        "{edited_blob}.",
        splices=number(splices["splices"]),
        made=made,
        blob=blob,
        edits=number(real["causal"]["n"]),
        edited=edited,
        edited_blob=edited_blob,
    )


@cache
def _read(name: str) -> dict[str, Any]:
    path = MEASURED / name
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found
