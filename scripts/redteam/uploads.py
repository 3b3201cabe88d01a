"""Tries with uploads: more than is allowed, many at once, members of archives, and what is to be
deleted of them."""

from __future__ import annotations

import io
import random
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator

from gradio_client import Client
from PIL import Image

from scripts.redteam.connections import OTHER, others_are_served
from scripts.redteam.target import HEADERS, KIND, PART, Target, at_once, heard, picture
from tests.makers.metadata_files import (
    empty_boxes,
    joined_items,
    long_namespace,
    make_authority,
    sign,
    swollen,
)
from tests.makers.pictures import chunk, encode, jpeg_in_scans, photo, segment


def past_the_quotas(target: Target) -> tuple[bool, str]:
    """Sends 51 files, and 202 MB, at once"""
    with target.http() as http:
        many = http.post("gradio_api/upload", files=[("files", ("x.jpg", b"x", "image/jpeg"))] * 51)
    with target.connect() as connection:
        connection.sendall(HEADERS + b"Content-Length: %d\r\n\r\n" % (202 * 2**20) + PART)
        much = b""
        # head and body may come apart
        while b"at once" not in much and (more := connection.recv(4096)):
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
    return past == 0 and set(answers) <= {
        200,
        413,
    }, f"{stored / 2**20:.0f} MB are stored, {past:.0f} past the quota"


def empty_files(target: Target) -> tuple[bool, str]:
    """Sends 10,000 empty files from six addresses; looks how late the last goes, and if others can
    send meanwhile"""
    others = [target.elsewhere(number) for number in range(70, 76)]
    body, page = (PART + b"\r\n") * 50 + b"--b--\r\n", {"Origin": target.address.rstrip("/")}
    owners = tuple(other.owner(other.upload(b"x", **page)) for other in others)

    def send(i: int) -> int:
        with others[i % 6].http() as http:
            return http.post("gradio_api/upload", content=body, headers=KIND | page).status_code

    answers = at_once(send, 200, workers=12)
    served, said = others_are_served(target)
    latest, honest, deadline = 0.0, [], time.monotonic() + 180
    while (
        left := sum(name.startswith(owners) for name in target.uploads())
    ) and time.monotonic() < deadline:
        latest = max(latest, target.metric("deletion_lateness_seconds"))
        with target.elsewhere(OTHER).http() as http:
            honest.append(
                http.post(
                    "gradio_api/upload", files={"files": picture(12)}, headers=page
                ).status_code
            )
        time.sleep(1)
    told, failed = answers.count(413), len(honest) - honest.count(200)
    held = served and latest < 60 and not left and not failed and set(answers) <= {200, 413}
    says = (
        f"nothing went later than {latest:.0f} s; {failed} of {len(honest)} uploads of others "
        "failed meanwhile"
    )
    return held, f"{50 * (200 - told):,} taken, {told} told; {said}; {says}"


def pages_left_four_ways(target: Target) -> tuple[bool, str]:
    """Leaves four ways: never run, while the run waits, as it starts, in mid-upload; then counts
    for a minute"""
    target, page = target.elsewhere(63), {"Origin": target.address.rstrip("/")}
    detect = target.function(api_name="detect")
    client = Client(target.address, verbose=False)
    owner = target.owner(target.upload(picture(5), **page))
    sessions = [client.session_hash, "as-it-starts"]
    for session in sessions:
        body = {
            "data": [{"path": target.upload(picture(6), **page)}],
            "fn_index": detect,
            "session_hash": session,
        }
        target.post("queue/join", body)
    client.close()
    with target.connect() as connection:
        connection.sendall(HEADERS + b"Content-Length: 999999\r\n\r\n" + PART + b"x" * 100_000)
        time.sleep(1)
    started, coming = time.monotonic(), target.coming()
    while (
        left := {*target.kept(owner, *sessions), *coming & target.coming()}
    ) and time.monotonic() < started + 60:
        time.sleep(1)
    return not left, f"{len(left)} files left after {time.monotonic() - started:.0f} s"


CHAINS = (
    "zip://x.jpg::/etc/hostname",
    "simplecache::file:///etc/hostname",
    "file:///etc/hostname::zip://x",
)


def bad_members_of_a_zip(target: Target) -> tuple[bool, str]:
    """Sends a zip with a pipe, a link, names with ::, and a damaged LZMA member beside one good
    picture"""
    path = target.upload(_zip(), name="x.zip")
    with target.http(timeout=60) as http, http.stream("GET", "gradio_api/heartbeat/members"):
        begun = target.batch(http, "members", [path])
        said = heard(http, "members")
    judged, damaged = "good.jpg" in said, "damaged in the archive" in said
    held = begun and judged and damaged and '"success":true' in said and "root:" not in said
    return held, f"the picture was {'' if judged else 'not '}judged, the others told"


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
    files = [
        file
        for folder in target.folder.glob("*/uploads/program-*")
        for file in folder.rglob("*.html")
    ]
    there, counted = (
        sum(file.stat().st_size for file in files),
        target.metric("uploads_bytes") - before,
    )
    said = (
        f"{answered} answered; {there / 2**20:.1f} MB are there, {counted / 2**20:.1f} MB more "
        "are counted"
    )
    return answered == 8 and 0 < there <= counted, said


PLAIN = photo()
MAX_PUT = 19 * 2**20  # bytes that are put into a file


def bombs(seed: int) -> Iterator[tuple[str, str, bytes]]:
    """The name of each bomb, of its file, and its bytes."""
    for name, make in BOMBS.items():
        yield name, f"x.{name.partition(' ')[0]}", make(random.Random(f"{seed} {name}"))


def png(chunks: bytes) -> bytes:
    """A small picture, with these chunks behind its header."""
    data = encode(PLAIN, "PNG")
    return data[:33] + chunks[:MAX_PUT] + data[33:]


def jpeg(segments: bytes) -> bytes:
    """A small picture, with these segments behind its first mark."""
    data = encode(PLAIN, "JPEG")
    return data[:2] + segments[:MAX_PUT] + data[2:]


def xmp(text: str) -> bytes:
    return png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + text.encode()))


def deep_elements(rng: random.Random) -> bytes:
    depth = rng.randint(100_000, 800_000)
    return xmp("<a>" * depth + "</a>" * depth)


def many_texts(rng: random.Random) -> bytes:
    return png(
        b"".join(
            chunk(b"tEXt", b"%d\0x" % rng.randint(0, 10**6))
            for _ in range(rng.randint(200_000, 500_000))
        )
    )


def packed_texts(rng: random.Random) -> bytes:
    packed = zlib.compress(bytes(rng.randint(20, 60) * 2**20), 9)
    return png(b"".join(chunk(b"zTXt", b"a%d\0\0" % i + packed) for i in range(60)))


def signature_of_nothing(rng: random.Random) -> bytes:
    """Content Credentials whose boxes are right, and whose one assertion is not."""
    signed = sign(
        encode(PLAIN, "PNG"),
        make_authority(),
        {"label": "org.test.x", "data": {"a": 1}},
        mime="image/png",
    )
    return swollen(signed, rng.randint(6_000_000, 17_000_000))


def nested_boxes(rng: random.Random) -> bytes:
    body = b""
    for _ in range(rng.randint(20_000, 60_000)):
        body = (
            struct.pack(">I", (len(body) + 8) & 0xFFFFFFFF) + b"jumb" + body
            if len(body) < 2**16
            else body
        )
    return png(chunk(b"caBX", body * 40))


def strip(rng: random.Random) -> bytes:
    sides = [64, rng.randint(120_000, 190_000)]
    rng.shuffle(sides)
    return encode(Image.linear_gradient("L").resize((sides[0], sides[1])).convert("RGB"), "PNG")


def many_fields(rng: random.Random) -> bytes:
    """EXIF whose every field points at the same large value, and whose directories lead back to
    themselves."""
    count = rng.randint(2_000, 4_000)
    entries = b"".join(
        struct.pack("<HHII", rng.randint(1, 65000), 2, 60_000, 8) for _ in range(count)
    )
    tiff = (
        b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", count) + entries + struct.pack("<I", 8)
    )
    return jpeg(segment(0xE1, b"Exif\0\0" + tiff))


def many_segments(rng: random.Random) -> bytes:
    kinds = [segment(kind, b"") for kind in (0xE1, 0xE2, 0xEB, 0xED, 0xFE)]
    return jpeg(b"".join(rng.choice(kinds) for _ in range(1000)) * rng.randint(1_000, 4_500))


def many_records(rng: random.Random) -> bytes:
    """IPTC: thousands of records of a few bytes, in as many segments as fit."""
    records = b"".join(b"\x1c\2" + bytes([rng.randint(0, 255)]) + b"\0\1x" for _ in range(9_000))
    block = b"Photoshop 3.0\x008BIM\4\4\0\0" + struct.pack(">I", len(records)) + records
    return jpeg(segment(0xED, block) * rng.randint(100, 300))


def pieces(rng: random.Random) -> bytes:
    """XMP that is continued in thousands of segments, each of which says that it is one of them."""
    packet = b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32
    parts = (
        packet + struct.pack(">II", 2**31, rng.randint(0, 2**31)) + b"<a>" * 20
        for _ in range(60_000)
    )
    return jpeg(b"".join(segment(0xE1, part) for part in parts))


def webp_chunks(rng: random.Random) -> bytes:
    body = encode(PLAIN, "WebP")[12:] + (b"EXIF\0\0\0\0" + b"XMP \0\0\0\0") * rng.randint(
        300_000, 1_000_000
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def gif_comments(rng: random.Random) -> bytes:
    file = io.BytesIO()
    Image.new("P", (128, 128)).save(file, "GIF")
    return file.getvalue()[:-1] + b"!\xfe\1x\0" * rng.randint(1_000_000, 3_000_000) + b";"


def tiff_directories(rng: random.Random) -> bytes:
    count = rng.randint(200_000, 900_000)
    directories = b"".join(
        struct.pack("<HHHIII", 1, 256, 3, 1, 9, 8 + 18 * (i + 1)) for i in range(count)
    )
    return b"II*\0" + struct.pack("<I", 8) + directories + bytes(6)


BOMBS: dict[str, Callable[[random.Random], bytes]] = {
    "png as a strip": strip,
    "png with one long namespace": lambda rng: long_namespace(
        rng.randrange(2**32), attributes=False
    ),
    "png with many attributes": lambda rng: long_namespace(rng.randrange(2**32), attributes=True),
    "png with deep elements": deep_elements,
    "png with many namespaces": lambda rng: xmp(
        "".join(f"<a xmlns:n{i}='u{rng.random()}'>" for i in range(50_000)) + "</a>" * 50_000
    ),
    "png with many texts": many_texts,
    "png with packed texts": packed_texts,
    "png with a packed profile": lambda rng: png(
        chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(rng.randint(300, 900) * 2**20), 9))
    ),
    "png with a signature of nothing": signature_of_nothing,
    "png with nested boxes": nested_boxes,
    "heic with many boxes": lambda rng: empty_boxes(
        rng.randrange(2**32), count=rng.randint(100_000, 2_400_000)
    ),
    "heic with false lengths": lambda rng: joined_items(
        "HEIC", items=500, extents=64, size=rng.randint(2**19, 2**20), kind=b"Exif"
    ),
    "avif with false lengths": lambda rng: joined_items(
        "AVIF", items=8, extents=rng.randint(32, 64), size=MAX_PUT, kind=b"mime"
    ),
    "jpg with many fields": many_fields,
    "jpg with many segments": many_segments,
    "jpg with many records": many_records,
    "jpg in pieces": pieces,
    "jpg with one scan a colour": lambda rng: jpeg_in_scans(rng.randint(13_000, 14_000), 14_000),
    "webp with many chunks": webp_chunks,
    "gif with many comments": gif_comments,
    "tiff with many directories": tiff_directories,
}
