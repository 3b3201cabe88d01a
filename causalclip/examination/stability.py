"""Whether the answer survives re-encoding: the same picture saved again, scaled and cropped, and
judged again.

Each copy is judged by fewer views than the verdict, and so is the picture as it is; only the
difference between the two is used, added to the verdict's own log-odds: what fewer views see
differently cancels out. All of them go through the tower together.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image
from pydantic import computed_field

from causalclip.calibration import Band, Calibration, sigmoid
from causalclip.images.parts import middle
from causalclip.images.reencoding import REENCODINGS
from causalclip.languages import N_, _, any_of, decimal, paragraph
from causalclip.schema import Schema

if TYPE_CHECKING:  # importing the detector takes seconds, which the page need not wait for
    from causalclip.detection import Detection, Verdict
    from causalclip.detector import Detector

# what most sites do to a picture; an answer must survive these
MILD = ("JPEG 90", "JPEG 70", "WebP 80", "0.75x")
STRONG = ("JPEG 50", "0.5x", "crop 75 %", N_("shown at another size"))
COPIES = len((*MILD, *STRONG))
TOGETHER = 3  # pictures that are judged before the model is given back
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
LABELS = {"crop 75 %": N_("cropped to 75%")}  # of a row; the others are their own names
Answer = Literal["yes", "only just", "no"]
ANSWERS: dict[str, str] = {"yes": N_("Yes"), "only just": N_("Only just"), "no": N_("No")}
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

    Attributes:
        name: of the re-encoding.
        probability: calibrated, in [0, 1].
        logit: its log-odds.
        band: the answer.
        mild: whether an answer must survive it.
        flips: whether the score is on the other side of Stability.threshold, or in the opposite
            band.
    """

    name: str
    probability: float
    logit: float
    band: Band
    mild: bool
    flips: bool

    @property
    def label(self) -> str:
        """The name in the reader's language."""
        return _(LABELS.get(self.name, self.name))


class Stability(Schema):
    """Whether the answer survives re-encoding: the answer as it is, and after every re-encoding."""

    probability: float
    band: Band
    """Of the picture as it is."""
    low: float
    """Likely not generated up to it."""
    high: float
    """Likely generated from it on."""
    threshold: float
    """The dividing score, where generated and real pictures part best, as stored with the model."""
    rows: tuple[ReencodedAnswer, ...]
    """The answer for each copy."""
    part: bool = False
    """Whether only the centre of a large picture was re-encoded."""
    seconds: float = 0.0
    skipped: tuple[str, ...] = ()
    """Names of the re-encodings that cannot be made of a picture of this shape, and have no row."""

    @property
    def judged(self) -> int:
        """How many copies are judged so far; those that cannot be made count as judged."""
        return len(self.rows) + len(self.skipped)

    @computed_field
    @property
    def flips(self) -> tuple[str, ...]:
        """Names of the mild re-encodings that flip the answer."""
        return tuple(row.name for row in self.rows if row.mild and row.flips)

    @computed_field
    @property
    def changed(self) -> int:
        """How many copies got another answer in words, whether that counts or not."""
        return sum(row.band != self.band for row in self.rows)

    @property
    def lost_to(self) -> tuple[str, ...]:
        """Names of the mild re-encodings that cost the answer; none where it survives.

        It is lost where one of them puts the score across the threshold or into the opposite band,
        and where most of them get another answer in words (benchmarks/copies.json says how often
        such answers are right).
        """
        changes = tuple(row.name for row in self.rows if row.mild and row.band != self.band)
        mild = sum(row.mild for row in self.rows)
        return self.flips or (changes if 2 * len(changes) > mild else ())

    @computed_field
    @property
    def final_band(self) -> Band:
        """The answer that is shown: `band`, or "inconclusive" where that is lost."""
        return "inconclusive" if self.lost_to else self.band

    @computed_field
    @property
    def answer(self) -> Answer:
        """Whether the answer survives re-encoding; "only just" where some copy has another one."""
        if self.lost_to:
            return "no"
        return "only just" if self.changed else "yes"

    @computed_field
    @property
    def words(self) -> str:
        """The answer in words, with the counts: of the copies that count, and of those that were
        changed more."""
        answer = _(ANSWERS[self.answer])
        if not self.changed:
            return answer
        mild = [row.band != self.band for row in self.rows if row.mild]
        strong = [row.band != self.band for row in self.rows if not row.mild]
        counts = _(
            OTHER if any(mild) else SAME,
            n=sum(mild),
            mild=len(mild),
            m=sum(strong),
            strong=len(strong),
        )
        return f"{answer}: {counts}"

    @property
    def fraction(self) -> str:
        """How many copies keep the answer, such as "7/8"."""
        return f"{len(self.rows) - self.changed}/{len(self.rows)}"

    @property
    def agreeing_copies(self) -> str:
        """How many copies, of all, have the same answer in words."""
        return _(
            "{same} of {copies} agree", same=len(self.rows) - self.changed, copies=len(self.rows)
        )

    @computed_field
    @property
    def sentence(self) -> str:
        """What this says about the verdict."""
        if not self.skipped:
            return self._sentence()
        skipped = _(
            "The picture could not be {changed}: it is too long.", changed=_changes(self.skipped)
        )
        return paragraph(self._sentence(), skipped)

    def _sentence(self) -> str:
        """Return what the copies say about the verdict."""
        if self.lost_to and self.band != "inconclusive":
            return _(
                "The answer changes when the picture is {changed}, as most sites do to pictures. "
                "As it is, it would be {band}; an answer that does not survive that is "
                "inconclusive.",
                changed=_changes(self.lost_to),
                band=_(self.band),
            )
        names = [row.name for row in self.rows if row.band != self.band]
        if not names:
            return _("Every copy has the same answer.")
        other = _("The answer is another when the picture is {changed}.", changed=_changes(names))
        if self.band == "inconclusive":
            return other
        counts = _(
            "It counts all the same: under mild changes, the score stays on its side of "
            "{threshold}, which divides generated from real pictures best.",
            threshold=decimal(self.threshold, digits=2),
        )
        return paragraph(other, counts)


def copy_source(pixels: np.ndarray) -> np.ndarray:
    """Return what is re-encoded of a picture (uint8 [H, W, 3]): all of it, or of a large one the
    centre of at most MAX_PIXELS pixels, as an array of its own."""
    left, top, right, bottom = middle(*pixels.shape[:2], most=MAX_PIXELS, longest=MAX_JPEG)
    return pixels[top:bottom, left:right].copy()


def judge_copies(
    detector: Detector,
    centre: np.ndarray,
    verdict: Detection | Verdict,
    *,
    is_centre: bool = False,
    together: int = TOGETHER,
) -> Iterator[Stability]:
    """Yield the stability after every few copies, the last time with all of them.

    Args:
        detector: judges the copies, by fewer views than the verdict.
        centre: what is re-encoded, uint8 RGB [H, W, 3] (`copy_source`).
        verdict: of the whole picture as it is.
        is_centre: whether that is only the centre of a larger picture.
        together: pictures that are judged at once.
    """
    # 1. The copies; the picture as it is comes first, and each is made when it is judged
    start = time.perf_counter()
    calibration = detector.config.calibration
    skipped = ("WebP 80",) if max(centre.shape[:2]) > MAX_WEBP else ()
    names = [name for name in (*MILD, *STRONG) if name not in skipped]
    picture = Image.fromarray(centre)
    copies = chain([centre], (np.asarray(REENCODINGS[name](picture)) for name in names))

    # 2. A few at a time
    logits = list[float]()
    while len(logits) <= len(names):
        batch = list(islice(copies, together))
        scores = detector.score_batch(batch, windows=WINDOWS, squares=SQUARES)
        logits += [score.logit for score in scores]
        copy_logits = [verdict.logit + logit - logits[0] for logit in logits[1:]]
        yield Stability(
            probability=verdict.probability,
            band=verdict.band,
            low=calibration.low,
            high=calibration.high,
            threshold=calibration.threshold,
            rows=tuple(
                _answer(calibration, name, verdict.logit, logit)
                for name, logit in zip(names, copy_logits, strict=False)
            ),
            part=is_centre,
            seconds=time.perf_counter() - start,
            skipped=skipped,
        )


def _answer(calibration: Calibration, name: str, verdict: float, logit: float) -> ReencodedAnswer:
    """Return a copy's answer, from the log-odds of the picture as it is and of the copy."""
    own, probability = sigmoid(verdict), sigmoid(logit)
    band = calibration.band(probability)
    flips = (own >= calibration.threshold) != (probability >= calibration.threshold)
    opposite = {calibration.band(own), band} == {"likely generated", "likely not generated"}
    return ReencodedAnswer(name, probability, logit, band, name in MILD, flips or opposite)


def _changes(names: Iterable[str]) -> str:
    """Return what was done to the copies of these names, in words."""
    return any_of([_(CHANGES[name]) for name in names])
