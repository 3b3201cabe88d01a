"""Writes what was measured into docs/measured.md, the README and both heads' cards: `python -m
benchmarks pages`.

No number there is typed by hand; a test holds the pages to the JSON files.
"""

import json
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, read
from benchmarks.sections import SECTIONS, answers, headline
from benchmarks.tables import Section, Told, markdown, named, ordered, tabulate
from causalclip.paths import DEFAULT_HEAD, HEADS
from purifier.attacks import ATTACKS
from purifier.attacks.goals import OBJECTIVES

log = logging.getLogger(__name__)

NOT_MEASURED = "Not measured yet: this benchmark has not been run for this model."
OTHER_VERSION = "This file was written by another version of the benchmark. Run it again."
START, END = (
    "<!-- measured: written by `python -m benchmarks pages` -->",
    "<!-- end of the measured part -->",
)


def write_all() -> None:
    for page in PAGES:
        page.write_text(filled(page), encoding="utf-8")


def filled(page: Path) -> str:
    """A page with its measured part as the files say."""
    before, rest = page.read_text(encoding="utf-8").split(START)
    return f"{before}{START}\n\n{PAGES[page]()}\n\n{END}{rest.split(END)[1]}"


def measured() -> str:
    """Every section, in docs/measured.md, whose intro says of which detector the numbers are where
    one names none."""
    own = ", {model} {revision}".format(**read("detection"))
    entries = [
        (s.title, _as_markdown(s.told), s.about.removeprefix("benchmarks/").removesuffix(own))
        for s in sections()
    ]
    return "\n\n".join(
        f"## {title}\n\n{content}\n\n{about}".rstrip() for title, content, about in entries
    )


def card(head: str) -> str:
    """The headline, and how often answers are wrong, in a head's card; of the default one by
    `detection`."""

    def report(name: str) -> Any:
        return read("heads")[head] if name == "detection" and head != DEFAULT_HEAD else read(name)

    return "\n\n".join([*map(markdown, headline(report).tables), answers(report).words])


def front() -> str:
    """The small table of the README: by set, how often an answer is right and how often wrong."""
    test, maps, speed = read("detection"), read("splices"), read("latency")[0]["rows"]
    bands = {
        "real called likely generated": "{bands[likely generated][real]:%}",
        "generated called likely generated": "{bands[likely generated][generated]:%}",
        "generated called likely not generated": "{bands[likely not generated][generated]:%}",
        "inconclusive: real, generated": "{bands[inconclusive][real]:%}, "
        "{bands[inconclusive][generated]:%}",
    }
    columns = {"pictures": "{pictures:,}", "AUC (95 %)": "{auc:.3f} ({auc_interval:ci})"} | bands
    table = tabulate("test set", {named(s): test[s] for s in ordered(test["sets"])}, columns)
    blob = maps["auc"]["bright in the middle, whatever is there"]["mean"]
    return (
        f"{markdown(table)}\n"
        "\n"
        f"A picture that is no photograph gets no answer. On {maps['splices']} pasted parts the "
        f"map has an AUC of {maps['auc']['causal']['mean']:.2f}; a blob that is always in the "
        f"middle has {blob:.2f}, so do not read the map as a locator. A detection with its map "
        f"takes {speed['as it is']['warm']:.2f} s on two cores: {speed['as it is']['cpu']:.1f} "
        f"processor seconds, {speed['AVX2']['cpu']:.1f} held to AVX2. "
        "[All numbers](docs/measured.md).\n"
        f"\n{_of_marks()}"
    )


def _of_marks() -> str:
    report = read("marks")
    rows = [row for row in report["marks"] if row["part"] != "built on"]
    count, headlines = (sum(row[name] for row in rows) for name in ("seen", "headlined"))
    real = report["real pictures"]
    return (
        f"Of {count} files with a mark whose owners the readers had never met, {headlines} get it "
        f"as their headline. Of {real['searched']:,} real pictures, {len(real['marked'])} are "
        "found to bear a visible or invisible mark, by mistake ([by mark](docs/measured.md))."
    )


def sections(folder: Path | None = None) -> list[Section]:
    """Every section. One whose file is not there, or has another form, says so and costs no other
    section."""

    def of(name: str) -> Any:
        return json.loads(
            ((folder or ROOT / "benchmarks") / f"{name}.json").read_text(encoding="utf-8")
        )

    every = []
    for title, name, make in SECTIONS:
        content, about = Told(NOT_MEASURED), ""
        try:
            content, about = make(of), _about(of(name), name)
        except FileNotFoundError:
            pass
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            log.warning("benchmarks/%s.json could not be drawn: %s", name, type(error).__name__)
            content = Told(OTHER_VERSION)
        every.append(Section(title, content, about))
    return every


def _about(report: Any, name: str) -> str:
    report = report[0] if isinstance(report, list) else report
    model = ""
    if {"model", "revision"} <= report.keys():
        model = f", {report['model']} {report['revision']}"
    return f"benchmarks/{name}.json, {report.get('date', 'date not recorded')}{model}"


def _as_markdown(content: Told) -> str:
    return "\n\n".join([content.words, *map(markdown, content.tables)])


def attacks() -> str:
    """The attacks and objectives that a user can name, in docs/using.md."""
    rows = {}
    for name, attacker in ATTACKS.items():
        rows[f"`{name}`"] = {
            "norms": ", ".join(attacker.norms),
            "steps": attacker.default_steps,
            "what": attacker.summary,
        }
    columns = {"norms": "{norms}", "steps": "{steps}", "what it does": "{what}"}
    names = ", ".join(f"`{name}`" for name in OBJECTIVES)
    return f"{markdown(tabulate('attack', rows, columns))}\n\n`--objective` is one of {names}."


PAGES: dict[Path, Callable[[], str]] = {
    ROOT / "README.md": front,
    ROOT / "docs" / "measured.md": measured,
    ROOT / "docs" / "using.md": attacks,
} | {
    ROOT / "assets" / "models" / name / "README.md": partial(card, head)
    for head, name in HEADS.items()
}
