"""Is it a photograph at all? A linear classifier on the verdict's own embedding, which says what else an image is."""

from typing import Literal

import torch
from torch import Tensor, nn

ImageType = Literal["photograph", "drawing", "page", "blank"]
DRAWING, PAGE = "drawing", "page"


class ImageTypeClassifier(nn.Module):
    """Two scores, linear in the standardised embedding: not a photograph; and, if so, rather a page than a drawing.

    A photograph here is also a generated picture that looks like one. A drawing is drawn, painted or rendered; a page
    is a screenshot, a chart, a scan, a meme or a collage with text. The pixels tell before whether a picture is blank
    (causalclip.pictures.content).

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
        self.register_buffer("threshold", torch.zeros(()))  # of the first score; above it no verdict is given

    def forward(self, embedding: Tensor) -> Tensor:
        """[B, D] -> [B, 2]."""
        scores: Tensor = self.scores((embedding - self.shift) / self.scale)
        return scores

    def classify(self, views: Tensor) -> ImageType:
        """The type of one image, from the embeddings of the views that cover it, [V, D]."""
        other, page = self(views).mean(0)
        if other <= self.threshold:
            return "photograph"
        return "page" if page > 0 else "drawing"
