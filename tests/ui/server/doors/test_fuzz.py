"""Generated calls of every function: none is an error of the server. scripts/redteam/fuzz.py makes 20,000."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.redteam.generated import PARTS, Listed, body, calls
from tests.makers.pictures import encode, photo
from ui.server.doors.answers import Refused
from ui.server.doors.schema import Schema

FUZZ = settings(
    max_examples=120, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@pytest.fixture(scope="module")
def target(uploads: Path, tiny_page: Any) -> Any:
    """A client that asks the app again and again, and what can be called."""
    _, address = tiny_page
    with httpx.Client(base_url=address) as http:
        [path] = http.post("gradio_api/upload", files={"files": ("x.jpg", encode(photo(64, 64), "JPEG"))}).json()
        yield http, Listed(http.get("config").json(), path)


@FUZZ
@given(data=st.data())
def test_no_call_is_an_error_of_the_server(target: Any, data: st.DataObject) -> None:
    http, page = target
    call = data.draw(calls(page))
    answer = http.post(f"gradio_api/{call.route}", content=call.content, headers=call.headers)
    assert answer.status_code < 500 or "queue is full" in answer.text, call


@FUZZ
@given(raw=st.binary(max_size=300) | st.text(max_size=300).map(str.encode) | PARTS.map(body))
def test_what_is_read_is_a_call_or_a_sentence(tiny_page: Any, raw: bytes) -> None:
    try:
        call = Schema(tiny_page[0]).read(raw, "detect")
    except Refused:
        return
    sent = json.loads(call.model_dump_json())
    assert tiny_page[0].fns[sent["fn_index"]].api_name == "detect"
