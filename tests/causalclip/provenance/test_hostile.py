"""Metadata that are damaged, or cost a reader more than any real file's: the examination still
answers, in bounds."""

import json
import struct
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from causalclip.examination.schema import ProvenanceSchema
from causalclip.provenance.containers import COSTLY, MAX_ITEM, MAX_TOTAL, TOO_MUCH, read_blocks
from causalclip.provenance.reading import read_provenance
from causalclip.provenance.result import NOTHING, UNREAD, Provenance
from tests.makers import bombs
from tests.makers.cost import cost_of, slowness
from tests.makers.metadata_files import (
    SOURCE,
    empty_boxes,
    exif_block,
    jpeg_exif,
    jpeg_iptc,
    jpeg_with,
    jpeg_xmp,
    png_texts,
    samsung_trailer,
    xmp,
)
from tests.makers.pictures import chunk, encode, photo, segment

MB = 2**20

ENCODINGS = (
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "utf-32-le",
    "utf-32-be",
)
GENERATED = f'Iptc4xmpExt:DigitalSourceType="{SOURCE}trainedAlgorithmicMedia"'
DAMAGED_XMP = "The file's XMP block is damaged and was not read."


def said(p: Provenance) -> dict[str, str]:
    return {f"{f.where} {f.name}": f.value for f in p.fields}


# XMP ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", ["", '<?xml version="1.0" encoding="UTF-16"?>'])
@pytest.mark.parametrize("encoding", ENCODINGS)
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
@pytest.mark.parametrize("kind", ["laughs", "outside"])
def test_entities_are_refused_in_every_encoding(encoding: str, kind: str, tmp_path: Path) -> None:
    packet = laughs() if kind == "laughs" else outside(tmp_path / "secret")
    data = encode(photo(), "PNG")
    body = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(packet.encode(encoding))
    p = read_provenance(data[:33] + chunk(b"iTXt", body) + data[33:], "PNG")
    assert p.fields == ()
    assert p.notes == (DAMAGED_XMP,)


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
    within, beyond = (
        png_texts(*some, ("Software", "NovelAI"), kind=kind) for some in (texts[:-1], texts * 2)
    )
    assert [m.generator for m in read_provenance(within, "PNG").marks] == ["NovelAI"]
    p = read_provenance(beyond, "PNG")
    assert p.marks == ()
    assert p.notes == (TOO_MUCH,)


BROKEN = zlib.compress(bytes(10**6))[:-8] + b"\xff" * 8  # a megabyte, then no end
UNPACKED_FOR_NOTHING = {
    "profiles that are no numbers": chunk(
        b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(MAX_ITEM - 1))
    ),
    "broken profiles": chunk(b"zTXt", b"Raw profile type xmp\0\0" + BROKEN),
    "broken XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BROKEN),
    "XMP beyond a megabyte": chunk(
        b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(2**22))
    ),
}


@pytest.mark.parametrize("name", UNPACKED_FOR_NOTHING)
def test_what_is_unpacked_for_nothing_costs_the_budget(name: str) -> None:
    whole, bomb = png_texts(("Software", "NovelAI")), UNPACKED_FOR_NOTHING[name]
    few, many = (whole[:33] + bomb * count + whole[33:] for count in (2, 15_000))
    assert [mark.generator for mark in read_provenance(few, "PNG").marks] == ["NovelAI"]
    begun = time.process_time()
    blocks = read_blocks(many, "PNG")
    assert time.process_time() - begun < 3 * slowness()
    assert [text.value for text in blocks.texts] == [""]  # NovelAI is beyond the budget
    assert blocks.notes == (TOO_MUCH,)


def test_a_profile_that_is_not_read_costs_nothing() -> None:
    texts = [("Raw profile type icc", "x" * (MAX_ITEM - 10))] * 20
    p = read_provenance(png_texts(*texts, ("Software", "NovelAI"), kind=b"zTXt"), "PNG")
    assert ([mark.generator for mark in p.marks], p.notes) == (["NovelAI"], ())


def test_one_bad_text_does_not_hide_the_others() -> None:
    whole = png_texts(("Software", "NovelAI"))
    for bad in (b"a\0\7what", b"a\0\0" + zlib.compress(bytes(2**22)), b"\0\0", b"a"):
        p = read_provenance(whole[:33] + chunk(b"zTXt", bad) + whole[33:], "PNG")
        assert [m.generator for m in p.marks] == ["NovelAI"]


CAMERA = {271: b"Canon", 272: b"EOS R5", 306: b"2026:05:02 10:00:00"}


def crft(body: bytes) -> bytes:
    """A WebP with Recraft's chunk."""
    plain = encode(photo(), "WebP")
    whole = plain[12:] + b"CRFT" + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    return b"RIFF" + struct.pack("<I", len(whole) + 4) + b"WEBP" + whole


def profile(block: bytes, *, said: int | None = None) -> bytes:
    """A PNG with EXIF as ImageMagick writes it, of so many bytes as it is said to have."""
    size = len(block) if said is None else said
    return png_texts(("Raw profile type exif", f"\nexif\n{size:8}\n{block.hex()}\n"), kind=b"zTXt")


def samsung(value: bytes, *, count: int = 1) -> bytes:
    return encode(photo(), "JPEG") + samsung_trailer(value, count=count)


def comment(text: str) -> bytes:
    """EXIF with a UserComment in its first directory, where it does not belong."""
    return exif_block({270: b"", 37510: b"ASCII\0\0\0" + text.encode()})


def in_itself(depth: int) -> str:
    """China's label, encoded as a string of JSON so many times."""
    text = '{"AIGC": {"Label": "1"}}'
    for _ in range(depth):
        text = json.dumps(text)
    return text


CYCLE = "".join(
    f'<rdf:Description rdf:nodeID="{a}" xmpMM:x="y"><TC260:AIGC '
    f'rdf:nodeID="{b}"/></rdf:Description>'
    for a, b in (("a", "b"), ("b", "a"), ("a", "a"))
)
HOSTILE = {
    "cyclic XML": ("JPEG", lambda: jpeg_xmp(xmp(elements=CYCLE * 200))),
    "label in itself": ("PNG", lambda: png_texts(("AIGC", in_itself(15)), ("AIGC", in_itself(3)))),
    "deep label": ("JPEG", lambda: jpeg_exif(comment('{"AIGC":' * 6000))),
    "long number": (
        "PNG",
        lambda: png_texts(("AIGC", '{"AIGC": {"Label": ' + "9" * 12_000 + "}}")),
    ),
    "many names": (
        "PNG",
        lambda: png_texts(
            ("Comment", '{"prompt": 1, "model": 2, "nologo": ' + '[{"a": 1},' * 20_000)
        ),
    ),
    "deep signature": ("PNG", lambda: png_texts(("Comment", '{"mflux_version":' * 15_000))),
    "large chunk": ("WebP", lambda: crft(b'{"signed_by": "recraft", "x": [' + b"[" * 3_000_000)),
    "profile in a text": ("PNG", lambda: profile(b"Exif\0\0" + exif_block(CAMERA), said=2**40)),
    "profile bomb": ("PNG", lambda: profile(bytes(600_000))),
    "deep trailer": (
        "JPEG",
        lambda: samsung(b'{"genAIType":' * 5000, count=2**32 - 1),
    ),
    "deep XML": (
        "PNG",
        lambda: png_texts(("XML:com.adobe.xmp", "<a>" * 30_000 + "</a>" * 30_000), kind=b"iTXt"),
    ),
    "huge XML": (
        "PNG",
        lambda: png_texts(
            ("XML:com.adobe.xmp", xmp(elements="x" * 1_000_000).decode()), kind=b"zTXt"
        ),
    ),
    "text bomb": ("PNG", lambda: png_texts(*[("Comment", "a" * 20_000_000)] * 3, kind=b"zTXt")),
    "many texts": ("PNG", lambda: png_texts(*[("Software", f"x{i}") for i in range(20_000)])),
    "deep JSON": ("PNG", lambda: png_texts(("prompt", '{"class_type":' * 30_000))),
    "long settings": ("PNG", lambda: png_texts(("parameters", "Steps: 20, " * 200_000))),
    "loop": ("JPEG", lambda: jpeg_exif(b"MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x08")),
    "many comments": ("JPEG", lambda: jpeg_with(*[segment(0xFE, b"x" * 10)] * 40_000)),
    "many IPTC": ("JPEG", lambda: jpeg_iptc(dict.fromkeys(range(250), b"y" * 200))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_metadata_takes_little_time_and_space(name: str) -> None:
    container, make = HOSTILE[name]
    data = make()
    p = read_provenance(data, container)  # type: ignore[arg-type]
    assert UNREAD not in p.notes
    assert len(json.dumps(ProvenanceSchema.dump(p))) < 40_000


def test_random_damage_never_raises() -> None:
    rng = np.random.default_rng(0)
    whole = (
        ("JPEG", jpeg_exif(exif_block(CAMERA, gps=(1, 2)))),
        ("JPEG", jpeg_exif(comment(in_itself(1)))),
        ("JPEG", samsung(b'{"genAIType": 1}')),
        (
            "PNG",
            png_texts(
                ("parameters", "Steps: 20, Sampler: Euler a"), ("AIGC", in_itself(1)), kind=b"zTXt"
            ),
        ),
        ("PNG", profile(exif_block(CAMERA))),
        ("HEIC", encode(photo(), "HEIC", exif=b"Exif\0\0" + exif_block(CAMERA))),
        ("AVIF", encode(photo(), "AVIF", exif=b"Exif\0\0" + exif_block(CAMERA))),
        ("WebP", encode(photo(), "WebP", exif=exif_block(CAMERA))),
        ("WebP", crft(b'{"signed_by": "recraft"}')),
        ("TIFF", encode(photo(), "TIFF", tiffinfo={271: "Canon"})),
    )
    for name, data in whole:
        for _ in range(20):
            broken = bytearray(
                data[: int(rng.integers(20, len(data)))] if rng.random() < 0.3 else data
            )
            for at in rng.integers(2, min(len(broken), 3000), 12):
                broken[at] = int(rng.integers(256))
            assert isinstance(read_provenance(bytes(broken), name), Provenance)  # type: ignore[arg-type]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to a limit of memory")
@pytest.mark.full
def test_bombs_stay_within_the_limits(tmp_path: Path) -> None:
    files = {kind: make(1) for kind, make in bombs.METADATA.items()}
    for cost in cost_of(files, tmp_path, load=False):
        assert cost.seconds < 15 * slowness(), cost.name
        assert cost.memory < 500 * MB, cost.name
        assert cost.notes in ([], [TOO_MUCH], [COSTLY], [UNREAD]), cost.name


def test_what_was_read_before_the_limit_stands() -> None:
    p = read_provenance(empty_boxes(3, count=150_000), "HEIC")
    assert p.credentials.state == "unreadable"
    assert p.notes[-1] == UNREAD
    assert p.summary == UNREAD != NOTHING
    assert p.silent
