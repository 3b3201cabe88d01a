"""What a file says about where it comes from: Content Credentials, metadata, generators' marks, how
it was compressed.

All of it is a claim that can be forged or stripped. None of it is an input of the score, and
nothing here looks at what the picture shows.
"""

import importlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL.JpegImagePlugin import get_sampling

from causalclip.images import sandbox
from causalclip.images.formats import Format
from causalclip.images.jpeg import nearest_quality
from causalclip.languages import N_, _, paragraph, quoted
from causalclip.marks.mark import UNNAMED, Field, Mark
from causalclip.marks.samsung import edited_with_galaxy_ai
from causalclip.marks.texts import find_text_marks
from causalclip.provenance.claims import find_claims
from causalclip.provenance.containers import open_head, read_blocks
from causalclip.provenance.credentials import (
    Credentials,
    SourceType,
    read_credentials,
    trust_list,
    without_claims,
)
from causalclip.provenance.metadata import read_metadata
from causalclip.text import shortened

CAVEAT = N_(
    "These are claims that are stored in the file. Anybody can remove them, and anybody can write "
    "or copy most. They are not part of the score."
)
MARK_CAVEAT = N_(
    "Anybody can stamp a mark on a picture, cut it off or paint it over. What is stored in the "
    "file, anybody can remove, and most of it anybody can write or copy. None of that is part of "
    "the score."
)
NOTHING = N_(
    "The file says nothing about how the picture was made. That is usual: most sites strip such "
    "information."
)
CHANGED = N_("File or credentials were changed after signing.")
OF_WHOLE = N_(
    "This is a part that was cut out of a picture. What is said of the file is said of the whole "
    "picture's file."
)
UNREAD = N_("This file's metadata could not be read within the limits.")
LONGEST_WORDS = 80  # characters of a mark, where it is one of several in a line
PATIENCE = 10.0  # seconds until the claims are given up: who asks wants the verdict on the pixels
# files that are read at once, as each may take a sandbox's memory
_PLACES = threading.BoundedSemaphore(2)


@dataclass(frozen=True, slots=True)
class JpegTables:
    """quality: 1 to 100, of the nearest standard luminance table. exact: it is that table, as most
    software writes it; cameras and some programs have tables of their own. chroma: "4:4:4",
    "4:2:2", "4:2:0", "grey" or "other". size: columns and rows of the file's pixels, as they lie
    there."""

    quality: int
    exact: bool
    chroma: str
    progressive: bool
    size: tuple[int, int] = (0, 0)

    def words(self) -> str:
        """One sentence."""
        said = (
            N_("Last saved as JPEG of quality {quality} of 100 (chroma {chroma}).")
            if self.exact
            else N_(
                "Last saved as JPEG of quality about {quality} of 100, with tables of its own, as "
                "cameras and some programs have (chroma {chroma})."
            )
        )
        return _(said, quality=self.quality, chroma=_(self.chroma))


@dataclass(frozen=True, slots=True)
class Provenance:
    """The file's claims; all texts in it come from the file, cleaned, not escaped.

    source_types: how it came about, as XMP and the credentials say. marks: of image generators.
    fields: the metadata in short. place: latitude and longitude in degrees, shown only on demand.
    jpeg: how a JPEG was saved last.
    earlier_quality: of a JPEG compression before, found in the pixels; None if none was found or it
    was not looked for.
    of_whole: whether these are claims of a file that holds more than the picture, which is a part
    cut out of it.
    """

    credentials: Credentials
    source_types: tuple[SourceType, ...] = ()
    marks: tuple[Mark, ...] = ()
    fields: tuple[Field, ...] = ()
    place: tuple[float, float] | None = None
    jpeg: JpegTables | None = None
    earlier_quality: int | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    of_whole: bool = False

    @property
    def all_source_types(self) -> tuple[SourceType, ...]:
        """Those of the credentials, unless these were changed after signing, then XMP's."""
        held = () if self.credentials.state == "invalid" else self.credentials.source_types
        return held + self.source_types

    @property
    def silent(self) -> bool:
        """Whether the file says nothing about how the picture was made."""
        return _summary(self) is None

    @property
    def claimed_marks(self) -> tuple[Mark, ...]:
        """The marks that say something by themselves and that anybody can make, the strongest
        first."""
        said = (mark for mark in self.marks if mark.certainty not in ("signed", "hinted"))
        return tuple(sorted(said, key=lambda mark: mark.rank))

    @property
    def proof(self) -> Mark | None:
        """The generator's own signature over the pixels."""
        return next((mark for mark in self.marks if mark.kind == "signature"), None)

    @property
    def mark_names(self) -> tuple[str, ...]:
        """Each mark's generator and kind, such as "Gemini (visible mark)", in the reader's
        language."""
        return tuple(dict.fromkeys(mark.title for mark in self.marks))

    @property
    def mark_words(self) -> tuple[str, ...]:
        """The same, with the words that were read of those that are more than a hint."""
        words: dict[str, str] = {}
        for mark in self.marks:
            name = mark.title
            read = "" if mark.certainty == "hinted" else mark.excerpt
            words[name] = words.get(name) or read
        return tuple(
            f"{name}: {quoted(shortened(text, LONGEST_WORDS))}" if text else name
            for name, text in words.items()
        )

    @property
    def camera(self) -> str:
        """The camera that the file names; "" for none."""
        return next((field.value for field in self.fields if field.name == "Camera"), "")

    @property
    def day(self) -> str:
        """The day on which the file says that it was taken, as YYYYMMDD; "" for none."""
        taken = (
            re.sub(r"\D", "", field.value)[:8] for field in self.fields if field.name == "Taken"
        )
        return next((digits for digits in taken if len(digits) == 8 and digits > "18"), "")

    @property
    def caveat(self) -> str:
        """What the marks and the file's own words are worth."""
        on_pixels = any(mark.on_pixels for mark in self.claimed_marks)
        return _(MARK_CAVEAT if on_pixels else CAVEAT)

    @property
    def summary(self) -> str:
        """The weightiest claim, in one sentence."""
        return _summary(self) or _(UNREAD if _(UNREAD) in self.notes else NOTHING)

    @property
    def has_place(self) -> bool:
        """Whether the file names a place."""
        return self.place is not None


def read_provenance(data: bytes, name: Format) -> Provenance:
    """What the bytes of a file of format `name` claim, without decoding the picture: milliseconds,
    and never raises on the file's account. A sandbox reads them; what it had read when it came to
    its limits stands, with a note."""
    started = time.perf_counter()
    found = Provenance(without_claims("unreadable"))
    try:
        with _PLACES, sandbox.ask(read_stepwise, data, name, patience=PATIENCE) as steps:
            for step in steps:
                found = step
    except sandbox.TooCostly:
        found = replace(found, notes=(*found.notes, _(UNREAD)))
    return replace(found, seconds=time.perf_counter() - started)


def prepare() -> None:
    """Read what `read_stepwise` needs from files: C2PA's library and its trust list."""
    importlib.import_module("c2pa")
    trust_list()


def read_stepwise(data: bytes, name: Format) -> Iterator[Provenance]:
    """What is known after each reader, the costliest last."""
    found = Provenance(
        without_claims("unreadable"),
        jpeg=read_tables(data) if name == "JPEG" else None,
    )
    yield found
    metadata = read_metadata(read_blocks(data, name))
    behind = (
        (Mark("Samsung Galaxy AI", "PEg_Info", edited=True),) if edited_with_galaxy_ai(data) else ()
    )
    found = replace(
        found,
        source_types=metadata.source_types,
        marks=(*find_text_marks(metadata.texts), *behind),
        fields=metadata.fields,
        place=metadata.place,
        notes=(*metadata.notes, *found.notes),
    )
    yield found
    credentials = read_credentials(data, name)
    claims = find_claims(credentials, metadata.source_types)
    yield replace(found, credentials=credentials, marks=(*claims, *found.marks))


def read_tables(data: bytes) -> JpegTables | None:
    """From a JPEG file; None if it has no tables that can be read."""
    head = open_head(data)
    if head is None or 0 not in head.quantization:
        return None
    luminance = np.array(head.quantization[0]).reshape(8, 8)
    quality, exact = nearest_quality(luminance)
    known = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
    chroma = N_("grey") if head.layers == 1 else known.get(get_sampling(head), N_("other"))
    return JpegTables(quality, exact, chroma, "progressive" in head.info, head.size)


_SAID_OF = {
    "proof": N_(
        "{generator}, an image generator, signed exactly these pixels, and its signature holds."
    ),
    "may be": N_("The file is labelled as one that may have been generated: {generator}."),
    "is suspected": N_(
        "The file is labelled as one that a platform suspects to have been generated: {generator}."
    ),
    "not validated": N_(
        "Content Credentials in the file, which are not validated, say that it was generated: "
        "{generator}."
    ),
    "part not validated": N_(
        "Content Credentials in the file, which are not validated, say that a part of it was "
        "generated: {generator}."
    ),
    "in part": N_("The file says that a part of it was generated: {generator}."),
    "generated": N_("The file carries a mark of an image generator: {generator}."),
    "unnamed": N_("The file carries a mark of an image generator, which it does not name."),
    "marked": N_("The picture bears the mark of a generator: {generator}. Anybody can stamp it."),
    "marked edited": N_(
        "The picture bears the mark of an editor with generative AI: {generator}. Anybody can "
        "stamp it."
    ),
    "edited": N_("The file says that it was edited with generative AI: {generator}."),
    "hint": N_("The file hints at {generator}, which proves nothing alone."),
}


def _summary(p: Provenance) -> str | None:
    """None where the file says nothing of how the picture was made."""
    types = p.all_source_types
    generated = [t for t in types if t.kind == "generated"]
    part = [t for t in types if t.kind == "part generated"]
    made = [t for t in types if t.kind in ("copied", "made") and not t.where.endswith("part")]
    told = sorted([t for t in types if t.kind == "captured"] + made, key=_rank)
    if p.proof:
        return _(_SAID_OF["proof"], generator=_(p.proof.generator))
    if p.claimed_marks and p.claimed_marks[0].certainty == "not validated":
        return claim_sentence(p)
    if p.credentials.state == "invalid":
        return _(
            "Its Content Credentials do not hold: file or credentials were changed after signing."
        )
    if generated and not generated[0].where.endswith("part"):
        return _("The file itself says that the picture was {made}.", made=_(generated[0].words))
    if generated or part:
        words = _((generated + part)[0].words)
        return _("The file itself says that the picture, or a part of it, was {made}.", made=words)
    for mark in p.claimed_marks:
        return mark_sentence(mark)
    if told and p.credentials.state == "trusted" and told[0].where != "XMP":
        return _(
            "A signer on the trust list says that the picture was {made}.", made=_(told[0].words)
        )
    if told:
        return _(
            "The file says that the picture was {made}; anybody can write that.",
            made=_(told[0].words),
        )
    if p.credentials.state == "unvalidated":
        return _("Its Content Credentials could not be validated, so nothing proves what they say.")
    for mark in p.marks:  # only hints are left
        return _(_SAID_OF["hint"], generator=_(mark.generator))
    if any(f.name in ("Camera", "Lens") for f in p.fields):
        return _(
            "The file names a camera, and says nothing of an image generator. Anybody can write or "
            "copy that."
        )
    return None


def claim_sentence(p: Provenance) -> str:
    """What the strongest of the claimed marks says, and of credentials that do not hold, why."""
    mark = p.claimed_marks[0]
    changed = mark.kind == "credentials" and p.credentials.state == "invalid"
    return paragraph(mark_sentence(mark), _(CHANGED) if changed else "")


def mark_sentence(mark: Mark) -> str:
    """What a mark that is more than a hint says, and whose it is where that is known."""
    if mark.certainty == "not validated":
        said = _SAID_OF["not validated" if mark.says == "is" else "part not validated"]
    elif mark.says != "is":
        said = _SAID_OF[mark.says]
    elif mark.on_pixels:
        said = _SAID_OF["marked edited" if mark.edited else "marked"]
    elif mark.edited:
        said = _SAID_OF["edited"]
    else:
        said = _SAID_OF["generated" if mark.generator != UNNAMED else "unnamed"]
    return _(said, generator=_(mark.generator))


def _rank(told: SourceType) -> tuple[bool, bool, bool]:
    """What is said of the picture comes before what is said of a part, the credentials before XMP,
    a capture first."""
    return told.where.endswith("part"), told.where == "XMP", told.kind != "captured"
