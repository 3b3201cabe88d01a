"""Tries with connections that are never read, never go on, or are many: whether anybody else notices."""

from __future__ import annotations

import contextlib
import json
import resource
import time
from concurrent.futures import ThreadPoolExecutor

from scripts.redteam.target import HEADERS, PART, Target, picture

SOON = 10.0  # seconds; on an idle machine it takes a tenth of one
OTHER = 60  # of 127.0.0.*: where somebody else is


def never_reading(target: Target) -> tuple[bool, str]:
    """Asks thirty times over one connection and never reads, while somebody else asks for the claims of a picture"""
    body = json.dumps(
        {"data": [None], "fn_index": target.function(api_name="provenance"), "session_hash": "u"}
    ).encode()
    call = b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    page = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with target.connect(buffer=2048) as connection:
        connection.sendall((page + call + b"Content-Length: %d\r\n\r\n" % len(body) + body) * 30)
        return others_are_served(target)


def half_open_connections(target: Target) -> tuple[bool, str]:
    """Opens 1,050 connections and begins no request on them"""
    return _crowd(target, 1050, b"GET / HTTP/1.1\r\nHost: loc")


def stalled_uploads(target: Target) -> tuple[bool, str]:
    """Begins 300 uploads of 1 MB that do not go on"""
    before = target.memory()
    head = HEADERS + b"Content-Length: 1048576\r\n\r\n" + PART
    held, said = _crowd(target, 300, head + b"x" * 1_000_000)
    deadline = time.monotonic() + 35  # the server has noticed by then that they are gone
    while (grown := target.memory() - before) >= 50 and time.monotonic() < deadline:
        time.sleep(1)
    return held and grown < 50, f"{said}; {grown:.0f} MB more afterwards"


def _crowd(target: Target, count: int, sent: bytes) -> tuple[bool, str]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    logged = target.app.output.stat().st_size
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            with contextlib.suppress(OSError):  # cut, to make room
                stack.enter_context(target.connect(buffer=2048)).sendall(sent)
        served, said = others_are_served(target)
    grown = target.app.output.stat().st_size - logged
    return served and grown < 100_000, f"{said}; {grown // 1000} kB logged"


def others_are_served(target: Target) -> tuple[bool, str]:
    started = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        other = target.elsewhere(OTHER)
        asked = pool.submit(lambda: other.ask("provenance", other.upload(picture(8)))[1])
        try:
            served = "event: complete" in asked.result(60)
            problem = "" if served else " and did not come"
        except Exception as error:  # a time-out, or a connection that was refused
            served, problem = False, f" and ended in {type(error).__name__}"
    seconds = time.monotonic() - started
    return served and seconds < SOON, f"another client's claims took {seconds:.1f} s{problem}"
