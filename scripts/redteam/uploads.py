"""Tries with uploads: more than is allowed, many at once, members of archives, and what is to be deleted of them."""

from __future__ import annotations

import io
import os
import stat
import tempfile
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gradio_client import Client

from causalclip.archive.workers import list_pictures, read_bytes
from scripts.redteam.connections import OTHER, others_are_served
from scripts.redteam.target import HEADERS, KIND, PART, Target, at_once, heard, picture


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


CHAINS = ("zip://x.jpg::/etc/hostname", "simplecache::file:///etc/hostname", "file:///etc/hostname::zip://x")


def bad_members_of_a_zip(target: Target) -> tuple[bool, str]:
    """Sends a zip with a pipe, a link, names with ::, and a damaged LZMA member beside one good picture"""
    path = target.upload(_zip(), name="x.zip")
    with target.http(timeout=60) as http, http.stream("GET", "gradio_api/heartbeat/members"):
        begun = target.batch(http, "members", [path])
        said = heard(http, "members")
    judged, damaged = "good.jpg" in said, "damaged in the archive" in said
    held = begun and judged and damaged and '"success":true' in said and "root:" not in said
    return held, f"the picture was {'' if judged else 'not '}judged, the others told"


def paths_of_an_archive(target: Target) -> tuple[bool, str]:
    """Has an archive read a pipe, /dev/zero, a link out of its folder and names with ::"""
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(1) as pool:
        folder = Path(name)
        (folder / "good.jpg").write_bytes(picture(9))
        os.mkfifo(folder / "pipe.jpg")
        (folder / "link.jpg").symlink_to("/etc/hostname")
        listed = pool.submit(list_pictures, name).result(10)
        places = (str(folder / "pipe.jpg"), "/dev/zero", *CHAINS)
        refused = sum(pool.submit(_refused, place).result(10) for place in places)
    return listed == [f"{name}/good.jpg"] and refused == len(places), f"{refused} refused, one picture listed"


def _refused(place: str) -> bool:
    try:
        read_bytes(place, limit=1000)
    except OSError:
        return True
    return False


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("good.jpg", picture(9))
        for name, kind in (("pipe.jpg", stat.S_IFIFO), ("link.jpg", stat.S_IFLNK)):
            member = zipfile.ZipInfo(name)
            member.external_attr = (kind | 0o644) << 16
            archive.writestr(member, "/etc/passwd")
        for chain in CHAINS:
            archive.writestr(chain, b"x")
        archive.writestr("damaged.jpg", picture(10), zipfile.ZIP_LZMA)
        place = archive.getinfo("damaged.jpg").header_offset
    data = bytearray(file.getvalue())
    begin = place + 30 + len("damaged.jpg") + 20
    data[begin : begin + 400] = bytes(400)
    return bytes(data)


def reports_that_count(target: Target) -> tuple[bool, str]:
    """Asks for eight reports as a program, and looks whether their bytes count for it"""
    crowd, before = target.elsewhere(92), target.metric("uploads_bytes")
    path = crowd.upload(picture(19, side=1024))
    answered = sum("event: complete" in crowd.ask("report", path)[1] for _ in range(8))
    time.sleep(11)  # they are counted in every round of the sweep
    files = [file for folder in target.folder.glob("*/uploads/program-*") for file in folder.rglob("*.html")]
    there, counted = sum(file.stat().st_size for file in files), target.metric("uploads_bytes") - before
    said = f"{answered} answered; {there / 2**20:.1f} MB are there, {counted / 2**20:.1f} MB more are counted"
    return answered == 8 and 0 < there <= counted, said
