"""Tries with calls that say what they are not, and with sessions that are invented or left."""

from __future__ import annotations

import re
import secrets
import time

from scripts.redteam.connections import OTHER
from scripts.redteam.target import Target, config, heard, picture

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
    sent = [("run/predict", f'{{"data": [], "fn_index": {click}, "session_hash": "n", "event_data": NaN}}')]
    sent += [("queue/join", f'{{"data": [null, {n}, false], "fn_index": {number}, "session_hash": "n"}}') for n in _ODD]
    kind = {"Content-Type": "application/json"}
    with target.http() as http:
        answers = [http.post(f"gradio_api/{path}", content=text, headers=kind).status_code for path, text in sent]
    return max(answers) < 500, f"{len(answers)} calls, no error of the server"


def lying_headers(target: Target) -> tuple[bool, str]:
    """Asks as a page of another site, and with headers that say where the app is"""
    lies = {"Host": "localhost", "Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}
    answer = target.get("config", **lies)
    readable = [name for name in answer.headers if name.startswith("access-control")]
    framed = "frame-ancestors 'self'" in answer.headers.get("content-security-policy", "")
    secret = target.elsewhere(OTHER).get("metrics").status_code == 404
    held = not readable and "evil.example" not in answer.text and framed and secret
    return held, "no other page may read or frame it, nobody elsewhere reads /metrics"


def invented_sessions(target: Target) -> tuple[bool, str]:
    """Invents 300 sessions, and listens and calls as somebody else's, while a page is open that has an answer"""
    click = {"data": [], "fn_index": target.function(queue=False, inputs=[], backend_fn=True), "event_data": {}}
    before, other = target.memory(), target.elsewhere(130)
    with target.opened("stays") as http:
        begun = target.batch(http, "stays", [target.upload(picture(11))])
        begun = begun and '"success":true' in heard(http, "stays")
        told = {other.post("run/predict", {**click, "session_hash": f"invented-{i}"}).status_code for i in range(300)}
        told.add(other.post("run/predict", {**click, "session_hash": "stays"}).status_code)
        told |= {
            other.get(f"gradio_api/{path}stays").status_code for path in ("queue/data?session_hash=", "heartbeat/")
        }
        again = {"data": [None], "fn_index": target.listener("batch-csv", "click"), "session_hash": "stays"}
        http.post("gradio_api/queue/join", json=again)
        kept = heard(http, "stays")
    grown, remembered = target.memory() - before, target.metric("sessions")
    held = begun and told == {403} and "gradio.FileData" in kept and remembered < 50 and grown < 150
    return held, f"{sorted(told)}; {remembered:.0f} are remembered, and the page's batch; {grown:.0f} MB more"


def maps_named_as_paths(target: Target) -> tuple[bool, str]:
    """Has Explore draw a map whose name is a path out of the folder for files, and other values that are no choice"""
    place, redraw = target.folder.parent / "elsewhere", target.listener("explore-which", "input")
    logged, told = target.app.output.stat().st_size, []
    names = (str(place), f"{'../' * 9}{place}", ["x"], "zz", "999999", 7, True)
    with target.opened("mapper") as http:
        begun = target.act(http, "mapper", "explore-a", {"path": target.upload(picture(15))})
        begun = begun and '"success":true' in heard(http, "mapper")
        for part in ("explore-which", "explore-a-channel"):
            for name in names:
                call = {"data": target.filled(redraw, **{part: name}), "fn_index": redraw, "session_hash": "mapper"}
                told.append(http.post("gradio_api/queue/join", json=call).status_code)
    time.sleep(1)
    written, grown = place.with_suffix(".png").exists(), target.app.output.stat().st_size - logged
    held = begun and not written and set(told) == {422} and grown < 1000
    return held, f"{sorted(set(told))}; a file was {'' if written else 'not '}written, {grown} bytes logged"


def calls_of_closed_pages(target: Target) -> tuple[bool, str]:
    """Opens pages, has four calls wait of each, and closes it; then somebody else asks"""
    crowd, other, most = target.elsewhere(131), target.elsewhere(132), 0.0
    purify, told, before = target.function(api_name="purify"), [], target.metric("queue_length")
    path = crowd.upload(picture(16, side=1024))
    with crowd.opened("keeper") as keeper:
        call = {"data": [{"path": path}, *crowd.filled(purify)[1:]], "fn_index": purify}
        keeper.post("gradio_api/queue/join", json=call | {"session_hash": "keeper"})  # the picture stays
        for name in (f"closed-{i}" for i in range(12)):
            with crowd.opened(name) as http:
                told += [http.post("gradio_api/queue/join", json=call | {"session_hash": name}) for _ in range(4)]
            most = max(most, target.metric("queue_length") - before)
    let_in = sum(answer.status_code == 200 for answer in told)
    served = "event: complete" in other.ask("provenance", other.upload(picture(17)))[1]
    said = f"{let_in} of {len(told)} let in, {most:.0f} at once; the other was {'' if served else 'not '}answered"
    return served and 0 < most <= 17, said


def unread_answers(target: Target) -> tuple[bool, str]:
    """Asks and never listens, and asks through the queue for what is not queued"""
    deaf = {"session_hash": secrets.token_hex(8)}
    ask = {"data": [None], "fn_index": target.function(api_name="provenance")} | deaf
    beside = {"data": [], "fn_index": target.function(queue=False, inputs=[], backend_fn=True)} | deaf
    with target.opened(deaf["session_hash"]) as http:
        refused = http.post("gradio_api/queue/join", json=beside).status_code == 404
        let_in = 0
        for _ in range(30):
            let_in += http.post("gradio_api/queue/join", json=ask).is_success
            time.sleep(0.05)  # in which one is answered
    return refused and 0 < let_in <= 4, f"{let_in} of 30 let in"


def forged_reports(target: Target) -> tuple[bool, str]:
    """Has a label written into large files of its own, as into a report"""
    html, plain = b"<!--label--><!--/label-->".ljust(2**23), b'{"report": {"label": {}}, "examined": "2026-01-01"}'
    files = [{"path": target.upload(data, name=name)} for data, name in ((html, "x.html"), (plain, "x.json"))]
    listed = config(target.address)
    [name] = [part["id"] for part in listed["components"] if part["props"].get("elem_id") == "report-name"]
    number = next(d["id"] for d in listed["dependencies"] if [name, "change"] in d["targets"])
    with target.opened("forger") as http:
        for i in range(10):
            call = {"data": ["", *files, f"Ada {i}", "", ""], "fn_index": number, "session_hash": "forger"}
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
        with http.stream("GET", "gradio_api/queue/data", params={"session_hash": "between"}) as events:
            begun = begun and any('"process_generating"' in line for line in events.iter_lines())
    deadline = time.monotonic() + 120
    while (left := target.kept(owner, "between")) and time.monotonic() < deadline:
        time.sleep(1)
    time.sleep(5)  # what still runs then may stumble over what is not there any more
    errors = _errors(target) - before
    return errors == 0 and begun and not left, f"{errors} errors in the log, {len(left)} files left"


def _errors(target: Target) -> int:
    return len(re.findall("Error", target.app.output.read_text()))
