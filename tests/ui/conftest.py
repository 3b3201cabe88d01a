"""What the tests of the page and its server share."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gradio.context import LocalContext


@pytest.fixture
def answer() -> Iterator[Any]:
    """Says whose event is being answered."""

    def start(session: str | None, address: str = "") -> None:
        client = SimpleNamespace(host=address)
        request = SimpleNamespace(session_hash=session, client=client) if session else None
        LocalContext.request.set(request)  # type: ignore[arg-type]

    yield start
    LocalContext.request.set(None)
