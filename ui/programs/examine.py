"""POST /api/v1/examine: a picture's file in, the same examination as the page's out, as JSON or as the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from causalclip.languages import _
from causalclip.pictures.formats import ImageError, ImageTooLarge, UnsupportedImage
from ui.programs.form import Sent, read_form
from ui.server.doors.answers import FULL, Refused, place
from ui.server.problems import explain
from ui.server.queue import PICTURES, Priority, queue_detector

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.evidence.examination import Examination

AN_ADDRESS, ALL = 4, 16  # calls in work at once


class Examine:
    """The route's endpoint. detector: returns the loaded detector; may raise WeightsMissing."""

    def __init__(self, detector: Callable[[], Detector]) -> None:
        self._detector = detector
        self._in_work: Counter[str] = Counter()

    async def answer(self, request: Request) -> Response:
        address = request.client.host if request.client else ""
        try:
            with place(self._in_work, address, AN_ADDRESS):
                if self._in_work.total() > ALL:
                    raise Refused(503, FULL)
                sent = await read_form(request)
                return await run_in_threadpool(self._answer, sent, wants_report(request.headers.get("accept", "")))
        except Refused as refused:
            return refusal(refused.status, refused.sentence)

    def _answer(self, sent: Sent, report: bool) -> Response:
        try:
            return _report(self._examined(sent), sent) if report else _plain(self._examined(sent), sent)
        except Exception as error:
            return refusal(_status(error), explain(error)[1])

    def _examined(self, sent: Sent) -> Examination:
        from causalclip.evidence.examination import examine

        with PICTURES.enter(Priority.VERDICT):
            return examine(sent.picture, queue_detector(self._detector()), stability=sent.stability)


def wants_report(accept: str) -> bool:
    """Whether a header Accept prefers HTML to JSON; what is named first wins, but for its weights."""
    weights = {"text/html": 0.0, "application/json": 0.0}
    for part in accept.split(","):
        kind, *options = (piece.strip() for piece in part.split(";"))
        given = next((option[2:] for option in options if option.startswith("q=")), "1")
        if kind in weights:
            weights[kind] = float(given) if given.replace(".", "", 1).isdecimal() else 0.0
    return weights["text/html"] > weights["application/json"]


def refusal(status: int, sentence: str) -> Response:
    """An answer that is none, as a sentence."""
    more = {"Retry-After": "30"} if status in (429, 503) else {}
    return JSONResponse({"error": _(sentence)}, status, headers=more)


def _plain(x: Examination, sent: Sent) -> Response:
    found: dict[str, Any] = x.as_dict() | {"found_at": sent.found_at}
    return JSONResponse(found, headers={"Cache-Control": "no-store"})


def _report(x: Examination, sent: Sent) -> Response:
    from causalclip.report.document import as_html, draw_maps

    page = as_html(x, maps=draw_maps(x), found_at=sent.found_at)
    return Response(page, media_type="text/html", headers={"Cache-Control": "no-store"})


def _status(error: Exception) -> int:
    if isinstance(error, ImageTooLarge):
        return 413
    if isinstance(error, UnsupportedImage):
        return 415
    return 422 if isinstance(error, ImageError) else 503
