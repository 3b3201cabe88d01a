"""What is needed before anything heavy is imported: names, a size, where a result goes, and pauses of long work."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

import numpy as np

from causalclip.images.formats import ImageTooLarge
from causalclip.languages import N_, _, figure


class Listed(NamedTuple):
    """An attack's class in purifier.attacks.algorithms, and its title in the page's list."""

    class_name: str
    title: str


ATTACKS = {  # in the order of the page's list
    "pgd": Listed("PGD", "PGD"),
    "apgd": Listed("APGD", "APGD"),
    "mi-fgsm": Listed("MIFGSM", "MI-FGSM"),
    "di-fgsm": Listed("DIFGSM", "DI-FGSM"),
    "cw": Listed("CarliniWagner", "Carlini-Wagner"),
    "fgsm": Listed("FGSM", N_("FGSM, one step")),
    "square": Listed("Square", N_("Square, black box")),
    "patch": Listed("Patch", N_("A patch")),
}
OBJECTIVES = {  # what an attack shall change, with the title in the page's list
    "answer": N_("The answer to the question"),
    "caption": N_("The caption"),
    "features": N_("What CLIP sees"),
    "detector": N_("The detector's verdict"),
}
MAX_PIXELS = 12_000_000  # of a picture: what a purification holds in memory grows with it
EMBEDDED, OTHER = "embedded", "other"  # the vision-language model that is shipped, and one that a host has added


def check_name(name: str, known: Collection[str], kind: str) -> None:
    """Raises ValueError for a name that is not known."""
    if name not in known:
        raise ValueError(f"There is no {kind} {name!r}; use one of {', '.join(known)}.")


def check_png(path: Path) -> None:
    """Raises ValueError if a result would be saved in another format, which would change what was made, or nowhere."""
    if path.suffix.lower() != ".png":
        raise ValueError("Name the result .png: other formats change pixels, and with them what an attack has done.")
    if not path.parent.is_dir():
        raise ValueError(f"There is no folder '{path.parent}' for the result. Make it, or name another.")


def check_size(pixels: np.ndarray) -> None:
    """Raises ImageTooLarge for a picture [H, W, 3] of more than MAX_PIXELS pixels."""
    if pixels.shape[0] * pixels.shape[1] > MAX_PIXELS:
        said = N_("Pictures of at most {millions} million pixels are taken here. Cut out a part of it and try again.")
        raise ImageTooLarge(_(said, millions=figure(MAX_PIXELS / 1e6)))


_pause: ContextVar[Callable[[], object]] = ContextVar("pause", default=lambda: None)


def pause() -> None:
    """To be called between two parts of long work. Raises what the caller's own function raises, to end it."""
    _pause.get()()


@contextmanager
def pausing(work: Callable[[], object]) -> Iterator[None]:
    """What runs inside, in this thread, calls `work` between its parts."""
    before = _pause.set(work)
    try:
        yield
    finally:
        _pause.reset(before)
