"""The attacks that take seconds, on the app as a user starts it: alone, and behind the shipped
proxy."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from scripts.redteam.__main__ import QUICK
from scripts.redteam.target import Target
from tests.serving import Served, proxied


@pytest.fixture(scope="module")
def targets(real_app: Served) -> Iterator[dict[str, Target]]:
    alone = Target(real_app, real_app.output.parent / "kept", real_app.address)
    with proxied(real_app.address) as proxy:
        yield {"alone": alone, "behind the proxy": replace(alone, address=proxy.address)}


@pytest.mark.parametrize("place", ["alone", "behind the proxy"])
@pytest.mark.parametrize("one", QUICK, ids=lambda one: one.__name__)
def test_it_holds(targets: dict[str, Target], one: Any, place: str) -> None:
    held, said = one(targets[place])
    assert held, said
