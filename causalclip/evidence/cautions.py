"""Known weak spots, said where they matter: kinds of pictures that mislead detectors of generated pictures.

A kind is named only where simple statistics of the pixels recognise it; how often they do, and how often they are
wrong, is in benchmarks/cautions.json. What is not named may be there all the same.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from causalclip.languages import N_, _, ngettext, number
from causalclip.pictures.inside import Box, find_pictures

if TYPE_CHECKING:
    from causalclip.provenance.reading import Provenance

Kind = Literal["small", "recompressed", "graphic", "text", "dark", "portrait", "inside"]
KINDS = (  # as causalclip.profile names them
    N_("small"),
    N_("recompressed"),
    N_("graphic"),
    N_("text"),
    N_("dark"),
    N_("portrait"),
    N_("inside"),
)

SHORT: dict[str, str] = {  # where many pictures stand in a table
    "small": N_("Too small to be looked at close up."),
    "recompressed": N_("Heavily compressed, which wipes traces away."),
    "graphic": N_("Looks like a drawing or a flat graphic."),
    "text": N_("Looks like text, a chart or a drawing."),
    "dark": N_("Mostly dark, which misleads detectors."),
    "portrait": N_("A face fills much of it; smoothed skin can mislead."),
    "inside": N_("Holds another picture; judge that part alone."),
}

SMALL = 269  # px on the shorter side: below it there is no window at native scale (1.2 x 224, causalclip.clip.views)
LOW_QUALITY = 60  # of JPEG, at or below it
SIDE = 512  # px on the long side of the copy that is measured
FACE = 0.35  # of the shorter side, from which a face is said to fill the picture
NOT_RECOGNISED = N_(
    "Retouching, staging, paintings and photographs of screens or prints are not recognised, and can mislead as well."
)


@dataclass(frozen=True, slots=True)
class Caution:
    """kind: which weak spot. sentence: what it means for the verdict, for a person. boxes: where, in pixels, if it is a
    part."""

    kind: Kind
    sentence: str
    boxes: tuple[Box, ...] = ()


def find_cautions(pixels: np.ndarray, provenance: "Provenance | None" = None) -> tuple[Caution, ...]:
    """The weak spots that are recognised in a picture (uint8 RGB [H, W, 3]) and in how it was saved."""
    found = [_small(pixels), _recompressed(provenance), *_looks(measure(pixels)), _portrait(pixels), _inside(pixels)]
    return tuple(caution for caution in found if caution)


@dataclass(frozen=True, slots=True)
class Looks:
    """Statistics of the luminance at SIDE px, all in [0, 1] but the last two, which are grey levels.

    flat, edge: shares of pixels with steps to their neighbours of at most 2, and above 40 levels.
    textured: share of the steps that are not flat and at most 16: high in photographs, low where areas are filled.
    common: share of the most common levels (a window of 8).
    median, bright: the median level, and the level below which 90 % of the pixels are.
    """

    flat: float
    edge: float
    textured: float
    common: float
    median: float
    bright: float


def measure(pixels: np.ndarray) -> Looks:
    """The statistics of a picture (uint8 RGB [H, W, 3])."""
    grey = np.asarray(_shrunk(pixels, long=SIDE).convert("L"), np.float32)
    step = np.maximum(np.abs(np.diff(grey, axis=1))[:-1], np.abs(np.diff(grey, axis=0))[:, :-1])
    flat = float((step <= 2).mean())
    levels = np.bincount(grey.astype(int).ravel() // 4, minlength=64) / grey.size
    return Looks(
        flat=flat,
        edge=float((step > 40).mean()),
        textured=float(((step > 2) & (step <= 16)).mean() / max(1e-3, 1 - flat)),
        common=float((levels + np.append(levels[1:], 0)).max()),
        median=float(np.median(grey)),
        bright=float(np.quantile(grey, 0.9)),
    )


def _small(pixels: np.ndarray) -> Caution | None:
    height, width = pixels.shape[:2]
    if min(height, width) >= SMALL:
        return None
    return Caution(
        "small",
        _(
            "With {width} x {height} pixels the picture is too small to be looked at close up, where most traces are. "
            "Look for a larger version.",
            width=number(width),
            height=number(height),
        ),
    )


def _recompressed(provenance: "Provenance | None") -> Caution | None:
    if provenance is None:
        return None
    last = provenance.jpeg.quality if provenance.jpeg else 100
    worst = min(last, provenance.earlier_quality or 100)
    if worst > LOW_QUALITY:
        return None
    return Caution(
        "recompressed",
        _(
            "The picture was heavily compressed (JPEG quality about {quality} of 100). That wipes traces away and "
            "leaves others. Look for an earlier copy.",
            quality=worst,
        ),
    )


def _looks(looks: Looks) -> list[Caution]:
    found: list[Caution] = []
    textured = 0.75 if looks.flat >= 0.85 else 0.55  # JPEG's ringing beside lines counts for more where little else is
    if looks.flat >= 0.65 and looks.textured <= textured and looks.edge >= 0.01:
        if looks.common >= 0.55:
            said = _("This looks like text, a chart or a drawing on an even ground.")
            found.append(Caution("text", f"{said} {_(_DRAWN)}"))
        else:
            said = _("This looks like a drawing or a flat graphic.")
            found.append(Caution("graphic", f"{said} {_(_DRAWN)}"))
    if looks.median <= 45 and looks.bright <= 150:
        found.append(
            Caution(
                "dark",
                _(
                    "Most of the picture is dark. Night shots and the noise reduction in cameras are known to mislead "
                    "detectors."
                ),
            )
        )
    return found


def _inside(pixels: np.ndarray) -> Caution | None:
    boxes = tuple(found.box for found in find_pictures(pixels))
    if not boxes:
        return None
    left, top, right, bottom = boxes[0]
    said = ngettext(
        "This looks like a screenshot, a page or a picture with margins: a picture was found inside this one, from "
        "({left}, {top}) to ({right}, {bottom}). The answer is about the whole, and says little about what is inside. "
        "Judge the part alone.",
        "This looks like a screenshot, a page or a picture with margins: {n} pictures were found inside this one, the "
        "largest from ({left}, {top}) to ({right}, {bottom}). The answer is about the whole, and says little about "
        "what is inside. Judge the part alone.",
        len(boxes),
        left=left,
        top=top,
        right=right,
        bottom=bottom,
    )
    return Caution("inside", said, boxes)


_DRAWN = N_("The detector was made for photographs; its answer on anything drawn or typeset means little.")


def _portrait(pixels: np.ndarray) -> Caution | None:
    """By scikit-image's frontal face cascade, on a copy of 240 px: 6 ms."""
    picture = _shrunk(pixels, short=240)
    least = round(FACE * min(picture.size))
    if least < 40 or max(picture.size) > 4 * min(picture.size):
        return None
    faces = _cascade().detect_multi_scale(
        img=np.asarray(picture),
        scale_factor=1.2,
        step_ratio=1.3,
        min_size=(least, least),
        max_size=(min(picture.size),) * 2,
        min_neighbor_number=3,
    )
    if not faces:
        return None
    return Caution(
        "portrait",
        _(
            "A face fills much of the picture. Smoothing by phones, filters and retouching leaves traces like those of "
            "generators, and whether it was used cannot be told here."
        ),
    )


@lru_cache(maxsize=1)
def _cascade() -> Any:
    import skimage.data
    from skimage.feature import Cascade  # a second of imports

    return Cascade(skimage.data.lbp_frontal_face_cascade_filename())


def _shrunk(pixels: np.ndarray, *, long: int | None = None, short: int | None = None) -> Image.Image:
    """A copy whose long, or short, side has so many pixels at most; rows are dropped first, to bound the cost."""
    height, width = pixels.shape[:2]
    scale = min(1.0, long / max(height, width) if long else (short or height) / min(height, width))
    step = max(1, int(1 / scale) // 2)
    picture = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step]))
    # Of a strip at least 2 px are left, so that neighbours can be compared in both directions.
    return picture.resize((max(2, round(width * scale)), max(2, round(height * scale))), Image.Resampling.BOX)
