"""What /api/v1/examine takes and gives, and its description in OpenAPI, which is made from both."""

from functools import cache
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator
from pydantic.json_schema import models_json_schema
from starlette.datastructures import UploadFile

from causalclip.images.formats import ACCEPTED, MAX_BYTES
from causalclip.text import clean

VERSION = "1.2"
REFERENCE = "#/components/schemas/{model}"
MAX_ADDRESS = 2000  # characters of an address
FILE = {"type": "string", "format": "binary", "description": ACCEPTED}
Address = Annotated[str, Field(max_length=MAX_ADDRESS)]
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


@cache
def describe() -> dict[str, Any]:
    """Return the description of /api/v1, an OpenAPI 3.1 document."""
    # 1. The answers.
    from causalclip.examination.schema import (  # PyTorch's slow import
        ExaminationSchema,
        UnjudgedSchema,
    )

    class Examination(ExaminationSchema):
        """All that is found out about one picture."""

        found_at: str

    class Error(BaseModel):
        """A sentence that says what was wrong, and what the file says where that was read."""

        error: str
        examination: UnjudgedSchema | None = None

    _, schemas = models_json_schema(
        [(Examination, "serialization"), (Error, "serialization")], ref_template=REFERENCE
    )
    answer_content = {
        "application/json": {"schema": {"$ref": REFERENCE.format(model="Examination")}},
        "text/html": {"schema": {"type": "string"}},
    }
    error_content = {"application/json": {"schema": {"$ref": REFERENCE.format(model="Error")}}}
    responses: dict[str, Any] = {
        "200": {"description": "The examination.", "content": answer_content}
    }
    for status, description in ERRORS.items():
        responses[str(status)] = {"description": description, "content": error_content}
    # 2. The request.
    form = {
        "schema": Form.model_json_schema(),
        "encoding": {"picture": {"contentType": "image/jpeg"}},
    }
    examine = {
        "operationId": "examine",
        "summary": "Examine one picture: JSON, or the report as one HTML file, by the header "
        "Accept.",
        "security": [{}, {"token": []}],
        "requestBody": {"required": True, "content": {"multipart/form-data": form}},
        "responses": responses,
    }
    # 3. The whole document.
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "CausalCLIP",
            "version": VERSION,
            "description": "Does a picture carry the traces of an image generator? One clue, not a "
            "proof.",
        },
        "paths": {"/api/v1/examine": {"post": examine}},
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
