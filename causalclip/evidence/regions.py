"""Does one part of the picture differ from the rest? An answer that is only ever positive: what is silent says little.

Most parts are not found, so that nothing here may sound as if none were there. What is found may be harmless: a
caption, a logo or retouching by hand differ from the rest as well.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from causalclip.evidence.cautions import LOW_QUALITY, worst_quality
from causalclip.evidence.words import NO_ANSWER
from causalclip.languages import N_, _
from causalclip.paths import measured

if TYPE_CHECKING:  # what looks for parts brings OpenCV and SciPy, which the page need not wait for
    from causalclip.detector import Detection
    from causalclip.evidence.region_finder import Region
    from causalclip.images.loading import LoadedImage
    from causalclip.provenance.jpeg import JpegTables
    from causalclip.provenance.reading import Provenance

RegionState = Literal["found", "none found", "cannot know", "not asked"]
REGION_DIFFERS = N_("One part differs from the rest of the picture")
REGION_ANSWERS: dict[RegionState, str] = {
    "found": N_("One part differs"),
    "none found": N_("No part stands out, which says little"),
    "cannot know": N_("Cannot be known"),
    "not asked": N_("Not asked"),
}
FOUND = N_(
    "One part differs from the rest of the picture in its noise, its colours or its compression: {percent} % of it, "
    "from ({left}, {top}) to ({right}, {bottom}). It may have been pasted in, generated or painted over. Captions, "
    "logos, retouching by hand and what is out of focus can do the same, so a part that differs is no proof of deceit."
)
RELIABLE = N_(
    "A part was found in {unedited} of {photographs} test photographs that nobody edited, in {retouched} of {others} "
    "retouched ones, and in {pasted} of {edits} into which a part was pasted."
)
IN_VIEW = N_("The threshold was set with those unedited ones in view, so it may happen more often with others.")
NONE = N_("No part stands out. That says little: most parts that are pasted in or generated are not found.")
MISSED = N_(
    "No part stands out. That says little: of 100 test pictures into which a part was pasted, {pasted} look like this, "
    "and of 100 that a generator redrew to change a part, {anew}."
)
MIDDLE = N_("Of this large picture, only the middle was read for that: {percent} % of it.")
UNKNOWN = N_("Whether one part differs cannot be known here: {why}.")
WHY_UNKNOWN = {
    "kind": N_("this is no photograph"),
    "small": N_("the picture is too small"),
    "compressed": N_("it was compressed too much"),
    "halved": N_("it was read at half its size"),
    "palette": N_("a GIF keeps too few colours"),
}
NOT_ASKED = N_("Whether one part differs was not looked for.")


@dataclass(frozen=True, slots=True)
class RegionFinding:
    """What was found. region: where, if one differs. why: a key of WHY_UNKNOWN where that cannot be known.

    read: the share of the picture that was looked at, in [0, 1]. revision: of the trees.
    """

    state: RegionState
    region: Region | None = None
    why: str = ""
    read: float = 1.0
    revision: str = ""
    seconds: float = 0.0

    @property
    def found(self) -> bool:
        """Whether there is a part that differs."""
        return self.region is not None

    @property
    def words(self) -> str:
        """For a table."""
        return _(REGION_ANSWERS[self.state])

    @property
    def sentence(self) -> str:
        """For a person, with how far it can be relied on."""
        if self.state == "cannot know":
            return _(UNKNOWN, why=_(WHY_UNKNOWN[self.why]))
        if self.state == "not asked":
            return _(NOT_ASKED)
        rates = reliability(self.revision)
        said = _found(self.region, self.read, rates) if self.region else _none_found(rates)
        return f"{said} {_(MIDDLE, percent=round(100 * self.read))}" if self.read < 1 else said

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types; the picture's own pixels for box and outline."""
        where = asdict(self.region) if self.region else {"box": None, "outline": [], "share": None}
        rates = reliability(self.revision)
        return (
            {"answer": self.state, "words": self.words, "sentence": self.sentence}
            | json.loads(json.dumps(where))
            | {"read": self.read, "reliability": rates, "revision": self.revision, "seconds": self.seconds}
        )


NOT_LOOKED_FOR = RegionFinding("not asked")


def find_region(loaded: LoadedImage, provenance: Provenance, detection: Detection | Any) -> RegionFinding:
    """Looks for a part that differs. detection: the verdict; of what is no photograph, nothing can be known."""
    started = time.perf_counter()
    if why := why_unknown(loaded, provenance, detection):
        return RegionFinding("cannot know", why=why)
    from causalclip.evidence.region_finder import shipped_finder

    table = upright_table(provenance.jpeg, loaded.width, loaded.height)
    found = shipped_finder().search(loaded.pixels, table)
    if found is None:
        return RegionFinding("cannot know", why="small")
    left, top, right, bottom = found.read
    return RegionFinding(
        "found" if found.region else "none found",
        region=found.region,
        read=(right - left) * (bottom - top) / (loaded.width * loaded.height),
        revision=shipped_finder().revision,
        seconds=time.perf_counter() - started,
    )


def upright_table(jpeg: JpegTables | None, width: int, height: int) -> np.ndarray | None:
    """A JPEG's luminance table [64] as its upright picture of that size lies; None of other files, and of a part."""
    if jpeg is None or not jpeg.luminance:
        return None
    table = np.reshape(np.asarray(jpeg.luminance, np.float64), (8, 8))
    return (table if jpeg.size == (width, height) else table.T).ravel()


def reliability(revision: str) -> dict[str, dict[str, int]] | None:
    """How many pictures there were (`n`) and in how many a part was found (`flagged`), by kind; None if not measured.

    All are test pictures; real edits are counted with those of `train`, judged by trees that saw nothing of their
    owner.
    """
    report = measured("parts")
    if not revision or report.get("revision") != revision:
        return None
    return {kind: dict(row["counted"]) for kind, row in report["kinds"].items()}


def why_unknown(loaded: LoadedImage, provenance: Provenance, detection: Detection | Any) -> str:
    """A key of WHY where that cannot be known of a picture, whatever is found in it; empty elsewhere."""
    if detection.band == NO_ANSWER:
        return "kind"
    if loaded.format == "GIF":
        return "palette"
    if loaded.halved:
        return "halved"
    return "compressed" if worst_quality(provenance) <= LOW_QUALITY else ""


def _found(region: Region, read: float, rates: dict[str, dict[str, int]] | None) -> str:
    """read: the share of the picture that was looked at; the region's own share is of that."""
    (left, top, right, bottom), percent = region.box, max(1, round(100 * region.share * read))
    said = _(FOUND, percent=percent, left=left, top=top, right=right, bottom=bottom)
    if rates is None:
        return said
    calm, retouched, pasted = (rates[kind] for kind in ("unedited", "retouched", "pasted back"))
    counted = _(
        RELIABLE,
        unedited=calm["flagged"],
        photographs=calm["n"],
        retouched=retouched["flagged"],
        others=retouched["n"],
        pasted=pasted["flagged"],
        edits=pasted["n"],
    )
    return f"{said} {counted} {_(IN_VIEW)}"


def _none_found(rates: dict[str, dict[str, int]] | None) -> str:
    if rates is None:
        return _(NONE)
    pasted, anew = (  # of 100, never all
        min(99, round(100 * (1 - rates[kind]["flagged"] / rates[kind]["n"]))) for kind in ("pasted back", "made anew")
    )
    return _(MISSED, pasted=pasted, anew=anew)
