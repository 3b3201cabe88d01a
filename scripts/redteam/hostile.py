"""Twelve values that have a framework look up, fetch, copy or serve something, for every field of every function."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

PLACE = "ssrf-test.example"
META: dict[str, Any] = {"_type": "gradio.FileData"}
_FILE = {"path": f"http://{PLACE}/x.png", "meta": META}
VALUES: tuple[Any, ...] = (
    _FILE,
    {"path": "/etc/hostname", "meta": META},
    {"path": f"https://{PLACE}/x.png", "url": f"https://{PLACE}/x.png", "meta": META, "is_stream": True},
    {"path": "x", "url": f"http://{PLACE}/x.png", "meta": META},
    [_FILE, [[_FILE]]],
    {"a": {"b": [{"c": _FILE}]}},
    {"value": _FILE},
    {"path": f"//{PLACE}/x.png", "meta": None},
    {"path": ["x"], "meta": 1},
    {"path": f"file://{PLACE}/etc/passwd", "meta": META},
    f"http://{PLACE}/x.png",
    f"data:image/svg+xml,<svg><image href='http://{PLACE}/x.png'/></svg>",
)


def walk(clients: Sequence[httpx.Client]) -> Iterator[tuple[str, str, Any, httpx.Response]]:
    """Sends every value in every field of every function that the page lists.

    Args:
        clients: whose base is the app's address; they ask in turn.
    Yields: name of the function, type of the component, value, answer.
    """
    config = clients[0].get("config").json()
    kinds = {component["id"]: component["type"] for component in config["components"]}
    numbers = itertools.count()
    for function in config["dependencies"]:
        for place, block in enumerate(function["inputs"]):
            for value in VALUES:
                data: list[Any] = [None] * len(function["inputs"])
                data[place] = value
                route, body = _way(function, data, next(numbers))
                client = clients[next(numbers) % len(clients)]
                name = function["api_name"] or str(function["id"])
                yield name, kinds[block], value, client.post(f"gradio_api/{route}", json=body)


def _way(function: dict[str, Any], data: list[Any], number: int) -> tuple[str, dict[str, Any]]:
    """One of the ways to call it, in turn."""
    body = {"data": data, "fn_index": function["id"], "session_hash": f"hostile-{number}"}
    if function["api_visibility"] == "public" and number % 3 == 0:
        return f"call/{function['api_name']}", {"data": data}
    return ("queue/join" if function["queue"] is not False else "run/predict"), body


def misread(found: list[tuple[str, str, Any, httpx.Response]]) -> Counter[str]:
    """What was let in though it holds a file that is nobody's upload, or ended in an error of the server."""
    return Counter(
        f"{name}: {answer.status_code} for {kind}"
        for name, kind, value, answer in found
        if answer.status_code >= 500 or (kind != "state" and not isinstance(value, str) and answer.status_code != 422)
    )
