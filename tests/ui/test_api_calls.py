"""Calls of /api/v1 that schemathesis makes up from its own document, good and bad: each is answered as described.

The routes stand behind the app's own middleware, without Gradio, and a small random detector answers.
"""

from pathlib import Path
from typing import Any

import gradio as gr
import hypothesis
import pytest
import schemathesis
from hypothesis import strategies
from PIL import Image
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.applications import Starlette
from starlette.middleware import Middleware

from tests.makers.detectors import tiny_detector
from tests.makers.pictures import encode, photo
from ui.api import routes
from ui.pairing import PAIRINGS
from ui.server.middleware import Middleware as Guard
from ui.server.sessions import Sessions

CALLS = 250  # of each operation, good ones and bad ones
HOST = "127.0.0.1"
ORIGIN = "chrome-extension://abcdefghijklmnop"  # only an extension is paired
CHECKS: list[Any] = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SETTINGS = hypothesis.settings(
    max_examples=CALLS, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
)


@pytest.fixture
def schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setenv("CAUSALCLIP_PAIRED", str(tmp_path / "paired.json"))
    whole = [encode(photo(width, 96), kind) for width, kind in ((128, "PNG"), (96, "JPEG"), (20, "PNG"))]
    whole.append(encode(Image.new("RGB", (96, 96), "white"), "PNG"))  # gets no answer
    damaged = [whole[0][:500], whole[1][:-40] + bytes(40), b"GIF89a", b""]
    schemathesis.openapi.media_type("image/jpeg", strategies.sampled_from([*whole, *damaged]) | strategies.binary())
    detector = tiny_detector()
    guards = [Middleware(Guard, sessions=Sessions(gr.Blocks()), pairings=PAIRINGS)]
    app = Starlette(routes=routes(lambda: detector), middleware=guards)
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers={"Host": HOST})


@pytest.mark.full
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
def test_every_call_is_answered_as_described(schema: Any, mode: GenerationMode) -> None:
    answers: set[tuple[str, int]] = set()

    def ask(case: Any) -> None:
        if case.path.endswith("/pair"):
            case.headers = {**(case.headers or {}), "Origin": ORIGIN}
        answer = case.call(headers={"Host": HOST})
        answers.add((case.path, answer.status_code))
        case.validate_response(answer, checks=CHECKS)

    for operation in schema.get_all_operations():
        cases = operation.ok().as_strategy(generation_mode=mode)
        hypothesis.seed(36)(SETTINGS(hypothesis.given(case=cases)(ask)))()
    assert len({path for path, _ in answers}) == 2
    assert ("/api/v1/examine", 200 if mode is GenerationMode.POSITIVE else 400) in answers
