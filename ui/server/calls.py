"""What the page's functions take: each value of a call is checked by the type of its field.

Gradio takes a file out of any field and at any depth, copies it or fetches it, and without
preprocessing it checks nothing else: a slider takes NaN, a radio button any text. So here each
field has a type by its component, and what is not of that type is refused.
"""

from __future__ import annotations

import os
import re
from typing import Annotated, Any, NotRequired
from urllib.parse import unquote

import gradio as gr
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
from typing_extensions import TypedDict

from ui.server.senders import Refused
from ui.server.uploads import is_upload

MOST = 1000  # entries of a field that takes several
LONGEST = 2**14  # characters of a text: Gradio keeps the newest call of each session in memory
NOT_FETCHED = "Addresses are not fetched. Upload the file itself."
NOT_JSON = (
    "This is no call: send JSON with the values in a list, data. A session's name has 1 to 100 "
    "characters, and a function without a name is asked by a session."
)
NO_FUNCTION = "There is no such function. /gradio_api/info lists them."
NOT_UPLOADED = (
    "Send the picture as an uploaded file, not as a path or an address: "
    "gradio_client.handle_file('picture.jpg') does that. Over HTTP, post the file to "
    '/gradio_api/upload first and send {"path": ...} with what that answers.'
)
_OWN = re.compile(r"https?://[^/?#]+/(?:[^?#]*/)?gradio_api/file=(/[^?#]*)")
_STRICT = ConfigDict(strict=True, allow_inf_nan=False)


def upload_in(path: Any) -> str:
    """Return the path of an upload, which may be spelt as its address here; raises Refused."""
    own = _OWN.fullmatch(path) if isinstance(path, str) else None
    place = unquote(own[1]) if own else path
    if not isinstance(place, str) or not is_upload(place):
        is_address = isinstance(place, str) and "://" in place
        raise Refused(422, NOT_FETCHED if is_address else NOT_UPLOADED)
    return os.path.abspath(place)


@with_config(_STRICT)
class _File(TypedDict):
    """An upload in Gradio's form."""

    path: Annotated[str, BeforeValidator(upload_in)]
    orig_name: NotRequired[Annotated[str, Field(max_length=255)] | None]
    size: NotRequired[int | None]
    mime_type: NotRequired[Annotated[str, Field(max_length=255)] | None]


def _marked(file: Any) -> Any:
    return {**file, "meta": {"_type": "gradio.FileData"}}


def _in_a_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


Bounded = Field(ge=-(2**53), le=2**53)
Number = Annotated[int, Bounded] | Annotated[float, Bounded]
Text = Annotated[str, Field(max_length=LONGEST)]
Plain = Text | bool | Number | None
Nothing = Annotated[Any, AfterValidator(lambda _: None)]  # what the server keeps itself
Upload = Annotated[_File, AfterValidator(_marked)]
Uploads = Annotated[list[Upload], Field(max_length=MOST), BeforeValidator(_in_a_list)]
FIELDS: tuple[tuple[tuple[type, ...], Any, str], ...] = (
    ((gr.State,), Nothing, "nothing"),
    ((gr.Image, gr.DownloadButton), Upload | None, NOT_UPLOADED),
    ((gr.File,), Uploads | None, NOT_UPLOADED),
    ((gr.Textbox, gr.HTML), Text | None, f"takes a text of at most {LONGEST} characters"),
    ((gr.Number, gr.Slider), Number | None, "takes a number"),
    ((gr.Checkbox,), bool | None, "takes true or false"),
    ((gr.Dropdown, gr.Radio), Plain, "takes a choice"),
)
Name = Annotated[str, Field(min_length=1, max_length=100)]  # Gradio's own have 11


class Call(BaseModel):
    """A call as it is sent and then, once its values are read, as it may go on. What is not named
    here is dropped."""

    model_config = _STRICT
    data: list[Any]
    session_hash: Name | None = None
    fn_index: int | None = None
    trigger_id: int | None = None
    event_data: Any = None

    def files(self) -> list[str]:
        """Return the paths of the uploads that it names."""
        several = (value if isinstance(value, list) else [value] for value in self.data)
        return [one["path"] for values in several for one in values if isinstance(one, dict)]


class Calls:
    """Every function of a page, with what its fields take."""

    def __init__(self, page: gr.Blocks) -> None:
        self.page = page
        self._fields = {
            number: [_Field(block) for block in function.inputs]
            for number, function in page.fns.items()
        }

    def read(self, body: bytes, name: str) -> Call:
        """Read a call of a function, by its name, or with "" by the number in the body.

        Raises:
            Refused: it is malformed, or a value is not what its field takes.
        """
        try:
            call = Call.model_validate_json(body)
        except ValidationError:
            raise Refused(422, NOT_JSON) from None
        function = self._function(name, call.fn_index)
        if not name and call.session_hash is None:
            raise Refused(422, NOT_JSON)
        targets = {block for block, _event in function.targets}
        number = next(key for key, known in self.page.fns.items() if known is function)
        call.fn_index = number
        call.data = self._values(number, call.data)
        call.trigger_id = call.trigger_id if call.trigger_id in targets else None
        call.event_data = _clicked(call.event_data)
        return call

    def _function(self, name: str, number: int | None) -> Any:
        for key, function in self.page.fns.items():
            public = function.api_visibility != "private" and function.api_name == name
            if function.fn and (public if name else key == number):  # others run in the browser
                return function
        raise Refused(422, NO_FUNCTION)

    def _values(self, number: int, data: list[Any]) -> list[Any]:
        """Return the value of each field; those that the API leaves out are empty. A program that
        knows no newer field at the end, which says what it is without one, need not send it."""
        fields = self._fields[number]
        shown = [field for field in fields if not field.block.skip_api]
        asked = fields if len(data) == len(fields) else shown
        newer = [field.block.value for field in asked[len(data) :]]
        if len(data) > len(asked) or None in newer:
            raise Refused(422, f"This function takes {len(asked)} values, not {len(data)}.")
        given = iter([*data, *newer])
        return [field.read(next(given)) if field in asked else None for field in fields]


class _Field:
    """What one input of a function takes."""

    def __init__(self, block: Any) -> None:
        self.block, self.label = block, block.label or "A field of this function"
        known = [(kind, words) for types, kind, words in FIELDS if isinstance(block, types)]
        if not known:
            what = type(block).__name__
            raise TypeError(f"Say in {__name__}.FIELDS what a {what} takes: it is an input here.")
        [(kind, words), *_] = known
        if limit := getattr(block, "max_length", None):
            kind = Annotated[str, Field(max_length=limit)] | None
            words = f"takes a text of at most {limit} characters"
        self._words = words if words is NOT_UPLOADED else f"{self.label} {words}."
        self._type = TypeAdapter(kind, config=_STRICT)

    def read(self, value: Any) -> Any:
        """Return the value that goes on; raises Refused."""
        try:
            read = self._type.validate_python(value)
        except ValidationError:
            raise Refused(422, self._words) from None
        if isinstance(self.block, (gr.Dropdown, gr.Radio)):
            return self._choice(read)
        low, high = (getattr(self.block, name, None) for name in ("minimum", "maximum"))
        if low is not None and high is not None and (read is None or not low <= read <= high):
            raise Refused(422, f"{self.label} takes a number from {low:g} to {high:g}.")
        return read

    def _choice(self, read: Any) -> Any:
        read = self.block.value if read is None else read
        choices = [value for _, value in self.block.choices]
        # The page fills one that begins with a single choice, with the numbers of what it found.
        filled_later = len(choices) == 1 and re.fullmatch(r"\d{1,6}", str(read))
        if read is not None and read not in choices and not filled_later:
            raise Refused(422, f"{self.label} takes one of its own choices.")
        return read


def _clicked(event: Any) -> dict[str, int]:
    """Of what an event says, the number of what was clicked on; -1 where it does not say."""
    index = event.get("index") if isinstance(event, dict) else None
    return {"index": index if type(index) is int and 0 <= index < 2**53 else -1}
