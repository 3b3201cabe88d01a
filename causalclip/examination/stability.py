"""Stability of the answer under re-encoding: the same picture saved again, scaled and cropped, and
judged again.

Each copy is judged by fewer views than the verdict, and so is the picture as it is; only the
difference between the two is used, added to the verdict's own log-odds: what fewer views see
differently cancels out. All of them go through the tower together.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image
from pydantic import computed_field

from causalclip.calibration import Band, Calibration, sigmoid
from causalclip.images.parts import middle
from causalclip.images.reencoding import REENCODINGS
from causalclip.languages import N_, _, any_of, in_turn, paragraph
from causalclip.schema import Schema

if TYPE_CHECKING:  # importing the detector takes seconds, which the page need not wait for
    from causalclip.detection import Detection, Verdict
    from causalclip.detector import Detector

# what most sites do to a picture; an answer must survive these
MILD = ("JPEG 90", "JPEG 70", "WebP 80", "0.75x")
STRONG = ("JPEG 50", "0.5x", "crop 75 %", N_("shown at another size"))
COPIES = len((*MILD, *STRONG))
COPIES_AT_ONCE = 3  # pictures that are judged before the model is given back
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
LABELS = {  # of a row; the others are their own names
    "0.75x": CHANGES["0.75x"],
    "0.5x": CHANGES["0.5x"],
    "crop 75 %": N_("cropped to 75%"),
}
Steadiness = Literal["steady", "weak", "turns"]
COUNTED = N_("{n} of {copies} copies came out {answer}")
COUNTED_MILD = N_("{n} of the {copies} mildly changed copies came out {answer}")
STEADINESS: dict[Steadiness, str] = {
    "steady": N_("steady"),
    "weak": N_("weak"),
    "turns": N_("turns"),
}


@dataclass(frozen=True, slots=True)
class Dot:
    """The picture as it is, or one of its copies, as it is drawn in a row of them.

    Attributes:
        label: what was done to it, in the reader's language.
        band: its answer; None until it is judged.
    """

    label: str
    band: Band | None


@dataclass(frozen=True, slots=True)
class ReencodedAnswer:
    """The answer for the picture after one re-encoding.

    Attributes:
        name: of the re-encoding.
        probability: calibrated, in [0, 1].
        logit: its log-odds.
        band: the answer.
        mild: whether an answer must survive it.
    """

    name: str
    probability: float
    logit: float
    band: Band
    mild: bool

    @property
    def label(self) -> str:
        """The name in the reader's language."""
        return label_of(self.name)


class Stability(Schema):
    """The answer as it is, and after every re-encoding."""

    probability: float
    band: Band
    """The answer to the picture as it is."""
    low: float
    """The score up to which a picture is likely not generated."""
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
        """The number of copies judged so far; those that cannot be made count as judged."""
        return len(self.rows) + len(self.skipped)

    @computed_field
    @property
    def answer(self) -> Steadiness:
        """Whether copies keep the answer: "turns" where most of the mild ones have another one,
        "weak" where any copy has; docs/measured.md says how often such answers are right."""
        mild_rows = [row for row in self.rows if row.mild]
        if 2 * sum(row.band != self.band for row in mild_rows) > len(mild_rows):
            return "turns"
        return "weak" if any(row.band != self.band for row in self.rows) else "steady"

    @computed_field
    @property
    def words(self) -> str:
        """The answer in a word, in the reader's language."""
        return _(STEADINESS[self.answer])

    @property
    def lost_to(self) -> tuple[str, ...]:
        """Names of the mild re-encodings that cost the answer; none unless it turns."""
        if self.answer != "turns":
            return ()
        return tuple(row.name for row in self.rows if row.mild and row.band != self.band)

    @computed_field
    @property
    def final_band(self) -> Band:
        """The answer that is shown: `band`, or "inconclusive" where that turns."""
        return "inconclusive" if self.answer == "turns" else self.band

    @computed_field
    @property
    def sentence(self) -> str:
        """What the copies say about the verdict, in one sentence; which could not be made."""
        if not self.skipped:
            return self._sentence()
        skipped = _(
            "The picture could not be {changed}: it is too long.", changed=_changes(self.skipped)
        )
        return paragraph(self._sentence(), skipped)

    def _sentence(self) -> str:
        if self.answer == "steady":
            return _("Steady: all {n} copies have the same answer.", n=len(self.rows))
        if self.answer == "weak":
            return _("Weak: {counts}.", counts=self._counts(COUNTED, self.rows))
        mild_rows = [row for row in self.rows if row.mild]
        turns = _("Turns: {counts}.", counts=self._counts(COUNTED_MILD, mild_rows))
        if self.band == "inconclusive":
            return turns
        as_it_is = _(
            "As it is, the picture would be {band}; an answer that does not survive what most "
            "sites do to pictures is inconclusive.",
            band=_(self.band),
        )
        return paragraph(turns, as_it_is)

    def _counts(self, form: str, rows: Sequence[ReencodedAnswer]) -> str:
        """Return how many copies came out with which other answer."""
        others = Counter(row.band for row in rows if row.band != self.band)
        return in_turn(
            _(form, n=n, copies=len(rows), answer=_(band)) for band, n in others.most_common()
        )


def label_of(name: str) -> str:
    """Return what was done to a copy, in the reader's language."""
    return _(LABELS.get(name, name))


def draw_dots(band: Band, stability: Stability | None) -> tuple[Dot, ...]:
    """Return the picture as it is, whose answer is `band`, and its copies, as far as they are
    judged."""
    answers = {row.name: row.band for row in stability.rows} if stability else {}
    skipped = stability.skipped if stability else ()
    names = [name for name in (*MILD, *STRONG) if name not in skipped]
    copies = (Dot(label_of(name), answers.get(name)) for name in names)
    return Dot(_("as it is"), band), *copies


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
    together: int = COPIES_AT_ONCE,
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
                _answer(calibration, name, logit)
                for name, logit in zip(names, copy_logits, strict=False)
            ),
            part=is_centre,
            seconds=time.perf_counter() - start,
            skipped=skipped,
        )


def _answer(calibration: Calibration, name: str, logit: float) -> ReencodedAnswer:
    probability = sigmoid(logit)
    return ReencodedAnswer(name, probability, logit, calibration.band(probability), name in MILD)


def _changes(names: Iterable[str]) -> str:
    return any_of([_(CHANGES[name]) for name in names])
