"""Memory that is free again goes back to the system; without that, a busy server keeps the most that it ever used."""

import ctypes


def give_back() -> None:
    """Asks the C library for it. Only glibc holds on to so much, and only glibc has this call."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library; Windows has no library without a name
        return
    trim(0)
