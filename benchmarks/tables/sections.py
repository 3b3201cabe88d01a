"""Every section of docs/measured.md, with the file that it is written from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.dataset import page as dataset
from benchmarks.light import tables as light
from benchmarks.local.native import page as native
from benchmarks.local.parts import page as found
from benchmarks.tables import checks, defences, local, masks, method, parts, promise, running, verdicts
from benchmarks.tables.aims import Aim, aims_table

BENCHMARKS = Path(__file__).resolve().parents[1]
TEST, CONTROLS, ROBUST = (f"detection/{name}.json" for name in ("test", "controls", "robustness"))
OWNERS = "detection/owners.json"
SPLICES, LADDER, PURIFIED = "detection/splices.json", "detection/ladder.json", "purification/defences.json"
FIGURE = "![The ladder: AUC of every rung under both protocols](../benchmarks/detection/ladder.png)"

SECTIONS: list[tuple[str, str, Callable[[Any], str]]] = [
    (TEST, "The verdict on generators and sites that it never saw", verdicts.headline),
    (TEST, "What it answers", verdicts.answers),
    (TEST, "What a score has meant", verdicts.meant),
    (TEST, "Generator by generator", verdicts.generators),
    (TEST, "Photographs that are hard", verdicts.hard),
    (TEST, "Site by site", verdicts.sites),
    (TEST, "Source by source", verdicts.sources),
    (CONTROLS, "Controls: what the verdict must not rest on", checks.controls),
    ("detection/peer.json", "The detector that can be installed today, on the same pictures", checks.peer),
    (ROBUST, "As pictures travel", checks.robustness),
    (ROBUST, "Cut to other shapes: the verdict must not rest on aspect", checks.shapes),
    (ROBUST, "Retouched pictures called *likely generated*", checks.retouched),
    (ROBUST, "Answers that do not survive mild re-encoding become inconclusive", checks.overturned),
    ("stability.json", "The stability check, as the app makes it", checks.stability),
    (SPLICES, "Are the maps right?", method.maps),
    ("detection/edits.json", "Maps on real edits", method.edits),
    (
        "local/parts.json",
        "Does one part differ? What the app finds (`python -m benchmarks.local.parts.measure`)",
        found.found,
    ),
    (
        "local/ideas.json",
        "Is one part generated or replaced? What was tried, on held-out owners ([why](../benchmarks/local/README.md))",
        parts.ideas,
    ),
    ("local/regions.json", "The same question on test pictures", parts.regions),
    (
        "local/native.json",
        "Is one part replaced? A second round, on files as they are ([why](../benchmarks/local/README.md))",
        native.native,
    ),
    ("local/inside.json", "Pictures inside screenshots (`python -m benchmarks.local.inside`)", local.inside),
    ("local/compare.json", "Two copies compared (`python -m benchmarks.local.compare`)", local.compare),
    (OWNERS, "More owners", method.owners),
    (OWNERS, "Generators of which nothing was learned", method.left_out),
    ("detection/masks.json", "What a mask can hold back", masks.masks),
    (LADDER, "The ladder: what each piece of the method adds", lambda report: f"{method.ladder(report)}\n\n{FIGURE}"),
    ("vlm/results.json", "What the vision-language model knows", running.language),
    (PURIFIED, "Purification, under each threat model", defences.purification),
    (PURIFIED, "What the gate lets pass", defences.passed),
    ("runtimes.json", "What int8 changes in verdicts (`benchmarks/runtimes.py`)", running.runtimes),
    (
        "light/answers.json",
        "Which answers another runtime changes, on `test` (`python -m benchmarks.light.answers`)",
        light.answers,
    ),
    ("light/avx2.json", "What could judge faster with AVX2 alone (`python -m benchmarks.light.avx2`)", light.avx2),
    ("light/batches.json", "Several pictures at once (`python -m benchmarks.light.batches`)", light.batches),
    ("light/memory.json", "What takes the memory (`python -m benchmarks.light.memory`)", light.memory),
    ("yardstick.json", "An archive as the yardstick", promise.kept),
    ("dataset/sample.json", "The sample that anybody may have (`data collect --sample`)", dataset.sample),
    ("archive.json", "A whole archive (`benchmarks/archive.py`)", running.archive),
    ("load.json", "Many people at once (`make benchmark-load`)", running.load),
    ("latency.json", "Speed (`make benchmark-latency`)", running.speed),
]
AIMS: list[tuple[str, Callable[[Any], list[Aim]]]] = [
    (TEST, verdicts.headline_aims),
    (ROBUST, checks.robustness_aims),
    (CONTROLS, checks.controls_aims),
    (SPLICES, method.maps_aims),
    ("detection/edits.json", method.edits_aims),
    ("local/parts.json", found.found_aims),
    ("local/regions.json", parts.regions_aims),
    ("local/inside.json", local.inside_aims),
    ("local/compare.json", local.compare_aims),
    (OWNERS, method.left_out_aims),
    (LADDER, method.ladder_aims),
    ("detection/masks.json", masks.masks_aims),
    ("vlm/results.json", running.language_aims),
    (PURIFIED, defences.purification_aims),
    ("latency.json", running.speed_aims),
    ("light/memory.json", light.memory_aims),
    ("runtimes.json", running.runtimes_aims),
    ("load.json", running.load_aims),
    ("yardstick.json", promise.kept_aims),
    ("dataset/rebuilt.json", dataset.rebuilt_aims),
    ("dataset/check.json", dataset.check_aims),
    ("dataset/sample.json", dataset.sample_aims),
]


def read(file: str) -> Any:
    """What a benchmark wrote; None where it has not run."""
    path = BENCHMARKS / file
    return json.loads(path.read_text()) if path.is_file() else None


def aims(folder: str = "") -> list[Aim]:
    """All whose benchmark has run; of this folder alone, where one is given."""
    chosen = ((read(file), found) for file, found in AIMS if file.startswith(folder))
    return [aim for report, found in chosen if report is not None for aim in found(report)]


def measured() -> str:
    """The measured part of docs/measured.md."""
    pieces = [f"## Aims\n\n{aims_table(aims())}"]
    for file, title, words in SECTIONS:
        report = read(file)
        text = words(report) if report is not None else ""
        if text:
            pieces.append(f"## {title}\n\n{text}")
    return "\n\n".join(pieces)


def card() -> str:
    """The measured part of the detector's card."""
    test = read(TEST)
    return "\n\n".join([verdicts.headline(test), verdicts.answers(test), aims_table(aims("detection/"))])
