"""Tries with connections and calls: never read, never going on, many, large, or not what they say
they are."""

from __future__ import annotations

import contextlib
import io
import json
import re
import resource
import secrets
import time
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from scripts.redteam.target import HEADERS, PART, Target, at_once, config, heard, picture

SOON = 10.0  # seconds; on an idle machine it takes a tenth of one
OTHER = 60  # of 127.0.0.*: where somebody else is


def never_reading(target: Target) -> tuple[bool, str]:
    """Asks thirty times over one connection and never reads, while somebody else asks for the
    claims of a picture"""
    body = json.dumps(
        {"data": [None], "fn_index": target.function(api_name="provenance"), "session_hash": "u"}
    ).encode()
    call = (
        b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
        b"application/json\r\n"
    )
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
    return answered + told == 12 and most[
        0
    ] < 1600, f"{answered} answered, {told} told, {most[0]:.0f} MB at most"


def questions_at_once(target: Target) -> tuple[bool, str]:
    """Asks twenty times about flat pictures of 12 megapixels, from one address with pages and
    programs"""
    file = io.BytesIO()
    Image.new("RGB", (4000, 3000), "teal").save(file, "JPEG")
    crowd, ask, names = (
        target.elsewhere(133),
        target.function(api_name="ask"),
        [f"asker-{i}" for i in range(4)],
    )
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
    body = {
        "data": [None],
        "fn_index": target.function(api_name="provenance"),
        "session_hash": "nobody",
    }
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


_ODD = ("NaN", "Infinity", "-Infinity", "1e400", "1" * 400)


def two_functions_in_one_call(target: Target) -> tuple[bool, str]:
    """Names one function in the address of a call and another one in its body"""
    body = {"data": [None] * 8, "fn_index": target.function(api_name="attack")}
    status = target.post("call/provenance", body).status_code
    return status == 422, f"{status}: the one that runs is the one that was checked"


def odd_numbers(target: Target) -> tuple[bool, str]:
    """Sends NaN, and clicks that do not say on what"""
    click = target.function(queue=False, inputs=[], backend_fn=True)
    number = target.function(api_name="purify")
    sent = [
        (
            "run/predict",
            f'{{"data": [], "fn_index": {click}, "session_hash": "n", "event_data": NaN}}',
        )
    ]
    sent += [
        ("queue/join", f'{{"data": [null, {n}, false], "fn_index": {number}, "session_hash": "n"}}')
        for n in _ODD
    ]
    kind = {"Content-Type": "application/json"}
    with target.http() as http:
        answers = [
            http.post(f"gradio_api/{path}", content=text, headers=kind).status_code
            for path, text in sent
        ]
    return max(answers) < 500, f"{len(answers)} calls, no error of the server"


def lying_headers(target: Target) -> tuple[bool, str]:
    """Asks as a page of another site, and with headers that say where the app is"""
    lies = {
        "Host": "localhost",
        "Origin": "https://evil.example",
        "X-Forwarded-Host": "evil.example",
    }
    answer = target.get("config", **lies)
    readable = [name for name in answer.headers if name.startswith("access-control")]
    framed = "frame-ancestors 'self'" in answer.headers.get("content-security-policy", "")
    secret = target.elsewhere(OTHER).get("metrics").status_code == 404
    held = not readable and "evil.example" not in answer.text and framed and secret
    return held, "no other page may read or frame it, nobody elsewhere reads /metrics"


def invented_sessions(target: Target) -> tuple[bool, str]:
    """Invents 300 sessions, and listens and calls as somebody else's, while a page is open that has
    an answer"""
    click = {
        "data": [],
        "fn_index": target.function(queue=False, inputs=[], backend_fn=True),
        "event_data": {},
    }
    before, other = target.memory(), target.elsewhere(130)
    with target.opened("stays") as http:
        begun = target.batch(http, "stays", [target.upload(picture(11))])
        begun = begun and '"success":true' in heard(http, "stays")
        told = {
            other.post("run/predict", {**click, "session_hash": f"invented-{i}"}).status_code
            for i in range(300)
        }
        told.add(other.post("run/predict", {**click, "session_hash": "stays"}).status_code)
        told |= {
            other.get(f"gradio_api/{path}stays").status_code
            for path in ("queue/data?session_hash=", "heartbeat/")
        }
        again = {
            "data": [None],
            "fn_index": target.listener("batch-csv", "click"),
            "session_hash": "stays",
        }
        http.post("gradio_api/queue/join", json=again)
        kept = heard(http, "stays")
    grown, remembered = target.memory() - before, target.metric("sessions")
    held = begun and told == {403} and "gradio.FileData" in kept and remembered < 50 and grown < 150
    return (
        held,
        f"{sorted(told)}; {remembered:.0f} are remembered, and the page's batch; {grown:.0f} MB "
        "more",
    )


def maps_named_as_paths(target: Target) -> tuple[bool, str]:
    """Has Explore draw a map whose name is a path out of the folder for files, and other values
    that are no choice"""
    place, redraw = target.folder.parent / "elsewhere", target.listener("explore-which", "input")
    logged, told = target.app.output.stat().st_size, []
    names = (str(place), f"{'../' * 9}{place}", ["x"], "zz", "999999", 7, True)
    with target.opened("mapper") as http:
        begun = target.act(http, "mapper", "explore-a", {"path": target.upload(picture(15))})
        begun = begun and '"success":true' in heard(http, "mapper")
        for part in ("explore-which", "explore-a-channel"):
            for name in names:
                call = {
                    "data": target.filled(redraw, **{part: name}),
                    "fn_index": redraw,
                    "session_hash": "mapper",
                }
                told.append(http.post("gradio_api/queue/join", json=call).status_code)
    time.sleep(1)
    written, grown = place.with_suffix(".png").exists(), target.app.output.stat().st_size - logged
    held = begun and not written and set(told) == {422} and grown < 1000
    return (
        held,
        f"{sorted(set(told))}; a file was {'' if written else 'not '}written, {grown} bytes logged",
    )


def calls_of_closed_pages(target: Target) -> tuple[bool, str]:
    """Opens pages, has four calls wait of each, and closes it; then somebody else asks"""
    crowd, other, most = target.elsewhere(131), target.elsewhere(132), 0.0
    purify, told, before = target.function(api_name="purify"), [], target.metric("queue_length")
    path = crowd.upload(picture(16, side=1024))
    with crowd.opened("keeper") as keeper:
        call = {"data": [{"path": path}, *crowd.filled(purify)[1:]], "fn_index": purify}
        # the picture stays
        keeper.post("gradio_api/queue/join", json=call | {"session_hash": "keeper"})
        for name in (f"closed-{i}" for i in range(12)):
            with crowd.opened(name) as http:
                told += [
                    http.post("gradio_api/queue/join", json=call | {"session_hash": name})
                    for _ in range(4)
                ]
            most = max(most, target.metric("queue_length") - before)
    let_in = sum(answer.status_code == 200 for answer in told)
    served = "event: complete" in other.ask("provenance", other.upload(picture(17)))[1]
    said = (
        f"{let_in} of {len(told)} let in, {most:.0f} at once; the other was "
        f"{'' if served else 'not '}answered"
    )
    return served and 0 < most <= 17, said


def unread_answers(target: Target) -> tuple[bool, str]:
    """Asks and never listens, and asks through the queue for what is not queued"""
    deaf = {"session_hash": secrets.token_hex(8)}
    ask = {"data": [None], "fn_index": target.function(api_name="provenance")} | deaf
    beside = {
        "data": [],
        "fn_index": target.function(queue=False, inputs=[], backend_fn=True),
    } | deaf
    with target.opened(deaf["session_hash"]) as http:
        refused = http.post("gradio_api/queue/join", json=beside).status_code == 404
        let_in = 0
        for _ in range(30):
            let_in += http.post("gradio_api/queue/join", json=ask).is_success
            time.sleep(0.05)  # in which one is answered
    return refused and 0 < let_in <= 4, f"{let_in} of 30 let in"


def forged_reports(target: Target) -> tuple[bool, str]:
    """Has a label written into large files of its own, as into a report"""
    html, plain = (
        b"<!--label--><!--/label-->".ljust(2**23),
        b'{"report": {"label": {}}, "examined": "2026-01-01"}',
    )
    files = [
        {"path": target.upload(data, name=name)}
        for data, name in ((html, "x.html"), (plain, "x.json"))
    ]
    listed = config(target.address)
    [name] = [
        part["id"] for part in listed["components"] if part["props"].get("elem_id") == "report-name"
    ]
    number = next(d["id"] for d in listed["dependencies"] if [name, "change"] in d["targets"])
    with target.opened("forger") as http:
        for i in range(10):
            call = {
                "data": ["", *files, f"Ada {i}", "", ""],
                "fn_index": number,
                "session_hash": "forger",
            }
            status = http.post("gradio_api/run/predict", json=call).status_code
    written = target.kept("none", "forger")
    return status == 200 and not written, f"{len(written)} files were written"


def page_closed_in_a_batch(target: Target) -> tuple[bool, str]:
    """Closes the page in the middle of a batch, and reads the log until all of it is forgotten"""
    target, before = target.elsewhere(64), _errors(target)
    paths = [target.upload(picture(i, side=1024)) for i in range(8)]
    owner = target.owner(paths[0])
    with target.http() as http, http.stream("GET", "gradio_api/heartbeat/between"):
        begun = target.batch(http, "between", paths)
        with http.stream(
            "GET", "gradio_api/queue/data", params={"session_hash": "between"}
        ) as events:
            begun = begun and any('"process_generating"' in line for line in events.iter_lines())
    deadline = time.monotonic() + 120
    while (left := target.kept(owner, "between")) and time.monotonic() < deadline:
        time.sleep(1)
    time.sleep(5)  # what still runs then may stumble over what is not there any more
    errors = _errors(target) - before
    return errors == 0 and begun and not left, f"{errors} errors in the log, {len(left)} files left"


def _errors(target: Target) -> int:
    return len(re.findall("Error", target.app.output.read_text()))
