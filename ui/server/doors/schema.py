"""What a call may hold: read once, by the schema of the function that will run, and written anew for Gradio.

Gradio takes a file out of any field and at any depth, copies it or fetches it, and its refusals repeat what was sent.
So each field has a type here, by its component: text, a number, a choice, an upload of one's own. What is of no such
type is refused, and Gradio gets nothing but what was read here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import unquote

import gradio as gr
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from ui.server.doors.offline import NOT_FETCHED
from ui.server.store import is_upload

LONGEST_NAME = 100  # characters of a session's name; Gradio's own have 11
MOST = 1000  # entries of a field that takes several
NOT_JSON = "This is no call: send JSON with the values in a list, data."
NO_FUNCTION = "There is no such function. /gradio_api/info lists them."
NOT_UPLOADED = (
    "Send the picture as an uploaded file, not as a path or an address: gradio_client.handle_file('picture.jpg') does "
    'that. Over HTTP, post the file to /gradio_api/upload first and send {"path": ...} with what that answers.'
)
_OWN = re.compile(r"https?://[^/?#]+/(?:[^?#]*/)?gradio_api/file=(/[^?#]*)")
_STRICT = ConfigDict(strict=True, allow_inf_nan=False)


class BadCallError(ValueError):
    """A call that cannot be answered; the message is the sentence for its sender, and repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it may go on.

    function: Gradio's, the one that will run. session: None if it names none. files: paths of the uploads that it uses.
    body: its JSON, written anew.
    """

    function: Any
    session: str | None
    files: tuple[str, ...]
    body: bytes


def upload_in(path: Any) -> str:
    """The path of an upload, which may be spelt as its address here: so it is named over MCP.

    Raises:
        BadCallError: it is none.
    """
    own = _OWN.fullmatch(path) if isinstance(path, str) else None
    place = unquote(own[1]) if own else path
    if not isinstance(place, str) or not is_upload(place):
        raise BadCallError(NOT_FETCHED if isinstance(place, str) and "://" in place else NOT_UPLOADED)
    return os.path.abspath(place)


class Upload(BaseModel):
    """A file that lies here already, in Gradio's form."""

    model_config = _STRICT
    path: Annotated[str, BeforeValidator(upload_in)]
    orig_name: Annotated[str, Field(max_length=255)] | None = None
    size: int | None = None
    mime_type: Annotated[str, Field(max_length=255)] | None = None
    meta: Annotated[Any, AfterValidator(lambda _: {"_type": "gradio.FileData"})] = Field(None, validate_default=True)


Number = Annotated[int, Field(ge=-(2**53), le=2**53)] | Annotated[float, Field(ge=-(2**53), le=2**53)]
Plain = str | bool | Number | None
Choice = Plain | Annotated[list[Plain], Field(max_length=MOST)]
Nothing = Annotated[Any, AfterValidator(lambda _: None)]  # what the server keeps itself, whatever is sent for it
Uploads = Annotated[list[Upload], Field(max_length=MOST), BeforeValidator(lambda x: [x] if isinstance(x, dict) else x)]
FIELDS: tuple[tuple[type, Any, str], ...] = (
    (gr.State, Nothing, "nothing"),
    (gr.Image, Upload | None, NOT_UPLOADED),
    (gr.File, Uploads | None, NOT_UPLOADED),
    (gr.DownloadButton, Upload | None, NOT_UPLOADED),
    (gr.Textbox, str | None, "takes a text"),
    (gr.HTML, str | None, "takes a text"),
    (gr.Number, Number | None, "takes a number"),
    (gr.Slider, Number | None, "takes a number"),
    (gr.Checkbox, bool | None, "takes true or false"),
    (gr.Dropdown, Choice, "takes a choice, or a list of them"),
    (gr.Radio, Choice, "takes a choice"),
)


Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]  # an empty one stops Gradio's queue
_EVENT = TypeAdapter(dict[Annotated[str, Field(max_length=50)], Choice], config=_STRICT)


class Sent(BaseModel):
    """A call as it is sent; what is not named here is dropped."""

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
            key: [_Field(block, checked=function.preprocess) for block in function.inputs]
            for key, function in page.fns.items()
        }

    def read(self, body: bytes, name: str | None) -> Call:
        """Reads a call of a function by its `name` alone where there is one, else by the number in the body.

        Raises:
            BadCallError: it is malformed, or a value is not what its field takes.
        """
        try:
            sent = Sent.model_validate_json(body)
        except ValidationError as error:
            places = {problem["loc"][:1] for problem in error.errors(include_input=False, include_context=False)}
            long = f"A session's name is a text of 1 to {LONGEST_NAME} characters."
            raise BadCallError(long if ("session_hash",) in places else NOT_JSON) from None
        function = self._function(name, sent.fn_index)
        sent.data, sent.fn_index = self._values(function, sent.data, sent.session_hash), function._id
        sent.trigger_id = sent.trigger_id if sent.trigger_id in {block for block, _ in function.targets} else None
        sent.event_data = _event(sent.event_data)
        files = tuple(
            file for field, value in zip(function.inputs, sent.data, strict=False) for file in _claimed(field, value)
        )
        return Call(function, sent.session_hash, files, to_json(sent))

    def _function(self, name: str | None, number: int | None) -> Any:
        for key, function in self.page.fns.items():
            if function.fn and ((function.api_name == name) if name else (key == number)):  # others run in the browser
                return function
        raise BadCallError(NO_FUNCTION)

    def _values(self, function: Any, values: list[Any], session: str | None) -> list[Any]:
        """The value of each field; those that the API leaves out are empty."""
        page = self.page.state_holder.session_data.get(session or "")
        own = page.blocks_config.blocks if page else {}
        if function.cancels:
            return []
        fields = self._fields[function._id]
        shown = [field for field in fields if not field.block.skip_api]
        if len(values) == len(fields):
            return [field.read(value, own) for field, value in zip(fields, values, strict=True)]
        if len(values) != len(shown):
            raise BadCallError(f"This function takes {len(shown)} values, not {len(values)}.")
        given = iter(values)
        return [None if field.block.skip_api else field.read(next(given), own) for field in fields]


class _Field:
    """What one input of a function takes.

    checked: Gradio compares a choice with the component's own, and repeats one that is none of them.
    """

    def __init__(self, block: Any, *, checked: bool) -> None:
        self.block = block
        self.checked = checked and isinstance(block, (gr.Dropdown, gr.Radio))
        known = [(kind, words) for component, kind, words in FIELDS if isinstance(block, component)]
        if not known:
            raise TypeError(f"Say in {__name__}.FIELDS what a {type(block).__name__} takes: it is an input here.")
        kind, self.words = known[0]
        if limit := getattr(block, "max_length", None):
            kind = Annotated[str, Field(max_length=limit)] | None
            self.words = f"takes a text of at most {limit} characters"
        self._type = TypeAdapter(kind, config=_STRICT)

    def read(self, value: Any, known: Mapping[int, Any]) -> Any:
        """The value that goes on. known: components of the sender's page, by number, where it has changed any."""
        try:
            read = self._type.validate_python(value)
            if self.checked and not _chosen(known.get(self.block._id, self.block), read):
                raise BadCallError(f"{self.label} takes one of its own choices.")
            return read
        except ValidationError as error:
            own = [problem["ctx"]["error"] for problem in error.errors() if problem["type"] == "value_error"]
            if own:
                raise own[0] from None
            raise BadCallError(self.words if self.words is NOT_UPLOADED else f"{self.label} {self.words}.") from None

    @property
    def label(self) -> str:
        """What the field is called in a sentence."""
        return self.block.label or "A field of this function"


def _chosen(block: Any, read: Any) -> bool:
    choices = [value for _, value in block.choices]
    return read is None or all(value in choices for value in (read if isinstance(read, list) else [read]))


def _event(event: Any) -> dict[str, Any]:
    """What an event says of itself: plain values alone. index: of what was clicked on; -1 where it does not say."""
    try:
        said = _EVENT.validate_python(event or {})
    except ValidationError:
        said = {}
    return said | {"index": said["index"] if type(said.get("index")) is int else -1}


def _claimed(block: Any, value: Any) -> Iterator[str]:
    """The visitor's pictures in a field."""
    if isinstance(block, (gr.Image, gr.File)) and value:
        yield from (entry.path for entry in (value if isinstance(value, list) else [value]))
