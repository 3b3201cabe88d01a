"""compose.yaml starts the app so that the proxy alone reaches it, and both with no more rights than they need."""

from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from ui.server.doors.exposure import refuse_exposure

COMPOSED: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSED["services"]


@pytest.mark.parametrize("name", ["app", "proxy"])
def test_neither_may_do_more_than_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["healthcheck"]["test"]
    [temporary] = service["tmpfs"]
    assert temporary.startswith("/tmp:size=")


def test_the_proxy_alone_is_reached_and_on_this_machine_unless_told() -> None:
    assert "ports" not in SERVICES["app"]
    assert SERVICES["proxy"]["ports"] == ["${CAUSALCLIP_LISTEN:-127.0.0.1:8080}:8080"]
    assert list(SERVICES["app"]["networks"]) == ["inside"]
    assert COMPOSED["networks"]["inside"]["internal"]
    assert SERVICES["proxy"]["depends_on"]["app"] == {"condition": "service_healthy"}


def test_the_app_believes_the_proxy_and_listens_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    believed = SERVICES["app"]["environment"]["FORWARDED_ALLOW_IPS"]
    assert believed == SERVICES["proxy"]["networks"]["inside"]["ipv4_address"]
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", believed)
    refuse_exposure("0.0.0.0")


def test_what_they_are_built_from_is_there() -> None:
    for name in ("app", "proxy"):
        assert (ROOT / SERVICES[name]["build"] / "Dockerfile").is_file()
    built = (ROOT / "deploy" / "Dockerfile").read_text()
    assert "COPY nginx.conf " in built
    assert "server app:7860 " in (ROOT / "deploy" / "nginx.conf").read_text()
