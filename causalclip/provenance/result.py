"""A file's own claims about its origin, and their sentences for a person.

All of it is a claim that can be forged or stripped.
"""

import re
from dataclasses import dataclass

from causalclip.languages import N_, _, paragraph, quoted
from causalclip.marks.mark import UNNAMED, Field, Mark
from causalclip.provenance.credentials import Credentials
from causalclip.provenance.source_types import SourceType
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
OF_WHOLE = N_(
    "This is a part that was cut out of a picture. What is said of the file is said of the whole "
    "picture's file."
)
UNREAD = N_("This file's metadata could not be read within the limits.")
LONGEST_WORDS = 80  # characters of a mark, where it is one of several in a line
# what a mark, or the generator's own signature, says
SENTENCES = {
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
    "marked": N_("The picture bears the mark of a generator: {generator}."),
    "marked edited": N_("The picture bears the mark of an editor with generative AI: {generator}."),
    "edited": N_("The file says that it was edited with generative AI: {generator}."),
    "hint": N_("The file hints at {generator}, which proves nothing alone."),
}


@dataclass(frozen=True, slots=True)
class JpegTables:
    """Settings with which a JPEG was saved last.

    Attributes:
        quality: 1 to 100, of the nearest standard luminance table.
        exact: whether it is that table, as most software writes it; cameras and some programs have
            tables of their own.
        chroma: "4:4:4", "4:2:2", "4:2:0", "grey" or "other".
        progressive: whether it was saved to be shown in passes.
        size: columns and rows of the file's pixels, as they lie there.
    """

    quality: int
    exact: bool
    chroma: str
    progressive: bool
    size: tuple[int, int] = (0, 0)

    @property
    def sentence(self) -> str:
        """Quality and chroma in words."""
        if self.exact:
            form = N_("Last saved as JPEG of quality {quality} of 100 (chroma {chroma}).")
        else:
            form = N_(
                "Last saved as JPEG of quality about {quality} of 100, with tables of its own, as "
                "cameras and some programs have (chroma {chroma})."
            )
        return _(form, quality=self.quality, chroma=_(self.chroma))


@dataclass(frozen=True, slots=True)
class Provenance:
    """The file's claims; all texts in it come from the file, cleaned, not escaped.

    Attributes:
        credentials: its Content Credentials.
        source_types: how the picture came about, as XMP says.
        marks: of image generators.
        fields: the metadata in short.
        place: latitude and longitude in degrees, shown only on demand.
        jpeg: how a JPEG was saved last.
        earlier_quality: of a JPEG compression before, seen in the pixels; None if there is none or
            it was not looked for.
        notes: sentences on what was not read.
        seconds: that the reading took.
        of_whole: whether these are claims of a file that holds more than the picture, which is a
            part cut out of it.
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
        if self.credentials.state == "invalid":
            return self.source_types
        return self.credentials.source_types + self.source_types

    @property
    def claimed_marks(self) -> tuple[Mark, ...]:
        """The marks that say something by themselves and that anybody can make, the strongest
        first."""
        marks = (mark for mark in self.marks if mark.certainty not in ("signed", "hinted"))
        return tuple(sorted(marks, key=lambda mark: mark.rank))

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
        """Each mark's generator and kind, with the words that were read where it is more than a
        hint."""
        excerpts: dict[str, str] = {}
        for mark in self.marks:
            excerpt = "" if mark.certainty == "hinted" else mark.excerpt
            excerpts[mark.title] = excerpts.get(mark.title) or excerpt
        return tuple(
            f"{name}: {quoted(shortened(excerpt, LONGEST_WORDS))}" if excerpt else name
            for name, excerpt in excerpts.items()
        )

    @property
    def camera(self) -> str:
        """The camera that the file names; "" for none."""
        return next((field.value for field in self.fields if field.name == "Camera"), "")

    @property
    def day(self) -> str:
        """The day on which the file says that it was taken, as YYYYMMDD; "" for none."""
        dates = (
            re.sub(r"\D", "", field.value)[:8] for field in self.fields if field.name == "Taken"
        )
        return next((digits for digits in dates if len(digits) == 8 and digits > "18"), "")

    @property
    def has_place(self) -> bool:
        """Return whether the file names a place."""
        return self.place is not None

    @property
    def caveat(self) -> str:
        """The worth of marks and of the file's own words."""
        on_pixels = any(mark.on_pixels for mark in self.claimed_marks)
        return _(MARK_CAVEAT if on_pixels else CAVEAT)

    @property
    def silent(self) -> bool:
        """Return whether the file says nothing about how the picture was made."""
        return self._weightiest_claim() is None

    @property
    def summary(self) -> str:
        """The weightiest claim, in one sentence."""
        return self._weightiest_claim() or _(UNREAD if _(UNREAD) in self.notes else NOTHING)

    @property
    def claim_sentence(self) -> str:
        """Return what the strongest of the claimed marks says, and of credentials that do not hold,
        why."""
        mark = self.claimed_marks[0]
        is_broken = mark.kind == "credentials" and self.credentials.state == "invalid"
        return paragraph(_mark_sentence(mark), self.credentials.reasons if is_broken else "")

    def _weightiest_claim(self) -> str | None:
        """Return a sentence on how the picture was made; None where the file says nothing of
        it."""
        # 1. A generator's signature, or credentials that cannot be relied on
        if self.proof:
            return _(SENTENCES["proof"], generator=_(self.proof.generator))
        marks = self.claimed_marks
        if marks and marks[0].certainty == "not validated":
            return self.claim_sentence
        if self.credentials.state == "invalid":
            return paragraph(_("Its Content Credentials do not hold."), self.credentials.reasons)

        # 2. That it was generated, whole or in part
        claims = self.all_source_types
        generated = [claim for claim in claims if claim.kind == "generated"]
        partly = [claim for claim in claims if claim.kind == "part generated"]
        if generated and not generated[0].of_part:
            return _(
                "The file itself says that the picture was {made}.", made=_(generated[0].words)
            )
        if generated or partly:
            return _(
                "The file itself says that the picture, or a part of it, was {made}.",
                made=_((generated + partly)[0].words),
            )
        if marks:
            return _mark_sentence(marks[0])

        # 3. Another origin
        origins = sorted((claim for claim in claims if claim.names_origin), key=_rank)
        if origins:
            origin_words = _(origins[0].words)
            if self.credentials.state == "trusted" and origins[0].where != "XMP":
                return _(
                    "A signer on the trust list says that the picture was {made}.",
                    made=origin_words,
                )
            return _(
                "The file says that the picture was {made}; anybody can write that.",
                made=origin_words,
            )

        # 4. What says little
        if self.credentials.state == "unvalidated":
            return paragraph(
                _(
                    "Its Content Credentials could not be validated, so nothing proves what they "
                    "say."
                ),
                self.credentials.reasons,
            )
        if self.marks:  # only hints are left
            return _(SENTENCES["hint"], generator=_(self.marks[0].generator))
        if any(field.name in ("Camera", "Lens") for field in self.fields):
            return _(
                "The file names a camera, and says nothing of an image generator. Anybody can "
                "write or copy that."
            )
        return None


def _mark_sentence(mark: Mark) -> str:
    """Return what a mark that is more than a hint says, and whose it is where that is known."""
    if mark.certainty == "not validated":
        name = "not validated" if mark.says == "is" else "part not validated"
    elif mark.says != "is":
        name = mark.says
    elif mark.on_pixels:
        name = "marked edited" if mark.edited else "marked"
    elif mark.edited:
        name = "edited"
    else:
        name = "generated" if mark.generator != UNNAMED else "unnamed"
    return _(SENTENCES[name], generator=_(mark.name))


def _rank(claim: SourceType) -> tuple[bool, bool, bool]:
    """Return a claim's place: what is said of the picture comes before what is said of a part, the
    credentials before XMP, a capture first."""
    return claim.of_part, claim.where == "XMP", claim.kind != "captured"
