"""What comes in: calls and uploads.

A call is read once, by the schema of the function that will run, and written anew for Gradio.

Gradio takes a file out of any field and at any depth, copies it or fetches it, and its refusals
repeat what was sent.
So each field has a type here, by its component: text, a number, a choice, an upload of one's own.
What is of no such type is refused, and Gradio gets nothing but what was read here.

Of uploads there are at most so many and so much, from one client and from all; nothing of a broken
one stays.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NotRequired
from urllib.parse import unquote

import gradio as gr
from gradio_client.utils import strip_invalid_filename_characters
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    with_config,
)
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from typing_extensions import TypedDict

from causalclip.images.formats import MAX_BYTES, too_many_bytes
from causalclip.languages import N_, _
from ui.server.middleware import UPLOAD, Refused, client_of
from ui.server.storage import STORE, file_in, is_upload, uploads

NOT_FETCHED = "Addresses are not fetched. Upload the file itself."
MOST = 1000  # entries of a field that takes several
NOT_JSON = (
    "This is no call: send JSON with the values in a list, data. A session's name has 1 to 100 "
    "characters, and a function without a name is asked by a session."
)
NO_FUNCTION = "There is no such function. /gradio_api/info lists them."
NOT_UPLOADED = (
    "Send the picture as an uploaded file, not as a path or an address: "
    "gradio_client.handle_file('picture.jpg') does "
    'that. Over HTTP, post the file to /gradio_api/upload first and send {"path": ...} with what '
    "that answers."
)
_OWN = re.compile(r"https?://[^/?#]+/(?:[^?#]*/)?gradio_api/file=(/[^?#]*)")
_STRICT = ConfigDict(strict=True, allow_inf_nan=False)


def upload_in(path: Any) -> str:
    """The path of an upload, which may be spelt as its address here: so it is named over MCP.
    Raises Refused."""
    own = _OWN.fullmatch(path) if isinstance(path, str) else None
    place = unquote(own[1]) if own else path
    if not isinstance(place, str) or not is_upload(place):
        raise Refused(
            422, NOT_FETCHED if isinstance(place, str) and "://" in place else NOT_UPLOADED
        )
    return os.path.abspath(place)


@with_config(_STRICT)
class _File(TypedDict):
    """An upload in Gradio's form."""

    path: Annotated[str, BeforeValidator(upload_in)]
    orig_name: NotRequired[Annotated[str, Field(max_length=255)] | None]
    size: NotRequired[int | None]
    mime_type: NotRequired[Annotated[str, Field(max_length=255)] | None]


Number = (
    Annotated[int, Field(ge=-(2**53), le=2**53)] | Annotated[float, Field(ge=-(2**53), le=2**53)]
)
Plain = str | bool | Number | None
# what the server keeps itself, whatever is sent for it
Nothing = Annotated[Any, AfterValidator(lambda _: None)]
Upload = Annotated[
    _File, AfterValidator(lambda file: {**file, "meta": {"_type": "gradio.FileData"}})
]
Uploads = Annotated[
    list[Upload],
    Field(max_length=MOST),
    BeforeValidator(lambda x: [x] if isinstance(x, dict) else x),
]
FIELDS: tuple[tuple[tuple[type, ...], Any, str], ...] = (
    ((gr.State,), Nothing, "nothing"),
    ((gr.Image, gr.DownloadButton), Upload | None, NOT_UPLOADED),
    ((gr.File,), Uploads | None, NOT_UPLOADED),
    ((gr.Textbox, gr.HTML), str | None, "takes a text"),
    ((gr.Number, gr.Slider), Number | None, "takes a number"),
    ((gr.Checkbox,), bool | None, "takes true or false"),
    ((gr.Dropdown, gr.Radio), Plain, "takes a choice"),
)
# Gradio's own have 11; an empty one stops its queue
Name = Annotated[str, Field(min_length=1, max_length=100)]


class Call(BaseModel):
    """A call as it is sent and then, once its values are read, as it may go on. What is not named
    here is dropped."""

    model_config = _STRICT
    data: list[Any]
    session_hash: Name | None = None
    fn_index: int | None = None
    trigger_id: int | None = None
    event_data: Any = None


class Schema:
    """Every function of a page, with what its fields take."""

    def __init__(self, page: gr.Blocks) -> None:
        self.page = page
        self._fields = {
            key: [_Field(block) for block in function.inputs] for key, function in page.fns.items()
        }

    def read(self, body: bytes, name: str | None) -> Call:
        """Reads a call of a function by its `name` alone where there is one, else by the number in
        the body.

        Raises:
            Refused: it is malformed, or a value is not what its field takes.
        """
        try:
            call = Call.model_validate_json(body)
        except ValidationError:
            raise Refused(422, NOT_JSON) from None
        function = self._function(name, call.fn_index)
        # else all who leave it out would have one page together
        if not name and call.session_hash is None:
            raise Refused(422, NOT_JSON)
        call.data, call.fn_index = self._values(function._id, call), function._id
        call.trigger_id = (
            call.trigger_id if call.trigger_id in {block for block, _ in function.targets} else None
        )
        call.event_data = _clicked(call.event_data)
        return call

    def _function(self, name: str | None, number: int | None) -> Any:
        for key, function in self.page.fns.items():
            called = (
                (name == function.api_name and function.api_visibility != "private")
                if name
                else key == number
            )
            if function.fn and called:  # others run in the browser
                return function
        raise Refused(422, NO_FUNCTION)

    def _values(self, number: int, call: Call) -> list[Any]:
        """The value of each field; those that the API leaves out are empty. A program that knows no
        newer field at the end, which says what it is without one, need not send it."""
        page = self.page.state_holder.session_data.get(call.session_hash or "")
        own = page.blocks_config.blocks if page else {}
        fields = self._fields[number]
        asked = (
            fields
            if len(call.data) == len(fields)
            else [field for field in fields if not field.block.skip_api]
        )
        newer = [field.block.value for field in asked[len(call.data) :]]
        if len(call.data) > len(asked) or None in newer:
            raise Refused(422, f"This function takes {len(asked)} values, not {len(call.data)}.")
        given = iter([*call.data, *newer])
        return [field.read(next(given), own) if field in asked else None for field in fields]


class _Field:
    """What one input of a function takes.

    Choices and limits are checked here: Gradio checks them of some functions only, and repeats what
    was sent.
    """

    def __init__(self, block: Any) -> None:
        self.block, self.label = block, block.label or "A field of this function"
        known = [
            (kind, words) for components, kind, words in FIELDS if isinstance(block, components)
        ]
        if not known:
            raise TypeError(
                f"Say in {__name__}.FIELDS what a {type(block).__name__} takes: it is an input "
                "here."
            )
        [(kind, words), *_] = known
        if limit := getattr(block, "max_length", None):
            kind = Annotated[str, Field(max_length=limit)] | None
            words = f"takes a text of at most {limit} characters"
        self._words = words if words is NOT_UPLOADED else f"{self.label} {words}."
        self._type = TypeAdapter(kind, config=_STRICT)

    def read(self, value: Any, known: Mapping[int, Any]) -> Any:
        """The value that goes on. known: components of the sender's page, by number, where it has
        changed any."""
        try:
            read = self._type.validate_python(value)
        except ValidationError:
            raise Refused(422, self._words) from None
        block = known.get(self.block._id, self.block)
        if isinstance(block, (gr.Dropdown, gr.Radio)):
            read = self.block.value if read is None else read
            if read is not None and read not in [value for _, value in block.choices]:
                raise Refused(422, f"{self.label} takes one of its own choices.")
        low, high = getattr(block, "minimum", None), getattr(block, "maximum", None)
        if low is not None and high is not None and (read is None or not low <= read <= high):
            raise Refused(422, f"{self.label} takes a number from {low:g} to {high:g}.")
        return read


def _clicked(event: Any) -> dict[str, int]:
    """Of what an event says, the number of what was clicked on; -1 where it does not say."""
    index = event.get("index") if isinstance(event, dict) else None
    return {"index": index if type(index) is int and index < 2**53 else -1}


FILES = 50  # of a request
A_REQUEST = 200 * 2**20  # bytes
# bytes for which room is made at a time, of a request that does not say how long it is
STEP = 2**20
LONGEST_TEXT = 4096  # bytes of a field that is no file
# of a form that cannot be read its sender is told
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
NO_FILE = "A file is expected in files, not a text."
NO_FORM = "Send a form: multipart/form-data, with the files in the field files."
TOO_MUCH = N_("At most {files} files and {mb} MB can be sent at once.")


class _Parser(MultiPartParser):
    """Starlette's, which keeps nothing in memory. Its files have no name, and are gone once they
    are closed."""

    spool_max_size = 1


async def upload(request: Request) -> Response:
    """Stores the files of the field `files`, and answers with their paths; raises Refused."""
    owner, length = client_of(request.scope), request.headers.get("content-length", "")
    with STORE.expect(owner) as expected:

        def reserve(size: int) -> None:
            if size > A_REQUEST:
                raise Refused(413, _(TOO_MUCH, files=FILES, mb=A_REQUEST >> 20))
            if said := expected(FILES, size):
                raise Refused(413, said)

        async def body() -> AsyncGenerator[bytes, None]:
            come, room = 0, int(length) if length.isdecimal() and len(length) < 16 else 0
            reserve(room)
            async for piece in request.stream():
                come += len(piece)
                if come > room:  # it did not say how long it is
                    room = max(come, min(come + STEP, A_REQUEST))
                    reserve(room)
                yield piece

        limits = {"max_files": FILES, "max_fields": FILES, "max_part_size": LONGEST_TEXT}
        try:
            form = await _Parser(request.headers, body(), **limits).parse()
        except (
            MultiPartException,
            KeyError,
            ValueError,
        ) as error:  # without a length, or a boundary
            raise Refused(
                400, error.message if isinstance(error, MultiPartException) else NO_FORM
            ) from None
        # a browser asks at once
        brief = any(name in request.headers for name in ("origin", "sec-fetch-site"))
        try:
            return JSONResponse(
                await run_in_threadpool(_keep_all, form.getlist("files"), owner, brief)
            )
        finally:
            await form.close()


def _keep_all(files: list[UploadFile | str], owner: str, brief: bool) -> list[str]:
    sent = [(file, file.size or 0) for file in files if isinstance(file, UploadFile)]
    if len(sent) < len(files):
        raise Refused(400, NO_FILE)
    if any(size > MAX_BYTES for _, size in sent):
        raise Refused(413, str(too_many_bytes()))
    return [
        keep(file.file, file.filename or "", size=size, owner=owner, brief=brief)
        for file, size in sent
    ]


def keep(file: BinaryIO, name: str, *, size: int, owner: str, brief: bool) -> str:
    """Stores a file of so many bytes in a new folder of an owner's, under that name or a similar
    one; returns its path.

    brief: as in Store.add.
    """
    folder = uploads() / STORE.add(owner, size, brief=brief)
    folder.mkdir(parents=True)
    path = file_in(
        folder, strip_invalid_filename_characters(Path(name).name).strip(".") or "picture"
    )
    with path.open("wb") as copy:
        shutil.copyfileobj(file, copy)
    return str(path)


async def _progress(request: Request) -> Response:
    """Of an upload: none. A proxy collects it first, and Gradio would remember for good who has
    asked."""
    return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")


ROUTES = [Route(UPLOAD, upload, methods=["POST"]), Route("/gradio_api/upload_progress", _progress)]
