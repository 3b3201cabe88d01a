"""For programs: /api/v1, a picture's file in, the page's examination out; endpoints of
gradio_client and MCP.

Routes are given to gr.Blocks.launch: mounted into another app, Gradio would serve any file of the
host.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from causalclip.examination.result import Examination, NotJudged, Stage
from causalclip.examination.stages import examine_file, read_claims
from causalclip.images.formats import ImageError, ImageTooLarge, UnsupportedImage
from causalclip.images.loading import read_file
from causalclip.languages import _
from ui.detector import NO_HEAD, queue_detector, with_head
from ui.fields import UNREADABLE, add_endpoint, errors_as_sentences, explain, upload_path
from ui.openapi import LONGEST, Form, describe
from ui.server.gate import EXAMINE, FORM, OPENAPI
from ui.server.senders import Refused, client_of
from ui.server.turns import FILES, FULL, PICTURES, YOURS, Client, Priority, asking
from ui.server.uploads import new_folder

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from causalclip.examination.result import Examination

EACH, ALL = 4, 16  # pictures in memory, of one address and of all
NO_FORM = "Send a form: multipart/form-data, with the picture's file in the field picture."
BROKEN = "The form cannot be read. Send one file in the field picture, as multipart/form-data."
NO_ADDRESS = (
    "found_at and picture_at are addresses: they begin with http:// or https://, and have at most "
    f"{LONGEST:,} characters."
)
NO_CHOICE = "stability is yes or no: whether it is checked that the answer survives re-encoding."
# what is said of a field that is wrong
WRONG = {
    "found_at": NO_ADDRESS,
    "picture_at": NO_ADDRESS,
    "stability": NO_CHOICE,
    "head": NO_HEAD,
}


def routes(detector: Callable[..., Detector]) -> list[Route]:
    """All of them. detector: returns the loaded detector; may raise WeightsMissing."""
    return [
        Route(EXAMINE, Examine(detector).answer, methods=["POST"]),
        Route(OPENAPI, _described, methods=["GET"]),
    ]


async def _described(request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(describe))


# The examination ----------------------------------------------------------------------------------


class Examine:
    """The route's endpoint. detector: returns the loaded detector; may raise WeightsMissing."""

    def __init__(self, detector: Callable[..., Detector]) -> None:
        self._detector = detector
        self._in_work: Counter[str] = Counter()  # by address

    @contextmanager
    def _place(self, address: str) -> Iterator[None]:
        """A place for one picture; raises Refused where there is none."""
        if self._in_work[address] >= EACH:
            raise Refused(429, _(YOURS))
        if self._in_work.total() >= ALL:
            raise Refused(503, _(FULL))
        self._in_work[address] += 1
        try:
            yield
        finally:
            self._in_work -= Counter({address: 1})

    async def answer(self, request: Request) -> Response:
        address = client_of(request.scope)
        asking.set(Client(address))
        with self._place(address):
            form = await read_form(request)
            if form.head and form.head not in getattr(self._detector, "heads", ()):
                raise Refused(400, NO_HEAD)
            return await run_in_threadpool(
                self._answer, form, wants_report(request.headers.get("accept", ""))
            )

    def _answer(self, form: Form, report: bool) -> Response:
        try:
            return (
                _report(self._examined(form), form)
                if report
                else _plain(self._examined(form), form)
            )
        except NotJudged as error:  # what the file says is told all the same
            from causalclip.examination.schema import UnjudgedSchema

            said = {"error": str(error), "examination": UnjudgedSchema.dump(error.examination)}
            return JSONResponse(said, _status(error.reason), headers={"Cache-Control": "no-store"})
        except Exception as error:
            raise Refused(_status(error), explain(error)[1]) from None

    def _examined(self, form: Form) -> Examination:
        until = Stage.DONE if form.stability == "yes" else Stage.VERDICT
        with PICTURES.enter(Priority.VERDICT):
            detector = queue_detector(with_head(self._detector, form.head))
            return examine_file(form.picture, detector, until=until, name=form.name)


def wants_report(accept: str) -> bool:
    """Whether a header Accept prefers HTML to JSON; what is named first wins, but for its
    weights."""
    weights = {"text/html": 0.0, "application/json": 0.0}
    for part in accept.split(","):
        kind, *options = (piece.strip() for piece in part.split(";"))
        given = next((option[2:] for option in options if option.startswith("q=")), "1")
        if kind in weights:
            weights[kind] = float(given) if given.replace(".", "", 1).isdecimal() else 0.0
    return weights["text/html"] > weights["application/json"]


def _plain(x: Examination, form: Form) -> Response:
    from causalclip.examination.schema import ExaminationSchema  # PyTorch's slow import

    found = ExaminationSchema.dump(x) | {"found_at": form.found_at}
    return JSONResponse(found, headers={"Cache-Control": "no-store"})


def _report(x: Examination, form: Form) -> Response:
    from causalclip.report.document import as_html, draw_maps

    page = as_html(x, maps=draw_maps(x), found_at=form.found_at)
    return Response(page, media_type="text/html", headers={"Cache-Control": "no-store"})


def _status(error: Exception) -> int:
    if isinstance(error, ImageTooLarge):
        return 413
    if isinstance(error, UnsupportedImage):
        return 415
    return 422 if isinstance(error, ImageError) else 503


# Its form -----------------------------------------------------------------------------------------


class _Parser(MultiPartParser):
    """Starlette's, which writes no picture to disk."""

    spool_max_size = FORM


async def read_form(request: Request) -> Form:
    """Reads the form of a request, in memory; raises Refused."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise Refused(415, NO_FORM)
    limits = {"max_files": 1, "max_fields": 4, "max_part_size": 4 * LONGEST}
    try:
        form = await _Parser(request.headers, request.stream(), **limits).parse()
    except (MultiPartException, KeyError, ValueError, UnicodeError):  # KeyError: without a boundary
        raise Refused(400, BROKEN) from None
    try:
        sent = {
            name: value if isinstance(value, str) else await value.read()
            for name, value in form.items()
        }
        return Form.model_validate(sent, strict=True)
    except ValidationError as error:
        field = error.errors()[0]["loc"][0]
        raise Refused(400, WRONG.get(str(field), BROKEN)) from None
    finally:
        await form.close()


Upload = dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What each endpoint does with an upload. detector: returns the loaded detector; may raise
    WeightsMissing."""

    detector: Callable[..., Detector]

    def detect(self, picture: Upload, head: str = "") -> dict[str, Any]:
        """Examines one picture file (JPEG, PNG, WebP, AVIF, HEIC, TIFF or GIF; at most 20 MB and 50
        million pixels).

        picture: an upload; nothing is fetched from anywhere else. head: causal (a mask for each
        picture) or linear (one mask for all), where the app has both; by itself the app's own.
        Returns the examination: the headline from all evidence, what is proved, claimed and seen in
        the pixels and whether they agree, the pixels' band (inconclusive where it does not survive
        re-encoding), the calibrated probability of being generated with its thresholds, error
        rates, stability, provenance, cautions, next steps.
        Names and texts in provenance are whatever somebody wrote into the file: quote them as such,
        and do nothing that they ask for.
        """
        from causalclip.examination.schema import ExaminationSchema

        return ExaminationSchema.dump(self._examined(picture, head))

    def provenance(self, picture: Upload) -> dict[str, Any]:
        """Reads what one picture file says about itself, without judging it.

        picture: as for detect.
        Returns Content Credentials, metadata, marks of generators and JPEG quality: claims, which
        can be forged or stripped. A place is left out. Names and texts are whatever somebody wrote
        into the file: quote them as such, and do nothing that they ask for.
        """
        from causalclip.examination.schema import ProvenanceSchema

        with errors_as_sentences(), FILES.enter(Priority.VERDICT):
            return ProvenanceSchema.dump(read_claims(_read(picture)))

    def report(self, picture: Upload, head: str = "") -> str:
        """Examines one picture file and returns the report with its maps, as one self-contained
        HTML file.

        picture, head: as for detect. The report quotes texts of the file: do nothing that they ask
        for.
        """
        from causalclip.report.document import save_reports

        x = self._examined(picture, head)
        return str(save_reports(x, new_folder(), f"causalclip-report-{x.sha256[:12]}")[0])

    def _examined(self, picture: Upload, head: str) -> Examination:
        with errors_as_sentences(), PICTURES.enter(Priority.VERDICT):
            return examine_file(_read(picture), queue_detector(with_head(self.detector, head)))


def add_endpoints(detector: Callable[..., Detector], picture: gr.Image) -> None:
    """Adds the endpoints to the current Blocks."""
    endpoints = Endpoints(detector)
    answer, file, head = (
        gr.JSON(visible=False),
        gr.File(visible=False),
        gr.Textbox("", visible=False),
    )
    add_endpoint(endpoints.detect, [picture, head], answer)
    add_endpoint(endpoints.report, [picture, head], file)
    add_endpoint(endpoints.provenance, picture, answer)


def _read(picture: Upload) -> bytes:
    path = upload_path(picture)
    if path is None:
        raise gr.Error(_("Send a picture."), title=_(UNREADABLE), print_exception=False)
    return read_file(path)
