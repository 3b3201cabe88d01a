"""Content Credentials: signed here, read, tampered with; the issuer's name is never trusted, and nothing is fetched."""

import json
import socket
from datetime import timedelta
from typing import Any

import pytest

from causalclip.evidence.headline import make_headline, next_steps
from causalclip.provenance.credentials import read_credentials, trust_list
from causalclip.provenance.reading import read_provenance
from causalclip.report.card import provenance_panel
from tests.makers.metadata_files import Authority, created, make_authority, sign
from tests.makers.pictures import encode, photo
from tests.serving import until

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority()


@pytest.fixture(scope="module")
def picture() -> bytes:
    return encode(photo(), "JPEG")


def test_signer_is_unknown_or_trusted_by_the_list_alone(picture: bytes, authority: Authority) -> None:
    signed = sign(picture, authority, created("digitalCapture"))
    unknown = read_credentials(signed, "JPEG")
    trusted = read_credentials(signed, "JPEG", anchors=authority.root)
    assert (unknown.state, trusted.state) == ("unknown signer", "trusted")
    assert unknown.signer == trusted.signer == "Test Camera, Test Newsroom"
    assert unknown.generator == "test tool 1"
    assert unknown.actions == ("c2pa.created",)
    assert unknown.problems == ()
    assert read_credentials(signed, "JPEG", anchors=make_authority().root).state == "unknown signer"


def test_a_famous_name_is_not_trusted(picture: bytes) -> None:
    imposter = make_authority("Truepic Lens", organisation="Adobe Inc.")
    signed = sign(picture, imposter)
    found = read_credentials(signed, "JPEG")
    assert found.state == "unknown signer"
    assert "Adobe Inc." in found.signer
    drawn = provenance_panel(read_provenance(signed, "JPEG"))
    assert "Calls itself (unverified)" in drawn
    assert "signer unknown" in drawn


def test_changed_pixels_and_changed_claims_are_invalid(picture: bytes, authority: Authority) -> None:
    signed = sign(picture, authority, created("digitalCapture"))
    pixels = bytearray(signed)
    pixels[-100] ^= 1
    found = read_credentials(bytes(pixels), "JPEG", anchors=authority.root)
    assert found.state == "invalid"
    assert "assertion.dataHash.mismatch" in found.problems
    assert signed.count(b"digitalCapture") == 1
    claim = signed.replace(b"digitalCapture", b"negativeFilmXX")
    assert read_credentials(claim, "JPEG", anchors=authority.root).state == "invalid"


def test_invalid_credentials_are_not_believed(picture: bytes, authority: Authority) -> None:
    signed = bytearray(sign(picture, authority, created("digitalCapture")))
    signed[-100] ^= 1
    p = read_provenance(bytes(signed), "JPEG")
    assert p.all_source_types == ()
    assert p.summary().startswith("Its Content Credentials do not hold")


def test_credentials_whose_certificate_expired_are_no_sign_of_a_change(picture: bytes) -> None:
    """What they say of a generator stays a claim, as one of an unknown signer is."""
    brief = make_authority(lasting=timedelta(seconds=3))
    signed = sign(picture, brief, created("trainedAlgorithmicMedia"))
    assert until(lambda: read_credentials(signed, "JPEG", anchors=brief.root).state == "unvalidated")
    p = read_provenance(signed, "JPEG")
    assert (p.credentials.state, p.credentials.problems) == ("unvalidated", ("signingCredential.expired",))
    found = make_headline(p, "likely not generated")
    assert (found.title, found.source) == ("The file says it was generated", "file")
    assert found.proved == "Nothing: its Content Credentials could not be validated."
    assert found.claimed.startswith("The file itself says that the picture was made by a generative AI model. That can")
    steps = next_steps(found, "likely not generated", p, ())
    told = f"{provenance_panel(p)} {found} {steps}"
    assert "changed" not in told
    pixels = bytearray(signed)
    pixels[-100] ^= 1
    assert read_credentials(bytes(pixels), "JPEG").state == "invalid"


@pytest.mark.parametrize(
    ("code", "kind"),
    [("trainedAlgorithmicMedia", "generated"), ("compositeWithTrainedAlgorithmicMedia", "part generated")],
)
def test_assertions_of_ai(picture: bytes, authority: Authority, code: str, kind: str) -> None:
    signed = sign(picture, authority, created(code))
    assert [(t.code, t.kind) for t in read_credentials(signed, "JPEG").source_types] == [(code, kind)]
    assert "The file itself says" in read_provenance(signed, "JPEG").summary()


def test_manifest_kept_elsewhere_is_not_fetched(
    picture: bytes, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.3)
        signed = sign(picture, authority, remote=f"http://127.0.0.1:{server.getsockname()[1]}/manifest.c2pa")
        assert read_credentials(signed, "JPEG").state == "elsewhere"
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("name", ["PNG", "WebP", "AVIF", "HEIC", "TIFF", "GIF"])
def test_other_formats(name: Any, authority: Authority) -> None:
    mime = f"image/{name.lower()}"
    signed = sign(encode(photo(), name), authority, mime=mime)
    assert read_credentials(signed, name, anchors=authority.root).state == "trusted"


def test_hostile_claims_are_bounded_and_escaped(picture: bytes) -> None:
    evil = make_authority(SCRIPT, organisation="A\u202eB")
    actions = {
        "label": "c2pa.actions.v2",
        "data": {"actions": [{"action": "c2pa.created"}] + [{"action": SCRIPT}] * 500},
    }
    other = {"label": "org.test.odd", "data": {"digitalSourceType": [1, {"x": SCRIPT}], "y": ["z" * 1000] * 50}}
    signed = sign(picture, evil, actions, other, generator=SCRIPT)
    p = read_provenance(signed, "JPEG")
    drawn = provenance_panel(p)
    assert "<script" not in drawn
    assert "&lt;script&gt;" in drawn
    assert "\u202e" not in drawn
    assert len(json.dumps(p.as_dict())) < 10_000


def test_trust_list_holds_authorities_that_are_valid() -> None:
    from cryptography import x509

    certificates = x509.load_pem_x509_certificates(trust_list().encode())
    assert len(certificates) == 15
    for certificate in certificates:
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
