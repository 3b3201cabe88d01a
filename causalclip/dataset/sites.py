"""The table of owners: what each one's pictures are, what they show, and why their labels are believed."""

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from causalclip.dataset.table import BadTable, Picture, by_owner

SITES = Path("data/sites.csv")
KINDS = ("both", "real", "generated", "edits", "kinds")
_EXAMPLES = 2  # of evidence, the commonest
_NAMED = 8  # generators, the commonest


@dataclass(frozen=True, slots=True)
class Site:
    """An owner of pictures.

    kind: both (classes), real, generated, edits (pairs), or kinds (of pictures that are no photographs). classes: how
    many of each. shown: what is shown, in words of who looked; empty where nobody wrote it down. evidence: the
    commonest in its rows. split: the one of all its pictures, or "test+aside" where it has pictures that are not used.
    """

    owner: str
    kind: str
    classes: str
    shown: str
    generators: str
    evidence: str
    remarks: str
    split: str


COLUMNS = tuple(f.name for f in fields(Site))


def kind_of(pictures: Iterable[Picture]) -> str:
    """What an owner's pictures are, as one word of KINDS."""
    rows = list(pictures)
    if any(p.pair for p in rows):
        return "edits"
    if sum(p.kind != "photo" for p in rows) * 2 > len(rows):
        return "kinds"
    labels = {p.label for p in rows}
    return "both" if len(labels) == 2 else "real" if labels == {"real"} else "generated"


def describe(pictures: Iterable[Picture], known: Iterable[Site] = ()) -> list[Site]:
    """A row an owner: counted from the pictures, `shown` and `remarks` as they were known."""
    words = {site.owner: site for site in known}
    sites = []
    for owner, rows in by_owner(pictures):
        labels = Counter(p.label for p in rows)
        generators = Counter(p.generator for p in rows if p.generator)
        evidence = Counter(p.evidence for p in rows)
        before = words.get(owner)
        sites.append(
            Site(
                owner=owner,
                kind=kind_of(rows),
                classes=", ".join(f"{labels[name]} {name}" for name in ("real", "fake") if labels[name]),
                shown=before.shown if before else "",
                generators=_listed(_commonest(generators)),
                evidence=" / ".join(_commonest(evidence)[:_EXAMPLES]),
                remarks=before.remarks if before else "",
                split="+".join(sorted({p.split for p in rows}, reverse=True)),
            )
        )
    return sites


def _commonest(texts: Counter[str]) -> list[str]:
    return sorted(texts, key=lambda text: (-texts[text], text))


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return "; ".join(names[:_NAMED] + ([f"and {more} more"] if more > 0 else []))


def read_sites(path: str | Path = SITES) -> list[Site]:
    """The rows of a table of owners; raises BadTable where it is none."""
    try:
        text = Path(path).read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        raise BadTable(f"{path} cannot be read as a CSV table in UTF-8.") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise BadTable(f"{path} needs the columns {', '.join(COLUMNS)}, in this order.")
    rows = list(reader)
    if any(None in row or None in row.values() for row in rows):
        raise BadTable(f"A row of {path} has not as many fields as there are columns.")
    return [Site(**row) for row in rows]


def write_sites(sites: Iterable[Site], path: str | Path = SITES) -> None:
    """Write the rows in alphabetical order of their owners."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(site) for site in sorted(sites, key=lambda s: s.owner))
    Path(path).write_bytes(text.getvalue().encode())
