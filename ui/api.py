"""The routes for programs, /api/v1: a picture's file in, the page's examination out.

Routes are given to gr.Blocks.launch: mounted into another app, Gradio would serve any file of the
host.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from causalclip.examination.result import Examination, NotJudged, Stage
from causalclip.images.formats import ImageError, ImageTooLarge, UnsupportedImage
from causalclip.languages import preferences
from ui.detector import NO_HEAD, with_head
from ui.errors import explain
from ui.jobs import Job, examine_in_turns, run_in
from ui.openapi import MAX_ADDRESS, Form, describe
from ui.places import FILES, Priority, QueueFull
from ui.server.gate import EXAMINE, OPENAPI
from ui.server.senders import Client, Refused, asking, client_of
from ui.server.uploads import FormParser

if TYPE_CHECKING:
    from causalclip.detector import Detector

UNCACHED = {"Cache-Control": "no-store"}
NO_FORM = "Send a form: multipart/form-data, with the picture's file in the field picture."
BROKEN = "The form cannot be read. Send one file in the field picture, as multipart/form-data."
NO_ADDRESS = (
    "found_at and picture_at are addresses: they begin with http:// or https://, and have at most "
    f"{MAX_ADDRESS:,} characters."
)
NO_CHOICE = "stability is yes or no: whether it is checked that the answer survives re-encoding."
# a sentence for a field that is wrong
WRONG = {
    "found_at": NO_ADDRESS,
    "picture_at": NO_ADDRESS,
    "stability": NO_CHOICE,
    "head": NO_HEAD,
}


def routes(detector: Callable[..., Detector]) -> list[Route]:
    """Return all routes of /api/v1.

    detector: returns the loaded detector; may raise WeightsMissing.
    """
    return [
        Route(EXAMINE, Examine(detector).answer, methods=["POST"]),
        Route(OPENAPI, _description, methods=["GET"]),
    ]


async def _description(request: Request) -> Response:
    """Answer with the description in OpenAPI."""
    return JSONResponse(await run_in_threadpool(describe))


class Examine:
    """The endpoint that examines a picture.

    detector: returns the loaded detector; may raise WeightsMissing.
    """

    def __init__(self, detector: Callable[..., Detector]) -> None:
        self._detector = detector

    async def answer(self, request: Request) -> Response:
        """Answer a request."""
        asking.set(Client(client_of(request.scope)))
        async with _read_form(request) as form:
            if form.head and form.head not in getattr(self._detector, "heads", ()):
                raise Refused(400, NO_HEAD)
            report = _wants_report(request.headers.get("accept", ""))
            job = Job(partial(self._work, form=form))
            leaving = asyncio.create_task(_cancel_when_left(request, job))
            try:
                return await run_in_threadpool(_answer, job, form, report)
            finally:
                leaving.cancel()

    def _work(self, job: Job[Examination], form: Form) -> Iterator[Examination]:
        """Yield the examination of a form's picture, as far as the form asks for."""
        until = Stage.DONE if form.stability == "yes" else Stage.VERDICT
        load = partial(with_head, self._detector, form.head)
        return examine_in_turns(job, form.picture.file.read, load, until=until, name=form.name)


async def _cancel_when_left(request: Request, job: Job[Any]) -> None:
    """Cancel a job once whoever has asked for it has left."""
    while (await request.receive())["type"] != "http.disconnect":
        continue
    job.cancel()


def _answer(job: Job[Examination], form: Form, report: bool) -> Response:
    """Examine the picture of a form, and answer with the report or JSON."""
    try:
        examination = job.result()
        return _report(examination, form) if report else _plain(examination, form)
    except NotJudged as error:  # what the file says is told all the same
        from causalclip.examination.schema import UnjudgedSchema

        content = {"error": str(error), "examination": UnjudgedSchema.dump(error.examination)}
        return JSONResponse(content, _status(error.reason), headers=UNCACHED)
    except Exception as error:
        raise Refused(_status(error), explain(error)[1]) from None


def _wants_report(accept: str) -> bool:
    """Return whether a header Accept prefers HTML to JSON, by its weights and then by its order."""
    media_types = ("text/html", "application/json")
    return next((name for name in preferences(accept) if name in media_types), "") == "text/html"


def _plain(examination: Examination, form: Form) -> Response:
    """Answer with the examination as JSON."""
    from causalclip.examination.schema import ExaminationSchema  # PyTorch's slow import

    content = ExaminationSchema.dump(examination) | {"found_at": form.found_at}
    return JSONResponse(content, headers=UNCACHED)


def _report(examination: Examination, form: Form) -> Response:
    """Answer with the report as HTML."""
    from causalclip.report.document import as_html, draw_maps

    page = run_in(
        FILES,
        Priority.MAP,
        lambda: as_html(examination, maps=draw_maps(examination), found_at=form.found_at),
    )
    return Response(page, media_type="text/html", headers=UNCACHED)


def _status(error: Exception) -> int:
    """Return the status of HTTP for a picture that cannot be examined."""
    if isinstance(error, QueueFull):
        return error.status
    if isinstance(error, ImageTooLarge):
        return 413
    if isinstance(error, UnsupportedImage):
        return 415
    return 422 if isinstance(error, ImageError) else 503


@asynccontextmanager
async def _read_form(request: Request) -> AsyncIterator[Form]:
    """Keep the form of a request in a `with`, its picture in a file without a name; raise
    Refused."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise Refused(415, NO_FORM)
    limits = {"max_files": 1, "max_fields": 4, "max_part_size": 4 * MAX_ADDRESS}
    try:
        form = await FormParser(request.headers, request.stream(), **limits).parse()
    except (MultiPartException, KeyError, ValueError, UnicodeError):  # KeyError: without a boundary
        raise Refused(400, BROKEN) from None
    try:
        yield _validated(dict(form))
    finally:
        await form.close()


def _validated(fields: dict[str, Any]) -> Form:
    """Return the fields of a form, checked; raise Refused."""
    try:
        return Form.model_validate(fields, strict=True)
    except ValidationError as error:
        field = error.errors()[0]["loc"][0]
        raise Refused(400, WRONG.get(str(field), BROKEN)) from None
