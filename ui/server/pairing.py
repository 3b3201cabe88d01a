"""Browser extensions that were let in: each typed a code that the app's own page showed, and got a token of its own.

What is remembered is the extension's origin and the token's SHA-256, in a file that its owner alone can read.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "CAUSALCLIP_PAIRED"
PATIENCE = 120.0  # seconds that a code can be typed
TRIES = 5  # wrong codes until it is void
CODES = 1000  # that can be typed at one time, of as many addresses; the oldest goes
MOST = 100  # extensions that are remembered; the oldest goes
DIGITS = 8
EXTENSION = re.compile(r"(chrome|moz)-extension://[\w-]{1,80}", re.ASCII)  # an origin that no page of the web can have


def place() -> Path:
    """The file that remembers: named by CAUSALCLIP_PAIRED, or in the user's folder for settings."""
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(os.environ.get(VARIABLE) or base / "causalclip" / "paired.json")


def is_extension(origin: str) -> bool:
    """Whether an Origin header is a browser extension's."""
    return bool(EXTENSION.fullmatch(origin))


@dataclass(slots=True)
class _Code:
    """A code that can be typed until then; tries: wrong ones so far."""

    digits: str
    until: float
    tries: int = 0


class Pairings:
    """Who is paired, and the code that each address can type now: nobody guesses at another's, or makes it void.

    now: a clock, in seconds.
    """

    def __init__(self, file: Path, *, now: Callable[[], float] = time.monotonic) -> None:
        self._file, self._now, self._lock = file, now, threading.Lock()
        self._codes: dict[str, _Code] = {}
        self._known: list[tuple[str, str]] = _read(file)

    def new_code(self, address: str = "") -> str:
        """A code to be typed within PATIENCE from that address; its earlier ones are void."""
        with self._lock:
            now = self._now()
            alive = [(other, code) for other, code in self._codes.items() if code.until > now and other != address]
            code = _Code(f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}", now + PATIENCE)
            self._codes = dict([*alive, (address, code)][-CODES:])
            return code.digits

    def redeem(self, code: str, origin: str, address: str = "") -> str | None:
        """A new token for an extension that sends the code of its address; None for a wrong, old or used one."""
        with self._lock:
            known = self._codes.get(address)
            if known is None or self._now() >= known.until:
                return None
            if not hmac.compare_digest(code.encode(), known.digits.encode()):
                known.tries += 1
                if known.tries >= TRIES:
                    del self._codes[address]
                return None
            del self._codes[address]
            token = secrets.token_urlsafe(32)
            self._known = [*self._known, (origin, _digest(token))][-MOST:]
            self._write()
            return token

    def knows(self, origin: str) -> bool:
        """Whether an extension of this origin is paired."""
        return any(known == origin for known, _ in self._known)

    def accepts(self, token: str, origin: str) -> bool:
        """Whether a token is one of that origin's; of any extension's where there is no origin."""
        given = _digest(token)
        found = [hmac.compare_digest(given, digest) for known, digest in self._known if origin in ("", known)]
        return any(found)

    def forget(self) -> int:
        """Lets none in any more; returns how many there were."""
        with self._lock:
            count, self._known = len(self._known), []
            self._write()
            return count

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # without it they are remembered until the app ends
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = self._file.with_suffix(".new")
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(self._known, file)
            new.replace(self._file)


def _read(file: Path) -> list[tuple[str, str]]:
    try:
        return [(str(origin), str(digest)) for origin, digest in json.loads(file.read_text(encoding="utf-8"))][-MOST:]
    except (OSError, ValueError, TypeError):
        return []


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


PAIRINGS = Pairings(place())
