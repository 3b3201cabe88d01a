"""Repositories that tests make, as a host out in the world would have them, and hostile ones."""

import hashlib
import os
import subprocess
import zlib
from pathlib import Path
from typing import Any

from causalclip.dataset.table import Picture
from tests.causalclip.dataset.making import picture

WHO = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
ALONE = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


def git(folder: Path, *arguments: str, sent: bytes = b"") -> bytes:
    """What git says, of a bare repository."""
    command = ["git", f"--git-dir={folder}", *arguments]
    return subprocess.run(command, input=sent, capture_output=True, check=True, env=os.environ | WHO | ALONE).stdout


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
        return [picture(repo, path, commit=commit, sha256=sha(data), **values) for path, data in files.items()]

    def _tree(self, folder: Path, files: dict[str, Any]) -> str:
        lines = []
        for name in sorted({path.partition("/")[0] for path in files}):
            below = {path.partition("/")[2]: what for path, what in files.items() if path.startswith(f"{name}/")}
            if below:
                lines.append(f"040000 tree {self._tree(folder, below)}\t{name}")
            elif isinstance(files[name], tuple):
                mode, oid = files[name]
                lines.append(f"{mode} {'commit' if mode == '160000' else 'blob'} {oid}\t{name}")
            else:
                lines.append(f"100644 blob {blob(folder, files[name])}\t{name}")
        return git(folder, "mktree", "--missing", sent="".join(f"{line}\n" for line in lines).encode()).decode().strip()


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
