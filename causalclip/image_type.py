"""The type of an image: what is no photograph gets no answer.

A linear classifier on the verdict's own embedding tells drawings and pages, the pixels tell what is
blank.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

if TYPE_CHECKING:
    from causalclip.detection import ImageType

GRID = 16  # cells across and down
LOOKED_SIDE = 1024  # px on the long side of what is looked at; rows and columns are dropped before
# Of the variance of grey, between the cells: 1,200 pictures had 0.14 to 0.99, close-ups of gravel,
# brick and grass 0.03 to 0.05, noise 0.001.
MIN_SPREAD = 0.01
MIN_DEVIATION = 1.0  # grey levels of standard deviation, at least; the same pictures had 11 or more


class ImageTypeClassifier(nn.Module):
    """Two scores, linear in the standardised embedding: not a photograph; and, if so, rather a page
    than a drawing.

    A photograph here is also a generated picture that looks like one. A drawing is drawn, painted
    or rendered; a page is a screenshot, a chart, a scan, a meme or a collage with text. The pixels
    tell before whether a picture is blank.

    Args:
        width: D, dimensions of the embedding.
    """

    shift: Tensor
    scale: Tensor
    threshold: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scores = nn.Linear(width, 2)
        self.register_buffer("shift", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        # of the first score; above it no verdict is given
        self.register_buffer("threshold", torch.zeros(()))

    def forward(self, embedding: Tensor) -> Tensor:
        """Return the scores [B, 2] of embeddings [B, D]."""
        scores: Tensor = self.scores((embedding - self.shift) / self.scale)
        return scores

    def classify(self, views: Tensor) -> "ImageType":
        """The type of one image, from the embeddings of the views that cover it, [V, D]."""
        other, page = self(views).mean(0)
        if other <= self.threshold:
            return "photograph"
        return "page" if page > 0 else "drawing"


def is_blank(pixels: np.ndarray) -> bool:
    """Return whether all parts of a picture (uint8 RGB [H, W, 3]) are equally bright on average, so
    that nothing is in it: one colour, even noise or an even pattern."""
    step = max(1, max(pixels.shape[:2]) // LOOKED_SIDE)
    grey = Image.fromarray(np.ascontiguousarray(pixels[::step, ::step])).convert("L")
    variance = float(np.asarray(grey, np.float32).var())
    cells = np.asarray(grey.resize((GRID, GRID), Image.Resampling.BOX), np.float32)
    return variance < MIN_DEVIATION**2 or float(cells.var()) < MIN_SPREAD * variance
