"""Code that parses somebody's file runs in a process of its own, which ends at its limits of memory
and time.

On Linux that process is forked, once for each call, from a server that has the decoders imported
and never reads a file: no interpreter is started, and nothing of one file is left for the next.
What it is sent, it is sent as bytes: before it reads them, it gives up files and connections
(`landlock`), and all system calls but those that decoding needs (`seccomp`). (The forkserver of
multiprocessing imports the program's own module in each child: 19 ms more for a small JPEG on a
free processor, 43 ms beside other work.)

Elsewhere what libraries hold may not survive a fork, so the same worker process answers one call
after the other, and a new one is started if it was ended.
"""

from __future__ import annotations

import atexit
import codecs
import gc
import importlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from causalclip.images import landlock, seccomp, wire
from causalclip.images.kernel import end_with_parent
from causalclip.languages import catalogue, current, number, speaking

MODULES = "causalclip.images.decoding", "causalclip.images.zips", "causalclip.provenance.reading"
CODECS = (
    "ascii",
    "cp437",
    "euc_kr",
    "gb2312",
    "gbk",
    "iso2022_jp",
    "latin-1",
    "shift_jis",
    "utf-8-sig",
    "utf-16",
    "utf-16-be",
    "utf-16-le",
    "utf-32",
    "utf-32-be",
    "utf-32-le",
)
# bytes that a call may take, beside what the process has at its start; only Linux keeps to it
MEMORY = 400 * 2**20
SECONDS = 4.0  # of processor time that a call may take
# What code that has taken a child over cannot raise: bytes beside what it has, and seconds
HARD_MEMORY = 2**30
HARD_SECONDS = 60
HARD_STACK = 8 * 2**20  # bytes
PATIENCE = 60.0  # seconds until an item of an answer is given up, on a machine that is busy
# Variables that an interpreter and its libraries need in order to start; no other is passed on.
PASSED_ON = re.compile(
    "PATH|HOME|LANG|LANGUAGE|LC_.+|LD_.+|DYLD_.+|PYTHON.+|VIRTUAL_ENV|MALLOC_.+|GLIBC_TUNABLES"
    "|SYSTEMROOT|USERPROFILE|APPDATA",
    re.IGNORECASE,
)
FORKS = sys.platform == "linux"

_NEXT = b"+"  # asks for the next item

# The state of this process
_LOCK = threading.Lock()
_control: socket.socket | None = None  # to the server that forks
_idle: list[_Worker] = []  # where nothing is forked
_inside = False  # whether this process is a sandbox: no other is limited
_statm: int | None = None  # a descriptor: what the system says of a sandbox's memory


class TooCostly(Exception):
    """The process ended at its limit of memory or time."""


@contextmanager
def stream(
    function: Callable[..., Any],
    *args: Any,
    memory: int = MEMORY,
    seconds: float = SECONDS,
    patience: float | None = None,
) -> Iterator[Iterator[Any]]:
    """Run a function of one of MODULES in a sandbox; give an iterator over the items that it
    yields, or the one that it returns.

    Each item is computed when it is asked for. What does not come from this project, an error
    included, stays there.

    Args:
        memory: bytes that it may take, beside what the process has at its start.
        seconds: of processor time that it may take.
        patience: seconds until an item is given up; None for PATIENCE.

    Raises:
        TooCostly: it reached its limits.
        ImageError, ValueError: the function raised it.
        RuntimeError: it raised any other error, or the process cannot run.
    """
    worker = _start()
    worker.patience = PATIENCE if patience is None else patience
    call = f"{function.__module__}:{function.__qualname__}", current(), memory, seconds
    try:
        yield _items(worker, (*call, list(args)))
    finally:
        worker.close()


def call(function: Callable[..., Any], *args: Any) -> Any:
    """Run a function that returns one item in a sandbox, as `stream` does; return the item."""
    with stream(function, *args) as items:
        item = next(items)
        next(items, None)  # so that the process ends, or waits for the next call, by itself
        return item


def _items(worker: _Worker, request: tuple[Any, ...]) -> Iterator[Any]:
    """Send a request and yield its items, each when it is asked for."""
    with worker.watched(), suppress(OSError):  # of a worker that has ended: reading says so
        wire.send(worker.writer, request)
    while True:
        try:
            with worker.watched():
                kind, value = wire.receive(worker.reader)
        except (OSError, EOFError, ValueError):
            raise TooCostly from None
        if kind != "item":
            break
        yield value
        with suppress(OSError):
            worker.writer.write(_NEXT)
            worker.writer.flush()
    worker.reusable = kind != "costly"
    if kind == "costly":
        raise TooCostly
    if kind == "error":
        raise value
    if kind == "bug":
        raise RuntimeError(f"The sandbox failed: {value}")


# Workers ------------------------------------------------------------------------------------------


@dataclass
class _Worker:
    """Our end of a call.

    Attributes:
        kill: ends the process, or at least our reading from it.
        keep: puts it where it waits for the next call, if it outlives this one.
        reusable: whether it has answered in full.
        patience: seconds until an item is given up.
    """

    reader: IO[bytes]
    writer: IO[bytes]
    kill: Callable[[], None]
    keep: Callable[[_Worker], None] | None = None
    reusable: bool = False
    patience: float = PATIENCE

    @contextmanager
    def watched(self) -> Iterator[None]:
        """End the process when what runs inside takes longer than its patience."""
        timer = threading.Timer(self.patience, self.kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def close(self) -> None:
        """End the process after a call, or let it wait for the next one."""
        if self.keep and self.reusable:
            self.reusable = False
            self.keep(self)
            return
        self.kill()
        for end in (self.reader, self.writer):
            with suppress(OSError):
                end.close()


def missing_protections() -> list[str]:
    """Return what this system lacks of "Landlock" and "seccomp", by which a child is held."""
    is_there = {"Landlock": landlock.version() > 0, "seccomp": seccomp.is_supported()}
    return [name for name, there in is_there.items() if not (FORKS and there)]


def warm_up() -> None:
    """Start the server, so that it imports its modules while this process does something else."""
    global _control
    with _LOCK:
        if FORKS and _control is None:
            _control = _start_server()


def _start() -> _Worker:
    return _fork_worker() if FORKS else _idle_or_new()


def _fork_worker() -> _Worker:
    """Return a worker that the server forks; start the server where it does not run.

    Raises:
        RuntimeError: it cannot be started.
    """
    global _control
    ours, its = socket.socketpair()
    with its, _LOCK:
        for control in (_control, None):
            _control = control or _start_server()
            with suppress(OSError):
                socket.send_fds(_control, [current().encode()], [its.fileno()])
                forked, handles, _flags, _address = socket.recv_fds(_control, 1, 1)
                if forked:
                    break
            _control.close()  # it was ended from outside
        else:
            ours.close()
            raise RuntimeError("The process that sandboxes are forked from did not run.")

    def end() -> None:
        with suppress(OSError):
            ours.shutdown(socket.SHUT_RDWR)
        with suppress(IndexError):  # it was ended before, or the kernel has no handles
            handle = handles.pop()
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)

    with ours:  # it stays open as long as a file of it
        return _Worker(ours.makefile("rb"), ours.makefile("wb"), end)


def _start_server() -> socket.socket:
    """Start the server that forks; return our end of its control."""
    ours, its = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with its:
        process = _spawn("fork_forever", stdin=its.fileno(), stdout=subprocess.DEVNULL)
    # so that one that was ended is not left a zombie
    threading.Thread(target=process.wait, daemon=True).start()
    return ours


def _idle_or_new() -> _Worker:
    with suppress(IndexError):
        return _idle.pop()
    process = _spawn("serve_forever", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    atexit.register(process.kill)
    return _Worker(process.stdout, process.stdin, process.kill, keep=_idle.append)


def _spawn(function: str, *, stdin: int, stdout: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import {function}; {function}()"],
        cwd=Path(__file__).parents[2],
        env=_environment(),
        stdin=stdin,
        stdout=stdout,
    )


def _environment() -> dict[str, str]:
    """Return what a child may know of the environment: neither secrets nor where uploads lie."""
    needed = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
    return needed | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


# In the other process -----------------------------------------------------------------------------


def fork_forever() -> None:
    """Fork whenever a socket is sent; end when nobody holds the other end of its control any
    more."""
    import resource

    _import_modules()
    gc.freeze()  # children would copy what a collection touches
    control = socket.socket(fileno=os.dup(0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # nothing of a file is left on the disk
    # from a terminal it reaches the app, too, which ends this
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children that have ended go at once
    has_seccomp = seccomp.is_supported()
    while True:
        language, descriptors, _flags, _address = socket.recv_fds(control, 16, 1)
        if not language:
            return
        with speaking(language.decode()):  # read once, and not by the children, which cannot
            catalogue(current())
            number(1)
        child = os.fork()
        if not child:
            _run_child(descriptors[0], filtered=has_seccomp)
        os.close(descriptors[0])
        _send_handle(control, child)


def _send_handle(control: socket.socket, child: int) -> None:
    """Send a handle by which the app ends a child, which a limit does not end where it only sleeps;
    none where the kernel has none (Linux before 5.3)."""
    handles = []
    with suppress(OSError):
        handles.append(os.pidfd_open(child))
    socket.send_fds(control, [b"+"], handles)
    for handle in handles:
        os.close(handle)


def _run_child(connection: int, *, filtered: bool) -> None:
    """Answer one call over a socket's descriptor, with nothing else open, and end.

    filtered: whether system calls that decoding does not need are refused.
    """
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        # what a native library prints is nobody's
        for number, end in enumerate((connection, nothing, nothing)):
            os.dup2(end, number)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # the way to ask for more children
        _open_statm()
        _limit_for_good()
        end_with_parent()  # also where the app was killed
        landlock.restrict()
        if filtered:
            seccomp.restrict()
        with socket.socket(fileno=0) as ours:
            serve(ours.makefile("rb"), ours.makefile("wb"))
    finally:
        os._exit(0)


def _limit_for_good() -> None:
    """Limit what this child takes, whatever runs in it. The limits of a call are lower."""
    import resource

    most = _own_memory() + HARD_MEMORY
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (HARD_SECONDS, HARD_SECONDS))
    resource.setrlimit(resource.RLIMIT_STACK, (HARD_STACK, HARD_STACK))


def serve_forever() -> None:
    """Answer calls on standard input until it is closed."""
    _import_modules()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reader, writer = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    while serve(reader, writer):
        continue


def _import_modules() -> None:
    """Import all that a call may need: a child can open no file.

    `prepare` of a module does what imports do not.
    """
    for name in MODULES:
        module = importlib.import_module(name)
        if hasattr(module, "prepare"):
            module.prepare()
    for codec in CODECS:
        codecs.lookup(codec)


def _open_statm() -> None:
    global _statm
    _statm = os.open("/proc/self/statm", os.O_RDONLY)


def _own_memory() -> int:
    """Return the bytes that are this process's own data."""
    assert _statm
    return int(os.pread(_statm, 200, 0).split()[5]) * os.sysconf("SC_PAGE_SIZE")


def serve(reader: IO[bytes], writer: IO[bytes]) -> bool:
    """Answer one call; return False if nobody listens any more."""
    global _inside
    _inside = True
    with suppress(OSError, EOFError):
        name, language, memory, seconds, args = wire.receive(reader)
        module, _colon, function = name.partition(":")
        try:
            if module not in MODULES:
                raise LookupError(name)
            limit_memory(memory)
            limit_time(seconds)
            with speaking(language):
                answer = getattr(sys.modules[module], function)(*args)
                for item in answer if isinstance(answer, Iterator) else [answer]:
                    wire.send(writer, ("item", item))
                    wire.exactly(reader, len(_NEXT))
            wire.send(writer, ("end", None))
        except MemoryError:
            wire.send(writer, ("costly", None))
        except (OSError, EOFError):
            raise
        except Exception as error:
            module_of_error = type(error).__module__
            if isinstance(error, ValueError) and module_of_error.startswith("causalclip."):
                wire.send(writer, ("error", error))
            else:
                wire.send(writer, ("bug", traceback.format_exc()[-2000:]))
        limit_time(0)
        return True
    return False


def limit_memory(size: int) -> None:
    """Let this sandbox take at most so many bytes more than it has now; only Linux keeps to it."""
    if _inside and sys.platform == "linux":
        import resource

        if _statm is None:  # of a process that answers several calls
            _open_statm()
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        most = _own_memory() + size
        resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))


def limit_time(seconds: float) -> None:
    """Let the system end this sandbox after so many seconds of processor time from now; 0 for no
    limit."""
    if _inside and sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)
