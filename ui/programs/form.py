"""One picture out of a multipart body, in memory, within limits; what is no such body gets a status and a sentence."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from causalclip.pictures.formats import MAX_BYTES, SMALLER
from causalclip.pictures.plaintext import clean
from ui.server.doors.answers import Refused

FIELD, FOUND_AT, STABILITY = "picture", "found_at", "stability"
ASKED = {"yes": True, "no": False}  # whether the answer is to be checked
ROUND_IT = 64 * 2**10  # bytes of a body beside its picture
LONGEST = 2000  # characters of an address
PATIENCE = 60.0  # seconds that a body may take
NO_FORM = f"Send a form: multipart/form-data, with the picture's file in the field {FIELD}."
BROKEN = f"The form cannot be read. Send one file in the field {FIELD}, as multipart/form-data."
TOO_LARGE = f"The file has more than {MAX_BYTES >> 20} MB. {SMALLER}"
SLOW = "The picture came too slowly. Try again."
NO_ADDRESS = (
    f"{FOUND_AT} is a page's address: it begins with http:// or https://, and has {LONGEST:,} characters at most."
)
NO_CHOICE = f"{STABILITY} is yes or no: whether it is checked that the answer survives re-encoding."


@dataclass(frozen=True, slots=True)
class Sent:
    """What a form holds.

    picture: the file's bytes. found_at: the address of the page it was found on, or "". stability: whether it is to be
    checked that the answer survives re-encoding.
    """

    picture: bytes
    found_at: str
    stability: bool


class _Parser(MultiPartParser):
    """Starlette's, which writes no picture to disk."""

    spool_max_size = MAX_BYTES + ROUND_IT


async def read_form(request: Request) -> Sent:
    """Reads the form of a request; raises Refused."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise Refused(415, NO_FORM)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > MAX_BYTES + ROUND_IT:
        raise Refused(413, TOO_LARGE)
    try:
        async with asyncio.timeout(PATIENCE):
            return await _parse(request)
    except TimeoutError:
        raise Refused(400, SLOW) from None
    except ClientDisconnect:
        raise Refused(400, BROKEN) from None


async def _parse(request: Request) -> Sent:
    read = 0

    async def counted():  # type: ignore[no-untyped-def]
        nonlocal read
        async for chunk in request.stream():
            read += len(chunk)
            if read > MAX_BYTES + ROUND_IT:
                raise Refused(413, TOO_LARGE)
            yield chunk

    try:
        parser = _Parser(request.headers, counted(), max_files=1, max_fields=2, max_part_size=4 * LONGEST)
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError, UnicodeError):  # KeyError: without a boundary
        raise Refused(400, BROKEN) from None
    try:
        file, address = form.get(FIELD), form.get(FOUND_AT, "")
        if file is None or isinstance(file, str) or not set(form.keys()) <= {FIELD, FOUND_AT, STABILITY}:
            raise Refused(400, BROKEN)
        return Sent(await file.read(), _address(address), _choice(form.get(STABILITY, "yes")))
    finally:
        await form.close()


def _address(value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise Refused(400, NO_ADDRESS)
    try:
        address = urlsplit(value)
        known = address.scheme in ("http", "https") and bool(address.hostname)
    except ValueError:
        known = False
    if value and not known:
        raise Refused(400, NO_ADDRESS)
    return clean(value, limit=LONGEST)


def _choice(value: object) -> bool:
    if not isinstance(value, str) or value not in ASKED:
        raise Refused(400, NO_CHOICE)
    return ASKED[value]
