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
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.types import Scope

from causalclip.languages import N_, _
from ui.server.senders import Refused, header, is_this_machine

VARIABLE = "CAUSALCLIP_TOKEN"
FILE = "CAUSALCLIP_TOKEN_FILE"  # a variable: where the app keeps its own
WHO = (
    "A token is needed: send the header Authorization: Bearer TOKEN. Whoever runs this app has it."
)
WRONG = "This extension has no token of this app. Paste the one that the app's page shows."
INTRO = N_(
    "With the extension, a right-click on a picture of any page checks it here: its bytes are read "
    "in your browser and go to this app alone. Load it from the folder <code>extension/</code> of "
    "this project (docs/using.md says how), then paste this token into it, once:"
)
NOT_YOURS = N_("Only whoever runs this app can do that: open this page on the app's own machine.")
_BEARER = re.compile(r"Bearer +(\S+) *", re.IGNORECASE)


def host_token() -> str:
    """Return the token that the host has named, "" for none: then programs need none."""
    return os.environ.get(VARIABLE, "")


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
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return Path(os.environ.get(FILE) or base / "causalclip" / "token")


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


def build_extension_section() -> None:
    """Build the section on the browser extension inside the current Blocks.

    It shows the token to whoever sits at the app's own machine.
    """

    def show(request: gr.Request) -> str:
        here = is_this_machine(request.client.host if request.client else "")
        # Behind a proxy on this machine that passes on no address, everybody would seem to be here.
        passed_on = any(name.startswith(("x-forwarded", "forwarded")) for name in request.headers)
        if not here or passed_on:
            return f"<p role='status'>{_(NOT_YOURS)}</p>"
        return f"<p>{_(INTRO)}</p><p><code id='token' dir='ltr'>{escape(token())}</code></p>"

    with gr.Accordion(_("Browser extension"), open=False):
        button = gr.Button(_("Show the token"), elem_id="show-token")
        answer = gr.HTML(elem_id="extension-token")
    options: dict[str, Any] = {"queue": False, "api_visibility": "private"}
    button.click(show, None, answer, show_progress="hidden", **options)
