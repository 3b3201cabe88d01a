"""The one token of /api/v1: programs may have to send it, browser extensions always have to.

The host names it (CAUSALCLIP_TOKEN), or the app makes one at its first start and keeps it in a file
that its owner alone can read.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import secrets
from functools import cache
from pathlib import Path

from starlette.types import Scope

from causalclip.settings import read_settings
from ui.server.senders import Refused, header

WHO = (
    "A token is needed: send the header Authorization: Bearer TOKEN. Whoever runs this app has it."
)
WRONG = (
    "This extension has no token of this app. Paste the one that the app prints in its terminal."
)
_BEARER = re.compile(r"Bearer +(\S+) *", re.IGNORECASE)


def host_token() -> str:
    """Return the token that the host has named, "" for none: then programs need none."""
    return read_settings().token


@cache
def app_token(file: Path) -> str:
    """Return the token that the app has made for itself; without a writable file, for this run."""
    with contextlib.suppress(OSError, UnicodeError):
        value = file.read_text(encoding="ascii").strip()
        if len(value) >= 32:
            return value
    new_value = secrets.token_urlsafe(32)
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(new_value)
    return new_value


def place() -> Path:
    """Return the file of the app's own token: in the user's folder for settings."""
    settings = read_settings()
    base = settings.settings_folder or Path.home() / ".config"
    return settings.token_file or base / "causalclip" / "token"


def token() -> str:
    """Return the token that lets a request in: the host's, or else the app's own."""
    return host_token() or app_token(place())


def check_sender(scope: Scope, extension: str) -> None:
    """Raise Refused for a sender who may not ask /api/v1/examine.

    extension: the origin of a browser extension, "" for a program or the app's own page.
    """
    match = _BEARER.fullmatch(header(scope, "authorization"))
    bearer = match[1] if match else ""
    if hmac.compare_digest(bearer.encode(), token().encode()) or not (host_token() or extension):
        return
    sentence = WRONG if extension else WHO
    raise Refused(401, sentence, headers={"WWW-Authenticate": "Bearer"})
