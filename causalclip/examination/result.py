"""Everything that is found out about one picture, which page, command line, HTTP and report show.

Arrays (patches, masks, channels) are in `detection`; what is told as JSON is in
causalclip.examination.schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from causalclip.examination.answer import Step
from causalclip.examination.cautions import Caution
from causalclip.examination.headline import (
    FORGED,
    NOT_JUDGED,
    Headline,
    make_headline,
    next_steps,
)
from causalclip.examination.messages import (
    JUDGED_BY,
    MEANING,
    NO_ANSWER,
    UNSTABLE,
    WHY_NO_ANSWER,
    score_text,
)
from causalclip.examination.precision import (
    EmpiricalPrecision,
    ErrorRates,
    empirical_precision,
    error_rates,
)
from causalclip.examination.stability import COPIES, Dot, Stability, draw_dots, label_of
from causalclip.images.formats import ImageError
from causalclip.languages import N_, _, any_of, day, ended, paragraph
from causalclip.provenance.result import Provenance

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.detection import Detection
    from causalclip.images.formats import Format
    from causalclip.images.parts import Part
    from causalclip.maps.overlay import Boxes, Drawing
    from causalclip.reference import Standing

HALVED = N_("The picture was judged at half its size.")
UNCHECKED = N_("Re-encoded copies are not checked.")


class Stage(IntEnum):
    """The progress of an examination; each stage holds what the ones before it found."""

    CLAIMS = 1  # what the file says
    VERDICT = 2  # marks and weak spots, the pixels' answer, the map
    COPY = 3  # the answers for some of the re-encoded copies
    DONE = 4


@dataclass(frozen=True, eq=False)
class Examination:
    """All that is found out about one picture, up to a stage.

    Attributes:
        stage: how far it has come.
        name: of the file where it is known, cleaned; empty otherwise.
        sha256, format, file_size (bytes): of the file that was given, also where a part is judged.
        provenance: what the file says and, from VERDICT on, what is on its pixels.
        examined: when, UTC, ISO 8601.
        width, height: in pixels, as the picture was read; 0 before VERDICT.
        notes: sentences on what was done to the picture on loading.
        halved: whether it was read at half its size.
        cautions: weak spots that were recognised.
        drawn: the picture in small with its detection and its map's limits; None before VERDICT.
        threshold: the score where generated and real pictures part best.
        stability: the answers for the copies, at COPY for some of them; None where they were not
            judged.
        part: where a part lies that is judged alone; None for the whole picture.
        problem: a sentence on why the pixels cannot be judged; the stage is then CLAIMS.
    """

    stage: Stage
    name: str
    sha256: str
    format: Format
    file_size: int
    provenance: Provenance
    examined: str
    width: int = 0
    height: int = 0
    notes: tuple[str, ...] = ()
    halved: bool = False
    cautions: tuple[Caution, ...] = ()
    drawn: Drawing | None = None
    threshold: float = 0.5
    stability: Stability | None = None
    part: Part | None = None
    problem: str = ""

    @property
    def drawing(self) -> Drawing:
        """The picture in small, as its map is drawn; there is one from VERDICT on."""
        assert self.drawn is not None, "There is no drawing before the stage VERDICT."
        return self.drawn

    @property
    def detection(self) -> Detection:
        """The detector's result; there is one from VERDICT on."""
        return self.drawing.detection

    @cached_property
    def perceptual_hash(self) -> str:
        """64 bits in hexadecimal (imagehash.phash), near for copies of the same picture."""
        return perceptual_hash(self.drawing.picture)

    @property
    def copies_judged(self) -> tuple[int, int] | None:
        """Return how many copies of how many are judged, while that goes on; None before and
        after."""
        if self.stage in (Stage.CLAIMS, Stage.DONE) or self.band == NO_ANSWER:
            return None
        return (self.stability.judged if self.stability else 0), COPIES

    @property
    def dots(self) -> tuple[Dot, ...]:
        """The picture and its copies with their answers; none where copies are not judged."""
        if self.copies_judged is None and self.stability is None:
            return ()
        return draw_dots(self.detection.band, self.stability)

    @property
    def is_weak(self) -> bool:
        """Return whether the headline is the pixels' answer, which some copy does not keep."""
        if self.stage != Stage.DONE or self.stability is None:
            return False
        return self.stability.answer == "weak" and self.headline.source == "pixels"

    @property
    def band(self) -> Band:
        """Return what the pixels say: the detection's band, or "inconclusive" where that turns in
        re-encoding."""
        if self.stability and self.stage == Stage.DONE:
            return self.stability.final_band
        return self.detection.band

    @property
    def overturned(self) -> bool:
        """Return whether the pixels' answer is lost in re-encoding."""
        return self.band != self.detection.band

    @property
    def meaning(self) -> str:
        """Return what the pixels' answer means and does not mean, or why there is none, for a
        person."""
        if self.band == NO_ANSWER:
            return _(WHY_NO_ANSWER[self.detection.image_type])
        if self.stability and self.overturned:
            copies = list(map(label_of, self.stability.lost_to))
            return _(UNSTABLE, copies=any_of(copies, style="standard"))
        return _(MEANING[self.band])

    @property
    def reason(self) -> str:
        """Return what the headline rests on: what the pixels' answer means, or what signature or
        file say."""
        return self.meaning if self.headline.source == "pixels" else self.headline.evidence

    @cached_property
    def headline(self) -> Headline:
        """The answer from all evidence so far."""
        if self.drawn is None:
            return make_headline(self.provenance, None, problem=self.problem)
        stability = self.stability if self.stage == Stage.DONE else None
        return make_headline(self.provenance, self.band, stability)

    @property
    def meant(self) -> EmpiricalPrecision | None:
        """Return what the pixels' answer has meant in the benchmark; None where that was not
        measured: of another detector, by a reference set's threshold, and of an answer that was
        lost in re-encoding."""
        if self.overturned:
            return None
        return empirical_precision(self.band, self.detection.measured_as)

    @property
    def judged_by(self) -> str:
        """The head that judged, for a person."""
        return _(JUDGED_BY[self.detection.head])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels of the file, upright, also where it was read at half its
        size."""
        if self.part:
            left, top, right, bottom = self.part.box
            return right - left, bottom - top
        if not self.halved or self.provenance.jpeg is None:
            return self.width, self.height
        short, long = sorted(self.provenance.jpeg.size)
        return (long, short) if self.width >= self.height else (short, long)

    @property
    def mark_boxes(self) -> Boxes:
        """Where the picture bears visible marks, as shares of its width and height."""
        return mark_boxes(self.provenance, self.width, self.height)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Next steps for a person."""
        return next_steps(
            self.headline, self.band, self.provenance, self.cautions, self.detection.image_type
        )

    @property
    def quote(self) -> str:
        """A few sentences that can stand without the page, and in a second line which file they are
        about.

        What they rest on is what the headline rests on: a signature, the file's word, a mark, or
        the pixels.
        """
        detection = self.detection
        values = {
            "day": day(datetime.fromisoformat(self.examined)),
            "revision": detection.revision,
            "answer": self.headline.answer,
        }
        if self.band == NO_ANSWER or self.headline.source != "pixels":
            answer = _("CausalCLIP (detector {revision}), {day}: “{answer}”.", **values)
        else:
            answer = _(
                "CausalCLIP (detector {revision}), {day}: “{answer}”, with a score of {score} of "
                "1.",
                score=score_text(detection.probability, detection.low, detection.high),
                **values,
            )
        place = ended(self.part.words) if self.part else ""
        sentences = paragraph(answer, place, *self._grounds())
        return f"{sentences}\nSHA-256: {self.sha256}"

    def _grounds(self) -> Iterator[str]:
        """Yield what the headline rests on, for a person who has not seen the page."""
        clue = _("One clue, not a proof.")
        no_answer = self.band == NO_ANSWER

        # 1. A signature, the file's word, or a mark
        if self.headline.source != "pixels":
            yield self.headline.proved if self.headline.source == "signature" else _(FORGED)
            if no_answer:
                yield _(NOT_JUDGED)
            else:
                yield _("By the pixels: {answer}.", answer=_(self.band))
                if not self._copies_are_checked:
                    yield _(UNCHECKED)
            yield clue
            return

        # 2. The pixels
        if no_answer:
            yield _("Treat this as no answer.")
            return
        standing = self.detection.standing
        if standing:
            yield standing.sentence
        if self.overturned:
            yield self.meaning
        elif self.meant:
            yield self.meant.sentence
        elif not standing:
            yield _("Its error rates are not measured.")
        if self.is_weak and self.stability:
            yield self.stability.sentence
        if not self._copies_are_checked:
            yield _(UNCHECKED)
        yield clue

    @property
    def _copies_are_checked(self) -> bool:
        return self.stage == Stage.DONE and self.stability is not None

    @property
    def unlike(self) -> tuple[str, ...]:
        """Sentences on how the picture differs from the reference set that it is held to; none
        without one."""
        if self.detection.profile is None:
            return ()
        differences = self.detection.profile.unlike(
            camera=self.provenance.camera,
            format=self.format,
            side=max(self.detection.width, self.detection.height),
            kinds=[caution.kind for caution in self.cautions],
        )
        return tuple(differences)

    @property
    def reference(self) -> Standing | None:
        """Where the score stands in the reference set that it is held to; None without one, and
        where there is no answer."""
        standing = self.detection.standing
        return standing.model_copy(update={"unlike": self.unlike}) if standing else None

    @property
    def probability(self) -> float | None:
        """Calibrated, that the picture was generated, in [0, 1]; None where there is no answer."""
        return None if self.detection.band == NO_ANSWER else self.detection.probability

    @property
    def logit(self) -> float | None:
        """The log-odds of `probability`."""
        return None if self.detection.band == NO_ANSWER else self.detection.logit

    @property
    def error_rates(self) -> ErrorRates | None:
        """The detector's error rates; None where that was not measured."""
        return error_rates(self.detection.measured_as)

    @property
    def next_steps(self) -> tuple[str, ...]:
        """The sentences of `steps`."""
        return tuple(step.sentence for step in self.steps)

    @property
    def tied_to_no_place(self) -> float:
        """The share of the score that no map shows, in [0, 1]."""
        from causalclip.maps.attribution import unlocalised_share  # no line on a terminal needs it

        return unlocalised_share(self.detection)

    @property
    def map_cannot_know(self) -> float:
        """The share of the picture that the map cannot know, in [0, 1]."""
        from causalclip.maps.low_information import unknown_share

        return unknown_share(self.detection, self.drawing.low_information)


class NotJudged(ImageError):
    """The pixels of a picture cannot be judged.

    Attributes:
        examination: what its file says, at the stage CLAIMS, with the problem.
        reason: what was raised for the pixels.
    """

    def __init__(self, examination: Examination, reason: ImageError) -> None:
        super().__init__(examination.problem)
        self.examination, self.reason = examination, reason


def mark_boxes(provenance: Provenance, width: int, height: int) -> Boxes:
    """Return where the picture bears visible marks, as shares of its width and height."""
    boxes = (mark.box for mark in provenance.marks if mark.box)
    return tuple(
        (left / width, top / height, right / width, bottom / height)
        for left, top, right, bottom in boxes
    )


def perceptual_hash(pixels: np.ndarray) -> str:
    """Return imagehash.phash of a picture (uint8 RGB [H, W, 3]), 16 hexadecimal digits."""
    import imagehash  # brings SciPy's and PyWavelets' slow imports

    from causalclip.maps.overlay import shrink

    return str(imagehash.phash(Image.fromarray(shrink(pixels))))
