"""The language of each answer: the one that the page's address names, or else the browser's.

Nothing is kept here for it. The switch on the page puts the choice into the address (?lang=ar) and
remembers it in the browser's own storage, which no server reads.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import gradio as gr
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from causalclip.languages import (
    ENGLISH,
    LANGUAGES,
    N_,
    _,
    best,
    current,
    is_rtl,
    is_spoken,
    speaking,
)
from causalclip.paths import shipped_folder
from ui.errors import explain
from ui.server.senders import Client, asking, header

SCRIPT = shipped_folder("assets") / "languages.js"
PARAMETER = "lang"  # of an address
GRADIO = {"zh": "zh-CN"}  # Gradio's own names of languages, where they differ
# in English, which the reader may know: the page is in what their browser prefers
UNKNOWN = "This page does not speak the language in its address (?lang=). It speaks {languages}."
# what of a component is read
TEXTS = ("label", "value", "placeholder", "info", "alt_text", "choices", "js_on_load")
LITERALS = (  # in Gradio's own parts, which translate only what is not among these
    N_("Click to upload or drop files"),
    N_("Download"),
    N_("Exit fullscreen mode"),
    N_("Fullscreen"),
    N_("More tabs"),
    N_("Paste from clipboard"),
    N_("Remove Image"),
    N_("Upload file"),
    N_("Use via API"),
)
TAP = N_("Tap to choose a picture")  # what an empty field says where there is a finger and no mouse


class Languages:
    """Middleware that has `app` answer every request in the language of who asks."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        language = parse_qs(scope["query_string"].decode("latin-1")).get(PARAMETER, [""])[0]
        with speaking(best(header(scope, "accept-language"), language)):
            page = scope["path"] == "/" and scope["method"] == "GET"
            unknown = language != "" and not is_spoken(language)
            await self.app(scope, receive, _LocalisedPage(send, unknown).send if page else send)


class _LocalisedPage:
    """Sends the page once all of it is there, as `mark` returns it.

    unknown: whether the address asks for a language that is not there.
    """

    def __init__(self, send: Send, unknown: bool) -> None:
        self._send = send
        self._unknown = unknown
        self._start: Message = {}
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        """Collect the messages of an answer; with the last one, send the page."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        body = mark(bytes(self._body), unknown=self._unknown)
        headers = [
            pair for pair in self._start["headers"] if pair[0] not in (b"content-length", b"vary")
        ]
        more = [
            (b"content-length", b"%d" % len(body)),
            (b"vary", b"accept-language"),
            (b"cache-control", b"no-cache"),
        ]
        await self._send({**self._start, "headers": [*headers, *more]})
        await self._send({"type": "http.response.body", "body": body})


def mark(page: bytes, *, unknown: bool = False) -> bytes:
    """Return Gradio's page with the current language, its direction, and assets/languages.js.

    unknown: whether the address asks for a language that is not there; the page then says which
    ones are.
    """
    direction = b"rtl" if is_rtl() else b"ltr"
    page = page.replace(b'lang="en"', b'lang="%s" dir="%s"' % (current().encode(), direction), 1)
    words = {} if current() == ENGLISH else {literal: _(literal) for literal in LITERALS}
    language_names = ", ".join(f"{name} ({code})" for code, name in LANGUAGES.items())
    settings = json.dumps(
        {
            "spoken": current(),
            "gradio": GRADIO.get(current(), current()),
            "words": words,
            "tap": _(TAP),
            "unknown": UNKNOWN.format(languages=language_names) if unknown else "",
        }
    )
    script = (
        f"<script>window.ccLanguage = {settings};\n{SCRIPT.read_text(encoding='utf-8')}</script>"
    )
    return page.replace(b"<head>", b"<head>" + script.encode(), 1)


class Page(gr.Blocks):
    """Blocks whose functions answer, and whose parts are labelled, in the language of who asks.

    again: lays out the same page anew, in the language that is current when it is called.
    """

    def __init__(self, *, again: Callable[[], Page] | None = None, **options: Any) -> None:
        self._again = again
        self._words: dict[str, list[dict[str, Any]]] = {}
        self._laying = threading.Lock()
        super().__init__(**options)

    @property
    def config(self) -> Any:
        """The page's configuration for the browser."""
        return self._config

    @config.setter
    def config(self, config: Mapping[str, Any]) -> None:
        self._config = _LocalisedConfig(config, self)

    async def call_function(self, *arguments: Any, **options: Any) -> Any:
        """Call a function as Gradio does, in the language of whoever asks, whom `asking` names
        meanwhile."""
        requests = options.get("requests") or (arguments[3] if len(arguments) > 3 else None)
        request: Any = requests[0] if isinstance(requests, list) and requests else requests
        client = request.client if request is not None else None
        context_token = asking.set(
            Client(client.host, request.session_hash or "") if client else Client()
        )
        try:
            with speaking(_language_of(request) or current()):
                return await super().call_function(*arguments, **options)
        finally:
            asking.reset(context_token)

    async def process_api(self, *arguments: Any, **options: Any) -> Any:
        """Answer a call as Gradio does, but print nothing of an error: a message may hold a file's
        name."""
        try:
            return await super().process_api(*arguments, **options)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            title, sentence = explain(error)
            raise gr.Error(sentence, title=title, print_exception=False) from None

    def words(self, language: str) -> list[dict[str, Any]]:
        """Return the texts of every component in a language, in the page's order."""
        with self._laying:
            if language not in self._words:
                assert self._again is not None
                with speaking(language):
                    other = self._again()
                self._words[language] = [
                    _texts(part["props"]) for part in dict.__getitem__(other.config, "components")
                ]
            return self._words[language]

    @property
    def speaks(self) -> bool:
        """Return whether the page can be laid out in other languages."""
        return self._again is not None


class _LocalisedConfig(dict[str, Any]):
    """A page's config, whose components are in the current language."""

    def __init__(self, config: Mapping[str, Any], page: Page) -> None:
        super().__init__(config)
        self._page = page

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if key != "components" or current() == ENGLISH or not self._page.speaks:
            return value
        words = zip(value, self._page.words(current()), strict=True)
        return [{**part, "props": part["props"] | texts} for part, texts in words]


def _texts(props: Mapping[str, Any]) -> dict[str, Any]:
    """Return the texts among a component's properties, by name.

    A value that is no text, such as a file's, is left out.
    """
    return {
        name: props[name]
        for name in TEXTS
        if isinstance(props.get(name), str) or name == "choices" in props
    }


def _language_of(request: Any) -> str:
    """Return the language of a request as Gradio knows it; "" where there is none."""
    if request is None or getattr(request, "request", None) is None:
        return ""
    return best(request.headers.get("accept-language", ""), request.query_params.get(PARAMETER, ""))
