"""Content Credentials for tests: a made-up authority, a signer that it vouches for, and pictures that are signed so."""

import io
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from c2pa import Builder, C2paSignerInfo, Context, Signer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from causalclip.images.containers import png_chunks
from tests.makers.pictures import chunk

OFFLINE = {"verify": {"remote_manifest_fetch": False, "verify_after_sign": False}}


@dataclass(frozen=True)
class Authority:
    """PEM texts: the root that a reader may trust, the signer's chain, and the signer's key."""

    root: str
    chain: str
    key: str


def make_authority(
    signer: str = "Test Camera", *, organisation: str = "Test Newsroom", lasting: timedelta = timedelta(days=30)
) -> Authority:
    """A root and a signer's certificate of the profile that C2PA asks for (ES256, e-mail protection)."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = _name("Test Root", organisation)
    root = (
        _certificate(root_name, root_name, root_key.public_key(), root_key.public_key(), lasting)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        _certificate(_name(signer, organisation), root_name, key.public_key(), root_key.public_key(), lasting)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
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
    """The picture's file with a signed manifest; with `remote`, only an address where the manifest would be."""
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
    signer = Signer.from_info(C2paSignerInfo(b"es256", authority.chain.encode(), authority.key.encode(), None))
    builder.sign(signer, mime, io.BytesIO(picture), signed)
    return signed.getvalue()


def swollen(signed: bytes, size: int, *, filling: bytes = b"\xff") -> bytes:
    """A signed PNG with `size` bytes in the first assertion under org.test, as its boxes say: a reader that writes them
    as numbers takes 140 times as much."""
    start = next(start for kind, start, _end in png_chunks(signed) if kind == b"caBX")
    length = int.from_bytes(signed[start : start + 4], "big")
    contents = b"\xa1\x61a\x5a" + struct.pack(">I", size) + (filling * (size // len(filling) + 1))[:size]  # CBOR
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
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation), x509.NameAttribute(NameOID.COMMON_NAME, common)]
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
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _usage(**allowed: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    names += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in names})
