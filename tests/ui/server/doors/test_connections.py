"""Clients that do not go on with what they have begun: they are cut, and the others do not wait for them."""

import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.makers.pictures import encode, photo
from ui.server.doors import connections

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds instead of half a minute."""
    monkeypatch.setattr(connections, "PATIENCE", 1.0)
    monkeypatch.setattr(connections, "HEADERS", 1.0)


def connect(address: str) -> socket.socket:
    """A connection that takes in little."""
    place = urlsplit(address)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.connect((place.hostname, place.port))
    connection.settimeout(20)
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
    answer = httpx.get(f"{tiny_app}gradio_api/call/provenance/{asked.json()['event_id']}", headers=other, timeout=30)
    assert "event: complete" in answer.text
    assert time.monotonic() - started < 10


def test_one_that_never_reads_is_cut(tiny_app: str, hasty: None, one_that_never_reads: socket.socket) -> None:
    assert cut(one_that_never_reads, read=False)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: loc",
        b"POST /gradio_api/cancel HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
    ],
)
def test_one_that_does_not_go_on_is_cut(tiny_app: str, hasty: None, sent: bytes) -> None:
    with connect(tiny_app) as connection:
        connection.sendall(sent)
        assert cut(connection)


def test_one_that_waits_for_its_answer_is_not_cut(tiny_app: str, hasty: None) -> None:
    """Such as a page's heartbeat."""
    with connect(tiny_app) as connection:
        connection.sendall(b"GET /gradio_api/heartbeat/waiting HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in connection.recv(500)
        connection.settimeout(3)
        assert not cut(connection)


def test_where_all_places_are_taken_a_half_open_one_goes(tiny_app: str, monkeypatch: pytest.MonkeyPatch) -> None:
    httpx.get(tiny_app)
    monkeypatch.setattr(connections, "MOST", 20)
    half_open = [connect(tiny_app) for _ in range(40)]
    assert httpx.get(f"{tiny_app}config", timeout=10).status_code == 200
    assert cut(half_open[0])
    for connection in half_open:
        connection.close()


def cut(connection: socket.socket, *, read: bool = True) -> bool:
    """Whether the other end gives the connection up, within twenty seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if read and not connection.recv(4096):
                return True
            if not read:
                connection.sendall(b"\r\n")
                time.sleep(0.2)
        except OSError as error:
            return not isinstance(error, TimeoutError)
    return False
