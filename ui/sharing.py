"""The page as a web app: its manifest and icons, and the pictures that other apps on a phone share
with it.

A shared picture is kept in memory for a minute, under a name that cannot be guessed, and is given
out once, to the page that the browser opens then. The page adds it as if it had been dropped there
(assets/share.js).
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from causalclip.images.formats import ImageError, sniff, too_many_bytes
from causalclip.languages import N_, _, current, is_rtl
from causalclip.paths import shipped_folder
from ui.api import read_form
from ui.server.middleware import FULL, SHARE, Refused, client_of

LIFE = 60.0  # seconds
MOST, AN_ADDRESS = 8, 3  # shared pictures at once, kept or coming: of all, and of one address
FREE = 4  # places that are for addresses which have none
SIZES = (192, 512)
ONE = N_("Share one picture at a time.")
GONE = N_("The picture is no longer kept. Add it again.")


class Shares:
    """Pictures on their way from another app to the page."""

    def __init__(self, *, life: float = LIFE) -> None:
        self.life = life
        self.kept: dict[str, tuple[str, bytes]] = {}  # by token: from which address, and the file
        self._coming: Counter[str] = Counter()  # by address

    async def take(self, request: Request) -> Response:
        """Keeps a picture that was shared, and sends the browser to the page that asks for it."""
        address = client_of(request.scope)
        try:
            with self._place(address):
                picture = (await read_form(request)).picture
                sniff(picture)
                token = secrets.token_urlsafe(32)
                self.kept[token] = address, picture
        except ImageError as error:
            return _refusal(415, str(error))
        except Refused as refused:
            return _refusal(refused.status, _sentence(refused))
        asyncio.get_running_loop().call_later(self.life, self.kept.pop, token, None)
        return Response(status_code=303, headers={"Location": f"./?shared={token}"})

    async def give(self, request: Request) -> Response:
        """Gives a picture out, once."""
        _address, picture = self.kept.pop(request.path_params["token"], ("", b""))
        if not picture:
            return PlainTextResponse(_(GONE), 404)
        safe = {"Cache-Control": "no-store", "Content-Disposition": "attachment"}
        return Response(picture, media_type="application/octet-stream", headers=safe)

    @contextmanager
    def _place(self, address: str) -> Iterator[None]:
        """A place for a picture that is coming; raises Refused where there is none."""
        held = Counter(address for address, _picture in self.kept.values()) + self._coming
        if held[address] >= AN_ADDRESS or held.total() >= (MOST - FREE if held[address] else MOST):
            raise Refused(503, FULL)
        self._coming[address] += 1
        try:
            yield
        finally:
            self._coming -= Counter({address: 1})


def webapp_routes(shares: Shares | None = None) -> list[Route]:
    """All of them; before Gradio's own manifest."""
    shares = shares or Shares()
    return [
        Route("/manifest.json", _manifest, methods=["GET"]),
        Route("/icon-{size:int}.png", _icon, methods=["GET"]),
        Route(SHARE, shares.take, methods=["POST"]),
        Route("/shared/{token}", shares.give, methods=["GET"]),
    ]


async def _manifest(request: Request) -> Response:
    return FileResponse(
        shipped_folder("assets") / "manifest.json", media_type="application/manifest+json"
    )


async def _icon(request: Request) -> Response:
    size = request.path_params["size"]
    if size not in SIZES:
        return PlainTextResponse("There is no such icon.", 404)
    return FileResponse(shipped_folder("assets") / "icons" / f"{size}.png")


def _sentence(refused: Refused) -> str:
    """For a person, who has shared something and knows no form."""
    if refused.status == 413:
        return str(too_many_bytes())
    return _(refused.sentence if refused.status == 503 else ONE)


def _refusal(status: int, sentence: str) -> Response:
    """A small page: an installed app shows no address and no way back."""
    page = (
        f'<!doctype html><html lang="{current()}" dir="{"rtl" if is_rtl() else "ltr"}"><meta '
        'charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" '
        'content="light dark">'
        "<title>CausalCLIP</title><style>body{font:1.1rem/1.5 system-ui;margin:2rem}</style>"
        f'<p role="alert">{escape(sentence)}</p><p><a '
        f'href="./">{escape(_("Open the app"))}</a></p></html>'
    )
    return HTMLResponse(page, status)
