"""The app under attack, and the little that an attacker needs."""

from __future__ import annotations

import http.client
import io
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image

from tests.serving import Served


@dataclass(frozen=True, slots=True)
class Target:
    """An app in a process of its own, as it is seen from one of this machine's own addresses.

    address: where it is attacked: the app itself, or a proxy before it. folder: where it keeps files. source: the
    address that requests come from.
    """

    app: Served
    folder: Path
    address: str
    source: str = "127.0.0.1"

    def elsewhere(self, number: int) -> Target:
        """The same, seen from another address."""
        return replace(self, source=f"127.0.0.{number}")

    def http(self, *, timeout: float = 240) -> httpx.Client:
        transport = httpx.HTTPTransport(local_address=self.source)
        return httpx.Client(base_url=self.address, transport=transport, timeout=timeout)

    def connect(self, *, buffer: int = 0) -> socket.socket:
        """A bare connection. buffer: bytes that it takes in before they are read; the system's choice by default."""
        place = httpx.URL(self.address)
        connection = socket.socket()
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.settimeout(30)
        connection.bind((self.source, 0))
        connection.connect((place.host, place.port or 80))
        return connection

    def kept(self) -> set[Path]:
        """The files that come from visitors."""
        return {path for path in self.folder.rglob("uploads/**/*") if path.is_file()}

    def uploads(self) -> list[str]:
        """The folders of uploads that are there."""
        return [path.name for path in self.folder.glob("*/uploads/from-*")]

    def metric(self, name: str) -> float:
        """What the app says of itself to its host."""
        metrics = httpx.get(f"{self.app.address}metrics", timeout=60).text
        return float(re.search(rf"^causalclip_{name} (\S+)", metrics, re.MULTILINE)[1])  # type: ignore[index]

    def memory(self) -> float:
        """MB of the process and its children."""
        process = psutil.Process(self.app.pid)
        return sum(p.memory_info().rss for p in [process, *process.children(recursive=True)]) / 2**20

    def processor(self) -> float:
        """Seconds of a processor that the app and the attacker have taken."""
        mine, theirs = psutil.Process().cpu_times(), psutil.Process(self.app.pid).cpu_times()
        return sum((mine.user, mine.system, theirs.user, theirs.system))

    def get(self, path: str, **headers: str) -> httpx.Response:
        with self.http() as http:
            return http.get(path, headers=headers)

    def post(self, route: str, body: Any, **headers: str) -> httpx.Response:
        with self.http() as http:
            return http.post(f"gradio_api/{route}", json=body, headers=headers)

    def upload(self, data: bytes, *, name: str = "x.jpg", **headers: str) -> str:
        with self.http() as http:
            answer = http.post("gradio_api/upload", files={"files": (name, data, "image/jpeg")}, headers=headers)
        return str(answer.json()[0])

    def ask(self, name: str, path: str, *more: Any) -> tuple[int, str]:
        """Asks a function, waits for its answer; returns the status that ended it, and the last that was said."""
        asked = self.post(f"call/{name}", {"data": [{"path": path}, *more]})
        if asked.status_code != 200:
            return asked.status_code, asked.text
        return 200, self.get(f"gradio_api/call/{name}/{asked.json()['event_id']}").text

    def raw(self, method: str, path: str, **headers: str) -> tuple[int, str]:
        """A request whose path and Host are sent as they are written."""
        place = httpx.URL(self.address)
        connection = http.client.HTTPConnection(place.host, place.port, timeout=60, source_address=(self.source, 0))
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
        listed = self.get("config").json()["dependencies"]
        return int(next(d["id"] for d in listed if all(d[key] == value for key, value in wanted.items())))

    def packed(self) -> int:
        """The number of the function that writes down a session's batch."""
        config = self.get("config").json()
        [button] = [part["id"] for part in config["components"] if part["props"].get("elem_id") == "batch-csv"]
        return int(next(d["id"] for d in config["dependencies"] if [button, "click"] in d["targets"]))

    def batch(self, http: httpx.Client, session: str, paths: list[str]) -> bool:
        """Has a page of that session begin a batch, as choosing files does; returns whether it is let in."""
        config = http.get("config").json()
        [files] = [part["id"] for part in config["components"] if part["props"].get("elem_id") == "batch-files"]
        first = next(d for d in config["dependencies"] if [files, "upload"] in d["targets"] and d["outputs"])
        run = next(d for d in config["dependencies"] if d["trigger_after"] == first["id"])
        wish: list[Any] = [str(1000 * time.time()), [{"path": path} for path in paths]]
        call = {"session_hash": session, "fn_index": first["id"], "data": wish, "event_data": {}}
        begun = http.post("gradio_api/run/predict", json=call)
        wish[0] = begun.json()["data"][first["outputs"].index(first["inputs"][0])]
        more = [None] * (len(run["inputs"]) - len(wish))
        call = {"session_hash": session, "fn_index": run["id"], "data": [*wish, *more]}
        return begun.is_success and http.post("gradio_api/queue/join", json=call).is_success


def ready(address: str) -> None:
    """Waits until the app's models are loaded: before that its memory grows by itself."""
    deadline = time.monotonic() + 180
    while httpx.get(f"{address}healthz", timeout=60).status_code != 200 and time.monotonic() < deadline:
        time.sleep(1)


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
