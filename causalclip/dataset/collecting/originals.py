"""Bringing the originals of the table into a folder, each checked by its hash."""

import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from causalclip.dataset.collecting.repositories import (
    LARGEST,
    PATIENCE,
    CommitMoved,
    Entry,
    Reader,
    Repository,
    RepositoryGone,
    find_mirror,
    start_clone,
)
from causalclip.dataset.table import Picture

ENDINGS = {
    "JPEG": "jpg",
    "MPO": "jpg",
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
    "AVIF": "avif",
    "HEIF": "heic",
    "TIFF": "tif",
}
CLONES = ".clones"  # in the folder of originals, while a run lasts
REASONS = {
    "gone": "the repository is not there any more, or cannot be reached",
    "moved": "the repository has no such commit, or the commit no such file",
    "changed": "the file's bytes are not those that were looked at",
    "absent": "the file's bytes cannot be had: the mirror lacks them, or they are too large to fetch",
    "refused": "it is a link or another repository, or it is too large",
    "stopped": "git took too long, or ended at a damaged object",
}


@dataclass(frozen=True, slots=True)
class Missing:
    """A picture that could not be had. reason: one of REASONS."""

    picture: Picture
    reason: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where repositories come from: a folder of bare mirrors, or partial clones of `base`/owner/name over https."""

    mirrors: Path | None = None
    base: str = "https://github.com"
    largest: int = LARGEST
    patience: float = PATIENCE


def place(out: Path, picture: Picture) -> Path:
    """Where the original of a picture is kept: its name is its hash, and nothing of the repository's is in it."""
    return out / picture.sha256[:2] / f"{picture.sha256}.{ENDINGS[picture.format]}"


def split_by_presence(pictures: Iterable[Picture], out: Path) -> tuple[list[Picture], list[Picture]]:
    """Those whose originals are in `out`, and those whose are not. A file there was checked when it was written."""
    there = {entry.name for folder in out.glob("[0-9a-f][0-9a-f]") for entry in os.scandir(folder)}
    have: list[Picture] = []
    lack: list[Picture] = []
    for picture in pictures:
        (have if place(out, picture).name in there else lack).append(picture)
    return have, lack


def collect(
    pictures: Iterable[Picture],
    out: Path,
    source: Source,
    *,
    workers: int = 8,
    tell: Callable[[], object] = lambda: None,
) -> list[Missing]:
    """Bring the originals of `pictures` that `out` lacks there, repositories side by side; what could not be had.

    tell: is called after every picture, whether it was had or not.
    """
    of_repo: dict[str, list[Picture]] = defaultdict(list)
    for picture in split_by_presence(pictures, out)[1]:
        of_repo[picture.repo].append(picture)
    work = sorted(of_repo.items(), key=lambda item: -len(item[1]))
    with ThreadPoolExecutor(workers) as pool:
        tasks = [pool.submit(_Visit(out, source, tell).repository, repo, rows) for repo, rows in work]
        try:
            missing = [m for task in as_completed(tasks) for m in task.result()]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return sorted(missing, key=lambda m: m.picture.order)


@dataclass(frozen=True, slots=True)
class _Visit:
    """Asks one repository for pictures; each method returns those that it could not have."""

    out: Path
    source: Source
    tell: Callable[[], object]

    def repository(self, repo: str, rows: Sequence[Picture]) -> list[Missing]:
        try:
            if self.source.mirrors:
                return self._commits(find_mirror(self.source.mirrors, repo), rows)
            clones = self.out / CLONES
            clones.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=clones, ignore_cleanup_errors=True) as folder:
                clone = start_clone(Path(folder), f"{self.source.base}/{repo}")
                return self._commits(clone, rows)
        except RepositoryGone:
            return self._lost(rows, "gone")

    def _commits(self, repository: Repository, rows: Sequence[Picture]) -> list[Missing]:
        missing: list[Missing] = []
        of_commit: dict[str, list[Picture]] = defaultdict(list)
        for picture in rows:
            of_commit[picture.commit].append(picture)
        for commit, wanted in of_commit.items():
            try:
                if repository.distant:
                    repository.fetch_commit(commit)
                entries = repository.entries(commit, [p.path for p in wanted])
            except CommitMoved:
                missing += self._lost(wanted, "moved")
            else:
                missing += self._tree(repository, wanted, entries)
        return missing

    def _tree(self, repository: Repository, rows: Sequence[Picture], entries: dict[str, Entry]) -> list[Missing]:
        missing = self._lost([p for p in rows if p.path not in entries], "moved")
        there = [p for p in rows if p.path in entries]
        missing += self._lost([p for p in there if not entries[p.path].is_file], "refused")
        files = [(p, entries[p.path].oid) for p in there if entries[p.path].is_file]
        if repository.distant:
            repository.fetch_files(list(dict.fromkeys(oid for _, oid in files)), largest=self.source.largest)
        return missing + self._files(repository, files)

    def _files(self, repository: Repository, files: Sequence[tuple[Picture, str]]) -> list[Missing]:
        """A reader that ends at a damaged object is started again for the rest, until the time is over."""
        missing: list[Missing] = []
        until, at = time.monotonic() + self.source.patience, 0
        while at < len(files) and time.monotonic() < until:
            with repository.reader(patience=until - time.monotonic()) as reader:
                for picture, oid in files[at:]:
                    at += 1
                    try:
                        reason = self._keep(picture, oid, reader)
                    except EOFError:
                        missing += self._lost([picture], "stopped")
                        break
                    missing += self._lost([picture] if reason else [], reason)
        return missing + self._lost([p for p, _ in files[at:]], "stopped")

    def _keep(self, picture: Picture, oid: str, reader: Reader) -> str:
        """Write a picture's original; why it was not written, or nothing."""
        size = reader.size(oid)
        if size is None:
            return "absent"
        if size > self.source.largest:
            return "refused"
        data = reader.read(oid)
        if data is None or hashlib.sha256(data).hexdigest() != picture.sha256:
            return "changed"
        target = place(self.out, picture)
        target.parent.mkdir(parents=True, exist_ok=True)
        # A name of this thread alone: two repositories that are read side by side may have the same file.
        part = target.with_name(f"{target.name}.{threading.get_native_id()}.part")
        part.write_bytes(data)
        part.replace(target)
        self.tell()
        return ""

    def _lost(self, rows: Sequence[Picture], reason: str) -> list[Missing]:
        for _ in rows:
            self.tell()
        return [Missing(picture, reason) for picture in rows]


def tidy(out: Path) -> None:
    """Remove what an interrupted run left in `out`."""
    shutil.rmtree(out / CLONES, ignore_errors=True)
    for part in out.glob("[0-9a-f][0-9a-f]/*.part"):
        part.unlink(missing_ok=True)
