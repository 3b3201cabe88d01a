"""A page starts on a slow machine, too, and one whose port is taken says so."""

import socket
import time
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest
import uvicorn
from gradio import http_server

import app
from ui.server.starting import start_patiently


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio's five seconds are over as soon as it looks."""
    seconds = iter(range(0, 10_000, 10))
    monkeypatch.setattr(http_server, "time", SimpleNamespace(time=lambda: next(seconds), sleep=time.sleep))


def test_a_page_may_take_long_to_start(late: None, uploads: Any) -> None:
    with gr.Blocks() as page:
        gr.Textbox()
    address = app.launch(page)
    assert httpx.get(address).status_code == 200
    page.close(verbose=False)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_port_that_is_taken_is_no_start(late: None) -> None:
    start_patiently()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = http_server.Server(uvicorn.Config(lambda: None, port=taken.getsockname()[1], log_level="critical"))
        with pytest.raises(http_server.ServerFailedToStartError):
            server.run_in_thread()
