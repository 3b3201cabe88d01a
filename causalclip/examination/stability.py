"""Does the answer survive re-encoding? The same picture saved again, scaled and cropped, and judged
again.

Each delivery is judged by fewer views than the verdict, and so is the picture as it is; only the
difference between the two is used, added to the verdict's own log-odds: what fewer views see
differently cancels out. All of them go through the tower together.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image, ImageFilter

from causalclip.images.loading import middle
from causalclip.languages import N_, _, any_of, decimal

if TYPE_CHECKING:  # importing the detector takes seconds, which the page need not wait for
    from causalclip.calibration import Band, Calibration
    from causalclip.detector import Detection, Detector, Verdict

# what most sites do to a picture; an answer must survive these
MILD = ("JPEG 90", "JPEG 70", "WebP 80", "0.75x")
STRONG = ("JPEG 50", "0.5x", N_("crop 75 %"), N_("shown at another size"))
WINDOWS, SQUARES = 1, 1  # per copy: close-up windows of each scale, and squares of the whole
MAX_PIXELS = 4_000_000  # of what is re-encoded: of larger pictures the centre, at its own scale
MAX_WEBP, MAX_JPEG = 16_383, 65_500  # px of a side that they can have
CHANGES = {
    "JPEG 90": N_("saved as JPEG of quality 90"),
    "JPEG 70": N_("saved as JPEG of quality 70"),
    "JPEG 50": N_("saved as JPEG of quality 50"),
    "WebP 80": N_("saved as WebP of quality 80"),
    "0.75x": N_("scaled to three quarters"),
    "0.5x": N_("scaled to half"),
    "crop 75 %": N_("cropped by a quarter"),
    "shown at another size": N_("shown at another size"),
}
Answer = Literal["yes", "only just", "no"]
SAID: dict[str, str] = {"yes": N_("Yes"), "only just": N_("Only just"), "no": N_("No")}
SAME = N_(
    "the same answer for all {mild} copies that count, another one for {m} of the {strong} that "
    "were changed more"
)
OTHER = N_(
    "another answer for {n} of the {mild} copies that count, and for {m} of the {strong} that were "
    "changed more"
)


@dataclass(frozen=True, slots=True)
class ReencodedAnswer:
    """The answer for the picture after one re-encoding.

    probability: calibrated, in [0, 1]. logit: its log-odds. mild: whether an answer must survive
    it.
    flips: whether the score is on the other side of Stability.threshold, or in the opposite band.
    """

    name: str
    probability: float
    logit: float
    band: Band
    mild: bool
    flips: bool


@dataclass(frozen=True, slots=True)
class Stability:
    """The answer as it is and after every delivery.

    threshold: the dividing score, where generated and real pictures part best, as stored with the
    model. low, high: the bands' thresholds.
    band: of the picture as it is. final_band: "inconclusive" if a mild delivery flips the answer,
    else `band`.
    part: whether only the centre of a large picture was re-encoded.
    skipped: names of the deliveries that cannot be made of a picture of this shape, and have no
    row.
    """

    probability: float
    band: Band
    final_band: Band
    low: float
    high: float
    threshold: float
    rows: tuple[ReencodedAnswer, ...]
    part: bool
    seconds: float
    skipped: tuple[str, ...] = ()

    @property
    def flips(self) -> tuple[str, ...]:
        """Names of the mild deliveries that flip the answer."""
        return tuple(row.name for row in self.rows if row.mild and row.flips)

    @property
    def changed(self) -> int:
        """How many copies got another answer in words, whether that counts or not."""
        return sum(row.band != self.band for row in self.rows)

    @property
    def answer(self) -> Answer:
        """To the question whether the answer survives: not where most copies that count get another
        one."""
        turned, mild, *_strong = self.counted
        if 2 * turned > mild or self.final_band != self.band:
            return "no"
        return "only just" if self.changed else "yes"

    @property
    def words(self) -> str:
        """The same for a person, with the counts: of the copies that count, and of those that were
        changed more."""
        n, mild, m, strong = self.counted
        if not n + m:
            return _(SAID[self.answer])
        return (
            f"{_(SAID[self.answer])}: {_(OTHER if n else SAME, n=n, mild=mild, m=m, strong=strong)}"
        )

    @property
    def counted(self) -> tuple[int, int, int, int]:
        """Of the mild copies, how many got another answer in words, and how many there are; the
        same of the strong."""
        mild, strong = (
            [row.band != self.band for row in self.rows if row.mild == kind]
            for kind in (True, False)
        )
        return sum(mild), len(mild), sum(strong), len(strong)

    @property
    def kept(self) -> str:
        """How many copies, of all, have the same answer in words."""
        return _(
            "{same} of {copies} agree", same=len(self.rows) - self.changed, copies=len(self.rows)
        )

    @property
    def sentence(self) -> str:
        """What this says about the verdict, for a person."""
        if not self.skipped:
            return self._sentence()
        left_out = _(
            "The picture could not be {changed}: it is too long.", changed=_changes(self.skipped)
        )
        return f"{self._sentence()} {left_out}"

    def _sentence(self) -> str:
        if self.answer == "no" and self.flips:
            return _(
                "The answer changes when the picture is {changed}, as most sites do to pictures. "
                "As it is, it would be {band}; an answer that does not survive that is "
                "inconclusive.",
                changed=_changes(self.flips),
                band=_(self.band),
            )
        changed = [row.name for row in self.rows if row.band != self.band]
        if not changed:
            return _("Every copy has the same answer.")
        other = _("The answer is another when the picture is {changed}.", changed=_changes(changed))
        if self.band == "inconclusive":
            return other
        counts = _(
            "It counts all the same: under mild changes, the score stays on its side of "
            "{threshold}, which divides generated from real pictures best.",
            threshold=decimal(self.threshold, digits=2),
        )
        return f"{other} {counts}"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        said = {
            "answer": self.answer,
            "words": self.words,
            "changed": self.changed,
            "sentence": self.sentence,
        }
        return said | asdict(self) | {"flips": list(self.flips)}


def not_checked() -> dict[str, str]:
    """Stability.as_dict where it was not asked for."""
    said = {"words": _("Not checked"), "sentence": _("Whether it survives was not checked.")}
    return {"answer": "not checked", **said}


Transform = Callable[[Image.Image], Image.Image]


def encode(picture: Image.Image, codec: str, quality: int, **options: int) -> Image.Image:
    """RGB -> the same picture after a lossy round trip through `codec` ("JPEG" or "WEBP")."""
    buffer = io.BytesIO()
    picture.save(buffer, codec, quality=quality, **options)
    return Image.open(buffer).convert("RGB")


def rescale(
    picture: Image.Image, factor: float, kernel: Image.Resampling = Image.Resampling.BICUBIC
) -> Image.Image:
    """RGB scaled by `factor`, no side below 32 px."""
    size = (max(32, round(picture.width * factor)), max(32, round(picture.height * factor)))
    return picture.resize(size, kernel)


def centre_crop(picture: Image.Image, share: float) -> Image.Image:
    """The central `share` of each side."""
    w, h = round(picture.width * share), round(picture.height * share)
    left, top = (picture.width - w) // 2, (picture.height - h) // 2
    return picture.crop((left, top, left + w, top + h))


# The rows of the robustness table and of the stability panel.
REENCODINGS: dict[str, Transform] = {
    "as it is": lambda p: p,
    "JPEG 90": lambda p: encode(p, "JPEG", 90),
    "JPEG 70": lambda p: encode(p, "JPEG", 70),
    "JPEG 50": lambda p: encode(p, "JPEG", 50),
    "WebP 80": lambda p: encode(p, "WEBP", 80),
    "0.75x": lambda p: rescale(p, 0.75),
    "0.5x": lambda p: rescale(p, 0.5),
    "blur 1 px": lambda p: p.filter(ImageFilter.GaussianBlur(1)),
    "crop 75 %": lambda p: centre_crop(p, 0.75),
    # on a screen, without loss
    "shown at another size": lambda p: rescale(p, 0.8, Image.Resampling.BILINEAR),
}


def check_stability(
    detector: Detector, pixels: np.ndarray, detection: Detection | Verdict | None = None
) -> Stability:
    """Judges the picture (uint8 RGB [H, W, 3]) after all re-encodings; `detection` saves judging it
    as it is."""
    stages = checks(detector, pixels, detection)
    while True:
        try:
            next(stages)
        except StopIteration as end:
            found: Stability = end.value
            return found


def checks(
    detector: Detector,
    pixels: np.ndarray,
    detection: Detection | Verdict | None = None,
    *,
    together: int | None = None,
) -> Generator[tuple[int, int], None, Stability]:
    """The same step by step: yields how many copies are judged, of how many, and returns what was
    found.

    together: how many pictures are judged in a step; all of them by default.
    """
    started, calibration = time.perf_counter(), detector.config.calibration
    base = detector.judge(pixels) if detection is None else detection
    left, top, right, bottom = middle(*pixels.shape[:2], most=MAX_PIXELS, longest=MAX_JPEG)
    centre = np.ascontiguousarray(pixels[top:bottom, left:right])
    skipped = ("WebP 80",) if max(centre.shape[:2]) > MAX_WEBP else ()
    names = [name for name in (*MILD, *STRONG) if name not in skipped]
    picture = Image.fromarray(centre)
    # each made when it is judged
    copies = chain([centre], (np.asarray(REENCODINGS[name](picture)) for name in names))
    logits = list[float]()
    while len(logits) <= len(names):  # the first is the picture as it is
        yield max(0, len(logits) - 1), len(names)
        few = list(islice(copies, together)) if together else copies
        logits += [v.logit for v in detector.judge_all(few, windows=WINDOWS, squares=SQUARES)]
    moved = (base.logit + logit - logits[0] for logit in logits[1:])
    rows = tuple(
        _answer(calibration, name, base.logit, logit)
        for name, logit in zip(names, moved, strict=True)
    )
    flipped = any(row.mild and row.flips for row in rows)
    return Stability(
        probability=base.probability,
        band=base.band,
        final_band="inconclusive" if flipped else base.band,
        low=calibration.low,
        high=calibration.high,
        threshold=calibration.threshold,
        rows=rows,
        part=centre.size < pixels.size,
        seconds=time.perf_counter() - started,
        skipped=skipped,
    )


def _answer(calibration: Calibration, name: str, verdict: float, logit: float) -> ReencodedAnswer:
    """verdict, logit: the log-odds of the picture as it is, and of this copy."""
    from causalclip.calibration import sigmoid

    own, probability = sigmoid(verdict), sigmoid(logit)
    band = calibration.band(probability)
    flips = (own >= calibration.threshold) != (probability >= calibration.threshold)
    opposite = {calibration.band(own), band} == {"likely generated", "likely not generated"}
    return ReencodedAnswer(name, probability, logit, band, name in MILD, flips or opposite)


def _changes(names: Iterable[str]) -> str:
    return any_of([_(CHANGES[name]) for name in names])
