"""Memory that is free again goes back to the system; without that, a busy server keeps the most that it ever used."""

import ctypes

M_ARENA_MAX = -8  # of glibc's malloc.h


def share_arenas(count: int = 2) -> None:
    """Lets threads allocate from so many arenas together; glibc's own choice, eight a core, keeps free parts in each.

    To be called before threads are started. Where there is no such call, nothing happens.
    """
    try:
        limit = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    limit(M_ARENA_MAX, count)


def give_back() -> None:
    """Asks the C library for it. Only glibc holds on to so much, and only glibc has this call."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library; Windows has no library without a name
        return
    trim(0)
