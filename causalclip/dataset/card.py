"""The counts of the data card, written from the table: nothing there is typed by hand."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from causalclip.dataset.generators import count_newest
from causalclip.dataset.selection import has_clear_licence
from causalclip.dataset.sites import KINDS, Site
from causalclip.dataset.table import HARD, REAL_BY, SPLITS, Picture

START, END = "<!-- counted: written by `python -m causalclip data card` -->", "<!-- end of the counted part -->"
_KINDS = {
    "both": "real and generated pictures",
    "real": "real pictures only",
    "generated": "generated pictures only",
    "edits": "pictures and their edited versions",
    "kinds": "mostly no photographs: drawings, screenshots, charts and so on",
}
_GENERATORS = 20  # the commonest, by pictures


def fill(text: str, pictures: Sequence[Picture], sites: Sequence[Site]) -> str:
    """The card's text with its counted part as the tables say. Raises ValueError where the card has no such part."""
    before, _, rest = text.partition(START)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"The card needs the lines {START} and {END}.")
    return f"{before}{START}\n\n{count(pictures, sites)}\n\n{END}{after}"


def count(pictures: Sequence[Picture], sites: Sequence[Site]) -> str:
    """Tables in Markdown: by set and split, by kind of owner, and what else the card must say in numbers."""
    repos = len({p.repo for p in pictures})
    parts = (
        f"{len(pictures):,} pictures of {len(sites):,} owners, in {repos:,} repositories.",
        _sets(pictures),
        _owners(sites),
        _numbers("Known to be real by", [p for p in pictures if p.label == "real"], lambda p: p.real_by, REAL_BY),
        _numbers("Kind of picture", pictures, lambda p: p.kind),
        _numbers("Real, and looks generated", pictures, lambda p: p.hard, HARD),
        _pairs(pictures),
        _generators(pictures),
        _newest(pictures),
        _licences(pictures),
    )
    return "\n\n".join(filter(None, parts))


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _sets(pictures: Iterable[Picture]) -> str:
    of: dict[tuple[str, str], list[Picture]] = defaultdict(list)
    for p in pictures:
        of[p.set, p.split].append(p)
    rows = []
    for name, split in sorted(of, key=lambda key: (key[0], SPLITS.index(key[1]))):
        labels = Counter(p.label for p in of[name, split])
        owners = len({p.owner for p in of[name, split]})
        rows.append([f"`{name}`", split, owners, labels["real"], labels["fake"]])
    return _table(["set", "split", "owners", "real", "generated"], rows)


def _owners(sites: Iterable[Site]) -> str:
    of = Counter((s.kind, s.split) for s in sites)
    splits = sorted({split for _, split in of}, key=lambda s: (s != "train", s))
    rows = [[_KINDS[kind], *(of[kind, split] for split in splits)] for kind in KINDS]
    return _table(["owners of", *splits], rows)


def _numbers(title: str, pictures: Iterable[Picture], of: Callable[[Picture], str], order: Sequence[str] = ()) -> str:
    rows = [(of(p), p) for p in pictures if of(p)]
    if not rows:
        return ""
    names = Counter(name for name, _ in rows)
    ordered = [n for n in order if n in names] or sorted(names, key=lambda n: (-names[n], n))
    owners = {name: len({p.owner for n, p in rows if n == name}) for name in ordered}
    return _table([title, "pictures", "owners"], [[f"`{n}`", names[n], owners[n]] for n in ordered])


def _pairs(pictures: Sequence[Picture]) -> str:
    of: dict[str, list[Picture]] = defaultdict(list)
    for p in pictures:
        if p.pair:
            of[p.pair].append(p)
    whole = [rows for rows in of.values() if {p.label for p in rows} == {"real", "fake"}]
    edits = Counter(p.pasted or "not known" for p in pictures if p.set.startswith("edits") and p.label == "fake")
    owners = len({p.owner for rows in whole for p in rows})
    return (
        f"{len(whole):,} photographs of {owners:,} owners stand beside edited versions of them. "
        f"The rest of an edited picture kept its own pixels in {edits['yes']:,}, was made anew in {edits['no']:,}, "
        f"and that is not known of {edits['not known']:,}."
    )


def _generators(pictures: Iterable[Picture]) -> str:
    of: dict[str, list[str]] = defaultdict(list)
    for p in pictures:
        if p.generator:
            of[p.generator].append(p.owner)
    common = sorted(of, key=lambda name: (-len(of[name]), name))[:_GENERATORS]
    named = f"Generators are named in {len(of):,} ways. Those of most pictures:"
    rows = [[name, len(of[name]), len(set(of[name]))] for name in common]
    return f"{named}\n\n{_table(['generator', 'pictures', 'owners'], rows)}"


def _newest(pictures: Iterable[Picture]) -> str:
    rows = [
        [name, *(f"{n:,} ({owners})" if n else "0" for n, owners in splits.values())]
        for name, splits in count_newest(pictures).items()
    ]
    told = "Pictures of the newest generators, with their owners, where the table names one alone:"
    return f"{told}\n\n{_table(['generator', *SPLITS], rows)}"


def _licences(pictures: Sequence[Picture]) -> str:
    clear = sum(has_clear_licence(p.licence) for p in pictures)
    unstated = sum(p.licence.startswith("none stated") for p in pictures)
    return (
        f"{clear:,} pictures have a licence that lets anybody use them, of {unstated:,} no licence is stated, "
        f"and the other {len(pictures) - clear - unstated:,} have licences with conditions, or unclear ones."
    )
