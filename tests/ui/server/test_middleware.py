"""Which requests are let in, what is read of them, and what an answer says to browsers: asked as a
stranger would."""

import asyncio
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import httpx
import pytest
from starlette.types import Message

import app
from tests.conftest import HANGS
from tests.makers.pictures import encode, photo
from ui import monitoring
from ui.server import middleware
from ui.server.hosts import HOSTS, allowed_hosts, counted, is_known, is_own_page
from ui.server.middleware import Refused, read_body
from ui.server.storage import STORE


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:7860", "127.0.0.1:7860", "[::1]:7860", "me-app.hf.space", "192.0.2.7"],
)
def test_our_own_names_are_answered(host: str) -> None:
    assert is_known(host, allowed_hosts())


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example@127.0.0.1", r"evil.example\@127.0.0.1", "a/@127.0.0.1"]
)
def test_no_other_name_is_answered(host: str) -> None:
    assert not is_known(host, allowed_hosts())


def test_the_environment_adds_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_known("check.example.org", allowed_hosts())
    monkeypatch.setenv("CAUSALCLIP_HOSTS", "Check.example.org, *.example.net")
    assert is_known("check.example.org:443", allowed_hosts())
    assert is_known("a.example.net", allowed_hosts())
    assert is_own_page("https://a.example.net", "check.example.org", "cross-site", allowed_hosts())


@pytest.mark.parametrize(
    ("client", "counts_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::1", "::1"),
        ("", ""),
    ],
)
def test_a_client_counts_by_what_one_customer_has(client: str, counts_as: str) -> None:
    assert counted(client) == counts_as


@pytest.fixture(scope="module")
def page_of_ours(uploads: Any) -> Iterator[str]:
    """A small page with a name of its own and /healthz; its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOSTS, "check.example.org")
        with gr.Blocks() as page:
            gr.HTML()
        yield app.launch(page, routes=monitoring.routes(page, lambda: True))
        page.close(verbose=False)


@pytest.mark.parametrize("path", [b"gradio_api/queue/join", b"closed"], ids=str)
def test_nothing_is_read_behind_a_request_that_has_two_lengths(
    page_of_ours: str, path: bytes
) -> None:
    """What a proxy takes for its body would be a request of somebody else's to the app."""
    hidden = b"GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n"
    lengths = b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % (5 + len(hidden))
    place = urlsplit(page_of_ours)
    with socket.create_connection((place.hostname, place.port), timeout=HANGS) as connection:
        connection.sendall(
            b"POST /%b HTTP/1.1\r\nHost: localhost\r\n" % path + lengths + b"0\r\n\r\n" + hidden
        )
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"twice how long" in answer
    assert answer.count(b"HTTP/1.1 ") == 1


def test_browsers_are_told_what_a_page_may_do(page_of_ours: str, tiny_app: str) -> None:
    headers = httpx.get(page_of_ours).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    for rule in (
        "default-src 'self'",
        "connect-src 'self' data: blob:",
        "object-src 'none'",
        "frame-ancestors 'self'",
    ):
        assert rule in headers["content-security-policy"].split("; ")
    files = {"files": ("x.jpg", encode(photo(64, 64), "JPEG"), "image/jpeg")}
    [path] = httpx.post(f"{tiny_app}gradio_api/upload", files=files).json()
    of_a_file = httpx.get(f"{tiny_app}gradio_api/file={path}").headers
    assert "sandbox" in of_a_file["content-security-policy"]
    assert of_a_file["cache-control"] == "no-store"


def test_health_is_for_all_and_metrics_for_the_host(page_of_ours: str) -> None:
    # what other tests left may have waited for a first app to delete it; then nothing is late
    for _ in range(2):
        STORE.sweep()
    well = httpx.get(f"{page_of_ours}healthz")
    assert well.status_code == 200
    assert set(well.json()) == {
        "ready",
        "models_loaded",
        "queue_length",
        "deletion_lateness_seconds",
    }
    metrics = httpx.get(f"{page_of_ours}metrics")
    for name in ("deletion_lateness_seconds", "sessions"):  # what make redteam reads
        assert f"\ncausalclip_{name} " in metrics.text
    assert "{" not in metrics.text  # no label, so nothing about a picture or a person
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.9")) as elsewhere:
        assert elsewhere.get(f"{page_of_ours}metrics", timeout=30).status_code == 404
    for name in ("X-Forwarded-For", "Forwarded"):
        assert httpx.get(f"{page_of_ours}metrics", headers={name: "127.0.0.1"}).status_code == 404


@pytest.mark.parametrize("query", ["page=x", "page=", "deep_link=../x", "lang=en&page=x"])
def test_the_page_has_no_other_pages(
    tiny_app: str, query: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each was an error of the server, with a trace of 6 kB in the log."""
    answer = httpx.get(f"{tiny_app}?{query}")
    assert (answer.status_code, answer.headers["x-content-type-options"]) == (404, "nosniff")
    assert "Traceback" not in capfd.readouterr().err
    assert httpx.get(f"{tiny_app}?lang=en").status_code == 200


class Sender:
    """Sends pieces of a body and then nothing more, or that it has gone."""

    def __init__(self, *pieces: bytes, whole: bool = True, gone: bool = False) -> None:
        self._messages: list[Message] = [
            {"type": "http.request", "body": piece, "more_body": not whole or i < len(pieces) - 1}
            for i, piece in enumerate(pieces)
        ]
        if gone:
            self._messages.append({"type": "http.disconnect"})

    async def receive(self) -> Message:
        if not self._messages:
            await asyncio.Event().wait()
        return self._messages.pop(0)

    async def read(self) -> bytes:
        async with read_body(
            {"type": "http", "headers": []}, self.receive, 100, middleware.CALLS
        ) as body:
            return body


def read(sender: Sender) -> bytes:
    with ThreadPoolExecutor() as pool:  # browser tests keep a loop running in this thread
        return pool.submit(asyncio.run, sender.read()).result()


@pytest.mark.parametrize("path", ["heartbeat/x", "queue/data?session_hash=x", "call/detect/x"])
@pytest.mark.parametrize(
    "sender", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_no_page_of_another_site_takes_a_visitors_places(
    tiny_app: str, path: str, sender: dict[str, str]
) -> None:
    assert httpx.get(f"{tiny_app}gradio_api/{path}", headers=sender).status_code == 403


def test_all_bodies_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware.CALLS, "all", 250)
    senders = [Sender(b"a" * 90, whole=False) for _ in range(4)]

    async def together() -> list[Any]:
        tasks = [asyncio.create_task(one.read()) for one in senders]
        await asyncio.wait(tasks, timeout=1)  # those that found room wait for the rest of theirs
        for task in tasks:
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    with ThreadPoolExecutor() as pool:
        found = pool.submit(asyncio.run, together()).result()
    told = [error for error in found if isinstance(error, Refused)]
    assert [(error.status, error.sentence) for error in told] == [(503, middleware.FULL)] * 2
    assert not middleware.CALLS.taken
    assert read(Sender(b"a" * 90)) == b"a" * 90


def test_a_file_is_not_packed_for_its_reader(tiny_app: str) -> None:
    """20 MB of a text of one's own took half a second of a processor each time."""
    files = {"files": ("x.json", b"[" + b"1," * 500_000 + b"1]")}
    [path] = httpx.post(f"{tiny_app}gradio_api/upload", files=files).json()
    answer = httpx.get(f"{tiny_app}gradio_api/file={path}", headers={"Accept-Encoding": "br"})
    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers
    with httpx.stream("GET", f"{tiny_app}theme.css", headers={"Accept-Encoding": "br"}) as answer:
        assert answer.headers["content-encoding"] == "br"
