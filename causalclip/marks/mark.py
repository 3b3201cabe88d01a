"""One mark: who left it, where it is, and how sure it is."""

from dataclasses import dataclass
from typing import Literal

from causalclip.languages import N_

Kind = Literal["signature", "label", "metadata", "visible mark", "invisible mark", "file name", "size"]
Certainty = Literal["proof", "claim", "hint"]
Box = tuple[int, int, int, int]
KINDS = N_("visible mark"), N_("invisible mark"), N_("metadata"), N_("label"), N_("file name"), N_("size")


@dataclass(frozen=True, slots=True)
class Mark:
    """What a generator or an editor left in a file or on its pixels.

    generator: whose mark it is. certainty: a "proof" cannot be made by somebody else, a "claim" says so deliberately, a
    "hint" is usual for a generator and proves nothing alone. where: in words. excerpt: the mark's beginning, cleaned,
    not escaped. box: x0, y0, x1, y1 in pixels of the upright picture, for a visible mark. edited: whether it says that
    a picture was edited with generative AI, not that it was generated.
    """

    generator: str
    where: str
    excerpt: str = ""
    kind: Kind = "metadata"
    certainty: Certainty = "claim"
    box: Box | None = None
    edited: bool = False

    @property
    def on_pixels(self) -> bool:
        """Whether it is stamped on the picture, and so survives where a file's metadata are lost."""
        return self.kind in ("visible mark", "invisible mark")
