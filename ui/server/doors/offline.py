"""The framework fetches nothing: what it would fetch an address with is replaced, for the whole process."""

from __future__ import annotations

from typing import Any, NoReturn

import httpx
import safehttpx
from gradio import processing_utils

NOT_FETCHED = "Addresses are not fetched. Upload the file itself."


class NotFetchedError(PermissionError):
    """Something wanted to fetch an address; the message is a sentence that repeats nothing of it."""


def stay_offline() -> None:
    """Has whatever in Gradio fetches or looks up an address raise NotFetchedError, whichever way it was reached.

    Callers look these names up in their modules when they need them, so one replacement serves all.
    """
    for module, name in (
        (processing_utils, "async_ssrf_protected_get"),
        (safehttpx, "get"),
        (safehttpx, "async_validate_url"),
        (safehttpx, "async_resolve_hostname_google"),
        (safehttpx, "AsyncSecureTransport"),
        (processing_utils, "unsafe_download"),
    ):
        setattr(module, name, _raise)
    processing_utils.sync_client = httpx.Client(transport=httpx.MockTransport(_raise))


def _raise(*_: Any, **__: Any) -> NoReturn:
    raise NotFetchedError(NOT_FETCHED)
