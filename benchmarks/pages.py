"""Writes what was measured into docs/measured.md, the README and both heads' cards: `python -m
benchmarks pages`.

README and cards show assets/measured.json, which is gathered first; docs/measured.md shows more, of
the benchmarks' reports. No number there is typed by hand; a test holds the pages to the files.
"""

import json
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import gathering
from benchmarks.common import ROOT, read
from benchmarks.sections import SECTIONS, answer_shares, ranking
from benchmarks.tables import SETS, Section, Told, bounded, markdown, named, tabulate
from causalclip.examination.answer import Origin
from causalclip.measured import measured
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
    """Gather the numbers that are shown, then write every page."""
    gathering.write(gathering.gather(read))
    measured.cache_clear()
    for page in PAGES:
        page.write_text(filled(page), encoding="utf-8")


def filled(page: Path) -> str:
    """A page with its measured part as the files say."""
    before, rest = page.read_text(encoding="utf-8").split(START)
    return f"{before}{START}\n\n{PAGES[page]()}\n\n{END}{rest.split(END)[1]}"


def details() -> str:
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
    """The headline, and how often answers are wrong, in a head's card."""
    numbers = measured()
    return "\n\n".join(
        [*map(markdown, ranking(numbers, head).tables), answer_shares(numbers, head).words]
    )


def front() -> str:
    """The small table of the README: by set, how often an answer is right and how often wrong."""
    # 1. The table
    numbers = measured()
    rows = {}
    for name in SETS:
        id = f"detection.{DEFAULT_HEAD}.{name}"
        auc, few = numbers[f"{id}.auc"], numbers[f"{id}.tpr-at-1-fpr"]
        accusing, clearing, unsure, unanswered = (
            numbers.below(f"{id}.{answer.value}")
            for answer in (
                Origin.LIKELY_GENERATED,
                Origin.LIKELY_NOT_GENERATED,
                Origin.INCONCLUSIVE,
                Origin.NO_ANSWER,
            )
        )
        rows[named(name)] = {
            "pictures": auc.n,
            "auc": bounded(auc),
            "few": bounded(few),
            "accused": accusing["real"].value,
            "called": accusing["generated"].value,
            "missed": clearing["generated"].value,
            "real_unsure": unsure["real"].value,
            "generated_unsure": unsure["generated"].value,
            "real_unanswered": unanswered["real"].value,
            "generated_unanswered": unanswered["generated"].value,
        }
    columns = {
        "pictures": "{pictures:,}",
        "AUC (95 %)": "{auc}",
        "found at 1 % false alarms (95 %)": "{few}",
        "real called likely generated": "{accused:%}",
        "generated called likely generated": "{called:%}",
        "generated called likely not generated": "{missed:%}",
        "inconclusive: real, generated": "{real_unsure:%}, {generated_unsure:%}",
        "no answer: real, generated": "{real_unanswered:%}, {generated_unanswered:%}",
    }

    # 2. The map, the time, the marks
    own, blob = numbers["maps.pasted.causal.auc"], numbers["maps.pasted.middle.auc"]
    return (
        f"{markdown(tabulate('test set', rows, columns))}\n"
        "\n"
        f"A picture that is no photograph gets no answer. On {own.n} pasted parts the "
        f"map has an AUC of {own.value:.2f}; a blob that is always in the "
        f"middle has {blob.value:.2f}, so do not read the map as a locator. A detection with its "
        f"map takes {numbers['latency.warm'].value:.2f} s on two cores: "
        f"{numbers['latency.processor'].value:.1f} processor seconds, or "
        f"{numbers['latency.avx2.processor'].value:.1f} where the processor has no more than AVX2. "
        "[All numbers](docs/measured.md).\n"
        f"\n{_of_marks()}\n"
        f"\n{_of_forwarded()}"
    )


def _of_forwarded() -> str:
    """Return how often pictures that apps saved are called generated."""
    numbers = measured()
    real, whatsapp = (
        numbers["forwarded.real.all.called"],
        numbers["forwarded.generated.whatsapp.called"],
    )
    return (
        f"Of {real.n} real photographs as WhatsApp, Telegram and Facebook saved them, {real.count} "
        f"are called likely generated; of {whatsapp.n} generated ones saved here as WhatsApp does, "
        f"{whatsapp.count} ([by app](docs/measured.md))."
    )


def _of_marks() -> str:
    found, real = measured()["marks.unseen.headlined"], measured()["marks.real.mistaken"]
    return (
        f"Of {found.n} marked files of owners whose files did not help to build the search for "
        f"marks, {found.count} get their mark as headline. On {real.n:,} real pictures, "
        f"{real.count} visible or invisible marks were found by mistake "
        "([by mark](docs/measured.md); of the European Union's icons, which are newer than that "
        "search, on fewer)."
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
    ROOT / "docs" / "measured.md": details,
    ROOT / "docs" / "using.md": attacks,
} | {
    ROOT / "assets" / "models" / name / "README.md": partial(card, head)
    for head, name in HEADS.items()
}
