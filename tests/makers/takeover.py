"""What code that had taken over the sandbox's child would try first; each try is named if it
succeeds."""

import codecs
import ctypes
import mmap
import os
import platform
import resource
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

codecs.lookup("idna")  # which connecting needs: a child can load nothing more
_LIBC = ctypes.CDLL(None, use_errno=True)
_COLUMN = 1 if platform.machine() == "aarch64" else 0
# calls for which the C library has no function: their numbers on x86-64 and on 64-bit ARM
_NUMBERS = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clone3": (435, 435),
    "io_uring_setup": (425, 425),
    "ioprio_set": (251, 30),
    "keyctl": (250, 219),
    "perf_event_open": (298, 241),
    "pidfd_open": (434, 434),
    "userfaultfd": (323, 282),
}
# what any user of the system may do, so that a test can see that these tries are good ones
ALWAYS_POSSIBLE = {
    "see that a file is there",
    "chmod",
    "chown",
    "truncate",
    "utime",
    "make shared memory",
    "read shared memory",
    "lower the limits of another",
    "read the limits of another",
    "move another to other cores",
    "slow another down",
    "signal another",
    "leave a process behind",
    "leave the session",
    "have a pipe",
}


def with_a_descriptor(folder: str, port: int) -> list[str]:
    """Return what could be opened: files of the system, of this folder (it holds "there"), or
    connections."""
    tries: dict[str, Callable[[], object]] = {
        "read a file of the host": lambda: open("/etc/passwd").close(),
        "read another's upload": lambda: open(f"{folder}/there").close(),
        "list a folder": lambda: os.listdir(folder),
        "read the memory of its parent": lambda: open(f"/proc/{os.getppid()}/mem").close(),
        "write a file": lambda: open(f"{folder}/new", "w").close(),
        "write into a file in memory": lambda: os.memfd_create("new"),
        "connect by TCP": lambda: socket.create_connection(("127.0.0.1", port), timeout=5).close(),
        "send by UDP": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(
            b"", ("127.0.0.1", port)
        ),
        "connect to a local service": lambda: socket.socket(socket.AF_UNIX).connect(
            "/run/docker.sock"
        ),
        "have more files": lambda: _raise(resource.RLIMIT_NOFILE, 100),
        "take more memory": lambda: _raise(resource.RLIMIT_DATA, 2**40),
        "take shared memory that no limit counts": lambda: mmap.mmap(-1, 2**31),
        "take a stack that no limit counts": lambda: mmap.mmap(
            -1, 2**31, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100
        ),
        "enlarge a stack": lambda: _raise(resource.RLIMIT_STACK, 2**40),
        "take more time": lambda: _raise(resource.RLIMIT_CPU, 10**6),
        "start a program": lambda: subprocess.run(["/bin/true"], check=True),
    }
    return _done(tries)


def by_a_path(folder: str) -> list[str]:
    """Return what could be done without opening anything."""
    tries: dict[str, Callable[[], object]] = {
        "make a folder": lambda: os.mkdir(f"{folder}/made"),
        "make a link": lambda: os.symlink("/", f"{folder}/link"),
        "delete another's upload": lambda: Path(f"{folder}/there").unlink(),
        "become another program": lambda: os.execv("/bin/true", ["true"]),
    }
    return _done(tries)


def by_a_call(folder: str, process: int, shared: int, address: int) -> list[str]:
    """Return which system calls reached beyond this process.

    Args:
        folder: it holds "there".
        process: another one of this user.
        shared: the number of a System V segment of shared memory.
        address: of a byte in the memory of that process.
    """
    there = f"{folder}/there"
    byte = ctypes.create_string_buffer(1)
    here = (ctypes.c_size_t * 2)(ctypes.addressof(byte), 1)
    far = (ctypes.c_size_t * 2)(address, 1)
    zeros = ctypes.create_string_buffer(128)
    cores = os.sched_getaffinity(0)
    tries: dict[str, Callable[[], object]] = {
        # files, by their path
        "see that a file is there": lambda: os.stat(there),
        "see where a link leads": lambda: os.readlink("/proc/self/exe"),
        "chmod": lambda: os.chmod(there, 0o777),
        "chown": lambda: os.chown(there, os.getuid(), os.getgid()),
        "truncate": lambda: os.truncate(there, 0),
        "utime": lambda: os.utime(there, (1, 1)),
        "setxattr": lambda: os.setxattr(there, "user.x", b"x"),
        # memory that processes share, and keys
        "make shared memory": lambda: _make("shmget", "shmctl", 4096),
        "read shared memory": lambda: _attach(shared),
        "make a queue of messages": lambda: _make("msgget", "msgctl"),
        "find the session's keys": lambda: _by_number("keyctl", 0, -3, 1),
        "keep a key": lambda: _by_number("add_key", b"user", b"causalclip", b"x", 1, -2),
        # other processes
        "lower the limits of another": lambda: resource.prlimit(
            process, resource.RLIMIT_CORE, (0, 0)
        ),
        "read the limits of another": lambda: resource.prlimit(process, resource.RLIMIT_CORE),
        "move another to other cores": lambda: os.sched_setaffinity(process, cores),
        "slow another down": lambda: os.setpriority(os.PRIO_PROCESS, process, 19),
        "slow another's disk down": lambda: _by_number("ioprio_set", 1, process, 3 << 13),
        "signal another": lambda: os.kill(process, 0),
        "hold another": lambda: _by_number("pidfd_open", process, 0),
        "trace another": lambda: _trace(process),
        "read another's memory": lambda: _by_name("process_vm_readv", process, here, 1, far, 1, 0),
        "write another's memory": lambda: _by_name(
            "process_vm_writev", process, here, 1, far, 1, 0
        ),
        "open another's memory": lambda: open(f"/proc/{process}/mem", "rb").close(),
        # a process of its own
        "leave a process behind": lambda: os.fork() or os._exit(0),
        "leave a process behind by clone3": _fork_by_clone3,
        "leave the session": os.setsid,
        "have a namespace of users": lambda: _by_name("unshare", 0x10000000),
        # what is large in the kernel
        "set up io_uring": lambda: _by_number("io_uring_setup", 1, zeros),
        "load a program into the kernel": lambda: _by_number("bpf", 0, zeros, 72),
        "be told of faults": lambda: _by_number("userfaultfd", 0),
        "count events": lambda: _by_number("perf_event_open", zeros, 0, -1, -1, 0),
        "have a file in memory": lambda: os.memfd_create("new"),
        "have a pipe": os.pipe,
        "copy what is open": lambda: os.dup(0),
    }
    return _done(tries)


def by_a_signal(process: int) -> list[str]:
    """Return "end another process" if it could."""
    return _done({"end another process": lambda: os.kill(process, signal.SIGUSR1)})


def sleep_on() -> None:
    """Take no processor time, and do not end."""
    time.sleep(600)


def whole_environment() -> str:
    """Return all that is known of the host's variables."""
    return str(dict(os.environ))


def _raise(limit: int, least: int) -> None:
    """Raise a limit of this process; one that is as high already stays."""
    now = resource.getrlimit(limit)
    if resource.RLIM_INFINITY not in now:
        resource.setrlimit(limit, (max(now[0], least), max(now[1], least)))


def _by_name(name: str, *arguments: Any) -> int:
    """Call a function of the C library; raises OSError."""
    answer = int(getattr(_LIBC, name)(*arguments))
    if answer < 0:
        raise OSError(ctypes.get_errno(), name)
    return answer


def _by_number(name: str, *arguments: Any) -> int:
    """Call the kernel; raises OSError."""
    return _by_name("syscall", _NUMBERS[name][_COLUMN], *arguments)


def _make(get: str, control: str, *size: int) -> None:
    """Make what processes share (System V), and delete it."""
    made = _by_name(get, 0, *size, 0o1600)
    _by_name(control, made, 0, None)


def _attach(shared: int) -> None:
    """Have another's shared memory in this process."""
    attach = ctypes.CDLL(None, use_errno=True).shmat
    attach.restype = ctypes.c_void_p
    if attach(shared, None, 0) == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "shmat")


def _trace(process: int) -> None:
    """Stop another process as a debugger does, and let it go on."""
    _by_name("ptrace", 16, process, None, None)
    os.waitpid(process, 0)
    _by_name("ptrace", 17, process, None, None)


def _fork_by_clone3() -> None:
    """Start a process that ends at once, by the call that says so in its memory."""
    arguments = struct.pack("8Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    if not _by_number("clone3", arguments, len(arguments)):
        os._exit(0)


def _done(tries: dict[str, Callable[[], object]]) -> list[str]:
    done = []
    for name, attempt in tries.items():
        with suppress(OSError, ValueError):
            attempt()
            done.append(name)
    return done
