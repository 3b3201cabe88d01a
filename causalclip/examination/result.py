"""Everything that is found out about one picture, in one schema: what the page, API, MCP, CLI,
batch and report show.

Plain numbers and words alone: arrays (patches, masks, channels) are in `detection`, and are stored
apart.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from causalclip.examination.cautions import Caution, find_cautions, with_history
from causalclip.examination.headline import Headline, Step, make_headline, next_steps
from causalclip.examination.messages import (
    JUDGED_BY,
    MEANING,
    NO_ANSWER,
    UNSTABLE,
    WHY_NO_ANSWER,
    EmpiricalPrecision,
    empirical_precision,
    error_rates,
    score_text,
)
from causalclip.examination.stability import Stability, check_stability, not_checked
from causalclip.images.formats import MAX_BYTES, Box, clean, sniff, too_many_bytes
from causalclip.images.loading import LoadedImage, load_image, read_file
from causalclip.languages import N_, _, any_of, current, day
from causalclip.marks.pixels import find_marks
from causalclip.marks.texts import find_hidden_marks, find_hints
from causalclip.provenance.reading import OF_WHOLE, Provenance, read_provenance

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.detector import Detection, Detector
    from causalclip.images.formats import Format
    from causalclip.maps.overlay import Boxes

FILE = "name", "sha256", "perceptual_hash", "format", "width", "height", "file_size"
SCHEMA = 4  # of as_dict: raised when a field changes its meaning or goes; docs/using.md lists them
HALVED = N_("The picture was judged at half its size.")


@dataclass(frozen=True, eq=False)
class Examination:
    """One picture, examined.

    name: of the file where it is known, cleaned; empty otherwise. sha256: of the file's bytes.
    file_size: in bytes.
    notes: what was done to the picture on loading. threshold: the score where generated and real
    pictures part best.
    stability: None if it was not asked for. examined: when, UTC, ISO 8601. pixels, halved: as
    LoadedImage's.
    """

    name: str
    sha256: str
    format: str
    width: int
    height: int
    file_size: int
    notes: tuple[str, ...]
    provenance: Provenance
    detection: Detection
    cautions: tuple[Caution, ...]
    stability: Stability | None
    threshold: float
    examined: str
    pixels: np.ndarray
    halved: bool = False

    @cached_property
    def perceptual_hash(self) -> str:
        """64 bits in hexadecimal (imagehash.phash), near for copies of the same picture."""
        return perceptual_hash(self.pixels)

    @property
    def band(self) -> Band:
        """What the pixels say: the detection's band, or "inconclusive" where that does not survive
        re-encoding."""
        return self.stability.final_band if self.stability else self.detection.band

    @property
    def overturned(self) -> bool:
        """Whether the pixels' answer is lost in re-encoding."""
        return self.band != self.detection.band

    @property
    def meaning(self) -> str:
        """What the pixels' answer means and does not mean, or why there is none, for a person."""
        if self.band == NO_ANSWER:
            return _(WHY_NO_ANSWER[self.detection.kind])
        if self.stability and self.overturned:
            return _(UNSTABLE, copies=any_of(list(map(_, self.stability.flips)), style="standard"))
        return _(MEANING[self.band])

    @property
    def headline(self) -> Headline:
        """The answer from all evidence."""
        return make_headline(self.provenance, self.band, self.stability)

    @property
    def meant(self) -> EmpiricalPrecision | None:
        """What the pixels' answer has meant in the benchmark; None where that was not measured: of
        another detector, by an archive's threshold, and of an answer that was lost in
        re-encoding."""
        return (
            None if self.overturned else empirical_precision(self.band, self.detection.measured_as)
        )

    @property
    def judged_by(self) -> str:
        """Which head judged, for a person."""
        return _(JUDGED_BY[self.detection.head])

    @property
    def mark_boxes(self) -> Boxes:
        """Where the picture bears visible marks, as shares of its width and height."""
        return mark_boxes(self.provenance, self.width, self.height)

    @property
    def steps(self) -> tuple[Step, ...]:
        """What a person can do now."""
        return next_steps(
            self.headline, self.band, self.provenance, self.cautions, self.detection.kind
        )

    @property
    def quote(self) -> str:
        """A sentence or two that can stand without the page, and in a second line which file it is
        about."""
        rates, headline, detection = (
            error_rates(self.detection.measured_as),
            self.headline,
            self.detection,
        )
        values = {
            "day": day(datetime.fromisoformat(self.examined)),
            "revision": detection.revision,
            "answer": headline.answer,
        }
        if self.band == NO_ANSWER or headline.source != "pixels":
            said = _("CausalCLIP (detector {revision}), {day}: “{answer}”.", **values)
        else:
            values["score"] = score_text(detection.probability, detection.low, detection.high)
            said = _(
                "CausalCLIP (detector {revision}), {day}: “{answer}”, with a score of {score} of "
                "1.",
                **values,
            )
        if self.band == NO_ANSWER:
            known = _("That counts neither for nor against the picture.")
        else:
            known = rates.quoted if rates else _("Its error rates are not measured.")
        part = _(OF_WHOLE) if self.provenance.of_whole else ""
        return f"{' '.join(filter(None, (said, part, known, _('One clue, not a proof.'))))}\nSHA-256: {self.sha256}"  # noqa: E501

    @property
    def unlike(self) -> tuple[str, ...]:
        """Sentences on how the picture differs from the archive that it is held to; none without
        one."""
        if self.detection.profile is None:
            return ()
        side, kinds = (
            max(self.detection.width, self.detection.height),
            [caution.kind for caution in self.cautions],
        )
        return self.detection.profile.unlike(
            camera=self.provenance.camera, format=self.format, side=side, kinds=kinds
        )

    @property
    def archive(self) -> dict[str, Any] | None:
        """Where the score stands among the archive's that it is held to, as plain JSON types; None
        without one, and where there is no answer."""
        standing = self.detection.standing
        return standing.as_dict() | {"unlike": list(self.unlike)} if standing else None

    def as_dict(self, *, place: bool = False) -> dict[str, Any]:
        """Plain JSON types; the place that a file names only where it is asked for."""
        from causalclip.maps.attribution import (
            control,
            tied_to_no_place,  # maps are of no use to a line on a terminal
            unknowable,
            unknown_share,
        )

        detection = self.detection
        rates, unanswered = error_rates(detection.measured_as), detection.band == NO_ANSWER
        return {
            "schema": SCHEMA,
            "language": current(),
            "answer": self.headline.answer,
            "headline": self.headline.as_dict(),
            "band": self.band,
            "band_as_it_is": detection.band,
            "kind": detection.kind,
            "probability": None if unanswered else detection.probability,
            "logit": None if unanswered else detection.logit,
            "low": detection.low,
            "high": detection.high,
            "threshold": self.threshold,
            "meant": self.meant.as_dict() if self.meant else None,
            "error_rates": rates.as_dict() if rates else None,
            "archive": self.archive,
            "stability": self.stability.as_dict() if self.stability else not_checked(),
            "cautions": [asdict(caution) for caution in self.cautions],
            "next_steps": [step.sentence for step in self.steps],
            "quote": self.quote,
            "provenance": self.provenance.as_dict(place=place),
            **{name: getattr(self, name) for name in FILE},
            "notes": list(self.notes),
            "tied_to_no_place": tied_to_no_place(detection),
            "map_cannot_know": unknown_share(detection, unknowable(self.pixels)),
            "map_control": control(),
            "views": [{"kind": view.kind, "box": list(view.box)} for view in detection.views],
            "head": detection.head,
            "model": detection.model,
            "revision": detection.revision,
            "runtime": detection.runtime,
            "seconds": detection.seconds,
            "examined": self.examined,
        }


def examine_file(path: str | Path, detector: Detector, *, stability: bool = True) -> Examination:
    """Examines a picture's file by its path; raises as `examine` does."""
    return examine(read_file(path), detector, name=Path(path).name, stability=stability)


def examine(
    data: bytes,
    detector: Detector,
    *,
    name: str = "",
    stability: bool = True,
    whole: WholePicture | None = None,
) -> Examination:
    """Examines a picture's file, all at once; the four steps are for who shows each when it is
    ready.

    stability: whether to check that the answer survives re-encoding, which takes several times as
    long.
    whole: of which the picture is a part that was cut out.

    Raises an ImageError for a file that is no picture, is damaged, or is too large or too small.
    """
    provenance = read_claims(data)
    loaded = load_image(data)
    if whole:
        loaded, provenance = whole.image_of(loaded), whole.provenance_of(provenance)
    provenance, cautions = look_closer(loaded, provenance)
    detection = detector.predict(loaded.pixels)
    return assemble_examination(
        detector, loaded, provenance, cautions, detection, name=name, stability=stability
    )


def read_claims(data: bytes) -> Provenance:
    """What the file says about itself, before it is decoded; raises as `examine` does, but not on
    what is damaged."""
    if len(data) > MAX_BYTES:  # before anything looks into it
        raise too_many_bytes()
    return read_provenance(data, sniff(data))


def look_closer(
    loaded: LoadedImage, provenance: Provenance
) -> tuple[Provenance, tuple[Caution, ...]]:
    """The provenance with what the pixels say of an earlier compression and of generators' marks,
    and the weak spots that are recognised."""
    provenance = with_history(provenance, loaded.pixels)
    cautions = find_cautions(loaded.pixels, provenance)
    inside = next((caution.boxes for caution in cautions if caution.kind == "inside"), ())
    return with_pixel_marks(provenance, loaded, inside=inside), cautions


def with_pixel_marks(
    provenance: Provenance, loaded: LoadedImage, *, inside: tuple[Box, ...] = ()
) -> Provenance:
    """Adds the marks on the pixels, also of pictures inside; their boxes are in pixels of the
    picture as it was read."""
    hidden = find_hidden_marks(loaded.hidden[0], signed=loaded.hidden[1]) if loaded.hidden else ()
    return replace(
        provenance, marks=(*provenance.marks, *hidden, *find_marks(loaded.pixels, inside=inside))
    )


def with_hints(provenance: Provenance, loaded: LoadedImage, name: str) -> Provenance:
    """Adds what the file's own name and the picture's size hint at; nothing where no name is
    known."""
    hints = find_hints(clean(name, limit=120), loaded.width, loaded.height) if name else ()
    return replace(provenance, marks=(*provenance.marks, *hints))


def mark_boxes(provenance: Provenance, width: int, height: int) -> Boxes:
    """Where the picture bears visible marks, as shares of its width and height."""
    sides = width, height, width, height
    boxes = (mark.box for mark in provenance.marks if mark.box)
    return tuple(tuple(at / side for at, side in zip(box, sides, strict=True)) for box in boxes)  # type: ignore[misc]


def assemble_examination(
    detector: Detector,
    loaded: LoadedImage,
    provenance: Provenance,
    cautions: tuple[Caution, ...],
    detection: Detection,
    *,
    name: str = "",
    stability: bool | Stability = True,
) -> Examination:
    """Puts the findings together.

    Args:
        name: that the file has where it comes from; "" where it is not known.
        stability: what was found of it, or whether that is to be checked here.
    """
    found = stability if isinstance(stability, Stability) else None
    if stability is True and detection.band != NO_ANSWER:
        found = check_stability(detector, loaded.pixels, detection)
    return Examination(
        name=clean(name, limit=120),
        sha256=loaded.sha256,
        format=loaded.format,
        width=loaded.width,
        height=loaded.height,
        file_size=loaded.file_size,
        notes=loaded.notes,
        provenance=with_hints(provenance, loaded, name),
        detection=detection,
        cautions=cautions,
        stability=found,
        threshold=detector.config.calibration.threshold,
        examined=datetime.now(UTC).replace(microsecond=0).isoformat(),
        pixels=loaded.pixels,
        halved=loaded.halved,
    )


def perceptual_hash(pixels: np.ndarray) -> str:
    """imagehash.phash of a picture (uint8 RGB [H, W, 3]), 16 hexadecimal digits."""
    import imagehash  # brings SciPy's and PyWavelets' slow imports

    from causalclip.maps.overlay import shrink

    return str(imagehash.phash(Image.fromarray(shrink(pixels))))


@dataclass(frozen=True, slots=True)
class WholePicture:
    """A picture of which a part is judged: the part's own file says nothing of how that was stored.

    claims: of its file, with the sign of an earlier compression. format, halved: as LoadedImage's.
    """

    claims: Provenance
    format: Format
    halved: bool

    @classmethod
    def of(cls, loaded: LoadedImage, claims: Provenance) -> WholePicture:
        """claims: as the file makes them, before its pixels are looked at."""
        return cls(with_history(claims, loaded.pixels), loaded.format, loaded.halved)

    def provenance_of(self, own: Provenance) -> Provenance:
        """What the whole's file says, and where the part lay in it. own: what the part's file
        says."""
        return replace(self.claims, fields=(*own.fields, *self.claims.fields), of_whole=True)

    def image_of(self, loaded: LoadedImage) -> LoadedImage:
        """The part, which was stored and read as the whole was."""
        return replace(
            loaded, format=self.format, halved=self.halved, notes=(_(OF_WHOLE), *loaded.notes)
        )
