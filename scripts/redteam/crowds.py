"""Tries with many connections, files and calls: whether anybody else notices, and whether all goes on time."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from scripts.redteam.floods import HEADERS, PART
from scripts.redteam.target import Target, at_once, heard, picture

SOON = 10.0  # seconds; on an idle machine it takes a tenth of one
OTHER = 60  # of 127.0.0.*: where somebody else is


def unread(target: Target) -> tuple[bool, str]:
    """Asks thirty times over one connection and never reads, while somebody else asks for the claims of a picture"""
    body = json.dumps(
        {"data": [None], "fn_index": target.function(api_name="provenance"), "session_hash": "u"}
    ).encode()
    call = b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    page = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with target.connect(buffer=2048) as connection:
        connection.sendall((page + call + b"Content-Length: %d\r\n\r\n" % len(body) + body) * 30)
        return _others_are_served(target)


def half_open(target: Target) -> tuple[bool, str]:
    """Opens 1,050 connections and begins no request on them"""
    return _crowd(target, 1050, b"GET / HTTP/1.1\r\nHost: loc")


def stalled(target: Target) -> tuple[bool, str]:
    """Begins 300 uploads of 1 MB that do not go on"""
    before = target.memory()
    head = HEADERS + b"Content-Length: 1048576\r\n\r\n" + PART
    held, said = _crowd(target, 300, head + b"x" * 1_000_000)
    deadline = time.monotonic() + 35  # the server has noticed by then that they are gone
    while (grown := target.memory() - before) >= 50 and time.monotonic() < deadline:
        time.sleep(1)
    return held and grown < 50, f"{said}; {grown:.0f} MB more afterwards"


def raced(target: Target) -> tuple[bool, str]:
    """Sends six uploads of 171 MB, in pieces and together, where 500 MB are allowed"""
    before = sum(path.stat().st_size for path in target.kept())
    piece = b"x" * 2**20

    def body() -> Iterator[bytes]:
        for _ in range(9):
            yield PART + b"".join([piece] * 19) + b"\r\n"
        yield b"--b--\r\n"

    def send(_: int) -> int:
        with target.elsewhere(62).http() as http:
            kind = {"Content-Type": "multipart/form-data; boundary=b"}
            return http.post("gradio_api/upload", content=body(), headers=kind).status_code

    answers = at_once(send, 6)
    stored = sum(path.stat().st_size for path in target.kept()) - before
    past = max(0, stored / 2**20 - 500)
    return past == 0 and set(answers) <= {200, 413}, f"{stored / 2**20:.0f} MB are stored, {past:.0f} past the quota"


def empty(target: Target) -> tuple[bool, str]:
    """Sends 10,000 empty files from five addresses, and looks how late the last of them goes"""
    files = [("files", ("x.jpg", b"", "image/jpeg"))] * 50
    page = {"Origin": target.address.rstrip("/")}

    def send(i: int) -> int:
        with target.elsewhere(70 + i % 6).http() as http:
            return http.post("gradio_api/upload", files=files, headers=page).status_code

    earlier = set(target.uploads())
    answers = at_once(send, 240, workers=12)
    served, said = _others_are_served(target)
    latest, deadline = 0.0, time.monotonic() + 180
    while (left := len(set(target.uploads()) - earlier)) > 1 and time.monotonic() < deadline:  # one is the other's
        latest = max(latest, target.metric("deletion_lateness_seconds"))
        time.sleep(2)
    told = sum(answer == 413 for answer in answers)
    held = served and latest < 60 and left <= 1 and set(answers) <= {200, 413}
    return held, f"{50 * (240 - told):,} taken, {told} told; {said}; nothing went later than {latest:.0f} s"


def mismatched(target: Target) -> tuple[bool, str]:
    """Names one function in the address of a call and another one in its body"""
    body = {"data": [None] * 8, "fn_index": target.function(api_name="attack")}
    status = target.post("call/provenance", body).status_code
    return status == 422, f"{status}: the one that runs is the one that was checked"


def numbers(target: Target) -> tuple[bool, str]:
    """Sends NaN, and clicks that do not say on what"""
    click = target.function(queue=False, inputs=[])
    number = target.function(api_name="purify")
    sent = [("run/predict", f'{{"data": [], "fn_index": {click}, "session_hash": "n", "event_data": NaN}}')]
    sent += [("queue/join", f'{{"data": [null, {n}, false], "fn_index": {number}, "session_hash": "n"}}') for n in _ODD]
    sent += [(path, f'{{"event_id": {n}}}') for path in ("cancel", "reset") for n in _ODD]
    kind = {"Content-Type": "application/json"}
    with target.http() as http:
        answers = [http.post(f"gradio_api/{path}", content=text, headers=kind).status_code for path, text in sent]
    return max(answers) < 500, f"{len(answers)} calls, no error of the server"


def headers(target: Target) -> tuple[bool, str]:
    """Asks as a page of another site, and with headers that say where the app is"""
    lies = {"Host": "localhost", "Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}
    answer = target.get("config", **lies)
    readable = [name for name in answer.headers if name.startswith("access-control")]
    framed = "frame-ancestors 'self'" in answer.headers.get("content-security-policy", "")
    secret = target.elsewhere(OTHER).get("metrics").status_code == 404
    held = not readable and "evil.example" not in answer.text and framed and secret
    return held, "no other page may read or frame it, nobody elsewhere reads /metrics"


def evicted(target: Target) -> tuple[bool, str]:
    """Invents 300 sessions, where 256 are remembered, while a page is open that has an answer"""
    click = {"data": [], "fn_index": target.function(queue=False, inputs=[]), "event_data": {}}
    before = target.memory()
    with target.http() as http, http.stream("GET", "gradio_api/heartbeat/stays"):
        begun = target.batch(http, "stays", [target.upload(picture(11))])
        begun = begun and '"success":true' in heard(http, "stays")
        for i in range(300):
            with target.elsewhere(130 + i % 40).http() as other:
                other.post("gradio_api/run/predict", json={**click, "session_hash": f"invented-{i}"})
        again = {"data": [None], "fn_index": target.packed(), "session_hash": "stays"}
        kept = http.post("gradio_api/run/predict", json=again)
    grown, remembered = target.memory() - before, target.metric("sessions")
    held = begun and "gradio.FileData" in kept.text and 0 < remembered <= 257 and grown < 150
    return held, f"{remembered:.0f} are remembered, and the page's batch; {grown:.0f} MB more"


def closed_in_between(target: Target) -> tuple[bool, str]:
    """Closes the page in the middle of a batch"""
    before = len(re.findall("Error", target.app.output.read_text()))
    paths = [target.upload(picture(i, side=1024)) for i in range(8)]
    with target.http() as http, http.stream("GET", "gradio_api/heartbeat/between"):
        begun = target.batch(http, "between", paths)
        time.sleep(4)
    time.sleep(60)
    errors = len(re.findall("Error", target.app.output.read_text())) - before
    return errors == 0 and begun, f"{errors} errors in the log"


_ODD = ("NaN", "Infinity", "-Infinity", "1e400", "1" * 400)


def _crowd(target: Target, count: int, sent: bytes) -> tuple[bool, str]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    logged = target.app.output.stat().st_size
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            with contextlib.suppress(OSError):  # cut, to make room
                stack.enter_context(target.connect(buffer=2048)).sendall(sent)
        served, said = _others_are_served(target)
    grown = target.app.output.stat().st_size - logged
    return served and grown < 100_000, f"{said}; {grown // 1000} kB logged"


def _others_are_served(target: Target) -> tuple[bool, str]:
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
