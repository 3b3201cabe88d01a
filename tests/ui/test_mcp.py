"""The MCP server as an agent starts it: beside a running app, over standard input and output."""

import asyncio
import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from causalclip.images.formats import MAX_BYTES
from tests.conftest import ROOT
from tests.makers.pictures import encode, photo
from ui.server import token


def agent(app: str, *calls: tuple[str, dict[str, str]]) -> tuple[set[str], list[Any]]:
    """The names of the tools, and what each call (tool, arguments) returns."""

    async def ask() -> tuple[set[str], list[Any]]:
        given = ["-m", "causalclip", "mcp", "--app", app]
        server = StdioServerParameters(command=sys.executable, args=given, cwd=str(ROOT))
        async with (
            stdio_client(server) as (read, write),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = {tool.name for tool in (await session.list_tools()).tools}
            return tools, [await session.call_tool(tool, given) for tool, given in calls]

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, ask()).result()


def test_an_agent_asks_about_a_file_and_writes_a_report(tiny_app: str, tmp_path: Path) -> None:
    """What is wrong comes back as a sentence, and nothing is overwritten."""
    picture, broken, page = (tmp_path / name for name in ("a.jpg", "broken.jpg", "report.html"))
    picture.write_bytes(encode(photo(200, 160), "JPEG"))
    broken.write_bytes(picture.read_bytes()[:900])
    written = {"picture": str(picture), "to": str(page)}
    names, answers = agent(
        tiny_app,
        ("detect", {"picture": str(picture)}),
        ("report", written),
        ("report", written),
        ("detect", {"picture": str(broken)}),
        ("detect", {"picture": str(tmp_path / "none.jpg")}),
    )
    said = [answer.content[0].text for answer in answers]
    assert names == {"detect", "report"}
    assert json.loads(said[0])["sha256"] == hashlib.sha256(picture.read_bytes()).hexdigest()
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [answer.isError for answer in answers] == [False, False, True, False, True]
    assert "cut short" in json.loads(said[3])["error"]
    assert json.loads(said[3])["examination"]["provenance"]["summary"]
    assert "no such file" in said[4]


@pytest.mark.parametrize("name", [".bashrc", "start.desktop", "report.html.sh", "report"])
def test_an_agent_writes_nothing_but_html(tmp_path: Path, name: str) -> None:
    picture, to = tmp_path / "a.jpg", tmp_path / name
    picture.write_bytes(encode(photo(200, 160), "JPEG"))
    written = {"picture": str(picture), "to": str(to)}
    [answer] = agent("http://127.0.0.1:9/", ("report", written))[1]
    assert answer.isError
    assert ".html" in answer.content[0].text
    assert not to.exists()


def test_an_agent_reads_no_more_than_a_picture_may_have(tmp_path: Path) -> None:
    """And nothing of a device, which would never end."""
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    answers = agent(
        "http://127.0.0.1:9/",
        *[("detect", {"picture": str(path)}) for path in (large, "/dev/zero", tmp_path)],
    )[1]
    assert all(answer.isError for answer in answers)
    assert not any("No app answers" in answer.content[0].text for answer in answers)


def test_without_an_app_the_agent_is_told_how_to_start_one(tmp_path: Path) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"x")
    [answer] = agent("http://127.0.0.1:9/", ("detect", {"picture": str(picture)}))[1]
    assert answer.isError
    assert "python app.py" in answer.content[0].text


# The token of extensions --------------------------------------------------------------------------


def test_an_extension_needs_the_token_and_a_program_does_not(tiny_app: str) -> None:
    sent = {"picture": ("a.jpg", encode(photo(96, 90), "JPEG"))}
    origin = {"Origin": "chrome-extension://abcdefghijklmnop"}

    def ask(**headers: str) -> int:
        form = {"stability": "no"}
        url = f"{tiny_app}api/v1/examine"
        return httpx.post(url, files=sent, data=form, headers=headers).status_code

    assert ask() == 200
    assert ask(**origin) == 401
    assert ask(**origin, Authorization="Bearer guessed") == 401
    assert ask(**origin, Authorization=f"Bearer {token.token()}") == 200
    assert ask(Origin="https://evil.example", Authorization=f"Bearer {token.token()}") == 403


def test_the_token_is_made_once_and_only_its_owner_can_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CAUSALCLIP_TOKEN", raising=False)
    file = tmp_path / "settings" / "token"
    value = token.app_token(file)
    token.app_token.cache_clear()
    assert token.app_token(file) == value
    assert len(value) >= 32
    assert file.stat().st_mode & 0o077 == 0
    assert token.app_token(Path("/proc/nowhere/token"))  # for this run
