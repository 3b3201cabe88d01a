"""Metadata in every encoding and of every size: read where it is honest, left out and said where it is not."""

import gc
import struct
import sys
import time
import tracemalloc
import zlib
from pathlib import Path

import pytest

from causalclip.languages import _, speaking
from causalclip.provenance.budget import MAX_ITEM, MAX_TOTAL, TOO_MUCH
from causalclip.provenance.reading import Provenance, read_provenance
from causalclip.provenance.tifftags import Tags
from tests.makers.metadata_files import SOURCE, exif_block, jpeg_exif, jpeg_iptc, jpeg_with, jpeg_xmp, png_texts, xmp
from tests.makers.pictures import chunk, encode, photo, segment, tiff, tiff_tags
from tests.pace import slowness

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
GENERATED = f'Iptc4xmpExt:DigitalSourceType="{SOURCE}trainedAlgorithmicMedia"'
DAMAGED_XMP = "The file's XMP block is damaged and was not read."


def said(p: Provenance) -> dict[str, str]:
    return {f"{f.where} {f.name}": f.value for f in p.fields}


# XMP ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("declared", ["", '<?xml version="1.0" encoding="UTF-16"?>'])
def test_a_packet_is_read_in_every_encoding(encoding: str, declared: str) -> None:
    packet = declared + xmp(GENERATED + ' photoshop:Credit="Zoë"').decode()
    p = read_provenance(jpeg_xmp(packet.encode(encoding)), "JPEG")
    assert [t.code for t in p.source_types] == ["trainedAlgorithmicMedia"]
    assert said(p)["XMP Credit"] == "Zoë"
    assert p.notes == ()


def laughs() -> str:
    """A billion of them, where an attribute that is read is expected."""
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10))
    return f'<!DOCTYPE x [<!ENTITY e0 "ha">{entities}]>' + xmp('photoshop:Credit="&e9;"').decode()


def outside(path: Path) -> str:
    """An entity whose text lies in a file of this machine."""
    path.write_text("secret")
    element = "<photoshop:Credit>&e;</photoshop:Credit>"
    return f'<!DOCTYPE x [<!ENTITY e SYSTEM "{path.as_uri()}">]>' + xmp(elements=element).decode()


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("declared", ["", '<?xml version="1.0" encoding="UTF-16"?>'])
@pytest.mark.parametrize("kind", ["laughs", "outside"])
def test_entities_are_refused_in_every_encoding(encoding: str, declared: str, kind: str, tmp_path: Path) -> None:
    packet = declared + (laughs() if kind == "laughs" else outside(tmp_path / "secret"))
    data = encode(photo(), "PNG")
    body = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(packet.encode(encoding))
    started = time.process_time()
    p = read_provenance(data[:33] + chunk(b"iTXt", body) + data[33:], "PNG")
    assert time.process_time() - started < 0.5 * slowness()
    assert p.fields == ()
    assert p.notes == (DAMAGED_XMP,)


def test_a_damaged_packet_does_not_keep_the_file_in_memory() -> None:
    data = jpeg_xmp(b"<x")
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(data)
        assert read_provenance(data, "JPEG").notes == (DAMAGED_XMP,)
        assert sys.getrefcount(data) == before
    finally:
        gc.enable()


# Budget -------------------------------------------------------------------------------------------


def test_an_item_that_is_too_large_is_left_out_and_said() -> None:
    just, over = (xmp(GENERATED, "x" * size).decode() for size in (MAX_ITEM - 2000, MAX_ITEM))
    for packet, read in ((just, True), (over, False)):
        p = read_provenance(png_texts(("XML:com.adobe.xmp", packet), kind=b"iTXt"), "PNG")
        assert bool(p.source_types) == read
        assert p.notes == (() if read else (TOO_MUCH,))


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt"])
def test_all_items_together_are_limited(kind: bytes) -> None:
    texts = [("Comment", "x" * (MAX_ITEM - 10))] * (MAX_TOTAL // MAX_ITEM)
    within, beyond = (png_texts(*some, ("Software", "NovelAI"), kind=kind) for some in (texts[:-1], texts * 2))
    assert [m.generator for m in read_provenance(within, "PNG").marks] == ["NovelAI"]
    p = read_provenance(beyond, "PNG")
    assert p.marks == ()
    assert p.notes == (TOO_MUCH,)


def test_too_much_is_said_once_in_the_readers_language() -> None:
    """Two readers find it: the container's, and that of the tags."""
    exif, text = (
        chunk(kind, body)
        for kind, body in ((b"eXIf", overlapping(5000, 60_000)), (b"tEXt", b"a\0" + bytes(MAX_ITEM + 1)))
    )
    data = encode(photo(), "PNG")
    with speaking("de"):
        notes = read_provenance(data[:33] + exif + text + data[33:], "PNG").notes
        assert notes == (_(TOO_MUCH),) != (TOO_MUCH,)


def test_one_bad_text_does_not_hide_the_others() -> None:
    whole = png_texts(("Software", "NovelAI"))
    for bad in (b"a\0\7what", b"a\0\0" + zlib.compress(bytes(2**22)), b"\0\0", b"a"):
        p = read_provenance(whole[:33] + chunk(b"zTXt", bad) + whole[33:], "PNG")
        assert [m.generator for m in p.marks] == ["NovelAI"]


def overlapping(count: int, size: int) -> bytes:
    """EXIF of so many different tags that all hold the same bytes."""
    entries = b"".join(struct.pack(">HHII", 1000 + i, 7, size, 0) for i in range(count))
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", count) + entries + bytes(4)


def test_tags_that_share_their_bytes_are_read_up_to_a_limit() -> None:
    block = overlapping(5000, 60_000)
    tracemalloc.start()
    tags = Tags(block, limit=MAX_ITEM)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    assert tags.cut
    assert read_provenance(jpeg_exif(block), "JPEG").notes == (TOO_MUCH,)


def test_a_tiff_of_tags_that_share_their_bytes_costs_little() -> None:
    data = bytes(10 * 2**20)
    bomb = tiff(tiff_tags(64, 64) | {tag: (7, len(data), 8) for tag in range(2000, 62000)}, data)
    numbers = tiff(tiff_tags(64, 64) | {0x8769: (4, 1, 8)}, struct.pack("<H", 1) + struct.pack("<HHII", 9, 5, 10**5, 8))
    for hostile in (bomb, numbers + bytes(2**20)):
        started = time.process_time()
        p = read_provenance(hostile, "TIFF")
        assert time.process_time() - started < 0.5 * slowness()
        assert p.fields == ()


# EXIF, IPTC and tables ----------------------------------------------------------------------------


def test_a_place_without_seconds_is_a_place() -> None:
    good = exif_block({}, gps=(48.5, -9.25))
    seconds = struct.pack(">II", 0, 1000)
    assert good.count(seconds) == 2
    assert read_provenance(jpeg_exif(good.replace(seconds, bytes(8))), "JPEG").place == (48.5, -9.25)
    far = exif_block({}, gps=(91, 0))
    assert read_provenance(jpeg_exif(far), "JPEG").place is None


def test_iptc_of_a_tiff() -> None:
    iim = b"\x1c\x02\x50" + struct.pack(">H", 4) + "Zoë".encode()
    p = read_provenance(encode(photo(), "TIFF", tiffinfo={33723: iim}), "TIFF")
    assert said(p)["IPTC Artist"] == "Zoë"


def test_damaged_iptc_is_left_out() -> None:
    good = jpeg_iptc({80: b"A. Person"})
    at = good.index(b"\x1c\x02\x50")
    assert said(read_provenance(good, "JPEG")) == {"IPTC Artist": "A. Person"}
    assert read_provenance(good[:at] + b"\x1d" + good[at + 1 :], "JPEG").fields == ()


def test_countless_tables_cost_little() -> None:
    many = jpeg_with(*[segment(0xDB, (b"\0" + bytes([1] * 64)) * 1000)] * 300)
    started = time.process_time()
    p = read_provenance(many, "JPEG")
    assert time.process_time() - started < 0.5 * slowness()
    assert p.jpeg is not None
    assert p.jpeg.quality == 80
