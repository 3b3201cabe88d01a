"""A process gives up files and connections for good, before it reads what may take it over (Linux).

By two means of the system: its limit of open files, which sockets count for, too, and Landlock
(Linux 5.13, https://docs.kernel.org/userspace-api/landlock.html), which also refuses what is done
by a path alone.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

from causalclip.images.kernel import c_library, give_up_new_privileges, raise_if_refused

# system calls; the numbers are the same on x86, ARM, RISC-V and POWER
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_ASK_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
# how many rights on files there are, from which version of Landlock on
_FILES = {1: 13, 2: 14, 3: 15, 5: 16}
_TCP = 0b11, 4  # LANDLOCK_ACCESS_NET_BIND_TCP and _CONNECT_TCP, and the version from which on
_SCOPES = 0b11, 6  # abstract sockets, and signals to processes outside
# of this process, in version 3 of the call
_NO_CAPABILITIES = struct.pack("II", 0x20080522, 0), bytes(24)


def version() -> int:
    """Return the version of Landlock that the kernel has, 0 for none."""
    if sys.platform != "linux":
        return 0
    answer = c_library().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    return max(0, int(answer))


def restrict() -> None:
    """Let this process open, create, change and delete no file any more, and connect nowhere. What
    is open stays open.

    Where the kernel has no Landlock, a file can still be created or deleted by its path.

    Raises:
        OSError: the system refuses it. Then the process has to end.
    """
    import resource

    # 1. Landlock: every right that this version knows is refused, as no rule grants one.
    libc, abi = c_library(), version()
    if abi:
        files = (1 << max(count for since, count in _FILES.items() if abi >= since)) - 1
        tcp, scopes = (rights if abi >= since else 0 for rights, since in (_TCP, _SCOPES))
        attributes = struct.pack("QQQ", files, tcp, scopes)
        ruleset = raise_if_refused(
            libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
        )
        give_up_new_privileges()
        raise_if_refused(libc.syscall(_RESTRICT_SELF, ruleset, 0))
        os.close(ruleset)

    # 2. The limit of open files; root's capabilities go first, as they would raise it again.
    raise_if_refused(libc.capset(*_NO_CAPABILITIES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
