"""What tests ask of a served app as a program or a page does: without a client, so that any call
can be made."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.conftest import HANGS

META = {"meta": {"_type": "gradio.FileData"}}


def ask(address: str, path: str, name: str = "detect", **headers: str) -> httpx.Response:
    """A call about an uploaded picture."""
    payload = {"path": path, **META}
    return httpx.post(f"{address}gradio_api/call/{name}", json={"data": [payload]}, headers=headers)


def send(address: str, data: bytes) -> str:
    """Uploads a picture; its path."""
    return str(
        httpx.post(
            f"{address}gradio_api/upload", files={"files": ("x.jpg", data, "image/jpeg")}
        ).json()[0]
    )


def number_of(address: str, name: str | None) -> int:
    """The number of a function; without a name, of one that is not queued and takes nothing."""
    listed = httpx.get(f"{address}config").json()["dependencies"]
    if name:
        return int(next(d["id"] for d in listed if d["api_name"] == name))
    return int(
        next(
            d["id"]
            for d in listed
            if d["backend_fn"] and not d["queue"] and not d["inputs"] and d["outputs"]
        )
    )


@contextmanager
def opened(address: str, *sessions: str, **headers: str) -> Iterator[httpx.Client]:
    """Pages of these names, open; a client that asks for them. headers: of its requests."""
    with httpx.Client(base_url=address, headers=headers, timeout=HANGS) as http:
        beats = [http.stream("GET", f"gradio_api/heartbeat/{session}") for session in sessions]
        answers = [beat.__enter__() for beat in beats]
        try:
            assert {answer.status_code for answer in answers} <= {200}
            yield http
        finally:
            for beat in beats:
                beat.__exit__(None, None, None)
