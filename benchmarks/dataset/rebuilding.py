"""How much of the table can be rebuilt, how fast, and what is missing why: rebuilt.json, which grows with each run.

All repositories whose mirrors are there are rebuilt, and of the others some that are drawn by a seed. Mirrors of these
may be brought a few at a time, and thrown away once they were counted. Repositories that join the table later are a
stratum of their own, of which some are drawn, too.
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

DRAWN, LATER, SEED = 120, 60, 32  # repositories that are drawn at first, and of those that join later
BATCH = 40  # repositories whose pictures lie on the disk at once
WORKERS = 2
ROUNDS = 10_000  # of the bootstrap
Ledger = dict[str, Any]


def rebuild(file: Path, mirrors: Path | None, scratch: Path, *, lost: frozenset[str] = frozenset()) -> Ledger:
    """Rebuild what `file` has not counted yet and can be had now; the ledger, which `file` holds, too.

    mirrors: None asks the host. lost: repositories whose mirrors cannot be brought, which count as gone.
    """
    rows = read_table()
    ledger = grow(json.loads(file.read_text()) if file.is_file() else begin(rows, mirrors), rows)
    ledger["repositories"] |= {
        repo: {"rows": len(of), "missing": {"gone": len(of)}}
        for repo, of in by_repository(rows).items()
        if repo in lost and repo in _drawn(ledger)
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
    kept = [name for name in of if mirrors and _has_mirror(mirrors, name)]
    others = {name: r for name, r in of.items() if name not in set(kept)}
    about = {"from": "mirrors" if mirrors else "GitHub", "rows_of_kept": sum(len(of[name]) for name in kept)}
    strata = [stratum(others, DRAWN)] if others else []
    return about | {"kept": kept, "strata": strata, "runs": [], "repositories": {}}


def grow(ledger: Ledger, rows: Sequence[Picture]) -> Ledger:
    """The ledger with a stratum of the repositories that joined the table since, if any did."""
    known = {*ledger["kept"], *(name for part in ledger["strata"] for name in part["repositories"])}
    joined = {name: of for name, of in by_repository(rows).items() if name not in known}
    return ledger | {"strata": ledger["strata"] + ([stratum(joined, LATER)] if joined else [])}


def stratum(of: dict[str, list[Picture]], number: int) -> dict[str, Any]:
    """Repositories, how many rows they have, and which of them are drawn."""
    names = list(of)
    drawn = random.Random(SEED).sample(names, min(number, len(names)))
    total = sum(len(rows) for rows in of.values())
    return {"date": date.today().isoformat(), "rows": total, "drawn": drawn, "repositories": names}


def waiting_for_mirrors(ledger: Ledger, mirrors: Path | None) -> list[str]:
    """The drawn repositories that are not counted yet, and of which there is no mirror."""
    open_ = [name for name in _drawn(ledger) if name not in ledger["repositories"]]
    return [name for name in open_ if mirrors and not _has_mirror(mirrors, name)]


def _drawn(ledger: Ledger) -> list[str]:
    return [name for part in ledger["strata"] for name in part["drawn"]]


def _waiting(rows: Sequence[Picture], ledger: Ledger, mirrors: Path | None) -> list[str]:
    named = [*_drawn(ledger), *ledger["kept"]]
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

    All is what has been counted as it was to be: a stratum whose drawn ones still wait is left out of it. Its interval
    adds the ends of the strata's, each at such a level that all of them hold together in 95 %.
    """
    counted = ledger["repositories"]
    kept = _counted({name: counted[name] for name in ledger["kept"] if name in counted})
    found = [_counted({name: counted[name] for name in part["drawn"] if name in counted}) for part in ledger["strata"]]
    runs = ledger["runs"]
    collect = {name: round(sum(run[name] for run in runs), 1) for name in ("pictures", "seconds", "processor_seconds")}
    summary: dict[str, Any] = {"kept": kept | {"interval": None}, "drawn": found, "collect": collect}
    whole = [part for part in ledger["strata"] if set(part["drawn"]) <= set(counted)]
    if whole and (kept["rows"] or not ledger["rows_of_kept"]):
        summary |= _all(ledger, kept, whole)
    return summary


def _all(ledger: Ledger, kept: dict[str, Any], strata: Sequence[dict[str, Any]]) -> dict[str, Any]:
    counted, here = ledger["repositories"], ledger["rows_of_kept"]
    total = here + sum(part["rows"] for part in strata)
    shares = np.full(3, here * (kept["share"] or 0.0))  # the share and the ends of its interval; kept ones have none
    for part in strata:
        rows, lacking = _rows({name: counted[name] for name in part["drawn"]})
        every = len(part["drawn"]) == len(part["repositories"])
        share = 1 - lacking.sum() / rows.sum()
        ends = (share, share) if every else interval(rows, lacking, level=1 - 0.05 / len(strata))
        shares += part["rows"] * np.array([share, *ends])
    share, low, high = (round(float(s) / total, 4) for s in shares)
    repositories = len(ledger["kept"]) + sum(len(part["repositories"]) for part in strata)
    about = {"date": strata[-1]["date"], "rows": total, "repositories": repositories}
    return about | {"share": share, "interval": [low, high]}


def _counted(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    rows, lacking = _rows(found)
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


def _rows(found: dict[str, dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Of each repository, its rows and how many of them are missing."""
    rows = np.array([about["rows"] for about in found.values()])
    return rows, np.array([sum(about["missing"].values()) for about in found.values()])


def interval(rows: np.ndarray, lacking: np.ndarray, *, level: float = 0.95) -> tuple[float, float]:
    """Interval of the share of rows that are there: a bootstrap over repositories, as one is gone as a whole.

    Where nothing is lacking, which a bootstrap takes for certain, the exact one of repositories stands for it.
    """
    if not lacking.any():
        exact = binomtest(len(rows), len(rows)).proportion_ci(level)
        return round(float(exact.low), 4), 1.0
    picked = np.random.default_rng(0).integers(0, len(rows), (ROUNDS, len(rows)))
    shares = 1 - lacking[picked].sum(1) / rows[picked].sum(1)
    low, high = np.quantile(shares, ((1 - level) / 2, (1 + level) / 2))
    return round(float(low), 4), round(float(high), 4)
