"""What code that had taken over the sandbox's child would try first; each try is named if it
succeeds."""

import os
import resource
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


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


def by_a_signal(process: int) -> list[str]:
    """Return "end another process" if it could."""
    return _done({"end another process": lambda: os.kill(process, signal.SIGUSR1)})


def whole_environment() -> str:
    """Return all that is known of the host's variables."""
    return str(dict(os.environ))


def _raise(limit: int, least: int) -> None:
    """Raise a limit of this process; one that is as high already stays."""
    now = resource.getrlimit(limit)
    if resource.RLIM_INFINITY not in now:
        resource.setrlimit(limit, (max(now[0], least), max(now[1], least)))


def _done(tries: dict[str, Callable[[], object]]) -> list[str]:
    done = []
    for name, attempt in tries.items():
        with suppress(OSError, ValueError):
            attempt()
            done.append(name)
    return done
