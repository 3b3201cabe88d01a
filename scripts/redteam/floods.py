"""Tries at what the server has to give: memory, disk, turns; and at what it is to forget."""

from __future__ import annotations

import io
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from gradio_client import Client
from PIL import Image

from scripts.redteam.target import Target, at_once, picture

HEADERS = b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
PART = b'--b\r\nContent-Disposition: form-data; name="files"; filename="x.jpg"\r\n\r\n'


def pixels(target: Target) -> tuple[bool, str]:
    """Sends twelve pictures of 50 megapixels at once"""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((8000, 6200)).convert("RGB").save(file, "JPEG", quality=50)
    paths = [target.upload(file.getvalue()) for _ in range(12)]
    most, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            most[0] = max(most[0], target.memory())

    threading.Thread(target=watch, daemon=True).start()
    answers = at_once(lambda i: target.ask("detect", paths[i]), 12)
    over.set()
    answered = sum("event: complete" in text for _, text in answers)
    told = sum("queue is full" in text for _, text in answers)
    return answered + told == 12 and most[0] < 1600, f"{answered} answered, {told} told, {most[0]:.0f} MB at most"


def hog(target: Target) -> tuple[bool, str]:
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


def quotas(target: Target) -> tuple[bool, str]:
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


def leftovers(target: Target) -> tuple[bool, str]:
    """Leaves four ways: never run, while the run waits, as it starts, in mid-upload; then counts for a minute"""
    before = target.kept()
    page = {"Origin": target.address.rstrip("/")}
    detect = target.function(api_name="detect")
    client = Client(target.address, verbose=False)
    chosen = [target.upload(picture(5), **page)]
    for session in (client.session_hash, "as-it-starts"):
        chosen.append(target.upload(picture(6), **page))
        body = {"data": [{"path": chosen[-1]}], "fn_index": detect, "session_hash": session}
        target.post("queue/join", body)
    client.close()
    with target.connect() as connection:
        connection.sendall(HEADERS + b"Content-Length: 999999\r\n\r\n" + PART + b"x" * 100_000)
        time.sleep(1)
    deadline = time.monotonic() + 60
    while (left := target.kept() - before) and time.monotonic() < deadline:
        time.sleep(1)
    return not left, f"{len(left)} files left after {60 - max(0, deadline - time.monotonic()):.0f} s"


def bomb(target: Target) -> tuple[bool, str]:
    """Sends a HEIC of 1 MB whose metadata has 500 items that each join all of it 64 times"""
    size = 2**20
    extents = b"".join(struct.pack(">II", 0, size) for _ in range(64))
    places = b"".join(struct.pack(">HHH", i, 0, 64) + extents for i in range(500))
    iloc = _box(b"iloc", b"\0\0\0\0\x44\x00" + struct.pack(">H", 500) + places)
    infos = b"".join(_box(b"infe", b"\2\0\0\0" + struct.pack(">HH", i, 0) + b"Exif\0") for i in range(500))
    iinf = _box(b"iinf", b"\0\0\0\0" + struct.pack(">H", 500) + infos)
    data = _box(b"ftyp", b"heic\0\0\0\0mif1heic") + _box(b"meta", b"\0\0\0\0" + iinf + iloc)
    path, before, started = target.upload(data.ljust(size, b"\0"), name="x.heic"), target.memory(), time.monotonic()
    target.ask("provenance", path)
    seconds = time.monotonic() - started
    return seconds < 3 and target.memory() - before < 300, f"answered in {seconds:.1f} s"


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body
