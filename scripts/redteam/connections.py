"""Tries with connections and calls that are never read, never go on, are many or large: whether others notice."""

from __future__ import annotations

import contextlib
import io
import json
import resource
import time
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from scripts.redteam.target import HEADERS, PART, Target, at_once, picture

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


def fifty_megapixels_twelve_times(target: Target) -> tuple[bool, str]:
    """Sends twelve pictures of 50 megapixels at once"""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((8000, 6200)).convert("RGB").save(file, "JPEG", quality=50)
    paths = [target.upload(file.getvalue()) for _ in range(12)]
    with target.watched() as most:
        answers = at_once(lambda i: target.ask("detect", paths[i]), 12)
    answered = sum("event: complete" in text for _, text in answers)
    told = sum("queue is full" in text for _, text in answers)
    return answered + told == 12 and most[0] < 1600, f"{answered} answered, {told} told, {most[0]:.0f} MB at most"


def questions_at_once(target: Target) -> tuple[bool, str]:
    """Asks twenty times about flat pictures of 12 megapixels, from one address with pages and programs"""
    file = io.BytesIO()
    Image.new("RGB", (4000, 3000), "teal").save(file, "JPEG")
    crowd, ask, names = target.elsewhere(133), target.function(api_name="ask"), [f"asker-{i}" for i in range(4)]
    path, before = crowd.upload(file.getvalue()), target.memory()
    with crowd.opened(*names) as http, ThreadPoolExecutor(6) as pool, target.watched() as most:
        call = {"data": [{"path": path}, "What is it?", False], "fn_index": ask}
        for name in names * 4:
            http.post("gradio_api/queue/join", json=call | {"session_hash": name})
        asked = [pool.submit(crowd.ask, "ask", path, "What is it?", False) for _ in range(6)]
        answered = sum("event: complete" in one.result()[1] for one in asked)
    grown = most[0] - before
    return answered > 0 and grown < 1000, f"{answered} of 6 answered, {grown:.0f} MB more at most"


def pages_that_do_not_come(target: Target) -> tuple[bool, str]:
    """Sends 300 calls of a megabyte at once for a page that does not come"""
    crowd, before = target.elsewhere(134), target.memory()
    body = {"data": [None], "fn_index": target.function(api_name="provenance"), "session_hash": "nobody"}
    text = json.dumps(body | {"x": "\U0001f600" + "x" * 1_000_000}, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "X-Gradio-User": "x"}

    def join(_: int) -> int:
        with crowd.http() as http:
            return http.post("gradio_api/queue/join", content=text, headers=headers).status_code

    with target.watched() as most:
        told = at_once(join, 300)
    grown = most[0] - before
    return 200 not in told and grown < 500, f"{sorted(set(told))}; {grown:.0f} MB more at most"


def attacks_at_once(target: Target) -> tuple[bool, str]:
    """Asks for 17 attacks at once, while somebody else asks for a verdict"""
    path, other = target.upload(picture(3)), target.elsewhere(9)
    theirs = other.upload(picture(4))
    with ThreadPoolExecutor(17) as pool:
        more = ("fgsm", 8, 1, "features", "", "", 0)
        attacks = [pool.submit(target.ask, "attack", path, *more) for _ in range(17)]
        time.sleep(1)
        started = time.monotonic()
        quick = "event: complete" in other.ask("provenance", theirs)[1]
        claims = time.monotonic() - started
        judged = "event: complete" in other.ask("detect", theirs)[1]
        told = sum(attack.result()[0] == 429 for attack in attacks)
    waited = time.monotonic() - started
    return (
        quick and judged and told >= 11,
        f"{told} told; the other: claims in {claims:.1f} s, all in {waited:.1f} s",
    )
