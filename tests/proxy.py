"""The shipped nginx before an app, as a process of its own on this machine alone."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.serving import HANGS, ROOT

CONFIGURATION = ROOT / "deploy" / "nginx.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
NOBODY = 65534
FIRST = 18_080 + 100 * (os.getpid() % 100)  # of a hundred ports for each process that runs tests


@dataclass(frozen=True)
class Proxied:
    """nginx before an app. log: what it has written."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path


def configured(app: str, port: int) -> str:
    """The shipped configuration, with the app and the port where they are here."""
    text = CONFIGURATION.read_text()
    changes = {"server app:7860 ": f"server {urlsplit(app).netloc} ", "listen 8080 ": f"listen 127.0.0.1:{port} "}
    for shipped, here in changes.items():
        if text.count(shipped) != 1:
            raise ValueError(f"{CONFIGURATION.name} has not exactly one {shipped.strip()!r}.")
        text = text.replace(shipped, here)
    return text


@contextmanager
def proxied(app: str, *, site: Mapping[str, str] | None = None) -> Iterator[Proxied]:
    """nginx before the app at that address, without root's rights. site: files of deploy/site, by name."""
    if NGINX is None:
        raise FileNotFoundError("nginx is not installed: apt-get install nginx-light")
    with tempfile.TemporaryDirectory(prefix="causalclip-nginx-") as name:
        port = _free_port()
        folder, log = Path(name), Path(name) / "log"
        (folder / "nginx.conf").write_text(configured(app, port))
        (folder / "site").mkdir()
        for file, text in (site or {}).items():
            (folder / "site" / file).write_text(text)
        is_root = os.geteuid() == 0
        if is_root:
            shutil.chown(folder, NOBODY, NOBODY)
        rights = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if is_root else {}
        command = [NGINX, "-p", name, "-c", f"{name}/nginx.conf", "-e", "stderr"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, **rights)  # type: ignore[call-overload]
        try:
            _wait(port, process, log)
            yield Proxied(f"http://127.0.0.1:{port}/", process, log)
        finally:
            process.terminate()
            process.wait(HANGS)


def _free_port() -> int:
    """Below those that the system gives to connections: nobody takes it before nginx does."""
    for port in range(FIRST, FIRST + 100):
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port
    raise OSError(f"No port from {FIRST} on is free.")


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(10 * HANGS):
        if process.poll() is not None:
            break
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"nginx did not start:\n{log.read_text()}")
