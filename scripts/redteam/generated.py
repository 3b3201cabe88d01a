"""Generated calls of a page's functions: what a client could send, good and bad, in every way that there is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from scripts.redteam.hostile import VALUES

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


@dataclass(frozen=True, slots=True)
class Generated:
    """A call. route: under /gradio_api/. sender: the address that it comes from, as a proxy would say."""

    route: str
    content: bytes
    sender: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", "X-Forwarded-For": self.sender}


def body(parts: Mapping[str, str]) -> bytes:
    """An object in JSON, of values in JSON; they need not be valid."""
    return ("{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in parts.items()) + "}").encode()


@st.composite
def calls(draw: st.DrawFn, functions: Sequence[Mapping[str, Any]], path: str) -> Generated:
    """Args: functions: as the page lists them. path: of an upload, for calls that can be answered."""
    function = draw(st.sampled_from(functions))
    good = st.just(json.dumps({"path": path, "meta": {"_type": "gradio.FileData"}})) | st.just("null")
    values = draw(st.lists(VALUE | good, min_size=len(function["inputs"]), max_size=len(function["inputs"])))
    parts = draw(PARTS) | {"data": f"[{', '.join(values)}]"}
    if draw(st.booleans()):
        parts["fn_index"] = str(function["id"])
    route = draw(st.sampled_from(["queue/join", "run/predict", f"call/{function['api_name']}", "cancel", "reset"]))
    return Generated(route, body(parts), f"192.0.2.{draw(st.integers(0, 250))}")  # many, so that no limit is in the way
