"""The app under attack, and the little that an attacker needs."""

from __future__ import annotations

import http.client
import io
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image

from tests.serving import Served


@dataclass(frozen=True, slots=True)
class Target:
    """An app in a process of its own. folder: where it keeps files."""

    app: Served
    folder: Path

    def kept(self) -> set[Path]:
        """The files that come from visitors."""
        return {path for path in self.folder.rglob("uploads/**/*") if path.is_file()}

    def uploads(self) -> list[str]:
        """The folders of uploads that are there."""
        return [path.name for path in self.folder.glob("*/uploads/from-*")]

    def lateness(self) -> float:
        """Seconds by which a deletion is or was late, as the app itself says."""
        metrics = httpx.get(f"{self.app.address}metrics", timeout=60).text
        return float(re.search(r"^causalclip_deletion_lateness_seconds (\S+)", metrics, re.MULTILINE)[1])  # type: ignore[index]

    def memory(self) -> float:
        """MB of the process and its children."""
        process = psutil.Process(self.app.pid)
        return sum(p.memory_info().rss for p in [process, *process.children(recursive=True)]) / 2**20

    def post(self, route: str, body: Any, **headers: str) -> httpx.Response:
        return httpx.post(f"{self.app.address}gradio_api/{route}", json=body, headers=headers, timeout=120)

    def upload(self, data: bytes, *, name: str = "x.jpg", **headers: str) -> str:
        files = {"files": (name, data, "image/jpeg")}
        url = f"{self.app.address}gradio_api/upload"
        return str(httpx.post(url, files=files, headers=headers, timeout=120).json()[0])

    def ask(self, name: str, path: str, *more: Any, **headers: str) -> tuple[int, str]:
        """Asks a function, waits for its answer; returns the status that ended it, and the last that was said."""
        asked = self.post(f"call/{name}", {"data": [{"path": path}, *more]}, **headers)
        if asked.status_code != 200:
            return asked.status_code, asked.text
        url = f"{self.app.address}gradio_api/call/{name}/{asked.json()['event_id']}"
        return 200, httpx.get(url, headers=headers, timeout=240).text

    def raw(self, method: str, path: str, **headers: str) -> tuple[int, str]:
        """A request whose path and Host are sent as they are written."""
        place = httpx.URL(self.app.address)
        connection = http.client.HTTPConnection(place.host, place.port, timeout=60)
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
        listed = httpx.get(f"{self.app.address}config").json()["dependencies"]
        return int(next(d["id"] for d in listed if all(d[key] == value for key, value in wanted.items())))

    def batch(self, *, queue: bool) -> int:
        """The number of the function that begins a batch, or of the one that runs it."""
        config = httpx.get(f"{self.app.address}config").json()
        files = {component["id"] for component in config["components"] if component["type"] == "file"}
        return int(
            next(
                d["id"]
                for d in config["dependencies"]
                if len(d["inputs"]) == 2 and d["inputs"][1] in files and (d["queue"] is not False) == queue
            )
        )


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
