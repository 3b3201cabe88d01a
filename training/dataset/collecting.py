"""Bringing the originals of the table into a folder, each checked by its hash."""

import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, TypeVar

from training.dataset.repositories import (
    FILES,
    MAX_FILE,
    PATIENCE,
    CommitMoved,
    Repository,
    RepositoryGone,
    find_mirror,
    start_clone,
)
from training.dataset.table import Picture, Reference, as_csv, place

CLONES = ".clones"  # in the folder of originals, while a run lasts
REASONS = {
    "gone": "the repository is not there any more, or cannot be reached",
    "moved": "the repository has no such commit, or the commit no such file",
    "changed": "the file's bytes are not those that were looked at",
    "absent": "the file's bytes cannot be had: the mirror lacks them, or they are too large to "
    "fetch",
    "refused": "it is a link or another repository, or it is too large",
    "stopped": "git took too long, or the object is damaged",
}
MANIFEST = (
    *("path", "label", "source", "split", "set", "view", "picture", "family"),
    *("repo", "repo_path", "commit", "licence", "crop", "grid", "kind", "hard", "pair", "pasted"),
)


R = TypeVar("R", bound=Reference)


@dataclass(frozen=True, slots=True)
class Missing(Generic[R]):
    """A picture that could not be had. reason: one of REASONS."""

    picture: R
    reason: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where repositories come from: a folder of bare mirrors, or partial clones of
    `base`/owner/name over https."""

    mirrors: Path | None = None
    base: str = "https://github.com"
    largest: int = MAX_FILE
    patience: float = PATIENCE


def split_by_presence(pictures: Iterable[R], out: Path) -> tuple[list[R], list[R]]:
    """Return those whose originals are in `out`, and those whose are not. A file there was checked
    when it was written."""
    there = {entry.name for folder in out.glob("[0-9a-f][0-9a-f]") for entry in os.scandir(folder)}
    have: list[R] = []
    lack: list[R] = []
    for picture in pictures:
        (have if place(out, picture).name in there else lack).append(picture)
    return have, lack


def collect(
    pictures: Iterable[R],
    out: Path,
    source: Source,
    *,
    workers: int = 8,
    tell: Callable[[], object] = lambda: None,
) -> list[Missing[R]]:
    """Bring the originals of `pictures` that `out` lacks there, repositories side by side; what
    could not be had.

    tell: is called after every picture, whether it was had or not.
    """

    def visit(repo: str, rows: Sequence[R]) -> list[Missing[R]]:
        missing = []
        for picture, reason in _fetched(repo, rows, out, source):
            tell()
            missing += [Missing(picture, reason)] if reason else []
        return missing

    of_repo = _grouped(split_by_presence(pictures, out)[1], lambda p: p.repo)
    work = sorted(of_repo.items(), key=lambda item: -len(item[1]))
    with ThreadPoolExecutor(workers) as pool:
        tasks = [pool.submit(visit, repo, rows) for repo, rows in work]
        try:
            missing = [m for task in as_completed(tasks) for m in task.result()]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return sorted(missing, key=lambda m: m.picture.order)


def _grouped(pictures: Iterable[R], key: Callable[[R], str]) -> dict[str, list[R]]:
    groups: dict[str, list[R]] = defaultdict(list)
    for picture in pictures:
        groups[key(picture)].append(picture)
    return groups


def _fetched(repo: str, rows: Sequence[R], out: Path, source: Source) -> Iterator[tuple[R, str]]:
    """Each picture of a repository, with the reason why it could not be had; "" once its original
    is there."""
    clones = out / CLONES
    clones.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=clones, ignore_cleanup_errors=True) as folder:
        try:
            repository = (
                find_mirror(source.mirrors, repo)
                if source.mirrors
                else start_clone(Path(folder), f"{source.base}/{repo}")
            )
        except RepositoryGone:
            yield from ((picture, "gone") for picture in rows)
            return
        for commit, of_commit in _grouped(rows, lambda p: p.commit).items():
            yield from _of_commit(repository, commit, of_commit, out, source)


def _of_commit(
    repository: Repository, commit: str, rows: Sequence[R], out: Path, source: Source
) -> Iterator[tuple[R, str]]:
    try:
        if repository.distant:
            repository.fetch_commit(commit)
        tree = repository.tree(commit)
    except (CommitMoved, RepositoryGone) as error:
        reason = "moved" if isinstance(error, CommitMoved) else "gone"
        yield from ((picture, reason) for picture in rows)
        return
    if repository.distant:
        oids = [tree[p.path].oid for p in rows if p.path in tree and tree[p.path].mode in FILES]
        repository.fetch_files(list(dict.fromkeys(oids)), largest=source.largest)
    until = time.monotonic() + source.patience
    for picture in rows:
        entry = tree.get(picture.path)
        if entry is None or entry.mode not in FILES:
            yield picture, "moved" if entry is None else "refused"
        else:
            yield picture, _keep(repository, entry.oid, picture, out, source.largest, until)


def _keep(
    repository: Repository, oid: str, picture: Reference, out: Path, largest: int, until: float
) -> str:
    """Write a picture's original; return why it was not written, or "". until: of
    time.monotonic."""
    patience = until - time.monotonic()
    size = repository.size(oid, patience=patience) if patience > 0 else None
    if size is None:
        return "absent" if time.monotonic() < until else "stopped"
    if size > largest:
        return "refused"
    data = repository.read(oid, patience=max(0.0, until - time.monotonic()))
    if data is None:
        return "stopped"
    if hashlib.sha256(data).hexdigest() != picture.sha256:
        return "changed"
    target = place(out, picture)
    target.parent.mkdir(parents=True, exist_ok=True)
    # A name of this thread alone: two repositories that are read side by side may have the same
    # file.
    part = target.with_name(f"{target.name}.{threading.get_native_id()}.part")
    part.write_bytes(data)
    part.replace(target)
    return ""


def finish(pictures: Sequence[Picture], missing: Sequence[Missing[Picture]], out: Path) -> str:
    """Write manifest.csv, which `train` and `evaluate` read, and missing.csv; remove what an
    interrupted run left.

    Returns how many of the pictures are there, and a line for each reason why others are not, and
    for each repository.
    """
    shutil.rmtree(out / CLONES, ignore_errors=True)
    for part in out.glob("[0-9a-f][0-9a-f]/*.part"):
        part.unlink(missing_ok=True)
    missing_pictures = {m.picture for m in missing}
    rows = []
    for p in sorted((p for p in pictures if p not in missing_pictures), key=lambda p: p.order):
        source, path = p.generator or p.family or p.site, place(out, p).relative_to(out).as_posix()
        columns = {"path": path, "source": source, "view": "picture", "picture": p.sha256}
        rows.append(asdict(p) | columns | {"family": p.family or p.site, "repo_path": p.path})
    (out / "manifest.csv").write_bytes(as_csv(rows, MANIFEST).encode())
    unhad = [asdict(m.picture) | {"reason": m.reason} for m in missing]
    (out / "missing.csv").write_bytes(
        as_csv(unhad, ("reason", "repo", "commit", "path", "sha256")).encode()
    )
    n, there = len(pictures), len(pictures) - len(missing)
    lines = [f"{there:,} of {n:,} pictures are there ({there / n:.1%})."]
    for reason, meaning in REASONS.items():
        of_repo = Counter(m.picture.repo for m in missing if m.reason == reason)
        if of_repo:
            lines.append(f"{of_repo.total():,} {reason}: {meaning}.")
            lines += [f"    {count:6,}  {repo}" for repo, count in of_repo.most_common()]
    return "\n".join(lines)
