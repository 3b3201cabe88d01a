"""What is in the tables, counted for the data card."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from training.dataset.rules import has_clear_licence
from training.dataset.table import REAL_BY, SPLITS, Picture, Site

START, END = (
    "<!-- counted: written by `python -m training data card` -->",
    "<!-- end of the counted part -->",
)


def fill(text: str, pictures: Sequence[Picture], sites: Sequence[Site]) -> str:
    """The card's text with its counted part as the tables say. Raises ValueError where the card has
    no such part."""
    before, _, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"The card needs the lines {START} and {END}.")
    return f"{before}{START}\n\n{count(pictures, sites)}\n\n{END}{after}"


def count(pictures: Sequence[Picture], sites: Sequence[Site]) -> str:
    """Return what the card must say in numbers, as Markdown: by set and split, by kind of owner,
    and the rest."""
    # 1. A row of each set and split
    groups: dict[tuple[int, str, str], list[Picture]] = defaultdict(list)
    for p in pictures:
        groups[SPLITS.index(p.split), p.split, p.set].append(p)
    rows = []
    for (_order, split, name), group in sorted(
        groups.items(), key=lambda item: (item[0][2], item[0][0])
    ):
        labels = Counter(p.label for p in group)
        rows.append(
            [f"`{name}`", split, len({p.owner for p in group}), labels["real"], labels["fake"]]
        )

    # 2. The numbers of the sentences
    kinds = Counter(site.kind for site in sites)
    pairs: dict[str, set[str]] = defaultdict(set)
    for p in pictures:
        pairs[p.pair].add(p.label)
    whole = sum(labels == {"real", "fake"} for name, labels in pairs.items() if name)
    clear = sum(has_clear_licence(p.licence) for p in pictures)
    unlicensed = sum(p.licence.startswith("none stated") for p in pictures)
    others = len(pictures) - clear - unlicensed
    generators = len({p.generator for p in pictures if p.generator})
    repos = len({p.repo for p in pictures})

    # 3. The Markdown
    return "\n\n".join(
        (
            f"{len(pictures):,} pictures of {len(sites):,} owners, in {repos:,} repositories.",
            _table(["set", "split", "owners", "real", "generated"], rows),
            f"Owners by kind: {_listed(kinds)}. Pictures by kind: "
            f"{_listed(Counter(p.kind for p in pictures))}.",
            "Known to be real by: "
            f"{_listed(Counter(p.real_by for p in pictures if p.real_by), REAL_BY)}.",
            f"{whole:,} photographs stand beside edited versions of them. Generators are named in "
            f"{generators:,} ways.",
            f"{clear:,} pictures have a licence that lets anybody use them, of {unlicensed:,} no "
            f"licence is stated, and the other {others:,} have licences with conditions, or "
            "unclear ones.",
        )
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = [
        [f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in line] for line in lines
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _listed(counts: Counter[str], order: Sequence[str] = ()) -> str:
    names = [name for name in order if name in counts] or [name for name, _ in counts.most_common()]
    return ", ".join(f"{name} {counts[name]:,}" for name in names)
