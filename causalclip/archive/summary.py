"""What a run found, in numbers: on the terminal and as a page."""

from collections import Counter
from html import escape
from posixpath import dirname

from causalclip.archive.parts import Parts
from causalclip.languages import N_, _, current, is_rtl, ngettext, number

NOT_JUDGED = N_("Not judged")
FOLDERS = 50  # in the page, the largest first


def counts(parts: Parts) -> dict[str, Counter[str]]:
    """Pictures by answer, by folder and by error."""
    found: dict[str, Counter[str]] = {"answer": Counter(), "folder": Counter(), "error": Counter()}
    for table in parts.tables(["path", "answer", "error"]):
        for row in table.to_pylist():
            found["answer"][row["answer"] or NOT_JUDGED] += 1
            found["folder"][dirname(row["path"]) or "."] += 1
            if row["error"]:
                found["error"][row["error"]] += 1
    return found


def as_text(found: dict[str, Counter[str]], *, stability: bool) -> str:
    """A few lines for the terminal."""
    lines = [ngettext("{n} picture", "{n} pictures", found["answer"].total())]
    lines += [f"  {number(n)} {_(name)}" for name, n in found["answer"].most_common()]
    lines += [f"  {number(n)} x {name}" for name, n in found["error"].most_common(5)]
    return "\n".join([*lines, _said(stability)])


def as_page(found: dict[str, Counter[str]], *, source: str, stability: bool) -> str:
    """The same as HTML that needs nothing beside it."""
    titles = {"answer": _("By answer"), "folder": _("By folder"), "error": _("Not judged because")}
    tables = "".join(_table(title, found[name], said=name == "answer") for name, title in titles.items() if found[name])
    total = ngettext("{n} picture", "{n} pictures", found["answer"].total())
    return (
        f'<!doctype html><html lang="{current()}" dir="{"rtl" if is_rtl() else "ltr"}"><meta charset="utf-8">'
        f"<title>{_('CausalCLIP: an archive')}</title>"
        "<style>body{font:16px/1.5 system-ui;margin:2rem;max-width:60rem}td:last-child{text-align:end}"
        "td,th{padding:.2rem 0;padding-inline-end:1rem;text-align:start}</style>"
        f"<h1>{total}: <bdi>{escape(source)}</bdi></h1><p>{_said(stability)}</p>{tables}</html>\n"
    )


def _table(title: str, counter: Counter[str], *, said: bool) -> str:
    """said: whether the names are answers, which are told in the reader's language."""
    rows = "".join(
        f"<tr><td><bdi>{escape(_(name) if said else name)}</bdi></td><td>{number(n)}</td></tr>"
        for name, n in counter.most_common(FOLDERS)
    )
    more = f"<p>{_('And {n} more.', n=number(len(counter) - FOLDERS))}</p>" if len(counter) > FOLDERS else ""
    return f"<h2>{title}</h2><table>{rows}</table>{more}"


def _said(stability: bool) -> str:
    if stability:
        return _("An answer that does not survive re-encoding is inconclusive.")
    return _("Whether answers survive re-encoding was not checked ({option}).", option="--stability")
