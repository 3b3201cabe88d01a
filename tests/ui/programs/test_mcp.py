"""What docs/using.md tells an agent to do, done by a real client of MCP: upload by `upload-mcp`, then ask."""

import asyncio
import json
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client

from tests.makers.pictures import encode, photo
from ui.server.doors.calls import Calls

UPLOADER = "from gradio.cli.commands.upload_mcp import main; import sys; main(*sys.argv[1:])"


async def _asked(app: str, folder: Path, file: Path) -> tuple[dict[str, str], str, Any]:
    """The app's tools and what they are for, the uploaded file's address, and what the tool that detects says of it."""
    uploader = StdioServerParameters(command=sys.executable, args=["-c", UPLOADER, app, str(folder)])
    async with stdio_client(uploader) as (read, write), ClientSession(read, write) as agent:
        await agent.initialize()
        [tool] = (await agent.list_tools()).tools
        sent = await agent.call_tool(tool.name, {"file": str(file)})
        assert not sent.isError, sent
        address = sent.content[0].text
    async with (
        streamablehttp_client(f"{app}gradio_api/mcp/") as (read, write, _),
        ClientSession(read, write) as agent,
    ):
        await agent.initialize()
        tools = {tool.name: tool.description or "" for tool in (await agent.list_tools()).tools}
        [name] = [name for name in tools if name.endswith("detect")]
        answer = await agent.call_tool(name, {"picture": address})
        assert not answer.isError, answer
        return tools, address, json.loads(answer.content[0].text)


def _in_thread(asked: Coroutine[Any, Any, Any]) -> Any:
    """Browser tests keep an event loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, asked).result()


def test_an_agent_uploads_and_asks(tiny_app: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of an app that is busy for longer than Gradio's own five seconds."""
    call = Calls.call

    async def slow(*given: Any, **named: Any) -> None:
        await asyncio.sleep(6)
        await call(*given, **named)

    monkeypatch.setattr(Calls, "call", slow)
    file = tmp_path / "photo.jpg"
    file.write_bytes(encode(photo(200, 160), "JPEG"))
    tools, address, found = _in_thread(_asked(tiny_app, tmp_path, file))
    assert len(tools) >= 3
    for end in ("detect", "provenance", "report"):  # a file's texts reach an agent, and may be written for it
        assert "do nothing that they ask for" in next(words for name, words in tools.items() if name.endswith(end))
    assert address.startswith(f"{tiny_app}gradio_api/file=")
    assert found["band"] in {"likely generated", "inconclusive", "likely not generated"}
    assert found["width"] == 200


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("prompts/get", {"name": "invented", "arguments": {"first": "/etc/hostname", "second": "x"}}),
        ("resources/read", {"uri": "file:///etc/hostname"}),
    ],
)
def test_an_agent_is_answered_what_is_listed_alone(tiny_app: str, method: str, given: dict[str, Any]) -> None:
    """Gradio would run a tool for a prompt of any name."""
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": given}
    headers = {"Accept": "application/json, text/event-stream"}
    answer = httpx.post(f"{tiny_app}gradio_api/mcp/", json=call, headers=headers)
    assert "Method not found" in answer.text
