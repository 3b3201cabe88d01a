"""A process that waits with the decoders imported, and forks a child a picture: no interpreter is started for each.

Every picture still has a process of its own, with limits of its own, which ends with it. The nursery itself reads no
picture: it hands on open pipes. So nothing of one picture can be left for the next. Linux alone has it: elsewhere what
libraries hold may not survive a fork.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import IO, NoReturn

MODULES = "causalclip.pictures.decoding", "causalclip.provenance.isomedia"
SIZE = 1024  # bytes of a message at most: a module and its argument
FORKED = b"+"
_SEPARATOR = "\0"


class Child:
    """A forked decoder, used as a subprocess.Popen is. stdin, stdout: pipes to and from it."""

    def __init__(self, stdin: IO[bytes], stdout: IO[bytes], report: socket.socket) -> None:
        self.stdin, self.stdout, self._report = stdin, stdout, report

    def kill(self) -> None:
        """Ends it, wherever it is."""
        try:
            self._report.shutdown(socket.SHUT_WR)
        except OSError:  # it has ended, and nobody listens any more
            return

    def wait(self) -> int:
        """Its exit status; below 0 where a signal ended it, and 1 where the nursery itself was ended from outside."""
        return int(self._report.recv(16) or 1)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for end in (self.stdin, self.stdout, self._report):
            end.close()


class Nursery:
    """The process, started when it is first needed, and again where it has ended. pid: of the latest one."""

    def __init__(self) -> None:
        self.pid = 0
        self._lock = threading.Lock()
        self._control: socket.socket | None = None

    def bear(self, module: str, argument: str, errors: IO[bytes]) -> Child:
        """A child that runs `module`'s main with that argument; what it writes to standard error goes to `errors`."""
        (given, stdin), (stdout, written) = os.pipe(), os.pipe()
        try:
            with self._lock:
                report = self._ask(f"{module}{_SEPARATOR}{argument}".encode(), [given, written, errors.fileno()])
        except BaseException:
            os.close(stdin)
            os.close(stdout)
            raise
        finally:
            for end in (given, written):
                os.close(end)
        return Child(os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb"), report)

    def _ask(self, message: bytes, passed: list[int]) -> socket.socket:
        """Where the child's end will be reported, once it has been forked."""
        for control in (self._control, None):
            self._control = control or self._start()
            ours, report = socket.socketpair()
            with report, suppress(OSError):  # it may have been ended from outside, also just now
                socket.send_fds(self._control, [message], [*passed, report.fileno()])
            if ours.recv(1) == FORKED:
                return ours
            ours.close()
            self._control.close()
        raise RuntimeError("The process that decoders are forked from did not run.")

    def _start(self) -> socket.socket:
        ours, its = socket.socketpair(type=socket.SOCK_SEQPACKET)
        with its:
            process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=its.fileno(),
                stdout=subprocess.DEVNULL,
                cwd=Path(__file__).parents[2],
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )
        self.pid = process.pid
        threading.Thread(target=process.wait, daemon=True).start()  # so that one that was ended is not left a zombie
        return ours


# In the process itself ----------------------------------------------------------------------------


def main() -> None:
    """Forks whenever it is asked to on standard input, a socket; ends when nobody holds the other end any more."""
    for name in MODULES:
        importlib.import_module(name)
    gc.freeze()  # children would copy what a collection touches
    control = socket.socket(fileno=os.dup(0))
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from a terminal it reaches the app, too, which ends this
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    reports: dict[int, socket.socket] = {}  # of each child, by its process id
    while True:
        watched: list[socket.socket | int] = [control, woken, *reports.values()]
        ready = select.select(watched, [], [])[0]
        if woken in ready:
            os.read(woken, SIZE)
        for child, report in reports.items():
            if report in ready:  # closed or shut down: it is not wanted any more
                os.kill(child, signal.SIGKILL)
        _reap(reports)
        if control in ready and not _fork(control, reports):
            break
    for child in reports:
        os.kill(child, signal.SIGKILL)


def _reap(reports: dict[int, socket.socket]) -> None:
    """Says of each child that has ended how."""
    for child in list(reports):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            with reports.pop(child) as report:
                try:
                    report.send(str(os.waitstatus_to_exitcode(status)).encode())
                except OSError:  # nobody waits for it any more
                    continue


def _fork(control: socket.socket, reports: dict[int, socket.socket]) -> bool:
    """One more child; False if nobody will ask for one any more."""
    message, passed, _flags, _address = socket.recv_fds(control, SIZE, 4)
    if not message:
        return False
    child = os.fork()
    if not child:
        module, argument = message.decode().split(_SEPARATOR)
        _run(module, argument, passed)
    reports[child] = socket.socket(fileno=passed[3])
    with suppress(OSError):  # nobody waits for it any more
        reports[child].send(FORKED)
    for end in passed[:3]:
        os.close(end)
    return True


def _run(module: str, argument: str, passed: list[int]) -> NoReturn:
    """In the child: what `python -m module argument` would do, with the pipes that were passed and nothing else."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for asked in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(asked, signal.SIG_DFL)
        for number, end in enumerate(passed[:3]):
            os.dup2(end, number)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # other children's reports, and the way to ask for more
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
        sys.argv = [module, argument]
        if module in MODULES:
            sys.modules[module].main()
            sys.stdout.flush()
            code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
