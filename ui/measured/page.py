"""The page "How good is it?": every section drawn from a JSON file that a benchmark wrote, or a sentence in its place.

No number is typed in here. A section whose file is not there, or has another form, says so and costs no other section.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from causalclip.paths import shipped_folder
from ui.measured import checks, detection, picture, purification, questions

log = logging.getLogger(__name__)

BENCHMARKS = shipped_folder("benchmarks")
INTRO = (
    "<p>Everything here is drawn from files that the benchmarks wrote; each part opens on a click and says when, on "
    "what and with which model it was measured. It holds for pictures like those. Read what is not known, too.</p>"
)
UNKNOWN = (
    "Generators that are newer than the test pictures. Detectors of this kind get worse on what they have not seen.",
    "Pictures by people who set out to fool this detector: no table here has the detector attacked.",
    "Photographs of a screen or of a print.",
    "How often generated pictures reach a newsroom. Scores and shares of wrong answers hold for the mix in the test.",
    "Whether a picture is true. None of these numbers is about what it shows, who made it, or when.",
    "Differences between the sources of real pictures and the world: a camera, a country or a style may be missing.",
)


@dataclass(frozen=True, slots=True)
class Section:
    """file: below the folder of benchmarks. draw: the report -> HTML. needs: a key without which there is nothing to
    draw yet. beside: a file whose report stands in the other one under "beside"."""

    title: str
    file: str
    draw: Callable[[dict[str, Any]], str]
    needs: str = ""
    beside: str = ""


SPLICES, LADDER = "splices.json", "ablation.json"
TEST, ROBUST = "detection.json", "robustness.json"
PURIFIED = "purification.json"
SECTIONS = (
    Section("What it answers", TEST, detection.answers),
    Section("How well the score tells them apart", TEST, detection.ranking),
    Section("Whether the score means what it says", TEST, detection.calibration),
    Section("Source by source", TEST, detection.sources),
    Section("Site by site", TEST, detection.sites),
    Section("What it must not rest on", "controls.json", checks.controls),
    Section("Another detector", "peer.json", checks.peer),
    Section("Re-encoded and resized", ROBUST, checks.delivered),
    Section("Cut to other shapes", ROBUST, checks.shapes, "shapes"),
    Section("Answers that do not survive", ROBUST, checks.overturned),
    Section("Whether the maps are right", SPLICES, checks.maps),
    Section("What each piece of the method adds", LADDER, checks.ladder),
    Section("Weak spots that are recognised", "cautions.json", checks.cautions),
    Section("Purification, attack by attack", PURIFIED, purification.purification),
    Section("The detector on purified pictures", PURIFIED, purification.verdicts, "detector"),
)


CONTROLS, CAUTIONS, EDITS = "controls.json", "cautions.json", "edits.json"
FIRST = Section("Where the test pictures fall on the score", TEST, picture.picture)
QUESTIONS = (
    Section("How often is a photograph accused?", TEST, questions.accused),
    Section("How often is a generated picture found?", TEST, questions.found),
    Section("How often is nothing decided?", TEST, questions.undecided),
    Section("What does a score mean?", TEST, questions.meant, "meant"),
    Section("Which generators does it miss?", TEST, questions.generators),
    Section("Which photographs does it mistake?", TEST, questions.photographs),
    Section("Does it still work after a picture was sent on?", ROBUST, questions.sent),
    Section("Does the map find edits?", SPLICES, questions.edits, beside=EDITS),
    Section("Does it go by the file, the shape or the subject?", CONTROLS, questions.shortcuts, beside=TEST),
    Section("What does it do to drawings and night shots?", CAUTIONS, questions.weak_spots, beside=TEST),
)


def page(folder: Path | None = None) -> str:
    """A picture, ten questions, then all tables folded, as HTML; `folder` holds the benchmarks' files (None: the
    project's)."""
    folder = folder or BENCHMARKS
    asked = "".join(
        f"<section class='cc-question'><h3>{i}. {q.title}</h3>{_drawn(q, folder)}</section>"
        for i, q in enumerate(QUESTIONS, 1)
    )
    unknown = "".join(f"<li>{sentence}</li>" for sentence in UNKNOWN)
    return (
        f"<div class='cc-measured'><h2>{FIRST.title}</h2>{_drawn(FIRST, folder)}"
        f"<h2>Ten questions</h2><div class='cc-questions'>{asked}</div><h2>All tables</h2>{INTRO}"
        f"<h2>Detection</h2>{_folded(folder, purified=False)}"
        f"<h2>Purification</h2>{_folded(folder, purified=True)}"
        "<section id='measured-unknown'><h2>What is not known</h2>"
        f"<ul class='cc-unknown'>{unknown}</ul></section></div>"
    )


def _folded(folder: Path, *, purified: bool) -> str:
    return "".join(
        f"<section id='measured-{i}'><details><summary><h3>{s.title}</h3></summary>"
        f"{_drawn(s, folder)}</details></section>"
        for i, s in enumerate(SECTIONS)
        if (s.file == PURIFIED) == purified
    )


def _drawn(section: Section, folder: Path) -> str:
    path = folder / section.file
    if not path.is_file():
        return "<p class='cc-small'>Not measured yet: the benchmark has not been run for this model.</p>"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if section.beside:
            other = folder / section.beside
            report["beside"] = json.loads(other.read_text(encoding="utf-8")) if other.is_file() else {}
        if section.needs and not report.get(section.needs):
            return "<p class='cc-small'>Not measured yet: this run left it out.</p>"
        return section.draw(report) + _about(report, section.file)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        log.warning("benchmarks/%s could not be drawn: %s", section.file, type(error).__name__)
        return "<p class='cc-small'>This file was written by another version of the benchmark. Run it again.</p>"


def _about(report: dict[str, Any], file: str) -> str:
    """When, on what, by which model, and where the numbers are."""
    model = f"model {report['model']}, revision {report['revision']}" if "model" in report else ""
    data = report.get("data") or (f"{report['split']} split" if "split" in report else "")
    known = [f"measured on {report['date']}" if "date" in report else "date not recorded", data, model]
    words = "; ".join(escape(str(part)) for part in known if part)
    return f"<p class='cc-small cc-about'>{words[0].upper()}{words[1:]}. Numbers: benchmarks/{file}</p>"
