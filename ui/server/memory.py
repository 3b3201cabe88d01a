"""Memory that is free again goes back to the system; without that, a busy server keeps the most that it ever used."""

import ctypes
from collections.abc import Callable

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # of glibc's malloc.h
LARGE = 2**20  # bytes: a model's layer takes up to 5 MB, Pillow's pixels come in blocks of 16


def keep_little(*, arenas: int = 2, large: int = LARGE) -> None:
    """Has glibc keep little of what is free, once for the process and before threads are started.

    Elsewhere nothing happens.

    Args:
        arenas: that threads allocate from together; by itself glibc has eight a core, with free parts in each.
        large: bytes from which a block is the system's own, and goes back as soon as it is freed; by itself glibc takes
            up to 32 MB from an arena once such a block has been freed, where a small one behind it keeps it.
    """
    if limit := _of_glibc("mallopt"):
        limit(M_ARENA_MAX, arenas)
        limit(M_MMAP_THRESHOLD, large)


def give_back() -> None:
    """Asks the C library for it. Only glibc holds on to so much, and only glibc has this call."""
    if trim := _of_glibc("malloc_trim"):
        trim(0)


def _of_glibc(name: str) -> Callable[..., int] | None:
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # another C library; Windows has no library without a name
        return None
    return found
