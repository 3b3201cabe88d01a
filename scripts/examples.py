"""Keeps what the shipped models say of the examples on the page: python -m scripts.examples
[--purify]

Run it after a new detector; a test fails where assets/examples.json is of another revision. The
examples are asked
about in every runtime, which takes minutes: what hangs on the runtime hangs on the machine, and is
left out. --purify makes the examples of the Purify tab anew, from PREPARED in
ui/tabs/purify/examples.py; one that does not hold stops it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from ui.tabs.check.examples import EXPECTED, write_examples

if TYPE_CHECKING:
    from causalclip.detector import Detector
    from purifier.scenario import Scenario
    from ui.tabs.purify.examples import Prepared


def ask(detector: Detector, only: str = "") -> dict[str, str]:
    """The id of the answer about every example, or about one alone, after stability, by the
    example's name."""
    from causalclip.examination.stages import examine_file

    with tempfile.TemporaryDirectory() as folder:
        examples = [one for one in write_examples(folder, {}) if only in ("", one.name)]
        answers = {one.name: examine_file(one.path, detector) for one in examples}
    return {name: x.headline.origin.value for name, x in answers.items()}


def agreed(found: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The answers that are the same in all."""
    return {
        name: answer
        for name, answer in found[0].items()
        if all(answers[name] == answer for answers in found)
    }


def _prepare_purify() -> None:
    """Runs every prepared example, and writes what comes of it to assets/purify."""
    from purifier.models import Models
    from ui.tabs.purify.examples import PREPARED, run

    models = Models()
    for example in PREPARED:
        made = run(models, example)
        if not example.holds(made):
            sys.exit(
                f"{example.file}, {example.question!r}: "
                f"{[response.spoken for response in made.responses.values()]}"
            )
        store(made, example)


def store(run: Scenario, example: Prepared) -> None:
    """Write what came of an example to assets/purify: its two pictures, and the rest as JSON.

    The seconds that it took are left out: they depend on the machine.
    """
    from PIL import Image

    from ui.tabs.purify.examples import FOLDER

    stem = FOLDER / Path(example.file).stem
    for which in ("adversarial", "purified"):
        Image.fromarray(run.pictures[which]).save(f"{stem}-{which}.png", optimize=True)
    facts = {"steps": run.steps, "change": round(run.change, 3)}
    responses = {which: response.model_dump() for which, response in run.responses.items()}
    text = json.dumps(facts | {"responses": responses}, indent=1) + "\n"
    Path(f"{stem}.json").write_text(text, encoding="utf-8")


def main() -> None:
    if sys.argv[1:] == ["--purify"]:
        _prepare_purify()
        return
    from causalclip.detector import Detector
    from causalclip.settings import Runtime

    found = []
    for runtime in get_args(Runtime):
        os.environ["CAUSALCLIP_RUNTIME"] = runtime
        detector = Detector.from_pretrained()
        found.append(ask(detector))
        print(f"{runtime}: {json.dumps(found[-1])}", flush=True)
    same = agreed(found)
    record = {"model": detector.name, "revision": detector.config.revision, "answers": same}
    EXPECTED.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"{EXPECTED.name}: {len(same)} of {len(found[0])} are the same in all runtimes.")


if __name__ == "__main__":
    main()
