"""Everything that is found out about one picture, in one frozen schema: what the app, API, CLI and report all show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from causalclip.examine.cautions import Caution, find_cautions
from causalclip.examine.meant import Meant, near
from causalclip.examine.stability import Stability, check_stability
from causalclip.maps.overlay import shrink
from causalclip.pictures.formats import MAX_BYTES, ImageTooLarge, sniff
from causalclip.pictures.loading import LoadedImage, load_image
from causalclip.pictures.plaintext import clean
from causalclip.provenance.reading import Provenance, read_provenance, with_history

if TYPE_CHECKING:
    from causalclip.calibration import Band
    from causalclip.detector import Detection, Detector


@dataclass(frozen=True, slots=True, eq=False)
class Examination:
    """One picture, examined.

    name: of the file where it is known, cleaned; empty otherwise. sha256: of the file's bytes. perceptual_hash: 64 bits
    in hexadecimal (imagehash.phash), near for copies of the same picture. file_size: in bytes. notes: what was done to
    the picture on loading. examined: when, UTC, ISO 8601. pixels: uint8 RGB [H, W, 3], as LoadedImage's.
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
    stability: Stability
    examined: str
    pixels: np.ndarray

    @property
    def band(self) -> Band:
        """The verdict: the detection's band, or "inconclusive" where that does not survive delivery."""
        return self.stability.final_band

    @property
    def meant(self) -> Meant | None:
        """What a score near this one has meant in the benchmark; None where that was not measured of this detector."""
        return near(self.detection.probability, revision=self.detection.revision)

    @property
    def tension(self) -> str:
        """A sentence where the file's own claims and the verdict pull apart; empty where they do not."""
        return tension(self.provenance, self.band)

    @property
    def unlike(self) -> tuple[str, ...]:
        """Sentences on how the picture differs from the archive that it is held to; none without one."""
        kinds = [caution.kind for caution in self.cautions]
        return unlike(self.detection, self.provenance, format=self.format, kinds=kinds)

    @property
    def archive(self) -> dict[str, Any] | None:
        """Where the score stands among the archive's that it is held to, as plain JSON types; None without one."""
        standing = self.detection.standing
        return standing.as_dict() | {"unlike": list(self.unlike)} if standing else None

    def as_dict(self, *, place: bool = False) -> dict[str, Any]:
        """Plain JSON types; the place that a file names only where it is asked for."""
        detection = self.detection
        return detection.summary() | {
            "name": self.name,
            "sha256": self.sha256,
            "perceptual_hash": self.perceptual_hash,
            "format": self.format,
            "file_size": self.file_size,
            "notes": list(self.notes),
            "band": self.band,
            "tension": self.tension,
            "band_as_it_is": detection.band,
            "threshold": self.stability.threshold,
            "meant": self.meant.as_dict() if self.meant else None,
            "archive": self.archive,
            "views": [{"kind": view.kind, "box": list(view.box)} for view in detection.views],
            "cautions": [asdict(caution) for caution in self.cautions],
            "stability": self.stability.as_dict(),
            "provenance": self.provenance.as_dict(place=place),
            "examined": self.examined,
        }


def examine(data: bytes, detector: Detector, *, name: str = "") -> Examination:
    """Examines a picture's file, all at once; the four steps are for who shows each when it is ready.

    Raises an ImageError for a file that is no picture, is damaged, or is too large or too small.
    """
    provenance = read_claims(data)
    loaded = load_image(data)
    provenance, cautions = look_closer(loaded, provenance)
    return conclude(detector, loaded, provenance, cautions, detector.predict(loaded.pixels), name=name)


def read_claims(data: bytes) -> Provenance:
    """What the file says about itself, before it is decoded; raises as `examine` does, but not on what is damaged."""
    if len(data) > MAX_BYTES:  # before anything looks into it
        raise ImageTooLarge(f"The file has more than {MAX_BYTES >> 20} MB. Save it smaller, as a JPEG, and try again.")
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
) -> Examination:
    """Checks whether the verdict survives delivery, and puts the findings together."""
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
        stability=check_stability(detector, loaded.pixels, detection),
        examined=datetime.now(UTC).replace(microsecond=0).isoformat(),
        pixels=loaded.pixels,
    )


def unlike(detection: Detection, provenance: Provenance, *, format: str, kinds: Iterable[str] = ()) -> tuple[str, ...]:
    """Examination.unlike, of its parts."""
    if detection.profile is None:
        return ()
    side = max(detection.width, detection.height)
    return detection.profile.unlike(camera=provenance.camera, format=format, side=side, kinds=kinds)


def tension(provenance: Provenance, band: Band) -> str:
    """What to say where the file's claims and the verdict pull apart; empty where they do not."""
    generated = provenance.marks or any("generated" in t.kind for t in provenance.all_source_types)
    captured = any(t.kind == "captured" for t in provenance.all_source_types)
    if generated and band != "likely generated":
        return (
            "The file itself speaks of an image generator, although the traces do not. "
            "Do not take it for a photograph on the strength of this score."
        )
    if captured and not generated and band == "likely generated":
        return "The file says that it was captured by a camera; the traces say otherwise. The two do not fit together."
    return ""


def perceptual_hash(pixels: np.ndarray) -> str:
    """imagehash.phash of a picture (uint8 RGB [H, W, 3]), 16 hexadecimal digits."""
    import imagehash  # brings SciPy's and PyWavelets' slow imports

    return str(imagehash.phash(Image.fromarray(shrink(pixels))))
