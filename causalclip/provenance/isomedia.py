"""EXIF and XMP of HEIC and AVIF files, by pillow-heif and Pillow, in a process with limits on memory and time.

Their native readers join whatever a file tells them to join, however often, before anybody can count it.
"""

import io
import sys
from typing import Any

import pillow_heif
from PIL.AvifImagePlugin import AvifImageFile

from causalclip.pictures.apart import limit_memory, limit_time, run_apart
from causalclip.pictures.formats import Format, damaged

MEMORY = 150 * 2**20  # bytes; the largest accepted files need 90 MB
SECONDS = 0.5  # of processor time, without the start of the process; an ordinary file needs a hundredth
_MARKS = (b"Exif", b"rdf+xml")  # the kinds of the items


def read_items(data: bytes, name: Format) -> tuple[bytes, bytes]:
    """(EXIF as a TIFF structure, XMP) of a HEIC or AVIF file; b"" for what is not there.

    Raises BrokenImage for a file that the readers refuse, TooCostly for one that takes too much memory or time.
    """
    if not any(mark in data for mark in _MARKS):
        return b"", b""
    written = run_apart(__name__, name, data, read=lambda output: output.read())
    if not written:
        raise damaged(name)
    split = 4 + int.from_bytes(written[:4], "big")
    return written[4:split].removeprefix(b"Exif\0\0"), written[split:]


def main() -> None:
    """Write EXIF, after its length in 4 bytes, and XMP of the file on standard input; nothing if it cannot be read."""
    data = sys.stdin.buffer.read()
    limit_memory(MEMORY)
    limit_time(SECONDS)
    try:
        info = _info(data, sys.argv[1])
        exif = info.get("exif") or b""
        answer = len(exif).to_bytes(4, "big") + exif + (info.get("xmp") or b"")
    except Exception:  # the readers raise anything on bad input; all mean the same
        return
    sys.stdout.buffer.write(answer)


def _info(data: bytes, name: str) -> dict[Any, Any]:
    if name == "AVIF":
        return AvifImageFile(io.BytesIO(data)).info
    pillow_heif.options.THUMBNAILS = pillow_heif.options.DEPTH_IMAGES = pillow_heif.options.AUX_IMAGES = False
    return pillow_heif.open_heif(data).info


if __name__ == "__main__":
    main()
