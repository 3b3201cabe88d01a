"""Bringing the originals of the table into a folder, each checked by its hash."""

import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from causalclip.dataset.repositories import (
    FILES,
    LARGEST,
    PATIENCE,
    CommitMoved,
    Reader,
    Repository,
    RepositoryGone,
    find_mirror,
    start_clone,
)
from causalclip.dataset.table import Picture, as_csv, place

CLONES = ".clones"  # in the folder of originals, while a run lasts
REASONS = {
    "gone": "the repository is not there any more, or cannot be reached",
    "moved": "the repository has no such commit, or the commit no such file",
    "changed": "the file's bytes are not those that were looked at",
    "absent": "the file's bytes cannot be had: the mirror lacks them, or they are too large to fetch",
    "refused": "it is a link or another repository, or it is too large",
    "stopped": "git took too long, or ended at a damaged object",
}
MANIFEST = (
    *("path", "label", "source", "split", "set", "view", "picture", "family"),
    *("repo", "repo_path", "commit", "licence", "crop", "grid", "kind", "hard", "pair", "pasted"),
)


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
    """Brings the originals of `pictures` that `out` lacks there, repositories side by side; what could not be had.

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
                return self._commits(start_clone(Path(folder), f"{self.source.base}/{repo}"), rows)
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
                continue
            missing += self._lost([p for p in wanted if p.path not in entries], "moved")
            there = [p for p in wanted if p.path in entries]
            missing += self._lost([p for p in there if entries[p.path].mode not in FILES], "refused")
            files = [(p, entries[p.path].oid) for p in there if entries[p.path].mode in FILES]
            if repository.distant:
                repository.fetch_files(list(dict.fromkeys(oid for _, oid in files)), largest=self.source.largest)
            missing += self._files(repository, files)
        return missing

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
        """Writes a picture's original; why it was not written, or nothing."""
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


def finish(pictures: Sequence[Picture], missing: Sequence[Missing], out: Path) -> str:
    """Writes manifest.csv, which `train` and `evaluate` read, and missing.csv; removes what an interrupted run left.

    Returns how many of the pictures are there, and a line for each reason why others are not, and for each repository.
    """
    shutil.rmtree(out / CLONES, ignore_errors=True)
    for part in out.glob("[0-9a-f][0-9a-f]/*.part"):
        part.unlink(missing_ok=True)
    lost = {m.picture for m in missing}
    rows = []
    for p in sorted((p for p in pictures if p not in lost), key=lambda p: p.order):
        source, path = p.generator or p.family or p.site, place(out, p).relative_to(out).as_posix()
        told = {"path": path, "source": source, "view": "picture", "picture": p.sha256}
        rows.append(asdict(p) | told | {"family": p.family or p.site, "repo_path": p.path})
    (out / "manifest.csv").write_bytes(as_csv(rows, MANIFEST).encode())
    unhad = [asdict(m.picture) | {"reason": m.reason} for m in missing]
    (out / "missing.csv").write_bytes(as_csv(unhad, ("reason", "repo", "commit", "path", "sha256")).encode())
    n, there = len(pictures), len(pictures) - len(missing)
    lines = [f"{there:,} of {n:,} pictures are there ({there / n:.1%})."]
    for reason, meaning in REASONS.items():
        of_repo = Counter(m.picture.repo for m in missing if m.reason == reason)
        if of_repo:
            lines.append(f"{of_repo.total():,} {reason}: {meaning}.")
            lines += [f"    {count:6,}  {repo}" for repo, count in of_repo.most_common()]
    return "\n".join(lines)
