"""Kinds of pictures that mislead detectors of generated pictures: known weak spots, told where they
matter.

A kind is named only where simple statistics of the pixels recognise it; how often they do, and how
often they are wrong, is in docs/measured.md. What is not named may be there all the same.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from PIL import Image

from causalclip.images.formats import Box
from causalclip.images.jpeg import earlier_quality
from causalclip.images.subimages import find_pictures
from causalclip.languages import N_, _, ngettext, number, paragraph
from causalclip.provenance.result import Provenance

CautionType = Literal["small", "recompressed", "graphic", "text", "dark", "portrait", "inside"]
CAUTION_TYPES = (
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
SENTENCES: dict[str, str] = {  # beside the answer; what is inside is counted
    "small": N_(
        "With {width} x {height} pixels the picture is too small to be looked at close up, where "
        "most traces are. Look for a larger version."
    ),
    "recompressed": N_(
        "The picture was heavily compressed (JPEG quality about {quality} of 100). That wipes "
        "traces away and leaves others. Look for an earlier copy."
    ),
    "graphic": N_("This looks like a drawing or a flat graphic."),
    "text": N_("This looks like text, a chart or a drawing on an even ground."),
    "dark": N_(
        "Most of the picture is dark. Night shots and the noise reduction in cameras are known to "
        "mislead detectors."
    ),
    "portrait": N_(
        "A face fills much of the picture. Smoothing by phones, filters and retouching leaves "
        "traces like those of generators, and whether it was used cannot be told here."
    ),
}
DRAWN = N_(
    "The detector was made for photographs; its answer on anything drawn or typeset means little."
)
# px on the shorter side: below it there is no window at native scale (clip/views.py)
SMALL_SIDE = 269
LOW_QUALITY = 60  # of JPEG, at or below it
MEASURED_SIDE = 512  # px on the long side of the copy that is measured
MIN_FACE_SHARE = 0.35  # of the shorter side, from which a face is said to fill the picture


@dataclass(frozen=True, slots=True)
class Caution:
    """A weak spot that was recognised.

    Attributes:
        kind: which.
        sentence: what it means for the verdict.
        boxes: where, in pixels, if it is a part.
    """

    kind: CautionType
    sentence: str
    boxes: tuple[Box, ...] = ()


def in_short(cautions: Iterable[Caution]) -> str:
    """Return what each of them means for the verdict, in a few words, one after another."""
    return paragraph(*(_(SHORT[caution.kind]) for caution in cautions))


def find_cautions(pixels: np.ndarray, provenance: Provenance | None = None) -> tuple[Caution, ...]:
    """Return the weak spots that are recognised in a picture (uint8 RGB [H, W, 3]) and in how it
    was saved."""
    return tuple(_recognise(pixels, provenance))


def _recognise(pixels: np.ndarray, provenance: Provenance | None) -> Iterator[Caution]:
    height, width = pixels.shape[:2]
    if min(height, width) < SMALL_SIDE:
        yield _caution("small", width=number(width), height=number(height))
    quality = _worst_quality(provenance)
    if quality <= LOW_QUALITY:
        yield _caution("recompressed", quality=quality)
    statistics = measure(pixels)
    caution_type = statistics.drawn_type
    if caution_type:
        yield Caution(caution_type, paragraph(_(SENTENCES[caution_type]), _(DRAWN)))
    if statistics.median <= 45 and statistics.bright <= 150:
        yield _caution("dark")
    if _has_face(pixels):
        yield _caution("portrait")
    boxes = tuple(picture.box for picture in find_pictures(pixels))
    if boxes:
        yield Caution("inside", _subimages_sentence(boxes), boxes)


def _caution(caution_type: CautionType, **values: object) -> Caution:
    return Caution(caution_type, _(SENTENCES[caution_type], **values))


def _worst_quality(provenance: Provenance | None) -> int:
    """Return the lowest JPEG quality that the picture is known to have been saved with; 100 where
    none is known."""
    if provenance is None:
        return 100
    last = provenance.jpeg.quality if provenance.jpeg else 100
    return min(last, provenance.earlier_quality or 100)


@dataclass(frozen=True, slots=True)
class PixelStatistics:
    """Statistics of the luminance at MEASURED_SIDE px, all in [0, 1] but the last two, which are
    grey levels.

    Attributes:
        flat: the share of pixels with steps to their neighbours of at most 2 levels.
        edge: the share of pixels with steps above 40 levels.
        textured: of the steps that are not flat, the share of at most 16: high in photographs, low
            where areas are filled.
        common: the share of the most common levels (a window of 8).
        median: the median level.
        bright: the level below which 90 % of the pixels are.
    """

    flat: float
    edge: float
    textured: float
    common: float
    median: float
    bright: float

    @property
    def drawn_type(self) -> Literal["text", "graphic"] | None:
        """Return what it looks like, if it is not photographed."""
        # JPEG's ringing beside lines counts for more where little else is.
        max_textured = 0.75 if self.flat >= 0.85 else 0.55
        if self.flat < 0.65 or self.textured > max_textured or self.edge < 0.01:
            return None
        return "text" if self.common >= 0.55 else "graphic"


def measure(pixels: np.ndarray) -> PixelStatistics:
    """Return the statistics of a picture (uint8 RGB [H, W, 3])."""
    grey = np.asarray(_shrunk(pixels, long=MEASURED_SIDE).convert("L"), np.float32)
    step = np.maximum(np.abs(np.diff(grey, axis=1))[:-1], np.abs(np.diff(grey, axis=0))[:, :-1])
    flat = float((step <= 2).mean())
    levels = np.bincount(grey.astype(int).ravel() // 4, minlength=64) / grey.size
    return PixelStatistics(
        flat=flat,
        edge=float((step > 40).mean()),
        textured=float(((step > 2) & (step <= 16)).mean() / max(1e-3, 1 - flat)),
        common=float((levels + np.append(levels[1:], 0)).max()),
        median=float(np.median(grey)),
        bright=float(np.quantile(grey, 0.9)),
    )


def _subimages_sentence(boxes: tuple[Box, ...]) -> str:
    """Return what it means that a picture shows others, the largest in the first box."""
    left, top, right, bottom = boxes[0]
    return ngettext(
        "This looks like a screenshot, a page or a picture with margins: a picture was found "
        "inside this one, from ({left}, {top}) to ({right}, {bottom}). What is said of the whole "
        "says little about what is inside. Judge the part alone.",
        "This looks like a screenshot, a page or a picture with margins: {n} pictures were found "
        "inside this one, the largest from ({left}, {top}) to ({right}, {bottom}). What is said of "
        "the whole says little about what is inside. Judge the part alone.",
        len(boxes),
        left=left,
        top=top,
        right=right,
        bottom=bottom,
    )


def _has_face(pixels: np.ndarray) -> bool:
    """Return whether a face fills the picture, by scikit-image's frontal face cascade, on a copy of
    240 px: 6 ms."""
    if max(pixels.shape[:2]) > 4 * min(pixels.shape[:2]):
        return False
    picture = _shrunk(pixels, short=240)
    least = round(MIN_FACE_SHARE * min(picture.size))
    if least < 40:
        return False
    faces = _cascade().detect_multi_scale(
        img=np.asarray(picture),
        scale_factor=1.2,
        step_ratio=1.3,
        min_size=(least, least),
        max_size=(min(picture.size),) * 2,
        min_neighbor_number=3,
    )
    return bool(faces)


@lru_cache(maxsize=1)
def _cascade() -> Any:
    import skimage.data
    from skimage.feature import Cascade  # a second of imports

    return Cascade(skimage.data.lbp_frontal_face_cascade_filename())


def _shrunk(
    pixels: np.ndarray, *, long: int | None = None, short: int | None = None
) -> Image.Image:
    """Return a copy whose long, or short, side has so many pixels at most; rows are dropped first,
    to bound the cost."""
    height, width = pixels.shape[:2]
    scale = min(1.0, long / max(height, width) if long else (short or height) / min(height, width))
    step = max(1, int(1 / scale) // 2)
    picture = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step]))
    # Of a strip at least 2 px are left, so that neighbours can be compared in both directions.
    size = max(2, round(width * scale)), max(2, round(height * scale))
    return picture.resize(size, Image.Resampling.BOX)


def with_history(provenance: Provenance, pixels: np.ndarray) -> Provenance:
    """Return the provenance with the quality of an earlier compression, as the decoded pixels
    (uint8 RGB [H, W, 3]) tell; of two the coarser."""
    last = provenance.jpeg.quality if provenance.jpeg else None
    qualities = earlier_quality(pixels, last=last), provenance.earlier_quality
    coarsest = min((quality for quality in qualities if quality is not None), default=None)
    return replace(provenance, earlier_quality=coarsest)


def history_words(provenance: Provenance) -> str:
    """Return a sentence on an earlier compression; "" if there is no sign of one."""
    if provenance.earlier_quality is None:
        return ""
    if provenance.jpeg:
        form = N_(
            "The pixels keep the steps of a JPEG compression of quality about {quality}, before "
            "its last one: the picture was compressed at least twice."
        )
    else:
        form = N_(
            "The pixels keep the steps of a JPEG compression of quality about {quality}, although "
            "the file is no JPEG: the picture was a JPEG before."
        )
    return _(form, quality=provenance.earlier_quality)
