"""How much of a file's metadata is read at all: so many bytes of one item, and so many of all."""

from dataclasses import dataclass

from causalclip.languages import N_

MAX_ITEM = 256 * 2**10  # bytes; XMP has a few thousand, ComfyUI's workflows some 100,000
MAX_TOTAL = 2**20
TOO_MUCH = N_("The file holds more metadata than is read here; only a part of it was read.")


@dataclass(slots=True)
class Budget:
    """The bytes that may still be read of one file. exceeded: whether anything was left out, or cut."""

    left: int = MAX_TOTAL
    exceeded: bool = False

    def whole(self, item: bytes) -> bytes:
        """The item, for which a part of it would be of no use; empty if there is too much of it."""
        return item if self.cut(item) == item else b""

    def cut(self, item: bytes) -> bytes:
        """The item, or its beginning."""
        allowed = min(MAX_ITEM, self.left)
        self.left -= min(len(item), allowed)
        self.exceeded |= len(item) > allowed
        return item[:allowed]
