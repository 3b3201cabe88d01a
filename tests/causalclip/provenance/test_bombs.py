"""Metadata that costs a reader more than any real file: the sandbox bears it, and the examination still answers."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from causalclip.provenance.reading import NOTHING, UNREAD, read_provenance
from tests.makers.metadata_files import empty_boxes, joined_items, long_namespace
from tests.makers.pictures import encode, photo
from tests.makers.signing import make_authority, sign, swollen
from tests.pace import slowness

MB = 2**20
SEEDS = (1, 2)
MEASURE = """
import json, pathlib, resource, sys, threading, time
import psutil
from causalclip.provenance.reading import read_provenance

def held():
    me = psutil.Process()
    total = 0
    for process in (me, *me.children(recursive=True)):
        try:
            total += process.memory_full_info().uss
        except psutil.Error:
            pass
    return total

def watch():
    while running:
        highest.append(held())
        time.sleep(0.02)

def own():
    return 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

paths = sorted(pathlib.Path(sys.argv[1]).iterdir())
read_provenance(paths[0].read_bytes(), "JPEG")
for path in paths[1:]:
    data = path.read_bytes()
    running, highest, before, parent, started = True, [], held(), own(), time.monotonic()
    watcher = threading.Thread(target=watch)
    watcher.start()
    p = read_provenance(data, path.suffix[1:])
    seconds, running = time.monotonic() - started, False
    watcher.join()
    print(json.dumps([path.name, seconds, max(highest) - before, own() - parent, p.credentials.state, p.notes]))
"""


def signed() -> bytes:
    return sign(encode(photo(), "PNG"), make_authority(), {"label": "org.test.x", "data": {"a": 1}}, mime="image/png")


BOMBS: dict[str, Callable[[int], bytes]] = {
    "elements.PNG": lambda seed: long_namespace(seed, attributes=False),
    "attributes.PNG": lambda seed: long_namespace(seed, attributes=True),
    "boxes.HEIC": lambda seed: empty_boxes(seed, count=100_000 + 50_000 * seed),
    "many.HEIC": lambda seed: joined_items("HEIC", items=500, extents=64, size=MB, kind=b"Exif"),
    "many.AVIF": lambda seed: joined_items("AVIF", items=500 + seed, extents=32, size=MB, kind=b"mime"),
    "large.HEIC": lambda seed: joined_items("HEIC", items=8, extents=32 + seed, size=20 * MB, kind=b"mime"),
    "large.AVIF": lambda seed: joined_items("AVIF", items=8, extents=64, size=20 * MB, kind=b"Exif"),
    "assertion.PNG": lambda seed: swollen(signed(), 16 * MB + seed),
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to a limit of memory")
def test_bombs_stay_within_the_limits_and_the_parent_pays_nothing(tmp_path: Path) -> None:
    (tmp_path / "0.JPEG").write_bytes(encode(photo(), "JPEG"))
    for kind, make in BOMBS.items():
        for seed in SEEDS:
            (tmp_path / f"{seed}-{kind}").write_bytes(make(seed))
    done = subprocess.run([sys.executable, "-c", MEASURE, tmp_path], capture_output=True, check=True, timeout=300)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(BOMBS) * len(SEEDS)
    for name, seconds, together, parent, state, notes in lines:
        print(
            f"{name}: {seconds:.2f} s, +{together / MB:.0f} MB, of the parent +{parent / MB:.0f} MB, {state}, {notes}"
        )
        assert seconds < 15 * slowness(), name
        assert together < 500 * MB, name
        assert parent < 60 * MB, name


def test_what_was_read_before_the_limit_stands() -> None:
    p = read_provenance(empty_boxes(3, count=150_000), "HEIC")
    assert p.credentials.state == "unreadable"
    assert p.notes[-1] == UNREAD
    assert p.summary() == UNREAD != NOTHING
    assert p.silent
