"""What a run found, counted from its rows: on the terminal, as a page, and in groups of near-equal
pictures."""

from collections import Counter
from html import escape
from posixpath import dirname

import numpy as np
import pyarrow as pa

from causalclip.archive.output import RunFolder
from causalclip.images.hashes import as_bits, group_near
from causalclip.languages import N_, _, current, is_rtl, ngettext, number

NOT_JUDGED = N_("Not judged")
FOLDERS = 50  # in the page, the largest first
NEAR_BITS = 6  # bits of 64 in which hashes of copies of one picture may differ


def counts(kept: RunFolder) -> dict[str, Counter[str]]:
    """Pictures by answer, by folder and by error."""
    found: dict[str, Counter[str]] = {"answer": Counter(), "folder": Counter(), "error": Counter()}
    for row in kept.rows("path", "answer", "error"):
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
    return "\n".join([*lines, _checked(stability)])


def as_page(found: dict[str, Counter[str]], *, source: str, stability: bool) -> str:
    """The same as HTML that needs nothing beside it."""
    titles = {"answer": _("By answer"), "folder": _("By folder"), "error": _("Not judged because")}
    tables = "".join(
        _table(title, found[name], translated=name == "answer") for name, title in titles.items()
    )
    total = ngettext("{n} picture", "{n} pictures", found["answer"].total())
    return (
        f'<!doctype html><html lang="{current()}" dir="{"rtl" if is_rtl() else "ltr"}"><meta '
        'charset="utf-8">'
        f"<title>{_('CausalCLIP: an archive')}</title>"
        "<style>body{font:16px/1.5 "
        "system-ui;margin:2rem;max-width:60rem}td:last-child{text-align:end}"
        "td,th{padding:.2rem 0;padding-inline-end:1rem;text-align:start}</style>"
        f"<h1>{total}: "
        f"<bdi>{escape(source)}</bdi></h1><p>{_checked(stability)}</p>{tables}</html>\n"
    )


def _table(title: str, counter: Counter[str], *, translated: bool) -> str:
    if not counter:
        return ""
    rows = "".join(
        f"<tr><td><bdi>{escape(_(name) if translated else name)}</bdi></td><td>{number(n)}</td></tr>"  # noqa: E501
        for name, n in counter.most_common(FOLDERS)
    )
    more = (
        f"<p>{_('And {n} more.', n=number(len(counter) - FOLDERS))}</p>"
        if len(counter) > FOLDERS
        else ""
    )
    return f"<h2>{title}</h2><table>{rows}</table>{more}"


def _checked(stability: bool) -> str:
    if stability:
        return _(
            "Where mild re-encoding takes the score across the middle, the answer is inconclusive."
        )
    return _(
        "Whether answers survive re-encoding was not checked ({option}).", option="--stability"
    )


def near_equal(paths: list[str], hashes: list[str]) -> pa.Table:
    """path, perceptual_hash and group of every picture that has a near-equal one; groups are
    numbered from 0.

    Pictures are in one group where a chain of near-equal hashes joins them.
    """
    label = group_near(as_bits(hashes), bits=NEAR_BITS)
    kept = np.flatnonzero(np.bincount(label)[label] > 1)
    group = np.unique(label[kept], return_inverse=True)[1]
    order = np.argsort(group, kind="stable")
    return pa.table(
        {
            "group": pa.array(group[order], pa.int64()),
            "path": [paths[i] for i in kept[order]],
            "perceptual_hash": [hashes[i] for i in kept[order]],
        }
    )
