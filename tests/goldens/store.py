"""The goldens as they are kept: every distinct line of all pages once, and each page as a list of
lines.

A change of one sentence is one line in the diff of lines.txt, however many pages have it.
"""

import hashlib
import re
from base64 import b32encode
from collections import Counter
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from pathlib import Path

from tests.goldens.pages import Pages

FOLDER = Path(__file__).parent
LINES, PAGES = FOLDER / "lines.txt", FOLDER / "pages.txt"
DECIMAL = re.compile(r"\d+[.,٫]\d+")


def read() -> Pages:
    """The pages as they are kept."""
    lines = dict(
        line.split(" ", 1) for line in LINES.read_text(encoding="utf-8").splitlines() if line
    )
    pages = (page.split(" | ") for page in PAGES.read_text(encoding="utf-8").splitlines())
    return {name: [lines[key] for key in keys.split()] for name, keys in pages}


def write(pages: Pages) -> None:
    """Keep these pages in place of all others."""
    texts = {line for page in pages.values() for line in page}
    lines = {_key(line): line for line in texts}
    assert len(lines) == len(texts), "Two lines have the same key: take a longer one."
    by_text = sorted(lines.items(), key=lambda item: (item[1], item[0]))
    LINES.write_text("".join(f"{key} {line}\n" for key, line in by_text), encoding="utf-8")
    text = "".join(f"{name} | {' '.join(map(_key, page))}\n" for name, page in pages.items())
    PAGES.write_text(text, encoding="utf-8")


def _key(line: str) -> str:
    return b32encode(hashlib.sha256(line.encode()).digest())[:6].decode().lower()


def differences(before: Pages, after: Pages) -> list[str]:
    """What changed, each line once with how many pages it is in: "- old (12)", "+ new (12)"."""
    counts: Counter[str] = Counter()
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in before or name not in after:
            counts[f"{'-' if name in before else '+'} the page {name}"] += 1
        else:
            counts.update(_changes(before[name], after[name]))
    return [f"{change} ({count})" for change, count in counts.items()]


def as_kept(before: list[str], after: list[str]) -> Iterator[str]:
    """The lines of a new page, each as it is kept where only the last place of a number differs."""
    for old, new in _aligned(before, after):
        if len(old) == len(new):
            yield from (a if _near(a, b) else b for a, b in zip(old, new, strict=True))
        else:
            yield from new


def _changes(before: list[str], after: list[str]) -> Iterator[str]:
    for old, new in _aligned(before, after):
        if len(old) == len(new):
            pairs = [pair for pair in zip(old, new, strict=True) if not _near(*pair)]
            old, new = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        yield from (f"- {line}" for line in old)
        yield from (f"+ {line}" for line in new)


def _aligned(before: list[str], after: list[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Parts of two pages that stand for each other, compared without their decimals."""
    a, b = ([DECIMAL.sub("#", line) for line in page] for page in (before, after))
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    for _what, i0, i1, j0, j1 in matcher.get_opcodes():
        yield before[i0:i1], after[j0:j1]


def _near(a: str, b: str) -> bool:
    """Whether all decimals of two lines differ by one in the last place at most, as two processors
    round."""
    if DECIMAL.sub("#", a) != DECIMAL.sub("#", b):
        return False
    pairs = zip(DECIMAL.findall(a), DECIMAL.findall(b), strict=True)
    return all(abs(_units(x) - _units(y)) <= 1 for x, y in pairs)


def _units(decimal: str) -> int:
    return int("".join(character for character in decimal if character.isdigit()))


def report(changes: Iterable[str], *, most: int = 80) -> str:
    """The changes as a text, as many as one can read."""
    changes = list(changes)
    more = [f"... and {len(changes) - most} more"] if len(changes) > most else []
    return "\n".join([*changes[:most], *more])
