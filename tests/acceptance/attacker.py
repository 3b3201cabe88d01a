"""The app under attack in a process of its own, and the little that an attacker needs."""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image

from tests.makers.detectors import saved_detector
from tests.serving import WATCH, proxied, started

META = {"meta": {"_type": "gradio.FileData"}}
PART = b'--b\r\nContent-Disposition: form-data; name="files"; filename="%b"\r\n\r\n%b\r\n'
PATIENCE = 240.0  # seconds; a machine may be busy
ROOM = 64  # MB for all uploads
SO_ATTACH_FILTER = 26  # of Linux


@dataclass(frozen=True)
class Target:
    """An app, as it is seen from one of this machine's own addresses.

    address: where it is attacked, the app itself or nginx before it. folder: where it keeps files.
    source: the address that requests come from.
    """

    address: str
    folder: Path
    output: Path
    traffic: Path
    pid: int
    source: str = "127.0.0.1"

    def elsewhere(self, number: int) -> Target:
        """The same, seen from another address."""
        return replace(self, source=f"127.0.0.{number}")

    @contextmanager
    def browser(self) -> Iterator[httpx.Client]:
        """A client that has opened the page, and keeps its cookie."""
        with self.http() as http:
            http.get("/")
            yield http

    def http(self) -> httpx.Client:
        """A client."""
        limits = httpx.Limits(max_connections=300)
        transport = httpx.HTTPTransport(local_address=self.source, limits=limits)
        return httpx.Client(base_url=self.address, transport=transport, timeout=PATIENCE)

    def raw(self, method: str, path: str, **headers: str) -> int:
        """The status of a request whose path goes out as it is spelt."""
        place = httpx.URL(self.address)
        given = {"Host": f"{place.host}:{place.port}", "Connection": "close"} | headers
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
        with self.connect() as connection:
            request = f"{method} {path} HTTP/1.1\r\n{head}Content-Length: 0\r\n\r\n"
            connection.sendall(request.encode("latin-1"))
            answer = connection.recv(4096)
        return int(answer.split(b" ", 2)[1])

    def connect(self) -> socket.socket:
        """A bare connection."""
        place = httpx.URL(self.address)
        connection = socket.socket()
        connection.settimeout(PATIENCE)
        connection.bind((self.source, 0))
        connection.connect((place.host, place.port or 80))
        return connection

    def files(self) -> set[Path]:
        """All files of visitors that are there."""
        found = self.folder.glob("*/uploads/*-*-*-*/*")
        return set(found)

    def memory(self) -> float:
        """MB of the process, and of its children what they have to themselves.

        Of what a child shares with the process that it was forked from, each counts its part.
        """
        process = psutil.Process(self.pid)
        taken = process.memory_info().rss
        for child in process.children(recursive=True):
            with contextlib.suppress(OSError):  # it has just ended
                sums = Path(f"/proc/{child.pid}/smaps_rollup").read_text()
                taken += 1024 * int(sums.partition("Pss_Anon:")[2].split()[0])
        return taken / 2**20

    @contextmanager
    def watched(self) -> Iterator[list[float]]:
        """The most MB that are taken from here on, in a list of one."""
        most, over = [self.memory()], threading.Event()

        def watch() -> None:
            while not over.wait(0.05):
                most[0] = max(most[0], self.memory())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield most
        finally:
            over.set()
            watcher.join()

    def noted(self) -> list[str]:
        """What the app has looked up, connected to, or opened that it should not."""
        return [line for line in self.traffic.read_text().splitlines() if line != "watching"]


@contextmanager
def attacked(folder: Path, **environment: str) -> Iterator[Target]:
    """The app with a tiny detector, whose process reports what it must not reach."""
    (folder / "sitecustomize.py").write_text(WATCH)
    saved_detector(folder / "detector")
    base, output, traffic = folder / "kept", folder / "output.txt", folder / "traffic.txt"
    given = {
        "PYTHONPATH": str(folder),
        "TRAFFIC": str(traffic),
        "GRADIO_TEMP_DIR": str(base),
        "CAUSALCLIP_MODEL": str(folder / "detector" / "model"),
        "CAUSALCLIP_TOKEN_FILE": str(base / "token"),
        "CAUSALCLIP_ROOM": str(ROOM),
    }
    with started(output, given | environment) as (process, address):
        yield Target(address, base, output, traffic, process.pid)


@contextmanager
def behind_nginx(target: Target) -> Iterator[Target]:
    """The same app, attacked through the shipped configuration of nginx."""
    with proxied(target.address) as nginx:
        yield replace(target, address=nginx.address)


def send(http: httpx.Client, data: bytes, name: str = "x.jpg") -> str:
    """Upload a file; its path."""
    answer = http.post("gradio_api/upload", files={"files": (name, data)})
    answer.raise_for_status()
    return str(answer.json()[0])


def ask(http: httpx.Client, name: str, *values: Any) -> httpx.Response:
    """Ask for a call of a public function."""
    return http.post(f"gradio_api/call/{name}", json={"data": list(values)})


def answer_to(http: httpx.Client, name: str, *values: Any) -> tuple[bool, str]:
    """Make a call of a public function; whether it was answered, and with what."""
    asked = ask(http, name, *values)
    if asked.is_error:
        return False, asked.text
    event = asked.json()["event_id"]
    told = http.get(f"gradio_api/call/{name}/{event}").text
    return "event: complete" in told, told


def functions(http: httpx.Client) -> list[dict[str, Any]]:
    """The functions of the page, as it lists them."""
    return list(http.get("config").json()["dependencies"])


def beat_and_fall_asleep(connection: socket.socket, session: str, cookie: str) -> None:
    """Open a page's heartbeat; then hear and say nothing, as a laptop whose lid was closed."""
    request = f"GET /gradio_api/heartbeat/{session} HTTP/1.1\r\nHost: localhost\r\n"
    connection.sendall(f"{request}Cookie: {cookie}\r\n\r\n".encode())
    assert connection.recv(12) == b"HTTP/1.1 200"
    drop_all = struct.pack("HBBI", 6, 0, 0, 0)  # of a packet, 0 bytes are let in
    program = ctypes.create_string_buffer(drop_all)
    connection.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program))
    )


def picture(path: str) -> dict[str, Any]:
    """An upload in Gradio's form."""
    return {"path": path, **META}


def large(width: int = 8000, height: int = 6200, *, seed: int = 1) -> bytes:
    """A progressive JPEG of nearly 50 megapixels and some hundred kB."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
    file = io.BytesIO()
    whole = Image.fromarray(noise).resize((width, height))
    whole.save(file, "JPEG", quality=40, progressive=True)
    return file.getvalue()


def form(*files: tuple[str, bytes]) -> bytes:
    """A body of multipart/form-data; its boundary is b."""
    return b"".join(PART % (name.encode(), data) for name, data in files) + b"--b--\r\n"


def spellings(path: str) -> list[str]:
    """Ways to name a file outside of what is served."""
    up, name = "../" * 9, path.lstrip("/")
    dotted = [f"{up}{name}", up.replace("/", "%2f") + name, up.replace(".", "%2e") + name]
    dotted += [f"....//....//{name}", up.replace("/", "\\") + name, f"..%252f..%252f{name}"]
    whole = [path, f"/{path}", f"//{path}", f"/.{path}", f"file://{path}", f"%2f{name}"]
    return [*dotted, *whole, f"{path}%00.jpg", f"{path}%23", json.dumps(path)]
