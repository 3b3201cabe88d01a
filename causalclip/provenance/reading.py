"""Read what a file says about where it comes from: Content Credentials, metadata, generators'
marks, how it was compressed.

None of it is an input of the score, and nothing here looks at what the picture shows.
"""

import importlib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL.JpegImagePlugin import get_sampling

from causalclip.images import sandbox
from causalclip.images.formats import Format
from causalclip.images.jpeg import nearest_quality
from causalclip.languages import N_, _
from causalclip.marks.mark import Mark
from causalclip.marks.samsung import edited_with_galaxy_ai
from causalclip.marks.texts import find_text_marks
from causalclip.provenance.claims import find_claims
from causalclip.provenance.containers import open_head, read_blocks
from causalclip.provenance.credentials import read_credentials, without_claims
from causalclip.provenance.metadata import read_metadata
from causalclip.provenance.result import UNREAD, JpegTables, Provenance
from causalclip.provenance.trust import trust_lists

PATIENCE = 10.0  # seconds until the claims are given up: who asks wants the verdict on the pixels
CHROMA = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}  # by Pillow's numbers
# files that are read at once, as each may take a sandbox's memory
_PLACES = threading.BoundedSemaphore(2)


def read_provenance(data: bytes, name: Format) -> Provenance:
    """Return what the bytes of a file of format `name` claim, without decoding the picture.

    It takes milliseconds and never raises on the file's account. A sandbox reads them; what it had
    read when it came to its limits stands, with a note.
    """
    start = time.perf_counter()
    provenance = Provenance(without_claims("unreadable"))
    try:
        with _PLACES, sandbox.stream(read_stepwise, data, name, patience=PATIENCE) as steps:
            for step in steps:
                provenance = step
    except sandbox.TooCostly:
        provenance = replace(provenance, notes=(*provenance.notes, _(UNREAD)))
    return replace(provenance, seconds=time.perf_counter() - start)


def prepare() -> None:
    """Read what `read_stepwise` needs from files: C2PA's library and the trust lists."""
    importlib.import_module("c2pa")
    trust_lists()


def read_stepwise(data: bytes, name: Format) -> Iterator[Provenance]:
    """Yield what is known after each reader, the costliest last."""
    # 1. How a JPEG was saved
    provenance = Provenance(
        without_claims("unreadable"),
        jpeg=_read_tables(data) if name == "JPEG" else None,
    )
    yield provenance

    # 2. Metadata
    metadata = read_metadata(read_blocks(data, name))
    marks = find_text_marks(metadata.texts)
    if edited_with_galaxy_ai(data):
        marks = (*marks, Mark("Samsung Galaxy AI", "PEg_Info", edited=True))
    provenance = replace(
        provenance,
        source_types=metadata.source_types,
        marks=marks,
        fields=metadata.fields,
        place=metadata.place,
        notes=metadata.notes,
    )
    yield provenance

    # 3. Content Credentials
    credentials = read_credentials(data, name)
    claims = find_claims(credentials, metadata.source_types)
    yield replace(provenance, credentials=credentials, marks=(*claims, *marks))


def _read_tables(data: bytes) -> JpegTables | None:
    """Return how a JPEG file was saved last; None if it has no tables that can be read."""
    head = open_head(data)
    if head is None or 0 not in head.quantization:
        return None
    luminance = np.array(head.quantization[0]).reshape(8, 8)
    quality, exact = nearest_quality(luminance)
    chroma = N_("grey") if head.layers == 1 else CHROMA.get(get_sampling(head), N_("other"))
    return JpegTables(quality, exact, chroma, "progressive" in head.info, head.size)
