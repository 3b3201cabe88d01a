"""Text that programs hide in the lowest bits of a picture, and NovelAI's signature over it and the
pixels.

The bits of the alpha channel, or of red, green and blue, column by column: a magic word, the length
in bits (4 bytes, big-endian), then UTF-8 text, packed by gzip where the word ends on "comp".
NovelAI's text is JSON, whose Comment holds an Ed25519 signature over the pixels and the rest of the
Comment (NovelAI/novelai-image-metadata). Only where a picture
is decoded are its own pixels at hand: later, transparent parts are laid on white. For a sandbox.
"""

import base64
import json
import zlib
from contextlib import suppress

import numpy as np
from PIL import Image

NOVELAI_KEY = "Y2JcQAOhLwzwSDUJPNgL04nS0Tbqm7cSRc4xk0vRMic="
WORDS = {
    "alpha": (b"stealth_pnginfo", b"stealth_pngcomp"),
    "rgb": (b"stealth_rgbinfo", b"stealth_rgbcomp"),
}
HEAD = 15 + 4  # bytes: magic word and length
MAX_TEXT = 256 * 2**10  # bytes, packed and unpacked; NovelAI's have a few thousand
# pixels of a picture whose signature is checked; NovelAI's have at most some 3 million
MAX_SIGNED = 8_000_000


def read_hidden(image: Image.Image) -> tuple[str, bool] | None:
    """The text that is hidden in a decoded picture, not cleaned, and whether NovelAI signed it with
    the pixels."""
    if image.mode not in ("RGB", "RGBA"):
        return None
    for plane, words in WORDS.items():
        if plane == "alpha" and image.mode == "RGB":
            continue
        head = _lowest_bits(image, plane, HEAD)
        if head[:15] in words:
            size = int.from_bytes(head[15:], "big") // 8
            text = _unpack(
                _lowest_bits(image, plane, HEAD + min(size, MAX_TEXT))[HEAD:],
                packed=head[11:15] == b"comp",
            )
            return (text, _is_signed(image, text)) if text else None
    return None


def _lowest_bits(image: Image.Image, plane: str, count: int) -> bytes:
    """The first bytes of those that the lowest bits make, column by column."""
    bits = image.height * (1 if plane == "alpha" else 3)  # of a column
    columns = min(image.width, -(-8 * count // bits))
    part = np.asarray(image.crop((0, 0, columns, image.height)))
    part = part[..., 3:] if plane == "alpha" else part[..., :3]
    return np.packbits(part.swapaxes(0, 1).ravel() & 1)[:count].tobytes()


def _unpack(data: bytes, *, packed: bool) -> str:
    """Return the text that hidden bytes hold, gzip if `packed`; "" where they hold none."""
    if packed:
        try:
            data = zlib.decompressobj(wbits=31).decompress(data, MAX_TEXT)
        except zlib.error:
            return ""
    return data.decode("utf-8", "replace")


def _is_signed(image: Image.Image, text: str) -> bool:
    """Return whether NovelAI signed the pixels without alpha, row by row, and the Comment as Python
    writes it."""
    if (
        '"Comment"' not in text
        or "signed_hash" not in text
        or image.width * image.height > MAX_SIGNED
    ):
        return False
    # it is no such text
    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        comment = json.loads(json.loads(text)["Comment"])
        comment = json.loads(comment["Comment"]) if "Comment" in comment else comment
        signature = base64.b64decode(comment.pop("signed_hash"), validate=True)
        message = image.convert("RGB").tobytes() + json.dumps(comment).encode()
        return _verify(message, signature, base64.b64decode(NOVELAI_KEY))
    return False


def _verify(data: bytes, signature: bytes, key: bytes) -> bool:
    """Return whether an Ed25519 signature of the data holds."""
    from cryptography.exceptions import InvalidSignature  # rarely needed, and slow to import
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, data)
    except InvalidSignature:
        return False
    return True
