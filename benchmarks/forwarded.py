"""What the detector says of real photographs as messengers and Facebook saved them before 2022.

training/tables/forwarded.csv names them by reference: repository, commit, path. App and day are
those of the file's own name, from years before generators drew photographs. A row says why its
picture was dropped at sight: "screenshot", "drawn" (logos, diagrams, renderings, cartoons) or
"composed" (collages, lettering, frames, cut-outs). --files is a folder of git directories, each
named OWNER+NAME. What was said of single pictures is kept in --cache, so that a killed run goes on.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.common import ROOT, Options
from causalclip.detector import Detector
from causalclip.images.loading import load_image
from causalclip.intervals import wilson
from training.dataset.repositories import find_mirror

TABLE = ROOT / "training" / "tables" / "forwarded.csv"
APPS = {  # by what it calls a file that it saved before 2022
    "WhatsApp": r"IMG-20([01]\d|2[01])\d{4}-WA\d+",
    "Telegram": r"photo_20(1\d|2[01])-\d\d-\d\d",
    "Facebook": r"FB_IMG_1([3-5]\d|6[0-3])\d+",
}
ANSWERS = "likely generated", "inconclusive", "likely not generated", "no answer"


@dataclass(frozen=True, slots=True)
class Reference:
    """A row of the table. dropped: why its picture is not counted; "" where it is."""

    repo: str
    commit: str
    path: str
    dropped: str = ""

    @property
    def owner(self) -> str:
        return self.repo.partition("/")[0].lower()

    @property
    def app(self) -> str:
        """The app that saved it, by the file's own name."""
        name = self.path.rsplit("/", 1)[-1]
        return next(app for app, pattern in APPS.items() if re.match(pattern, name, re.IGNORECASE))


def measure(options: Options) -> dict[str, Any]:
    """Return the answers by app and for all of them, and how many pictures were dropped."""
    detector, table = Detector.from_pretrained(options.model), read_table()
    references = [reference for reference in table if not reference.dropped]
    kept = options.cache / f"forwarded-{detector.config.revision}.jsonl"
    answers = _judge(detector, references, options.files, kept)
    apps = {app: [r for r in references if r.app == app] for app in APPS}
    return {
        "model": detector.name,
        "revision": detector.config.revision,
        "seen": {"pictures": len(table), "owners": len({r.owner for r in table})},
        "dropped": dict(Counter(r.dropped for r in table if r.dropped)),
        "apps": {name: summarize(rows, answers) for name, rows in apps.items() if rows},
        "all": summarize(references, answers),
    }


def read_table() -> list[Reference]:
    """Return the rows of the table."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        return [Reference(**row) for row in csv.DictReader(file)]


def summarize(references: Sequence[Reference], answers: dict[Reference, str]) -> dict[str, Any]:
    """Return how many photographs of how many owners got each answer, and Wilson's interval of the
    share that is called generated."""
    counts = Counter(answers[reference] for reference in references)
    return {
        "pictures": len(references),
        "owners": len({reference.owner for reference in references}),
        "answers": {answer: counts[answer] for answer in ANSWERS},
        "owners accused": len({r.owner for r in references if answers[r] == ANSWERS[0]}),
        "interval": wilson(counts[ANSWERS[0]], len(references)),
    }


def _judge(
    detector: Detector, references: Sequence[Reference], files: Path, kept: Path
) -> dict[Reference, str]:
    """Return the answer for each photograph, the kept one where there is one."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    answers = {}
    if kept.exists():
        for line in kept.read_text(encoding="utf-8").splitlines():
            *place, answer = json.loads(line)
            answers[Reference(*place)] = answer
    with kept.open("a", encoding="utf-8") as lines:
        for reference in tqdm([r for r in references if r not in answers], unit="picture"):
            verdict = detector.score(load_image(_read(files, reference)).pixels)
            answer = verdict.band if verdict.image_type == "photograph" else "no answer"
            answers[reference] = answer
            entry = [reference.repo, reference.commit, reference.path, answer]
            print(json.dumps(entry), file=lines, flush=True)
    return answers


def _read(files: Path, reference: Reference) -> bytes:
    """Return a photograph's bytes, out of its repository's git directory."""
    repository = find_mirror(files, reference.repo)
    data = repository.read(repository.tree(reference.commit)[reference.path].oid)
    if data is None:
        raise FileNotFoundError(f"{reference.repo} has no {reference.path}")
    return data
