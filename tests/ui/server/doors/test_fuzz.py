"""Generated calls of every function: none is an error of the server, none reaches another machine, nothing grows.

CAUSALCLIP_FUZZ says how many calls are made; the full amount is 20,000.
"""

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.redteam.hostile import VALUES
from tests.makers.pictures import encode, photo
from ui.server.doors.schema import BadCallError, Schema

CALLS = int(os.environ.get("CAUSALCLIP_FUZZ", "200"))
ODD = st.sampled_from(["NaN", "-Infinity", "1e999", '"\\ud800"', "1" * 400, "[" * 300 + "]" * 300])
PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=50)
)
TREES = st.recursive(
    PLAIN | st.sampled_from(VALUES),
    lambda some: st.lists(some, max_size=4) | st.dictionaries(st.text(max_size=8) | st.just("path"), some, max_size=4),
    max_leaves=12,
)
VALUE = TREES.map(json.dumps) | ODD
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "session_hash": TREES.map(json.dumps) | st.just('"fuzz"') | ODD,
        "event_data": VALUE,
        "trigger_id": VALUE,
        "event_id": VALUE,
        "batched": VALUE,
        "simple_format": VALUE,
        "fn_index": VALUE,
    },
)
FUZZ = settings(
    max_examples=CALLS, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


def body(parts: dict[str, str]) -> bytes:
    return ("{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in parts.items()) + "}").encode()


@pytest.fixture(scope="module")
def target(uploads: Path, tiny_page: Any) -> Any:
    """The app's address, its functions, and a client that asks it again and again."""
    _, address = tiny_page
    with httpx.Client(base_url=address, timeout=120) as http:
        [path] = http.post("gradio_api/upload", files={"files": ("x.jpg", encode(photo(64, 64), "JPEG"))}).json()
        yield http, http.get("config").json()["dependencies"], path


@FUZZ
@given(data=st.data())
def test_no_call_is_an_error_of_the_server(target: Any, data: st.DataObject) -> None:
    http, functions, path = target
    function = data.draw(st.sampled_from(functions))
    good = st.just(json.dumps({"path": path, "meta": {"_type": "gradio.FileData"}})) | st.just("null")
    values = data.draw(st.lists(VALUE | good, min_size=len(function["inputs"]), max_size=len(function["inputs"])))
    parts = data.draw(PARTS) | {"data": f"[{', '.join(values)}]"}
    ways = ["queue/join", "run/predict", f"call/{function['api_name']}", "cancel", "reset"]
    way = data.draw(st.sampled_from(ways))
    if data.draw(st.booleans()):
        parts["fn_index"] = str(function["id"])
    number = data.draw(st.integers(0, 250))  # so that no limit is in the way
    sent = {"Content-Type": "application/json", "X-Forwarded-For": f"192.0.2.{number}"}
    answer = http.post(f"gradio_api/{way}", content=body(parts), headers=sent)
    assert answer.status_code < 500 or "queue is full" in answer.text, (way, function["api_name"], parts)


@FUZZ
@given(raw=st.binary(max_size=300) | st.text(max_size=300).map(str.encode) | PARTS.map(body))
def test_what_is_read_is_a_call_or_a_sentence(tiny_page: Any, raw: bytes) -> None:
    try:
        call = Schema(tiny_page[0]).read(raw, "detect")
    except BadCallError:
        return
    assert json.loads(call.body)["fn_index"] == call.function._id
