"""What a run of `collect` leaves behind: a manifest of what is there, a table of what is missing, and a summary."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from causalclip.dataset.collecting.originals import REASONS, Missing, place
from causalclip.dataset.table import Picture

MANIFEST = (
    *("path", "label", "source", "split", "set", "view", "picture", "family"),
    *("repo", "repo_path", "commit", "licence", "crop", "grid", "kind", "hard", "pair", "pasted"),
)


def write_manifest(pictures: Iterable[Picture], out: Path) -> None:
    """Write `out`/manifest.csv, which `train` and `evaluate` read, of pictures whose originals are in `out`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, MANIFEST, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for p in sorted(pictures, key=lambda p: p.order):
        source = p.generator or p.family or p.site
        told = {"path": place(out, p).relative_to(out).as_posix(), "source": source, "view": "picture"}
        told |= {"picture": p.sha256, "family": p.family or p.site, "repo_path": p.path}
        writer.writerow(asdict(p) | told)
    out.joinpath("manifest.csv").write_bytes(text.getvalue().encode())


def write_missing(missing: Iterable[Missing], out: Path) -> None:
    """Write `out`/missing.csv: what could not be had, and why."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["reason", "repo", "commit", "path", "sha256"])
    for m in missing:
        writer.writerow([m.reason, m.picture.repo, m.picture.commit, m.picture.path, m.picture.sha256])
    out.joinpath("missing.csv").write_bytes(text.getvalue().encode())


def summarise(asked: int, missing: Sequence[Missing]) -> str:
    """How many of the pictures are there, and a line for each reason why others are not, and for each repository."""
    lines = [f"{asked - len(missing):,} of {asked:,} pictures are there ({1 - len(missing) / asked:.1%})."]
    for reason, meaning in REASONS.items():
        of_repo = Counter(m.picture.repo for m in missing if m.reason == reason)
        if of_repo:
            lines.append(f"{of_repo.total():,} {reason}: {meaning}.")
            lines += [f"    {n:6,}  {repo}" for repo, n in of_repo.most_common()]
    return "\n".join(lines)
