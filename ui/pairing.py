"""Browser extensions that were let in: each typed a code that the app's own page showed, and got a
token of its own.

What is remembered is the extension's origin and the token's SHA-256, in a file that its owner alone
can read.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from causalclip.languages import N_, _, figure, number
from ui.server.hosts import is_this_machine

VARIABLE = "CAUSALCLIP_PAIRED"
PATIENCE = 120.0  # seconds that a code can be typed
TRIES = 5  # wrong codes until it is void
CODES = 1000  # that can be typed at one time, of as many addresses; the oldest goes
# extensions that are remembered: of all, and of one other machine; its oldest goes
MOST, AN_ADDRESS = 100, 5
DIGITS = 8
SPACE = bool(os.environ.get("SPACE_ID"))


def place() -> Path:
    """The file that remembers: named by CAUSALCLIP_PAIRED, or in the user's folder for settings."""
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(os.environ.get(VARIABLE) or base / "causalclip" / "paired.json")


@dataclass(slots=True)
class _Code:
    """A code that can be typed until then; tries: wrong ones so far."""

    digits: str
    until: float
    tries: int = 0


class Pairings:
    """Who is paired, and the code that each address can type now: nobody guesses at another's, or
    makes it void.

    now: a clock, in seconds.
    """

    def __init__(self, file: Path, *, now: Callable[[], float] = time.monotonic) -> None:
        self._file, self._now, self._lock = file, now, threading.Lock()
        self._codes: dict[str, _Code] = {}
        self._known: list[tuple[str, str]] = _read(file)
        # token's digest -> the address that it was given to, in this run
        self._from: dict[str, str] = {}

    def new_code(self, address: str = "") -> str:
        """A code to be typed within PATIENCE from that address; its earlier ones are void."""
        with self._lock:
            now = self._now()
            alive = [
                (other, code)
                for other, code in self._codes.items()
                if code.until > now and other != address
            ]
            code = _Code(f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}", now + PATIENCE)
            self._codes = dict([*alive, (address, code)][-CODES:])
            return code.digits

    def redeem(self, code: str, origin: str, address: str = "") -> str | None:
        """A new token for an extension that sends the code of its address; None for a wrong, old or
        used one."""
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
            self._make_room(address)
            self._known = [*self._known, (origin, _digest(token))]
            self._from[_digest(token)] = address
            self._write()
            return token

    def _make_room(self, address: str) -> None:
        """Drops the oldest of whoever has too many: of this address, or else of the one that has
        the most."""
        had = Counter(self._from.values())
        if (
            had[address] >= (MOST if is_this_machine(address) else AN_ADDRESS)
            or len(self._known) >= MOST
        ):
            most = max(had, key=had.__getitem__, default=None)
            whose = address if had[address] else most
            oldest = next(
                (one for one in self._known if self._from.get(one[1]) == whose), self._known[0]
            )
            self._known.remove(oldest)
            self._from.pop(oldest[1], None)

    def knows(self, origin: str) -> bool:
        """Whether an extension of this origin is paired."""
        return any(known == origin for known, _ in self._known)

    def accepts(self, token: str, origin: str) -> bool:
        """Whether a token is one of that origin's; of any extension's where there is no origin."""
        given = _digest(token)
        found = [
            hmac.compare_digest(given, digest)
            for known, digest in self._known
            if origin in ("", known)
        ]
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
        return [
            (str(origin), str(digest))
            for origin, digest in json.loads(file.read_text(encoding="utf-8"))
        ][-MOST:]
    except (OSError, ValueError, TypeError):
        return []


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


PAIRINGS = Pairings(place())


INTRO = N_(
    "With the extension, a right-click on a picture of any page checks it here: its bytes are read "
    "in your browser and go to this app alone. Load it from the folder <code>extension/</code> of "
    "this project (docs/using.md says how), then type the code that is shown here."
)
TYPE = N_("Type this in the extension within {minutes} minutes:")
LET_OUT = N_("Disconnected: {count}. No extension may ask this app any more.")
NOT_YOURS = N_("Only whoever runs this app can do that: open this page on the app's own machine.")


def build_pairing(pairings: Pairings = PAIRINGS) -> None:
    """Builds it inside the current Blocks."""

    def show(request: gr.Request) -> str:
        code = pairings.new_code(_address(request))
        return (
            f"<p role='status' aria-live='polite'>{_(TYPE, minutes=figure(PATIENCE / 60))} "
            f"<b id='pairing-code' dir='ltr'>{code[:4]} {code[4:]}</b></p>"
        )

    def forget(request: gr.Request) -> str:
        # else any visitor could let everybody's extensions out
        mine = is_this_machine(_address(request))
        words = _(LET_OUT, count=number(pairings.forget())) if mine else _(NOT_YOURS)
        return f"<p role='status' aria-live='polite'>{words}</p>"

    with gr.Accordion(_("Browser extension"), open=False):
        gr.HTML(f"<p>{_(INTRO)}</p>")
        with gr.Row():
            shown = gr.Button(_("Show a code"), elem_id="pair")
            out = gr.Button(_("Disconnect all extensions"), elem_id="unpair")
        said = gr.HTML(elem_id="paired")
    options: dict[str, Any] = {
        "queue": False,
        "api_visibility": "private",
        "show_progress": "hidden",
    }
    shown.click(show, None, said, **options)
    out.click(forget, None, said, **options)


def _address(request: gr.Request) -> str:
    return last_hop(request.headers if SPACE else {}, request.client.host if request.client else "")


def last_hop(headers: Mapping[str, str], client: str) -> str:
    """The address that a browser and its extension have in common; on a Space as its proxy names it
    last."""
    hops = headers.get("x-forwarded-for", "") if SPACE else ""
    return hops.rpartition(",")[2].strip() or client
