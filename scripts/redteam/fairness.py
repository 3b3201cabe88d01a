"""Tries with the most that is allowed to one address: how long somebody else's first verdict takes
meanwhile."""

from __future__ import annotations

import base64
import io
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from PIL import Image

from scripts.redteam.connections import OTHER
from scripts.redteam.target import Target, heard, picture
from scripts.redteam.uploads import bombs

SOON = 5.0  # seconds until somebody else's first verdict
ANSWERED = 15.0  # seconds until any file is answered
MAX_MORE = 500.0  # MB that any file takes beside a plain one
SEED = secrets.randbits(32)  # of the bombs; a try says which it was


def first_verdict(target: Target, number: int = OTHER) -> tuple[bool, float]:
    """Whether somebody else gets a verdict, and after how many seconds."""
    started = time.monotonic()
    with target.elsewhere(number).http(timeout=120) as http:
        files = {"picture": ("x.jpg", picture(secrets.randbits(31), side=1024))}
        answer = http.post("api/v1/examine", files=files, data={"stability": "no"})
    return answer.status_code == 200, time.monotonic() - started


@contextmanager
def meanwhile(*works: Callable[[], object]) -> Iterator[Counter[str]]:
    """Each of these again and again, in a thread of its own; how often they were answered, and how
    often not."""
    over, counted = threading.Event(), Counter[str]()

    def again(work: Callable[[], object]) -> None:
        while not over.is_set():
            try:
                work()
                counted["answered"] += 1
            except Exception:  # refused, or cut: it tries again
                counted["refused"] += 1
                time.sleep(0.1)

    with ThreadPoolExecutor(len(works)) as pool:
        for work in works:
            pool.submit(again, work)
        try:
            yield counted
        finally:
            over.set()


def _watched(target: Target, *works: Callable[[], object], times: int = 5) -> tuple[bool, str]:
    """The slowest of some first verdicts beside these works, once they are under way."""
    _, undisturbed = first_verdict(target)
    with meanwhile(*works) as counted:
        time.sleep(3)
        found = [first_verdict(target, OTHER + i % 2) for i in range(times)]
    slowest = max(seconds for _, seconds in found)
    judged = all(there for there, _ in found)
    said = (
        f"somebody else's first verdict took {slowest:.1f} s{'' if judged else ', and was refused'}"
    )
    said += f" ({undisturbed:.1f} s before)"
    tried = f"{counted['answered']} calls were answered meanwhile, {counted['refused']} refused"
    return judged and slowest < SOON and counted["answered"] > 0, f"{said}; {tried}"


def large(seed: int, *, progressive: bool = True) -> bytes:
    """A JPEG of nearly 50 megapixels and some hundred kB."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((8000, 6200)).save(
        file, "JPEG", quality=40, progressive=progressive
    )
    return file.getvalue()


def sixteen_pages(target: Target) -> tuple[bool, str]:
    """Has 16 open pages of one address, 4 programs and 3 agents judge progressive pictures of 50
    megapixels"""
    crowd, data = target.elsewhere(81), large(1)
    names = [f"crowd-{i}" for i in range(16)]
    agents = {"picture": f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"}

    def examine() -> None:
        with crowd.http() as http:
            http.post("api/v1/examine", files={"picture": ("x.jpg", data)}).raise_for_status()

    with crowd.opened(*names) as http:

        def page(name: str) -> None:
            path = crowd.upload(data)
            if not crowd.act(http, name, "picture", {"path": path}):
                raise ValueError
            with http.stream(
                "GET", "gradio_api/queue/data", params={"session_hash": name}
            ) as events:
                next(line for line in events.iter_lines() if '"process_completed"' in line)

        works: list[Callable[[], object]] = [lambda name=name: page(name) for name in names]  # type: ignore[misc]
        works += [examine] * 4 + [lambda: _tool(crowd, "detect", agents)] * 3
        return _watched(target, *works)


def many_parts(target: Target) -> tuple[bool, str]:
    """Has eight parts cut out of pictures of 49 megapixels, again and again"""
    crowd, data = target.elsewhere(82), large(2, progressive=False)
    name, before = "parts", target.memory()
    with crowd.opened(name) as http:
        path = crowd.upload(data)
        crowd.act(http, name, "picture", {"path": path})
        heard(http, name)
        find = {
            "data": ["", None, None, None, 0, 0, 100, 100],
            "fn_index": crowd.listener("part-find", "click"),
        }
        http.post("gradio_api/queue/join", json=find | {"session_hash": name})
        heard(http, name)

        def part() -> None:
            if not crowd.act(http, name, "part-judge", None, 0, 0, 60, 60, event="click"):
                raise ValueError
            heard(http, name)

        held, said = _watched(target, *[part] * 8)
    grown = target.memory() - before
    return held and grown < MAX_MORE, f"{said}; {grown:.0f} MB more"


def many_profiles(target: Target) -> tuple[bool, str]:
    """Loads a profile with as many equal scores as fit into 1 MB, from 16 pages"""
    crowd = target.elsewhere(83)
    profile = {
        "schema": 1,
        "model": "x",
        "revision": "x",
        "runtime": "x",
        "made": "2026-01-01",
        "at_most": 0.05,
    }
    lists: dict[str, object] = {
        "scores": [0.5],
        "counted": [0] * 480_000,
        "generated": [],
        "sides": [1, 2],
    }
    data = json.dumps(
        profile | lists | {key: {} for key in ("cameras", "formats", "kinds")},
        separators=(",", ":"),
    )
    names, number = [f"profile-{i}" for i in range(16)], crowd.listener("archive-given", "upload")
    with crowd.opened(*names) as http:

        def load(name: str) -> None:
            path = crowd.upload(data.encode(), name="x.json")
            call = {"data": [[{"path": path}]], "fn_index": number, "session_hash": name}
            http.post("gradio_api/run/predict", json=call).raise_for_status()

        return _watched(target, *[lambda name=name: load(name) for name in names])  # type: ignore[misc]


def tables_again(target: Target) -> tuple[bool, str]:
    """Opens the tab of tables, whose drawing took 0.13 s of a processor, as fast as it is
    answered"""
    crowd = target.elsewhere(84)
    dependencies = crowd.get("config").json()["dependencies"]
    drawn = [d["id"] for d in dependencies if [t[1] for t in d["targets"]] == ["select"]]
    with crowd.opened("tables") as http:

        def draw() -> None:
            for number in drawn:
                call = {"data": [], "fn_index": number, "session_hash": "tables"}
                http.post("gradio_api/run/predict", json=call)

        return _watched(target, *[draw] * 8)


def strips_to_purify(target: Target) -> tuple[bool, str]:
    """Has strips of 380 x 6,000 pixels purified in five steps, for two addresses, while somebody
    asks for verdicts"""
    noise = np.random.default_rng(18).integers(0, 256, (100, 7, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((380, 6000)).save(file, "JPEG", quality=80)
    crowd = [target.elsewhere(number) for number in (90, 91)]
    paths = [one.upload(file.getvalue()) for one in crowd]
    _, undisturbed = first_verdict(target)
    with ThreadPoolExecutor(2) as pool:
        asked = [
            pool.submit(one.ask, "purify", path, 5, True)
            for one, path in zip(crowd, paths, strict=True)
        ]
        time.sleep(3)
        found = [first_verdict(target, OTHER + i % 2) for i in range(5)]
        working = sum(not one.done() for one in asked)
        answered = sum("event: complete" in one.result()[1] for one in asked)
    slowest = max(seconds for _, seconds in found)
    said = f"somebody else's first verdict took {slowest:.1f} s ({undisturbed:.1f} s before)"
    held = all(there for there, _ in found) and slowest < SOON and working > 0 and answered == 2
    return held, f"{said}; {working} were at work all the while, {answered} of 2 were answered"


def metadata_bombs(target: Target) -> tuple[bool, str]:
    """Sends 21 new files whose metadata, scans or shape cost more than they weigh, one of each
    kind"""
    worst, most, failed = ("", 0.0), ("", 0.0), []
    with target.elsewhere(85).http(timeout=300) as http, target.watched() as peak:
        http.post(
            "api/v1/examine", files={"picture": ("x.jpg", picture(1))}, data={"stability": "no"}
        )
        for name, file, data in bombs(SEED):
            time.sleep(0.2)
            before = peak[0] = target.memory()
            started = time.monotonic()
            answer = http.post(
                "api/v1/examine", files={"picture": (file, data)}, data={"stability": "no"}
            )
            seconds, grown = time.monotonic() - started, peak[0] - before
            worst, most = (
                max(worst, (name, seconds), key=_second),
                max(most, (name, grown), key=_second),
            )
            if not 200 <= answer.status_code < 500:
                failed.append(f"{name}: {answer.status_code}")
    held = not failed and worst[1] < ANSWERED and most[1] < MAX_MORE
    said = (
        f"longest {worst[1]:.1f} s ({worst[0]}), most {most[1]:.0f} MB more ({most[0]}), seed "
        f"{SEED}"
    )
    return held, f"{said}{'; ' if failed else ''}{', '.join(failed)}"


def _second(pair: tuple[str, float]) -> float:
    return pair[1]


def crowded_pairing(target: Target) -> tuple[bool, str]:
    """Pairs 120 extensions of invented origins from one address, while another's is paired"""
    other, crowd = target.elsewhere(86), target.elsewhere(87)
    token = _pair(other, "chrome-extension://honest")
    for i in range(120):
        _pair(crowd, f"chrome-extension://invented{i}")
    asked = {"Origin": "chrome-extension://honest", "Authorization": f"Bearer {token}"}
    with other.http() as http:
        status = http.post("api/v1/examine", headers=asked, data={"picture": "x"}).status_code
    return bool(
        token
    ) and status == 415, f"{status}: the other's token is {'' if status == 415 else 'not '}known"


def _pair(target: Target, origin: str) -> str:
    """A token for an extension of that origin, with the code that a page shows."""
    session, number = secrets.token_hex(6), target.listener("pair", "click")
    with target.opened(session) as http:
        call = {"data": [], "fn_index": number, "session_hash": session}
        shown = http.post("gradio_api/run/predict", json=call).json()["data"][0]
        code = "".join(
            c for c in shown.rpartition("pairing-code")[2].partition("</b>")[0] if c.isdecimal()
        )
        return str(
            http.post("api/v1/pair", json={"code": code}, headers={"Origin": origin})
            .json()
            .get("token", "")
        )


def agents_account(target: Target) -> tuple[bool, str]:
    """Has one agent send 500 MB in 44 calls, then another agent one picture"""
    much = f"data:image/png;base64,{base64.b64encode(b'x' * 11_500_000).decode()}"
    small = f"data:image/jpeg;base64,{base64.b64encode(picture(5)).decode()}"
    agent = target.elsewhere(88)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: _tool(agent, "provenance", {"picture": much}), range(44)))
    kept = sum(path.stat().st_size for path in target.folder.glob("*/uploads/from-*/*")) / 2**20
    said = _tool(target.elsewhere(89), "provenance", {"picture": small})
    held = '"isError":false' in said and kept < 100
    return (
        held,
        f"{kept:.0f} MB are kept; the other was {'answered' if held else f'told {said[:200]}'}",
    )


def _tool(target: Target, name: str, arguments: dict[str, str]) -> str:
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": name, "arguments": arguments},
    }
    with target.http() as http:
        accept = {"Accept": "application/json, text/event-stream"}
        return http.post("gradio_api/mcp/", json=call, headers=accept).text


def log_volume(target: Target) -> tuple[bool, str]:
    """Asks 600 times for what was an error of the server, or a line of its log"""
    before = target.app.output.stat().st_size
    odd = (
        "?page=x",
        "?deep_link=../x",
        "gradio_api/queue/data?session_hash=x",
        "gradio_api/call/detect/x",
        "%00",
        "a?%ff",
    )
    for i in range(600):
        other = target.elsewhere(90 + i % 9)
        if i % 7:
            other.get(odd[i % len(odd)])
        else:
            other.post("mcp/", {}, **{"Content-Type": "text/plain"})
    time.sleep(1)
    grown = (target.app.output.stat().st_size - before) / 1000
    return grown < 20, f"{grown:.0f} kB logged"
