"""The attacks that the server has to hold, numbered as in SECURITY.md.

Each says what the attacker wants, and what they get. 8 and 17 are in
tests/causalclip/images/test_sandbox.py, 14 is in tests/browser/test_hostile.py. Of what is
promised there, 1, 2, 6 and 20 hold promise 2; 13 and 19 the third; 12 the fourth; 7 the fifth; 9,
10 and 16 the sixth.
"""

import contextlib
import io
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from PIL import Image, PngImagePlugin

from tests.acceptance import attacker
from tests.acceptance.attacker import (
    Target,
    answer_to,
    ask,
    behind_nginx,
    functions,
    picture,
    send,
)
from tests.conftest import ROOT
from tests.makers import bombs
from tests.makers.cost import delay
from tests.makers.pictures import encode, photo
from tests.serving import until
from ui.server.uploads import MAX_FILES
from ui.server.values import MAX_TEXT
from ui.serving import SESSIONS

JPEG = encode(photo(96, 90), "JPEG")
NAMED = "/etc/hostname"  # the app's process reports it if it opens that
NAME = "a-name-that-must-not-be-logged"


def test_1_nobody_reads_anothers_upload_or_a_file_of_the_host(target: Target) -> None:
    """From equal bytes, or by a name that leads out of the folder."""
    with target.browser() as theirs, target.elsewhere(2).browser() as mine:
        kept, guess = send(theirs, JPEG, "theirs.jpg"), send(mine, JPEG, "mine.jpg")
        guessed = guess.replace("mine.jpg", "theirs.jpg")
        assert kept != guessed
        assert mine.get(f"gradio_api/file={guessed}").status_code in {403, 404}
        assert mine.get(f"gradio_api/file={kept.rpartition('/')[0]}").status_code in {403, 404}
    for spelt in attacker.spellings(NAMED):
        for route in ("/gradio_api/file=", "/static/", "/assets/"):
            assert 400 <= target.raw("GET", f"{route}{spelt}") < 500, (route, spelt)
    assert target.noted() == []


def test_2_no_file_of_the_host_is_an_input(target: Target) -> None:
    """Named as a picture, marked as a file or not, alone or inside of something."""
    forged = [
        {"path": NAMED},
        picture(NAMED),
        [picture(NAMED)],
        {"value": picture(NAMED)},
        {"path": "x", "url": f"file://{NAMED}", "meta": {"_type": "gradio.FileData"}},
    ]
    session = uuid4().hex
    with target.browser() as http:
        assert ask(http, "detect", NAMED).status_code == 422
        for value in forged:
            assert ask(http, "detect", value).status_code == 422
            for number, count in [(one["id"], len(one["inputs"])) for one in functions(http)][:20]:
                data = [value, *[None] * (count - 1)]
                body = {"data": data, "fn_index": number, "session_hash": session}
                http.post("gradio_api/queue/join", json=body)
                assert http.post("gradio_api/run/predict", json=body).status_code != 500
    assert target.noted() == []


def test_3_no_address_is_fetched(target: Target) -> None:
    """By a route, by a field of any function, or named within a file."""
    heard: list[object] = []
    with contextlib.closing(_listener(heard)) as listening, target.browser() as http:
        here = f"http://127.0.0.1:{listening.getsockname()[1]}/x.png"
        for address in (here, "http://192.0.2.1/x", "//192.0.2.1/x", "http%3A%2F%2Fexample.org/x"):
            for route in ("file=", "file/", "proxy=", "stream/"):
                assert 400 <= target.raw("GET", f"/gradio_api/{route}{address}") < 500
            for value in (picture(address), {"path": address}, {"url": address}, address):
                assert ask(http, "detect", value).status_code == 422
        xmp = f'<x xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{here}"/>'
        info, file = PngImagePlugin.PngInfo(), io.BytesIO()
        info.add_itxt("XML:com.adobe.xmp", xmp)
        Image.fromarray(photo(96, 90)).save(file, "PNG", pnginfo=info)
        path = send(http, file.getvalue(), "x.png")
        assert answer_to(http, "provenance", picture(path))[0]
        svg = f"<svg xmlns='http://www.w3.org/2000/svg'><image href='{here}'/></svg>".encode()
        assert not answer_to(http, "detect", picture(send(http, svg, "x.svg")), "")[0]
    assert heard == []
    assert target.noted() == []


def _listener(heard: list[object]) -> object:
    import socket

    listening = socket.create_server(("127.0.0.1", 0))

    def listen() -> None:
        with contextlib.suppress(OSError):  # it is closed at the end
            while True:
                heard.append(listening.accept())

    threading.Thread(target=listen, daemon=True).start()
    return listening


def test_4_other_sites_and_other_names_get_nothing(target: Target) -> None:
    """Another site's page in the visitor's browser, and a name that was made to lead here."""
    for host in (
        "evil.example",
        "127.0.0.1.nip.io",
        "localhost@evil.example",
        "evil.example#localhost",
    ):
        assert target.raw("GET", "/", Host=host) in {400, 421}
    for origin in (
        "https://evil.example",
        "https://other.hf.space",
        "null",
        "http://localhost:8888",
        "file://",
    ):
        for route in ("upload", "queue/join", "call/detect", "run/predict"):
            assert target.raw("POST", f"/gradio_api/{route}", Origin=origin) == 403
        assert target.raw("POST", "/api/v1/examine", Origin=origin) == 403
        assert target.raw("GET", "/config", Origin=origin) == 403
    for path in ("heartbeat/x", "queue/data?session_hash=x"):
        status = target.raw("GET", f"/gradio_api/{path}", **{"Sec-Fetch-Site": "cross-site"})
        assert status == 403
    extension = "chrome-extension://abcdefghijklmnop"
    assert target.raw("POST", "/gradio_api/upload", Origin=extension) == 403
    assert target.raw("POST", "/api/v1/examine", Origin=extension) == 401
    with target.http() as http:
        evil = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
        answer = http.post("gradio_api/call/detect", content=b'{"data": [null]}', headers=evil)
        assert answer.status_code == 403
        other = {"Host": "192.0.2.66"}
        assert "192.0.2.66" in http.get("gradio_api/info", headers=other).text
        assert "192.0.2.66" not in http.get("gradio_api/info").text  # where to send a picture
        page = http.get("/")
        assert "frame-ancestors 'self'" in page.headers["content-security-policy"]
        assert page.headers["x-frame-options"] == "SAMEORIGIN"


def test_5_only_listed_routes_are_open(target: Target) -> None:
    """Every route that this Gradio has is asked for; a new one would be, too."""
    from gradio.routes import App

    open_to_all = re.compile(
        r"/|/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json)/?|/(static|assets|svelte)/.*"
        r"|/gradio_api/(info|theme\.css|app_id|startup-events|upload_progress)/?"
        r"|/gradio_api/(heartbeat/.*|queue/data|file=.*|call/[^/]+/[^/]+/?)"
        r"|/gradio_api/(queue/join|run/[^/]+/?|call/[^/]+/?|upload)"
    )
    with target.browser() as http:
        import gradio as gr

        with gr.Blocks() as page:
            gr.Textbox()
        app = App.create_app(page)
        routes = [one for route in app.routes for one in _inside(route)]
        known = {(method, route.path) for route in routes
                 for method in getattr(route, "methods", None) or ()}  # fmt: skip
        assert len(known) > 60
        for method, path in sorted(known):
            spelt = re.sub(r"\{[^}]*\}", "x", path)
            if not open_to_all.fullmatch(spelt):
                assert http.request(method, spelt).status_code in {403, 404, 405}, spelt
        detect = next(one["id"] for one in functions(http) if one["api_name"] == "detect")
        around = {"data": [None, ""], "fn_index": detect, "session_hash": uuid4().hex}
        assert http.post("gradio_api/run/detect", json=around).status_code == 404
        assert http.post("gradio_api/run/predict", json=around).status_code == 404


def _inside(route: object) -> list[object]:
    """A route, or those of the router that it stands for."""
    router = getattr(route, "original_router", None)
    return list(router.routes) if router else [route]


def test_6_nobody_listens_or_asks_as_another(target: Target) -> None:
    """Whose name somebody has learned."""
    session = uuid4().hex
    with target.browser() as theirs, target.elsewhere(2).browser() as mine:
        path = send(theirs, JPEG)
        detect = next(one["id"] for one in functions(theirs) if one["api_name"] == "detect")
        call = {"data": [picture(path), ""], "fn_index": detect, "session_hash": session}
        assert theirs.post("gradio_api/queue/join", json=call).status_code == 200
        assert mine.get(f"gradio_api/queue/data?session_hash={session}").status_code == 403
        assert mine.post("gradio_api/queue/join", json=call).status_code == 403
        with mine.stream("GET", f"gradio_api/heartbeat/{session}") as beat:
            assert beat.status_code == 403
        with theirs.stream("GET", f"gradio_api/queue/data?session_hash={session}") as events:
            assert any("process_completed" in line for line in events.iter_lines())


def test_20_a_programs_answer_goes_to_whoever_asked(target: Target) -> None:
    """Also where its number is known."""
    with target.browser() as theirs, target.elsewhere(2).browser() as mine:
        call = ask(theirs, "provenance", picture(send(theirs, JPEG))).json()["event_id"]
        assert mine.get(f"gradio_api/call/provenance/{call}").status_code == 403
        assert "event: complete" in theirs.get(f"gradio_api/call/provenance/{call}").text


def test_9_too_many_or_too_large_files_are_refused(target: Target) -> None:
    """51 at once, 202 MB that do not say so, and one of 21 MB."""
    before = target.files()
    with target.http() as http:
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        many = attacker.form(*[("x.jpg", b"x")] * 51)
        assert 400 <= http.post("gradio_api/upload", content=many, headers=kind).status_code < 500
        one = attacker.form(("x.jpg", bytes(21 * 2**20)))
        assert 400 <= http.post("gradio_api/upload", content=one, headers=kind).status_code < 500
        pieces = (bytes(2**20) for _ in range(202))
        with contextlib.suppress(httpx.HTTPError):  # it may hang up before all is sent
            answer = http.post("gradio_api/upload", content=pieces, headers=kind)
            assert 400 <= answer.status_code < 500
    assert target.files() == before


def test_9_for_room_the_oldest_of_whoever_sent_most_go(target: Target) -> None:
    """One address sends half as much again as there is room for; another's picture stays."""
    with target.elsewhere(50).browser() as theirs, target.elsewhere(51).browser() as crowd:
        kept = Path(send(theirs, JPEG))
        sent = [Path(send(crowd, bytes(4 * 2**20))) for _ in range(3 * attacker.ROOM // 8)]
    left = [path.exists() for path in sent]
    assert kept.exists()
    assert left == sorted(left)
    assert 4 * sum(left) <= attacker.ROOM < 4 * len(left)


def test_12_the_log_holds_no_name_and_stays_short(target: Target) -> None:
    """Names in paths, uploads deleted in mid-call, forms that break off, odd requests."""
    before = target.output.stat().st_size
    with target.browser() as http:
        path = send(http, JPEG, f"{NAME}.jpg")
        for value in (f"/srv/{NAME}.jpg", f"../{NAME}", f"data:{NAME}", f"\0{NAME}"):
            assert ask(http, "detect", picture(value)).status_code == 422
            assert ask(http, "detect", value).status_code == 422
        for gone in target.files():
            gone.unlink(missing_ok=True)
        assert not answer_to(http, "detect", picture(path), "")[0]
        assert http.get(f"gradio_api/file={path}").status_code in {403, 404}
        for _ in range(40):
            for odd in (
                f"gradio_api/call/detect/{NAME}",
                f"?page={NAME}",
                f"gradio_api/queue/data?session_hash={uuid4().hex}",
            ):
                with contextlib.suppress(httpx.HTTPError):  # Gradio breaks such an answer off
                    http.get(odd)
    with target.connect() as connection:
        connection.sendall(b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\n"
                           b"Content-Type: multipart/form-data; boundary=b\r\n"
                           b"Content-Length: 900\r\n\r\n--b\r\n" + NAME.encode())  # fmt: skip
    log = target.output.read_text()
    assert NAME not in log
    assert len(log) - before < 10_000, log[-3000:]


def test_15_odd_values_get_a_sentence(target: Target) -> None:
    """NaN, lists, a megabyte of text, paths for choices: each field of every function gets one of
    them, and what is refused is refused in a sentence.

    tests/server/test_promises.py gives every one of them to each field.
    """
    odd = [float("nan"), 1e308, [["x"]], {"a": 1}, "x" * 900_000, "../../x", True, -1]
    before = target.files()
    statuses: Counter[int] = Counter()
    with contextlib.ExitStack() as opened:
        # nginx takes a few hundred calls of one address at once
        visitors = [opened.enter_context(target.elsewhere(70 + i).browser()) for i in range(8)]
        sessions = [uuid4().hex for _ in visitors]
        for number, function in enumerate(functions(visitors[0])):
            visitor = number % len(visitors)
            for place in range(len(function["inputs"])):
                data: list[object] = [None] * len(function["inputs"])
                data[place] = odd[statuses.total() % len(odd)]
                route = "queue/join" if function["queue"] is not False else "run/predict"
                call = {"data": data, "fn_index": function["id"], "session_hash": sessions[visitor]}
                body, sent = json.dumps(call), {"Content-Type": "application/json"}
                answer = visitors[visitor].post(f"gradio_api/{route}", content=body, headers=sent)
                statuses[answer.status_code] += 1
                assert answer.status_code in {200, 413, 422}, (function["api_name"], answer.text)
                if answer.status_code != 200:
                    assert re.search(r"\w\.", answer.text), (function["api_name"], answer.text)
    print(f"\nodd values in {statuses.total()} fields: {dict(statuses)}")
    assert statuses[422] > statuses[200]
    assert target.files() == before


def test_13_what_a_page_has_used_goes_when_it_closes(target: Target) -> None:
    """And nothing of another page; from an address whose calls nginx has not counted yet."""
    closing, other = uuid4().hex, uuid4().hex
    with target.elsewhere(62).browser() as http:
        paths = {name: Path(send(http, JPEG, f"{name}.jpg")) for name in (closing, other)}
        with http.stream("GET", f"gradio_api/heartbeat/{closing}") as beat:
            assert beat.status_code == 200
            for session, path in paths.items():
                _ask_on_a_page(http, session, path)
    assert until(lambda: not paths[closing].exists(), seconds=30)
    assert paths[other].exists()


def test_16_calls_with_a_thousand_deep_paths_keep_nobody_waiting(target: Target) -> None:
    """24 calls of one address for files that need not exist, and 24 with as many as Batch takes;
    another field takes 50."""
    [folder] = target.folder.glob("*/uploads")
    deep = [picture(f"{folder}/{'a/' * 55}{i}.jpg") for i in range(1000)]
    plain = [picture(f"{folder}/sent-{'a' * 16}-{i:019}-{'b' * 32}/x.jpg") for i in range(200)]
    crowd, other, patience = target.elsewhere(60), target.elsewhere(61), 2 * delay()
    seconds = []
    with crowd.browser() as http, other.browser() as theirs, ThreadPoolExecutor(24) as pool:
        takers = _functions_with_a_file(http)
        assert len({name for _number, names in takers for name in names} - {""}) > 1
        for files in (deep, plain):
            bodies = [
                {"data": [files if kind else None for kind in kinds], "fn_index": number}
                for number, kinds in takers
            ]
            calls = [
                pool.submit(
                    http.post,
                    "gradio_api/run/predict",
                    json=bodies[i % len(bodies)] | {"session_hash": uuid4().hex},
                )
                for i in range(24)
            ]
            begun = time.monotonic()
            assert theirs.get("").status_code == 200
            seconds.append(time.monotonic() - begun)
            for i, call in enumerate(calls):
                is_batch = "batch-files" in takers[i % len(takers)][1]
                answer = call.result()
                assert answer.status_code in ({200, 422} if is_batch and files is plain else {422})
                assert is_batch or files is deep or f"at most {MAX_FILES} uploaded" in answer.text
    print(f"\nbeside 24 calls of 1,000 deep paths and of 200 plain ones: the page within "
          f"{seconds[0]:.1f} and {seconds[1]:.1f} s of {patience:.0f}")  # fmt: skip
    assert max(seconds) < patience


def _functions_with_a_file(http: httpx.Client) -> list[tuple[int, list[str]]]:
    """Return number and fields of each function that takes several files at once, without
    queueing; a field of files by its name, any other as ""."""
    fields = {
        one["id"]: one["props"].get("elem_id") or "file" if one["type"] == "file" else ""
        for one in http.get("config").json()["components"]
    }
    found = [(one["id"], [fields[i] for i in one["inputs"]]) for one in functions(http)
             if one["queue"] is False]  # fmt: skip
    return [(number, names) for number, names in found if any(names)]


def test_18_no_page_shows_the_token(target: Target) -> None:
    """By whatever header of a proxy: the app tells it in its terminal alone."""
    token = (target.folder / "token").read_text().strip()
    assert token in target.output.read_text()
    ways = [
        {},
        {"X-Real-IP": "192.0.2.1"},
        {"Via": "1.1 proxy"},
        {"Forwarded": "for=192.0.2.1"},
        {"X-Forwarded-For": "127.0.0.1"},
    ]
    with target.browser() as http:
        silent = [one["id"] for one in functions(http) if not one["inputs"]]
        for headers in ways:
            for path in ("", "config"):
                assert token not in http.get(path, headers=headers).text
            for number in silent:
                call = {"data": [], "fn_index": number, "session_hash": uuid4().hex}
                answer = http.post("gradio_api/run/predict", json=call, headers=headers)
                assert token not in answer.text


# Those that take long -----------------------------------------------------------------------------


@pytest.mark.attack
def test_7_each_bomb_gets_a_verdict_or_a_sentence(target: Target) -> None:
    """Files that would cost far more than they weigh: each within 15 s and 750 MB. Of good
    pictures, those of 49 megapixels take the most."""
    slowest, largest = (0.0, ""), (0.0, "")
    for name, data in _bombs().items():
        patience, before, begun = 15 * delay(), target.memory(), time.monotonic()
        with target.watched() as most:
            status = _examined(target, data)
        seconds, grown = time.monotonic() - begun, most[0] - before
        slowest, largest = max(slowest, (seconds, name)), max(largest, (grown, name))
        assert status in {200, 413, 415, 422}, (name, status)
        assert seconds < patience, name
        assert grown < (800 if name.startswith("large") else 750), name
    print(f"\n{len(_bombs())} bombs: at most {slowest[0]:.1f} s ({slowest[1]}) of {patience:.0f}, "
          f"+{largest[0]:.0f} MB ({largest[1]})")  # fmt: skip


@cache
def _bombs() -> dict[str, bytes]:
    made = {f"large {name}": make() for name, make in bombs.LARGE.items()}
    made |= {name: make() for name, (make, _good) in bombs.PICTURES.items()}
    return made | {
        f"{seed} {name}": make(seed)
        for name, make in bombs.METADATA.items()
        for seed in bombs.SEEDS
    }


@pytest.mark.attack
def test_7_twelve_large_pictures_at_once_fit_in_memory(target: Target) -> None:
    """Of 50 megapixels, beside all pages that are remembered: each an answer or a sentence."""
    _invent_sessions(target)
    data, begun = attacker.large(), time.monotonic()
    with target.watched() as most, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda i: _examined(target.elsewhere(20 + i), data), range(12)))
    seconds = time.monotonic() - begun
    print(f"\n12 x 50 MP: {answers.count(200)} answered, {most[0]:.0f} MB, {seconds:.0f} s")
    assert set(answers) <= {200, 422, 429, 503}
    assert answers.count(200) >= 2
    assert most[0] < 1800


def _invent_sessions(target: Target) -> None:
    """Open more pages than the app remembers, each with the longest text, of which Gradio keeps the
    newest values."""
    with target.elsewhere(45).browser() as http:
        config = http.get("config").json()
        kinds = {one["id"]: one["type"] for one in config["components"]}
        function = next(
            one
            for one in config["dependencies"]
            if one["queue"] is not False and [kinds[i] for i in one["inputs"]][:1] == ["textbox"]
        )
        data = ["x" * MAX_TEXT, *[None] * (len(function["inputs"]) - 1)]
        call = {"data": data, "fn_index": function["id"]}
        sessions = [call | {"session_hash": uuid4().hex} for _ in range(SESSIONS + 100)]
        answers = [http.post("gradio_api/queue/join", json=one).status_code for one in sessions]
    assert answers.count(200) > SESSIONS


def _examined(target: Target, data: bytes) -> int:
    with target.http() as http:
        sent = {"files": {"picture": ("x.jpg", data)}, "data": {"stability": "no"}}
        return int(http.post("api/v1/examine", **sent).status_code)  # type: ignore[arg-type]


@pytest.mark.attack
def test_10_one_client_does_not_keep_others_from_their_verdict(target: Target) -> None:
    """Eighty calls of one address for pictures of 49 megapixels, while another asks."""
    data, patience = attacker.large(), delay()
    crowd, other = target.elsewhere(30), target.elsewhere(31)
    with crowd.browser() as http, other.browser() as theirs, ThreadPoolExecutor(80) as pool:
        path, mine = send(http, data), send(theirs, JPEG)
        calls = [pool.submit(answer_to, http, "detect", picture(path), "") for _ in range(80)]
        time.sleep(3)
        begun = time.monotonic()
        assert answer_to(theirs, "provenance", picture(mine))[0]
        claims = time.monotonic() - begun
        assert answer_to(theirs, "detect", picture(mine), "")[0]
        verdict = time.monotonic() - begun
        answered = sum(call.result()[0] for call in calls)
    print(f"\nbeside 80 calls: claims {claims:.1f} s of {2 * patience:.0f}, verdict "
          f"{verdict:.1f} s of {10 * patience:.0f}; {answered} of the 80 answered")  # fmt: skip
    assert answered
    assert claims < 2 * patience
    assert verdict < 10 * patience


@pytest.mark.attack
def test_11_slow_clients_do_not_keep_others_from_an_answer(target: Target) -> None:
    """1,050 connections that send half a request, and twice 300 uploads that stall."""
    crowd, head = target.elsewhere(40), b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\n"
    kind = b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 9000000\r\n\r\n"
    grown, seconds, patience = list[float](), list[float](), 10 * delay()
    with contextlib.ExitStack() as opened:
        for body in (b"", *[kind + b"--b\r\n" + bytes(60_000)] * 2):
            before = target.memory()
            for _ in range(300 if body else 1050):
                with contextlib.suppress(OSError):  # nginx takes fewer
                    connection = opened.enter_context(crowd.connect())
                    connection.sendall(head + body)
            begun = time.monotonic()
            with target.elsewhere(41).http() as http:
                assert http.get("healthz").status_code == 200
            seconds.append(time.monotonic() - begun)
            grown.append(target.memory() - before)
    print(f"\nbeside slow clients: answered within {max(seconds):.1f} s of {patience:.0f}; "
          f"MB more each time: {', '.join(f'{more:.0f}' for more in grown)}")  # fmt: skip
    assert max(seconds) < patience
    assert grown[-1] < 50


@pytest.mark.attack
def test_11_a_client_that_never_reads_keeps_nobody_waiting(target: Target) -> None:
    """200 answers of a megabyte that nobody takes."""
    crowd, patience = target.elsewhere(42), 10 * delay()
    with contextlib.ExitStack() as opened, target.elsewhere(43).http() as http:
        before = target.memory()
        for _ in range(200):
            with contextlib.suppress(OSError):
                connection = opened.enter_context(crowd.connect())
                connection.sendall(b"GET /config HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
        begun = time.monotonic()
        assert http.get("").status_code == 200
        seconds, grown = time.monotonic() - begun, target.memory() - before
    print(f"\nbeside 200 that never read: the page within {seconds:.1f} s of {patience:.0f}, "
          f"+{grown:.0f} MB")  # fmt: skip
    assert seconds < patience


@pytest.mark.attack
@pytest.mark.parametrize("seen", [nullcontext, behind_nginx], ids=["alone", "nginx"])
def test_13_nothing_outlives_its_time(
    seen: Callable[[Target], AbstractContextManager[Target]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A page that closes, one whose machine falls asleep, and the app's end."""
    life, patience, folder = 20, delay(), tmp_path_factory.mktemp("brief")
    with (
        attacker.attacked(folder, CAUSALCLIP_KEPT=str(life)) as app,
        seen(app) as target,
        target.browser() as http,
        contextlib.ExitStack() as opened,
    ):
        paths = {name: Path(send(http, JPEG, f"{name}.jpg")) for name in ("closing", "silent")}
        begun = time.monotonic()
        with http.stream("GET", "gradio_api/heartbeat/closing") as beat:
            assert beat.status_code == 200
            for name, path in paths.items():
                _ask_on_a_page(http, name, path)
            cookie = f"visitor={http.cookies['visitor']}"
            asleep = opened.enter_context(target.connect())  # nginx waits 10 s for a request
            attacker.beat_and_fall_asleep(asleep, "silent", cookie)
        left = time.monotonic()
        assert until(lambda: not paths["closing"].exists(), seconds=5 * patience)
        closed = time.monotonic() - left
        assert until(lambda: not paths["silent"].exists(), seconds=(life + 10) * patience)
        print(f"\na page that closed: {closed:.1f} s; one that fell asleep: "
              f"{time.monotonic() - begun:.0f} s of {life} and a sweep's 5")  # fmt: skip
        send(http, JPEG)
    assert not list(target.folder.rglob("*.jpg"))


@pytest.mark.attack
@pytest.mark.parametrize("seen", [nullcontext, behind_nginx], ids=["alone", "nginx"])
def test_19_what_is_made_of_an_upload_is_gone_when_that_is(
    seen: Callable[[Target], AbstractContextManager[Target]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A report that is asked for when half of the upload's time is over."""
    life = round(20 * delay())  # half of it is enough for an answer
    sweep = min(10, life / 4)
    with (
        attacker.attacked(tmp_path_factory.mktemp("made"), CAUSALCLIP_KEPT=str(life)) as app,
        seen(app) as target,
        target.browser() as http,
    ):
        sent, begun = send(http, JPEG), time.monotonic()
        time.sleep(life / 2)
        is_answered, told = answer_to(http, "report", picture(sent), "")
        assert is_answered, told
        report = Path(json.loads(told.rpartition("data: ")[2])[0]["path"])
        assert report.exists()
        assert until(lambda: not report.parent.exists(), seconds=life)
        seconds = time.monotonic() - begun
        print(f"\na report of an upload: gone after {seconds:.0f} s of {life} and {sweep:.0f}")
        assert seconds < life + sweep + delay()


def _ask_on_a_page(http: httpx.Client, session: str, path: Path) -> None:
    detect = next(one["id"] for one in functions(http) if one["api_name"] == "detect")
    data = [picture(str(path)), ""]
    call = {"data": data, "fn_index": detect, "session_hash": session}
    assert http.post("gradio_api/queue/join", json=call).status_code == 200


def test_the_app_is_never_mounted_and_depends_on_no_private_part_of_gradio() -> None:
    """Mounted into another app, Gradio 6.31 checks no path: it gives out every file of its host."""
    private = re.compile(
        r"mount_gradio_app\s*\(|\b_queue\b|state_holder|\b_app=|LocalContext"
        r"|gradio\.(routes|http_server|server_messages)"
    )
    for path in [ROOT / "app.py", *(ROOT / "ui").rglob("*.py")]:
        found = private.search(path.read_text(encoding="utf-8"))
        assert not found, f"{path.relative_to(ROOT)}: {found and found[0]}"
