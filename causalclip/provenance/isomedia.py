"""EXIF and XMP of HEIC and AVIF files, by pillow-heif and Pillow."""

import io
from typing import Any

import pillow_heif
from PIL.AvifImagePlugin import AvifImageFile

from causalclip.pictures.formats import Format, damaged

_MARKS = (b"Exif", b"rdf+xml")  # the kinds of the items


def read_items(data: bytes, name: Format) -> tuple[bytes, bytes]:
    """(EXIF as a TIFF structure, XMP) of a HEIC or AVIF file; b"" for what is not there.

    Native readers join whatever a file tells them to join, however often, before anybody can count it: for a sandbox.

    Raises BrokenImage for a file that the readers refuse, MemoryError for one that takes too much.
    """
    if not any(mark in data for mark in _MARKS):
        return b"", b""
    try:
        info = _info(data, name)
    except MemoryError:
        raise
    except Exception as error:  # the readers raise anything on bad input; all mean the same
        if "memory" in str(error).lower():  # libheif says it in words
            raise MemoryError from error
        raise damaged(name) from error
    return (info.get("exif") or b"").removeprefix(b"Exif\0\0"), info.get("xmp") or b""


def _info(data: bytes, name: str) -> dict[Any, Any]:
    if name == "AVIF":
        return AvifImageFile(io.BytesIO(data)).info
    pillow_heif.options.THUMBNAILS = pillow_heif.options.DEPTH_IMAGES = pillow_heif.options.AUX_IMAGES = False
    return pillow_heif.open_heif(data).info
