"""The app under attack, and the little that an attacker needs."""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image

from tests.serving import Served

KIND = {"Content-Type": "multipart/form-data; boundary=b"}
HEADERS = (
    b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
    b"multipart/form-data; boundary=b\r\n"
)
PART = b'--b\r\nContent-Disposition: form-data; name="files"; filename="x.jpg"\r\n\r\n'
# seconds; the server ends an idle connection after five
BRIEF = httpx.Limits(max_connections=300, keepalive_expiry=2)
_TLS = ssl.create_default_context()  # never used, and costs more to make than a request


@dataclass(frozen=True, slots=True)
class Target:
    """An app in a process of its own, as it is seen from one of this machine's own addresses.

    address: where it is attacked: the app itself, or a proxy before it. folder: where it keeps
    files. source: the address that requests come from.
    """

    app: Served
    folder: Path
    address: str
    source: str = "127.0.0.1"

    def elsewhere(self, number: int) -> Target:
        """The same, seen from another address."""
        return replace(self, source=f"127.0.0.{number}")

    def http(self, *, timeout: float = 240) -> httpx.Client:
        transport = httpx.HTTPTransport(local_address=self.source, verify=_TLS, limits=BRIEF)
        return httpx.Client(base_url=self.address, transport=transport, timeout=timeout)

    def connect(self, *, buffer: int = 0) -> socket.socket:
        """A bare connection. buffer: bytes that it takes in before they are read; the system's
        choice by default."""
        place = httpx.URL(self.address)
        connection = socket.socket()
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.settimeout(30)
        connection.bind((self.source, 0))
        connection.connect((place.host, place.port or 80))
        return connection

    def owner(self, path: str) -> str:
        """What the folders of all uploads begin with that come from where this one does."""
        return Path(path).parent.name.rpartition("-")[0]

    def uploads(self) -> list[str]:
        """The folders of uploads that are there."""
        return [path.name for path in self.folder.glob("*/uploads/from-*")]

    def kept(self, owner: str, *sessions: str) -> list[Path]:
        """The files that come from one address, and what was derived from them for these
        sessions."""
        derived = [
            f"session-{hashlib.sha256(session.encode()).hexdigest()[:32]}" for session in sessions
        ]
        folders = [
            path
            for path in self.folder.glob("*/uploads/*")
            if path.name.startswith((owner, *derived))
        ]
        return [
            Path(root, name)
            for folder in folders
            for root, _, names in os.walk(folder)
            for name in names
        ]

    def coming(self) -> set[Path]:
        """Where uploads lie that have not come to their end."""
        return set(self.folder.glob("*/uploads/tmp*"))

    def metric(self, name: str) -> float:
        """What the app says of itself to its host."""
        metrics = httpx.get(f"{self.app.address}metrics", timeout=60, verify=_TLS).text
        return float(re.search(rf"^causalclip_{name} (\S+)", metrics, re.MULTILINE)[1])  # type: ignore[index]

    def memory(self) -> float:
        """MB of the process and its children."""
        process, taken = psutil.Process(self.app.pid), 0
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):  # it has just ended
                taken += one.memory_info().rss
        return taken / 2**20

    @contextmanager
    def watched(self) -> Iterator[list[float]]:
        """The most MB that are taken from here on, in a list of one."""
        most, over = [self.memory()], threading.Event()

        def watch() -> None:
            while not over.wait(0.04):
                most[0] = max(most[0], self.memory())

        threading.Thread(target=watch, daemon=True).start()
        try:
            yield most
        finally:
            over.set()

    def get(self, path: str, **headers: str) -> httpx.Response:
        with self.http() as http:
            return http.get(path, headers=headers)

    def post(self, route: str, body: Any, **headers: str) -> httpx.Response:
        with self.http() as http:
            return http.post(f"gradio_api/{route}", json=body, headers=headers)

    def upload(self, data: bytes, *, name: str = "x.jpg", **headers: str) -> str:
        with self.http() as http:
            answer = http.post(
                "gradio_api/upload", files={"files": (name, data, "image/jpeg")}, headers=headers
            )
        return str(answer.json()[0])

    def ask(self, name: str, path: str, *more: Any) -> tuple[int, str]:
        """Asks a function, waits for its answer; returns the status that ended it, and the last
        that was said."""
        asked = self.post(f"call/{name}", {"data": [{"path": path}, *more]})
        if asked.status_code != 200:
            return asked.status_code, asked.text
        return 200, self.get(f"gradio_api/call/{name}/{asked.json()['event_id']}").text

    def raw(self, method: str, path: str, **headers: str) -> tuple[int, str]:
        """A request whose path and Host are sent as they are written."""
        place = httpx.URL(self.address)
        connection = http.client.HTTPConnection(
            place.host, place.port, timeout=60, source_address=(self.source, 0)
        )
        connection.putrequest(method, path, skip_host=True)
        for key, value in {"Host": "localhost", "Content-Length": "0", **headers}.items():
            connection.putheader(key, value)
        connection.endheaders()
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        connection.close()
        return answer.status, text

    def function(self, **wanted: Any) -> int:
        """The number of the first function that the page lists so."""
        listed = config(self.address)["dependencies"]
        return int(
            next(d["id"] for d in listed if all(d[key] == value for key, value in wanted.items()))
        )

    def filled(self, number: int, **given: Any) -> list[Any]:
        """What the fields of a function hold as the page begins; but what is given, by the name of
        the part."""
        listed = config(self.address)
        parts = {part["id"]: part["props"] for part in listed["components"]}
        [inputs] = [d["inputs"] for d in listed["dependencies"] if d["id"] == number]
        return [given.get(parts[one].get("elem_id"), parts[one].get("value")) for one in inputs]

    def listener(self, name: str, event: str) -> int:
        """The number of the function that runs at an event of a part of the page."""
        listed = config(self.address)
        [part] = [
            part["id"] for part in listed["components"] if part["props"].get("elem_id") == name
        ]
        return int(
            next(
                d["id"]
                for d in listed["dependencies"]
                if [part, event] in d["targets"] and d["outputs"]
            )
        )

    @contextmanager
    def opened(self, *sessions: str) -> Iterator[httpx.Client]:
        """Pages of these names, open; a client that asks for them."""
        with self.http() as http, ExitStack() as stack:
            for session in sessions:
                stack.enter_context(http.stream("GET", f"gradio_api/heartbeat/{session}"))
            yield http

    def batch(self, http: httpx.Client, session: str, paths: list[str]) -> bool:
        """Has a page of that session begin a batch, as choosing files does; returns whether it is
        let in."""
        return self.act(http, session, "batch-files", [{"path": path} for path in paths])

    def act(
        self, http: httpx.Client, session: str, name: str, *values: Any, event: str = "upload"
    ) -> bool:
        """Has a page begin what an event of one of its parts begins; returns whether it is let
        in."""
        listed = config(self.address)
        [files] = [
            part["id"] for part in listed["components"] if part["props"].get("elem_id") == name
        ]
        runs = {
            d["trigger_after"]: d for d in listed["dependencies"] if d["trigger_after"] is not None
        }
        chosen = [
            d for d in listed["dependencies"] if [files, event] in d["targets"] and d["outputs"]
        ]
        wish = [str(1000 * time.time()), *values]
        first = next(d for d in chosen if d["id"] in runs and len(d["inputs"]) == len(wish))
        run = runs[first["id"]]
        call = {"session_hash": session, "fn_index": first["id"], "data": wish, "event_data": {}}
        begun = http.post("gradio_api/run/predict", json=call)
        wish[0] = begun.json()["data"][first["outputs"].index(first["inputs"][0])]
        more = self.filled(run["id"])[len(wish) :]
        call = {"session_hash": session, "fn_index": run["id"], "data": [*wish, *more]}
        return begun.is_success and http.post("gradio_api/queue/join", json=call).is_success


@cache
def config(address: str) -> dict[str, Any]:
    """The page at that address, as it lists its parts and functions; it does not change while the
    app runs."""
    return dict(httpx.get(f"{address}config", timeout=240, verify=_TLS).json())


def ready(address: str) -> None:
    """Waits until the app's models are loaded: before that its memory grows by itself."""
    for _ in range(1200):
        if httpx.get(f"{address}healthz", timeout=60, verify=_TLS).status_code == 200:
            return
        time.sleep(0.5)
    raise TimeoutError("The models were not loaded within ten minutes.")


def heard(http: httpx.Client, session: str) -> str:
    """What a session is told until its call is over."""
    said = ""
    with http.stream("GET", "gradio_api/queue/data", params={"session_hash": session}) as events:
        for line in events.iter_lines():
            said += f"{line}\n"
            if '"process_completed"' in line:
                break
    return said


def picture(seed: int, *, side: int = 256) -> bytes:
    """A JPEG that no other seed has."""
    noise = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((side, side * 3 // 4)).save(file, "JPEG", quality=90)
    return file.getvalue()


def at_once(task: Any, count: int, *, workers: int = 0) -> list[Any]:
    """What `count` calls of `task`, so many at the same time (all by default), return."""
    with ThreadPoolExecutor(workers or count) as pool:
        return list(pool.map(task, range(count)))
