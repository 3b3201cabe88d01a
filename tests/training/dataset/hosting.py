"""Repositories that tests make, hostile ones among them, and hosts on this machine that serve them
as one out in the world does: over https, by git's own http-backend."""

import gzip
import hashlib
import os
import re
import ssl
import subprocess
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from training.dataset.table import COLUMNS, Picture

HERE = "127.0.0.1"
WHO = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
ALONE = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


def git(folder: Path, *arguments: str, sent: bytes = b"") -> bytes:
    """What git says, of a bare repository."""
    command = ["git", f"--git-dir={folder}", *arguments]
    return subprocess.run(
        command, input=sent, capture_output=True, check=True, env=os.environ | WHO | ALONE
    ).stdout


class Host:
    """A folder of repositories: owner/name as a host has them, and owner+name for mirrors."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mirrors = folder / "host", folder / "mirrors"
        self.mirrors.mkdir(parents=True)

    @property
    def url(self) -> str:
        return self.folder.as_uri()

    def repository(self, repo: str) -> Path:
        """The bare directory of a repository, made where it is not there yet."""
        folder = self.folder / repo
        if not folder.exists():
            folder.mkdir(parents=True)
            git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
            for name in ("allowFilter", "allowAnySHA1InWant"):
                git(folder, "config", f"uploadpack.{name}", "true")
            (self.mirrors / repo.replace("/", "+")).symlink_to(folder)
        return folder

    def commit(self, repo: str, files: dict[str, bytes | tuple[str, str]]) -> str:
        """Commit a tree of files, by path; a pair is of a mode and an object's id."""
        folder = self.repository(repo)
        commit = git(folder, "commit-tree", "-m", "x", self._tree(folder, files)).decode().strip()
        git(folder, "update-ref", "refs/heads/main", commit)
        return commit

    def pictures(self, repo: str, files: dict[str, bytes], **values: Any) -> list[Picture]:
        """Commit those files, and the rows that refer to them."""
        commit = self.commit(repo, dict(files))
        return [
            picture(repo, path, commit=commit, sha256=sha(data), **values)
            for path, data in files.items()
        ]

    def _tree(self, folder: Path, files: dict[str, Any]) -> str:
        lines = []
        for name in sorted({path.partition("/")[0] for path in files}):
            below = {
                path.partition("/")[2]: what
                for path, what in files.items()
                if path.startswith(f"{name}/")
            }
            if below:
                lines.append(f"040000 tree {self._tree(folder, below)}\t{name}")
            elif isinstance(files[name], tuple):
                mode, oid = files[name]
                lines.append(f"{mode} {'commit' if mode == '160000' else 'blob'} {oid}\t{name}")
            else:
                lines.append(f"100644 blob {blob(folder, files[name])}\t{name}")
        return (
            git(folder, "mktree", "--missing", sent="".join(f"{line}\n" for line in lines).encode())
            .decode()
            .strip()
        )


def blob(folder: Path, data: bytes) -> str:
    """The id of a file's object."""
    return git(folder, "hash-object", "-w", "--stdin", sent=data).decode().strip()


def boasting_blob(folder: Path, size: int) -> str:
    """The id of an object whose header says that it holds `size` bytes."""
    oid = hashlib.sha1(str(size).encode()).hexdigest()
    place = folder / "objects" / oid[:2]
    place.mkdir(exist_ok=True)
    (place / oid[2:]).write_bytes(zlib.compress(f"blob {size}\0".encode() + bytes(1000)))
    return oid


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Line(ThreadingHTTPServer):
    """Serves the repositories below a folder.

    asked: "METHOD path?query" of every request. wanted: the objects that fetches asked for. sent:
    bytes of answers.
    moved: where a path that begins so is redirected to.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__((HERE, 0), _Handler)
        self.folder = folder
        self.moved: dict[str, str] = {}
        self.asked: list[str] = []
        self.wanted: set[str] = set()
        self.sent = 0
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{HERE}:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust the certificate hangs up: that is no error of the host's."""


@contextmanager
def https(folder: Path, certificate: Path | None) -> Iterator[Line]:
    """A host for as long as the block lasts; without a certificate it speaks plain http."""
    host = Line(folder)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        host.socket = context.wrap_socket(
            host.socket, server_side=True, do_handshake_on_connect=False
        )
        host.scheme = "https"
    thread = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield host
    finally:
        host.shutdown()
        thread.join()
        host.server_close()


def make_certificate(file: Path) -> Path:
    """A self-signed certificate of 127.0.0.1 with its key, as PEM; git trusts it where
    GIT_SSL_CAINFO names it."""
    key = file.with_suffix(".key")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        f"/CN={HERE}",
    ]
    command += ["-addext", f"subjectAltName=IP:{HERE}", "-keyout", str(key), "-out", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    file.write_bytes(key.read_bytes() + file.read_bytes())
    return file


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Line

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        for path, to in self.server.moved.items():
            if self.path.startswith(path):
                self.send_response(301)
                self.send_header("Location", to + self.path.removeprefix(path))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        plain = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        self.server.wanted |= {oid.decode() for oid in re.findall(rb"want ([0-9a-f]{40})\n", plain)}
        head, _, content = self._git(plain).partition(b"\r\n\r\n")
        told = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n"))
        self.send_response(int(told.pop("Status", "200").split()[0]))
        for name, value in {**told, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.server.sent += len(content)

    def _git(self, body: bytes) -> bytes:
        """What git's http-backend answers: a status, headers and content."""
        asked = urlsplit(self.path)
        about = {
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": asked.path,
            "QUERY_STRING": asked.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
        }
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        command = ["git", "http-backend"]
        return subprocess.run(
            command, input=body, stdout=subprocess.PIPE, env=clean | ALONE | about
        ).stdout

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is printed."""


PLAIN: dict[str, Any] = dict.fromkeys(COLUMNS, "") | {
    "set": "sites",
    "split": "train",
    "label": "real",
    "kind": "photo",
    "evidence": "the site's page says so",
    "commit": "0" * 40,
    "licence": "MIT",
    "width": 640,
    "height": 480,
    "format": "JPEG",
}


def picture(repo: str = "anna/photos", path: str = "a.jpg", **values: Any) -> Picture:
    """A row of a table; its hash is of its name unless it is given."""
    row = PLAIN | {"repo": repo, "path": path, "site": repo.split("/")[0].lower()} | values
    row["real_by"] = values.get("real_by", "owner" if row["label"] == "real" else "")
    return Picture(**row | {"sha256": values.get("sha256", sha(f"{repo}/{path}".encode()))})
