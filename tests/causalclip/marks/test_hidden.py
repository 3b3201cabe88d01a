"""Text in the lowest bits of pixels: read where it is, believed where NovelAI signed it, and bounded."""

import base64
import gzip
import json
from collections.abc import Iterator

import numpy as np
import pytest
import skimage.data
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import Image

from causalclip.evidence.examination import read_claims, with_pixel_marks
from causalclip.evidence.headline import make_headline
from causalclip.images import hidden as hidden_text
from causalclip.images.decoding import decode
from causalclip.images.hidden import MAX_TEXT, read_hidden
from causalclip.images.loading import load_image
from causalclip.marks.texts import find_hidden_marks
from causalclip.provenance.reading import Provenance
from tests.makers.pictures import encode

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
SETTINGS = "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7"


def hide(pixels: np.ndarray, text: bytes, *, word: bytes = b"stealth_pngcomp", size: int | None = None) -> np.ndarray:
    """Writes a text into the lowest bits of alpha, or of the colours where `word` is of these, column by column.

    pixels: uint8 RGB [H, W, 3]; what comes out has 4 channels where alpha is written. size: the length to claim.
    """
    packed = gzip.compress(text) if word.endswith(b"comp") and size is None else text
    told = 8 * len(packed) if size is None else size
    bits = np.unpackbits(np.frombuffer(word + told.to_bytes(4, "big") + packed, np.uint8))
    opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    out = np.concatenate([pixels, opaque], -1) if b"png" in word else pixels.copy()
    plane = out[..., 3:] if b"png" in word else out
    flat = plane.swapaxes(0, 1).reshape(-1).copy()
    flat[: len(bits)] = flat[: len(bits)] & 254 | bits
    plane[:] = flat.reshape(plane.swapaxes(0, 1).shape).swapaxes(0, 1)
    return out


def novelai(pixels: np.ndarray, key: Ed25519PrivateKey) -> bytes:
    """NovelAI's text for uint8 RGB [H, W, 3], signed."""
    comment = {"prompt": "a café", "steps": 28, "scale": 10.0, "seed": 1}
    signature = key.sign(pixels.tobytes() + json.dumps(comment).encode())
    signed = json.dumps(comment | {"signed_hash": base64.b64encode(signature).decode()})
    return json.dumps({"Description": "a café", "Software": "NovelAI", "Comment": signed}).encode()


@pytest.fixture(autouse=True)
def _our_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hidden_text, "NOVELAI_KEY", PUBLIC)


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return skimage.data.astronaut()[:256]


@pytest.fixture(scope="module")
def signed(photograph: np.ndarray) -> np.ndarray:
    return hide(photograph, novelai(photograph, KEY))


@pytest.mark.parametrize(("name", "options"), [("PNG", {}), ("WebP", {"lossless": True, "exact": True})])
def test_a_signature_holds_in_every_lossless_file(signed: np.ndarray, name: str, options: dict[str, bool]) -> None:
    *_decoded, found = decode(encode(Image.fromarray(signed), name, **options), name)  # type: ignore[arg-type]
    assert found
    (mark,) = find_hidden_marks(found[0], signed=found[1])
    assert (mark.generator, mark.kind, mark.certainty) == ("NovelAI", "signature", "proof")


def damaged(signed: np.ndarray) -> Iterator[np.ndarray]:
    for at in ((0, 0, 0), (255, 511, 2), (100, 100, 1)):
        changed = signed.copy()
        changed[at] ^= 1
        yield changed


def test_one_changed_pixel_is_no_proof(signed: np.ndarray) -> None:
    for pixels in damaged(signed):
        found = read_hidden(Image.fromarray(pixels))
        assert found
        (mark,) = find_hidden_marks(found[0], signed=found[1])  # still what anybody can write
        assert (mark.generator, mark.certainty) == ("NovelAI", "claim")


def test_another_key_is_no_proof(signed: np.ndarray) -> None:
    """The way through the sandbox: its process knows NovelAI's own key alone."""
    hidden = load_image(encode(Image.fromarray(signed), "PNG")).hidden
    assert hidden
    assert not hidden[1]


def test_a_signature_moved_to_another_picture_is_no_proof(photograph: np.ndarray) -> None:
    found = read_hidden(Image.fromarray(hide(photograph[::-1].copy(), novelai(photograph, KEY))))
    assert found
    assert not found[1]


@pytest.mark.parametrize("word", [b"stealth_pnginfo", b"stealth_pngcomp", b"stealth_rgbinfo", b"stealth_rgbcomp"])
def test_hidden_settings_are_found_through_the_sandbox(photograph: np.ndarray, word: bytes) -> None:
    data = encode(Image.fromarray(hide(photograph, SETTINGS.encode(), word=word)), "PNG")
    found = with_pixel_marks(read_claims(data), load_image(data))
    assert ["Stable Diffusion" in mark.generator for mark in found.marks] == [True]
    assert make_headline(found, "likely not generated").title == "The file says it was generated"


def test_a_proof_leads_and_is_not_called_forgeable() -> None:
    marks = find_hidden_marks('{"Software": "NovelAI"}', signed=True)
    claims = read_claims(encode(Image.new("RGB", (64, 64)), "PNG"))
    found = make_headline(Provenance(claims.credentials, marks=marks), "likely not generated")
    assert (found.title, found.source) == ("Signed as generated", "signature")
    assert "NovelAI" in found.proved
    assert "forged" not in found.claimed


def test_what_hides_nothing_is_none(photograph: np.ndarray) -> None:
    for mode in ("RGB", "RGBA", "L", "P", "1"):
        assert read_hidden(Image.fromarray(photograph).convert(mode)) is None


@pytest.mark.parametrize(
    "text",
    [
        b"\x1f\x8b" + b"x" * 300,
        gzip.compress(b"x" * 10_000_000),
        gzip.compress(b'{"Comment": {"signed_hash": ' * 3000),
        gzip.compress(b'{"Comment": "{\\"signed_hash\\": 1}"}'),
        gzip.compress(json.dumps({"Comment": json.dumps({"signed_hash": "AAAA"})}).encode()),
        gzip.compress(b'["signed_hash", "Comment"]' + b"[" * 5000),
    ],
    ids=["no gzip", "bomb", "cut short", "number", "short signature", "deep"],  # gzip writes the time, which differs
)
def test_hostile_texts_are_bounded_and_no_proof(photograph: np.ndarray, text: bytes) -> None:
    for size in (8 * len(text), 2**32 - 1, 0):
        found = read_hidden(Image.fromarray(hide(photograph, text, size=size)))
        assert found is None or (not found[1] and len(found[0]) <= MAX_TEXT)
        assert not found or not any(mark.kind == "signature" for mark in find_hidden_marks(found[0], signed=found[1]))
