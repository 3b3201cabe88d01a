"""Everything that is found out about one picture, in one schema: what the page, API, MCP, CLI, batch and report show.

Plain numbers and words alone: arrays (patches, masks, channels) are in `detection`, and are stored apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from causalclip.evidence.cautions import Caution, find_cautions
from causalclip.evidence.headline import Headline, Step, conclude_all, next_steps
from causalclip.evidence.precision import EmpiricalPrecision, empirical_precision, error_rates
from causalclip.evidence.regions import NOT_LOOKED_FOR, RegionFinding, find_region
from causalclip.evidence.regions import REGION_DIFFERS as DIFFERS
from causalclip.evidence.stability import Stability, check_stability, not_checked
from causalclip.evidence.words import NO_ANSWER, WHY_NO_ANSWER, score_text
from causalclip.languages import N_, _, current, day, ended
from causalclip.maps.overlay import shrink
from causalclip.maps.reliability import unknowable, unknown_share
from causalclip.maps.words import control, tied_to_no_place
from causalclip.pictures.formats import MAX_BYTES, sniff, too_many_bytes
from causalclip.pictures.loading import LoadedImage, load_image, read_file
from causalclip.pictures.plaintext import clean
from causalclip.provenance.reading import OF_WHOLE, Provenance, read_provenance, with_history

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.detector import Detection, Detector


SCHEMA = 3  # of as_dict: raised when a field changes its meaning or goes; docs/using.md lists them


@dataclass(frozen=True, slots=True, eq=False)
class Examination:
    """One picture, examined.

    name: of the file where it is known, cleaned; empty otherwise. sha256: of the file's bytes. perceptual_hash: 64 bits
    in hexadecimal (imagehash.phash), near for copies of the same picture. file_size: in bytes. notes: what was done to
    the picture on loading. threshold: the score where generated and real pictures part best. stability: None if it was
    not asked for. parts: whether one part differs. examined: when, UTC, ISO 8601. pixels, halved: as LoadedImage's.
    """

    name: str
    sha256: str
    perceptual_hash: str
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
    parts: RegionFinding = NOT_LOOKED_FOR
    halved: bool = False

    @property
    def band(self) -> Band:
        """What the pixels say: the detection's band, or "inconclusive" where that does not survive re-encoding."""
        return self.stability.final_band if self.stability else self.detection.band

    @property
    def headline(self) -> Headline:
        """The answer from all evidence."""
        return conclude_all(self.provenance, self.band, self.stability, self.parts)

    @property
    def meant(self) -> EmpiricalPrecision | None:
        """What the pixels' answer has meant in the benchmark; None where that was not measured: of another detector,
        by an archive's threshold, and of an answer that was lost in re-encoding."""
        if self.band != self.detection.band:
            return None
        return empirical_precision(self.band, self.detection.measured_as)

    @property
    def steps(self) -> tuple[Step, ...]:
        """What a person can do now."""
        return next_steps(self.headline, self.band, self.provenance, self.cautions, self.detection.kind)

    @property
    def quote(self) -> str:
        """A sentence to paste."""
        return quote(self)

    @property
    def unlike(self) -> tuple[str, ...]:
        """Sentences on how the picture differs from the archive that it is held to; none without one."""
        kinds = [caution.kind for caution in self.cautions]
        return unlike(self.detection, self.provenance, format=self.format, kinds=kinds)

    @property
    def archive(self) -> dict[str, Any] | None:
        """Where the score stands among the archive's that it is held to, as plain JSON types; None without one, and
        where there is no answer."""
        standing = self.detection.standing
        return standing.as_dict() | {"unlike": list(self.unlike)} if standing else None

    def as_dict(self, *, place: bool = False) -> dict[str, Any]:
        """Plain JSON types; the place that a file names only where it is asked for."""
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
            "name": self.name,
            "sha256": self.sha256,
            "perceptual_hash": self.perceptual_hash,
            "format": self.format,
            "width": self.width,
            "height": self.height,
            "file_size": self.file_size,
            "notes": list(self.notes),
            "tied_to_no_place": tied_to_no_place(detection),
            "map_cannot_know": unknown_share(detection, unknowable(self.pixels)),
            "map_control": control(),
            "parts": self.parts.as_dict(),
            "views": [{"kind": view.kind, "box": list(view.box)} for view in detection.views],
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
    data: bytes, detector: Detector, *, name: str = "", stability: bool = True, whole: WholePicture | None = None
) -> Examination:
    """Examines a picture's file, all at once; the four steps are for who shows each when it is ready.

    stability: whether to check that the answer survives re-encoding, which takes several times as long.
    whole: of which the picture is a part that was cut out.

    Raises an ImageError for a file that is no picture, is damaged, or is too large or too small.
    """
    provenance = read_claims(data)
    loaded = load_image(data)
    if whole:
        loaded, provenance = whole.seen(loaded), whole.said(provenance)
    provenance, cautions = look_closer(loaded, provenance)
    detection = detector.predict(loaded.pixels)
    return conclude(detector, loaded, provenance, cautions, detection, name=name, stability=stability)


def read_claims(data: bytes) -> Provenance:
    """What the file says about itself, before it is decoded; raises as `examine` does, but not on what is damaged."""
    if len(data) > MAX_BYTES:  # before anything looks into it
        raise too_many_bytes()
    return read_provenance(data, sniff(data))


def look_closer(loaded: LoadedImage, provenance: Provenance) -> tuple[Provenance, tuple[Caution, ...]]:
    """The provenance with what the pixels say of an earlier compression, and the weak spots that are recognised."""
    provenance = with_history(provenance, loaded.pixels)
    return provenance, find_cautions(loaded.pixels, provenance)


def conclude(
    detector: Detector,
    loaded: LoadedImage,
    provenance: Provenance,
    cautions: tuple[Caution, ...],
    detection: Detection,
    *,
    name: str = "",
    stability: bool | Stability = True,
    parts: RegionFinding | None = None,
) -> Examination:
    """Puts the findings together.

    Args:
        stability: what was found of it, or whether that is to be checked here.
        parts: what was found of them; None to look for them here.
    """
    found = stability if isinstance(stability, Stability) else None
    parts = find_region(loaded, provenance, detection) if parts is None else parts
    if stability is True and detection.band != NO_ANSWER:
        found = check_stability(detector, loaded.pixels, detection)
    return Examination(
        name=clean(name, limit=120),
        sha256=loaded.sha256,
        perceptual_hash=perceptual_hash(loaded.pixels),
        format=loaded.format,
        width=loaded.width,
        height=loaded.height,
        file_size=loaded.file_size,
        notes=loaded.notes,
        provenance=provenance,
        detection=detection,
        cautions=cautions,
        stability=found,
        threshold=detector.config.calibration.threshold,
        examined=datetime.now(UTC).replace(microsecond=0).isoformat(),
        pixels=loaded.pixels,
        parts=parts,
        halved=loaded.halved,
    )


def unlike(detection: Detection, provenance: Provenance, *, format: str, kinds: Iterable[str] = ()) -> tuple[str, ...]:
    """Examination.unlike, of its parts."""
    if detection.profile is None:
        return ()
    side = max(detection.width, detection.height)
    return detection.profile.unlike(camera=provenance.camera, format=format, side=side, kinds=kinds)


def perceptual_hash(pixels: np.ndarray) -> str:
    """imagehash.phash of a picture (uint8 RGB [H, W, 3]), 16 hexadecimal digits."""
    import imagehash  # brings SciPy's and PyWavelets' slow imports

    return str(imagehash.phash(Image.fromarray(shrink(pixels))))


if TYPE_CHECKING:
    from causalclip.pictures.formats import Format
    from causalclip.pictures.loading import LoadedImage


@dataclass(frozen=True, slots=True)
class WholePicture:
    """A picture of which a part is judged.

    claims: of its file, with the sign of an earlier compression. format, halved: as LoadedImage's.
    """

    claims: Provenance
    format: Format
    halved: bool

    @classmethod
    def of(cls, loaded: LoadedImage, claims: Provenance) -> WholePicture:
        """claims: as the file makes them, before its pixels are looked at."""
        return cls(with_history(claims, loaded.pixels), loaded.format, loaded.halved)

    def said(self, own: Provenance) -> Provenance:
        """What the whole's file says, and where the part lay in it. own: what the part's file says.

        Without the table of a JPEG, as its grid need not be the part's.
        """
        jpeg = replace(self.claims.jpeg, luminance=()) if self.claims.jpeg else None
        return replace(self.claims, fields=(*own.fields, *self.claims.fields), jpeg=jpeg, of_whole=True)

    def seen(self, loaded: LoadedImage) -> LoadedImage:
        """The part, which was stored and read as the whole was."""
        return replace(loaded, format=self.format, halved=self.halved, notes=(_(OF_WHOLE), *loaded.notes))


CLUE = N_("This is one clue, not a proof.")
UNCHECKED = N_("Whether that answer survives re-encoding was not checked.")
HALVED = N_("The picture was judged at half its size.")
NEITHER = N_("That counts neither for nor against the picture.")


def quote(x: Examination) -> str:
    """Self-contained: it can stand without the page. Where there is no answer, there is no error rate of one."""
    rates = error_rates(x.detection.measured_as)
    known = rates.quoted if rates else _("Its error rates are not measured.")
    examined = _(
        "On {day}, CausalCLIP (detector {revision}) examined the picture file with the SHA-256 hash {hash}.",
        day=day(datetime.fromisoformat(x.examined)),
        revision=x.detection.revision,
        hash=x.sha256,
    )
    if x.provenance.of_whole:
        examined = f"{examined} {_(OF_WHOLE)}"
    if x.band == NO_ANSWER:
        return f"{examined} {_found(x)} {_(NEITHER)}"
    differs = f" {ended(_(DIFFERS))}" if x.parts.found else ""
    return f"{examined} {_found(x)}{differs} {known} {_(CLUE)}"


def _found(x: Examination) -> str:
    word = x.headline.proved if x.headline.source == "signature" else x.headline.claimed
    first = "" if x.headline.source == "pixels" else f"{word} "
    if x.band == NO_ANSWER:
        return f"{first}{_('Its pixels got no answer.')} {_(WHY_NO_ANSWER[x.detection.kind])}"
    said = (
        N_("By its pixels alone, the answer is “{answer}”, with a score of {score} on a scale from 0 to 1.")
        if first
        else N_("The answer by its pixels is “{answer}”, with a score of {score} on a scale from 0 to 1.")
    )
    found = first + _(
        said, answer=_(x.band), score=score_text(x.detection.probability, x.detection.low, x.detection.high)
    )
    less = [HALVED] * x.halved + [UNCHECKED] * (x.stability is None)
    return " ".join([found, *map(_, less)])
