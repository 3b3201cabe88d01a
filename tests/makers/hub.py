"""A Hugging Face hub on this machine: it keeps what is pushed, and answers what huggingface_hub
asks."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Files = dict[str, bytes]
RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
MODEL = re.compile(r"/api/(?:models|datasets)/([^/]+/[^/]+)(/.*)?")


class Hub(ThreadingHTTPServer):
    """Models by name, each a dict of files, and whether it is private."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models: dict[str, Files] = {}
        self.private: dict[str, bool] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def commit(self, name: str) -> str:
        """The hash of what a model holds."""
        text = json.dumps(
            {path: hashlib.sha1(data).hexdigest() for path, data in self.models[name].items()}
        )
        return hashlib.sha1(text.encode()).hexdigest()


@contextmanager
def local_hub() -> Iterator[Hub]:
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, answer: Any, status: int = 200, **headers: str) -> None:
        self._send(status, json.dumps(answer).encode(), Content_Type="application/json", **headers)

    def _missing(self) -> None:
        self._json({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")

    def do_HEAD(self) -> None:
        self._file()

    def do_GET(self) -> None:
        if not self.path.startswith("/api/"):
            return self._file()
        found = MODEL.match(self.path.partition("?")[0])
        if not found or found[1] not in self.server.models:
            return self._missing()
        files = self.server.models[found[1]]
        if found[2] and found[2].startswith("/tree/"):
            return self._json(
                [
                    {"type": "file", "path": path, "size": len(data), "oid": _oid(data)}
                    for path, data in files.items()
                ]
            )
        self._json(
            {
                "id": found[1],
                "modelId": found[1],
                "sha": self.server.commit(found[1]),
                "private": self.server.private[found[1]],
                "siblings": [{"rfilename": path} for path in files],
                "tags": [],
            }
        )

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            if name in self.server.models:
                return self._json({"error": "exists", "url": f"{self.server.address}/{name}"}, 409)
            self.server.models[name] = {".gitattributes": b""}
            self.server.private[name] = asked.get("visibility") == "private" or bool(
                asked.get("private")
            )
            return self._json({"url": f"{self.server.address}/{name}"})
        if self.path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        found = MODEL.match(self.path.partition("?")[0])
        if not found or found[1] not in self.server.models:
            return self._missing()
        if found[2].startswith("/preupload/"):
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self._json({"files": files})
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                value = line["value"]
                self.server.models[found[1]][value["path"]] = base64.b64decode(value["content"])
        commit = self.server.commit(found[1])
        self._json(
            {"commitUrl": f"{self.server.address}/{found[1]}/commit/{commit}", "commitOid": commit}
        )

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _file(self) -> None:
        found = RESOLVE.match(self.path.partition("?")[0])
        if not found or found[1] not in self.server.models:
            return self._missing()
        data = self.server.models[found[1]].get(found[3])
        if data is None:
            return self._json({"error": "no file"}, 404, X_Error_Code="EntryNotFound")
        self._send(
            200,
            data,
            ETag=f'"{_oid(data)}"',
            X_Repo_Commit=self.server.commit(found[1]),
        )


def _oid(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
