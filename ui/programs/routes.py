"""The routes of /api/v1 and of the web app, for gr.Blocks.launch: mounted, Gradio would serve any file of the host."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ui.programs.examine import Examine, refusal
from ui.programs.openapi import document
from ui.programs.webapp import webapp_routes
from ui.server.doors.programs import OPENAPI, PAIR
from ui.server.pairing import DIGITS, PAIRINGS, Pairings, is_extension

if TYPE_CHECKING:
    from causalclip.detector import Detector

LONGEST = 200  # bytes of a body that holds a code
NO_CODE = f'Send {{"code": "..."}} as application/json, with the {DIGITS} digits that the app\'s page shows.'
WRONG = "This code is wrong, old, or used. Have the app's page show a new one."
NO_EXTENSION = "Only a browser extension is paired. A program needs no pairing, but the host's token, if there is one."


def routes(detector: Callable[[], Detector], *, pairings: Pairings = PAIRINGS) -> list[Route]:
    """All of them. detector: returns the loaded detector; may raise WeightsMissing."""

    async def pair(request: Request) -> Response:
        return await _pair(request, pairings)

    return [
        Route("/api/v1/examine", Examine(detector).answer, methods=["POST"]),
        Route(PAIR, pair, methods=["POST"]),
        Route(OPENAPI, _described, methods=["GET"]),
        *webapp_routes(),
    ]


async def _described(request: Request) -> Response:
    return JSONResponse(document())


async def _pair(request: Request, pairings: Pairings) -> Response:
    origin = request.headers.get("origin", "")
    if not is_extension(origin):
        return refusal(403, NO_EXTENSION)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return refusal(415, NO_CODE)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST:
                return refusal(413, NO_CODE)
        code = json.loads(body)["code"]
    except (ClientDisconnect, ValueError, TypeError, KeyError, RecursionError):
        return refusal(400, NO_CODE)
    if not isinstance(code, str) or not code.isascii() or not code.isdecimal() or len(code) != DIGITS:
        return refusal(400, NO_CODE)
    token = pairings.redeem(code, origin, request.client.host if request.client else "")
    return JSONResponse({"token": token}) if token else refusal(403, WRONG)
