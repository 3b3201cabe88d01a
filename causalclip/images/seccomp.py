"""A process gives up, for good, every system call that decoding a picture does not need (Linux).

By seccomp (https://docs.kernel.org/userspace-api/seccomp_filter.html): the kernel runs a small
program of ours before each call, which allows it or has it fail. What is left computes, takes
memory, starts threads, and reads and writes what is open already. Nothing is left that names a
file, another process, or memory that processes share.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import NamedTuple

from causalclip.images.kernel import c_library, control_process, give_up_new_privileges

# Numbers of the system calls of each machine, x86-64 and 64-bit ARM ------------------------------

MACHINES = "x86_64", "aarch64"  # as platform.machine() names them
_ARCHITECTURES = 0xC000003E, 0xC00000B7  # as the kernel does (AUDIT_ARCH_...)

ALLOWED = {
    # the one connection, and what else is open
    "read": (0, 63),
    "write": (1, 64),
    "pread64": (17, 67),
    "lseek": (8, 62),
    "close": (3, 57),
    "fstat": (5, 80),
    "recvfrom": (45, 207),
    "sendto": (44, 206),
    "shutdown": (48, 210),
    "getsockname": (51, 204),
    "getsockopt": (55, 209),
    # memory
    "brk": (12, 214),
    "munmap": (11, 215),
    "mprotect": (10, 226),
    "madvise": (28, 233),
    # threads
    "futex": (202, 98),
    "rseq": (334, 293),
    "set_robust_list": (273, 99),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getpid": (39, 172),
    "gettid": (186, 178),
    # signals that it gets, and its end
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
    # time, chance, and what the system says of itself
    "setitimer": (38, 103),
    "getrusage": (98, 165),
    "clock_gettime": (228, 113),
    "gettimeofday": (96, 169),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "getrandom": (318, 278),
    "uname": (63, 160),
    "sysinfo": (99, 179),
}
# said not to exist: the C library then starts threads by `clone`, whose flags can be looked at
UNKNOWN = {"clone3": (435, 435)}

# Bits of arguments
_CLONE_THREAD = 0x10000
# CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET
_CLONE_NAMESPACES = 0x7E020080
_MAP_TYPE, _MAP_PRIVATE, _MAP_GROWSDOWN = 0x0F, 0x02, 0x100
_ALL_BITS = 0xFFFFFFFF

# The kernel's filter language
_LOAD, _AND, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16  # bytes into struct seccomp_data
_ALLOW, _KILL, _FAIL_WITH = 0x7FFF0000, 0x80000000, 0x00050000
_SET_SECCOMP, _FILTER = 22, 2  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


class Condition(NamedTuple):
    """For which values of one argument a call is allowed: where these bits of it are that value.

    Attributes:
        numbers: of the call.
        argument: which one, from 0 on; the kernel reads 32 bits of those that are used here.
        value: None for the number of the process itself.
    """

    numbers: tuple[int, int]
    argument: int
    bits: int
    value: int | None


CONDITIONAL = {
    # threads, and neither processes nor namespaces
    "clone": Condition((56, 220), 0, _CLONE_THREAD | _CLONE_NAMESPACES, _CLONE_THREAD),
    # Memory that the limit of memory counts: it counts neither what is shared nor what grows
    # downwards as a stack does. A stack that `mremap` enlarges is not counted either, so that call
    # is refused; the C library then copies.
    "mmap": Condition((9, 222), 3, _MAP_TYPE | _MAP_GROWSDOWN, _MAP_PRIVATE),
    # its own limits, as process 0, and signals to its own threads
    "prlimit64": Condition((302, 261), 0, _ALL_BITS, 0),
    "tgkill": Condition((234, 131), 0, _ALL_BITS, None),
}


class Instruction(NamedTuple):
    """One instruction (struct sock_filter): the jumps are how many of the next ones are skipped."""

    code: int
    if_equal: int
    if_not: int
    value: int


def is_supported() -> bool:
    """Return whether this kernel has seccomp's filters, and this machine's numbers are known."""
    if sys.platform != "linux" or platform.machine() not in MACHINES or sys.maxsize < 2**32:
        return False
    # A kernel that has filters finds this one out of reach; another does not know the request.
    libc = c_library()
    return bool(libc.prctl(_SET_SECCOMP, _FILTER, None, 0, 0)) and (
        ctypes.get_errno() == errno.EFAULT
    )


def restrict() -> None:
    """Refuse this process, and all threads that it starts, every call but those above.

    A refused call fails with EPERM. Call it last: setting it up needs calls that it refuses.

    Raises:
        OSError: the system refuses it. Then the process has to end.
    """
    program = make_program(platform.machine(), os.getpid())
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    instructions = ctypes.create_string_buffer(code, len(code))
    pointer = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(instructions))
    give_up_new_privileges()
    control_process(_SET_SECCOMP, _FILTER, pointer, 0, 0)


def make_program(machine: str, process: int) -> list[Instruction]:
    """Return the filter's program.

    Args:
        machine: one of MACHINES.
        process: the number of the process that will be held by it.
    """
    column = MACHINES.index(machine)

    # 1. Calls of another architecture have other numbers: 32-bit ones on a 64-bit kernel.
    program = [
        Instruction(_LOAD, 0, 0, _ARCHITECTURE_AT),
        Instruction(_JUMP_IF_EQUAL, 1, 0, _ARCHITECTURES[column]),
        Instruction(_RETURN, 0, 0, _KILL),
        Instruction(_LOAD, 0, 0, _NUMBER_AT),
    ]

    # 2. Calls that are allowed, whatever their arguments
    for numbers in ALLOWED.values():
        program += _answer_call(numbers[column], _ALLOW)

    # 3. Calls that are allowed for some values of an argument
    for condition in CONDITIONAL.values():
        value = process if condition.value is None else condition.value
        program += [
            Instruction(_JUMP_IF_EQUAL, 0, 5, condition.numbers[column]),
            Instruction(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * condition.argument),
            Instruction(_AND, 0, 0, condition.bits),
            Instruction(_JUMP_IF_EQUAL, 0, 1, value),
            Instruction(_RETURN, 0, 0, _ALLOW),
            Instruction(_RETURN, 0, 0, _FAIL_WITH | errno.EPERM),
        ]

    # 4. All others fail.
    for numbers in UNKNOWN.values():
        program += _answer_call(numbers[column], _FAIL_WITH | errno.ENOSYS)
    return [*program, Instruction(_RETURN, 0, 0, _FAIL_WITH | errno.EPERM)]


def _answer_call(number: int, answer: int) -> list[Instruction]:
    """Return instructions that give an answer to one call, and go on for every other."""
    return [Instruction(_JUMP_IF_EQUAL, 0, 1, number), Instruction(_RETURN, 0, 0, answer)]
