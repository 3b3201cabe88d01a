"""The shipped nginx before a small app: what it holds off, what it passes on, and what it says of
itself."""

import contextlib
import resource
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.conftest import HANGS, ROOT
from tests.makers.pictures import encode, photo
from tests.serving import Proxied, proxied, until


@pytest.fixture(scope="module")
def small_app() -> Iterator[str]:
    """Says what it is told: headers, and how long a body is."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(_told(), port=port, log_level="critical", forwarded_allow_ips="")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while thread.is_alive() and not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join(HANGS)


def _told() -> Starlette:
    async def headers(request: Request) -> Response:
        said = {
            "content-security-policy": "default-src 'self'",
            "x-content-type-options": "nosniff",
        }
        return JSONResponse(dict(request.headers), headers=said)

    async def taken(request: Request) -> Response:
        return JSONResponse({"size": len(await request.body())})

    return Starlette(
        routes=[
            Route("/gradio_api/upload", taken, methods=["POST"]),
            Route("/{path:path}", headers, methods=["GET", "POST"]),
        ]
    )


@pytest.fixture(scope="module")
def proxy(small_app: str) -> Iterator[Proxied]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    with proxied(small_app) as before:
        yield before


def connect(proxy: Proxied, sent: bytes = b"", *, source: str = "127.0.0.1") -> socket.socket:
    """A connection from one of this machine's own addresses that takes in little."""
    place = urlsplit(proxy.address)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.bind((source, 0))
    connection.settimeout(HANGS)
    connection.connect((place.hostname, place.port))
    connection.sendall(sent)
    return connection


def from_address(source: str) -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(local_address=source))


def test_the_app_is_told_the_clients_address_and_none_of_its_lies(proxy: Proxied) -> None:
    names = ("X-Forwarded-For", "X-Forwarded-Host", "X-Gradio-Server", "Forwarded", "Upgrade")
    with from_address("127.0.0.9") as http:
        told = http.get(
            f"{proxy.address}config", headers=dict.fromkeys(names, "evil.example")
        ).json()
    assert told["x-forwarded-for"] == "127.0.0.9"
    assert told["host"] == urlsplit(proxy.address).netloc
    assert "evil.example" not in str(told)


def test_behind_another_proxy_people_keep_their_addresses_and_https(small_app: str) -> None:
    """As deploy/site/behind.conf.example has it; who is not that proxy counts by the own
    address."""
    shipped = (ROOT / "deploy" / "site" / "behind.conf.example").read_text()
    here = shipped.replace("192.0.2.1", "127.0.0.7")
    headers = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "gopher"}
    with proxied(small_app, site={"behind.conf": here}) as before:
        for source, client in (("127.0.0.7", "203.0.113.5"), ("127.0.0.9", "127.0.0.9")):
            with from_address(source) as http:
                told = http.get(f"{before.address}config", headers=headers).json()
            assert (told["x-forwarded-for"], told["x-forwarded-proto"]) == (client, "https")


@pytest.mark.parametrize(
    ("path", "most"),
    [(b"gradio_api/upload", 8), (b"api/v1/examine", 8), (b"gradio_api/queue/join", 120)],
    ids=str,
)
def test_bodies_that_are_coming_are_few_of_one_address(
    proxy: Proxied, path: bytes, most: int
) -> None:
    """Each may be of tens of MB, and lies in memory until it is whole; of other requests more
    may come."""
    begun = b"POST /%b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\nx" % path
    with contextlib.ExitStack() as stack:
        for _ in range(most):
            stack.enter_context(connect(proxy, begun, source="127.0.0.4"))
        with from_address("127.0.0.4") as http:
            post = partial(http.post, f"{proxy.address}{path.decode()}", content=b"x")
            assert until(lambda: post().status_code == 429)  # once nginx has read them
            assert http.get(f"{proxy.address}{path.decode()}").status_code == 429


def test_calls_have_a_rate() -> None:
    """Seven hundred at once, which nginx answers alone: nothing is behind it."""
    ask = b"GET /gradio_api/info HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with proxied("http://127.0.0.1:9/") as before, connect(before, ask * 700) as connection:
        answers, started = b"", time.monotonic()
        while answers.count(b"HTTP/1.1 ") < 700:
            answers += connection.recv(65536)
        more = 30 * (time.monotonic() - started) + 10
    assert 300 < answers.count(b"HTTP/1.1 503") <= 300 + more
    assert answers.count(b"HTTP/1.1 429") > 0


@pytest.mark.parametrize("path", [b"", b"config", b"?view=1"], ids=str)
def test_of_many_pages_at_once_few_come_at_once(path: bytes) -> None:
    """An address asks for 116, over as many connections: the first ten come at once, ninety wait
    for their turn, the others are refused."""
    ask = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path
    with proxied("http://127.0.0.1:9/") as before, contextlib.ExitStack() as stack:
        started = time.monotonic()
        connections = [stack.enter_context(connect(before, ask)) for _ in range(116)]
        statuses: list[bytes] = []

        def answered() -> bool:
            readable, _, _ = select.select(connections, [], [], 0)
            for connection in readable:
                statuses.append(connection.recv(4096)[9:12])
                connections.remove(connection)
            return statuses.count(b"429") >= 5

        assert until(answered)
        more = 2 * (time.monotonic() - started) + 2
    assert 10 <= statuses.count(b"503") <= 11 + more
    assert len(connections) >= 90 - more  # these wait for their turn


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("gradio_api/queue/join", 600_000, 200),
        ("gradio_api/queue/join", 1_000_000, 413),
        ("gradio_api/upload", 20_000_000, 200),
        ("api/v1/examine", 23_000_000, 413),
    ],
)
def test_a_body_has_a_limit_by_what_it_is_for(
    proxy: Proxied, path: str, size: int, status: int
) -> None:
    answer = httpx.post(f"{proxy.address}{path}", content=b"x" * size)
    assert answer.status_code == status
    if status == 413:
        assert "20 MB" in answer.text


def test_its_own_answers_have_the_headers_and_the_apps_are_left_as_they_are(proxy: Proxied) -> None:
    own = httpx.post(f"{proxy.address}config", content=b"x" * 2_000_000)
    assert own.status_code == 413
    assert "frame-ancestors 'none'" in own.headers["content-security-policy"]
    assert own.headers["x-content-type-options"] == "nosniff"
    assert "1.26" not in str(own.headers) + own.text
    apps = httpx.get(f"{proxy.address}config").headers
    assert apps.get_list("content-security-policy") == ["default-src 'self'"]
    assert apps.get_list("x-content-type-options") == ["nosniff"]
    large = httpx.get(f"{proxy.address}config", headers={"X-Large": "x" * 40_000})
    assert large.status_code == 400
    assert large.text.endswith(".")


def test_nothing_of_a_buffered_upload_is_logged_or_left(proxy: Proxied) -> None:
    httpx.post(
        f"{proxy.address}gradio_api/upload", content=b"x" * 5_000_000, params={"name": "secret"}
    )
    assert proxy.log.read_text() == ""
    assert not [path for path in (proxy.log.parent / "body").rglob("*") if path.is_file()]


def test_nothing_of_an_upload_is_logged_where_the_disk_fails(small_app: str) -> None:
    """SECURITY.md's promise 4."""
    with proxied(small_app) as before:
        shutil.rmtree(before.log.parent / "body")
        address = f"{before.address}gradio_api/upload"
        answer = httpx.post(address, content=b"x" * 5_000_000, params={"name": "secret"})
        assert answer.status_code == 503
        assert before.log.read_text() == ""


EXAMPLE = (ROOT / "deploy" / "site" / "https.conf.example").read_text()
TOKEN = "made-up-by-the-host"
LOGIN = EXAMPLE[EXAMPLE.index("# A login") :]


@pytest.fixture(scope="module")
def guarded(tiny_app: str) -> Iterator[Proxied]:
    digest = subprocess.run(
        ["openssl", "passwd", "-6", "secret"], capture_output=True, text=True, check=True
    ).stdout
    with (
        pytest.MonkeyPatch.context() as patch,
        proxied(tiny_app, site={"login.conf": LOGIN, "people": f"anna:{digest}"}) as before,
    ):
        patch.setenv("CAUSALCLIP_TOKEN", TOKEN)
        yield before


def test_people_log_in(guarded: Proxied) -> None:
    for path in ("", "config", "gradio_api/info", "manifest.json"):
        asked = httpx.get(f"{guarded.address}{path}")
        assert (asked.status_code, "CausalCLIP" in asked.headers["www-authenticate"]) == (401, True)
        assert httpx.get(f"{guarded.address}{path}", auth=("anna", "wrong")).status_code == 401
    assert httpx.get(guarded.address, auth=("anna", "secret")).status_code == 200
    assert httpx.get(f"{guarded.address}%61pi/v1/../../config").status_code == 401
    assert httpx.get(f"{guarded.address}healthz").status_code != 401


def test_programs_bring_the_token(guarded: Proxied) -> None:
    address, files = f"{guarded.address}api/v1/examine", {"picture": encode(photo(64, 64), "JPEG")}
    assert httpx.post(address, files=files).status_code == 401
    assert httpx.post(address, files=files, auth=("anna", "secret")).status_code == 401
    answer = httpx.post(address, files=files, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200, answer.text


def test_nothing_of_it_is_logged(guarded: Proxied) -> None:
    assert guarded.log.read_text() == ""
