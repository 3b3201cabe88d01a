"""The calls of the page's functions: read, with each value checked by the type of its field."""

from __future__ import annotations

import re
from typing import Annotated, Any

import gradio as gr
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ui.server.senders import Refused
from ui.server.values import FILES_OF_A_FIELD, NOT_UPLOADED, STRICT, TYPES, Name, uploads

NOT_JSON = (
    "This is no call: send JSON with the values in a list, data. A session's name has 1 to 100 "
    "letters, digits, - or _, and a function without a name is asked by a session."
)
NO_FUNCTION = "There is no such function. /gradio_api/info lists them."


class Call(BaseModel):
    """A call as it is sent and then, once its values are read, as it may go on.

    Fields that are not named here are dropped.
    """

    model_config = STRICT
    data: list[Any]
    session_hash: Name | None = None
    fn_index: int | None = None
    trigger_id: int | None = None
    event_data: Any = None

    def files(self) -> list[str]:
        """Return the paths of the uploads in the values."""
        lists = (value if isinstance(value, list) else [value] for value in self.data)
        return [file["path"] for values in lists for file in values if isinstance(file, dict)]


class Calls:
    """The calls of a page's functions, with what the fields of each function take."""

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
        number = next(key for key, other in self.page.fns.items() if other is function)
        call.fn_index = number
        call.data = self._values(number, call.data)
        call.trigger_id = call.trigger_id if call.trigger_id in targets else None
        call.event_data = _click(call.event_data)
        return call

    def _function(self, name: str, number: int | None) -> Any:
        """Return a public function by its name, or any one by its number; raise Refused."""
        for key, function in self.page.fns.items():
            public = function.api_visibility != "private" and function.api_name == name
            if function.fn and (public if name else key == number):  # others run in the browser
                return function
        raise Refused(422, NO_FUNCTION)

    def _values(self, number: int, data: list[Any]) -> list[Any]:
        """Return the value of each field of a function, None for those that the API leaves out.

        A program that knows no newer field at the end need not send it, if the field has a value by
        itself.
        """
        fields = self._fields[number]
        public = [field for field in fields if not field.block.skip_api]
        expected = fields if len(data) == len(fields) else public
        defaults = [field.block.value for field in expected[len(data) :]]
        if len(data) > len(expected) or None in defaults:
            raise Refused(422, f"This function takes {len(expected)} values, not {len(data)}.")
        values = iter([*data, *defaults])
        return [field.read(next(values)) if field in expected else None for field in fields]


class _Field:
    """One input of a function, and what it takes."""

    def __init__(self, block: Any) -> None:
        self.block = block
        self.label = block.label or "A field of this function"
        matches = [(kind, words) for types, kind, words in TYPES if isinstance(block, types)]
        if not matches:
            what = type(block).__name__
            raise TypeError(
                f"Say in ui.server.values.TYPES what a {what} takes: it is an input here."
            )
        kind, words = matches[0]
        if limit := getattr(block, "max_length", None):
            kind = Annotated[str, Field(max_length=limit)] | None
            words = f"takes a text of at most {limit} characters"
        if block.elem_id in FILES_OF_A_FIELD:
            kind, words = uploads(FILES_OF_A_FIELD[block.elem_id])
        self._words = words if words is NOT_UPLOADED else f"{self.label} {words}."
        self._type = TypeAdapter(kind, config=STRICT)

    def read(self, value: Any) -> Any:
        """Return the value as it goes on; raise Refused."""
        try:
            value = self._type.validate_python(value)
        except ValidationError:
            raise Refused(422, self._words) from None
        if isinstance(self.block, (gr.Dropdown, gr.Radio)):
            return self._choice(value)
        low, high = (getattr(self.block, name, None) for name in ("minimum", "maximum"))
        if low is not None and high is not None and (value is None or not low <= value <= high):
            raise Refused(422, f"{self.label} takes a number from {low:g} to {high:g}.")
        return value

    def _choice(self, choice: Any) -> Any:
        """Return a choice, the field's own for None; raise Refused where there is no such one."""
        choice = self.block.value if choice is None else choice
        choices = [value for _, value in self.block.choices]
        # The page fills one that begins with a single choice, with the numbers of what it found.
        filled_later = len(choices) == 1 and re.fullmatch(r"\d{1,6}", str(choice))
        if choice is not None and choice not in choices and not filled_later:
            raise Refused(422, f"{self.label} takes one of its own choices.")
        return choice


def _click(event: Any) -> dict[str, int]:
    """Return the number of the item that an event's click was on; -1 where it does not say."""
    index = event.get("index") if isinstance(event, dict) else None
    return {"index": index if type(index) is int and 0 <= index < 2**53 else -1}
