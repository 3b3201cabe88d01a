"""Uploads on their way in: at most so many and so much, from one client and from all; nothing of a broken one stays."""

from __future__ import annotations

import logging
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import BinaryIO

from gradio_client.utils import strip_invalid_filename_characters
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from causalclip.images.formats import MAX_BYTES, too_many_bytes
from causalclip.languages import N_, _
from ui.server.files import file_in, uploads
from ui.server.middleware import UPLOAD, Refused, client_of
from ui.server.storage import STORE

FILES = 50  # of a request
A_REQUEST = 200 * 2**20  # bytes
STEP = 2**20  # bytes for which room is made at a time, of a request that does not say how long it is
LONGEST_TEXT = 4096  # bytes of a field that is no file
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # of a form that cannot be read its sender is told
NO_FILE = "A file is expected in files, not a text."
NO_FORM = "Send a form: multipart/form-data, with the files in the field files."
TOO_MUCH = N_("At most {files} files and {mb} MB can be sent at once.")


class _Parser(MultiPartParser):
    """Starlette's, which keeps nothing in memory. Its files have no name, and are gone once they are closed."""

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
        except (MultiPartException, KeyError, ValueError) as error:  # without a length, or a boundary
            raise Refused(400, error.message if isinstance(error, MultiPartException) else NO_FORM) from None
        brief = any(name in request.headers for name in ("origin", "sec-fetch-site"))  # a browser asks at once
        try:
            return JSONResponse(await run_in_threadpool(_keep_all, form.getlist("files"), owner, brief))
        finally:
            await form.close()


def _keep_all(files: list[UploadFile | str], owner: str, brief: bool) -> list[str]:
    sent = [(file, file.size or 0) for file in files if isinstance(file, UploadFile)]
    if len(sent) < len(files):
        raise Refused(400, NO_FILE)
    if any(size > MAX_BYTES for _, size in sent):
        raise Refused(413, str(too_many_bytes()))
    return [keep(file.file, file.filename or "", size=size, owner=owner, brief=brief) for file, size in sent]


def keep(file: BinaryIO, name: str, *, size: int, owner: str, brief: bool) -> str:
    """Stores a file of so many bytes in a new folder of an owner's, under that name or a similar one; returns its path.

    brief: as in Store.add.
    """
    folder = uploads() / STORE.add(owner, size, brief=brief)
    folder.mkdir(parents=True)
    path = file_in(folder, strip_invalid_filename_characters(Path(name).name).strip(".") or "picture")
    with path.open("wb") as copy:
        shutil.copyfileobj(file, copy)
    return str(path)


async def _progress(request: Request) -> Response:
    """Of an upload: none. A proxy collects it first, and Gradio would remember for good who has asked."""
    return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")


ROUTES = [Route(UPLOAD, upload, methods=["POST"]), Route("/gradio_api/upload_progress", _progress)]
