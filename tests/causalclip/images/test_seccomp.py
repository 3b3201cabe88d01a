"""The filter of system calls: its numbers, and what its program answers, on both machines."""

import ctypes
import errno
import struct
from contextlib import suppress

import pytest

from causalclip.images import sandbox, seccomp
from causalclip.images.seccomp import (
    ALLOWED,
    CONDITIONAL,
    MACHINES,
    UNKNOWN,
    Instruction,
    make_program,
)

ALLOW, KILL, REFUSE, NOT_THERE = (
    0x7FFF0000,
    0x80000000,
    0x50000 | errno.EPERM,
    0x50000 | errno.ENOSYS,
)
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
PROCESS = 4321
GLIBC_THREAD, NEW_PROCESS = 0x3D0F00, 0x1200011  # flags of clone
NEW_NAMESPACES = 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80


def answer(program: list[Instruction], architecture: int, number: int, *arguments: int) -> int:
    """What the kernel answers to a call."""
    six = [*arguments, *[7] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, architecture, 0, *six)
    accumulator, position = 0, 0
    while True:
        code, if_equal, if_not, value = program[position]
        position += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x54:
            accumulator &= value
        elif code == 0x15:
            position += if_equal if accumulator == value else if_not
        else:
            assert code == 0x06
            return value


@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_allows_its_list_and_refuses_every_other_call(machine: str) -> None:
    program, architecture = make_program(machine, PROCESS), ARCHITECTURES[machine]
    column = MACHINES.index(machine)
    allowed = {numbers[column] for numbers in ALLOWED.values()}
    not_there = {numbers[column] for numbers in UNKNOWN.values()}
    conditional = {condition.numbers[column] for condition in CONDITIONAL.values()}
    assert len(allowed) == len(ALLOWED)
    x32 = range(0x40000000, 0x40000000 + 600)
    for number in [*range(600), *x32]:
        if number not in conditional:
            expected = NOT_THERE if number in not_there else REFUSE
            expected = ALLOW if number in allowed else expected
            assert answer(program, architecture, number, PROCESS) == expected, number


@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_allows_no_process_and_no_memory_that_does_not_count(machine: str) -> None:
    program, architecture = make_program(machine, PROCESS), ARCHITECTURES[machine]
    clone, mmap, prlimit, tgkill = (
        CONDITIONAL[name].numbers[MACHINES.index(machine)]
        for name in ("clone", "mmap", "prlimit64", "tgkill")
    )
    anything, size, writable = 0xFFFFFFFFFFFFFFFF, 2**30, 0b11
    private, shared, anonymous, as_a_stack, stack = 2, 1, 0x20, 0x100, 0x20000
    expected = {
        (clone, GLIBC_THREAD): ALLOW,
        (clone, NEW_PROCESS): REFUSE,
        (clone, 0): REFUSE,
        **{(clone, GLIBC_THREAD | flag): REFUSE for flag in NEW_NAMESPACES},
        (mmap, 0, size, writable, private | anonymous): ALLOW,
        (mmap, 0, size, writable, private | anonymous | stack): ALLOW,
        (mmap, 0, size, writable, shared | anonymous): REFUSE,
        (mmap, 0, size, writable, shared | private | anonymous): REFUSE,
        (mmap, 0, size, writable, private | anonymous | as_a_stack): REFUSE,
        (prlimit, 0): ALLOW,
        (prlimit, PROCESS): REFUSE,
        (prlimit, PROCESS + 1): REFUSE,
        (tgkill, PROCESS): ALLOW,
        (tgkill, PROCESS + 1): REFUSE,
        (tgkill, anything): REFUSE,
    }
    assert {call: answer(program, architecture, *call) for call in expected} == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_a_call_of_another_architecture_ends_the_process(machine: str) -> None:
    program = make_program(machine, PROCESS)
    i386, arm = 0x40000003, 0x40000028
    for architecture in {i386, arm, *ARCHITECTURES.values()} - {ARCHITECTURES[machine]}:
        assert answer(program, architecture, ALLOWED["read"][0]) == KILL


def test_the_numbers_are_those_of_libseccomp() -> None:
    library = None
    with suppress(OSError):
        library = ctypes.CDLL("libseccomp.so.2")
    if library is None:
        pytest.skip("libseccomp is not installed")
    conditional = {name: condition.numbers for name, condition in CONDITIONAL.items()}
    for name, numbers in (ALLOWED | conditional | UNKNOWN).items():
        assert numbers == tuple(
            library.seccomp_syscall_resolve_name_arch(architecture, name.encode())
            for architecture in ARCHITECTURES.values()
        ), name


def test_what_a_system_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "FORKS", True)
    monkeypatch.setattr(sandbox.landlock, "version", lambda: 3)
    monkeypatch.setattr(seccomp.platform, "machine", lambda: "riscv64")
    assert sandbox.missing_protections() == ["seccomp"]
    monkeypatch.setattr(sandbox.landlock, "version", lambda: 0)
    monkeypatch.setattr(seccomp, "is_supported", lambda: True)
    assert sandbox.missing_protections() == ["Landlock"]
    monkeypatch.setattr(sandbox, "FORKS", False)
    assert sandbox.missing_protections() == ["Landlock", "seccomp"]
