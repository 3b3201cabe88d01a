"""Freed memory that goes back to the system, where this is Linux with glibc.

glibc keeps what is freed for later: after twelve pictures of 50 megapixels some 200 MB. Mapping
each large block by itself would give it back, too, but then a third of the processor's time in long
work goes to the system, which clears every page anew.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

ARENA_MAX = -8  # of glibc's malloc.h
ARENAS = 2  # places where threads keep what they free


def _function(name: str) -> Any:
    """Return a function of the C library; None where there is no glibc."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


_mallopt = _function("mallopt")
_malloc_trim = _function("malloc_trim")


def limit_arenas() -> None:
    """Have all threads share few arenas, of which each would keep what it has freed."""
    if _mallopt:
        _mallopt(ARENA_MAX, ARENAS)


def give_back_memory() -> None:
    """Give what has been freed back to the system: once a picture is done with."""
    if _malloc_trim:
        _malloc_trim(0)
