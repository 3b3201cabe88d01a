"""Reading files out of git repositories that nobody trusts: nothing of them is run, checked out or
believed.

Git is given an environment of its own: no configuration of the user's or the system's, no prompts,
no hooks, no submodules, no programs for signatures, no protocol but https. Only objects are read,
by their ids.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_FILE = 64 * 2**20  # bytes of a file that is read
PATIENCE = 900.0  # seconds for one call of git, and for reading the files of one commit
# modes of ordinary files: no symbolic link, folder or other repository
FILES = ("100644", "100755")
_CHUNK = 100  # objects a call
_PASSED_ON = (
    *("PATH", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"),
    *("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSL_CERT_FILE", "SSL_CERT_DIR"),
)
_ENVIRONMENT = {
    "GIT_ASKPASS": "true",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "HOME": os.devnull,
    "LC_ALL": "C",
}
_SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "gpg.program": "false",  # a repository's own configuration could name a program
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "log.showSignature": "false",
    "maintenance.auto": "false",
    "protocol.allow": "never",  # but for what GIT_ALLOW_PROTOCOL names
    "safe.directory": "*",
    "submodule.recurse": "false",
}


class RepositoryGone(Exception):
    """There is no such repository, or it cannot be reached."""


class CommitMoved(Exception):
    """The repository does not have the commit any more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a commit has at a path. mode: as git writes it, "100644" for a file."""

    path: str
    mode: str
    oid: str


@dataclass(frozen=True, slots=True)
class Repository:
    """A bare git directory. distant: objects are still fetched into it, over https; a mirror is
    complete."""

    folder: Path
    distant: bool = False

    def tree(self, commit: str) -> dict[str, Entry]:
        """Return what the commit has, by path: files, folders, links. Raises CommitMoved."""
        listing = self._git("ls-tree", "-r", "-t", "-z", "--full-tree", commit)
        if listing.returncode:
            raise CommitMoved(commit)
        entries = {}
        # mode, type and object, and after a tab the path
        for line in listing.stdout.split(b"\0")[:-1]:
            about, _, name = line.partition(b"\t")
            mode, _, oid = about.decode().split()
            path = name.decode("utf-8", "surrogateescape")
            entries[path] = Entry(path, mode, oid)
        return entries

    def fetch_commit(self, commit: str) -> None:
        """Fetch a commit with its trees and without any file. Raises RepositoryGone or
        CommitMoved."""
        answer = self._git(
            "fetch", "--quiet", "--depth=1", "--no-tags", "--filter=blob:none", "origin", commit
        )
        if answer.returncode == 0:
            return
        if self._git("ls-remote", "--quiet", "origin", "HEAD").returncode:
            raise RepositoryGone(answer.stderr.decode(errors="replace").strip()[-200:])
        raise CommitMoved(commit)

    def fetch_files(self, oids: Sequence[str], *, largest: int = MAX_FILE) -> None:
        """Fetch those files, as far as they can be had, each of at most `largest` bytes as it is
        packed."""

        def fetch(batch: Sequence[str]) -> int:
            options = (
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--filter=blob:none",
                "--stdin",
                "origin",
            )
            sent = "".join(f"{oid}\n" for oid in batch).encode()
            return self._git("fetch", *options, sent=sent, room=largest * len(batch)).returncode

        for start in range(0, len(oids), _CHUNK):
            chunk = oids[start : start + _CHUNK]
            if fetch(chunk):
                for oid in chunk:  # so that one that is too large does not keep the others out
                    fetch([oid])

    def size(self, oid: str, *, patience: float = PATIENCE) -> int | None:
        """Return a file's bytes, as its header says, without reading it; None if there is no such
        file."""
        answer = self._git(
            "cat-file",
            "--batch-check=%(objecttype) %(objectsize)",
            sent=f"{oid}\n".encode(),
            patience=patience,
        )
        kind, _, size = answer.stdout.decode().partition(" ")
        return int(size) if kind == "blob" else None

    def read(self, oid: str, *, patience: float = PATIENCE) -> bytes | None:
        """The bytes of a file; None where its object is not there, or is damaged."""
        answer = self._git("cat-file", "blob", oid, patience=patience)
        return answer.stdout if answer.returncode == 0 else None

    def _git(
        self, *arguments: str, sent: bytes = b"", room: int = 2**31, patience: float = PATIENCE
    ) -> subprocess.CompletedProcess[bytes]:
        """Run git. room: bytes that it may write to any one file. patience: seconds, after which it
        is ended and has failed."""
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [
            "sh",
            "-c",
            'ulimit -f "$0" && exec "$@"',
            str(-(-room // 512)),
            "git",
            "--no-pager",
            *settings,
        ]
        command += ["--git-dir=.", "--literal-pathspecs", *arguments]
        fetches = self.distant and arguments[0] in ("fetch", "ls-remote")
        own_variables = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment = (
            own_variables | _ENVIRONMENT | {"GIT_ALLOW_PROTOCOL": "https" if fetches else "none"}
        )
        try:
            return subprocess.run(
                command,
                input=sent,
                capture_output=True,
                env=environment,
                cwd=self.folder,
                timeout=patience,
            )
        except subprocess.TimeoutExpired as stopped:
            return subprocess.CompletedProcess(
                command, 1, b"", stopped.stderr or b"It took too long."
            )


def find_mirror(mirrors: Path, repo: str) -> Repository:
    """The bare git directory of `owner/name` in a folder of `owner+name`. Raises RepositoryGone."""
    place = mirrors / repo.replace("/", "+")
    for folder in (
        place / "repo/.git",
        place / "repo",
        place / ".git",
        place,
        place.with_name(f"{place.name}.git"),
    ):
        if (folder / "HEAD").is_file() and (folder / "objects").is_dir():
            return Repository(folder)
    raise RepositoryGone(f"no mirror {place.name}")


def start_clone(folder: Path, url: str) -> Repository:
    """An empty partial clone of the repository at `url`, in a new folder: nothing is fetched
    yet."""
    folder.mkdir(parents=True, exist_ok=True)
    clone = Repository(folder, distant=True)
    clone._git("init", "--quiet", "--bare", "--template=", ".")
    for name, value in {"url": url, "promisor": "true", "partialclonefilter": "blob:none"}.items():
        clone._git("config", f"remote.origin.{name}", value)
    return clone
