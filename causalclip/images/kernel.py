"""Calls of the Linux kernel that Python does not offer, through the C library."""

from __future__ import annotations

import ctypes
import os
import signal
from functools import cache
from typing import Any

_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS


@cache
def c_library() -> ctypes.CDLL:
    """Return the C library of this process, which keeps the error of its last call."""
    return ctypes.CDLL(None, use_errno=True)


def raise_if_refused(answer: int) -> int:
    """Return what a call answered.

    Raises:
        OSError: the answer is negative, so the kernel refused the call.
    """
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer


def control_process(*arguments: Any) -> None:
    """Call prctl(2).

    Raises:
        OSError: the kernel refuses it.
    """
    raise_if_refused(c_library().prctl(*arguments))


def end_with_parent() -> None:
    """Have the kernel end this process once its parent has ended.

    Raises:
        OSError: the kernel refuses it.
    """
    control_process(_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)


def give_up_new_privileges() -> None:
    """Keep this process from gaining rights, by a setuid program for instance.

    Landlock and seccomp ask for it first.

    Raises:
        OSError: the kernel refuses it.
    """
    control_process(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
