"""Which requests are let in, asked of the app over HTTP as a stranger would."""

import socket
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import Raw
from ui.server.doors.hosts import allowed_hosts, counted, is_known, is_own_page

ADDRESSES = (
    "http://192.0.2.1/x.png",
    "https://example.org/x.png",
    "http:%2F%2F192.0.2.1/x.png",
    "http%3A%2F%2F192.0.2.1%2Fx.png",
    "http%253A%252F%252F192.0.2.1%252Fx.png",
    "%2568ttp://example.org/",
    "HTTP://192.0.2.1/",
    "%20http://192.0.2.1/",
    "//192.0.2.1/x.png",
    "ftp://192.0.2.1/",
    "file:///etc/passwd",
    "data:text/html,x",
)


@pytest.fixture
def network() -> Iterator[list[str]]:
    """Every name that is looked up and every other machine that is spoken to while a test runs."""
    seen: list[str] = []
    watching = True

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "socket.getaddrinfo":
            seen.append(f"{event} {arguments[0]!r}")
        if watching and event == "socket.connect" and isinstance(arguments[1], tuple):
            seen.append(f"{event} {arguments[1][0]!r}")

    sys.addaudithook(watch)
    yield seen
    watching = False


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("route", ["file=", "file/", "proxy="])
@pytest.mark.parametrize("address", ADDRESSES)
def test_no_address_is_fetched(raw: Raw, network: list[str], method: str, route: str, address: str) -> None:
    status, _ = raw(method, f"/gradio_api/{route}{address}")
    assert status == 404
    assert [line for line in network if "127.0.0.1" not in line] == []


def test_the_watch_sees_a_look_up(network: list[str]) -> None:
    with pytest.raises(OSError, match=r"."):
        socket.getaddrinfo("no-such-name.invalid", 80)
    assert network == ["socket.getaddrinfo 'no-such-name.invalid'"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/process_recording"),
        ("GET", "/monitoring"),
        ("GET", "/monitoring/summary"),
        ("GET", "/gradio_api/deep_link"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/vibe-edit"),
        ("POST", "/gradio_api/api/detect"),
        ("POST", "/gradio_api/run/detect"),
        ("GET", "/gradio_api/stream/a/b/1/playlist.m3u8"),
        ("GET", "/gradio_api/runs"),
        ("GET", "/gradio_api/queue/status"),
        ("POST", "/login"),
        ("GET", "/gradio_api/dev/reload"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/file=a%00b"),
        ("GET", f"/gradio_api/file=/{'a' * 5000}"),
        ("PUT", "/gradio_api/upload"),
    ],
)
def test_what_nobody_needs_is_closed(raw: Raw, method: str, path: str) -> None:
    status, text = raw(method, path)
    assert status == 404
    assert "There is nothing here" in text


@pytest.mark.parametrize(
    "path", ["/", "/config", "/theme.css", "/gradio_api/info", "/manifest.json", "/gradio_api/app_id"]
)
def test_what_the_page_needs_is_open(raw: Raw, path: str) -> None:
    assert raw("GET", path)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:7860", "", "[", "a b"]
)
def test_under_a_strange_name_there_is_a_sentence(raw: Raw, host: str) -> None:
    status, text = raw("GET", "/", host=host)
    assert 400 <= status < 500
    assert "CAUSALCLIP_HOSTS" in text


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:7860", "127.0.0.1:7860", "[::1]:7860", "me-app.hf.space", "192.0.2.7"]
)
def test_our_own_names_are_answered(host: str) -> None:
    assert is_known(host, allowed_hosts())


def test_the_environment_adds_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_known("check.example.org", allowed_hosts())
    monkeypatch.setenv("CAUSALCLIP_HOSTS", "Check.example.org, *.example.net")
    assert is_known("check.example.org:443", allowed_hosts())
    assert is_known("a.example.net", allowed_hosts())
    assert is_own_page("https://a.example.net", "check.example.org", "cross-site", allowed_hosts())


@pytest.mark.parametrize(
    ("origin", "site"),
    [
        ("https://evil.example", ""),
        ("https://other.hf.space", ""),
        ("http://localhost:1", ""),
        ("null", ""),
        ("http://[", ""),
        ("http://evil.example, http://localhost", ""),
        ("http://evil.example#://localhost", ""),
        ("chrome-extension://localhost", ""),
        ("", "cross-site"),
    ],
)
@pytest.mark.parametrize("route", ["upload", "queue/join", "call/detect", "mcp/"])
def test_a_page_of_another_site_may_send_nothing(raw: Raw, origin: str, site: str, route: str) -> None:
    headers = {"Origin": origin} if origin else {"Sec-Fetch-Site": site}
    status, text = raw("POST", f"/gradio_api/{route}", body=b"x" * 100_000, **headers)
    assert status == 403
    assert "another site" in text


def test_our_own_page_may(tiny_app: str) -> None:
    sent = httpx.post(
        f"{tiny_app}gradio_api/upload",
        files={"files": ("x.jpg", b"x", "image/jpeg")},
        headers={"Origin": tiny_app.rstrip("/"), "Sec-Fetch-Site": "same-origin"},
    )
    assert sent.status_code == 200
    for host in ("me-app.hf.space", "Me-App.hf.space:443"):  # some proxies name the port
        assert is_own_page("https://me-app.hf.space", host, "same-origin", allowed_hosts())


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
