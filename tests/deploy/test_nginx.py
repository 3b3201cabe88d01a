"""The shipped nginx before a small app: what it holds off, what it passes on, and what it says of itself."""

import asyncio
import contextlib
import resource
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
import uvicorn
from gradio_client import Client, handle_file
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.conftest import HANGS, ROOT
from tests.makers.keeping import until
from tests.makers.pictures import encode, photo
from tests.proxy import Proxied, proxied

CALL = b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n"
SOON = 8.0  # seconds: less than nginx lets anybody wait


@pytest.fixture(scope="module")
def small_app() -> Iterator[str]:
    """Says what it is told: headers, how long a body took to arrive, four events or more, a long answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(_told(), port=port, log_level="critical", forwarded_allow_ips=""))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while thread.is_alive() and not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join(HANGS)


def _told() -> Starlette:
    async def headers(request: Request) -> Response:
        said = {"content-security-policy": "default-src 'self'", "x-content-type-options": "nosniff"}
        return JSONResponse(dict(request.headers), headers=said)

    async def upload(request: Request) -> Response:
        started = time.monotonic()
        body = await request.body()
        return JSONResponse({"size": len(body), "seconds": time.monotonic() - started})

    async def events(request: Request) -> Response:
        async def some() -> object:  # type: ignore[misc]
            for number in range(int(request.query_params.get("events", 4))):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0.8)

        return StreamingResponse(some(), media_type="text/event-stream")  # type: ignore[arg-type]

    async def asset(request: Request) -> Response:
        return Response(f"{time.monotonic_ns()} {request.path_params['path']}", media_type="text/css")

    async def long(request: Request) -> Response:
        return Response(b"x" * int(request.query_params["size"]))

    return Starlette(
        routes=[
            Route("/gradio_api/upload", upload, methods=["POST"]),
            Route("/gradio_api/queue/data", events),
            Route("/assets/{path:path}", asset),
            Route("/long", long),
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
        told = http.get(f"{proxy.address}config", headers=dict.fromkeys(names, "evil.example")).json()
    assert told["x-forwarded-for"] == "127.0.0.9"
    assert told["host"] == urlsplit(proxy.address).netloc
    assert "evil.example" not in str(told)


def test_behind_another_proxy_people_keep_their_addresses_and_https(small_app: str) -> None:
    """As deploy/site/behind.conf.example has it; who is not that proxy counts by the own address."""
    shipped = (ROOT / "deploy" / "site" / "behind.conf.example").read_text()
    here = shipped.replace("192.0.2.1", "127.0.0.7")
    headers = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "gopher"}
    with proxied(small_app, site={"behind.conf": here}) as before:
        for source, client in (("127.0.0.7", "203.0.113.5"), ("127.0.0.9", "127.0.0.9")):
            with from_address(source) as http:
                told = http.get(f"{before.address}config", headers=headers).json()
            assert (told["x-forwarded-for"], told["x-forwarded-proto"]) == (client, "https")


def test_what_comes_slowly_reaches_the_app_at_once(proxy: Proxied) -> None:
    def slowly() -> Iterator[bytes]:
        for _ in range(8):
            time.sleep(0.25)
            yield b"x" * 25_000

    told = httpx.post(f"{proxy.address}gradio_api/upload", content=slowly()).json()
    assert told["size"] == 200_000
    assert told["seconds"] < 1  # of the two that it took


def test_events_go_on_one_by_one(proxy: Proxied) -> None:
    started = time.monotonic()
    with httpx.stream("GET", f"{proxy.address}gradio_api/queue/data") as answer:
        came = [time.monotonic() - started for line in answer.iter_lines() if line]
    assert len(came) == 4
    assert came[-1] - came[0] > 0.6


def test_style_and_scripts_are_asked_of_the_app_once(proxy: Proxied) -> None:
    assert len({httpx.get(f"{proxy.address}assets/style.css").text for _ in range(3)}) == 1


def test_nobody_can_have_another_file_kept_as_a_script(proxy: Proxied) -> None:
    connection = connect(proxy, b"GET /assets/one.js#/../style.css HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert b" 200 " in connection.recv(100)
    connection.close()
    assert " one.js#" not in httpx.get(f"{proxy.address}assets/one.js").text


@pytest.mark.parametrize(
    ("count", "sent"),
    [(1050, b"GET / HTTP/1.1\r\nHost: loc"), (300, CALL + b"x" * 500_000)],
    ids=["half-open", "bodies"],
)
def test_many_that_do_not_go_on_keep_nobody_out(proxy: Proxied, count: int, sent: bytes) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            with contextlib.suppress(OSError):  # refused: too many from there
                stack.enter_context(connect(proxy, sent, source="127.0.0.7"))
        started = time.monotonic()
        with from_address("127.0.0.8") as http:
            assert http.get(f"{proxy.address}config").status_code == 200
        assert time.monotonic() - started < SOON


def _long(size: int) -> bytes:
    return b"GET /long?size=%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % size


def test_slow_readers_of_files_do_not_fill_the_proxys_room(proxy: Proxied) -> None:
    """Uploads that are coming lie there, too."""
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(connect(proxy, _long(20_000_000), source="127.0.0.10"))
        assert until(lambda: kept_by(proxy) > 0)
        time.sleep(1.5)  # in which more would come
        assert kept_by(proxy) < 5 * 2**21


def kept_by(proxy: Proxied) -> int:
    """Bytes of answers that wait in its files for their clients."""
    kept = 0
    for worker in psutil.Process(proxy.process.pid).children():
        for opened in Path(f"/proc/{worker.pid}/fd").iterdir():  # it has deleted their names
            with contextlib.suppress(OSError):
                kept += opened.stat().st_size * ("/answers/" in str(opened.readlink()))
    return kept


def test_one_that_never_reads_costs_the_app_nothing(proxy: Proxied, small_app: str) -> None:
    with connect(proxy, _long(900_000), source="127.0.0.6"):
        time.sleep(1.5)
        assert until(lambda: unsent_by(small_app) == 0, seconds=SOON)  # the proxy has taken all of it


def unsent_by(app: str) -> int:
    """Bytes that wait in the app for who has asked."""
    port = urlsplit(app).port
    with open("/proc/net/tcp", encoding="ascii") as table:
        lines = [line.split() for line in table][1:]
    return sum(int(line[4].split(":")[0], 16) for line in lines if int(line[1].split(":")[1], 16) == port)


def test_too_many_from_one_address_are_told_so(proxy: Proxied) -> None:
    ask = b"GET /gradio_api/queue/data?events=100 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(120):
            stack.enter_context(connect(proxy, ask, source="127.0.0.5"))
        with from_address("127.0.0.5") as http:
            assert until(lambda: http.get(f"{proxy.address}config").status_code == 429)  # once nginx has read them
            answers = [http.get(f"{proxy.address}config") for _ in range(2)]
        with from_address("127.0.0.8") as http:
            assert http.get(f"{proxy.address}config").status_code == 200
    assert {answer.status_code for answer in answers} == {429}
    assert "Wait ten seconds" in answers[0].text
    assert answers[0].headers["retry-after"] == "10"


@pytest.mark.parametrize("path", [b"gradio_api/upload", b"gradio_api/mcp/", b"api/v1/examine"], ids=str)
def test_bodies_that_are_coming_are_few_of_one_address(proxy: Proxied, path: bytes) -> None:
    """Each may be of tens of MB, and lies in memory until it is whole."""
    begun = b"POST /%b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n\r\nx" % path
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(connect(proxy, begun, source="127.0.0.4"))
        with from_address("127.0.0.4") as http:
            post = partial(http.post, f"{proxy.address}{path.decode()}", content=b"x")
            assert until(lambda: post().status_code == 429)  # once nginx has read them
            assert http.get(f"{proxy.address}{path.decode()}").status_code in ({200, 405} if b"mcp" in path else {429})


def test_bodies_that_are_coming_are_200_of_everybody() -> None:
    """Eight of each address. Nothing is behind it: who is let in hears that the app is away."""
    ways = [b"gradio_api/upload", b"api/v1/examine"]
    begun = [b"POST /%b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n\r\nx" % way for way in ways]
    with proxied("http://127.0.0.1:9/") as before, contextlib.ExitStack() as stack, from_address("127.0.0.4") as http:
        post = partial(http.post, f"{before.address}gradio_api/upload", content=b"x")
        for first, last in ((0, 190), (190, 210)):
            assert post().status_code == 503
            for number in range(first, last):
                stack.enter_context(connect(before, begun[number % 2], source=f"127.0.1.{1 + number // 8}"))
        assert until(lambda: post().status_code == 429)  # once nginx has read them
        assert "from all" in post().text


STREAM = b"gradio_api/queue/data?session_hash=x"


@pytest.mark.parametrize(
    ("path", "most"),
    [(b"gradio_api/info", 300), (STREAM, 300), (b"", 100), (b"config", 100), (b"?view=1", 100)],
    ids=str,
)
def test_calls_and_pages_have_a_rate(path: bytes, most: int) -> None:
    """Seven hundred at once, which nginx answers alone: nothing is behind it."""
    ask = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path
    with proxied("http://127.0.0.1:9/") as before, connect(before, ask * 700) as connection:
        answers, started = b"", time.monotonic()
        while answers.count(b"HTTP/1.1 ") < 700:
            answers += connection.recv(65536)
        more = 30 * (time.monotonic() - started) + 10
    assert most < answers.count(b"HTTP/1.1 503") <= most + more
    assert answers.count(b"HTTP/1.1 429") > 0


@pytest.mark.parametrize(("network", "told"), [("2001:db8:1:2:{:x}::1", True), ("2001:db8:1:{:x}::1", False)])
def test_a_network_of_64_bits_counts_as_one_address(network: str, told: bool) -> None:
    """Asked for the page 130 times, where 100 are let in at once; nothing is behind it."""
    site = {"real.conf": "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;"}
    ask = "GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: %s\r\n\r\n"
    asked = "".join(ask % network.format(number) for number in range(1, 131)).encode()
    with proxied("http://127.0.0.1:9/", site=site) as before, connect(before, asked) as connection:
        answers = b""
        while answers.count(b"HTTP/1.1 ") < 130:
            answers += connection.recv(65536)
    assert (b"HTTP/1.1 429" in answers) == told


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("gradio_api/queue/join", 1_100_000, 200),
        ("gradio_api/queue/join", 2_000_000, 413),
        ("gradio_api/upload", 20_000_000, 200),
        ("gradio_api/mcp/", 27_000_000, 200),
        ("api/v1/examine", 23_000_000, 413),
        ("share", 20_000_000, 200),
        ("share", 23_000_000, 413),
    ],
)
def test_a_body_has_a_limit_by_what_it_is_for(proxy: Proxied, path: str, size: int, status: int) -> None:
    answer = httpx.post(f"{proxy.address}{path}", content=b"x" * size)
    assert answer.status_code == status
    if status == 413:
        assert "20 MB" in answer.text


def test_its_own_answers_have_the_headers_and_the_apps_are_left_as_they_are(proxy: Proxied) -> None:
    own = httpx.get(f"{proxy.address}metrics")
    assert own.status_code == 404
    assert "frame-ancestors 'none'" in own.headers["content-security-policy"]
    assert own.headers["x-content-type-options"] == "nosniff"
    assert "1.26" not in str(own.headers) + own.text
    apps = httpx.get(f"{proxy.address}config").headers
    assert apps.get_list("content-security-policy") == ["default-src 'self'"]
    assert apps.get_list("x-content-type-options") == ["nosniff"]
    large = httpx.get(f"{proxy.address}config", headers={"X-Large": "x" * 40_000})
    assert large.status_code == 400
    assert large.text.endswith(".")


@pytest.mark.parametrize(
    "line",
    [
        b"OPTIONS * HTTP/1.1",
        b"CONNECT localhost:80 HTTP/1.1",
        b"TRACE / HTTP/1.1",
        b"get / HTTP/1.1",
        b"GET /static/../../etc/passwd HTTP/1.1",
        b"GET /%00x HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"GET / HTTP/9.9",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: strange",
    ],
    ids=lambda line: line[:30].decode(),
)
def test_what_cannot_be_read_is_the_clients_fault_and_gets_a_sentence(proxy: Proxied, line: bytes) -> None:
    connection = connect(proxy, line + b"\r\nHost: localhost\r\n\r\n")
    answer = b""
    while more := connection.recv(65536):
        answer += more
        if b"page again." in answer:
            break
    connection.close()
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.endswith(b"page again.")
    assert b"nosniff" in answer


def test_a_request_without_a_name_is_one_that_the_app_can_read(tiny_app: str) -> None:
    """Of others it logs a line each."""
    with proxied(tiny_app) as before:
        connection = connect(before, b"GET /config HTTP/1.0\r\n\r\n")
        answer = connection.recv(65536)
        connection.close()
    assert answer.startswith(b"HTTP/1.1 421")


def test_an_app_that_is_away_is_said_to_be(small_app: str) -> None:
    with proxied("http://127.0.0.1:9/") as before:
        answer = httpx.get(before.address)
    assert answer.status_code == 503
    assert answer.text.endswith(".")


def test_nothing_of_a_buffered_upload_is_logged_or_left(proxy: Proxied) -> None:
    httpx.post(f"{proxy.address}gradio_api/upload", content=b"x" * 5_000_000, params={"name": "secret"})
    assert proxy.log.read_text() == ""
    assert not [path for path in (proxy.log.parent / "body").rglob("*") if path.is_file()]


def test_the_app_answers_behind_it(tiny_app: str) -> None:
    with proxied(tiny_app) as before:
        client = Client(before.address, verbose=False)
        path = before.log.parent / "picture.jpg"
        path.write_bytes(encode(photo(64, 64), "JPEG"))
        assert client.predict(handle_file(str(path)), api_name="/provenance")
        client.close()
