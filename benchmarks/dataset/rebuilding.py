"""How much of the table can be rebuilt, how fast, and what is missing why: rebuilt.json, which grows with each run.

All repositories whose mirrors are there are rebuilt, and of the others some that are drawn by a seed. Mirrors of these
may be brought a few at a time, and thrown away once they were counted.
"""

import csv
import json
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from benchmarks.dataset.timing import timed
from causalclip.dataset.collecting.repositories import RepositoryGone, find_mirror
from causalclip.dataset.table import Picture, read_table, write_table

DRAWN, SEED = 120, 32
BATCH = 40  # repositories whose pictures lie on the disk at once
WORKERS = 2
ROUNDS = 10_000  # of the bootstrap
Ledger = dict[str, Any]


def rebuild(file: Path, mirrors: Path | None, scratch: Path, *, lost: frozenset[str] = frozenset()) -> Ledger:
    """Rebuild what `file` has not counted yet and can be had now; the ledger, which `file` holds, too.

    mirrors: None asks the host. lost: repositories whose mirrors cannot be brought, which count as gone.
    """
    rows = read_table()
    ledger = json.loads(file.read_text()) if file.is_file() else begin(rows, mirrors)
    ledger["repositories"] |= {
        repo: {"rows": len(of), "missing": {"gone": len(of)}}
        for repo, of in by_repository(rows).items()
        if repo in lost and repo in ledger["drawn"]
    }
    while todo := _waiting(rows, ledger, mirrors)[:BATCH]:
        _batch([p for p in rows if p.repo in todo], ledger, mirrors, scratch)
        ledger["summary"] = summarise(ledger)
        file.write_text(json.dumps(ledger, indent=1) + "\n")
    ledger["summary"] = summarise(ledger)
    file.write_text(json.dumps(ledger, indent=1) + "\n")
    return ledger


def by_repository(rows: Sequence[Picture]) -> dict[str, list[Picture]]:
    """Rows by their repository, in alphabetical order."""
    of: dict[str, list[Picture]] = {name: [] for name in sorted({p.repo for p in rows})}
    for picture in rows:
        of[picture.repo].append(picture)
    return of


def begin(rows: Sequence[Picture], mirrors: Path | None) -> Ledger:
    """A ledger of nothing yet: which repositories have mirrors, and which of the others are drawn."""
    of = by_repository(rows)
    names = list(of)
    kept = [name for name in names if mirrors and _has_mirror(mirrors, name)]
    others = [name for name in names if name not in set(kept)]
    drawn = random.Random(SEED).sample(others, min(DRAWN, len(others)))
    table = {"rows": len(rows), "repositories": len(of), "rows_of_kept": sum(len(of[name]) for name in kept)}
    about = {"date": date.today().isoformat(), "from": "mirrors" if mirrors else "GitHub", "table": table}
    return about | {"kept": kept, "drawn": drawn, "runs": [], "repositories": {}}


def waiting_for_mirrors(ledger: Ledger, mirrors: Path | None) -> list[str]:
    """The drawn repositories that are not counted yet, and of which there is no mirror."""
    open_ = [name for name in ledger["drawn"] if name not in ledger["repositories"]]
    return [name for name in open_ if mirrors and not _has_mirror(mirrors, name)]


def _waiting(rows: Sequence[Picture], ledger: Ledger, mirrors: Path | None) -> list[str]:
    named = [*ledger["drawn"], *ledger["kept"]]
    there = {p.repo for p in rows} - set(ledger["repositories"])
    return [name for name in named if name in there and (not mirrors or _has_mirror(mirrors, name))]


def _has_mirror(mirrors: Path, repo: str) -> bool:
    try:
        find_mirror(mirrors, repo)
    except RepositoryGone:
        return False
    return True


def _batch(rows: Sequence[Picture], ledger: Ledger, mirrors: Path | None, scratch: Path) -> None:
    """Collect these rows into a folder that is thrown away, and note what came of each repository."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        table, out = Path(folder) / "table.csv.gz", Path(folder) / "out"
        write_table(rows, table)
        told = ["--mirrors", str(mirrors)] if mirrors else []
        run = timed("data", "collect", "--table", str(table), "--out", str(out), "--workers", str(WORKERS), *told)
        sizes = [p.stat().st_size for p in out.glob("[0-9a-f][0-9a-f]/*")]
        missing: dict[str, Counter[str]] = {}
        for row in csv.DictReader((out / "missing.csv").open(newline="")):
            missing.setdefault(row["repo"], Counter())[row["reason"]] += 1
    of = by_repository(rows)
    about = {"repositories": len(of), "pictures": len(sizes), "megabytes": round(sum(sizes) / 1e6)}
    ledger["runs"].append(about | run.numbers())
    ledger["repositories"] |= {name: {"rows": len(r), "missing": dict(missing.get(name, {}))} for name, r in of.items()}


def summarise(ledger: Ledger) -> dict[str, Any]:
    """The share of rows that were rebuilt: of kept mirrors, of drawn repositories, and of all, with 95 % intervals.

    All is the table as it was when the ledger was begun: repositories that joined it since were not drawn from.
    """
    counted = ledger["repositories"]
    kept, drawn = (_stratum({n: counted[n] for n in ledger[which] if n in counted}) for which in ("kept", "drawn"))
    total, here = ledger["table"]["rows"], ledger["table"]["rows_of_kept"]
    runs = ledger["runs"]
    collect = {name: round(sum(run[name] for run in runs), 1) for name in ("pictures", "seconds", "processor_seconds")}
    summary: dict[str, Any] = {"kept": kept | {"interval": None}, "drawn": drawn, "collect": collect}
    if drawn["rows"] and (kept["rows"] or not here):
        known = here * (kept["share"] or 0.0)  # all were counted, so that only the others have an interval
        shares = [(known + (total - here) * share) / total for share in (drawn["share"], *drawn["interval"])]
        summary |= {"share": round(shares[0], 4), "interval": [round(s, 4) for s in shares[1:]]}
    return summary


def _stratum(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    rows = np.array([about["rows"] for about in found.values()])
    lacking = np.array([sum(about["missing"].values()) for about in found.values()])
    reasons = sum((Counter(about["missing"]) for about in found.values()), Counter[str]())
    whole = int((lacking == 0).sum()) if found else 0
    return {
        "repositories": len(found),
        "whole": whole,
        "rows": int(rows.sum()),
        "missing": dict(reasons.most_common()),
        "share": round(1 - float(lacking.sum()) / float(rows.sum()), 4) if found else None,
        "interval": interval(rows, lacking) if found else None,
    }


def interval(rows: np.ndarray, lacking: np.ndarray) -> tuple[float, float]:
    """95 % interval of the share of rows that are there: a bootstrap over repositories, as one is gone as a whole.

    Where nothing is lacking, which a bootstrap takes for certain, the exact one of repositories stands for it.
    """
    if not lacking.any():
        exact = binomtest(len(rows), len(rows)).proportion_ci()
        return round(float(exact.low), 4), 1.0
    picked = np.random.default_rng(0).integers(0, len(rows), (ROUNDS, len(rows)))
    shares = 1 - lacking[picked].sum(1) / rows[picked].sum(1)
    low, high = np.quantile(shares, (0.025, 0.975))
    return round(float(low), 4), round(float(high), 4)
