"""Generated calls of a page's functions: what a client could send, good and bad, in every way that there is."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx
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
PAGES = 60  # that are open meanwhile, each at an address of its own
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
GOOD = st.fixed_dictionaries(
    {"session_hash": st.integers(0, PAGES - 1).map(lambda number: f'"fuzz-{number}"')},  # many: none listens
    optional={"event_data": st.integers(-2, 99).map(lambda number: f'{{"index": {number}}}'), "trigger_id": VALUE},
)


@dataclass(frozen=True, slots=True)
class Generated:
    """A call. route: under /gradio_api/. sender: the address that it comes from, as a proxy would say.

    asks: what is asked about a picture; "" where none is sent.
    """

    route: str
    content: bytes
    sender: str
    asks: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", "X-Forwarded-For": self.sender}


@contextmanager
def pages(http: httpx.Client) -> Iterator[None]:
    """The pages whose sessions are named, open for as long as calls are made."""
    with ExitStack() as stack:
        for number in range(PAGES):
            headers = {"X-Forwarded-For": f"192.0.2.{number}"}
            stack.enter_context(http.stream("GET", f"gradio_api/heartbeat/fuzz-{number}", headers=headers))
        yield


def body(parts: Mapping[str, str]) -> bytes:
    """An object in JSON, of values in JSON; they need not be valid."""
    return ("{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in parts.items()) + "}").encode()


@dataclass(frozen=True)
class Listed:
    """What can be called. config: as the page lists it. path: of an upload, so that some calls can be answered."""

    config: Mapping[str, Any] = field(repr=False)  # half a MB: what draws from it is told by its repr
    path: str

    @cached_property
    def functions(self) -> Sequence[Mapping[str, Any]]:
        return list(self.config["dependencies"])

    @cached_property
    def parts(self) -> Mapping[int, Mapping[str, Any]]:
        return {part["id"]: part for part in self.config["components"]}

    def fitting(self, block: int) -> st.SearchStrategy[Any]:
        """Values that a field takes."""
        part = self.parts[block]
        file = {"path": self.path, "meta": {"_type": "gradio.FileData"}}
        picture = st.sampled_from([file, *[None] * 7])  # with one, most of the time would go to the model
        choices = [choice[1] for choice in part["props"].get("choices") or []]
        fits: dict[str, st.SearchStrategy[Any]] = {
            "textbox": st.text(max_size=300) | st.floats(0, 1e13).map(str),
            "image": picture,
            "file": st.lists(st.just(file), max_size=1),
            "slider": st.floats(part["props"].get("minimum", 0), part["props"].get("maximum", 1)),
            "number": st.integers(-(2**40), 2**40),
            "checkbox": st.booleans(),
            "dropdown": st.sampled_from([*choices, "none of them"]),
            "radio": st.sampled_from([*choices, "none of them"]),
        }
        return fits.get(part["type"], st.none()) | st.none()


@st.composite
def calls(draw: st.DrawFn, page: Listed) -> Generated:
    """Half of them hold what their function's fields take, and get behind the doors."""
    function = draw(st.sampled_from(page.functions))
    fits, blocks = draw(st.booleans()), function["inputs"]
    odd = VALUE | st.just(json.dumps({"path": page.path})) | st.just("null")
    values = [draw(page.fitting(block).map(json.dumps) if fits else odd) for block in blocks]
    parts = (draw(GOOD) if fits else draw(PARTS)) | {"data": f"[{', '.join(values)}]"}
    if fits or draw(st.booleans()):
        parts["fn_index"] = str(function["id"])
    ways = ["queue/join", "run/predict", f"call/{function['api_name']}", "cancel", "reset"]
    route = ways[function["queue"] is False] if fits else draw(st.sampled_from(ways))
    named = re.search(r"fuzz-(\d+)", parts.get("session_hash", ""))
    number = int(named[1]) if named else draw(st.integers(0, 250))  # many, so that no limit is in the way
    content, sender = body(parts), f"192.0.2.{number}"
    return Generated(
        route, content, sender, str(function["api_name"]) if fits and page.path.encode() in content else ""
    )
