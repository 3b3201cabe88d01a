"""Picture files with metadata, written byte by byte: EXIF, XMP, IPTC, texts, honest and hostile."""

import io
import random
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from c2pa import Builder, C2paSignerInfo, Context, Signer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

from causalclip.images.containers import walk
from tests.makers.pictures import chunk, encode, photo, segment, sized

XMP = (
    '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta '
    'xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    '{attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def xmp(attributes: str = "", elements: str = "") -> bytes:
    """An XMP packet with one description."""
    return XMP.format(attributes=attributes, elements=elements).encode()


def exif_block(
    tags: dict[int, bytes],
    *,
    inner: dict[int, bytes] | None = None,
    gps: tuple[float, float] | None = None,
) -> bytes:
    """A big-endian TIFF structure of text tags, with an EXIF directory and a GPS directory where
    they are given."""
    directories: list[dict[int, tuple[int, int, bytes]]] = [
        {t: (2, len(v) + 1, v + b"\0") for t, v in tags.items()}
    ]
    if inner:
        directories[0][0x8769] = (4, 1, b"inner")
        directories.append({t: (7, len(v), v) for t, v in inner.items()})
    if gps:
        directories[0][0x8825] = (4, 1, b"gps")
        latitude, longitude = gps
        directories.append(
            {
                1: (2, 2, b"N\0" if latitude >= 0 else b"S\0"),
                2: (5, 3, _degrees(abs(latitude))),
                3: (2, 2, b"E\0" if longitude >= 0 else b"W\0"),
                4: (5, 3, _degrees(abs(longitude))),
            }
        )
    return _tiff(directories)


def _degrees(value: float) -> bytes:
    return struct.pack(
        ">6I", int(value), 1, int(value * 60) % 60, 1, round(value * 3_600_000) % 60_000, 1000
    )


def _tiff(directories: list[dict[int, tuple[int, int, bytes]]]) -> bytes:
    sizes = [2 + 12 * len(d) + 4 for d in directories]
    starts = [8 + sum(sizes[:i]) for i in range(len(directories))]
    names = {0x8769: 1, 0x8825: len(directories) - 1}
    body, tail, at = b"", b"", 8 + sum(sizes)
    for directory in directories:
        body += struct.pack(">H", len(directory))
        for tag, (kind, count, raw) in sorted(directory.items()):
            if tag in names:
                body += struct.pack(">HHII", tag, kind, count, starts[names[tag]])
            elif len(raw) <= 4:
                body += struct.pack(">HHI4s", tag, kind, count, raw.ljust(4, b"\0"))
            else:
                body += struct.pack(">HHII", tag, kind, count, at + len(tail))
                tail += raw
        body += b"\0\0\0\0"
    return b"MM\0*\0\0\0\x08" + body + tail


def jpeg_with(*segments: bytes) -> bytes:
    """A JPEG with segments after its start."""
    plain = encode(photo(), "JPEG", quality=80)
    return plain[:2] + b"".join(segments) + plain[2:]


def jpeg_exif(block: bytes) -> bytes:
    """A JPEG with an EXIF block."""
    return jpeg_with(segment(0xE1, b"Exif\0\0" + block))


def jpeg_xmp(packet: bytes) -> bytes:
    """A JPEG with an XMP packet."""
    return jpeg_with(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet))


def jpeg_iptc(datasets: dict[int, bytes]) -> bytes:
    """A JPEG with IIM datasets of record 2."""
    iim = b"".join(
        b"\x1c\x02" + struct.pack(">BH", number, len(v)) + v for number, v in datasets.items()
    )
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iim)) + iim + b"\0" * (len(iim) % 2)
    return jpeg_with(segment(0xED, b"Photoshop 3.0\0" + resource))


def samsung_trailer(
    value: bytes, *, name: bytes = b"PEg_Info", back: int | None = None, count: int = 1
) -> bytes:
    """Samsung's trailer with one block, which lies so far `back`. count: of the entries that it
    claims."""
    block = b"\0\0\x91\x0d" + struct.pack("<I", len(name)) + name + value
    entry = struct.pack("<HHII", 0, 0x0D91, len(block) if back is None else back, len(block))
    directory = b"SEFH" + struct.pack("<II", 107, count) + entry
    return block + directory + struct.pack("<I", len(directory)) + b"SEFT"


def png_texts(*texts: tuple[str, str], kind: bytes = b"tEXt") -> bytes:
    """A PNG with text chunks; compressed ones if `kind` is b"zTXt"."""
    plain = encode(photo(), "PNG")
    chunks = b""
    for key, value in texts:
        body = value.encode()
        packed = b"\0" + zlib.compress(body) if kind == b"zTXt" else body
        if kind == b"iTXt":
            packed = b"\0\0\0\0" + body
        chunks += chunk(kind, key.encode() + b"\0" + packed)
    return plain[:33] + chunks + plain[33:]  # after IHDR


def unjudged_files() -> dict[str, bytes]:
    """Pictures whose files name Ideogram, and whose pixels cannot be judged, by why."""
    exif = Image.Exif()
    exif[305] = "Ideogram AI"  # the software
    whole = encode(photo(320, 240), "JPEG", exif=exif)
    named = png_texts(("Software", "Ideogram AI"))
    return {
        "too small": encode(photo(20, 16), "PNG", exif=exif),
        "too large": sized("PNG", 9000, 9000)[:33] + named[33:],  # another header
        "damaged": whole[: len(whole) // 2],
    }


def joined_items(name: str, *, items: int, extents: int, size: int, kind: bytes = b"Exif") -> bytes:
    """A good HEIC or AVIF of `size` bytes with EXIF, and further items, each of which joins the
    whole file many times.

    kind: of the items: b"Exif", or b"mime" for XMP.
    """
    plain = encode(photo(), name, exif=b"Exif\0\0" + exif_block({272: b"EOS R5"}))
    # bytes of an item's own offset
    numbers, base = range(1000, 1000 + items), 4 if name == "HEIC" else 0
    entry = kind + (b"XMP\0application/rdf+xml\0" if kind == b"mime" else b"\0")
    infos = b"".join(
        struct.pack(">I4sIHH", 16 + len(entry), b"infe", 2 << 24, n, 0) + entry for n in numbers
    )
    whole = struct.pack(">II", 0, size) * extents
    places = b"".join(
        struct.pack(">HH", n, 0) + bytes(base) + struct.pack(">H", extents) + whole for n in numbers
    )
    links = b"".join(struct.pack(">I4s3H", 14, b"cdsc", n, 1, 1) for n in numbers)
    grown = len(infos) + len(places) + len(links)
    data = bytearray(plain)
    for at in range(
        data.index(b"iloc") + 12, data.index(b"iloc") - 4 + _size(data, b"iloc"), 14 + base
    ):
        offset = at + (4 if base else 6)
        data[offset : offset + 4] = struct.pack(
            ">I", int.from_bytes(data[offset : offset + 4], "big") + grown
        )
    for box, more, count in ((b"iinf", infos, 12), (b"iloc", places, 14), (b"iref", links, None)):
        start, end = data.index(box) - 4, data.index(box) - 4 + _size(data, box)
        if count:
            count += start
            data[count : count + 2] = struct.pack(
                ">H", int.from_bytes(data[count : count + 2], "big") + items
            )
        data[start : start + 4] = struct.pack(">I", end - start + len(more))
        data[end:end] = more
    start = data.index(b"meta") - 4
    data[start : start + 4] = struct.pack(">I", _size(data, b"meta") + grown)
    return bytes(data).ljust(size, b"\0")


def _size(data: bytearray, box: bytes) -> int:
    return int.from_bytes(data[data.index(box) - 4 : data.index(box)], "big")


# Bombs, another one of each kind for every seed ---------------------------------------------------


def long_namespace(seed: int, *, attributes: bool) -> bytes:
    """A PNG whose XMP has one namespace of some 100 kB, and thousands of short names in it."""
    chance = random.Random(seed)
    address = "http://" + "".join(chance.choices("abcdefgh", k=chance.randint(100_000, 120_000)))
    prefix, names = chance.choice("xyz"), chance.sample(range(0x100, 0x8000), 9000)
    inner = (
        f"<{prefix}:e {' '.join(f'{prefix}:{chr(97 + n % 26)}{n:x}=' + repr('') for n in names)}/>"
        if attributes
        else "".join(f"<{prefix}:{chr(97 + n % 26)}{n:x}/>" for n in names)
    )
    packet = f'<{prefix}:m xmlns:{prefix}="{address}">{inner}</{prefix}:m>'
    return png_texts(("XML:com.adobe.xmp", packet), kind=b"iTXt")


def empty_boxes(seed: int, *, count: int) -> bytes:
    """The start of a HEIC or AVIF file, so many empty boxes, and a box that Content Credentials may
    be kept in."""
    chance = random.Random(seed)
    box, brand = chance.choice((b"free", b"skip", b"mdat")), chance.choice((b"heic", b"avif"))
    start = struct.pack(">I4s4sI4s", 20, b"ftyp", brand, 0, brand)
    return start + struct.pack(">I4s", 8, box) * count + struct.pack(">I4s", 12, box) + b"jumb"


OFFLINE = {"verify": {"remote_manifest_fetch": False, "verify_after_sign": False}}


@dataclass(frozen=True)
class Authority:
    """PEM texts: the root that a reader may trust, the signer's chain, and the signer's key."""

    root: str
    chain: str
    key: str


def make_authority(
    signer: str = "Test Camera",
    *,
    organisation: str = "Test Newsroom",
    lasting: timedelta = timedelta(days=30),
) -> Authority:
    """A root and a signer's certificate of the profile that C2PA asks for (ES256, e-mail
    protection)."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = _name("Test Root", organisation)
    root = (
        _certificate(root_name, root_name, root_key.public_key(), root_key.public_key(), lasting)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        _certificate(
            _name(signer, organisation), root_name, key.public_key(), root_key.public_key(), lasting
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
        .sign(root_key, hashes.SHA256())
    )
    pem = [c.public_bytes(serialization.Encoding.PEM).decode() for c in (leaf, root)]
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Authority(pem[1], "".join(pem), private.decode())


def created(source_type: str) -> dict[str, Any]:
    """The assertion that the picture was created, with an IPTC digital source type."""
    action = {
        "action": "c2pa.created",
        "digitalSourceType": f"http://cv.iptc.org/newscodes/digitalsourcetype/{source_type}",
    }
    return {"label": "c2pa.actions.v2", "data": {"actions": [action]}}


def sign(
    picture: bytes,
    authority: Authority,
    *assertions: dict[str, Any],
    mime: str = "image/jpeg",
    generator: str = "test tool",
    remote: str | None = None,
) -> bytes:
    """The picture's file with a signed manifest; with `remote`, only an address where the manifest
    would be."""
    definition = {
        "claim_generator_info": [{"name": generator, "version": "1"}],
        "title": "a test",
        "assertions": list(assertions or [created("digitalCapture")]),
    }
    context = Context.from_dict(OFFLINE)
    builder = Builder(definition, context=context)
    if remote:
        builder.set_remote_url(remote)
        builder.set_no_embed()
    signed = io.BytesIO()
    signer = Signer.from_info(
        C2paSignerInfo(b"es256", authority.chain.encode(), authority.key.encode(), None)
    )
    builder.sign(signer, mime, io.BytesIO(picture), signed)
    return signed.getvalue()


def swollen(signed: bytes, size: int, *, filling: bytes = b"\xff") -> bytes:
    """A signed PNG with `size` bytes in the first assertion under org.test, as its boxes say: a
    reader that writes them as numbers takes 140 times as much."""
    start = next(block.start for block in walk(signed, "PNG") if block.tag == b"caBX")
    length = int.from_bytes(signed[start : start + 4], "big")
    # CBOR
    contents = (
        b"\xa1\x61a\x5a" + struct.pack(">I", size) + (filling * (size // len(filling) + 1))[:size]
    )
    store = _swell(signed[start + 8 : start + 8 + length], contents)
    return signed[:start] + chunk(b"caBX", store) + signed[start + 12 + length :]


def _swell(boxes: bytes, contents: bytes) -> bytes:
    """Boxes of JUMBF with the contents of that assertion replaced."""
    at, found, out = 0, False, b""
    while at < len(boxes):
        size, kind = struct.unpack_from(">I4s", boxes, at)
        body = boxes[at + 8 : at + size]
        if kind == b"jumb":
            body = _swell(body, contents)
        elif kind == b"jumd":
            found = b"org.test" in body
        elif kind == b"cbor" and found:
            body = contents
        out += struct.pack(">I4s", 8 + len(body), kind) + body
        at += size
    return out


def _name(common: str, organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: Any, issuer_key: Any, lasting: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + lasting)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
    )


def _usage(**allowed: bool) -> x509.KeyUsage:
    names = [
        *(
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
        ),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    ]
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in names})
