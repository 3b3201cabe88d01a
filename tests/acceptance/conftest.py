"""The app that is attacked: alone, and behind the shipped nginx."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.acceptance.attacker import Target, attacked, behind_nginx
from tests.serving import NGINX


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave attacks on a running app to `make test-all`."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.full)


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The app itself."""
    with attacked(tmp_path_factory.mktemp("attacked")) as target:
        yield target


@pytest.fixture(scope="session", params=["alone", "nginx"])
def target(request: pytest.FixtureRequest, alone: Target) -> Iterator[Target]:
    """Either way to reach it."""
    if request.param == "nginx" and NGINX is None:
        pytest.skip("nginx is not installed")
    with behind_nginx(alone) if request.param == "nginx" else nullcontext(alone) as reached:
        yield reached
