"""Tries with uploads: more than is allowed, many at once, and what is to be deleted of them."""

from __future__ import annotations

import time
from collections.abc import Iterator

from gradio_client import Client

from scripts.redteam.connections import OTHER, others_are_served
from scripts.redteam.target import HEADERS, KIND, PART, Target, at_once, picture


def past_the_quotas(target: Target) -> tuple[bool, str]:
    """Sends 51 files, and 202 MB, at once"""
    with target.http() as http:
        many = http.post("gradio_api/upload", files=[("files", ("x.jpg", b"x", "image/jpeg"))] * 51)
    with target.connect() as connection:
        connection.sendall(HEADERS + b"Content-Length: %d\r\n\r\n" % (202 * 2**20) + PART)
        much = b""
        while b"at once" not in much and (more := connection.recv(4096)):  # head and body may come apart
            much += more
    said = b"413" in much and b"at once" in much and "50" in many.text
    return many.status_code in {400, 413} and said, "refused with a sentence"


def raced_uploads(target: Target) -> tuple[bool, str]:
    """Sends six uploads of 171 MB, in pieces and together, where 500 MB are allowed"""
    other, piece = target.elsewhere(62), b"x" * 2**20
    owner = other.owner(other.upload(b"x"))

    def body() -> Iterator[bytes]:
        for _ in range(9):
            yield PART + b"".join([piece] * 19) + b"\r\n"
        yield b"--b--\r\n"

    def send(_: int) -> int:
        with other.http() as http:
            return http.post("gradio_api/upload", content=body(), headers=KIND).status_code

    answers = at_once(send, 6)
    stored = sum(path.stat().st_size for path in target.kept(owner))
    past = max(0, stored / 2**20 - 500)
    return past == 0 and set(answers) <= {200, 413}, f"{stored / 2**20:.0f} MB are stored, {past:.0f} past the quota"


def empty_files(target: Target) -> tuple[bool, str]:
    """Sends 10,000 empty files from six addresses; looks how late the last goes, and if others can send meanwhile"""
    others = [target.elsewhere(number) for number in range(70, 76)]
    body, page = (PART + b"\r\n") * 50 + b"--b--\r\n", {"Origin": target.address.rstrip("/")}
    owners = tuple(other.owner(other.upload(b"x", **page)) for other in others)

    def send(i: int) -> int:
        with others[i % 6].http() as http:
            return http.post("gradio_api/upload", content=body, headers=KIND | page).status_code

    answers = at_once(send, 200, workers=12)
    served, said = others_are_served(target)
    latest, honest, deadline = 0.0, [], time.monotonic() + 180
    while (left := sum(name.startswith(owners) for name in target.uploads())) and time.monotonic() < deadline:
        latest = max(latest, target.metric("deletion_lateness_seconds"))
        with target.elsewhere(OTHER).http() as http:
            honest.append(http.post("gradio_api/upload", files={"files": picture(12)}, headers=page).status_code)
        time.sleep(1)
    told, failed = answers.count(413), len(honest) - honest.count(200)
    held = served and latest < 60 and not left and not failed and set(answers) <= {200, 413}
    says = f"nothing went later than {latest:.0f} s; {failed} of {len(honest)} uploads of others failed meanwhile"
    return held, f"{50 * (200 - told):,} taken, {told} told; {said}; {says}"


def pages_left_four_ways(target: Target) -> tuple[bool, str]:
    """Leaves four ways: never run, while the run waits, as it starts, in mid-upload; then counts for a minute"""
    target, page = target.elsewhere(63), {"Origin": target.address.rstrip("/")}
    detect = target.function(api_name="detect")
    client = Client(target.address, verbose=False)
    owner = target.owner(target.upload(picture(5), **page))
    sessions = [client.session_hash, "as-it-starts"]
    for session in sessions:
        body = {"data": [{"path": target.upload(picture(6), **page)}], "fn_index": detect, "session_hash": session}
        target.post("queue/join", body)
    client.close()
    with target.connect() as connection:
        connection.sendall(HEADERS + b"Content-Length: 999999\r\n\r\n" + PART + b"x" * 100_000)
        time.sleep(1)
    started, coming = time.monotonic(), target.coming()
    while (left := {*target.kept(owner, *sessions), *coming & target.coming()}) and time.monotonic() < started + 60:
        time.sleep(1)
    return not left, f"{len(left)} files left after {time.monotonic() - started:.0f} s"
