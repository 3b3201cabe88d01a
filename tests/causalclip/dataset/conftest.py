"""Repositories that tests make, and a host that serves them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.causalclip.dataset.hosting import Host, Line, https, make_certificate


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a host on this machine, with its key."""
    return make_certificate(tmp_path_factory.mktemp("certificate") / "host.pem")


@pytest.fixture
def line(host: Host, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """The host's repositories over https, by a certificate that git is told to trust."""
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
    with https(host.folder, certificate) as serving:
        yield serving
