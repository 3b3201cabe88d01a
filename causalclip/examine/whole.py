"""What is known of a picture, carried to a part that was cut out of it: the part's own file says nothing of that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from causalclip.languages import _
from causalclip.provenance.reading import OF_WHOLE, Provenance, with_history

if TYPE_CHECKING:
    from causalclip.pictures.formats import Format
    from causalclip.pictures.loading import LoadedImage


@dataclass(frozen=True, slots=True)
class Whole:
    """A picture of which a part is judged.

    claims: of its file, with the sign of an earlier compression. format, halved: as LoadedImage's.
    """

    claims: Provenance
    format: Format
    halved: bool

    @classmethod
    def of(cls, loaded: LoadedImage, claims: Provenance) -> Whole:
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
