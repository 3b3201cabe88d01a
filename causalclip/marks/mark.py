"""One mark: who left it, where it is, how sure it is."""

from dataclasses import dataclass
from typing import Literal

from causalclip.images.formats import Box
from causalclip.languages import N_, _, bracketed, quoted
from causalclip.marks.names import KNOWN

MarkType = Literal[
    "signature",
    "credentials",
    "label",
    "metadata",
    "visible mark",
    "invisible mark",
    "file name",
    "size",
]
Certainty = Literal["signed", "not validated", "declared", "stamped", "hinted"]
CERTAINTIES: tuple[Certainty, ...] = (  # the strongest first
    "signed",
    "not validated",
    "declared",
    "stamped",
    "hinted",
)
Says = Literal["is", "in part", "may be", "is suspected"]  # generated
STATEMENTS: tuple[Says, ...] = "is", "in part", "may be", "is suspected"
MARK_TYPES = (
    N_("signature"),
    N_("credentials"),
    N_("visible mark"),
    N_("invisible mark"),
    N_("metadata"),
    N_("label"),
    N_("file name"),
    N_("size"),
)


UNNAMED = N_("an image generator")
UNKNOWN_SERVICE = N_("a service that is labelled by Chinese law")
EU_ICON = N_("the European Union's icon for generated content")


@dataclass(frozen=True, slots=True)
class Field:
    """A text of a file. where: "EXIF", "XMP", "IPTC", "PNG text". name: its key there, such as
    "parameters"."""

    where: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A trace that a generator or an editor left in a file or on its pixels.

    generator: whose mark it is. certainty: what is "signed" nobody else can write; credentials that
    are "not validated", what is "declared" in a file and what is "stamped" on a picture say so
    deliberately, and anybody can make them; what is "hinted" is usual for a generator and proves
    nothing alone. where: in words. excerpt: the words that were read, or their beginning, cleaned,
    not escaped. box: x0, y0, x1, y1 in pixels of the upright picture, for a visible mark. edited:
    whether it says that a picture was edited with generative AI, not that it was generated. says:
    whether the picture or a part of it is, or may be generated, or that a platform suspects it.
    """

    generator: str
    where: str
    excerpt: str = ""
    kind: MarkType = "metadata"
    certainty: Certainty = "declared"
    box: Box | None = None
    edited: bool = False
    says: Says = "is"

    @property
    def title(self) -> str:
        """Return whose it is and its kind, such as "Gemini (visible mark)", in the reader's
        language."""
        return bracketed(_(self.name), _(self.kind))

    @property
    def name(self) -> str:
        """Return whose mark it is, in English.

        A name that anybody could have written into a certificate is in quotes, so that it cannot
        read as a sentence of ours.
        """
        anybodys = self.certainty == "not validated" and self.generator not in KNOWN
        return quoted(self.generator) if anybodys and self.is_named else self.generator

    @property
    def is_named(self) -> bool:
        """Return whether it is known whose mark it is."""
        return self.generator not in (UNNAMED, UNKNOWN_SERVICE, EU_ICON)

    @property
    def rank(self) -> tuple[int, bool, int, bool]:
        """The mark's place among those of a picture, the smallest first: by what it says, then by
        how certain it is."""
        statement, certain = STATEMENTS.index(self.says), CERTAINTIES.index(self.certainty)
        return statement, self.edited, certain, not self.is_named

    @property
    def on_pixels(self) -> bool:
        """Return whether it is stamped on the picture, and so survives where a file's metadata are
        lost."""
        return self.kind in ("visible mark", "invisible mark")
