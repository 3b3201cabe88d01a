"""The app listens on this machine alone, unless somebody has said otherwise."""

import resource
from collections.abc import Iterator

import pytest

from ui.server.doors.exposure import CONNECTIONS, open_many, refuse_exposure


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CAUSALCLIP_EXPOSED", "SPACE_ID", "FORWARDED_ALLOW_IPS", "GRADIO_SERVER_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("address", [None, "127.0.0.1", "localhost", "::1", "[::1]", "127.9.9.9"])
def test_this_machine_is_its_own(address: str | None) -> None:
    refuse_exposure(address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.5", "check.example.org"])
def test_elsewhere_it_asks_to_be_told(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="CAUSALCLIP_EXPOSED=1"):
        refuse_exposure(address)
    monkeypatch.setenv("GRADIO_SERVER_NAME", address)
    with pytest.raises(SystemExit):
        refuse_exposure(None)


@pytest.mark.parametrize("proxies", ["127.0.0.1", "127.0.0.1,::1", "*", ""])
def test_whoever_is_believed_is_no_proxy(proxies: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", proxies)
    with pytest.raises(SystemExit):
        refuse_exposure("0.0.0.0")


@pytest.mark.parametrize(
    ("name", "value"), [("CAUSALCLIP_EXPOSED", "1"), ("SPACE_ID", "a/b"), ("FORWARDED_ALLOW_IPS", "172.28.0.2")]
)
def test_who_runs_it_may_say_so(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    refuse_exposure("0.0.0.0")


@pytest.fixture
def few() -> Iterator[int]:
    """What the system allows at most, where the process has only a part of it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[0], 1024), before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_it_takes_as_many_connections_as_the_system_allows(few: int) -> None:
    open_many()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(few, CONNECTIONS)
