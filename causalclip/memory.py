"""Memory that is free again goes back to the system; without that, a busy server keeps the most that it ever used."""

import ctypes
import mmap
import sys
from collections.abc import Callable

MADV_PAGEOUT = 21  # of Linux's mman.h
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # of glibc's malloc.h
LARGE = 8 * 2**20  # bytes: Pillow's pixels come in blocks of twice that. What a model's layer takes, 5 MB at most, is
# used again all the time: fresh from the system, it made a verdict take 35 % more.
MUCH = 64 * 2**20  # bytes: the pixels of 22 megapixels


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


def make_room(size: int) -> None:
    """Gives back what is free where so many bytes, that are needed next, are many.

    Of few it is not worth it: what goes back is fresh when it is needed again, and that takes 2 ms a MB.
    """
    if size > MUCH:
        give_back()


def leave_on_disk(address: int, size: int) -> None:
    """Has Linux drop those bytes of memory that are a file's, until they are read again; what is no file's stays."""
    if sys.platform == "linux" and (advise := _of_glibc("madvise")):
        first = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
        if (length := (address + size - first) // mmap.PAGESIZE * mmap.PAGESIZE) > 0:
            advise(ctypes.c_void_p(first), ctypes.c_size_t(length), MADV_PAGEOUT)


def _of_glibc(name: str) -> Callable[..., int] | None:
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # another C library; Windows has no library without a name
        return None
    return found
