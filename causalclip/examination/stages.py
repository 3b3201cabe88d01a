"""One examination, in stages: what the file says, the verdict, the copies.

`examine` is the only place where the stages follow each other; page, batch, command line and HTTP
take as much of it as they need.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from causalclip.examination.cautions import Caution, find_cautions, with_history
from causalclip.examination.messages import NO_ANSWER
from causalclip.examination.result import Examination, NotJudged, Stage, mark_boxes
from causalclip.examination.stability import copy_source, judge_copies
from causalclip.images.formats import MAX_BYTES, Box, ImageError, sniff, too_many_bytes
from causalclip.images.loading import LoadedImage, load_image, read_file
from causalclip.images.parts import cut_part
from causalclip.marks.hints import find_hints
from causalclip.marks.mark import Field
from causalclip.marks.pixels import find_marks
from causalclip.marks.texts import find_hidden_marks
from causalclip.provenance.reading import read_provenance
from causalclip.provenance.result import Provenance
from causalclip.text import clean

if TYPE_CHECKING:
    from causalclip.detector import Detector


def examine(
    source: bytes | Path,
    detector: Detector,
    *,
    until: Stage = Stage.DONE,
    name: str = "",
    part: tuple[float, float, float, float] | None = None,
) -> Iterator[Examination]:
    """Yield the examination after each stage; the file is read once and decoded once.

    Args:
        source: a picture's file, or its path.
        detector: judges the picture and its copies.
        until: the last stage that is wanted.
        name: that the file has where it comes from; "" where it is not known.
        part: left, top, right, bottom of the part that is judged alone, in pixels of the file.

    Yields:
        CLAIMS, VERDICT, COPY after every few re-encoded copies, and DONE. A picture that gets no
        answer has no copies.

    Raises:
        ImageError: the file is no picture, or has too many bytes.
        NotJudged: an ImageError after CLAIMS, with what the file says: the pixels are damaged, too
            many or too few.
    """
    # 1. What the file says
    data = source if isinstance(source, bytes) else read_file(source)
    examination = Examination(
        stage=Stage.CLAIMS,
        name=clean(name, limit=120),
        sha256=hashlib.sha256(data).hexdigest(),
        format=sniff(data),
        file_size=len(data),
        provenance=read_claims(data),
        examined=datetime.now(UTC).replace(microsecond=0).isoformat(),
    )
    yield examination
    if until == Stage.CLAIMS:
        return

    # 2. The pixels: marks, weak spots, verdict
    provenance = examination.provenance
    try:
        image = load_image(data)
        if part:
            provenance = with_history(provenance, image.pixels)
            image = cut_part(image, part)
    except ImageError as error:
        raise NotJudged(replace(examination, problem=str(error)), error) from error
    provenance, cautions = _look_closer(image, provenance, name)
    detection = replace(detector.predict(image.pixels), picture=None)

    # 3. What is drawn and re-encoded later; the pixels themselves, up to 150 MB, are let go
    from causalclip.maps.overlay import prepare

    drawn = prepare(
        image.pixels, detection, boxes=mark_boxes(provenance, image.width, image.height)
    )
    centre = copy_source(image.pixels)
    examination = replace(
        examination,
        stage=Stage.VERDICT,
        provenance=provenance,
        width=image.width,
        height=image.height,
        notes=image.notes,
        halved=image.halved,
        cautions=cautions,
        drawn=drawn,
        threshold=detector.config.calibration.threshold,
        part=image.part,
    )
    is_centre = centre.size < image.pixels.size
    del image
    yield examination
    if until == Stage.VERDICT:
        return

    # 4. Whether the answer survives re-encoding
    if detection.band != NO_ANSWER:
        for stability in judge_copies(detector, centre, detection, is_centre=is_centre):
            examination = replace(examination, stage=Stage.COPY, stability=stability)
            yield examination
    if until == Stage.DONE:
        yield replace(examination, stage=Stage.DONE)


def examine_file(
    source: bytes | Path | str,
    detector: Detector,
    *,
    until: Stage = Stage.DONE,
    name: str = "",
    part: tuple[float, float, float, float] | None = None,
) -> Examination:
    """Examine a picture's file, or the file at a path, all at once; raises as `examine` does.

    >>> x = examine_file("picture.jpg", Detector.from_pretrained())  # doctest: +SKIP
    >>> x.headline.title, x.band, x.detection.probability  # doctest: +SKIP
    """
    path = Path(source) if isinstance(source, str) else source
    if isinstance(path, Path) and not name:
        name = path.name
    for examination in examine(path, detector, until=until, name=name, part=part):
        last = examination
    return last


def read_claims(data: bytes) -> Provenance:
    """Return what a file says about itself, before it is decoded.

    Raises:
        ImageError: it is no picture, or too large. What is damaged still says what it can.
    """
    if len(data) > MAX_BYTES:  # before anything looks into it
        raise too_many_bytes()
    return read_provenance(data, sniff(data))


def _look_closer(
    image: LoadedImage, provenance: Provenance, name: str
) -> tuple[Provenance, tuple[Caution, ...]]:
    """Return the provenance with what the pixels say of an earlier compression and of generators'
    marks, and what the file's own name hints at; and the weak spots that are recognised."""
    if image.part:
        place = Field("CausalCLIP", "part", image.part.words)
        provenance = replace(provenance, of_whole=True, fields=(place, *provenance.fields))
    provenance = with_history(provenance, image.pixels)
    cautions = find_cautions(image.pixels, provenance)
    inside = next((caution.boxes for caution in cautions if caution.kind == "inside"), ())
    provenance = with_pixel_marks(provenance, image, inside=inside)
    return _with_hints(provenance, image, name), cautions


def with_pixel_marks(
    provenance: Provenance, image: LoadedImage, *, inside: tuple[Box, ...] = ()
) -> Provenance:
    """Add the marks on the pixels, also of pictures inside.

    Their boxes are in pixels of the picture as it was read.
    """
    in_pixels = find_hidden_marks(image.hidden[0], signed=image.hidden[1]) if image.hidden else ()
    visible = find_marks(image.pixels, inside=inside)
    return replace(provenance, marks=(*provenance.marks, *in_pixels, *visible))


def _with_hints(provenance: Provenance, image: LoadedImage, name: str) -> Provenance:
    """Add what the file's own name and the picture's size hint at; nothing where no name is
    known."""
    hints = find_hints(clean(name, limit=120), image.width, image.height) if name else ()
    return replace(provenance, marks=(*provenance.marks, *hints))
