"""python -m benchmarks.mutated: damaged files of every format through the decoders, and damaged zips.

Each is a good one with bits turned, bytes overwritten, parts left out, doubled, or cut off. What may come of it is
pixels or an ImageError with a sentence. Anything else is counted as wrong: another error, a crash, more than 2 s, or
memory that grows. Each format has a process of its own, so that a crash costs one. Kept in benchmarks/mutated.json.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil

KEPT = Path(__file__).parent / "mutated.json"
FORMATS = ("JPEG", "PNG", "WebP", "AVIF", "HEIC", "TIFF", "GIF")
SEED, SLOW = 41, 2.0


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four changes."""
    for _ in range(int(rng.integers(1, 5))):
        at, length = int(rng.integers(len(data))), int(rng.integers(1, 65))
        kind = int(rng.integers(6))
        part = data[at : at + length]
        if kind == 0:
            part = bytes([part[0] ^ 1 << int(rng.integers(8))]) + part[1:]
        elif kind == 1:
            part = rng.bytes(len(part))
        elif kind == 2:
            part = bytes([int(rng.choice([0, 255, 127, 128]))]) * len(part)
        elif kind == 3:
            part = b""
        elif kind == 4:
            part = part * 2
        data = data[:at] if kind == 5 and at > 32 else data[:at] + part + data[at + length :]
    return data


def one(name: str, count: int) -> dict[str, Any]:
    """What so many damaged files of a format, or zips, come to, in this process."""
    originals, read = (_zips(), _read_zip) if name == "zip" else (_pictures(name), _decode)
    rng, found, wrong = np.random.default_rng(SEED), Counter[str](), Counter[str]()
    me, slowest, before = psutil.Process(), 0.0, 0
    for i in range(count):
        data = mutate(originals[i % len(originals)], rng)
        started = time.process_time()
        try:
            found[read(data)] += 1
        except Exception as error:  # counted, as one finding must not end the others
            wrong[type(error).__name__] += 1
        slowest = max(slowest, time.process_time() - started)
        before = before or (me.memory_info().rss if i >= count // 5 else 0)
    grown = (me.memory_info().rss - before) / 2**20
    wrong["no sentence"] += found["no sentence"]
    wrong["slow"] += slowest > SLOW
    wrong["memory"] += grown > 100
    return {"files": count, **found, "slowest_s": round(slowest, 2), "grown_mb": round(grown), "wrong": dict(+wrong)}


def _decode(data: bytes) -> str:
    from causalclip.pictures.decoding import decode
    from causalclip.pictures.formats import ImageError, sniff

    try:
        decode(data, sniff(data))
    except ImageError as error:
        return "sentence" if str(error).endswith(".") else "no sentence"
    return "pixels"


def _read_zip(data: bytes) -> str:
    from causalclip.pictures.archives import ArchiveError, read_zip

    try:
        for _, content in read_zip(data):
            if isinstance(content, bytes):
                _decode(content)
    except ArchiveError:
        return "sentence"
    return "members"


def _pictures(name: str) -> list[bytes]:
    from PIL import Image

    from tests.makers.pictures import encode, exif, photo

    image = Image.fromarray(photo(128, 96))
    files = [encode(image, name), encode(Image.fromarray(photo(70, 200)), name)]
    if name in ("JPEG", "PNG", "WebP"):
        files.append(encode(image, name, exif=exif(6)))
    if name in ("PNG", "WebP", "AVIF", "TIFF"):
        files.append(encode(image.convert("RGBA"), name))
    if name == "JPEG":
        files.append(encode(image, name, progressive=True))
    if name == "TIFF":
        files += [encode(image, name, compression=how) for how in ("tiff_lzw", "jpeg", "tiff_adobe_deflate")]
    return files


def _zips() -> list[bytes]:
    pictures, made = [data for name in ("JPEG", "PNG") for data in _pictures(name)], []
    for how in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", how) as archive:
            for number, data in enumerate(pictures):
                archive.writestr(f"folder/{number}.jpg", data)
        made.append(file.getvalue())
    return made


def apart(name: str, count: int) -> dict[str, Any]:
    """`one`, in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.mutated", "--one", name, "--files", str(count)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=KEPT.parents[1])
    if done.returncode:
        return {"files": count, "wrong": {f"ended with {done.returncode}": 1}}
    return cast(dict[str, Any], json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5000, help="of every format")
    parser.add_argument("--archives", type=int, default=500)
    parser.add_argument("--one", help="a format, in this process, printed alone")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one, given.files)))
        return
    run: Callable[[str, int], dict[str, Any]] = apart
    found = {name: run(name, given.files) for name in FORMATS} | {"zip": run("zip", given.archives)}
    wrong = sum(sum(said["wrong"].values()) for said in found.values())
    KEPT.write_text(
        json.dumps({"date": date.today().isoformat(), "seed": SEED, "wrong": wrong, **found}, indent=2) + "\n"
    )
    print(KEPT.read_text())


if __name__ == "__main__":
    main()
