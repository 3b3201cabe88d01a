"""The OpenAPI document of /api/v1."""

from __future__ import annotations

from typing import Any

from causalclip.pictures.formats import ACCEPTED, MAX_BYTES

VERSION = "1.1"
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
BANDS = ["likely generated", "inconclusive", "likely not generated", "no answer"]
CHECK = {
    "enum": ["yes", "no"],
    "default": "yes",
    "description": "Whether it is checked that the answer survives re-encoding, which takes most of the time.",
}
CHECKED = {
    "enum": ["yes", "only just", "no", "not checked"],
    "description": "Not checked: the form said so, or there is no answer to check.",
}
PICTURE = {"type": "string", "contentMediaType": "application/octet-stream", "description": ACCEPTED}


def document() -> dict[str, Any]:
    """What GET /api/v1/openapi.json answers."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "CausalCLIP",
            "version": VERSION,
            "description": "Does a picture carry the traces of an image generator? One clue, not a proof.",
        },
        "paths": {
            "/api/v1/examine": {"post": _examine()},
            "/api/v1/pair": {"post": _pair()},
        },
        "components": {
            "schemas": {"Error": _object({"error": {"type": "string"}}), "Examination": _examination()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _examine() -> dict[str, Any]:
    fields = {"picture": PICTURE, "found_at": {"type": "string", "maxLength": 2000}, "stability": CHECK}
    form = _object(fields, required=["picture"])
    form["additionalProperties"] = False
    encoding = {"picture": {"contentType": "image/jpeg"}}  # or any other of the accepted formats
    found = {
        "application/json": {"schema": {"$ref": "#/components/schemas/Examination"}},
        "text/html": {"schema": {"type": "string"}},
    }
    return {
        "operationId": "examine",
        "summary": "Examine one picture: JSON, or the report as one HTML file, by the header Accept.",
        "security": [{}, {"token": []}],
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form, "encoding": encoding}}},
        "responses": {"200": {"description": "The examination.", "content": found}} | _errors(*ERRORS),
    }


def _pair() -> dict[str, Any]:
    code = _object({"code": {"type": "string", "pattern": "^[0-9]{8}$"}})
    token = {"application/json": {"schema": _object({"token": {"type": "string"}})}}
    return {
        "operationId": "pair",
        "summary": "Let a browser extension in, with the code that the app's page shows.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": code}}},
        "responses": {"200": {"description": "Its token.", "content": token}} | _errors(400, 403, 413, 415, 421),
    }


def _errors(*statuses: int) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {str(status): {"description": ERRORS[status], "content": content} for status in statuses}


def _object(properties: dict[str, Any], *, required: list[str] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required or list(properties)}


def _examination() -> dict[str, Any]:
    """What programs need most; the rest is described in docs/using.md."""
    share = {"type": "number", "minimum": 0, "maximum": 1}
    known = {
        "band": {"enum": BANDS, "description": "Inconclusive where the answer does not survive re-encoding."},
        "probability": share | {"type": ["number", "null"], "description": "Null where there is no answer."},
        "low": share,
        "high": share,
        "sha256": {"type": "string"},
        "width": {"type": "integer"},
        "height": {"type": "integer"},
        "cautions": {"type": "array", "items": {"type": "object"}},
        "stability": _object({"answer": CHECKED, "words": {"type": "string"}, "sentence": {"type": "string"}}),
        "parts": {"type": "object", "description": "Whether one part differs; none found says little."},
        "provenance": {"type": "object"},
        "archive": {"type": ["object", "null"]},
        "found_at": {"type": "string"},
    }
    return _object(known)
