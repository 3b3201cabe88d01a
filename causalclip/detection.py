"""The verdict on one picture, with what every patch and channel adds to it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from causalclip.calibration import Band, sigmoid
from causalclip.reference import Profile, Standing

if TYPE_CHECKING:  # they bring PyTorch, which takes seconds
    from PIL.Image import Image
    from torch import Tensor

    from causalclip.clip.runtime import Runtime
    from causalclip.clip.views import ViewType

Head = Literal["causal", "linear"]
ImageType = Literal["photograph", "drawing", "page", "blank"]


class Correction(Protocol):
    """A change of the score for one source of pictures, as a reference set's profile makes it."""

    def correct(self, view_type: "ViewType", embedding: "Tensor") -> "Tensor":
        """Return what it adds to the calibrated log-odds of a picture that has these views alone.

        Args:
            view_type: of the views.
            embedding: [V, D], standardised by the head of these views.

        Returns:
            [V, D + 1], what one unit of each channel adds, and a constant: they say for every patch
            what it adds.
        """


@dataclass(frozen=True, slots=True)
class ViewAttribution:
    """One view and its share of the verdict, in calibrated log-odds.

    Attributes:
        view_type: "whole" or "window".
        box: left, top, right, bottom in picture pixels.
        causal: float32 [g, g], what each patch adds to Detection.logit through the causal part,
            against a patch of the average training picture (these are the evidence).
        non_causal: float32 [g, g], what it would have added with 1 - mask in place of the mask.
        rest: what is of no patch.
        mask: float32 [D] in [0, 1], the share of each dimension that was let through.
        channels: float32 [D], what each dimension adds to Detection.logit, against the average
            training picture; with `bias` they add up to the view's part of the logit, as causal and
            rest do.
        suppressed: float32 [D], what each dimension would have added with 1 - mask in place of the
            mask.
        bias: of the view, in no channel.
    """

    view_type: "ViewType"
    box: tuple[float, float, float, float]
    causal: np.ndarray
    non_causal: np.ndarray
    rest: float
    mask: np.ndarray
    channels: np.ndarray
    suppressed: np.ndarray
    bias: float


@dataclass(frozen=True, slots=True)
class Detection:
    """The verdict on one picture.

    Attributes:
        probability: calibrated, in [0, 1], that it was generated.
        logit: its log-odds.
        band: in words, by the thresholds.
        low, high: the thresholds, as probabilities.
        width, height: of the picture, in pixels.
        views: with their attributions; the sum of all `causal` and all `rest`, plus `rest` here, is
            the logit.
        rest: the calibration's own offset.
        compression: estimated from the pixels (causalclip.images.jpeg).
        parts: names of the embedding's parts, and how many dimensions each has.
        model, revision: which model judged.
        runtime: in which numbers (causalclip.clip.runtime).
        seconds: the time it took.
        correction: that changed the score, if one did.
        image_type: what is no photograph gets no answer.
        head: "causal" where the mask is the picture's own, "linear" where all pictures have the
            same.
        corrected: log-odds that the correction added.
        picture: uint8 RGB [H, W, 3], the pixels that were judged; None where they were let go.
    """

    probability: float
    logit: float
    band: Band
    low: float
    high: float
    width: int
    height: int
    views: tuple[ViewAttribution, ...]
    rest: float
    compression: tuple[float, ...]
    parts: tuple[tuple[str, int], ...]
    model: str
    revision: str
    runtime: "Runtime"
    seconds: float
    correction: Correction | None = None
    image_type: ImageType = "photograph"
    head: Head = "linear"
    corrected: float = 0.0
    picture: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def mask(self) -> np.ndarray:
        """The share of each channel that was let through, in [0, 1]: a row for each of the V views.

        A structured array [V] with a float32 field for each layer: `mask["cls:8"]` is [V, 768],
        `mask.dtype.names` are the layers' names, and
        `numpy.lib.recfunctions.structured_to_unstructured(mask)` is [V, D].
        """
        layers = [(name, np.float32, (width,)) for name, width in self.parts]
        rows = np.stack([view.mask for view in self.views]).astype(np.float32)
        return rows.view(layers)[:, 0]

    def heatmap(self) -> "Image":
        """Return the picture with its map, the colour bar and its caption: PIL's image, RGB.

        Its long side is 512 to 1,024 px. `causalclip.maps.overlay.draw_map` has more choices.

        Raises:
            ValueError: the pixels were let go, as `examine` does.
        """
        from causalclip.maps.captions import caption
        from causalclip.maps.overlay import draw_map, prepare

        if self.picture is None:
            raise ValueError("The pixels were let go: draw the examination's drawing (draw_map).")
        drawing = prepare(self.picture, self)
        return draw_map(drawing, numbered=True, bar=True, beside=caption(drawing))

    @property
    def profile(self) -> Profile | None:
        """The profile of the reference set that the picture is held to; None without one."""
        return self.correction if isinstance(self.correction, Profile) else None

    @property
    def standing(self) -> Standing | None:
        """Where the score stands in the reference set; None without one, and where there is no
        answer."""
        if self.profile is None or self.band == "no answer":
            return None
        shipped = sigmoid(self.logit - self.corrected)
        return self.profile.standing(self.probability, high=self.high, shipped=shipped)

    @property
    def measured_as(self) -> str | None:
        """The revision whose benchmark speaks of its answer; None where a profile's threshold or
        private head made it another one."""
        own = self.profile and (self.profile.private or self.profile.raises_threshold(self.high))
        return None if own else self.revision


@dataclass(frozen=True, slots=True)
class Verdict:
    """A Detection's probability, logit, band and image type alone."""

    probability: float
    logit: float
    band: Band
    image_type: ImageType = "photograph"
