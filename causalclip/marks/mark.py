"""One mark: who left it, where it is, how sure it is; and whether a template of one stands at a
place of a picture."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from causalclip.images.formats import Box
from causalclip.images.jpeg import LUMA
from causalclip.languages import N_

Kind = Literal[
    "signature",
    "credentials",
    "label",
    "metadata",
    "visible mark",
    "invisible mark",
    "file name",
    "size",
]
Certainty = Literal["signed", "not validated", "declared", "stamped", "hinted"]
CERTAINTIES: tuple[Certainty, ...] = (  # the strongest first
    "signed",
    "not validated",
    "declared",
    "stamped",
    "hinted",
)
Says = Literal["is", "in part", "may be", "is suspected"]  # generated
STATEMENTS: tuple[Says, ...] = "is", "in part", "may be", "is suspected"
KINDS = (
    N_("signature"),
    N_("credentials"),
    N_("visible mark"),
    N_("invisible mark"),
    N_("metadata"),
    N_("label"),
    N_("file name"),
    N_("size"),
)


UNNAMED = N_("an image generator")
UNKNOWN_SERVICE = N_("a service that is labelled by Chinese law")


@dataclass(frozen=True, slots=True)
class Field:
    """A text of a file. where: "EXIF", "XMP", "IPTC", "PNG text". name: its key there, such as
    "parameters"."""

    where: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Mark:
    """What a generator or an editor left in a file or on its pixels.

    generator: whose mark it is. certainty: what is "signed" nobody else can write; credentials that
    are "not validated", what is "declared" in a file and what is "stamped" on a picture say so
    deliberately, and anybody can make them; what is "hinted" is usual for a generator and proves
    nothing alone. where: in words. excerpt: the words that were read, or their beginning, cleaned,
    not escaped. box: x0, y0, x1, y1 in pixels of the upright picture, for a visible mark. edited:
    whether it says that a picture was edited with generative AI, not that it was generated. says:
    whether the picture or a part of it is, or may be generated, or that a platform suspects it.
    """

    generator: str
    where: str
    excerpt: str = ""
    kind: Kind = "metadata"
    certainty: Certainty = "declared"
    box: Box | None = None
    edited: bool = False
    says: Says = "is"

    @property
    def named(self) -> bool:
        """Whether it is known whose mark it is."""
        return self.generator not in (UNNAMED, UNKNOWN_SERVICE)

    @property
    def rank(self) -> tuple[int, bool, int, bool]:
        """Its place among the marks of a picture, the smallest first: by what it says, then by how
        certain it is."""
        said, certain = STATEMENTS.index(self.says), CERTAINTIES.index(self.certainty)
        return said, self.edited, certain, not self.named

    @property
    def on_pixels(self) -> bool:
        """Whether it is stamped on the picture, and so survives where a file's metadata are
        lost."""
        return self.kind in ("visible mark", "invisible mark")


AT_ONCE = 1_000_000  # pixels: as float32 their three channels take 12 bytes each
NOWHERE: Box = (0, 0, 0, 0)
LOOK_RADIUS = 2  # px around the best place of the grey values, where it is looked closely
POLYNOMIALS = 6  # polynomials of degree 2 in x and y: what a background may be under a mark


@lru_cache(maxsize=64)
def polynomials(height: int, width: int) -> np.ndarray:
    """An orthonormal basis [height * width, 6] of 1, x, y, x², xy, y²."""
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y]).reshape(POLYNOMIALS, -1)
    return np.linalg.qr(terms.T)[0].astype(np.float32)


def grey_of(pixels: np.ndarray) -> np.ndarray:
    """uint8 RGB [H, W, 3] -> float32 [H, W] of 0 to 255."""
    grey = np.empty(pixels.shape[:2], np.float32)
    rows = max(1, AT_ONCE // max(1, pixels.shape[1]))
    for top in range(0, len(grey), rows):
        grey[top : top + rows] = pixels[top : top + rows].astype(np.float32) @ LUMA
    return grey


def gradient(grey: np.ndarray) -> np.ndarray:
    """The size of the Sobel gradient of float32 [H, W]."""
    return np.hypot(
        cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3), cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3)
    )


def correlate(
    region: np.ndarray, template: np.ndarray, *, outline: float = -1.0
) -> tuple[float, int, int]:
    """The best place of a template in a region, both float32 [H, W].

    Returns the score, 0 to 2, and x and y of the template's corner. The score is the correlation of
    grey values,
    without what a smooth background explains, and that of gradient sizes: the first alone is high
    on any bright blob, the second on any outline. outline: a place where the second is below this
    has no score.
    """
    height, width = template.shape
    basis = polynomials(height, width)
    windows = _windows(region, height, width)
    grey = _unit(windows - (windows @ basis) @ basis.T)
    flat = template.reshape(1, -1)
    wanted = _unit(flat - (flat @ basis) @ basis.T)
    edges = _windows(gradient(region), height, width)
    wanted_edges = gradient(template).reshape(1, -1)
    second = (
        _unit(edges - edges.mean(1, keepdims=True)) @ _unit(wanted_edges - wanted_edges.mean()).T
    )
    score = np.where(second >= outline, grey @ wanted.T + second, 0.0)[:, 0]
    best, across = int(np.argmax(score)), region.shape[1] - width + 1
    return float(score[best]), best % across, best // across


def look_closely(
    region: np.ndarray, template: np.ndarray, *, least: float = -1.0, outline: float = -1.0
) -> tuple[float, int, int]:
    """As `correlate`, only around the place where the grey values alone correlate best.

    least: a region in which they correlate less everywhere has the score 0.
    """
    glance = cv2.matchTemplate(region, template, cv2.TM_CCOEFF_NORMED)
    if glance.max() < least:
        return 0.0, 0, 0
    height, width = template.shape
    x, y = (max(0, at - LOOK_RADIUS) for at in cv2.minMaxLoc(glance)[3])
    near = region[y : y + height + 2 * LOOK_RADIUS, x : x + width + 2 * LOOK_RADIUS]
    score, across, down = correlate(near, template, outline=outline)
    return score, x + across, y + down


def _windows(region: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(region, (height, width)).reshape(
        -1, height * width
    )


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; flat ones stay near 0, so that noise is no mark."""
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-3 * rows.shape[1] ** 0.5)
