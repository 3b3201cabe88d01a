"""What a run found, in numbers: on the terminal and as a page."""

from collections import Counter
from html import escape
from posixpath import dirname

from causalclip.archive.parts import Parts

FOLDERS = 50  # in the page, the largest first


def counts(parts: Parts) -> dict[str, Counter[str]]:
    """Pictures by answer, by folder and by error."""
    found: dict[str, Counter[str]] = {"answer": Counter(), "folder": Counter(), "error": Counter()}
    for table in parts.tables(["path", "answer", "error"]):
        for row in table.to_pylist():
            found["answer"][row["answer"] or "Not judged"] += 1
            found["folder"][dirname(row["path"]) or "."] += 1
            if row["error"]:
                found["error"][row["error"]] += 1
    return found


def as_text(found: dict[str, Counter[str]], *, stability: bool) -> str:
    """A few lines for the terminal."""
    lines = [f"{found['answer'].total():,} pictures"]
    lines += [f"  {n:,} {name}" for name, n in found["answer"].most_common()]
    lines += [f"  {n:,} x {name}" for name, n in found["error"].most_common(5)]
    return "\n".join([*lines, _said(stability)])


def as_page(found: dict[str, Counter[str]], *, source: str, stability: bool) -> str:
    """The same as HTML that needs nothing beside it."""
    titles = {"answer": "By answer", "folder": "By folder", "error": "Not judged because"}
    tables = "".join(_table(title, found[name]) for name, title in titles.items() if found[name])
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>CausalCLIP: an archive</title>'
        "<style>body{font:16px/1.5 system-ui;margin:2rem;max-width:60rem}td:last-child{text-align:right}"
        "td,th{padding:.2rem 1rem .2rem 0;text-align:left}</style>"
        f"<h1>{found['answer'].total():,} pictures of {escape(source)}</h1><p>{_said(stability)}</p>{tables}</html>\n"
    )


def _table(title: str, counter: Counter[str]) -> str:
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{n:,}</td></tr>" for name, n in counter.most_common(FOLDERS))
    more = f"<p>And {len(counter) - FOLDERS:,} more.</p>" if len(counter) > FOLDERS else ""
    return f"<h2>{title}</h2><table>{rows}</table>{more}"


def _said(stability: bool) -> str:
    if stability:
        return "An answer that does not survive re-encoding is inconclusive."
    return "Whether answers survive re-encoding was not checked (--stability)."
