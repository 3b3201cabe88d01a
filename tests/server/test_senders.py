"""Under which names the app answers, whose page may send something, and whose a session is."""

from typing import Any

import pytest

from ui.server import senders
from ui.server.senders import (
    Sessions,
    allowed_hosts,
    client_of,
    is_known,
    is_own_page,
    new_cookie,
    visitor_of,
)

OWN = "localhost", "LOCALHOST:7860", "127.0.0.1:7860", "[::1]:7860", "me-app.hf.space", "192.0.2.7"
OTHER = "evil.example", "evil.example@127.0.0.1", r"evil.example\@127.0.0.1", "a/@127.0.0.1", ""


def request(client: str = "192.0.2.7", **headers: str) -> dict[str, Any]:
    given = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"client": (client, 1), "headers": given}


def test_our_own_names_are_answered_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(is_known(host, allowed_hosts()) for host in OWN)
    assert not any(is_known(host, allowed_hosts()) for host in (*OTHER, "check.example.org"))
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
    assert client_of(request(client)) == counts_as


def test_on_a_space_it_counts_by_its_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody comes from a few proxies there."""
    monkeypatch.setenv("SPACE_ID", "someone/causalclip")
    given = [new_cookie(request()).decode().partition(";")[0] for _ in range(2)]
    first, second = (client_of(request("10.0.0.1", cookie=cookie)) for cookie in given)
    assert first != second
    assert client_of(request("10.0.0.1")) == "10.0.0.1"


def test_a_cookie_that_we_did_not_sign_is_none() -> None:
    cookie = new_cookie(request()).decode().partition(";")[0]
    assert visitor_of(request(cookie=f"a=b; {cookie}"))
    name, _dot, sign = cookie.partition(".")
    for forged in (f"{name[:-1]}x.{sign}", f"{name}.{'0' * 64}", name, cookie + "0"):
        assert not visitor_of(request(cookie=forged))


def test_a_session_belongs_to_whoever_named_it_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(senders, "MAX_SESSIONS", 3)
    sessions = Sessions()
    cookie = new_cookie(request()).decode().partition(";")[0]
    assert sessions.holds(request(cookie=cookie), "page")
    assert sessions.holds(request("192.0.2.99", cookie=cookie), "page")  # the same browser
    assert not sessions.holds(request(), "page")
    assert sessions.holds(request(), "program")  # without a cookie it counts by its address
    assert not sessions.holds(request("192.0.2.99"), "program")
    for name in "abc":
        assert sessions.holds(request(), name)
    assert len(sessions._holders) == 3
