"""What tests ask of a served app as a program or a page does: without a client, so that any call
can be made."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

from tests.conftest import HANGS

META = {"meta": {"_type": "gradio.FileData"}}


def ask(address: str, path: str, name: str = "detect", **headers: str) -> httpx.Response:
    """A call about an uploaded picture."""
    payload = {"path": path, **META}
    return httpx.post(f"{address}gradio_api/call/{name}", json={"data": [payload]}, headers=headers)


def send(address: str, data: bytes) -> str:
    """Uploads a picture; its path."""
    return str(
        httpx.post(
            f"{address}gradio_api/upload", files={"files": ("x.jpg", data, "image/jpeg")}
        ).json()[0]
    )


def number_of(address: str, name: str | None) -> int:
    """The number of a function; without a name, of one that is not queued and takes nothing."""
    listed = httpx.get(f"{address}config").json()["dependencies"]
    if name:
        return int(next(d["id"] for d in listed if d["api_name"] == name))
    return int(
        next(
            d["id"]
            for d in listed
            if d["backend_fn"] and not d["queue"] and not d["inputs"] and d["outputs"]
        )
    )


@contextmanager
def opened(address: str, *sessions: str, **headers: str) -> Iterator[httpx.Client]:
    """Pages of these names, open; a client that asks for them. headers: of its requests."""
    with httpx.Client(base_url=address, headers=headers, timeout=HANGS) as http:
        beats = [http.stream("GET", f"gradio_api/heartbeat/{session}") for session in sessions]
        answers = [beat.__enter__() for beat in beats]
        try:
            assert {answer.status_code for answer in answers} <= {200}
            yield http
        finally:
            for beat in beats:
                beat.__exit__(None, None, None)


def ask_tools(address: str, *calls: tuple[str, dict[str, str]]) -> tuple[set[str], list[Any]]:
    """The names of the tools of MCP, and what each call (tool, arguments) returns."""

    async def ask() -> tuple[set[str], list[Any]]:
        async with (
            streamablehttp_client(f"{address}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = {tool.name for tool in (await session.list_tools()).tools}
            return tools, [await session.call_tool(tool, given) for tool, given in calls]

    with ThreadPoolExecutor(1) as pool:  # browser tests keep an event loop running in this thread
        return pool.submit(asyncio.run, ask()).result()
