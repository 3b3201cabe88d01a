"""Which PyTorch is installed: its CPU build where there is no card and its index answers; else pip's choice."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from packaging.requirements import Requirement

from scripts import torch_build
from tests.conftest import ROOT


@pytest.fixture
def index() -> Iterator[str]:
    """An index that knows torch and nothing else."""

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/whl/torch/" else 404)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/whl"
        server.shutdown()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A new Linux machine without a card and without a folder of wheels: the commands that would install there."""
    ran: list[list[str]] = []

    def run(command: list[str], **streams: Any) -> Any:
        if "--no-index" in command:
            return subprocess.CompletedProcess(command, 1)
        ran.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(torch_build.subprocess, "run", run)
    monkeypatch.setattr(torch_build.sys, "platform", "linux")
    monkeypatch.setattr(torch_build, "sees_card", lambda: False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    return ran


def test_the_cpu_build_is_taken_from_an_index_that_answers(
    index: str, installed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(torch_build.VARIABLE, index)
    torch_build.main()
    [command] = installed
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert command[command.index("--index-url") + 1] == index
    assert Requirement(command[-1]).specifier.contains("2.15.0+cpu")


def test_an_index_that_does_not_answer_costs_a_sentence(
    installed: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(torch_build.VARIABLE, "http://127.0.0.1:9/whl")
    torch_build.main()
    assert installed == []
    assert "does not answer" in capsys.readouterr().out


def test_a_folder_of_wheels_comes_first(
    index: str, installed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(torch_build.VARIABLE, index)
    asked: list[list[str]] = []

    def run(command: list[str], **streams: Any) -> Any:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(torch_build.subprocess, "run", run)
    torch_build.main()
    [command] = asked
    assert "--no-index" in command
    assert "--index-url" not in command
    assert Requirement(command[-2]).name == "torch"


@pytest.mark.parametrize("why", ["card", "macOS", "there already", "not wanted"])
def test_otherwise_it_is_pips_choice(
    index: str, installed: list[list[str]], monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setenv(torch_build.VARIABLE, "none" if why == "not wanted" else index)
    if why == "card":
        monkeypatch.setattr(torch_build, "sees_card", lambda: True)
    elif why == "macOS":
        monkeypatch.setattr(torch_build.sys, "platform", "darwin")
    elif why == "there already":
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    torch_build.main()
    assert installed == []


def test_all_who_install_go_through_it_and_the_address_stands_once() -> None:
    for name in ("Makefile", "Dockerfile"):
        assert "scripts/torch_build.py" in (ROOT / name).read_text(encoding="utf-8"), name
    listed = subprocess.run(["git", "grep", "-l", "download.pytorch.org"], cwd=ROOT, capture_output=True, text=True)
    assert set(listed.stdout.split()) <= {"scripts/torch_build.py", "tests/scripts/test_torch_build.py"}
