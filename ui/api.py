"""The routes for programs, /api/v1: a picture's file in, the page's examination out.

FastAPI makes their description from the types that they take and give. They are given to
gr.Blocks.launch: mounted into another app, Gradio would serve any file of the host.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from fastapi import Depends, FastAPI, Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, field_validator
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from causalclip.examination import result
from causalclip.examination.result import NotJudged, Stage
from causalclip.examination.schema import ExaminationSchema, UnjudgedSchema
from causalclip.images.formats import (
    ACCEPTED,
    MAX_BYTES,
    ImageError,
    ImageTooLarge,
    UnsupportedImage,
)
from causalclip.languages import preferences
from causalclip.text import clean
from ui.detector import NO_HEAD, with_head
from ui.errors import explain
from ui.jobs import Job, examine_in_turns, run_in
from ui.places import FILES, Priority, QueueFull
from ui.server.gate import EXAMINE, OPENAPI, refuse
from ui.server.senders import Client, Refused, asking, client_of
from ui.server.uploads import FormParser

if TYPE_CHECKING:
    from causalclip.detector import Detector

VERSION = "1.2"
MAX_ADDRESS = 2000  # characters
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
FILE = {"type": "string", "format": "binary", "description": ACCEPTED}
ERRORS = {
    400: "The form cannot be read.",
    401: "A token is needed, or it is none of this app's.",
    403: "A page of another site sent it, or the code is wrong.",
    413: f"The picture has more than {MAX_BYTES >> 20} MB, or too many pixels.",
    415: "This is no form, or the file is no picture of an accepted format.",
    421: "The app does not answer under this name.",
    422: "The picture is damaged or too small.",
    429: "Too many requests of this sender are in work.",
    503: "The queue is full, or the model is not there.",
}
Address = Annotated[str, Field(max_length=MAX_ADDRESS)]


class Form(BaseModel):
    """The form of a request: a picture's file, and what is known of it."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, arbitrary_types_allowed=True
    )

    picture: Annotated[UploadFile, WithJsonSchema(FILE)]
    found_at: Address = ""
    """The address of the page that it was found on."""
    picture_at: Address = ""
    """The picture's own address: its last part may hint at a generator, as file names do."""
    stability: Literal["yes", "no"] = "yes"
    """Whether it is checked that the answer survives re-encoding, which takes most of the time."""
    head: Literal["causal", "linear", ""] = ""
    """Which head judges, where the app has both: with a mask for each picture, or one for all."""

    @field_validator("found_at", "picture_at")
    @classmethod
    def _check_address(cls, value: str) -> str:
        """Return an address of the web, or "", without control characters; raise ValueError for
        anything else."""
        address = urlsplit(value)
        if value and not (address.scheme in ("http", "https") and address.hostname):
            raise ValueError("no address of the web")
        return clean(value, limit=MAX_ADDRESS)

    @property
    def name(self) -> str:
        """The last part of the picture's own address, or ""."""
        return unquote(urlsplit(self.picture_at).path).rpartition("/")[2]


class Examination(ExaminationSchema):
    """All that is found out about one picture."""

    found_at: str


class Error(BaseModel):
    """A sentence that says what was wrong, and what the file says where that was read."""

    error: str
    examination: UnjudgedSchema | None = None


def routes(detector: Callable[..., Detector]) -> list[Route]:
    """Return all routes of /api/v1.

    detector: returns the loaded detector; may raise WeightsMissing.
    """
    # 1. What the parameters do not say of a request and its answers.
    form = {
        "schema": Form.model_json_schema(),
        "encoding": {"picture": {"contentType": "image/jpeg"}},
    }
    request_body = {"required": True, "content": {"multipart/form-data": form}}
    report: dict[str, Any] = {"content": {"text/html": {"schema": {"type": "string"}}}}
    answers: dict[int | str, dict[str, Any]] = {200: report}
    for status, description in ERRORS.items():
        answers[status] = {"model": Error, "description": description}
    # 2. The routes.
    api = FastAPI(
        title="CausalCLIP",
        version=VERSION,
        description="Does a picture carry the traces of an image generator? One clue, not a proof.",
        openapi_url=OPENAPI,
        docs_url=None,
        redoc_url=None,
        exception_handlers={Refused: refuse},
    )
    api.add_api_route(
        EXAMINE,
        Examine(detector).answer,
        methods=["POST"],
        operation_id="examine",
        summary="Examine one picture: JSON, or the report as one HTML file, by the header Accept.",
        response_model=Examination,
        response_description="The examination.",
        responses=answers,
        dependencies=[Security(HTTPBearer(scheme_name="token", auto_error=False))],
        openapi_extra={"requestBody": request_body, "security": [{}]},
    )
    return [Route(path, api) for path in (EXAMINE, OPENAPI)]


async def _read_form(request: Request) -> AsyncIterator[Form]:
    """Yield the form of a request, its picture in a file without a name; raise Refused."""
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


class Examine:
    """The endpoint that examines a picture.

    detector: returns the loaded detector; may raise WeightsMissing.
    """

    def __init__(self, detector: Callable[..., Detector]) -> None:
        self._detector = detector

    async def answer(
        self, request: Request, form: Annotated[Form, Depends(_read_form)]
    ) -> Response:
        """Examine the picture of a form as far as the form asks for."""
        asking.set(Client(client_of(request.scope)))
        if form.head and form.head not in getattr(self._detector, "heads", ()):
            raise Refused(400, NO_HEAD)
        report = _wants_report(request.headers.get("accept", ""))
        job = Job(partial(self._work, form=form))
        leaving = asyncio.create_task(_cancel_when_left(request, job))
        try:
            return await run_in_threadpool(_answer, job, form, report)
        finally:
            leaving.cancel()

    def _work(self, job: Job[result.Examination], form: Form) -> Iterator[result.Examination]:
        """Yield the examination of a form's picture, as far as the form asks for."""
        until = Stage.DONE if form.stability == "yes" else Stage.VERDICT
        load = partial(with_head, self._detector, form.head)
        return examine_in_turns(job, form.picture.file.read, load, until=until, name=form.name)


async def _cancel_when_left(request: Request, job: Job[Any]) -> None:
    """Cancel a job once whoever has asked for it has left."""
    while (await request.receive())["type"] != "http.disconnect":
        continue
    job.cancel()


def _answer(job: Job[result.Examination], form: Form, report: bool) -> Response:
    """Examine the picture of a form, and answer with the report or JSON."""
    try:
        examination = job.result()
        return _report(examination, form) if report else _plain(examination, form)
    except NotJudged as error:  # what the file says is told all the same
        content = {"error": str(error), "examination": UnjudgedSchema.dump(error.examination)}
        return JSONResponse(content, _status(error.reason), headers=UNCACHED)
    except Exception as error:
        raise Refused(_status(error), explain(error)[1]) from None


def _wants_report(accept: str) -> bool:
    """Return whether a header Accept prefers HTML to JSON, by its weights and then by its order."""
    media_types = ("text/html", "application/json")
    return next((name for name in preferences(accept) if name in media_types), "") == "text/html"


def _plain(examination: result.Examination, form: Form) -> Response:
    """Answer with the examination as JSON."""
    content = ExaminationSchema.dump(examination) | {"found_at": form.found_at}
    return JSONResponse(content, headers=UNCACHED)


def _report(examination: result.Examination, form: Form) -> Response:
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
