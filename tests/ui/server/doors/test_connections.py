"""A client that does not go on with what it has begun: the others do not wait for it. The proxy cuts it."""

import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.conftest import HANGS
from tests.makers.pictures import encode, photo

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def connect(address: str) -> socket.socket:
    """A connection that takes in little."""
    place = urlsplit(address)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.connect((place.hostname, place.port))
    connection.settimeout(HANGS)
    return connection


@pytest.fixture
def one_that_never_reads(tiny_app: str) -> Iterator[socket.socket]:
    """It has asked for the page and for a function thirty times, and reads nothing of it."""
    listed = httpx.get(f"{tiny_app}config").json()["dependencies"]
    number = next(d["id"] for d in listed if d["api_name"] == "provenance")
    body = json.dumps({"data": [None], "fn_index": number, "session_hash": "never-reads"}).encode()
    head = b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    call = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with connect(tiny_app) as connection:
        connection.sendall((GET + call) * 30)
        time.sleep(1)
        yield connection


def test_one_that_never_reads_stops_nobody(tiny_app: str, one_that_never_reads: socket.socket) -> None:
    other = {"X-Forwarded-For": "192.0.2.61"}
    files = {"files": ("x.jpg", encode(photo(64, 64), "JPEG"), "image/jpeg")}
    started = time.monotonic()
    [path] = httpx.post(f"{tiny_app}gradio_api/upload", files=files, headers=other).json()
    asked = httpx.post(f"{tiny_app}gradio_api/call/provenance", json={"data": [{"path": path}]}, headers=other)
    answer = httpx.get(f"{tiny_app}gradio_api/call/provenance/{asked.json()['event_id']}", headers=other)
    assert "event: complete" in answer.text
    assert time.monotonic() - started < HANGS / 2
