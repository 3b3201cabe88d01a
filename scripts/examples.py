"""Asks the shipped detector about the app's examples, and writes down what it says: python scripts/examples.py

The page tells beside each example what to expect, from assets/examples.json. Run it after a new detector; a test asks
again, and fails where the file says anything else. It asks in every runtime, which takes minutes: what hangs on the
runtime hangs on the machine, and is left out.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app import SHIPPED  # noqa: E402
from ui.detect.examples import EXPECTED, write_examples  # noqa: E402

if TYPE_CHECKING:
    from causalclip.detector import Detector


def ask(detector: Detector) -> dict[str, str]:
    """The answer about every example, after stability, by the example's name: a signature's word, or the pixels'."""
    from causalclip.evidence.examination import examine

    with tempfile.TemporaryDirectory() as folder:
        answers = {one.name: examine(one.path.read_bytes(), detector) for one in write_examples(folder, {})}
    return {name: x.band if x.headline.source == "pixels" else x.headline.title for name, x in answers.items()}


def agreed(found: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The answers that are the same in all."""
    return {name: answer for name, answer in found[0].items() if all(answers[name] == answer for answers in found)}


def main() -> None:
    from causalclip.clip.runtime import VARIABLE, Runtime
    from causalclip.detector import Detector

    found = []
    for runtime in get_args(Runtime):
        os.environ[VARIABLE] = runtime
        detector = Detector.from_pretrained(SHIPPED)
        found.append(ask(detector))
        print(f"{runtime}: {json.dumps(found[-1])}", flush=True)
    same = agreed(found)
    said = {"model": detector.name, "revision": detector.config.revision, "answers": same}
    EXPECTED.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    print(f"{EXPECTED.relative_to(ROOT)}: {len(same)} of {len(found[0])} are the same in all runtimes.")


if __name__ == "__main__":
    main()
