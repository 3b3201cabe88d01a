"""Tries at the doors: addresses, hosts, pages of others, closed routes, forged payloads, the log.

VALUES have a framework look up, fetch, copy or serve something; they go into every field of every
function."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from scripts.redteam.target import Target, picture

ADDRESSES = (
    "http://192.0.2.1/x",
    "http:%2F%2Fexample.org/x",
    "http%253A%252F%252F192.0.2.1%252Fx",
    "//192.0.2.1/x",
    "HTTP://192.0.2.1/",
)
CLOSED = (
    *(
        "process_recording",
        "monitoring",
        "deep_link",
        "component_server",
        "vibe-edit",
        "run/detect",
        "api/detect",
    ),
    *("cancel", "reset"),  # of calls: what ends is a page
)
NAME = "a-name-that-must-not-be-logged"


def fetched_addresses(target: Target) -> tuple[bool, str]:
    """Has the server fetch an address, in every spelling"""
    tried = [
        target.raw(method, f"/gradio_api/{route}{address}")[0]
        for method in ("GET", "HEAD")
        for route in ("file=", "file/", "proxy=")
        for address in ADDRESSES
    ]
    return set(tried) <= {400, 403, 404} and _quiet(
        target
    ), f"{len(tried)} refused, nothing was looked up"


def reports_to_others(target: Target) -> tuple[bool, str]:
    """Has an agent send a picture of 19 MB (MCP), and looks for reports to others"""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    url = f"data:image/jpeg;base64,{base64.b64encode(picture(1).ljust(19 * 2**20, bytes(1))).decode()}"  # noqa: E501

    async def ask() -> str:
        async with (
            streamablehttp_client(f"{target.address}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            answer = await session.call_tool("detect", {"picture": url})
            return f"refused: {answer.content}"[:200] if answer.isError else ""

    problem = asyncio.run(ask())
    time.sleep(3)
    return not problem and _quiet(target), problem or "answered, and no other machine was asked for"


def other_hosts_and_sites(target: Target) -> tuple[bool, str]:
    """Comes under another name (DNS rebinding), and from another site's page"""
    status, text = target.raw("GET", "/", Host="evil.example")
    sent = target.raw("POST", "/gradio_api/upload", Origin="https://evil.example")[0]
    opened = target.raw("GET", "/gradio_api/heartbeat/x", **{"Sec-Fetch-Site": "cross-site"})[0]
    held = 400 <= status < 500 and "CAUSALCLIP_HOSTS" in text and sent == opened == 403
    return held, f"{status}, {sent} and {opened}, with a sentence"


def closed_routes(target: Target) -> tuple[bool, str]:
    """Opens routes that nobody needs, or that lead around the queue"""
    tried = {
        target.raw(method, f"/gradio_api/{route}")[0]
        for route in CLOSED
        for method in ("GET", "POST")
    }
    tried |= {
        target.raw("GET", f"/{route}")[0] for route in ("monitoring", "monitoring/summary", "login")
    }
    number = target.function(api_name="detect")
    tried.add(
        target.post(
            "run/predict", {"data": [None], "fn_index": number, "session_hash": "around"}
        ).status_code
    )
    return tried == {404}, "404 for all"


def forged_pictures(target: Target) -> tuple[bool, str]:
    """Sends paths, data URLs and nonsense for a picture, and reads the log"""
    inline = "data:image/png;base64," + base64.b64encode(NAME.encode() * 9).decode()
    paths = (
        f"/srv/{NAME}.jpg",
        inline,
        "\0",
        "/" + NAME * 500,
        "../" * 40 + NAME,
        "http://192.0.2.1/",
        7,
        None,
    )
    answers = [
        target.post(f"call/{name}", {"data": [payload, *[None] * more]})
        for name, more in (("detect", 0), ("ask", 2))
        for path in paths
        for payload in (
            {"path": path},
            {"path": path, "meta": {"_type": "gradio.FileData"}},
            path or 7,
        )
    ]
    said = all(
        answer.status_code == 422 and answer.json()["error"].endswith(".") for answer in answers
    )
    log = target.app.output.read_text()
    return said and NAME not in log and inline[
        30:90
    ] not in log, f"{len(answers)} sentences, none of it in the log"


def guessed_uploads(target: Target) -> tuple[bool, str]:
    """Guesses whether somebody holds a picture, from its own copy"""
    theirs, mine = (target.upload(picture(2), name=name) for name in ("theirs.jpg", "mine.jpg"))
    guess = mine.replace("mine.jpg", "theirs.jpg")
    status = target.get(f"gradio_api/file={guess}").status_code
    return theirs != guess and status in {403, 404}, "equal bytes lie apart"


def every_field(target: Target) -> tuple[bool, str]:
    """Puts twelve values that name a file or an address into every field of every function"""
    with contextlib.ExitStack() as stack:  # from many addresses, so that no limit is in the way
        found = list(
            walk([stack.enter_context(target.elsewhere(100 + i).http()) for i in range(60)])
        )
    wrong = misread(found)
    return not wrong and _quiet(
        target
    ), f"{len(found)} calls, nothing was looked up; let in: {len(wrong)}"


def _quiet(target: Target) -> bool:
    return set(target.app.traffic.read_text().splitlines()) == {"watching"}  # each process says so


PLACE = "ssrf-test.example"
META: dict[str, Any] = {"_type": "gradio.FileData"}
_FILE = {"path": f"http://{PLACE}/x.png", "meta": META}
VALUES: tuple[Any, ...] = (
    _FILE,
    {"path": "/etc/hostname", "meta": META},
    {
        "path": f"https://{PLACE}/x.png",
        "url": f"https://{PLACE}/x.png",
        "meta": META,
        "is_stream": True,
    },
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
    """What was let in though it holds a file that is nobody's upload, or ended in an error of the
    server."""
    return Counter(
        f"{name}: {answer.status_code} for {kind}"
        for name, kind, value, answer in found
        if answer.status_code >= 500
        or (kind != "state" and not isinstance(value, str) and answer.status_code != 422)
    )
